"""The labels of a batch's rows, as columns of the model."""

import numpy as np

from yt8m.readers.labels import multi_hot
from yt8m.readers.memory import aligned_zeros


def hot_labels(spec, columns):
    """float32 [B, C], 1 at each row's columns: a list of B integer arrays, -1 marks nothing."""
    return multi_hot(columns, spec.label_map.size, out=aligned_zeros((len(columns), spec.label_map.size), np.float32))


def labels_of_videos(spec, videos):
    """`labels` float32 [B, C] of whole videos."""
    return {"labels": hot_labels(spec, [spec.label_map.columns(video.labels) for video in videos])}


def labels_of_segments(spec, videos, starts):
    """`labels` and, unless all are 1, `label_weights` float32 [N, C] of segments; `video_labels` [N, C] if asked for.

    Args:
        spec: DataSpec of segments.
        videos: N records.Video, that of each segment.
        starts: start times int64 [N].
    """
    scores = aligned_zeros((len(videos), spec.label_map.size), np.float32)
    weights = None if spec.dense else aligned_zeros(scores.shape, np.float32)
    for row, (video, start) in enumerate(zip(videos, starts)):
        if video.segments is None:
            continue
        here = video.segments.start_times == start
        columns = spec.label_map.columns(video.segments.labels[here])
        known = columns >= 0
        scores[row, columns[known]] = video.segments.scores[here][known]
        if weights is not None:
            weights[row, columns[known]] = 1
    arrays = {"labels": scores} if weights is None else {"labels": scores, "label_weights": weights}
    if spec.video_labels:
        arrays["video_labels"] = hot_labels(spec, [spec.label_map.columns(_label_ids(spec, video)) for video in videos])
    return arrays


def _label_ids(spec, video):
    """The label ids of a video, with spec.positive_ratings those of its positive segments as well."""
    if not spec.positive_ratings or video.segments is None:
        return video.labels
    return np.union1d(video.labels, video.segments.labels[video.segments.scores > 0])
