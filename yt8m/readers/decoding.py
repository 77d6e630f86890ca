"""References to rows -> the arrays of a batch."""

import dataclasses

import numpy as np
import tensorflow as tf

from yt8m.readers import records
from yt8m.readers.annotations import all_starts, annotated_segments, annotated_starts, starts_inside
from yt8m.readers.failures import naming_record
from yt8m.readers.index import open_shard
from yt8m.readers.memory import aligned_zeros
from yt8m.readers.row_labels import hot_labels, labels_of_segments, labels_of_videos
from yt8m.readers.videos import Videos, VideosOfSegments
from yt8m.readers.windows import Windows
from yt8m.segments import mean_features


def decoder(spec, files, keep=False):
    """Function of references int64 [B, 3] (readers/rows.py) that gives the arrays of a batch by name, as
    batches.training_batches has them, without those of teachers and weights of 1; raises a UserError that names a wrong record.

    Args:
        spec: DataSpec.
        files: paths of the shards.
        keep: the rows are read more than once.
    """
    if spec.segment_labels and not spec.by_video:
        return Windows(spec, files, keep).batch
    kind = VideosOfSegments if spec.by_video else Videos
    return kind(spec, files, lambda rows: _decoded(spec, files, rows)).batch


def _decoded(spec, files, rows):
    if not spec.frame_features:
        parsed = _parsed_in_bulk(spec, files, rows)
        return _video_features(spec, _videos(spec, files, rows)) if parsed is None else parsed
    videos = _videos(spec, files, rows)
    if spec.by_video:
        return _by_video(spec, videos)
    windows = [_features(spec, video, slice(spec.max_frames)) for video in videos]
    return {**_ids(videos), **_frames_or_means(spec, windows), **labels_of_videos(spec, videos)}


def _parsed_in_bulk(spec, files, rows):
    """Video-level rows through TensorFlow's own batch parser, or None where one of them is not as it should be."""
    serialized = [open_shard(files[shard]).record(number) for shard, number, _ in rows]
    wanted = {name: tf.io.FixedLenFeature([size], tf.float32) for name, size in zip(spec.feature_names, spec.feature_sizes)}
    wanted |= {spec.id_feature: tf.io.FixedLenFeature([], tf.string), "labels": tf.io.RaggedFeature(tf.int64)}
    try:
        with tf.device("CPU"):
            parsed = tf.io.parse_example(tf.constant([bytes(record) for record in serialized], tf.string), wanted)
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # TensorFlow's message may quote the record, which is no text
        return None
    labels = parsed["labels"].values.numpy()
    if len(labels) and not (labels.min() >= 0 and labels.max() < spec.num_classes):
        return None
    labels = np.split(spec.label_map.columns(labels), parsed["labels"].row_splits.numpy()[1:-1])
    features = np.concatenate([parsed[name].numpy() for name in spec.feature_names], axis=1)
    if not np.isfinite(features).all() or not all(map(records.is_text, parsed[spec.id_feature].numpy())):
        return None
    return {"ids": parsed[spec.id_feature].numpy(), "features": features, "labels": hot_labels(spec, labels)}


def _videos(spec, files, rows):
    """The Video (or VideoFeatures) of each row; consecutive segments of a video share one."""
    videos, last = [], None
    for shard, number, _ in rows:
        if last != (shard, number):
            path = files[shard]
            record = open_shard(path).record(number)
            with naming_record(path, number):
                video = _decode(spec, record)
            if spec.segment_labels and spec.annotations:
                video = dataclasses.replace(video, segments=annotated_segments(spec, path, number, video.segments))
            last = shard, number
        videos.append(video)
    return videos


def _decode(spec, record):
    decode = records.decode_video if spec.frame_features else records.decode_video_features
    video = decode(record, spec.feature_names, spec.feature_sizes, spec.id_feature)
    records.check_labels(video.labels, spec.num_classes)
    return video


def _video_features(spec, videos):
    """The arrays of video-level records."""
    features = np.zeros((len(videos), sum(spec.feature_sizes)), np.float32)
    for row, video in zip(features, videos):
        np.concatenate([video.features[name] for name in spec.feature_names], out=row)
    return {**_ids(videos), "features": features, **labels_of_videos(spec, videos)}


def _by_video(spec, videos):
    """The arrays of whole videos and of all their segments."""
    rows, starts = [], []
    for row, video in enumerate(videos):
        length = len(next(iter(video.frames.values())))
        if spec.all_segments:
            inside = all_starts(spec, length)
        else:
            inside = starts_inside(spec, annotated_starts(spec, video.segments), length)
        rows += [row] * len(inside)
        starts += inside.tolist()
    of_rows = [videos[row] for row in rows]
    whole = [_features(spec, video, slice(spec.max_frames)) for video in videos]
    frames = _stacked(spec, whole, spec.video_length)
    if spec.context:
        windows = [_window(spec, video, start) for video, start in zip(of_rows, starts)]
        context = {f"context_{key}": value for key, value in frames.items()}
        frames = {**_stacked(spec, windows, spec.num_frames), **context}
    return {
        **_ids(videos),
        **frames,
        "segment_rows": np.array(rows, np.int32),
        "start_times": np.array(starts, np.int32),
        **labels_of_segments(spec, of_rows, np.array(starts, np.int64)),
    }


def _ids(videos):
    return {"ids": np.array([video.id.encode() for video in videos], object)}


def _window(spec, video, start):
    """The features of a segment's frames and of those around it, as _features'."""
    first = max(start - spec.segment_expansion, 0)
    return _features(spec, video, slice(first, start + spec.segment_size + spec.segment_expansion))


def _features(spec, video, frames):
    """The feature arrays [n, size] of a slice of frames, in the order of feature_names: views, no copy."""
    return [video.frames[name][frames] for name in spec.feature_names]


def _frames_or_means(spec, windows):
    return _stacked(spec, windows, spec.num_frames) if spec.gives_frames else {"features": _frame_means(spec, windows)}


def _stacked(spec, windows, length):
    """`frames` uint8 [B, T, D], zero past each row's `num_frames` int32 [B]; T = length, None: the longest's."""
    num_frames = np.array([len(window[0]) for window in windows], np.int32)
    longest = length or num_frames.max(initial=0)
    frames = aligned_zeros((len(windows), int(longest), sum(spec.feature_sizes)), np.uint8)
    for row, window in zip(frames, windows):
        at = 0
        for feature in window:
            row[: len(feature), at : at + feature.shape[1]] = feature
            at += feature.shape[1]
    return {"frames": frames, "num_frames": num_frames}


def _frame_means(spec, windows):
    """float32 [B, D]: means over the real frames, as segments.mean_features'."""
    means = np.zeros((len(windows), sum(spec.feature_sizes)), np.float32)
    for row, window in zip(means, windows):
        row[:] = np.concatenate([mean_features(feature, len(feature)) for feature in window])
    return means
