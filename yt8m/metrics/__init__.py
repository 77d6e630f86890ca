"""Metrics of videos and of rated segments: pure numpy functions and one accumulator."""

from yt8m.metrics.ranking import (
    auc,
    average_precision,
    class_average_precisions,
    global_average_precision,
    hit_at_one,
    mean_average_precision,
    perr,
    precision_recall,
    top_k_classes,
)
from yt8m.metrics.segments import (
    Ratings,
    SegmentPrecisions,
    segment_average_precisions,
    segment_mean_average_precision,
    segment_metrics_from_pairs,
    segment_metrics_from_scores,
)
from yt8m.metrics.videos import VideoMetrics

__all__ = [
    "Ratings",
    "SegmentPrecisions",
    "VideoMetrics",
    "auc",
    "average_precision",
    "class_average_precisions",
    "global_average_precision",
    "hit_at_one",
    "mean_average_precision",
    "perr",
    "precision_recall",
    "segment_average_precisions",
    "segment_mean_average_precision",
    "segment_metrics_from_pairs",
    "segment_metrics_from_scores",
    "top_k_classes",
]
