"""The rated montages once more: each whole segment rated for each class that the five were rated for. Raters err as often."""

import dataclasses
import glob
import os

import montage_files
import numpy as np
import tensorflow as tf

from yt8m.files import replacing_folder
from yt8m.readers.records import Segments, decode_video, encode_video, write_shard
from yt8m.sample.generator import AUDIO, RGB
from yt8m.segments import SEGMENT_SIZE

_FOLDER = "segments/every_segment"


def ensure_every_segment_rated(made):
    """Pattern of shards of the rated montages (montage_files.Made) with every whole segment rated; written on first use."""
    folder = os.path.join(made.folder, _FOLDER)
    if not os.path.isdir(folder):
        truth, settings = made.truth(), montage_files.settings_of(made)
        with replacing_folder(folder) as unfinished:
            for shard, path in enumerate(sorted(glob.glob(made.rated_pattern))):
                rng = np.random.default_rng([settings["seed"], 100, shard])
                videos = [
                    decode_video(record.numpy(), ("rgb", "audio"), (RGB, AUDIO)) for record in tf.data.TFRecordDataset(path)
                ]
                rated = [
                    _rated(video, truth[video.id]["there"], made.segment_classes, settings["rater_error"], rng)
                    for video in videos
                ]
                write_shard(os.path.join(unfinished, os.path.basename(path)), map(encode_video, rated))
    return os.path.join(folder, os.path.basename(made.rated_pattern))


def _rated(video, there, segment_classes, rater_error, rng):
    """A Video with each whole segment rated for each class that it has ratings of, with errors."""
    classes = np.unique(video.segments.labels)
    columns = np.searchsorted(segment_classes, classes)
    count = len(video.frames["rgb"]) // SEGMENT_SIZE
    starts = np.repeat(np.arange(count) * SEGMENT_SIZE, len(classes))
    scores = there[:count][:, columns].astype(bool).ravel()
    scores ^= rng.random(scores.shape) < rater_error
    segments = Segments(starts, starts + SEGMENT_SIZE, np.tile(classes, count), scores.astype(np.float32))
    return dataclasses.replace(video, segments=segments)
