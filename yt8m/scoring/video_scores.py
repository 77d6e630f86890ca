"""Stored scores of whole videos, looked up by the videos' ids, and which rows of a store of segments are whose."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from yt8m.errors import UserError
from yt8m.readers.stores import open_store


class VideoScores:
    """The scores of a store of videos.

    Its shards need not be those of the segments: a video is found by its id, of a repeated one the first.

    Args:
        folder: of the store (yt8m inference --scores_output without --segment_labels).
        label_ids: the classes that are wanted.
        flag: what messages call the folder.

    Attributes:
        columns: int [C], of the wanted classes among all that the store has.
        dtype: what the scores are stored as.

    Raises:
        UserError: no store there, one of segments, one without videos, or one that lacks a wanted class.
    """

    def __init__(self, folder, label_ids, flag="video_scores"):
        self._store, self._name = open_store(folder), f"--{flag}={folder}"
        if self._store.config.kind != "videos":
            raise UserError(f"{self._name} holds scores of segments. Name a store of videos: inference without --segment_labels.")
        self.columns, self.dtype = columns_of(folder, self._store, label_ids), self._store.config.dtype
        self._shards, self._open = self._store.shards(), (None, None)
        ids = [self._store.read(shard).ids for shard in self._shards]
        if not sum(map(len, ids)):
            raise UserError(f"{self._name}: no complete shard in it. Run yt8m inference --scores_output to its end.")
        index = pd.Index(np.concatenate(ids).astype(object))
        first = np.flatnonzero(~index.duplicated())
        self._index = index[first]
        self._shard_of = np.repeat(np.arange(len(ids)), list(map(len, ids)))[first]
        self._row_of = np.concatenate([np.arange(len(part)) for part in ids])[first]

    def of(self, ids):
        """The scores of videos for all classes of the store, float32 [n, all]; `columns` of them are the wanted.

        Args:
            ids: str [n].

        Raises:
            UserError: the store lacks one of them.
        """
        places = self._index.get_indexer(np.asarray(ids, object))
        if (places < 0).any():
            missing = np.asarray(ids)[places < 0]
            count = f"{len(missing)} of {len(places)} videos ({missing[0]}, ...)"
            raise UserError(f"{self._name}: no scores of {count}. Score these videos, too.")
        scores = np.zeros((len(places), len(self._store.config.label_ids)), np.float32)
        shards = self._shard_of[places]
        for number in np.unique(shards):
            rows = np.flatnonzero(shards == number)
            scores[rows] = self._shard(number).scores(self._row_of[places[rows]])
        return scores

    def _shard(self, number):
        """The StoredScores of a shard; the last one is kept open."""
        if self._open[0] != number:
            self._open = number, self._store.read(self._shards[number])
        return self._open[1]


class VideoRows(NamedTuple):
    """The videos of a store of segments, in the order of its rows.

    Attributes:
        ids: str [V].
        first: int64 [V], the first row of each, counted through all shards.
        counts: int64 [V], its segments.
    """

    ids: np.ndarray
    first: np.ndarray
    counts: np.ndarray

    def of_rows(self, rows):
        """The number of the video of each row: int [n] -> int [n]."""
        return np.searchsorted(self.first, rows, side="right") - 1


def video_rows(store, shards):
    """The VideoRows of some shards of a ScoreStore of segments."""
    ids, first, counts, num_rows = [], [], [], 0
    for shard in shards:
        stored = store.read(shard)
        begins = stored.first_rows()
        ids.append(stored.ids[begins])
        first.append(num_rows + begins)
        counts.append(np.diff(np.append(begins, len(stored.ids))))
        num_rows += len(stored.ids)
    return VideoRows(*(np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in (ids, first, counts)))


def columns_of(folder, store, label_ids):
    """The columns of label ids in a ScoreStore: int [C].

    Raises:
        UserError: the store lacks one of them.
    """
    column = {label: index for index, label in enumerate(store.config.label_ids)}
    missing = [label for label in label_ids if label not in column]
    if missing:
        raise UserError(
            f"{folder}: no scores of {len(missing)} of the {len(label_ids)} classes ({missing[0]}, ...). "
            "Name classes that all members predict in --segment_label_ids_file."
        )
    return np.array([column[label] for label in label_ids])
