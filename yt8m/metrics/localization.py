"""How well scores over time find where a class is: overlap, pointing, and average precision of intervals."""

from typing import NamedTuple

import numpy as np

from yt8m.errors import UserError
from yt8m.metrics.ranking import mean


class Detection(NamedTuple):
    """An interval that is said to show a class.

    Attributes:
        video: any name or number of its video.
        start, end: seconds.
        score: the higher, the surer.
    """

    video: object
    start: float
    end: float
    score: float


def overlap(predicted, truth):
    """Intersection over union of two sets of seconds, bool [T] each; nan where both are empty."""
    predicted, truth = _same_length(predicted, truth)
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else float("nan")


def mean_overlaps(scores, truths, thresholds):
    """Mean intersection over union of "score >= threshold" with the truth.

    Args:
        scores: list of float [T], of a class in a video a second.
        truths: list of bool [T].
        thresholds: float [K].

    Returns:
        float64 [K], means over the list; nan of an empty list.
    """
    totals = np.zeros(len(thresholds))
    for of_video, truth in zip(scores, truths, strict=True):
        of_video, truth = _same_length(np.asarray(of_video), truth, np.float64)
        order = np.argsort(-of_video, kind="stable")
        said = np.searchsorted(-of_video[order], -np.asarray(thresholds, np.float64), side="right")  # seconds predicted
        right = np.r_[0, np.cumsum(truth[order])][said]
        union = said + np.count_nonzero(truth) - right
        totals += np.divide(right, union, out=np.zeros(len(thresholds)), where=union > 0)
    return totals / len(scores) if len(scores) else np.full(len(thresholds), np.nan)


def pointing_accuracy(scores, truths):
    """Share of the (video, class) pairs whose highest score lies where the class is; of equal scores the share of these that do.

    Args:
        scores: list of float [T].
        truths: list of bool [T].
    """
    hits = []
    for of_video, truth in zip(scores, truths, strict=True):
        of_video, truth = _same_length(np.asarray(of_video), truth, np.float64)
        hits.append(truth[of_video == of_video.max()].mean())
    return mean(hits)


def proposals(scores, thresholds, margin=0.25, overlap_limit=0.5):
    """Intervals that scores over time propose: runs above each threshold, each scored by how much it stands out.

    A run's score is its mean less the mean of the seconds beside it, `margin` of its length on either side. Of runs that
    overlap by more than overlap_limit (intersection over union) the one that stands out most is kept.

    Args:
        scores: float [T].
        thresholds: float [K].

    Returns:
        list of (start, end, score), best first; seconds, the end not included.

    Source: the outer-inner contrast of Shou et al. 2018, "AutoLoc"; several thresholds are ours.
    """
    scores = np.asarray(scores, np.float64)
    sums, runs = np.r_[0, np.cumsum(scores)], set()
    for threshold in thresholds:
        edges = np.flatnonzero(np.diff(np.r_[False, scores >= threshold, False]))
        runs |= {(int(start), int(end)) for start, end in edges.reshape(-1, 2)}
    scored = []
    for start, end in sorted(runs):
        reach = max(1, round(margin * (end - start)))
        first, last = max(0, start - reach), min(len(scores), end + reach)
        inside, around = sums[end] - sums[start], sums[last] - sums[first]
        beside = last - first - (end - start)
        outer = (around - inside) / beside if beside else 0.0
        scored.append((start, end, inside / (end - start) - outer))
    kept = []
    for run in sorted(scored, key=lambda run: -run[2]):
        if all(_interval_overlap(run, other) <= overlap_limit for other in kept):
            kept.append(run)
    return kept


def detection_average_precision(detections, truths, least_overlap):
    """Average precision of intervals of one class, as ActivityNet measures it.

    Detections are taken by falling score. One is right when it overlaps an interval of its video that no earlier detection has
    taken by least_overlap or more (intersection over union); it takes the one that it overlaps most. Precision is interpolated:
    at each recall the highest that is reached at this recall or beyond.

    Args:
        detections: list of Detection, of any videos; equal scores in the order given.
        truths: list of (video, start, end).
        least_overlap: of .3, .5, .7 say.

    Returns:
        float; nan without truths.

    Raises:
        UserError: least_overlap is not above 0.
    Source: compute_average_precision_detection and interpolated_prec_rec of activitynet/ActivityNet, Evaluation.
    """
    if not least_overlap > 0:
        raise UserError(f"least_overlap={least_overlap}: use a number above 0, up to 1.")
    if not truths:
        return float("nan")
    of_video = {}
    for place, (video, start, end) in enumerate(truths):
        of_video.setdefault(video, []).append((start, end, place))
    taken, hits = set(), []
    for detection in sorted(detections, key=lambda detection: -detection.score):
        candidates = [
            (_interval_overlap(detection[1:], other), -place)
            for *other, place in of_video.get(detection.video, ())
            if place not in taken
        ]
        best = max(candidates, default=(0.0, 0))
        hits.append(best[0] >= least_overlap)
        if hits[-1]:
            taken.add(-best[1])
    return _interpolated_precision(np.array(hits, bool), len(truths))


def intervals_of(truth):
    """(start, end) of each run of bool [T], the end not included."""
    edges = np.flatnonzero(np.diff(np.r_[False, np.asarray(truth, bool), False]))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _interpolated_precision(hits, num_truths):
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(precision[hits]) / num_truths)


def _interval_overlap(one, other):
    start, end = max(one[0], other[0]), min(one[1], other[1])
    both = max(0.0, end - start)
    union = (one[1] - one[0]) + (other[1] - other[0]) - both
    return both / union if union else 0.0


def _same_length(scores, truth, dtype=bool):
    scores, truth = np.asarray(scores, dtype), np.asarray(truth, bool)
    if scores.shape != truth.shape or scores.ndim != 1:
        raise UserError(f"scores of shape {scores.shape} and truth of shape {truth.shape}: both must be [seconds].")
    return scores, truth
