"""Mean frames of segments, read from shards: of the rated segments, and of any of a store's."""

import os
from typing import NamedTuple

import numpy as np

from yt8m.errors import UserError
from yt8m.metrics.segments import Ratings
from yt8m.progress import track
from yt8m.readers.failures import naming_record
from yt8m.readers.index import open_shard
from yt8m.readers.patterns import match_files
from yt8m.readers.records import decode_context, decode_video
from yt8m.readers.stores import check_basenames
from yt8m.reranking.whole_videos import Asked, joined
from yt8m.segments import SEGMENT_SIZE, mean_features, windows_at, windows_of


class FrameFeatures(NamedTuple):
    """How frames are read: names and sizes of the two features, name of a record's id."""

    names: tuple = ("rgb", "audio")
    sizes: tuple = (1024, 128)
    id_feature: str = "id"


class RatedSegments(NamedTuple):
    """Ratings and the mean frames of their segments, parallel arrays.

    Attributes:
        ids: str [n], of the videos.
        starts: int64 [n], seconds.
        classes: int64 [n], label ids.
        labels: float32 [n], positive where above 0.
        means: float32 [n, D], the features side by side, or [n, D + E] with an embedding behind them.
        windows: (uint8 [n, W, D], real ones int [n]), their frames and some beside them; None: not asked for.
        video_labels: {video: label ids int [k]} of the videos as wholes.
    """

    ids: np.ndarray
    starts: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    means: np.ndarray
    windows: tuple | None = None
    video_labels: dict | None = None

    def ratings(self):
        """The metrics.segments.Ratings, in the same order."""
        names = [f"{video}:{start}" for video, start in zip(self.ids.tolist(), self.starts.tolist())]
        return Ratings(np.array(names), self.classes, self.labels)


class Pairs(NamedTuple):
    """What a pair is beside its features: frames of its segment, and what its class looks like.

    Attributes:
        windows: uint8 [S, W, D], frames of segments; counts: int [S], real ones.
        places: int [n], each pair's segment.
        classes: int [n], 0 to C - 1.
        contrast: float32 [n, D], mean of the class's positive references less that of its negative ones, of other videos.
        related: float32 [n, r], logits of the class and of those that are related to it. Each kind of ranker has the other of the
            two as None.
    """

    windows: np.ndarray
    counts: np.ndarray
    places: np.ndarray
    classes: np.ndarray
    contrast: np.ndarray | None = None
    related: np.ndarray | None = None

    def some(self, chosen):
        """The Pairs of some rows, int [m], with the segments that these need."""
        segments, places = np.unique(self.places[chosen], return_inverse=True)
        return self.rows(chosen)._replace(windows=self.windows[segments], counts=self.counts[segments], places=places)

    def rows(self, chosen):
        """The Pairs of some rows, int [m] or a slice, with all segments."""
        contrast, related = (None if of is None else of[chosen] for of in (self.contrast, self.related))
        return Pairs(self.windows, self.counts, self.places[chosen], self.classes[chosen], contrast, related)


def mean_frames(video, starts, names):
    """Means of a video's segments as features, dequantised: float32 [n, D].

    Args:
        video: readers.records.Video.
        starts: int [n], seconds.
        names: of the features.

    Raises:
        UserError: a segment that begins where the video has ended.
    """
    num_frames = len(video.frames[names[0]])
    outside = [start for start in starts.tolist() if not 0 <= start < num_frames]
    if outside:
        raise UserError(
            f"video {video.id} has {num_frames} frames, none in the segment at {outside[0]} s. Name the shards that were scored."
        )
    means = []
    for start in starts.tolist():
        windows = [video.frames[name][start : start + SEGMENT_SIZE] for name in names]  # uint8 [5 or fewer, size] each
        means.append(np.concatenate([mean_features(window, len(window)) for window in windows]))
    return np.stack(means)


def windows_around(video, starts, names, expansion):
    """Frames of a video's segments and `expansion` more on either side: uint8 [n, 5 + 2 expansion, D], and int [n], real ones.

    Args: as mean_frames'.
    """
    frames = joined(video, names)[None]  # [1, T, D]
    indices, counts = windows_at(starts, np.full(len(starts), frames.shape[1]), expansion)
    return windows_of(frames, np.zeros(len(starts), np.int64), indices, counts), counts


def read_rated(pattern, flag, features, label_ids, expansion=None, embed=None):
    """The RatedSegments of some classes in rated shards with frames.

    Args:
        pattern: shards; flag: what messages call it.
        features: FrameFeatures.
        label_ids: the classes.
        expansion: frames on either side of a segment that `windows` has; None: no windows.
        embed: embedding.SegmentEmbedding, whose embeddings stand behind the means [n, D + E]; None: none do.

    Raises:
        UserError: no file, a damaged shard, records without these frames, or no rating of the classes.
    """
    ids, parts, windows, embedded, video_labels = [], [], [], [], {}
    for path in track(match_files(pattern, flag), "Reading the rated segments", "shards"):
        shard, of_shard = open_shard(path), []
        for number in range(len(shard)):
            with naming_record(path, number):
                context = decode_context(shard.record(number), features.id_feature)
                rated = context.segments
                kept = np.zeros(0, np.int64) if rated is None else np.flatnonzero(np.isin(rated.labels, label_ids))
                if not len(kept):
                    continue
                video = decode_video(shard.record(number), *features)
                starts, places = np.unique(rated.start_times[kept], return_inverse=True)
                means = mean_frames(video, starts, features.names)[places]
                if expansion is not None:
                    windows.append([of[places] for of in windows_around(video, starts, features.names, expansion)])
                if embed:
                    of_shard.append([of[places] for of in windows_around(video, starts, features.names, 0)])
                parts.append((rated.start_times[kept], rated.labels[kept], rated.scores[kept], means))
                ids += [video.id] * len(kept)
                video_labels[video.id] = context.labels
        if of_shard:
            embedded.append(embed(*(np.concatenate(arrays) for arrays in zip(*of_shard))))
    if not parts:
        raise UserError(f"--{flag}='{pattern}': no rating of the {len(label_ids)} classes. Name rated shards that have them.")
    shown = tuple(np.concatenate(arrays) for arrays in zip(*windows)) or None
    *rated, means = (np.concatenate(arrays) for arrays in zip(*parts))
    means = np.concatenate([means, np.concatenate(embedded)], axis=1) if embedded else means
    return RatedSegments(np.array(ids), *rated, means, shown, video_labels)


class ShardFrames:
    """Mean frames of a store's segments, shard by shard.

    Args:
        pattern: the shards that were scored; a store knows them by their basenames.
        features: FrameFeatures.
        shards: basenames of the store's.
        flag: what messages call the pattern.
        embed: as read_rated's.

    Raises:
        UserError: no file, two of one basename, or none for one of the store's shards.
    """

    def __init__(self, pattern, features, shards, flag="data_pattern", embed=None):
        files = match_files(pattern, flag)
        check_basenames(files)
        self._paths, self._name = {os.path.basename(path): path for path in files}, f"--{flag}='{pattern}'"
        missing = [shard for shard in shards if shard not in self._paths]
        if missing:
            raise UserError(
                f"{self._name}: no file {missing[0]}, a shard of the store of scores. Name the shards that were scored."
            )
        self._features, self._embed, self._open = features, embed, (None, None, None)

    def means(self, shard, ids, starts):
        """float32 [n, D] of segments of a shard, or [n, D + E]: ids str [n], starts int [n].

        Raises:
            UserError: a video that is not in the shard, a segment behind its end, or no such frames.
        """
        means = np.zeros((len(ids), sum(self._features.sizes)), np.float32)

        def take(rows, video):
            means[rows] = mean_frames(video, starts[rows], self._features.names)

        self._each_video(shard, ids, take)
        if not self._embed:
            return means
        return np.concatenate([means, self._embed(*self.windows(shard, ids, starts, 0))], axis=1)

    def windows(self, shard, ids, starts, expansion):
        """Frames of segments and beside them, as windows_around: uint8 [n, W, D] and int [n]. Args and raises: as means'."""
        windows = np.zeros((len(ids), SEGMENT_SIZE + 2 * expansion, sum(self._features.sizes)), np.uint8)
        counts = np.zeros(len(ids), np.int32)

        def take(rows, video):
            windows[rows], counts[rows] = windows_around(video, starts[rows], self._features.names, expansion)

        self._each_video(shard, ids, take)
        return windows, counts

    def asked(self, shard, ids, starts, classes):
        """Yields the Asked of segments and classes, a video at a time, by rising id. Args, raises: as means'; classes int [n]."""
        for rows, records, number in self._found(shard, ids):
            with naming_record(shard, number):
                video = decode_video(records.record(number), *self._features)
            yield Asked(video.id, joined(video, self._features.names), starts[rows], classes[rows])

    def _each_video(self, shard, ids, take):
        """Calls take(rows of a video among the ids, the Video) for each video."""
        for rows, records, number in self._found(shard, ids):
            with naming_record(shard, number):
                take(rows, decode_video(records.record(number), *self._features))

    def _found(self, shard, ids):
        """Yields (rows of a video among the ids, the shard's records, number of its record)."""
        if self._open[0] != shard:
            self._open = shard, *self._read(shard)
        _, records, numbers = self._open
        for id in np.unique(ids).tolist():
            if id not in numbers:
                raise UserError(f"{self._name}: video {id} is not in {self._paths[shard]}. Name the shards that were scored.")
            yield np.flatnonzero(ids == id), records, numbers[id]

    def _read(self, shard):
        """A shard's records, and {id: number of its first record}."""
        records, numbers = open_shard(self._paths[shard]), {}
        for number in range(len(records)):
            with naming_record(shard, number):
                numbers.setdefault(decode_context(records.record(number), self._features.id_feature).id, number)
        return records, numbers
