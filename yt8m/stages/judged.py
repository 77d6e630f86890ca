"""How good a model is, and how far that could be from what it is: metrics of its pairs with intervals over videos."""

import dataclasses

import numpy as np

from yt8m.metrics.bootstrap import RESAMPLES, Interval, VideoBootstrap, interval
from yt8m.metrics.segments import segment_metrics_from_pairs
from yt8m.stages.scored import scored_pairs


@dataclasses.dataclass(frozen=True)
class Judged:
    """A model on one evaluation set.

    Attributes:
        metrics: as segment_metrics_from_pairs gives them: map, auc, chance, num_pairs, class_average_precisions [C], ...
        resampled: float64 [resamples], MAP of each resample of the videos.
        interval: of MAP.
        num_videos: how many.
        segments: rated segments were judged, else whole videos.
    """

    metrics: dict
    resampled: np.ndarray
    interval: Interval
    num_videos: int
    segments: bool


def judge(trained, pattern, segments=True, batch_size=128, resamples=RESAMPLES):
    """A model's ScoredPairs, in their order, and its Judged.

    Args:
        trained: restore.Trained.
        pattern: shards, rated ones of segments.
        segments: judge rated segments, else whole videos.
        batch_size: rows at a time.
        resamples: of the videos.

    Raises:
        UserError: as scored.scored_pairs.
    """
    pairs = scored_pairs(trained.model, trained.config, pattern, batch_size, segments).in_order()
    return pairs, judge_pairs(pairs, trained.config.num_outputs, segments, resamples)


def judge_pairs(pairs, num_classes, segments=True, resamples=RESAMPLES):
    """The Judged of ScoredPairs; models whose pairs are of the same rows are judged by the same resamples."""
    metrics = segment_metrics_from_pairs(pairs.classes, pairs.scores, pairs.labels, num_classes)
    bootstrap = VideoBootstrap(pairs.videos, pairs.classes, pairs.labels, num_classes, resamples)
    resampled = bootstrap.mean_average_precisions(pairs.scores)
    return Judged(metrics, resampled, interval(metrics["map"], resampled), bootstrap.num_videos, segments)
