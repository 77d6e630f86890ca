"""The generative model of the built-in sample: made-up videos whose statistics are those of YouTube-8M.

Classes. Each class belongs to a topic. A topic has one umbrella class, a few kinds of it, and leaves under the kinds; where a
class shows, the classes above it show too. Popularity falls by a power law.

What a class looks like. A frame is a point in a small latent space (visual and audio directions), mapped by orthonormal
directions to rgb and audio. Each class has two shapes p0, p1 (visual) and two manners q0, q1 (audio for some classes, else
visual). The class is there when shape and manner fit: p0+q0 or p1+q1, its two modes. Its look-alikes do not show the class:
p0+q1 and p1+q0 (`crossed`: each ingredient is as common with the class as without, so no linear rule tells them apart), or
either shape with a foreign manner q2 (a linear rule can learn that). Look-alikes occur in the same videos as the class.

A video. One topic, with one of the topic's backgrounds all through it, fainter behind a class: context that hints at the
topic. One to three focus classes, mostly of that topic. Time is cut into intervals of 5 to 40 seconds: background, a class in
one of its modes (mostly the same one in a video), or a look-alike. In some videos a focus class only ever has look-alikes, more
often away from its own topic. To the signal are added what stays the same through a video, what stays the same through a
shot, and what is new in each frame, in shares that give the energies and the correlations over time measured on the real data.
Then the values are clipped and quantised to bytes.

Labels of a video: the classes that occur, some missed; classes of the topic that do not occur; classes whose look-alikes occur.

Ratings: five segments a video, for classes among its labels. A segment shows a class that is there for more than half of it.
Segments without the class are rather look-alikes than anything else. Raters err now and then.
"""

from dataclasses import dataclass

import numpy as np

from yt8m.errors import UserError
from yt8m.sample import vocabulary
from yt8m.segments import SEGMENT_SIZE, nearest_bytes, starts_of

RGB, AUDIO = 1024, 128
RATINGS = 5  # a rated video
SPLITS = ("train", "rated", "held_out", "test")

# (shape, manner) of a class's variants; the class is there in the first two.
VARIANTS = ((0, 0), (1, 1), (0, 1), (1, 0), (0, 2), (1, 2))
NUM_MODES = 2
MODES, CROSSED, FOREIGN = (0, 1), (2, 3), (4, 5)

# Frames a video in multiples of their mean, at these quantiles (measured: 129, 175, 234, 300 of 230; 30% have the most).
_LENGTH_QUANTILES = ((0, 0.05, 0.25, 0.5, 0.7, 1), (0.3, 0.56, 0.76, 1.02, 1.3, 1.3))
_ONE_FRAME_EVERY = 250  # train videos


@dataclass(frozen=True)
class Settings:
    """Everything that the sample is made from.

    Attributes:
        seed: of all that is random.
        num_train_videos, num_rated_videos, num_held_out_videos, num_test_videos: videos of each split.
        num_classes, num_segment_classes: label ids, and how many of them are rated.
        mean_frames: mean frames of a video.
        visual_dims, audio_dims: size of the latent space.
        shape_energy, manner_energy, audio_manner_energy, background_energy: E|signal|^2 of a frame.
        audio_share: share of the classes whose manner is in the audio.
        background_behind: how much of the background shows behind a class.
        rgb_std, audio_std: standard deviation of a dimension before clipping.
        rgb_video, rgb_shot, audio_video, audio_shot: shares of the variance that stay through a video, through a shot.
        shot_stay: chance that a shot goes on for another second.
        silent: share of the videos without sound.
        zipf: exponent of the classes' popularity.
        second_class, third_class: chance that a video has one more focus class.
        elsewhere: chance that a focus class comes from any topic.
        background_only: share of the intervals that show only background.
        other_interval: chance that an interval is not sure to be the first focus class's.
        same_mode: chance that an interval has the class's usual mode of the video.
        crossed: share of the look-alikes that are crossed.
        only_look_alikes, only_look_alikes_elsewhere: chance that a focus class has only look-alikes, in a video of its topic
            and in another.
        missed, fooled, spurious: chance that a label that is true is missing, that a class with only look-alikes is a label,
            and mean number of labels of the topic that come from nowhere.
        other_rated: chance that a rating is for another label than the first focus class.
        hard_negative: chance that a negative is chosen among the look-alikes.
        rater_error: chance that a rating is flipped.
    """

    seed: int = 1
    num_train_videos: int = 950
    num_rated_videos: int = 450
    num_held_out_videos: int = 350
    num_test_videos: int = 200
    num_classes: int = 54
    num_segment_classes: int = 22
    mean_frames: int = 50
    visual_dims: int = 28
    audio_dims: int = 10
    shape_energy: float = 65.0
    manner_energy: float = 65.0
    audio_manner_energy: float = 80.0
    background_energy: float = 45.0
    audio_share: float = 0.4
    background_behind: float = 0.5
    rgb_std: float = 0.98
    audio_std: float = 1.46
    rgb_video: float = 0.12
    rgb_shot: float = 0.22
    audio_video: float = 0.23
    audio_shot: float = 0.26
    shot_stay: float = 0.75
    silent: float = 0.015
    zipf: float = 0.8
    second_class: float = 0.8
    third_class: float = 0.3
    elsewhere: float = 0.15
    background_only: float = 0.15
    other_interval: float = 0.45
    same_mode: float = 0.8
    crossed: float = 0.8
    only_look_alikes: float = 0.06
    only_look_alikes_elsewhere: float = 0.5
    missed: float = 0.12
    fooled: float = 0.6
    spurious: float = 1.0
    other_rated: float = 0.15
    hard_negative: float = 0.75
    rater_error: float = 0.04

    def __post_init__(self):
        least = {"num_train_videos": 1, "num_rated_videos": 1, "num_held_out_videos": 1, "num_test_videos": 1, "num_classes": 6,
                 "num_segment_classes": 1, "mean_frames": 20, "visual_dims": 1, "audio_dims": 1, "seed": 0}  # fmt: skip
        for key, value in least.items():
            if getattr(self, key) < value:
                raise UserError(f"{key}={getattr(self, key)}: use {value} or more.")
        if self.num_segment_classes > self.num_classes // 2:
            raise UserError(
                f"num_segment_classes={self.num_segment_classes}: use at most half of num_classes, {self.num_classes}."
            )
        if self.mean_frames > 230:
            raise UserError(f"mean_frames={self.mean_frames}: use at most 230, the mean of the real videos.")
        if self.visual_dims > RGB or self.audio_dims > AUDIO:
            raise UserError(f"visual_dims={self.visual_dims}, audio_dims={self.audio_dims}: use at most {RGB} and {AUDIO}.")

    def num_videos(self, split):
        """Videos of one of SPLITS."""
        return getattr(self, f"num_{split}_videos")


@dataclass(frozen=True, eq=False)
class MadeVideo:
    """One video with all that is known about it.

    Attributes:
        id: 4 characters.
        frames: uint8 [T, 1152], rgb then audio.
        labels: int64 [n], video labels as given.
        topic: its topic.
        entities: int [T], the class that is shown or imitated, -1 for background only.
        variants: int [T], index into VARIANTS.
        there: bool [S, C], the class is there for more than half of the segment; a last segment may be shorter.
        ratings: list of (start, class, score), empty for train videos.
    """

    id: str
    frames: np.ndarray
    labels: np.ndarray
    topic: int
    entities: np.ndarray
    variants: np.ndarray
    there: np.ndarray
    ratings: list


class World:
    """The parameters drawn once from the seed: classes, their looks, the topics' backgrounds.

    Attributes:
        settings: the Settings.
        topics: int [C], topic of each class; names: list of C class names.
        above: bool [C, C], row c marks c and the classes that show wherever c shows.
        popularity: [C], sums to 1.
        segment_classes: int64 [n], label ids that are rated, in file order.
        signals: float64 [C, len(VARIANTS), L] latent signal of each variant.
        backgrounds: float64 [topics, 3, L].
        directions: float64 [L, 1152], orthonormal rows.
        presence: [C], how often a class is there where it or a look-alike is.
        silence: float32 [128], the audio of a silent video.
    """

    def __init__(self, settings):
        self.settings = settings
        rng = np.random.default_rng([settings.seed, 0])
        self._make_classes(rng)
        self._make_looks(rng)
        self.presence = rng.uniform(0.45, 1.05, settings.num_classes)
        self.presence[self.segment_classes] = rng.permutation(np.linspace(0.45, 1.05, len(self.segment_classes)))
        self.silence = rng.normal(0, settings.audio_std, AUDIO).astype(np.float32)
        deviations = ((RGB, settings.rgb_std), (AUDIO, settings.audio_std))
        self.deviation = np.concatenate([np.full(n, std, np.float32) for n, std in deviations])
        self._noise_shares()

    def _make_classes(self, rng):
        count = self.settings.num_classes
        self.num_topics = max(2, min(12, count // 9))
        topics = np.arange(count) % self.num_topics
        positions = np.arange(count) // self.num_topics
        parents = np.full(count, -1)
        for topic in range(self.num_topics):
            members = np.flatnonzero(topics == topic)
            kinds = max(1, (len(members) - 1) // 4)
            parents[members[1:]] = members[0]
            leaves = members[1 + kinds :]
            parents[leaves] = members[1 + np.arange(len(leaves)) % kinds]
        ranks = np.argsort(np.argsort(np.arange(count) + rng.normal(0, count / 6, count)))
        popularity = (1.0 + ranks) ** -self.settings.zipf
        above = np.eye(count, dtype=bool)
        for child in range(count):
            parent = parents[child]
            while parent >= 0:
                above[child, parent] = True
                parent = parents[parent]
        order = np.argsort(-(popularity @ above) * rng.lognormal(0, 0.1, count), kind="stable")  # label ids: frequent first
        self.topics, self.popularity = topics[order], popularity[order] / popularity.sum()
        self.above = above[order][:, order]
        self.names = [vocabulary.name(topics[e], positions[e]) for e in order]
        ratable = np.flatnonzero(positions[order] > 0)
        chosen = np.sort(rng.permutation(ratable)[: self.settings.num_segment_classes])
        self.segment_classes = chosen[np.argsort(chosen + rng.normal(0, 1, len(chosen)))].astype(np.int64)

    def _make_looks(self, rng):
        s = self.settings
        count, size = s.num_classes, s.visual_dims + s.audio_dims
        visual, audio = slice(0, s.visual_dims), slice(s.visual_dims, size)

        def vectors(number, energy, part):
            drawn = np.zeros((count, number, size))
            drawn[..., part] = _unit(rng, count, number, part.stop - part.start) * energy**0.5
            return drawn

        shapes = vectors(2, s.shape_energy, visual)
        heard = rng.random(count) < s.audio_share
        manners = np.where(heard[:, None, None], vectors(3, s.audio_manner_energy, audio), vectors(3, s.manner_energy, visual))
        self.signals = np.stack([shapes[:, i] + manners[:, j] for i, j in VARIANTS], axis=1)
        scenes = 0.8 * _unit(rng, self.num_topics, 1, s.visual_dims) + 0.6 * _unit(rng, self.num_topics, 3, s.visual_dims)
        self.backgrounds = np.zeros((self.num_topics, 3, size))
        self.backgrounds[..., visual] = scenes * s.background_energy**0.5
        self.directions = np.zeros((size, RGB + AUDIO))
        self.directions[visual, :RGB] = np.linalg.qr(rng.standard_normal((RGB, s.visual_dims)))[0].T
        self.directions[audio, RGB:] = np.linalg.qr(rng.standard_normal((AUDIO, s.audio_dims)))[0].T

    def _noise_shares(self):
        """Standard deviations float32 [3, 1152] of what stays through a video, through a shot, and of what is new each second."""
        s = self.settings
        rgb = s.shape_energy + s.manner_energy * (1 - s.audio_share) + s.background_energy * s.background_behind**2
        shown = 1 - s.background_only
        rgb = (shown * rgb + s.background_only * s.background_energy) / RGB / s.rgb_std**2
        audio = shown * s.audio_manner_energy * s.audio_share / AUDIO / s.audio_std**2
        shares = []
        for n, video, shot, signal in ((RGB, s.rgb_video, s.rgb_shot, rgb), (AUDIO, s.audio_video, s.audio_shot, audio)):
            parts = np.array([video, shot, max(0.05, 1 - video - shot - signal)])
            shares.append(np.repeat(np.sqrt(parts)[:, None], n, axis=1))
        self.noise = (np.concatenate(shares, axis=1) * self.deviation).astype(np.float32)


def _unit(rng, *shape):
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def make_video(world, split, index):
    """The MadeVideo at an index of one of SPLITS; depends on nothing but the world, split and index."""
    s = world.settings
    number = SPLITS.index(split)
    rng = np.random.default_rng([s.seed, 1 + number, index])
    rated = split != "train"
    length = _length(rng, s.mean_frames, index, rated)
    topic = int(rng.choice(world.num_topics, p=np.bincount(world.topics, world.popularity, world.num_topics)))
    focus = _focus(world, rng, topic, rated)
    chance = np.where(world.topics == topic, s.only_look_alikes, s.only_look_alikes_elsewhere)
    fake = [rng.random() < chance[e] for e in focus]
    entities, variants = _timeline(world, rng, length, focus, fake)
    on = world.above[entities] & ((entities >= 0) & (variants < NUM_MODES))[:, None]  # [T, C]
    labels = _labels(world, rng, on, topic, focus, entities, rated)
    frames = _frames(world, rng, topic, entities, variants)
    there = segments_there(on)
    ratings = _rate(world, rng, labels, focus[0], entities, variants, there, length) if rated else []
    first = sum(s.num_videos(other) for other in SPLITS[:number])
    return MadeVideo(video_id(first + index), frames, labels, topic, entities, variants, there, ratings)


def video_id(number):
    """4 letters and digits, different for each number below 36**4."""
    number = (number * 1_000_003 + 77_777) % 36**4
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return "".join(digits[number // 36**k % 36] for k in range(4))


def segments_there(on):
    """Per second to per segment: bool [T, C] -> bool [ceil(T / 5), C], true where more than half of the segment is."""
    starts = starts_of(len(on))
    seconds = np.add.reduceat(on.astype(np.int32), starts, axis=0)
    sizes = np.minimum(len(on) - starts, SEGMENT_SIZE)
    return 2 * seconds > sizes[:, None]


def _length(rng, mean, index, rated):
    multiple = np.interp(rng.random(), *_LENGTH_QUANTILES)
    if not rated and index % _ONE_FRAME_EVERY == _ONE_FRAME_EVERY - 1:
        return 1
    length = round(mean * multiple) + int(rng.random() < 0.0002)
    return max(length, SEGMENT_SIZE * RATINGS) if rated else length


def _focus(world, rng, topic, rated):
    """The classes that a video is about; the first of a rated video can be rated, and rare ones get their turn."""
    s = world.settings
    count = 1 + (rng.random() < s.second_class) + (rng.random() < s.third_class)
    focus = []
    for _ in range(count):
        home = topic if rng.random() >= s.elsewhere else rng.integers(world.num_topics)
        members = np.flatnonzero(world.topics == home)
        weights = world.popularity[members]
        if rated and not focus:
            ratable = np.intersect1d(members, world.segment_classes)
            members = ratable if len(ratable) else np.sort(world.segment_classes)
            weights = world.popularity[members] ** 0.3
        chosen = int(rng.choice(members, p=weights / weights.sum()))
        if chosen not in focus:
            focus.append(chosen)
    return focus


def _timeline(world, rng, length, focus, fake):
    """What each second shows: entities int [T] and variants int [T]."""
    s = world.settings
    entities, variants = np.full(length, -1), np.zeros(length, int)
    usual = rng.integers(NUM_MODES, size=len(focus))
    start = 0
    while start < length:
        seconds = slice(start, start + int(np.clip(round(5 + rng.exponential(9)), 5, 40)))
        start = seconds.stop
        if rng.random() < s.background_only:
            continue
        which = int(rng.integers(len(focus))) if rng.random() < s.other_interval else 0
        entities[seconds] = focus[which]
        if not fake[which] and rng.random() < chance_there(world, focus[which]):
            variants[seconds] = usual[which] if rng.random() < s.same_mode else rng.choice(MODES)
        else:
            variants[seconds] = rng.choice(CROSSED if rng.random() < s.crossed else FOREIGN)
    return entities, variants


def chance_there(world, entity):
    """Chance that an interval of a class shows the class and no look-alike, in a video where it is not only imitated."""
    return 0.45 + 0.4 * world.presence[entity]


def _labels(world, rng, on, topic, focus, entities, rated):
    """Video labels, int64 [n], rising."""
    s = world.settings
    occurring = on.any(axis=0)
    labels = {int(c) for c in np.flatnonzero(occurring) if rng.random() >= s.missed}
    labels |= {e for e in focus if e in entities and not occurring[e] and rng.random() < s.fooled}
    labels |= {int(rng.choice(np.flatnonzero(world.topics == topic))) for _ in range(rng.poisson(s.spurious))}
    if rated or not labels:
        labels.add(focus[0])
    return np.array(sorted(labels), np.int64)


def _frames(world, rng, topic, entities, variants):
    """uint8 [T, 1152]."""
    s = world.settings
    background = world.backgrounds[topic, rng.integers(world.backgrounds.shape[1])]
    shown = (entities >= 0)[:, None]
    latent = np.where(shown, s.background_behind * background + world.signals[entities, variants], background)  # [T, L]
    starts = np.flatnonzero(np.r_[True, np.any(latent[1:] != latent[:-1], axis=1)])
    signal = (latent[starts] @ world.directions).astype(np.float32)  # one row an interval
    frames = np.repeat(signal, np.diff(np.r_[starts, len(latent)]), axis=0)
    shots = np.cumsum(rng.random(len(latent)) >= s.shot_stay)
    video, shot, second = world.noise
    frames += video * rng.standard_normal(RGB + AUDIO, dtype=np.float32)
    frames += (shot * rng.standard_normal((shots[-1] + 1, RGB + AUDIO), dtype=np.float32))[shots]
    frames += second * rng.standard_normal(frames.shape, dtype=np.float32)
    if rng.random() < s.silent:
        frames[:, RGB:] = world.silence
    return nearest_bytes(frames)


def _rate(world, rng, labels, focus, entities, variants, there, length):
    """Five ratings (start, class, score) of whole segments, by start and class."""
    s = world.settings
    whole = length // SEGMENT_SIZE
    ratable = [int(c) for c in labels if c in world.segment_classes]
    others = [c for c in ratable if c != focus]
    free = {c: list(range(whole)) for c in ratable}
    fooling = np.where((entities >= 0) & (variants >= NUM_MODES), entities, -1)[: whole * SEGMENT_SIZE].reshape(
        whole, SEGMENT_SIZE
    )
    ratings = []
    for _ in range(RATINGS):
        c = int(rng.choice(others)) if others and rng.random() < s.other_rated else focus
        wanted = rng.random() < world.presence[c]
        candidates = [i for i in free[c] if there[i, c] == wanted] or free[c]
        hard = [i for i in candidates if not wanted and c in fooling[i]]
        if hard and rng.random() < s.hard_negative:
            candidates = hard
        segment = int(rng.choice(candidates))
        free[c].remove(segment)
        ratings.append((segment * SEGMENT_SIZE, c, float(there[segment, c] != (rng.random() < s.rater_error))))
    return sorted(ratings)
