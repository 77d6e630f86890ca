"""Montages: made-up videos of real video-level records laid end to end, in which it is known what is where.

Sources. Every video-level record belongs to one part (train, rated, held_out, test) by a digest of its id, so that no source is
ever in two parts. Classes are the rated ones (the most frequent of YouTube-8M's 1,000 segment classes) and the most frequent
others.

A montage. One focus class: rated montages take every rated class about equally often, train montages what their first source
has. Two to four sources: some that have the class, and look-alikes: near neighbours of the first source that share a label
with it but not the class. Time is cut into intervals; each shows one of the sources, and sources come back. In some montages
the focus class is a label but no source has it. A background, another real video, is blended into all frames; it is more
often than not of the same topic. Many single seconds are fillers (a presenter, a title, what a video shows beside its topic):
a few real videos a montage that have none of the classes. Some are cutaways to another source of the same montage or to nothing.

A frame. (The source's mean, blended with a scene's and the background's) + noise. A scene is the difference of two real videos,
another every few seconds: no two moments of a source look alike. The noise's energy fills each dimension up to the energy
measured on real frames, and a part of it goes on from second to second. Clipped and quantised to bytes as YouTube-8M's are.

What is built in and what is not. Whether a segment is rated is drawn without looking at time, truth or neighbours. Boundaries
lie anywhere. So smoothing over time helps inside an interval and hurts beside a boundary, by how much is for the models to show.
Context is worth something, since the video tells the background (which hides what is there), and which sources come back.

Labels of a montage: those of its sources, some missed; some of the background's, which never occur.
Ratings: five segments a montage, mostly of the focus class. A class is there when it is for more than half of the segment. Raters
err now and then.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from yt8m.errors import UserError
from yt8m.sample.generator import AUDIO, RATINGS, RGB, MadeVideo, segments_there, video_id
from yt8m.segments import SEGMENT_SIZE, nearest_bytes

SPLITS = ("train", "rated", "held_out", "test")


@dataclass(frozen=True)
class Settings:
    """Everything that montages are made from, beside the records.

    Attributes:
        seed: of all that is random.
        num_train_videos, num_rated_videos, num_held_out_videos, num_test_videos: montages of each part.
        shares: of the sources, of each of SPLITS.
        num_classes, num_segment_classes: label ids, and how many of them are rated.
        lengths: frames at the quantiles 0, .25, .5, .7 and 1 (measured: 175, 234, 300 of real videos).
        durations: shortest and longest interval, seconds; log-uniform between.
        presence: least and greatest mean share of the intervals that show a class, in the montages of which it is the focus.
        concentration: of the beta distribution of this share over the montages; the smaller, the more they differ.
        second_positive: chance that a second source has the focus class.
        third_source: chance that there are two look-alikes and not one.
        absent: chance that no source has the focus class.
        neighbours, pool: look-alikes are drawn from so many nearest sources of so many.
        background: weight b of the background; the source's is sqrt(1 - b^2).
        background_tells: chance that the background shares a label with the first source.
        background_only: chance that an interval shows no source.
        cutaway: chance that a second shows something else of the montage than its interval does.
        filler: chance that a second is a filler; fillers: sources of a montage's fillers.
        scene: weight of the scene in what a second shows; the source's is sqrt(1 - scene^2).
        scene_durations: shortest and longest scene, seconds; log-uniform between.
        gain: of the sources' means, so that the means of montages have the energy of real ones.
        rgb_energy, audio_energy: E f^2 of a dimension of a frame before clipping.
        least_noise: least standard deviation of a dimension's noise.
        lasting, stay: share of the noise's variance that goes on from second to second, and its correlation from one to the next.
        silent: share of the montages without sound.
        missed: chance that a label that is true is missing; spurious: that a label of the background is given.
        other_rated: chance that a rating is for another label than the focus class.
        rater_error: chance that a rating is flipped.
    """

    seed: int = 1
    num_train_videos: int = 6000
    num_rated_videos: int = 2300
    num_held_out_videos: int = 600
    num_test_videos: int = 1200
    shares: tuple = (0.42, 0.28, 0.08, 0.22)
    num_classes: int = 100
    num_segment_classes: int = 48
    lengths: tuple = (120, 175, 234, 300, 300)
    durations: tuple = (8, 45)
    presence: tuple = (0.4, 0.98)
    concentration: float = 1.0
    second_positive: float = 0.3
    third_source: float = 0.4
    absent: float = 0.1
    neighbours: int = 10
    pool: int = 300
    background: float = 0.35
    background_tells: float = 0.6
    background_only: float = 0.08
    cutaway: float = 0.1
    filler: float = 0.5
    fillers: int = 4
    scene: float = 0.4
    scene_durations: tuple = (2, 12)
    gain: float = 1.15
    rgb_energy: float = 1.02
    audio_energy: float = 2.0
    least_noise: float = 0.5
    lasting: float = 0.36
    stay: float = 0.72
    silent: float = 0.015
    missed: float = 0.33
    spurious: float = 0.4
    other_rated: float = 0.15
    rater_error: float = 0.04

    def num_videos(self, split):
        """Montages of one of SPLITS."""
        return getattr(self, f"num_{split}_videos")


@dataclass(frozen=True, eq=False)
class Sources:
    """Video-level records.

    Attributes:
        ids: list of str; labels: list of int64 arrays, their label ids; means: float32 [n, 1152], rgb then audio.
    """

    ids: list
    labels: list
    means: np.ndarray


@dataclass(frozen=True, eq=False)
class Montage(MadeVideo):
    """A MadeVideo and what it is made of; `topic` is its focus class, `entities` int [T] the source of each second's interval
    (index into `sources`, -1 for none), `variants` the same of what the second shows.

    Attributes:
        sources: int [n], indices of its sources, the fillers last; background: index; filler: bool [T], seconds that are fillers.
    """

    sources: np.ndarray
    background: int
    filler: np.ndarray


def part_of(id, shares):
    """Index into SPLITS of a source, by its id alone."""
    place = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") / 2**64
    return int(np.searchsorted(np.cumsum(shares)[:-1], place * sum(shares), side="right"))


class World:
    """Sources with their parts, classes and neighbours.

    Args:
        settings: Settings.
        sources: Sources.
        segment_label_ids: ids that may be rated.

    Attributes:
        label_ids: int64 [C], the record's label id of each class; the rated classes are those in segment_classes.
        segment_classes: int64 [n].
        has: bool [n, C], the classes of each source; means: float32 [n, 1152]; norms: [n], their lengths.
        parts: int [n]; members: of each part, the sources that have a class; fillers: that have none; with_class: of each part
            and class.
        noise: float32 [1152], its standard deviation; silence: float32 [128].
        presence: [C].
    """

    def __init__(self, settings, sources, segment_label_ids):
        self.settings, self.ids, self.means = settings, sources.ids, sources.means
        self._choose_classes(sources, np.array(sorted(segment_label_ids)))
        self.parts = np.array([part_of(id, settings.shares) for id in sources.ids])
        labelled = self.has.any(axis=1)
        self.members = [np.flatnonzero((self.parts == part) & labelled) for part in range(len(SPLITS))]
        self.fillers = [np.flatnonzero((self.parts == part) & ~labelled) for part in range(len(SPLITS))]
        self._check()
        self.with_class = [[of[self.has[of, c]] for c in range(settings.num_classes)] for of in self.members]
        rng = np.random.default_rng([settings.seed, 0])
        self.presence = np.full(settings.num_classes, np.mean(settings.presence))
        self.presence[self.segment_classes] = rng.permutation(np.linspace(*settings.presence, len(self.segment_classes)))
        self.norms = np.sqrt(np.einsum("nd,nd->n", self.means, self.means))
        signal = np.einsum("nd,nd->d", self.means, self.means) / len(self.means) * settings.gain**2
        energy = np.repeat([settings.rgb_energy, settings.audio_energy], [RGB, AUDIO])
        self.noise = np.sqrt(np.maximum(energy - signal, settings.least_noise**2)).astype(np.float32)
        self.silence = rng.normal(0, settings.audio_energy**0.5, AUDIO).astype(np.float32)

    def _check(self):
        """Raises a UserError where a part has nothing to show, or no fillers."""
        for split, members, fillers in zip(SPLITS, self.members, self.fillers):
            if not len(members) or (self.settings.filler and not len(fillers)):
                raise UserError(
                    f"--data: of its {len(self.ids)} records {len(members)} with and {len(fillers)} without one of the "
                    f"{self.settings.num_classes} classes came to {split}; montages need both. Name a folder with more shards."
                )

    def sharing(self, part, source):
        """Sources of a part that share a class with a source, rising."""
        return np.unique(np.concatenate([self.with_class[part][c] for c in np.flatnonzero(self.has[source])]))

    def _choose_classes(self, sources, ratable):
        s = self.settings
        counts = np.bincount(np.concatenate(sources.labels))
        by_count = np.argsort(-counts, kind="stable")
        rated = by_count[np.isin(by_count, ratable)][: s.num_segment_classes]
        others = by_count[~np.isin(by_count, rated)][: s.num_classes - len(rated)]
        chosen = np.concatenate([rated, others])
        self.label_ids = chosen[np.argsort(-counts[chosen], kind="stable")].astype(np.int64)
        self.segment_classes = np.flatnonzero(np.isin(self.label_ids, rated)).astype(np.int64)
        column = np.full(len(counts), -1)
        column[self.label_ids] = np.arange(len(self.label_ids))
        self.has = np.zeros((len(sources.ids), len(self.label_ids)), bool)
        for row, labels in enumerate(sources.labels):
            columns = column[labels]
            self.has[row, columns[columns >= 0]] = True


def make_montage(world, split, index):
    """The Montage at an index of one of SPLITS; depends on nothing but the world, split and index."""
    s, part = world.settings, SPLITS.index(split)
    rng = np.random.default_rng([s.seed, 1 + part, index])
    length = round(np.interp(rng.random(), (0, 0.25, 0.5, 0.7, 1), s.lengths))
    focus, chosen, positives = _choose_sources(world, rng, part, split != "train")
    background = _background(world, rng, part, chosen)
    count = len(chosen)
    intervals, shown = _timeline(world, rng, length, focus, count, positives)
    chosen = np.concatenate([chosen, rng.choice(world.fillers[part], s.fillers)])
    shown = np.where(rng.random(length) < s.filler, rng.integers(count, len(chosen), length), shown)
    on = np.zeros((length, s.num_classes), bool)
    on[intervals >= 0] = world.has[chosen[intervals[intervals >= 0]]]
    labels = _labels(world, rng, on, focus, background, split != "train")
    frames = _frames(world, rng, part, chosen, background, shown)
    there = segments_there(on)
    ratings = _rate(world, rng, labels, focus, there, length) if split != "train" else []
    first = sum(s.num_videos(other) for other in SPLITS[:part])
    return Montage(video_id(first + index), frames, labels, focus, intervals, shown, there, ratings, chosen, background,
                   shown >= count)  # fmt: skip


def _choose_sources(world, rng, part, rated):
    """The focus class, sources int [n], and how many of them, the first, have the class."""
    s = world.settings
    if rated:
        focus = int(rng.choice(world.segment_classes))
        first = int(rng.choice(world.with_class[part][focus]))
    else:
        first = int(rng.choice(world.members[part]))
        focus = int(rng.choice(np.flatnonzero(world.has[first])))
    absent = rng.random() < s.absent
    positives = [] if absent else [first]
    if not absent and rng.random() < s.second_positive:
        others = world.with_class[part][focus]
        positives += [int(source) for source in rng.choice(others, 1) if source != first]
    alike = _look_alikes(world, rng, part, focus, first, 1 + absent + (rng.random() < s.third_source))
    return focus, np.array(positives + alike), len(positives)


def _look_alikes(world, rng, part, focus, first, count):
    """Sources like `first` without its focus class: of those that share another class with it (of all, where these are too few)
    `pool` are drawn, of them the nearest, and of these any."""
    s = world.settings
    candidates = world.sharing(part, first)
    candidates = candidates[~world.has[candidates, focus]]
    if len(candidates) < s.neighbours:
        candidates = np.setdiff1d(world.members[part], world.with_class[part][focus])
    pool = rng.permutation(candidates)[: s.pool]
    near = world.means[pool] @ world.means[first] / world.norms[pool]
    nearest = pool[np.argsort(-near, kind="stable")[: max(s.neighbours, count)]]
    return [int(source) for source in rng.permutation(nearest)[:count]]


def _background(world, rng, part, chosen):
    tells = rng.random() < world.settings.background_tells
    members = world.sharing(part, chosen[0]) if tells else world.members[part]
    members = members[~np.isin(members, chosen)]
    return int(rng.choice(members if len(members) else world.members[part]))


def _timeline(world, rng, length, focus, count, positives):
    """The source of each second's interval, and what the second shows: int [T] each, -1 for the background alone."""
    s = world.settings
    presence = world.presence[focus]
    presence = rng.beta(s.concentration * presence, s.concentration * (1 - presence))
    intervals, start = np.full(length, -1), 0
    shortest, longest = np.log(s.durations)
    while start < length:
        seconds = slice(start, start + round(np.exp(rng.uniform(shortest, longest))))
        start = seconds.stop
        if rng.random() < s.background_only:
            continue
        if positives and (positives == count or rng.random() < presence):
            intervals[seconds] = rng.integers(positives)
        else:
            intervals[seconds] = rng.integers(positives, count)
    away = rng.random(length) < s.cutaway
    return intervals, np.where(away, rng.integers(-1, count, length), intervals)


def _labels(world, rng, on, focus, background, rated):
    """Labels of a montage, int64 [n], rising."""
    s = world.settings
    labels = {int(c) for c in np.flatnonzero(on.any(axis=0)) if rng.random() >= s.missed}
    labels |= {int(c) for c in np.flatnonzero(world.has[background]) if rng.random() < s.spurious}
    if rated or not labels or not on[:, focus].any():
        labels.add(focus)
    return np.array(sorted(labels), np.int64)


def _scenes(world, rng, part, length):
    """What is beside the source in each second, float32 [T, 1152] of a source's energy."""
    s, members = world.settings, np.concatenate([world.members[part], world.fillers[part]])
    shortest, longest = np.log(s.scene_durations)
    durations = np.round(np.exp(rng.uniform(shortest, longest, length))).astype(int)
    number = np.repeat(np.arange(length), durations)[:length]
    pairs = world.means[rng.choice(members, (number[-1] + 1, 2))]
    return ((pairs[:, 0] - pairs[:, 1]) * np.float32(0.5**0.5))[number]


def _frames(world, rng, part, chosen, background, shown):
    """uint8 [T, 1152]."""
    s, weight, scene = world.settings, np.float32(world.settings.background), np.float32(world.settings.scene)
    means = np.concatenate([world.means[chosen], np.zeros((1, RGB + AUDIO), np.float32)])  # the last: no source
    frames = np.sqrt(1 - scene**2) * means[shown] + scene * _scenes(world, rng, part, len(shown))
    frames = (np.sqrt(1 - weight**2) * frames + weight * world.means[background]) * np.float32(s.gain)
    noise = rng.standard_normal(frames.shape, dtype=np.float32)
    change = np.float32((1 - s.stay**2) ** 0.5)
    noise[1:] *= change
    for t in range(1, len(noise)):
        noise[t] += s.stay * noise[t - 1]
    frames += np.multiply(noise, np.float32(s.lasting**0.5) * world.noise, out=noise)
    rng.standard_normal(dtype=np.float32, out=noise)
    frames += np.multiply(noise, np.float32((1 - s.lasting) ** 0.5) * world.noise, out=noise)
    if rng.random() < s.silent:
        frames[:, RGB:] = world.silence
    return nearest_bytes(frames)


def _rate(world, rng, labels, focus, there, length):
    """Five ratings (start, class, score) of whole segments, by start and class; which segments is left to chance."""
    s = world.settings
    whole = length // SEGMENT_SIZE
    others = [int(c) for c in labels if c in world.segment_classes and c != focus]
    ratings = []
    for segment in rng.choice(whole, RATINGS, replace=False).tolist():
        c = int(rng.choice(others)) if others and rng.random() < s.other_rated else focus
        ratings.append((segment * SEGMENT_SIZE, c, float(there[segment, c] != (rng.random() < s.rater_error))))
    return sorted(ratings)
