"""Soft labels: the mean of the scores that teachers have in their stores, for the rows of a batch."""

import functools
import os

import numpy as np

from yt8m.errors import UserError
from yt8m.readers.index import version_if_there
from yt8m.readers.memory import aligned_zeros
from yt8m.readers.stores import STORE_FILE, open_store


def soft_labels(spec, files, rows, arrays):
    """The teachers' mean scores, and 1 for the classes that all of them know.

    Args:
        spec: DataSpec with teachers.
        files: paths of the shards.
        rows: references int64 [B, 3] (readers/rows.py).
        arrays: of the batch: `ids`, and of segments `start_times`, of rows by video `segment_rows`.

    Returns:
        dict of `soft_labels` and `soft_weights`, float32 [N, C].

    Raises:
        UserError: a store without one of the rows, or of the other kind.
    """
    videos = arrays["segment_rows"] if spec.by_video else np.arange(len(rows))
    starts = arrays["start_times"] if spec.segment_labels else np.zeros(len(videos), np.int64)
    soft = aligned_zeros((len(videos), spec.label_map.size), np.float32)
    known = np.ones(spec.label_map.size, np.float32)
    names = [(files[rows[video, 0]], arrays["ids"][video].decode()) for video in videos]
    for folder in map(os.path.abspath, spec.teachers):
        store = _store(folder, version_if_there(os.path.join(folder, STORE_FILE)))
        columns = spec.label_map.columns(np.array(store.config.label_ids))
        known[np.setdiff1d(np.arange(len(known)), columns)] = 0
        of_shards = {path: _scores_of(store, os.path.basename(path), spec.segment_labels) for path in {path for path, _ in names}}
        for row, ((path, video), start) in enumerate(zip(names, starts)):
            scores = of_shards[path].scores(video, start)
            soft[row, columns[columns >= 0]] += scores[columns >= 0] / len(spec.teachers)
    soft *= known
    return {"soft_labels": soft, "soft_weights": np.broadcast_to(known, soft.shape).copy()}


class _Teacher:
    """One shard of a score store, by video and start time."""

    def __init__(self, store, name, segments):
        kind, wanted = store.config.kind, "segments" if segments else "videos"
        if kind != wanted:
            raise UserError(f"--teacher_scores={store.folder}: scores of {kind}; this stage needs those of {wanted}.")
        self._name, self._folder, self._stored = name, store.folder, store.read(name)
        ids = self._stored.ids
        # a video's rows are in one piece
        begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])) if len(ids) else np.zeros(0, int)
        ends = np.append(begins[1:], len(ids))
        self._rows = {video: slice(begin, end) for video, begin, end in zip(ids[begins].tolist(), begins, ends)}

    def scores(self, video, start):
        """Scores float32 [teacher's classes] of a video's segment, or of the video."""
        rows = self._rows.get(video)
        at = None
        if rows is not None:
            at = rows.start
            if self._stored.starts is not None:
                matches = np.flatnonzero(self._stored.starts[rows] == start)
                at = rows.start + matches[0] if len(matches) else None
        if at is None:
            raise UserError(
                f"--teacher_scores={self._folder}: no scores of {video}:{start} in its {self._name}. Score these shards with "
                "inference.py --scores_output first."
            )
        return self._stored.scores(slice(at, at + 1))[0]


@functools.lru_cache(maxsize=64)
def _store(folder, version):
    """A score store; this version of its store.json is read once, not with every batch."""
    return open_store(folder)


def _scores_of(store, name, segments):
    """The _Teacher of a shard as it is now."""
    return _teacher(store, name, segments, tuple(map(version_if_there, store.files(name))))


@functools.lru_cache(maxsize=256)
def _teacher(store, name, segments, versions):
    return _Teacher(store, name, segments)
