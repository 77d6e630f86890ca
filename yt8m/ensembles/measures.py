"""What an ensemble's mean is taken of: probabilities, their logarithms, ranks, or points for ranks."""

import numpy as np

from yt8m.errors import UserError
from yt8m.progress import track
from yt8m.readers.quantiser import HIGHEST

LEAST_PROBABILITY = 1e-7  # what a lower one is taken for in a geometric mean
HALF_RANK = 6.06  # of the hyperbolic points: the 9th place's, for members of an ensemble


class Probabilities:
    """The scores themselves, in units of 1 / unit: integers where they were stored so, whose sums are exact.

    Attributes:
        unit: what a score of 1 is.
    """

    def __init__(self, members):
        scales = [store.config.scale for store in members.stores]
        self.unit = scales[0] if len(set(scales)) == 1 else 1
        self._factors = [self.unit / scale for scale in scales]

    def of(self, k, values, columns):
        """Member k's stored values [n, C] (columns: 0 to C - 1) or [n] (columns int [n]) in these units."""
        return values if self._factors[k] == 1 else values * self._factors[k]

    @staticmethod
    def score(mean):
        """The ensemble's score where its mean is `mean`, float64 [...]."""
        return mean


class LogProbabilities(Probabilities):
    """The logarithms of the scores: their weighted mean is that of a weighted geometric mean, prod p_k^w_k with weights of sum 1.

    A score below 1e-7, a stored 0 say, is taken for 1e-7.

    Source: the ensemble of the third place of 2019 (R. Lin).
    """

    def __init__(self, members):
        super().__init__(members)
        self._unit, self.unit = self.unit, 1

    def of(self, k, values, columns):
        probabilities = np.divide(super().of(k, values, columns), self._unit, dtype=np.float64)
        return np.log(np.maximum(probabilities, LEAST_PROBABILITY))

    @staticmethod
    def score(mean):
        return np.exp(mean)


class Ranks:
    """The rank of a score within its class over all rows, as a share: 0 the best row, -1 the worst, ties their mean.

    So it is (scipy.stats.rankdata - N) / (N - 1). Counting from the best keeps float32 exact where a submission is cut. The
    stored values are few (10,000 of uint16, 15,361 of float16), so a histogram of each class, 40 or 61 MB a member at 1,000
    classes, gives exact ranks in one pass over the stores.

    Attributes:
        unit: what a share of 1 is: twice N - 1, so that half ranks are integers.
    """

    def __init__(self, members):
        num_classes = len(members.label_ids)
        self._levels = [HIGHEST[store.config.dtype] + 1 for store in members.stores]  # values of a member
        counts = [np.zeros(num_classes * levels, np.uint32) for levels in self._levels]
        columns, num_rows = np.arange(num_classes), 0
        for shard in track(members.shards, "Ranking", "shards"):
            for ids, _, values in members.blocks(shard):
                num_rows += len(ids)
                for k, stored in enumerate(values):
                    np.add.at(counts[k], self._places(k, stored, columns).ravel(), np.uint32(1))
        if num_rows >= 2**31:
            raise UserError(f"{num_rows} rows: ranks are for fewer than 2^31. Use --method=mean.")
        self.unit = 2 * max(num_rows - 1, 1)
        self._above = [_twice_the_rows_above(of_member.reshape(num_classes, -1), num_rows) for of_member in counts]

    def of(self, k, values, columns):
        """As Probabilities.of."""
        return np.negative(np.take(self._above[k], self._places(k, values, columns)), dtype=np.float64)

    def _places(self, k, values, columns):
        return columns * self._levels[k] + values.view(np.uint16)

    score = staticmethod(Probabilities.score)


class HyperbolicRanks(Ranks):
    """Points w0 / (w0 + r) for rank r in a class, from 0, of ties the mean: they favour the top of lists, as AP does.

    Args:
        half_rank: w0, the rank that gets half a point.

    Source: the ensemble of the 9th place of 2019.
    """

    def __init__(self, members, half_rank=HALF_RANK):
        super().__init__(members)
        self._half_rank, self.unit = half_rank, 1

    def of(self, k, values, columns):
        return self._half_rank / (self._half_rank - super().of(k, values, columns) / 2)


def average(measure, values, weights, columns):
    """The weighted mean over members.

    Args:
        measure: Probabilities, or another of this file.
        values: K arrays [n, C], or [n].
        weights: float64 [K, C].
        columns: int [C], the classes; or [n], the class of each value.

    Returns:
        float32, as `values`. With whole weights equal sums are equal to the last bit, so that ties stay ties.
    """
    total, term = np.zeros(values[0].shape), np.empty(values[0].shape)
    for k, stored in enumerate(values):
        np.multiply(measure.of(k, stored, columns), weights[k][columns], out=term)
        total += term
    total /= weights.sum(axis=0)[columns] * measure.unit
    return measure.score(total).astype(np.float32)


def _twice_the_rows_above(counts, num_rows):
    """uint32 [C * L]: twice the rows of a higher value, and one less than the rows of this; counts [C, L] by rising value."""
    for of_class in counts:
        not_above = np.cumsum(of_class, dtype=np.int64)
        of_class[:] = np.where(of_class, 2 * (num_rows - not_above) + of_class - 1, 0)
    return counts.ravel()
