"""How the values of a feature lie in [-2, 2], which its bytes can hold."""

import numpy as np

from yt8m.segments import BYTES_PER_UNIT, MAX_VALUE

BEYOND = 0.25  # share of values outside from which it is said; YouTube-8M's audio has .18 to .23
SPREAD = 0.125  # standard deviation below which it is said: four of them take 32 of the 256 bytes


class ValueRange:
    """Statistics of a feature's values as they come.

    Args:
        size: D, values a frame.
    """

    def __init__(self, size):
        self._count, self._outside = 0, 0
        self._sums, self._squares = np.zeros(size), np.zeros(size)
        self._first = None

    def add(self, values):
        """Takes the frames of a video, float [T, D]."""
        values = np.asarray(values, np.float64)
        if self._first is None:
            self._first = values[0].copy()
        centred = values - self._first  # against the loss of digits where a dimension is far from 0
        self._count += len(values)
        self._outside += int((np.abs(values) > MAX_VALUE).sum())
        self._sums += centred.sum(axis=0)
        self._squares += (centred**2).sum(axis=0)

    @property
    def beyond(self):
        """Share of the values outside [-2, 2]."""
        return self._outside / (self._count * len(self._sums))

    @property
    def spread(self):
        """Standard deviation of a value, the median over the dimensions."""
        means = self._sums / self._count
        return float(np.median(np.sqrt(np.maximum(self._squares / self._count - means**2, 0))))

    def warning(self, name):
        """A line that says what bytes lose of the feature of this name, and what mends it; "": not much."""
        mend = f'Give whitening={{"{name}": "fit"}}, which brings each dimension to a standard deviation of 1.'
        if self.beyond > BEYOND:
            return f"warning: {name}: {self.beyond:.0%} of the values are beyond [-2, 2] and are cut to it. {mend}"
        if self.spread < SPREAD:
            used = max(1, round(4 * self.spread * BYTES_PER_UNIT))
            scale = f"a value's standard deviation is {self.spread:.2g}"
            return f"warning: {name}: {scale}, which takes about {used} of the 256 bytes of [-2, 2]. {mend}"
        return ""
