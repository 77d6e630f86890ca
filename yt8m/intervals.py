"""From a class's scores to the intervals in which it is there; NumPy alone."""

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A stretch of a video in which a class is there.

    Attributes:
        start, end: seconds.
        score: mean of the scores inside, those of joined gaps with them.
        peak: the highest of them.
    """

    start: float
    end: float
    score: float
    peak: float


def intervals(scores, stride, duration, high=0.5, low=0.35, merge_gap=5.0, min_length=5.0):
    """The intervals of a class, by hysteresis.

    A run of scores that are `low` or more is an interval where one of them is `high` or more: it opens where the score is high,
    and goes on, forwards and backwards, while it is not below `low`. Then intervals are joined over gaps of merge_gap or less,
    those shorter than min_length go, and the last is cut at the video's end. So intervals never touch.

    Args:
        scores: float [n], one for each `stride` seconds from 0 on.
        stride: seconds.
        duration: of the video, seconds; what begins at it or later is left out.
        high, low: of the scores.
        merge_gap, min_length: seconds.

    Returns:
        list of Interval, in the order of time.
    """
    scores = np.asarray(scores, np.float64)
    edges = np.flatnonzero(np.diff(np.r_[False, scores >= low, False]))
    joined = []
    for begin, end in edges.reshape(-1, 2):
        if scores[begin:end].max() < high:
            continue
        if joined and (begin - joined[-1][1]) * stride <= merge_gap:
            begin = joined.pop()[0]
        joined.append((begin, end))
    return [
        Interval(
            float(begin * stride),
            float(min(end * stride, duration)),
            float(scores[begin:end].mean()),
            float(scores[begin:end].max()),
        )
        for begin, end in joined
        if (end - begin) * stride >= min_length and begin * stride < duration
    ]
