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
from yt8m.segments import SEGMENT_SIZE, mean_features


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
        means: float32 [n, D], the features side by side.
    """

    ids: np.ndarray
    starts: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    means: np.ndarray

    def ratings(self):
        """The metrics.segments.Ratings, in the same order."""
        names = [f"{video}:{start}" for video, start in zip(self.ids.tolist(), self.starts.tolist())]
        return Ratings(np.array(names), self.classes, self.labels)


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


def read_rated(pattern, flag, features, label_ids):
    """The RatedSegments of some classes in rated shards with frames.

    Args:
        pattern: shards; flag: what messages call it.
        features: FrameFeatures.
        label_ids: the classes.

    Raises:
        UserError: no file, a damaged shard, records without these frames, or no rating of the classes.
    """
    ids, parts = [], []
    for path in track(match_files(pattern, flag), "Reading the rated segments", "shards"):
        shard = open_shard(path)
        for number in range(len(shard)):
            with naming_record(path, number):
                rated = decode_context(shard.record(number), features.id_feature).segments
                kept = np.zeros(0, np.int64) if rated is None else np.flatnonzero(np.isin(rated.labels, label_ids))
                if not len(kept):
                    continue
                video = decode_video(shard.record(number), *features)
                starts, places = np.unique(rated.start_times[kept], return_inverse=True)
                means = mean_frames(video, starts, features.names)[places]
                parts.append((rated.start_times[kept], rated.labels[kept], rated.scores[kept], means))
                ids += [video.id] * len(kept)
    if not parts:
        raise UserError(f"--{flag}='{pattern}': no rating of the {len(label_ids)} classes. Name rated shards that have them.")
    return RatedSegments(np.array(ids), *(np.concatenate(arrays) for arrays in zip(*parts)))


class ShardFrames:
    """Mean frames of a store's segments, shard by shard.

    Args:
        pattern: the shards that were scored; a store knows them by their basenames.
        features: FrameFeatures.
        shards: basenames of the store's.
        flag: what messages call the pattern.

    Raises:
        UserError: no file, two of one basename, or none for one of the store's shards.
    """

    def __init__(self, pattern, features, shards, flag="data_pattern"):
        files = match_files(pattern, flag)
        check_basenames(files)
        self._paths, self._name = {os.path.basename(path): path for path in files}, f"--{flag}='{pattern}'"
        missing = [shard for shard in shards if shard not in self._paths]
        if missing:
            raise UserError(
                f"{self._name}: no file {missing[0]}, a shard of the store of scores. Name the shards that were scored."
            )
        self._features, self._open = features, (None, None, None)

    def means(self, shard, ids, starts):
        """float32 [n, D] of segments of a shard: ids str [n], starts int [n].

        Raises:
            UserError: a video that is not in the shard, a segment behind its end, or no such frames.
        """
        if self._open[0] != shard:
            self._open = shard, *self._read(shard)
        _, records, numbers = self._open
        means = np.zeros((len(ids), sum(self._features.sizes)), np.float32)
        for id in np.unique(ids).tolist():
            if id not in numbers:
                raise UserError(f"{self._name}: video {id} is not in {self._paths[shard]}. Name the shards that were scored.")
            rows = np.flatnonzero(ids == id)
            with naming_record(shard, numbers[id]):
                video = decode_video(records.record(numbers[id]), *self._features)
                means[rows] = mean_frames(video, starts[rows], self._features.names)
        return means

    def _read(self, shard):
        """A shard's records, and {id: number of its first record}."""
        records, numbers = open_shard(self._paths[shard]), {}
        for number in range(len(records)):
            with naming_record(shard, number):
                numbers.setdefault(decode_context(records.record(number), self._features.id_feature).id, number)
        return records, numbers
