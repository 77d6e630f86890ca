"""How far MAP could be from what it is, had other videos been rated: a bootstrap over videos."""

from typing import NamedTuple

import numpy as np

from yt8m.errors import UserError

RESAMPLES, LEVEL = 1000, 0.95


class Interval(NamedTuple):
    """An interval around an estimate: low and high, nan where nothing can be said."""

    low: float
    high: float


class VideoBootstrap:
    """Resamples of the videos that scored pairs are of, the same for everything that is scored on these pairs.

    A resample draws as many videos as there are, with repetition, and takes each with all its pairs: the pairs of a video are not
    independent. What is compared by the same resamples is compared pair by pair (a paired bootstrap).

    Args:
        videos: [n], what tells the video of each pair.
        classes: int [n], 0 to num_classes - 1.
        labels: [n], positive where above 0.
        num_classes: C.
        resamples: how many.
        seed: of the draws.

    Raises:
        UserError: no pair, or fewer than 1 resample.

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", sections 8.3 and 10.
    """

    def __init__(self, videos, classes, labels, num_classes, resamples=RESAMPLES, seed=1):
        if resamples < 1 or not len(classes):
            raise UserError(f"resamples={resamples} of {len(classes)} pairs: use 1 or more of both.")
        self.num_videos = len(names := np.unique(videos))
        self._videos = np.searchsorted(names, videos)
        self._classes, self._labels = np.asarray(classes), np.asarray(labels) > 0
        self._num_classes, self._resamples, self._seed = num_classes, resamples, seed

    def mean_average_precisions(self, scores):
        """MAP of each resample.

        A pair that is drawn w times counts as w pairs of equal scores, which share a rank. Classes without a positive in a
        resample do not take part in its mean.

        Args:
            scores: [n], of the pairs; equal scores of a class rank in the order given.

        Returns:
            float64 [resamples].
        """
        order = np.lexsort((-np.asarray(scores), self._classes))
        videos, labels, classes = self._videos[order], self._labels[order], self._classes[order]
        begins = np.r_[0, np.flatnonzero(np.diff(classes)) + 1]
        sizes = np.diff(np.r_[begins, len(classes)])
        rng, means = np.random.default_rng(self._seed), np.empty(self._resamples)
        for resample in range(self._resamples):
            draws = np.bincount(rng.integers(0, self.num_videos, self.num_videos), minlength=self.num_videos)
            weights = draws[videos].astype(np.float64)
            positive = weights * labels
            above, right = (_within_class(values, begins, sizes) for values in (weights, positive))
            precisions = np.divide(right, above, out=np.zeros_like(right), where=above > 0)
            sums, totals = (np.add.reduceat(values, begins) for values in (positive * precisions, positive))
            means[resample] = np.mean(sums[totals > 0] / totals[totals > 0]) if (totals > 0).any() else np.nan
        return means


def interval(estimate, resampled, level=LEVEL):
    """The interval of an estimate by its values on resamples, moved by their bias.

    On resamples MAP is a little higher than on the videos: a pair that is drawn twice ranks beside itself. So the percentiles
    are moved by the difference of their mean and the estimate.

    Args:
        estimate: of all videos.
        resampled: float [resamples], e.g. VideoBootstrap's, or the difference of two of these.
        level: share of the resamples inside.
    """
    known = np.asarray(resampled)[np.isfinite(resampled)]
    if not len(known) or not np.isfinite(estimate):
        return Interval(float("nan"), float("nan"))
    low, high = np.percentile(known, [50 * (1 - level), 50 * (1 + level)]) - (known.mean() - estimate)
    return Interval(float(low), float(high))


def _within_class(values, begins, sizes):
    """Cumulative sums that begin anew at each of `begins`."""
    sums = np.cumsum(values)
    before = np.r_[0.0, sums[begins[1:] - 1]]
    return sums - np.repeat(before, sizes)
