"""MAP@N of ranked segments, as the Segments task scores a submission, and the same over scored rated pairs."""

import dataclasses
from collections.abc import Mapping
from itertools import compress

import numpy as np

from yt8m.errors import UserError
from yt8m.metrics.ranking import auc, average_precision_from_ranks, pair_average_precisions, precision_recall


@dataclasses.dataclass(frozen=True)
class Ratings:
    """Rated (segment, class) pairs as parallel arrays.

    Attributes:
        segment_ids: [n] str, "<video id>:<start>".
        classes: [n] int, label ids.
        scores: [n], positive where above 0.
    """

    segment_ids: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


@dataclasses.dataclass(frozen=True)
class SegmentPrecisions:
    """The result of `segment_average_precisions`.

    Attributes:
        mean: MAP over `per_class`, nan when that is empty.
        per_class: class -> average precision, for every class that has rated positives.
        classes_without_positives: rated classes without a positive, left out of the mean.
        missing_classes: classes with rated positives that the submission does not list; they count 0.
        num_rated: rated pairs.
        num_found: rated pairs that the ranked lists contain within n.
    """

    mean: float
    per_class: dict
    classes_without_positives: list
    missing_classes: list
    num_rated: int
    num_found: int


def segment_mean_average_precision(ranked, ratings, n=100_000):
    """MAP@n of ranked segments, a float; see `segment_average_precisions`."""
    return segment_average_precisions(ranked, ratings, n).mean


def segment_average_precisions(ranked, ratings, n=100_000):
    """MAP@n with what is behind it.

    Of each class: cut the list to its first n segments, drop those that nobody rated for the class (and repetitions),
    AP = sum over k of P(k) rel(k) / N_c with N_c all rated positives of the class, found or not. The mean is over the
    classes that have rated positives; one that is missing from `ranked` counts 0.

    Args:
        ranked: class -> its segment ids "<video id>:<start>" in falling confidence (list or array of str); or an
            iterable of such (class, segment ids) pairs, read once with one class in memory at a time.
        ratings: `Ratings`, or a mapping (segment id, class) -> score, positive where above 0.
        n: segments of a class that count.

    Returns:
        `SegmentPrecisions`.

    Raises:
        UserError: n below 1, a class listed twice, arrays of unequal length, or contradicting ratings of one pair.
    """
    if n < 1:
        raise UserError(f"n={n}: use 1 or more.")
    rated = _by_class(ratings)
    num_positives = {c: sum(of_class.values()) for c, of_class in rated.items()}
    per_class = {c: 0.0 for c in sorted(rated) if num_positives[c]}
    listed, num_found = set(), 0
    for c, segment_ids in ranked.items() if isinstance(ranked, Mapping) else ranked:
        if c in listed:
            raise UserError(f"class {c} is listed twice: put its segments into one list.")
        listed.add(c)
        if c in rated:
            ranked_labels = _rated_labels(segment_ids, rated[c], n)
            num_found += len(ranked_labels)
            if c in per_class:
                per_class[c] = average_precision_from_ranks(np.flatnonzero(ranked_labels) + 1, num_positives[c])
    return SegmentPrecisions(
        mean=float(np.mean(list(per_class.values()))) if per_class else float("nan"),
        per_class=per_class,
        classes_without_positives=sorted(c for c in rated if not num_positives[c]),
        missing_classes=[c for c in per_class if c not in listed],
        num_rated=sum(map(len, rated.values())),
        num_found=num_found,
    )


def segment_metrics_from_scores(scores, labels, weights):
    """Metrics over rated pairs whose scores are all known, as in evaluation on the rated segments.

    Args:
        scores: [N, C], a row a segment.
        labels: [N, C], positive where above 0.
        weights: [N, C], above 0 where the (segment, class) pair is rated; other entries are not looked at.

    Returns:
        The dict of `segment_metrics_from_pairs`.

    Raises:
        UserError: shapes differ or the score of a rated pair is NaN.
    """
    scores, labels, weights = np.asarray(scores), np.asarray(labels), np.asarray(weights)
    if scores.ndim != 2 or not scores.shape == labels.shape == weights.shape:
        shapes = f"{scores.shape}, {labels.shape}, {weights.shape}"
        raise UserError(f"scores, labels and weights of shapes {shapes}: all must be [segments, classes].")
    rows, classes = np.nonzero(weights > 0)
    return segment_metrics_from_pairs(classes, scores[rows, classes], labels[rows, classes], scores.shape[1])


def segment_metrics_from_pairs(classes, scores, labels, num_classes, threshold=0.5):
    """Metrics over rated pairs.

    Args:
        classes: int [n], column of the class, 0 to num_classes - 1.
        scores: [n]; equal scores of a class rank in the order given.
        labels: [n], positive where above 0.
        num_classes: C.
        threshold: of precision and recall: what is predicted is above it.

    Returns:
        dict: `map` over the classes that have rated positives (MAP@N when every rated segment is ranked), `auc`, `precision` and
        `recall` over all pairs together, `num_pairs`, `chance` (what a random ranking gets, about: the positive share of a class,
        mean over the classes of `map`), `class_average_precisions` float64 [C] (nan for the classes left out), `class_positives`
        int [C].

    Raises:
        UserError: arrays of unequal length, a class out of range, or a NaN score.
    """
    classes, scores, labels = np.asarray(classes), np.asarray(scores), np.asarray(labels)
    if not classes.shape == scores.shape == labels.shape == (len(classes),):
        raise UserError(f"classes, scores and labels of shapes {classes.shape}, {scores.shape}, {labels.shape}: all must be [n].")
    if len(classes) and not 0 <= classes.min() <= classes.max() < num_classes:
        raise UserError(f"classes from {classes.min()} to {classes.max()}: expected 0 to {num_classes - 1}.")
    classes = classes.astype(np.int64)
    num_rated = np.bincount(classes, minlength=num_classes)
    num_positives = np.bincount(classes[labels > 0], minlength=num_classes)
    precisions = pair_average_precisions(classes, scores, labels, num_positives)
    counted = num_positives > 0
    precision, recall = precision_recall(scores, labels, threshold)
    return {
        "map": float(np.mean(precisions[counted])) if counted.any() else float("nan"),
        "auc": auc(scores, labels),
        "precision": precision,
        "recall": recall,
        "num_pairs": len(classes),
        "chance": float(np.mean(num_positives[counted] / num_rated[counted])) if counted.any() else float("nan"),
        "class_average_precisions": precisions,
        "class_positives": num_positives,
    }


def _by_class(ratings):
    """class -> {segment id: rated positive}."""
    if isinstance(ratings, Mapping):
        triples = ((segment_id, c, score) for (segment_id, c), score in ratings.items())
    else:
        columns = [np.asarray(a) for a in (ratings.segment_ids, ratings.classes, ratings.scores)]
        if len({a.shape for a in columns}) > 1:
            raise UserError(f"ratings of shapes {', '.join(str(a.shape) for a in columns)}: the arrays must be parallel.")
        triples = zip(*(a.tolist() for a in columns))
    rated = {}
    for segment_id, c, score in triples:
        segment_id = _text(segment_id)
        if rated.setdefault(c, {}).setdefault(segment_id, bool(score > 0)) != (score > 0):
            raise UserError(f"segment {segment_id} is rated both positive and negative for class {c}: keep one of the ratings.")
    return rated


def _rated_labels(segment_ids, rated, n):
    """The ratings of the rated ones among the first n segments, in their order, each once."""
    if not isinstance(segment_ids, (np.ndarray, list, tuple)):
        segment_ids = list(segment_ids)
    segment_ids = segment_ids[:n]
    if isinstance(segment_ids, np.ndarray):
        if segment_ids.dtype.kind in "US":
            segment_ids = segment_ids[_may_be_among(segment_ids, list(rated))]
        segment_ids = segment_ids.tolist()
    if segment_ids and isinstance(segment_ids[0], bytes):
        segment_ids = list(map(_text, segment_ids))
    in_order = dict.fromkeys(compress(segment_ids, map(rated.__contains__, segment_ids)))
    return [rated[segment_id] for segment_id in in_order]


def _may_be_among(segment_ids, wanted):
    """bool [n]: False only where a segment id is certainly not among `wanted`, by 16 bits of a hash of its characters.

    Few of 100,000 are left to look up as Python strings, which takes most of the time otherwise.
    """
    table = np.zeros(1 << 16, bool)
    wanted = [w.encode() for w in wanted] if segment_ids.dtype.kind == "S" else wanted
    table[_hashes(np.array(wanted, dtype=segment_ids.dtype.kind))] = True
    return table[_hashes(segment_ids)]


def _hashes(strings):
    """16-bit hashes of an array of str or bytes; they do not depend on the array's item size."""
    strings = np.ascontiguousarray(strings, dtype=strings.dtype.newbyteorder("="))
    character = np.uint32 if strings.dtype.kind == "U" else np.uint8
    hashes = np.zeros(len(strings), np.uint32)
    if not strings.size or not strings.dtype.itemsize:
        return hashes
    for column in strings.view(character).reshape(len(strings), -1).T[::-1]:
        hashes += column
        hashes *= np.uint32(0x9E3779B1)  # 2^32 / golden ratio, odd: trailing zero characters leave 0 at 0
    return hashes >> np.uint32(16)


def _text(segment_id):
    return segment_id.decode() if isinstance(segment_id, bytes) else str(segment_id)
