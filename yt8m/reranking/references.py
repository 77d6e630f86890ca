"""Rated segments that pairs are compared with: how near a segment is to a class's positive and negative ones."""

from typing import NamedTuple

import numpy as np

from yt8m.errors import UserError

COSINES = ("mean positive", "mean negative", "top positive", "top negative")  # of each descriptor
COUNTS = ("nearest positive share", "log positives", "log negatives", "logit of positives")


class Neighbourhood(NamedTuple):
    """Which references count beside their mean.

    Attributes:
        nearest: the so many nearest ones vote, positive or not.
        top: the so many largest cosines of a kind are averaged.
        temperature: of the softmax over the voters' cosines.
    """

    nearest: int = 10
    top: int = 5
    temperature: float = 0.1


NEIGHBOURHOOD = Neighbourhood()


class Descriptors(NamedTuple):
    """Descriptors of segments, rows of unit length.

    Attributes:
        rgb, audio: float32 [n, D] each, of the mean frame less the mean over the references.
        embedding: float32 [n, E], of a model that was not trained on ratings; None: there is no such model.
    """

    rgb: np.ndarray
    audio: np.ndarray
    embedding: np.ndarray | None = None

    def rows(self, chosen):
        """The Descriptors of some segments."""
        return Descriptors(*(None if part is None else part[chosen] for part in self))

    def kinds(self):
        """{name: [n, .]} of those that there are."""
        return {name: part for name, part in self._asdict().items() if part is not None}


def unit(vectors, mean=0.0):
    """float32 [n, D]: vectors less a mean, of length 1; zeros stay zeros."""
    x = np.asarray(vectors, np.float32) - np.asarray(mean, np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


class References:
    """The rated segments of all classes.

    A pair is never compared with segments of its own video: the same features come of a training pair and of one that has no
    ratings around it.

    Args:
        descriptors: Descriptors of n rated segments, one for each rating.
        videos: [n], what tells their videos apart.
        classes: int [n].
        labels: [n], positive where above 0.
        num_classes: C.
        neighbourhood: Neighbourhood.

    Source: the design of the specification's section 2 after the 1st place (CCRL, arXiv 1911.08548).
    """

    def __init__(self, descriptors, videos, classes, labels, num_classes, neighbourhood=NEIGHBOURHOOD):
        self._neighbourhood = neighbourhood
        order = np.argsort(classes, kind="stable")
        self._bounds = np.searchsorted(np.asarray(classes)[order], np.arange(num_classes + 1))
        self._descriptors, self._videos = descriptors.rows(order), np.asarray(videos)[order]
        self._positive = np.asarray(labels)[order] > 0
        self.names = tuple(f"{name} {of}" for name in descriptors.kinds() for of in COSINES) + COUNTS

    def features(self, descriptors, videos, classes):
        """Features of pairs, float32 [n, len(names)], those of `names`; 0 where there is nothing to compare with.

        Args:
            descriptors: Descriptors of the pairs' segments, of the same kinds.
            videos: [n], as those of the references.
            classes: int [n].

        Raises:
            UserError: other kinds of descriptors than the references'.
        """
        if descriptors.kinds().keys() != self._descriptors.kinds().keys():
            given, wanted = (", ".join(of.kinds()) for of in (descriptors, self._descriptors))
            raise UserError(f"descriptors {given}: the references have {wanted}. Make both with the same model.")
        found = np.zeros((len(classes), len(self.names)), np.float32)
        for c in np.unique(classes):
            rows = np.flatnonzero(classes == c)
            found[rows] = self._of_class(descriptors.rows(rows), np.asarray(videos)[rows], c)
        return found

    def contrast(self, videos, classes):
        """Means of the classes' positive references less those of their negative ones, of other videos: float32 [n, D].

        D: rgb and audio side by side; an embedding is not looked at.

        Args:
            videos: [n], as those of the references; classes: int [n].
        """
        joined = np.concatenate([self._descriptors.rgb, self._descriptors.audio], axis=1)
        found = np.zeros((len(classes), joined.shape[1]), np.float32)
        for c in np.unique(classes):
            rows, here = np.flatnonzero(classes == c), slice(self._bounds[c], self._bounds[c + 1])
            other = np.asarray(videos)[rows][:, None] != self._videos[here][None, :]  # [n, R]
            for sign, positive in ((1, self._positive[here]), (-1, ~self._positive[here])):
                mask = (other & positive).astype(np.float32)
                found[rows] += sign * (mask @ joined[here]) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
        return found

    def _of_class(self, descriptors, videos, c):
        """[n, len(names)] of pairs of a class."""
        here = slice(self._bounds[c], self._bounds[c + 1])
        theirs, positive = self._descriptors.rows(here), self._positive[here]
        other = videos[:, None] != self._videos[here][None, :]  # [n, R]
        masks = other & positive, other & ~positive
        cosines = {name: part @ theirs.kinds()[name].T for name, part in descriptors.kinds().items()}  # [n, R] each
        columns = []
        for of in cosines.values():
            columns += [*(_mean(of, mask) for mask in masks), *(_top(of, mask, self._neighbourhood.top) for mask in masks)]
        columns.append(_share((cosines["rgb"] + cosines["audio"]) / 2, other, positive, self._neighbourhood))
        positives, negatives = (mask.sum(axis=1) for mask in masks)
        share = (positives + 1) / (positives + negatives + 2)
        columns += [np.log1p(positives), np.log1p(negatives), np.log(share) - np.log1p(-share)]
        return np.stack(columns, axis=1)


class RatedReferences:
    """References from the mean frames of rated segments, and from their embeddings where the means have these behind them.

    Args:
        rated: frames.RatedSegments.
        sizes: of the two features.
        label_ids: the classes.
        neighbourhood: references.Neighbourhood.
    """

    def __init__(self, rated, sizes, label_ids, neighbourhood=NEIGHBOURHOOD):
        self._ends, self._mean = np.cumsum(sizes), rated.means.mean(axis=0)
        place = {label: c for c, label in enumerate(label_ids)}
        classes = np.array([place[label] for label in rated.classes.tolist()], np.int64)
        described = self._descriptors(rated.means)
        self._references = References(described, rated.ids, classes, rated.labels, len(label_ids), neighbourhood)

    def features(self, means, places, videos, classes):
        """Features of pairs, float32 [m, 12], or [m, 16] with an embedding.

        Args:
            means: float32 [n, D], mean frames of segments, or [n, D + E].
            places: int [m], each pair's segment among them.
            videos: str [m], ids.
            classes: int [m], 0 to C - 1.
        """
        described, features = self._descriptors(means), np.zeros((len(classes), len(self._references.names)), np.float32)
        order = np.argsort(classes, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(classes[order])) + 1):  # descriptors of a class's pairs at a time
            features[rows] = self._references.features(described.rows(places[rows]), videos[rows], classes[rows])
        return features

    def contrast(self, videos, classes):
        """References.contrast: float32 [m, D]."""
        return self._references.contrast(videos, classes)

    def _descriptors(self, means):
        parts = np.split(means, self._ends, axis=1), np.split(self._mean, self._ends)
        return Descriptors(*(unit(of, mean) for of, mean in zip(*parts) if len(mean)))


def _mean(cosines, mask):
    """Mean over the references of a mask [n, R]: [n]."""
    return (cosines * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)


def _top(cosines, mask, top):
    """Mean over the `top` largest of a mask, or as many as there are: [n]."""
    count = min(top, cosines.shape[1])
    if not count:
        return np.zeros(len(cosines), np.float32)
    largest = -np.partition(np.where(mask, -cosines, np.inf), count - 1, axis=1)[:, :count]
    there = np.isfinite(largest)
    return np.where(there, largest, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)


def _share(cosines, other, positive, neighbourhood):
    """Share of positives among the nearest references, the nearer ones with more weight: [n]."""
    count = min(neighbourhood.nearest, cosines.shape[1])
    if not count:
        return np.zeros(len(cosines), np.float32)
    near = np.argpartition(np.where(other, -cosines, np.inf), count - 1, axis=1)[:, :count]  # [n, count]
    there = np.take_along_axis(other, near, axis=1)
    near_cosines = np.where(there, np.take_along_axis(cosines, near, axis=1), -np.inf)
    nearest = np.where(there.any(axis=1), near_cosines.max(axis=1), 0)[:, None]
    weights = np.exp((near_cosines - nearest) / neighbourhood.temperature)  # 0 of what is not there
    return (weights * positive[near]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-30)
