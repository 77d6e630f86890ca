"""The best segments of every class, as they come."""

import numpy as np

from yt8m.scoring.topk import TopSegments


class Ranking:
    """The best segments of every class so far, and what they are called; equal scores go by the order of the segments.

    Args:
        num_classes: C.
        max_pred: segments a class.

    Attributes:
        best: TopSegments; a segment's index is its place in the order in which they came.
    """

    def __init__(self, num_classes, max_pred):
        self.best = TopSegments(num_classes, max_pred)
        self._ids, self._starts = [], []

    def __len__(self):
        return len(self._ids)

    def add(self, ids, starts, scores):
        """Adds segments: ids str [n], starts int [n], scores float [n, C]."""
        self.best.update(scores, len(self))
        self._ids += ids.tolist()
        self._starts += starts.tolist()

    def segments(self):
        """What was added: ids str [N], starts int64 [N]."""
        return np.array(self._ids, str), np.array(self._starts, np.int64)

    def names(self):
        """Yields each class's best segments, as arrays of `<id>:<start>`."""
        names = np.array([f"{name}:{start}" for name, start in zip(self._ids, self._starts)], str)
        for index in range(self.best.num_classes):
            yield names[self.chosen(index)]

    def chosen(self, index):
        """The best segments of a class, as places in the order in which they came: int64 [n]."""
        return self.best.top(index)[0]
