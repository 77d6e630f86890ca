"""The oracle of the built-in sample: what a scorer that knows how the videos were made can tell from the frames.

It knows every parameter of the World, and is given a video's frames alone: neither its labels nor its ratings. Per video it
computes, by the forward-backward algorithm, how likely each class is there in each second. It is exact up to these
simplifications: noise counts as independent from second to second; an interval may end at any second; an interval's class
depends on the topic alone; only the states that come close to some frame are considered.
"""

import math

import numpy as np

from yt8m.sample.generator import CROSSED, FOREIGN, MODES, NUM_MODES, RGB, VARIANTS, chance_there
from yt8m.segments import SEGMENT_SIZE, dequantise, starts_of

_MEAN_INTERVAL = 14.0  # seconds
_PRODUCTS = 20_000_000  # numbers held at once


class Oracle:
    """Posterior presence of classes, from frames.

    Args:
        world: the World that the videos come from.
        nearest: states considered for each frame.
    """

    def __init__(self, world, nearest=6):
        self.world, self.nearest = world, nearest
        s = world.settings
        stds = np.sqrt((world.noise**2).sum(axis=0)[[0, RGB]])
        kept = [math.erf(2 / std / 2**0.5) for std in (s.rgb_std, s.audio_std)]  # what clipping leaves of a small signal
        stds, kept = np.repeat([stds, kept], (s.visual_dims, s.audio_dims), axis=1)  # [L]
        self.projection = (world.directions.T / (kept * stds)).astype(np.float32)  # [1152, L], to unit noise
        states = (world.signals / stds).reshape(-1, len(stds))  # [C V, L]
        scenes = (world.backgrounds / stds).reshape(-1, len(stds))  # [B, L]
        self.means = np.concatenate([states, scenes]).astype(np.float32)  # [C V + B, L]
        self.num_states = len(states)
        self.energies = [_energies(states * told, scenes * told, s.background_behind) for told in self._told()]
        topics = np.repeat(np.arange(world.num_topics), world.backgrounds.shape[1])
        self.priors = np.log(_priors(world))[topics]  # [B, 1 + C V]

    def segments(self, videos):
        """Probability that a class is there, by segment.

        Args:
            videos: list of uint8 frames [T, 1152].

        Returns:
            list of float64 [ceil(T / 5), C], the means over each segment's seconds.
        """
        at_once = max(1, _PRODUCTS // len(self.means) // max(len(frames) for frames in videos))
        presence = []
        for start in range(0, len(videos), at_once):  # few large matrix products instead of many small ones
            presence += [_by_segment(p) for p in self._presence(videos[start : start + at_once])]
        return presence

    def _told(self):
        """Which latent dimensions say something, [L]: in a video with sound, in a silent one."""
        s = self.world.settings
        return np.ones(s.visual_dims + s.audio_dims), np.repeat([1.0, 0.0], (s.visual_dims, s.audio_dims))

    def _presence(self, videos):
        """Probability that a class is there, by second: a list of float64 [T, C]."""
        silent = [len(frames) > 1 and bool((frames[1:, RGB:] == frames[0, RGB:]).all()) for frames in videos]
        lengths = [len(frames) for frames in videos]
        z = dequantise(np.concatenate(videos)) @ self.projection  # [all T, L]
        z *= np.array(self._told(), np.float32)[np.repeat(np.array(silent, int), lengths)]
        products = np.split(z @ self.means.T, np.cumsum(lengths)[:-1])  # [T, C V + B] each
        return [self._posterior(p, *self.energies[quiet]) for p, quiet in zip(products, silent)]

    def _posterior(self, products, background, shown):
        """float64 [T, C] from the products of a video's frames with all means, and the energies of the means."""
        to_states, to_scenes = products[:, : self.num_states], products[:, self.num_states :].T[..., None]  # [B, T, 1]
        distances = shown[0] - to_states  # [T, C V], up to a constant and whatever the scene does
        nearest = min(self.nearest, self.num_states)
        states = np.unique(np.argpartition(distances, nearest - 1, axis=1)[:, :nearest])  # [n]
        behind = self.world.settings.background_behind
        emissions = np.concatenate(
            [to_scenes - background[:, None, None], to_states[:, states] + behind * to_scenes - shown[1:, None, states]], axis=2
        )  # [B, T, 1 + n]
        posterior = _forward_backward(emissions, self.priors[:, np.r_[0, 1 + states]], 1 - 1 / _MEAN_INTERVAL)
        there = np.zeros((len(states), self.world.settings.num_classes))
        modes = states % len(VARIANTS) < NUM_MODES
        there[modes] = self.world.above[states[modes] // len(VARIANTS)]
        return posterior[:, 1:] @ there


def _energies(states, scenes, behind):
    """Half the squared lengths of the means: of the background alone [B], and of the states [1 + B, C V], without and with
    each scene behind them."""
    alone = (states**2).sum(axis=1)  # [C V]
    scene = (scenes**2).sum(axis=1)  # [B]
    with_scene = alone + 2 * behind * scenes @ states.T + behind**2 * scene[:, None]  # [B, C V]
    return scene / 2, np.concatenate([alone[None], with_scene]) / 2


def _by_segment(presence):
    starts = starts_of(len(presence))
    return np.add.reduceat(presence, starts, axis=0) / np.minimum(len(presence) - starts, SEGMENT_SIZE)[:, None]


def _priors(world):
    """Probability of background and of each state in an interval of a video of each topic: [topics, 1 + C V]."""
    s = world.settings
    priors = []
    by_topic = [world.popularity * (world.topics == t) for t in range(world.num_topics)]
    by_topic = [p / p.sum() for p in by_topic]
    rare = 0.1 / s.num_classes  # rated videos are less often about the popular classes
    for topic in range(world.num_topics):
        entity = (1 - s.elsewhere) * by_topic[topic] + s.elsewhere * np.mean(by_topic, axis=0) + rare
        fake = np.where(world.topics == topic, s.only_look_alikes, s.only_look_alikes_elsewhere)
        there = chance_there(world, np.arange(s.num_classes)) * (1 - fake)
        variants = np.zeros((s.num_classes, len(VARIANTS)))
        for group, share in ((MODES, there), (CROSSED, (1 - there) * s.crossed), (FOREIGN, (1 - there) * (1 - s.crossed))):
            variants[:, group] = (share / len(group))[:, None]
        shown = (entity / entity.sum())[:, None] * variants * (1 - s.background_only)
        priors.append(np.r_[s.background_only, shown.ravel()])
    return np.array(priors) + 1e-12


def _forward_backward(emissions, priors, stay):
    """Posterior of the states, mixed over the scenes.

    Each second the state stays with probability `stay`, else it is drawn anew from the prior.

    Args:
        emissions: [B, T, N] log densities; priors: [B, N] log probabilities; stay: probability.

    Returns:
        [T, N], rows sum to 1.
    """
    prior = np.exp(priors - np.logaddexp.reduce(priors, axis=1, keepdims=True))  # [B, N]
    best = emissions.max(axis=2, keepdims=True)
    likelihood = np.exp(emissions - best)  # [B, T, N]
    evidence = best.sum(axis=(1, 2))  # [B]
    forward, backward = np.empty_like(likelihood), np.ones_like(likelihood)
    arriving = prior
    for t in range(likelihood.shape[1]):
        joint = arriving * likelihood[:, t]
        total = joint.sum(axis=1, keepdims=True)
        evidence = evidence + np.log(total[:, 0])
        forward[:, t] = joint / total
        arriving = stay * forward[:, t] + (1 - stay) * prior
    for t in range(likelihood.shape[1] - 2, -1, -1):
        following = likelihood[:, t + 1] * backward[:, t + 1]
        message = stay * following + (1 - stay) * (prior * following).sum(axis=1, keepdims=True)
        backward[:, t] = message / message.max(axis=1, keepdims=True)
    posterior = forward * backward
    posterior /= posterior.sum(axis=2, keepdims=True)
    return np.tensordot(np.exp(evidence - np.logaddexp.reduce(evidence)), posterior, axes=1)
