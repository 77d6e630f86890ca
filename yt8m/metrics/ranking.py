"""Average precision and the video metrics built on rankings: GAP@20, Hit@1, PERR, MAP, AUC.

Everywhere: a label counts as positive when it is above 0, predictions need no particular scale unless it is said,
and a mean over nothing (no positives, no videos) is nan, never 0 and never an error.
"""

import numpy as np

from yt8m.errors import UserError

_CLASSES_AT_A_TIME = 64


def average_precision(scores, labels, num_positives=None, ties="order"):
    """Average precision of one ranked list: AP = sum over k of P(k) rel(k) / N.

    Args:
        scores: [n] numbers, higher is ranked earlier.
        labels: [n] positive where above 0.
        num_positives: N, when there are positives that the list does not contain; by default those in `labels`.
        ties: "order" ranks equal scores in the order given (one ranked list, as a submission is scored);
            "group" takes a whole group of equal scores at once, as scikit-learn's average_precision_score does.

    Returns:
        A float; nan when N is 0.

    Raises:
        UserError: shapes differ, a score is NaN, N is below the positives in `labels`, or `ties` is unknown.
    """
    scores, labels = checked(scores, labels, ndim=1)
    if ties not in ("order", "group"):
        raise UserError(f"ties={ties!r}: use 'order' or 'group'.")
    rows = np.flatnonzero(labels > 0)
    if num_positives is not None and num_positives < len(rows):
        raise UserError(f"num_positives={num_positives} but the labels hold {len(rows)}: count every positive.")
    return average_precision_at(scores, rows, len(rows) if num_positives is None else num_positives, ties)


def average_precision_from_ranks(ranks, num_positives):
    """Average precision from the 1-based ranks of the positives that were found, in rising order; nan when N is 0."""
    if num_positives == 0:
        return float("nan")
    return float(np.sum(np.arange(1, len(ranks) + 1) / ranks) / num_positives)


def global_average_precision(predictions, labels, top_k=20):
    """GAP@k: the top_k predictions of all videos pooled into one list; N = all true labels, also those outside it.

    Args:
        predictions: [N, C]. Ties within a video: lower class first; between videos: earlier video first.
        labels: [N, C].

    Source: the starter code's eval_util.calculate_gap.
    """
    predictions, labels = checked(predictions, labels, ndim=2)
    classes = top_k_classes(predictions, top_k)
    pooled_scores = np.take_along_axis(predictions, classes, axis=1)
    pooled_labels = np.take_along_axis(labels, classes, axis=1)
    return average_precision(pooled_scores.ravel(), pooled_labels.ravel(), np.count_nonzero(labels > 0))


def hit_at_one(predictions, labels):
    """Share of videos whose first prediction is right; a video without labels counts as a miss (as in the starter code).

    Args:
        predictions: [N, C]. Among equal predictions the lowest class is the first.
        labels: [N, C].
    """
    return mean(hits_at_one(*checked(predictions, labels, ndim=2)))


def perr(predictions, labels, above=0.0):
    """Precision at equal recall rate: of a video with n labels, the share of its top n predictions that are right; the mean.

    Videos without labels are left out (the starter code fails on them).

    Args:
        predictions: [N, C] probabilities. Ties: lower class first.
        labels: [N, C].
        above: a prediction that is not above this earns nothing, even among the top n. 0 as in the starter code's
            calculate_precision_at_equal_recall_rate; use -inf for logits.
    """
    return mean(precisions_at_equal_recall(*checked(predictions, labels, ndim=2), above))


def mean_average_precision(predictions, labels, top_k=None):
    """MAP: the mean, over the classes that have a positive, of the average precision of the class over all videos.

    The starter code counts a class without positives as 0; here it is left out.

    Args:
        predictions: [N, C]. Equal scores of a class rank in the order of the videos.
        labels: [N, C].
        top_k: only each video's top_k predictions enter the lists (the starter code: 20); by default all do.
    """
    return mean_of_present(class_average_precisions(predictions, labels, top_k))


def class_average_precisions(predictions, labels, top_k=None):
    """The average precision of each class as float64 [C], nan for a class without positives; see `mean_average_precision`."""
    predictions, labels = checked(predictions, labels, ndim=2)
    positives = np.nonzero(labels > 0)
    if top_k is None:
        starts = range(0, predictions.shape[1], _CLASSES_AT_A_TIME)
        blocks = (np.ascontiguousarray(predictions[:, first : first + _CLASSES_AT_A_TIME].T) for first in starts)
        return dense_class_precisions(blocks, positives, predictions.shape[1])
    classes = top_k_classes(predictions, top_k)
    scores = np.take_along_axis(predictions, classes, axis=1)
    hits = np.take_along_axis(labels, classes, axis=1) > 0
    num_positives = np.bincount(positives[1], minlength=predictions.shape[1])
    return pair_average_precisions(classes.ravel(), scores.ravel(), hits.ravel(), num_positives)


def pair_average_precisions(classes, scores, labels, num_positives):
    """Average precision of each class from (class, score, label) triples.

    Args:
        classes, scores, labels: [n] parallel arrays in any order; equal scores of a class rank in the order given.
        num_positives: int [C], N of each class.

    Returns:
        float64 [C], nan where num_positives is 0.
    """
    order = np.argsort(classes, kind="stable")
    ends = np.cumsum(np.bincount(classes, minlength=len(num_positives)))
    precisions = np.full(len(num_positives), np.nan)
    for c in np.flatnonzero(num_positives):
        of_class = order[ends[c - 1] if c else 0 : ends[c]]
        precisions[c] = average_precision(scores[of_class], labels[of_class], num_positives[c])
    return precisions


def auc(scores, labels):
    """Area under the ROC curve: the chance that a positive scores above a negative, equal scores counting half.

    Args:
        scores, labels: [n]. Without a positive or without a negative the result is nan.
    """
    scores, labels = checked(scores, labels, ndim=1)
    positives, negatives = scores[labels > 0], np.sort(scores[labels <= 0])
    if not len(positives) or not len(negatives):
        return float("nan")
    below = np.searchsorted(negatives, positives, side="left").sum()
    not_above = np.searchsorted(negatives, positives, side="right").sum()
    return float((below + not_above) / 2 / (len(positives) * len(negatives)))


def precision_recall(predictions, labels, threshold=0.5):
    """Precision and recall of "prediction > threshold" over all (video, class) pairs together.

    Precision is nan where nothing is predicted, recall where nothing is true.

    Args:
        predictions, labels: the same shape, any.
    """
    predictions, labels = checked(predictions, labels)
    predicted, true = predictions > threshold, labels > 0
    right = np.count_nonzero(predicted & true)
    return share(right, np.count_nonzero(predicted)), share(right, np.count_nonzero(true))


def top_k_classes(predictions, k):
    """The k best classes of each row, best first; equal predictions: lower class first.

    Args:
        predictions: [N, C].
        k: at least 1; more than C means C.

    Returns:
        int64 [N, min(k, C)].
    """
    if k < 1:
        raise UserError(f"top_k={k}: use 1 or more.")
    predictions = np.asarray(predictions)
    num_classes = predictions.shape[1]
    if k >= num_classes:
        return np.argsort(-predictions, axis=1, kind="stable")
    top = np.argpartition(predictions, num_classes - k, axis=1)[:, num_classes - k :]
    # argpartition picks any of several predictions equal to the k-th: only rows where that happened are sorted in full.
    kth = np.take_along_axis(predictions, top[:, :1], axis=1)
    ambiguous = np.count_nonzero(predictions >= kth, axis=1) > k
    top[ambiguous] = np.argsort(-predictions[ambiguous], axis=1, kind="stable")[:, :k]
    top.sort(axis=1)
    best_first = np.argsort(-np.take_along_axis(predictions, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, best_first, axis=1)


def average_precision_at(scores, rows, num_positives, ties="order"):
    """`average_precision` with the positives given as rising positions; ranks only them, which is faster than sorting pairs."""
    if num_positives == 0:
        return float("nan")
    rising, wanted = np.sort(scores), np.sort(scores[rows])[::-1]
    at_least = len(rising) - np.searchsorted(rising, wanted, side="left")
    if ties == "group":
        positives = len(rows) - np.searchsorted(wanted[::-1], wanted, side="left")
        return float(np.sum(positives / at_least) / num_positives)
    above = len(rising) - np.searchsorted(rising, wanted, side="right")
    if np.any(at_least - above > 1):
        positive = np.zeros(len(scores), bool)
        positive[rows] = True
        at_least = np.flatnonzero(positive[np.argsort(-scores, kind="stable")]) + 1
    return average_precision_from_ranks(at_least, num_positives)


def dense_class_precisions(blocks, positives, num_classes):
    """Average precision of each class from all its scores.

    Args:
        blocks: iterable of [k, N], the scores of the next k classes, a row a class.
        positives: (rows, classes), int [n] each, of the labels above 0.
        num_classes: C, the sum of the k.

    Returns:
        float64 [C], nan for a class without positives.
    """
    order = np.lexsort(positives)
    rows = positives[0][order]
    ends = np.cumsum(np.bincount(positives[1], minlength=num_classes))
    precisions, c = np.full(num_classes, np.nan), 0
    for block in blocks:
        for scores in block:
            of_class = rows[ends[c - 1] if c else 0 : ends[c]]
            precisions[c] = average_precision_at(scores, of_class, len(of_class))
            c += 1
    return precisions


def hits_at_one(predictions, labels):
    """bool [N]: whether a video's first prediction is right."""
    first = np.argmax(predictions, axis=1)
    return labels[np.arange(len(labels)), first] > 0


def precisions_at_equal_recall(predictions, labels, above):
    """float64 [number of videos that have labels], what `perr` is the mean of."""
    num_labels = np.count_nonzero(labels > 0, axis=1)
    labelled = num_labels > 0
    if not labelled.any():
        return np.zeros(0)
    predictions, labels, num_labels = predictions[labelled], labels[labelled], num_labels[labelled]
    classes = top_k_classes(predictions, num_labels.max())
    right = (np.take_along_axis(labels, classes, axis=1) > 0) & (np.take_along_axis(predictions, classes, axis=1) > above)
    within = np.arange(classes.shape[1]) < num_labels[:, None]
    return np.count_nonzero(right & within, axis=1) / num_labels


def checked(scores, labels, ndim=None):
    """Both as arrays of one shape, the scores as float32 or float64 without NaN."""
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    if scores.shape != labels.shape:
        raise UserError(f"scores of shape {scores.shape} and labels of shape {labels.shape}: they must be equal.")
    if ndim is not None and scores.ndim != ndim:
        expected = "[n]" if ndim == 1 else "[videos, classes]"
        raise UserError(f"scores of shape {scores.shape}: expected {expected}.")
    if ndim == 2 and not scores.shape[1]:
        raise UserError(f"scores of shape {scores.shape}: expected at least one class.")
    if scores.size and np.isnan(scores.min()):
        count = np.count_nonzero(np.isnan(scores))
        raise UserError(f"{count} of {scores.size} scores are NaN: they cannot be ranked; check the model.")
    return scores, labels


def mean(values):
    """The mean, nan of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def mean_of_present(values):
    """The mean of those that are not nan, nan where none is left."""
    return mean(values[~np.isnan(values)])


def share(part, whole):
    """part / whole, nan of a whole of 0."""
    return float(part / whole) if whole else float("nan")
