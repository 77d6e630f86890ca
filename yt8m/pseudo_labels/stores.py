"""Pseudo-labels by the stored scores of segments."""

import os
from dataclasses import dataclass

import numpy as np

from yt8m.errors import UserError
from yt8m.pseudo_labels.selection import ShardLabels
from yt8m.pseudo_labels.videos import ids_and_labels
from yt8m.readers.labels import LabelMap, multi_hot
from yt8m.readers.stores import StoredScores
from yt8m.scoring.topk import TopSegments
from yt8m.segments import SEGMENT_SIZE

_SCORES_AT_A_TIME = 1 << 22
_PRIME, _FACTOR = 2**32 - 5, 2654435761  # the largest prime below 2**32, and a number that scatters rows over it


def from_store(store, files, label_ids, selection, id_feature="id"):
    """Chooses pseudo-labels by stored scores. Goes through the store twice; memory does not grow with it.

    Positives of a class are its `top` highest scores, negatives the lowest ones among the other segments of their videos.
    Equal scores: of positives the earlier segment is taken, of negatives any, in a fixed order scattered over the shards.

    Args:
        store: readers.stores.ScoreStore of segments.
        files: features shards, all of them in the store.
        label_ids: classes, all of them in the store.
        selection: Selection.
        id_feature: name of the id in the shards.

    Returns:
        An iterator of ShardLabels, one for each of the files in their order.

    Raises:
        UserError: a store of videos, a shard or class that it has not, scores of other videos than the shard's; no positive.
    """
    if store.config.kind != "segments":
        raise UserError(f"{store.folder} holds scores of {store.config.kind}; expected segments. Name a store of segments.")
    if store.config.segment_size != SEGMENT_SIZE:
        seconds = f"{store.config.segment_size} seconds; expected {SEGMENT_SIZE}"
        raise UserError(f"{store.folder} holds scores of segments of {seconds}. Score the shards again.")
    stored_ids = list(store.config.label_ids)
    missing = sorted(set(label_ids) - set(stored_ids))
    if missing:
        counts = f"{len(missing)} of {len(label_ids)} classes ({missing[0]}, ...) are none of its {len(stored_ids)}"
        raise UserError(f"{store.folder}: {counts}. Name the file that goes with it, or leave --segment_label_ids_file out.")
    unscored = [file for file in files if not store.has(file)]
    if unscored:
        counts = f"{len(unscored)} of {len(files)} shards have no scores in {store.folder} ({unscored[0]}, ...)"
        raise UserError(f"{counts}. Score them first: inference.py --scores_output={store.folder}.")
    scores = _Scores(store, files, label_ids, id_feature)
    positives = _positives(scores, selection)
    if not len(positives.rows):
        which = " of a label of its video" if selection.video_labels_only else ""
        bound = f"above 0 and at least --min_score={selection.min_score}"
        raise UserError(f"{store.folder}: no score{which} is {bound}, so there is no positive. Ask for less.")
    return _located(scores, positives, _negatives(scores, positives, selection), selection.soft)


class _Scores:
    """The scores of all shards. Iterating gives (number of the shard's first row, _ShardScores); `classes` is C."""

    def __init__(self, store, files, label_ids, id_feature):
        self.label_ids = np.array(label_ids, np.int64)
        self.classes = len(self.label_ids)
        column = {label: number for number, label in enumerate(store.config.label_ids)}
        self._columns = np.array([column[label] for label in self.label_ids.tolist()])
        self._store, self._files, self._id_feature = store, files, id_feature

    def __iter__(self):
        first = 0
        for file in self._files:
            ids, video_labels = ids_and_labels(file, self._id_feature)
            stored = self._store.read(file)
            rows = _numbers_of(ids, stored.ids, f"{self._store.folder}: its scores of {os.path.basename(file)}")
            yield first, _ShardScores(ids, video_labels, rows, stored.starts, stored, self._columns)
            first += len(rows)


@dataclass(frozen=True, eq=False)
class _ShardScores:
    """Scores of N segments: `ids` and `labels` of the shard's videos, `rows` int64 [N] the video of each, `starts` [N]."""

    ids: list
    labels: list
    rows: np.ndarray
    starts: np.ndarray
    stored: StoredScores
    columns: np.ndarray

    def chunks(self, segments):
        """Yields (numbers int64 [n], scores float32 [n, C]) of some segments, in memory a part at a time."""
        step = max(1, _SCORES_AT_A_TIME // self.stored.values.shape[1])
        for begin in range(0, len(segments), step):
            part = segments[begin : begin + step]
            yield part, self.stored.scores(part)[:, self.columns]


@dataclass(frozen=True, eq=False)
class _Chosen:
    """(row, column) pairs with their scores, by rising row: rows int64 [n] of the whole store, columns int64, scores float32."""

    rows: np.ndarray
    columns: np.ndarray
    scores: np.ndarray

    @classmethod
    def of_classes(cls, chosen):
        """The pairs of all classes, from each class's (rows, scores)."""
        rows = np.concatenate([rows for rows, _ in chosen])
        columns = np.repeat(np.arange(len(chosen)), [len(rows) for rows, _ in chosen])
        order = np.argsort(rows, kind="stable")
        return cls(rows[order], columns[order], np.concatenate([scores for _, scores in chosen])[order])

    def within(self, first, count):
        """Those of `count` rows from `first` on, which becomes row 0."""
        part = slice(*np.searchsorted(self.rows, [first, first + count]))
        return _Chosen(self.rows[part] - first, self.columns[part], self.scores[part])


def _positives(scores, selection):
    """The highest scores of each class, as a _Chosen."""
    best = TopSegments(scores.classes, selection.top)
    label_map = LabelMap(scores.label_ids)
    for first, shard in scores:
        carried = [label_map.columns(of_video) for of_video in shard.labels]
        for segments, values in shard.chunks(np.arange(len(shard.rows))):
            if selection.video_labels_only:
                carries = multi_hot([carried[row] for row in shard.rows[segments]], scores.classes)
                values = np.where(carries > 0, values, -1)
            best.update(values, first + segments)
    chosen = []
    for column in range(scores.classes):
        rows, values = best.top(column)
        high = (values > 0) & (values >= np.float32(selection.min_score))
        chosen.append((rows[high], values[high]))
    return _Chosen.of_classes(chosen)


def _negatives(scores, positives, selection):
    """The lowest scores of each class among the segments, without its positives, of the videos that hold one of these."""
    counts = np.bincount(positives.columns, minlength=scores.classes)
    limits = counts if selection.negatives is None else np.full(scores.classes, selection.negatives)
    worst = TopSegments(scores.classes, max(1, limits.max()))
    for first, shard in scores if limits.any() else ():
        here = positives.within(first, len(shard.rows))
        if not len(here.rows):
            continue
        wanted = np.zeros((len(shard.ids), scores.classes), bool)
        wanted[shard.rows[here.rows], here.columns] = True
        for segments, values in shard.chunks(np.flatnonzero(wanted.any(axis=1)[shard.rows])):
            values = np.where(wanted[shard.rows[segments]], -values, -np.inf)
            at = np.searchsorted(segments, here.rows)
            shown = (at < len(segments)) & (segments[np.minimum(at, len(segments) - 1)] == here.rows)
            values[at[shown], here.columns[shown]] = -np.inf
            worst.update(values, _scattered(first + segments))
    chosen = []
    for column, limit in enumerate(limits):
        rows, values = worst.top(column)
        rows = _gathered(rows[np.isfinite(values)][:limit])
        chosen.append((rows, np.zeros(len(rows), np.float32)))
    return _Chosen.of_classes(chosen)


def _scattered(rows):
    """Row numbers in another order, one to one: quantised scores of 0 are many, and the first ones would all be of one shard."""
    if len(rows) and rows[-1] >= _PRIME:
        raise UserError(f"more than {_PRIME} segments in the shards. Make the pseudo-labels of fewer shards at a time.")
    return (rows.astype(np.uint64) * np.uint64(_FACTOR) % np.uint64(_PRIME)).astype(np.int64)


def _gathered(scattered):
    """The row numbers that _scattered made these of."""
    inverse = np.uint64(pow(_FACTOR, -1, _PRIME))
    return (scattered.astype(np.uint64) * inverse % np.uint64(_PRIME)).astype(np.int64)


def _located(scores, positives, negatives, soft):
    """Yields the ShardLabels of chosen rows."""
    for first, shard in scores:
        right, wrong = (chosen.within(first, len(shard.rows)) for chosen in (positives, negatives))
        segments = np.concatenate([right.rows, wrong.rows])
        columns = np.concatenate([right.columns, wrong.columns])
        values = right.scores if soft else np.ones(len(right.rows), np.float32)
        values = np.concatenate([values, wrong.scores])
        yield ShardLabels(shard.ids, shard.rows[segments], shard.starts[segments], scores.label_ids[columns], values)


def _numbers_of(ids, wanted, where):
    """int64 [N]: the record of each of the video ids `wanted` str [N], which come in runs of equal ones."""
    number = {id: record for record, id in enumerate(ids)}
    begins = np.flatnonzero(np.append(True, wanted[1:] != wanted[:-1])) if len(wanted) else np.zeros(0, np.int64)
    numbers = [number.get(id) for id in wanted[begins].tolist()]
    if None in numbers:
        unknown = wanted[begins[numbers.index(None)]]
        raise UserError(f"{where} are of video {str(unknown)!r}, which the shard has not. Name the data that was scored.")
    return np.repeat(np.array(numbers, np.int64), np.diff(np.append(begins, len(wanted))))
