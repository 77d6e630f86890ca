"""Ensembles of submission files: rank points, a class at a time."""

import numpy as np
import pandas as pd

from yt8m.errors import UserError
from yt8m.metrics.segments import segment_average_precisions
from yt8m.scoring.submission import read_label_ids, read_submission


class Lists:
    """Submission files whose classes are read side by side.

    Memory is that of one class where the files name their classes in one order; a class that a file names earlier than the
    first file does is held until its turn comes.

    Args:
        paths: CSV files.
        label_ids: the classes that are wanted; None: all that a file names, in the order of the first.

    Attributes:
        paths, label_ids.

    Raises:
        UserError: a file cannot be read, no class, or a wanted class that is in no file.
    """

    def __init__(self, paths, label_ids=None):
        self.paths = list(paths)
        self._named = [read_label_ids(path) for path in self.paths]
        everywhere = dict.fromkeys(label for of_file in self._named for label in of_file)
        self.label_ids = list(everywhere if label_ids is None else label_ids)
        unknown = [label for label in self.label_ids if label not in everywhere]
        if unknown or not self.label_ids:
            what = f"class {unknown[0]} is in none of the files" if unknown else "the files name no class"
            raise UserError(f"{what} ({', '.join(self.paths)}). Name submission CSV files that have it.")
        for path, of_file in zip(self.paths, self._named):
            lacking = len(set(self.label_ids) - set(of_file))
            if lacking:
                print(f"Note: {path} lists nothing for {lacking} of {len(self.label_ids)} classes: no points there.")

    def __iter__(self):
        """Yields (label id, K arrays of segment ids)."""
        files = [_Classes(path, named) for path, named in zip(self.paths, self._named)]
        for label in self.label_ids:
            yield label, [file.take(label) for file in files]
        for file in files:
            file.finish()


class _Classes:
    """The classes of one file by label, read as far as they are asked for.

    Args:
        path: CSV file.
        named: the label ids that it names.
    """

    def __init__(self, path, named):
        self._lines, self._named, self._held = read_submission(path), set(named), {}

    def take(self, label):
        """The class's segments; none where the file does not name it."""
        if label not in self._named:
            return np.array([], str)
        while label not in self._held:
            line = next(self._lines, None)
            if line is None:  # the file has changed since its labels were read
                return np.array([], str)
            self._held[line[0]] = line[1]
        return self._held.pop(label)

    def finish(self):
        """Reads what is left, so that a bad line is found wherever it is."""
        for _ in self._lines:
            pass


def rank_average(lists, weights, n, half_rank=None):
    """One ranked list from several.

    The r-th of a list, counted from 0, gets weight * (1 - r / size) points, size being the longest list's length, or weight *
    half_rank / (half_rank + r); what a list lacks gets none from it. Ties: what appears first, list after list.

    Args:
        lists: K arrays of segments (any hashable values), the best first; of a repeated one the first counts.
        weights: [K].
        n: segments to return at most; without points none is.
        half_rank: of the hyperbolic points; None: the points fall by the same from rank to rank.

    Returns:
        array of segments.
    """
    codes, segments = pd.factorize(np.concatenate(lists))
    size, points, begin = max(map(len, lists)), np.zeros(len(segments)), 0
    for weight, ranked in zip(weights, lists):
        part = pd.Series(codes[begin : begin + len(ranked)])
        begin += len(ranked)
        first = ~part.duplicated().to_numpy()
        ranks = np.flatnonzero(first)
        points[part.to_numpy()[first]] += weight * (size - ranks if half_rank is None else half_rank / (half_rank + ranks))
    best = np.argsort(-points, kind="stable")[:n]
    return segments[best[points[best] > 0]]


class Evaluation:
    """MAP@n of each member, of the ensemble and of the ensemble without each member, from the same pass over the lists.

    Args:
        ratings: metrics.segments.Ratings.
        num_members: K.
        n: segments a class that count.
        half_rank: as in rank_average.
    """

    def __init__(self, ratings, num_members, n, half_rank=None):
        self._ratings, self._n, self._half_rank = ratings, n, half_rank
        self._rated = {}
        for segment, label in zip(ratings.segment_ids.tolist(), ratings.classes.tolist()):
            self._rated.setdefault(label, set()).add(segment)
        self._ensemble = {}
        self._alone, self._without = ([{} for _ in range(num_members)] for _ in range(2))

    def add(self, label, lists, weights, ranked):
        """Notes a class: K lists, weights [K], and what rank_average made of them."""
        if label not in self._rated:
            return
        self._ensemble[label] = self._only_rated(label, ranked)
        for k, of_member in enumerate(lists):
            self._alone[k][label] = self._only_rated(label, of_member)
            others = [i for i in range(len(lists)) if i != k]
            if others:
                ranked = rank_average([lists[i] for i in others], [weights[i] for i in others], self._n, self._half_rank)
                self._without[k][label] = self._only_rated(label, ranked)

    def result(self):
        """Lists of MAPs: of the ensemble alone, of each member, of the ensemble without each member."""
        return [self._map(self._ensemble)], [*map(self._map, self._alone)], [*map(self._map, self._without)]

    def _only_rated(self, label, ranked):
        return [segment for segment in ranked[: self._n].tolist() if segment in self._rated[label]]

    def _map(self, ranked):
        return segment_average_precisions(ranked, self._ratings, self._n).mean
