"""The N best segments of every class from a stream of scores, exactly and in bounded memory."""

import numpy as np

from yt8m.errors import UserError

_INDEX_LIMIT = 2**32 - 1
_ENTRIES_AT_A_TIME = 1 << 18  # whose temporary arrays stay in a processor's cache


class TopSegments:
    """Keeps, for all classes at once, the `capacity` highest scores and the segments they belong to.

    The result is that of one sort of everything by (falling score, rising segment index), whatever the order and the
    size of the updates. Scores are compared as float32: a float64 score is rounded first. -0.0 equals 0.0.

    One entry is one uint64: the score's bits, arranged to sort like the score, above the complement of the index. So an
    entry costs 8 bytes, ties fall to the lower index, and partitioning needs no second array. A class collects `slack`
    entries beyond its capacity before it is partitioned; then its lowest kept score turns most of what comes away.

    Args:
        num_classes: C.
        capacity: N, segments kept a class.
        slack: more is faster; by default a twentieth of the capacity, at least 1,024. Memory grows with the entries, to at most
            8 * C * (capacity + slack) bytes: 0.84 GB for 1,000 classes and 100,000 segments.
    """

    def __init__(self, num_classes, capacity, slack=None):
        slack = max(capacity // 20, 1024) if slack is None else slack
        if num_classes < 1 or capacity < 1 or slack < 1:
            raise UserError(f"num_classes={num_classes}, capacity={capacity}, slack={slack}: each must be 1 or more.")
        self.num_classes = num_classes
        self.capacity = capacity
        self._slack = slack
        self._entries = [np.zeros(0, np.uint64)] * num_classes  # each of room for `_filled` and some; 0 is below every entry
        self._filled = np.zeros(num_classes, np.int64)
        self._lowest = np.zeros(num_classes, np.uint64)  # an entry must be above it; 0 until a class is full

    def update(self, scores, indices):
        """Adds the scores of n segments.

        Args:
            scores: float [n, C].
            indices: int [n], each segment's index; or one int, the index of the first of n consecutive ones.

        Raises:
            UserError: wrong shapes, a NaN score, or an index outside [0, 2^32 - 1).
        """
        scores = np.asarray(scores)
        if scores.ndim != 2 or scores.shape[1] != self.num_classes:
            raise UserError(f"scores of shape {scores.shape}: expected [segments, {self.num_classes}].")
        indices = _checked_indices(indices, len(scores))
        if scores.size and np.isnan(scores.min()):
            segment = indices[np.isnan(scores).any(axis=1)][0]
            raise UserError(f"a score of segment {segment} is NaN: it cannot be ranked; check the model.")
        for first in range(0, len(scores), self._slack):
            rows = slice(first, first + self._slack)
            step = max(1, _ENTRIES_AT_A_TIME // len(scores[rows]))
            for c in range(0, self.num_classes, step):
                self._add(c, scores[rows, c : c + step].T.astype(np.float32, order="C"), indices[rows])

    def merge(self, other):
        """Adds what another accumulator of the same size has kept; `other` is left as it is.

        The result is exact: what either of them dropped could not be among the best of both.
        """
        if (other.num_classes, other.capacity) != (self.num_classes, self.capacity):
            raise UserError(
                f"merging {other.num_classes} classes x {other.capacity} segments into {self.num_classes} x {self.capacity}: "
                "both must have the same num_classes and capacity."
            )
        for c in range(self.num_classes):
            both = np.concatenate([self._of_class(c), other._of_class(c)])
            self._keep_best(c, both)

    def top(self, class_index):
        """The best segments of one class: (indices int64, scores float32), by falling score, ties by rising index."""
        best = np.sort(self._of_class(class_index))[::-1][: self.capacity]
        return _decode(best)

    def result(self):
        """`top` of every class, as a list. It is as large as the accumulator: take `top` class by class where that matters."""
        return [self.top(c) for c in range(self.num_classes)]

    def _add(self, first, scores, indices):
        """Adds at most `slack` segments to the classes from `first` on; scores float32 [classes, n]."""
        lowest = self._lowest[first : first + len(scores)]
        passed = scores >= _scores_of(lowest)[:, None]  # [classes, n]; all of a class that is not full yet
        counts = np.count_nonzero(passed, axis=1)
        kept = np.flatnonzero(passed)  # far faster than np.nonzero of two dimensions
        columns = kept - np.repeat(np.arange(len(scores)) * scores.shape[1], counts)
        entries = _encode(scores.ravel()[kept], indices[columns])
        ends = np.cumsum(counts)
        for c in np.flatnonzero(counts):
            of_class = entries[ends[c] - counts[c] : ends[c]]
            self._append(first + c, of_class[of_class > lowest[c]])

    def _append(self, c, entries):
        """Adds at most `slack` entries to class c."""
        if self._filled[c] + len(entries) > self.capacity + self._slack:
            self._keep_best(c, self._of_class(c))
        filled = self._filled[c]
        self._make_room(c, filled + len(entries))
        self._entries[c][filled : filled + len(entries)] = entries
        self._filled[c] += len(entries)

    def _of_class(self, c):
        """The entries that class c holds."""
        return self._entries[c][: self._filled[c]]

    def _make_room(self, c, count):
        """Makes the array of class c long enough for `count` entries: twice as long as it was, and beyond half its bound that."""
        old, bound = self._entries[c], self.capacity + self._slack
        if count > len(old):
            length = max(count, 2 * len(old))
            self._entries[c] = np.empty(bound if length > bound // 2 else length, np.uint64)
            self._entries[c][: self._filled[c]] = old[: self._filled[c]]

    def _keep_best(self, c, entries):
        """Makes the `capacity` highest of `entries` what class c holds."""
        if len(entries) > self.capacity:
            entries = np.partition(entries, len(entries) - self.capacity)[-self.capacity :]
        self._make_room(c, len(entries))
        self._entries[c][: len(entries)] = entries
        self._filled[c] = len(entries)
        if len(entries) == self.capacity:
            self._lowest[c] = entries.min()


def _checked_indices(indices, count):
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise UserError(f"segment indices of type {indices.dtype}: expected integers.")
    if indices.ndim == 0:
        indices = int(indices) + np.arange(count)
    if indices.shape != (count,):
        raise UserError(f"{indices.shape} segment indices for {count} rows of scores: expected one a row.")
    if count and (indices.min() < 0 or indices.max() >= _INDEX_LIMIT):
        raise UserError(f"segment indices from {indices.min()} to {indices.max()}: expected 0 to {_INDEX_LIMIT - 1}.")
    return indices


def _encode(scores, indices):
    """Entries that sort by score, then by falling index. float32 [..., n], int [n] -> uint64 [..., n]."""
    bits = (scores + np.float32(0)).view(np.int32)  # + 0 turns -0.0 into 0.0
    # The bits of a float sort like it when positive; of a negative one all are flipped, of a positive one the sign.
    ordered = (bits ^ ((bits >> 31) | np.int32(-(2**31)))).view(np.uint32)
    return (ordered.astype(np.uint64) << np.uint64(32)) | (np.uint64(_INDEX_LIMIT) - indices.astype(np.uint64))


def _scores_of(entries):
    """float32 scores of entries; -inf for an empty one."""
    ordered = (entries >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ordered >> np.uint32(31), ordered ^ np.uint32(2**31), ~ordered)
    return np.where(entries == 0, np.float32(-np.inf), bits.view(np.float32))


def _decode(entries):
    return (np.uint64(_INDEX_LIMIT) - (entries & np.uint64(_INDEX_LIMIT))).astype(np.int64), _scores_of(entries)
