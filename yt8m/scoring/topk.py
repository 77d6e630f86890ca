"""The N best segments of every class from a stream of scores, exactly and in bounded memory."""

import numpy as np

from yt8m.errors import UserError

_INDEX_LIMIT = 2**32 - 1
_MOST = np.uint64(2**64 - 1)  # above every entry
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
        self._kept = [_Kept(capacity, slack) for _ in range(num_classes)]
        self._lowest = np.zeros(num_classes, np.uint64)  # an entry must be above it; 0, below every entry, until a class is full

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
            both = np.concatenate([self._kept[c].entries, other._kept[c].entries])
            self._raise(c, self._kept[c].hold(both))

    def top(self, class_index):
        """The best segments of one class: (indices int64, scores float32), by falling score, ties by rising index."""
        best = np.sort(self._kept[class_index].entries)[::-1][: self.capacity]
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
            self._raise(first + c, self._kept[first + c].add(of_class[of_class > lowest[c]]))

    def _raise(self, c, lowest):
        """Notes the lowest entry that class c keeps; None: as it was."""
        if lowest is not None:
            self._lowest[c] = lowest


class _Kept:
    """The entries of one class, at most `bound` of them, of which the `capacity` highest count.

    Once there were more than `bound`, those below `pivot` are at the front of the array and the others at its back, so that what
    is dropped to make room is looked for at the front alone. The front is sqrt(2 slack / capacity) of all when it is cut (about
    a third), which makes the sum of both works the least, and is cut anew when it is used up.
    """

    def __init__(self, capacity, slack):
        self._capacity, self._bound = capacity, capacity + slack
        self._share = min(int((2 * slack * capacity) ** 0.5), capacity - 1)  # entries of the front when it is cut
        self._array = np.zeros(0, np.uint64)
        self._front, self._back, self._pivot = 0, 0, _MOST

    @property
    def entries(self):
        """All entries, uint64."""
        front = self._array[: self._front]
        return np.concatenate([front, self._array[len(self._array) - self._back :]]) if self._back else front

    @property
    def nbytes(self):
        """Bytes of memory."""
        return self._array.nbytes

    def add(self, entries):
        """Adds at most `slack` entries; returns what no entry that counts is below, or None where it is as before."""
        lowest = self._drop() if self._front + self._back + len(entries) > self._bound else None
        behind = entries >= self._pivot
        high, low = entries[behind], entries[~behind]
        self._make_room(self._front + self._back + len(entries))
        self._array[self._front : self._front + len(low)] = low
        end = len(self._array) - self._back
        self._array[end - len(high) : end] = high
        self._front, self._back = self._front + len(low), self._back + len(high)
        return lowest

    def hold(self, entries):
        """Makes the `capacity` highest of `entries` what is kept; returns the lowest of them, or None where they are fewer."""
        if len(entries) > self._capacity:
            entries = np.partition(entries, len(entries) - self._capacity)[-self._capacity :]
        self._front = self._back = 0  # nothing of the array is needed
        self._make_room(len(entries))
        self._array[: len(entries)] = entries
        self._front, self._pivot = len(entries), _MOST
        return entries.min() if len(entries) == self._capacity else None

    def _drop(self):
        """Leaves the `capacity` highest; returns the lowest of them."""
        excess = self._front + self._back - self._capacity
        if self._back and excess < self._front:
            front = np.partition(self._array[: self._front], excess)[excess:]
        else:
            ordered = np.partition(self.entries, (excess, excess + self._share))[excess:]
            front, back = np.split(ordered, [self._share])
            self._back, self._pivot = len(back), back.min()
            if len(self._array) < self._bound:
                self._array = np.empty(self._bound, np.uint64)
            self._array[self._bound - self._back :] = back
        self._front = len(front)
        self._array[: self._front] = front
        return front.min() if self._front else self._pivot

    def _make_room(self, count):
        """Makes the array long enough for `count` entries: twice as long as it was, and beyond half its bound that."""
        if count > len(self._array):
            length = max(count, 2 * len(self._array))
            array = np.empty(self._bound if length > self._bound // 2 else length, np.uint64)
            array[: self._front] = self._array[: self._front]  # there is no back yet
            self._array = array


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
