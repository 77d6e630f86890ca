"""Whole videos of rated shards, and which of their frames are rated for which class; frames are read when they are asked for."""

from typing import NamedTuple

import numpy as np

from yt8m.errors import UserError
from yt8m.progress import track
from yt8m.readers.failures import naming_record
from yt8m.readers.index import open_shard
from yt8m.readers.patterns import match_files
from yt8m.readers.records import decode_context, decode_video


class Asked(NamedTuple):
    """A video and what is asked of it.

    Attributes:
        id: of the video.
        frames: uint8 [T, D], the features side by side.
        starts: int [m], seconds; classes: int [m], 0 to C - 1: segments and classes.
    """

    id: str
    frames: np.ndarray
    starts: np.ndarray
    classes: np.ndarray


class RatedVideo(NamedTuple):
    """Where a video lies, and its ratings: path, number of the record; starts, classes (0 to C - 1) and labels, [m] each."""

    path: str
    number: int
    id: str
    starts: np.ndarray
    classes: np.ndarray
    labels: np.ndarray


class RatedVideos:
    """The videos of rated shards that have a rating of some classes, in the order of the shards.

    Args:
        pattern: shards; flag: what messages call it.
        features: frames.FrameFeatures.
        label_ids: the classes.

    Attributes:
        videos: RatedVideo each; kept in memory are the ratings.

    Raises:
        UserError: no file, a damaged shard, or no rating of the classes.
    """

    def __init__(self, pattern, flag, features, label_ids):
        self.videos, self._features, place = [], features, {label: c for c, label in enumerate(label_ids)}
        for path in track(match_files(pattern, flag), "Reading the ratings of whole videos", "shards"):
            shard = open_shard(path)
            for number in range(len(shard)):
                with naming_record(path, number):
                    context = decode_context(shard.record(number), features.id_feature)
                rated = context.segments
                kept = np.zeros(0, np.int64) if rated is None else np.flatnonzero(np.isin(rated.labels, label_ids))
                if len(kept):
                    classes = np.array([place[label] for label in rated.labels[kept].tolist()], np.int64)
                    ratings = rated.start_times[kept], classes, rated.scores[kept]
                    self.videos.append(RatedVideo(path, number, context.id, *ratings))
        if not self.videos:
            raise UserError(f"--{flag}='{pattern}': no rating of the {len(label_ids)} classes. Name rated shards that have them.")

    def frames(self, video):
        """A RatedVideo's frames, uint8 [T, D], from the file.

        Raises:
            UserError: a record without these frames.
        """
        with naming_record(video.path, video.number):
            return joined(decode_video(open_shard(video.path).record(video.number), *self._features), self._features.names)

    def asked(self):
        """Yields the Asked of each video's ratings: together they are in the order of frames.read_rated."""
        for video in self.videos:
            yield Asked(video.id, self.frames(video), video.starts, video.classes)


def joined(video, names):
    """A readers.records.Video's frames, the features side by side: uint8 [T, D]."""
    return np.concatenate([video.frames[name] for name in names], axis=1)
