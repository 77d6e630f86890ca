"""Intervals over videos, against resamples that are scored one by one."""

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.metrics.bootstrap import VideoBootstrap, interval
from yt8m.metrics.ranking import average_precision
from yt8m.metrics.segments import segment_metrics_from_pairs

CLASSES = 5


def made(num_videos=40, seed=0):
    """Pairs of videos, whose scores say something; class 4 has no positive."""
    rng = np.random.default_rng(seed)
    videos = np.array([f"v{i:03d}" for i in rng.permutation(np.repeat(np.arange(num_videos), 6))])
    classes = rng.integers(0, CLASSES, len(videos))
    labels = ((rng.random(len(videos)) < 0.4) & (classes < 4)).astype(np.float32)
    return videos, classes, labels, (labels + rng.normal(size=len(videos))).astype(np.float32)


def test_a_resample_is_the_map_of_its_videos():
    videos, classes, labels, scores = made()
    bootstrap = VideoBootstrap(videos, classes, labels, CLASSES, resamples=20, seed=3)
    rng, names = np.random.default_rng(3), np.unique(videos)
    for value in bootstrap.mean_average_precisions(scores):
        draws = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))
        repeated = np.repeat(np.arange(len(videos)), draws[np.searchsorted(names, videos)])
        precisions = [
            average_precision(scores[pairs], labels[pairs], ties="group")
            for c in range(CLASSES)
            if labels[pairs := repeated[classes[repeated] == c]].any()
        ]
        assert value == pytest.approx(np.mean(precisions))


def test_an_interval_holds_the_estimate_and_shrinks_with_more_videos():
    widths = []
    for num_videos in (40, 640):
        videos, classes, labels, scores = made(num_videos)
        estimate = segment_metrics_from_pairs(classes, scores, labels, CLASSES)["map"]
        low, high = interval(estimate, VideoBootstrap(videos, classes, labels, CLASSES, 200).mean_average_precisions(scores))
        assert low < estimate < high
        widths.append(high - low)
    assert 2.5 < widths[0] / widths[1] < 6.5  # a quarter, up to chance


def test_the_interval_covers_as_often_as_it_says():
    truth = np.mean(
        [segment_metrics_from_pairs(c, s, y, CLASSES)["map"] for _, c, y, s in (made(60, seed) for seed in range(300))]
    )
    inside = 0
    for seed in range(100):
        videos, classes, labels, scores = made(60, seed)
        estimate = segment_metrics_from_pairs(classes, scores, labels, CLASSES)["map"]
        low, high = interval(estimate, VideoBootstrap(videos, classes, labels, CLASSES, 200).mean_average_precisions(scores))
        inside += low <= truth <= high
    assert 86 <= inside <= 100


def test_paired_differences_of_near_equals_are_narrow():
    videos, classes, labels, scores = made(100)
    bootstrap = VideoBootstrap(videos, classes, labels, CLASSES, 200)
    first = bootstrap.mean_average_precisions(scores)
    np.testing.assert_array_equal(first, bootstrap.mean_average_precisions(scores))
    second = bootstrap.mean_average_precisions(scores + np.random.default_rng(1).normal(size=len(scores)) * 0.01)
    assert np.std(first - second) < 0.1 * np.std(first)


def test_nothing_to_say():
    assert all(np.isnan(interval(float("nan"), np.full(3, np.nan))))
    with pytest.raises(UserError, match="of 0 pairs"):
        VideoBootstrap([], [], [], CLASSES)
