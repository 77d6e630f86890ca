"""The score from which on a class is best said to be there."""

from typing import NamedTuple

import numpy as np


class Threshold(NamedTuple):
    """The best threshold of a class.

    Attributes:
        high: predictions of this score or more count as positive.
        f1: F1 with it.
        positives, rated: how many pairs it comes from.
    """

    high: float
    f1: float
    positives: int
    rated: int


def best_f1_thresholds(classes, scores, labels):
    """The threshold of each class with the highest F1 over its rated pairs; of several, the highest threshold.

    Args:
        classes: int [n], of each pair.
        scores: float [n].
        labels: [n], positive where above 0.

    Returns:
        {class: Threshold}, classes in order; those without a positive have none. A threshold is one of the class's scores.
    """
    classes, scores, labels = np.asarray(classes), np.asarray(scores, np.float64), np.asarray(labels) > 0
    order = np.lexsort((-scores, classes))
    best = {}
    for pairs in np.split(order, np.flatnonzero(np.diff(classes[order])) + 1):
        positives = int(labels[pairs].sum())
        if not positives:
            continue
        hits, said = np.cumsum(labels[pairs]), np.arange(1, len(pairs) + 1)
        f1 = 2 * hits / (said + positives)
        last = np.r_[np.diff(scores[pairs]) != 0, True]  # of equal scores all are said to be positive, or none
        at = int(np.argmax(np.where(last, f1, -1.0)))
        best[int(classes[pairs[0]])] = Threshold(float(scores[pairs[at]]), float(f1[at]), positives, len(pairs))
    return best
