"""Tiny native TFRecords for the tests of whatever reads them."""

import numpy as np

from yt8m.readers.records import Segments, Video, encode_video, encode_video_features, write_shard

FEATURE_NAMES, FEATURE_SIZES = ("rgb", "audio"), (16, 8)


def make_video(id, num_frames=20, labels=(0,), ratings=(), features=None, seed=None):
    """A Video with random frames.

    Args:
        id: its name, which also seeds the frames.
        num_frames: seconds.
        labels: label ids.
        ratings: (start time, label id, score) triples.
        features: name -> size; FEATURE_NAMES with FEATURE_SIZES unless given.
        seed: of the frames, instead of the id.
    """
    features = features or dict(zip(FEATURE_NAMES, FEATURE_SIZES))
    rng = np.random.default_rng(list(id.encode()) if seed is None else seed)
    frames = {name: rng.integers(0, 256, (num_frames, size), np.uint8) for name, size in features.items()}
    return Video(id, frames, np.array(labels, np.int64), make_segments(ratings))


def make_segments(ratings):
    """Segments from (start time, label id, score) triples; None from none."""
    if not ratings:
        return None
    starts, labels, scores = (np.array(column) for column in zip(*ratings))
    return Segments(starts.astype(np.int64), starts.astype(np.int64) + 5, labels.astype(np.int64), scores.astype(np.float32))


def write_frame_shards(folder, shards, prefix="validate", id_feature="id"):
    """Writes lists of Videos as folder/validate0000.tfrecord, ...; returns the glob that matches them."""
    for number, videos in enumerate(shards):
        write_shard(folder / f"{prefix}{number:04d}.tfrecord", [encode_video(video, id_feature) for video in videos])
    return str(folder / f"{prefix}*.tfrecord")


def write_video_shards(folder, shards, prefix="validate"):
    """The same for video-level records: lists of (id, labels, {name: float array [size]})."""
    for number, videos in enumerate(shards):
        write_shard(folder / f"{prefix}{number:04d}.tfrecord", [encode_video_features(*video) for video in videos])
    return str(folder / f"{prefix}*.tfrecord")
