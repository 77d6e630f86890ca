"""A pair's score put together: of a ranker's and its video's, of the ranks before and after, of several members'."""

import numpy as np


def in_video(logits, most, exponent):
    """Logits of p q^exponent, p the probabilities of `logits`, q of `most`: float32.

    A ranker is fitted on rated pairs, whose class is nearly always somewhere in the video, and says too much of other classes.

    Args:
        logits: float32 [n], of pairs; most: float32 [n], the greatest logit of the class in the video; exponent: 0: p itself.
    """
    if not exponent:
        return logits
    of_both = (-np.logaddexp(0, -np.asarray(x, np.float64)) for x in (logits, most))  # logarithms of p and q
    log_p, log_q = of_both
    product = np.minimum(log_p + exponent * log_q, -1e-12)
    return (product - np.log(-np.expm1(product))).astype(np.float32)


def averaged_ranks(before, after, classes, share):
    """Logits that order each class's pairs by share * their rank before + (1 - share) * their rank after: float32 [n].

    Args:
        before, after: float32 [n], scores; classes: int [n]; share: of the rank before.

    Source: the rank average of the 5th place, 1:1 there (the specification's section 3.3).
    """
    averaged, order = np.zeros(len(classes), np.float32), np.argsort(classes, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(classes[order])) + 1):
        ranks = [np.argsort(np.argsort(-of[rows], kind="stable"), kind="stable") for of in (before, after)]  # 0: the best
        p = 1 - (share * ranks[0] + (1 - share) * ranks[1] + 0.5) / max(len(rows), 1)
        averaged[rows] = np.log(p) - np.log1p(-p)
    return averaged


def mean_of(of_members):
    """The mean of arrays of one shape, in their type."""
    return of_members[0] if len(of_members) == 1 else np.mean(of_members, axis=0)
