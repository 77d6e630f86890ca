"""The labels of a batch's rows, as columns of the model."""

import numpy as np

from yt8m.readers import pairs
from yt8m.readers.labels import multi_hot
from yt8m.readers.memory import aligned_zeros


def hot_labels(spec, columns):
    """float32 [B, C], 1 at each row's columns: a list of B integer arrays, -1 marks nothing."""
    return multi_hot(columns, spec.label_map.size, out=aligned_zeros((len(columns), spec.label_map.size), np.float32))


def labels_of_videos(spec, videos):
    """`labels` float32 [B, C] of whole videos."""
    return {"labels": hot_labels(spec, [spec.label_map.columns(video.labels) for video in videos])}


def labels_of_segments(spec, videos, starts):
    """`labels` and `label_weights` float32 [N, C] of segments, where all are annotated their pairs; `video_labels` if asked for.

    Args:
        spec: DataSpec of segments.
        videos: N records.Video, that of each segment.
        starts: start times int64 [N].
    """
    known = [_known(spec, video.segments, start) for video, start in zip(videos, starts)]
    if spec.dense:
        arrays = pairs.joined(*zip(*known)) if known else pairs.joined((), ())
    else:
        labels, weights = (aligned_zeros((len(videos), spec.label_map.size), np.float32) for _ in range(2))
        for row, (columns, scores) in enumerate(known):
            labels[row, columns], weights[row, columns] = scores, 1
        arrays = {"labels": labels, "label_weights": weights}
    if spec.video_labels:
        arrays["video_labels"] = hot_labels(spec, [spec.label_map.columns(_label_ids(spec, video)) for video in videos])
    return arrays


def _known(spec, segments, start):
    """(columns int64 [n], scores float32 [n]) of the labels that are known of the segment at `start`; `segments` may be None."""
    if segments is None:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    here = segments.start_times == start
    columns = spec.label_map.columns(segments.labels[here])
    return columns[columns >= 0], segments.scores[here][columns >= 0]


def _label_ids(spec, video):
    """The label ids of a video, with spec.positive_ratings those of its positive segments as well."""
    if not spec.positive_ratings or video.segments is None:
        return video.labels
    return np.union1d(video.labels, video.segments.labels[video.segments.scores > 0])
