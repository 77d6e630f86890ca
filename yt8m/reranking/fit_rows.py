"""Which pairs a ranker is fitted on: the rated ones, and beside them some that nobody has rated, as negatives.

An unrated negative is a rated segment that is asked for a class for which its video is neither rated nor labelled.
Source: the specification's sections 2 ("Rows") and 3.4.
"""

from typing import NamedTuple

import numpy as np

from yt8m.metrics.segments import Ratings


class FitRows(NamedTuple):
    """Pairs to fit on, parallel arrays; the rated ones come first, in the order of the ratings.

    Attributes:
        places: int [n], the rating whose segment it is.
        classes: int [n], 0 to C - 1.
        labels: float32 [n], positive where above 0.
        num_rated: how many are rated.
    """

    places: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    num_rated: int

    @property
    def rated(self):
        """Which rows are rated: bool [n]."""
        return np.arange(len(self.places)) < self.num_rated

    def ratings(self, pairs, label_ids):
        """The metrics.segments.Ratings of all rows of some frames.RatedSegments."""
        return Ratings(pairs.ratings().segment_ids[self.places], np.asarray(label_ids)[self.classes], self.labels)


def of_method(method, options, pairs, members):
    """The FitRows that a method learns from; said where there are more than the rated ones.

    Args:
        method, options: of rankers.METHODS, and all its options.
        pairs: frames.RatedSegments; members: members.Members of stores with these segments.
    """
    if not options.get("negatives"):
        return rated_alone(pairs, members.label_ids)
    if method == "attention":
        rows = with_segments_negatives(pairs, members, options["negatives"], options["seed"])
    else:
        how = (options[name] for name in ("negatives", "negatives_a_rating", "seed"))
        rows = with_classes_negatives(pairs, members.label_ids, *how)
    count = len(rows.places) - rows.num_rated
    print(f"{count:,} negatives beside the rated pairs: classes for which the video is neither rated nor labelled.")
    return rows


def rated_alone(pairs, label_ids):
    """The FitRows of the ratings of frames.RatedSegments."""
    place = {label: c for c, label in enumerate(label_ids)}
    classes = np.array([place[label] for label in pairs.classes.tolist()], np.int64)
    return FitRows(np.arange(len(classes)), classes, pairs.labels, len(classes))


def with_segments_negatives(pairs, members, count, seed):
    """FitRows with `count` negatives of each rated segment: the class with the largest score, the rest at random.

    Args:
        pairs: frames.RatedSegments.
        members: members.Members of stores with these segments; the mean of their logits is the score.
        count: negatives a segment, or as many as there are other classes.
        seed: of the draws, in which a class is as likely as its ratings are many.
    """
    rated, num_classes = rated_alone(pairs, members.label_ids), len(members.label_ids)
    known, names = _known_classes(pairs, rated, members.label_ids), pairs.ratings().segment_ids
    _, first = np.unique(names, return_index=True)
    first.sort()

    def hardest(part, rows, _):
        scores = np.mean(members.logits(part, np.arange(num_classes)), axis=0)[rows]  # [m, C]
        for row, video in enumerate(part.ids[rows].tolist()):
            scores[row, known[video]] = -np.inf
        return [scores.argmax(axis=1)]

    asked = Ratings(names[first], pairs.classes[first], pairs.labels[first])
    hard = members.first.of_pairs(asked, "fit_on", hardest)[2][0]
    frequencies, rng = np.bincount(rated.classes, minlength=num_classes).astype(float), np.random.default_rng(seed)
    places, classes = [], []
    for place, most in zip(first.tolist(), hard.tolist()):
        left, others = frequencies.copy(), known[pairs.ids[place]]
        left[others], left[most] = 0, 0
        chosen = [most] if len(others) < num_classes else []
        drawn = min(count - 1, np.count_nonzero(left))
        chosen += rng.choice(num_classes, drawn, replace=False, p=left / left.sum()).tolist() if drawn > 0 else []
        places += [place] * len(chosen)
        classes += chosen
    return _with_negatives(rated, places, classes)


def with_classes_negatives(pairs, label_ids, share, most, seed):
    """FitRows with negatives of each class: a rated segment of each of some videos that are not rated or labelled for it.

    Args:
        pairs: frames.RatedSegments.
        label_ids: the classes.
        share: of these videos.
        most: of these for each rating of the class.
        seed: of the draws.
    """
    rated, rng = rated_alone(pairs, label_ids), np.random.default_rng(seed)
    known, (videos, of_rows) = _known_classes(pairs, rated, label_ids), np.unique(pairs.ids, return_inverse=True)
    order, counts = np.argsort(of_rows, kind="stable"), np.bincount(of_rows)
    firsts = np.cumsum(counts) - counts  # of a video's rows, in that order
    is_known = np.zeros((len(videos), len(label_ids)), bool)
    for number, video in enumerate(videos.tolist()):
        is_known[number, known[video]] = True
    places, classes = [], []
    for c, ratings in enumerate(np.bincount(rated.classes, minlength=len(label_ids)).tolist()):
        others = np.flatnonzero(~is_known[:, c])
        chosen = rng.permutation(others)[: min(round(share * len(others)), most * ratings)]
        places += order[firsts[chosen] + rng.integers(0, counts[chosen])].tolist()
        classes += [c] * len(chosen)
    return _with_negatives(rated, places, classes)


def _known_classes(pairs, rated, label_ids):
    """{video: int [k], the classes, 0 to C - 1, that it is rated or labelled for}."""
    place = {label: c for c, label in enumerate(label_ids)}
    known = {video: {place[label] for label in labels if label in place} for video, labels in pairs.video_labels.items()}
    for video, c in zip(pairs.ids.tolist(), rated.classes.tolist()):
        known.setdefault(video, set()).add(c)
    return {video: np.array(sorted(classes), np.int64) for video, classes in known.items()}


def _with_negatives(rated, places, classes):
    """The FitRows of ratings, and behind them those of negatives."""
    return FitRows(
        np.concatenate([rated.places, np.array(places, np.int64)]),
        np.concatenate([rated.classes, np.array(classes, np.int64)]),
        np.concatenate([rated.labels, np.zeros(len(places), np.float32)]),
        rated.num_rated,
    )
