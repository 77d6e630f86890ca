"""Overlap, pointing and intervals' average precision against values worked out by hand."""

import math

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.metrics import localization
from yt8m.metrics.localization import Detection

TRUTH = np.array([0, 1, 1, 1, 0, 0, 0, 0], bool)


def test_overlap_is_intersection_over_union():
    assert localization.overlap([0, 0, 1, 1, 1, 0, 0, 0], TRUTH) == 2 / 4
    assert localization.overlap(TRUTH, TRUTH) == 1
    assert math.isnan(localization.overlap(np.zeros(8), np.zeros(8)))


def test_mean_overlaps_are_those_of_each_threshold():
    rng = np.random.default_rng(0)
    scores = [rng.integers(0, 5, 30) / 4 for _ in range(7)]
    truths = [rng.random(30) < 0.4 for _ in scores]
    thresholds = [0.0, 0.25, 0.3, 0.75, 1.0]
    expected = [np.mean([localization.overlap(s >= t, y) for s, y in zip(scores, truths)]) for t in thresholds]
    np.testing.assert_allclose(localization.mean_overlaps(scores, truths, thresholds), expected)


def test_nothing_predicted_and_nothing_there_overlaps_by_nothing():
    assert localization.mean_overlaps([np.zeros(3)], [np.zeros(3, bool)], [0.5]).tolist() == [0.0]


def test_pointing_counts_the_highest_second_and_shares_ties():
    assert localization.pointing_accuracy([[0, 0.9, 0.3, 0, 0, 0, 0, 0], [0.5, 0.1, 0, 0, 0, 0, 0, 0]], [TRUTH, TRUTH]) == 0.5
    assert localization.pointing_accuracy([np.ones(8)], [TRUTH]) == 3 / 8


def test_a_proposal_stands_out_by_its_mean_over_its_surroundings():
    scores = [0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.3, 0.1]
    best = localization.proposals(scores, [0.5])
    assert [(start, end) for start, end, _ in best] == [(2, 6)]
    assert best[0][2] == pytest.approx(0.9 - (0.1 + 0.3) / 2)  # a second on either side: a quarter of 4


def test_of_overlapping_proposals_the_one_that_stands_out_is_kept():
    scores = [0.1, 0.1, 0.6, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1]
    assert [(start, end) for start, end, _ in localization.proposals(scores, [0.5, 0.8])] == [(2, 7)]


def test_average_precision_of_intervals_by_hand():
    truths = [("a", 0, 10), ("a", 20, 30), ("b", 0, 10)]
    detections = [
        Detection("a", 0, 10, 0.9),  # right
        Detection("a", 1, 10, 0.8),  # that one is taken, and (20, 30) is elsewhere: wrong
        Detection("b", 5, 15, 0.7),  # overlap 5 / 15: right at .3, wrong at .5
        Detection("a", 22, 30, 0.6),  # overlap 8 / 10: right
        Detection("c", 0, 10, 0.5),  # a video without the class: wrong
    ]
    # hits 1 0 1 1 0: precisions 1, 1/2, 2/3, 3/4; interpolated at the hits: 1, 3/4, 3/4
    assert localization.detection_average_precision(detections, truths, 0.3) == pytest.approx((1 + 0.75 + 0.75) / 3)
    # hits 1 0 0 1 0: precisions at the hits 1, 1/2
    assert localization.detection_average_precision(detections, truths, 0.5) == pytest.approx((1 + 0.5) / 3)
    assert localization.detection_average_precision([], truths, 0.5) == 0
    assert math.isnan(localization.detection_average_precision(detections, [], 0.5))


def test_a_detection_takes_the_interval_that_it_overlaps_most():
    truths = [("a", 0, 10), ("a", 4, 12)]
    detections = [Detection("a", 4, 12, 0.9), Detection("a", 0, 10, 0.8)]
    assert localization.detection_average_precision(detections, truths, 0.3) == 1


def test_intervals_of_a_truth():
    assert localization.intervals_of([1, 1, 0, 1]) == [(0, 2), (3, 4)]
    assert localization.intervals_of([0, 0]) == []


def test_bad_arguments_are_refused():
    with pytest.raises(UserError, match=r"shape \(3,\)"):
        localization.overlap(np.zeros(3), np.zeros(4))
    with pytest.raises(UserError, match="least_overlap=0"):
        localization.detection_average_precision([], [("a", 0, 1)], 0)
