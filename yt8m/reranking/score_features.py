"""What the scores of segments and of videos say of a pair, beside its own score."""

import numpy as np
import pandas as pd

NAMES = ("score", "video's mean", "video's maximum", "less the mean", "neighbours' mean")
VIDEO_NAMES = ("video score", "log rank of the class", "percentile of the video")


def of_segments(logits, firsts, linked):
    """Features of all segments and classes, float32 [n, C, 5], those of NAMES.

    Args:
        logits: float32 [n, C], video after video.
        firsts: int [V], the first row of each video.
        linked: bool [n - 1], whether a row's next is the segment after it in the same video.
    """
    counts = np.diff(np.append(firsts, len(logits)))
    mean = np.repeat(np.add.reduceat(logits, firsts, axis=0) / counts[:, None].astype(np.float32), counts, axis=0)
    most = np.repeat(np.maximum.reduceat(logits, firsts, axis=0), counts, axis=0)
    sums, beside = np.zeros_like(logits), np.zeros((len(logits), 1), np.float32)
    for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        sums[here] += linked[:, None] * logits[there]
        beside[here, 0] += linked
    neighbours = np.where(beside > 0, sums / np.maximum(beside, 1), logits)  # of a segment alone: its own
    return np.stack([logits, mean, most, logits - mean, neighbours], axis=-1)


def of_videos(logits):
    """Features of all videos and classes, float32 [V, C, 3], those of VIDEO_NAMES.

    Args:
        logits: float32 [V, C].
    """
    return VideoFeatures(logits).of(slice(None))


class VideoFeatures:
    """The same of some videos at a time; kept are two numbers for each (video, class). Ties have the mean of their ranks.

    Args:
        logits: float32 [V, C].

    Attributes:
        logits.
    """

    def __init__(self, logits):
        self.logits, self._percentiles = logits, np.zeros(logits.shape, np.float32)
        for c in range(logits.shape[1]):
            self._percentiles[:, c] = (pd.Series(logits[:, c]).rank() - 1) / max(len(logits) - 1, 1)

    def of(self, videos):
        """float32 [n, C, 3] of videos, int [n] or a slice."""
        logits = self.logits[videos]
        ranks = pd.DataFrame(-logits).rank(axis=1).to_numpy()  # 1: the video's best class
        return np.stack([logits, np.log(ranks), self._percentiles[videos]], axis=-1).astype(np.float32)


class Correlations:
    """How classes' logits go together, from sums over segments.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes):
        self._count, self._sums, self._products = 0, np.zeros(num_classes), np.zeros((num_classes, num_classes))

    def update(self, logits):
        """Adds segments: float32 [n, C]."""
        x = logits.astype(np.float64)
        self._count, self._sums, self._products = self._count + len(x), self._sums + x.sum(axis=0), self._products + x.T @ x

    def related(self, count):
        """Each class and the `count` others that correlate most with it, the most first: int [C, 1 + count], or all of them."""
        means = self._sums / max(self._count, 1)
        covariances = self._products / max(self._count, 1) - np.outer(means, means)
        deviations = np.sqrt(np.maximum(np.diag(covariances), 1e-12))
        correlations = covariances / np.outer(deviations, deviations)
        np.fill_diagonal(correlations, np.inf)
        return np.argsort(-correlations, axis=1, kind="stable")[:, : 1 + count]
