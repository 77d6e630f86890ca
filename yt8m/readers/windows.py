"""Segments and the frames around them, a batch at once: their frames are read, not the records that they are in."""

import math
import threading
import weakref
from dataclasses import dataclass

import numpy as np

from yt8m.errors import UserError
from yt8m.readers import pairs, records
from yt8m.readers.failures import naming_record
from yt8m.readers.index import open_shard
from yt8m.readers.layouts import stride_of, strided
from yt8m.readers.memory import aligned_empty, aligned_zeros
from yt8m.readers.tables import SegmentTable, Tables
from yt8m.readers.wire import frame_header
from yt8m.segments import mean_features

# Bytes of frames that a process keeps of rated segments: all of YouTube-8M's (237,788 of 5 frames with 1,152 bytes) take 1.4 GB.
# With 3 frames more on both sides they take 3.0 GB: then a third of them is read anew in every epoch.
MOST_KEPT = 2 << 30


class Windows:
    """Batches of RatedSegments from references to their rows.

    Args:
        spec: RatedSegments.
        files: paths of the shards.
        keep: keep the frames of what is read more than once (MOST_KEPT), unless every segment of every video is.
    """

    def __init__(self, spec, files, keep=False):
        self._spec, self._files, self._tables = spec, files, Tables(spec, files)
        self._kept = _Kept() if keep and not spec.all_segments else None

    def batch(self, rows):
        """The arrays of a batch by name, as decoding.decoder's.

        Args:
            rows: references int64 [B, 3].

        Raises:
            UserError: names the record that is wrong.
        """
        spec, facts = self._spec, self._facts(rows)
        frames = aligned_empty((len(rows), spec.num_frames, sum(spec.feature_sizes)), np.uint8)
        for part in facts.parts:
            places, kept = facts.order[part.slice], self._kept_frames(part)
            if kept is None:
                self._read(frames, places, part, facts, rows[places])
            else:
                frames[places] = kept[facts.found[part.slice]]
        num_frames = np.empty(len(rows), np.int32)
        num_frames[facts.order] = facts.counts
        arrays = {"frames": frames, "num_frames": num_frames}
        if not spec.gives_frames:
            arrays = {"features": mean_features(frames, num_frames)}
        return {**_ids(facts, rows), **arrays, **_labels(spec, facts, rows), "start_times": rows[:, 2].astype(np.int32)}

    def _facts(self, rows):
        """The _Facts of a batch."""
        spec, order = self._spec, np.argsort(rows[:, 0], kind="stable")
        shards, begins = np.unique(rows[order, 0], return_index=True)
        records, starts, count = rows[order, 1], rows[order, 2], len(rows)
        found, lengths, begin = (np.empty(shape, np.int64) for shape in (count, count, (count, len(spec.feature_sizes))))
        parts = []
        for shard, first, last in zip(shards.tolist(), begins.tolist(), [*begins[1:].tolist(), count]):
            of_shard, table = slice(first, last), self._tables[shard]
            numbers = records[of_shard]
            found[of_shard] = table.find(numbers, starts[of_shard])
            lengths[of_shard], begin[of_shard] = table.lengths[numbers], table.begins[numbers]
            parts.append(_Part(shard, of_shard, table))
        if (found < 0).any():
            path = self._files[rows[order[found < 0][0], 0]]
            raise UserError(f"shard {path} changed while it was read. Run the command again.")
        first = np.maximum(starts - spec.segment_expansion, 0)
        counts = np.minimum(starts + spec.segment_size + spec.segment_expansion, lengths) - first
        usual = begin[:, 0] > 0
        for number, size in enumerate(spec.feature_sizes):
            begin[:, number] += first * stride_of(size)
        return _Facts(order, parts, found, first, counts, np.where(usual[:, None], begin, -1))

    def _kept_frames(self, part):
        """The frames uint8 [n, W, D] of all rows of a shard, or None where they are not kept."""
        if self._kept is None:
            return None
        shape = len(part.table.keys), self._spec.num_frames, sum(self._spec.feature_sizes)

        def make():
            frames, rows = np.zeros(shape, np.uint8), np.insert(part.table.rows, 0, part.shard, axis=1)
            facts = self._facts(rows)
            self._read(frames, facts.order, facts.parts[0], facts, rows)
            return frames

        return self._kept.get((part.shard, part.table.version), math.prod(shape), make)

    def _read(self, frames, places, part, facts, rows):
        """Reads the frames of a part's rows to their places; behind them are zeros."""
        spec, shard = self._spec, open_shard(self._files[part.shard])
        counts, at, length = facts.counts[part.slice], 0, spec.num_frames
        behind = np.arange(length) >= counts[:, None] if counts.min() < length else None  # [k, W]
        whole = facts.begins[part.slice, 0] < 0
        for number, size in enumerate(spec.feature_sizes if not whole.all() else ()):
            values = _strides(shard.data, facts.begins[part.slice, number], counts, length, stride_of(size))
            header = values[:, :, :-size] == np.frombuffer(frame_header(size), np.uint8)
            if not header.all():
                right = header.all(axis=2) if behind is None else header.all(axis=2) | behind
                whole = whole | ~right.all(axis=1)
            frames[places, :, at : at + size] = values[:, :, -size:]
            at += size
        if behind is not None:
            of_rows, of_frames = np.nonzero(behind)
            frames[places[of_rows], of_frames] = 0
        if whole.any():
            self._read_whole(frames, places[whole], rows[whole], facts.first[part.slice][whole], counts[whole])

    def _read_whole(self, frames, places, rows, first, counts):
        """Reads windows of unusual or remote records of a shard, each of which is decoded once."""
        spec, path, last = self._spec, self._files[rows[0, 0]], None
        shard = open_shard(path)
        for row in np.argsort(rows[:, 1], kind="stable"):
            if rows[row, 1] != last:
                last = rows[row, 1]
                with naming_record(path, last):
                    video = records.decode_video(shard.record(last), spec.feature_names, spec.feature_sizes, spec.id_feature)
            window, read = slice(first[row], first[row] + counts[row]), frames[places[row], : counts[row]]
            np.concatenate([video.frames[name][window] for name in spec.feature_names], axis=1, out=read)


@dataclass(frozen=True, eq=False)
class _Part:
    """The rows of a batch that are of one shard: which of its _Facts, and the shard's SegmentTable."""

    shard: int
    slice: slice
    table: SegmentTable


@dataclass(frozen=True, eq=False)
class _Facts:
    """What is known of the B rows of a batch, those of a shard one after the other.

    Attributes:
        order: int64 [B], where each is in the batch.
        parts: the _Part of each shard.
        found: int64 [B], its row in the shard's table.
        first, counts: int64 [B], its first frame, and how many there are.
        begins: int64 [B, F], the byte of the file where its first frame of each feature begins; -1: the record is read whole.
    """

    order: np.ndarray
    parts: list
    found: np.ndarray
    first: np.ndarray
    counts: np.ndarray
    begins: np.ndarray


def _strides(data, begins, counts, length, stride):
    """uint8 [k, length, stride] of what begins at each of int64 [k] bytes of a file; anything where that is negative.

    Args:
        data: uint8, the file.
        begins: int64 [k].
        counts: int64 [k], the strides of each that matter: of those near the end of the file no others are read.
        length, stride: of all.
    """
    last = len(data) - length * stride
    if last >= 0:
        values = strided(data, length * stride)[np.clip(begins, 0, last)].reshape(-1, length, stride)
    else:
        values = np.zeros((len(begins), length, stride), np.uint8)
    for row in np.flatnonzero(begins > last).tolist():
        begin, size = begins[row], counts[row] * stride
        values[row, : counts[row]] = data[begin : begin + size].reshape(-1, stride)
    return values


def _ids(facts, rows):
    ids = np.empty(len(rows), object)
    for part in facts.parts:
        places = facts.order[part.slice]
        ids[places] = part.table.ids[rows[places, 1]]
    return {"ids": ids}


def _labels(spec, facts, rows):
    """As row_labels.labels_of_segments'."""
    shape = len(rows), spec.label_map.size
    of_rows, columns, scores = _gathered(facts, facts.found, "ends", "columns", "scores")
    if spec.dense:
        order = np.argsort(of_rows, kind="stable")
        weights = np.ones(len(rows), np.float32)
        arrays = dict(zip(pairs.KEYS, (of_rows[order].astype(np.int32), columns[order], scores[order], weights)))
    else:
        labels, weights = aligned_zeros(shape, np.float32), aligned_zeros(shape, np.float32)
        labels[of_rows, columns], weights[of_rows, columns] = scores, 1
        arrays = {"labels": labels, "label_weights": weights}
    if spec.video_labels:
        arrays["video_labels"] = aligned_zeros(shape, np.float32)
        arrays["video_labels"][_gathered(facts, rows[facts.order, 1], "video_ends", "video_columns")] = 1
    return arrays


def _gathered(facts, lists, ends, *names):
    """(places in the batch int64 [n], the elements [n] of each array) of lists in the arrays of the shards' tables.

    Args:
        facts: of the batch.
        lists: int64 [B], the number of each row's list in its shard's table.
        ends: name of the table's array that says where lists end.
        names: of the arrays that hold their elements.
    """
    first, last = np.empty(len(lists), np.int64), np.empty(len(lists), np.int64)
    for part in facts.parts:
        numbers, of_table = lists[part.slice], getattr(part.table, ends)
        first[part.slice], last[part.slice] = of_table[numbers], of_table[numbers + 1]
    stops = np.cumsum(last - first)
    of_rows = np.repeat(np.arange(len(lists)), last - first)
    at = np.arange(len(of_rows)) + (last - stops)[of_rows]
    gathered, begin = [[] for _ in names], 0
    for part in facts.parts:
        end = stops[part.slice.stop - 1]
        for name, values in zip(names, gathered):
            values.append(getattr(part.table, name)[at[begin:end]])
        begin = end
    return facts.order[of_rows], *(np.concatenate(values or [np.zeros(0, int)]) for values in gathered)


class _Kept:
    """What was read of shards once, as long as a dataset lives and all datasets together hold no more than MOST_KEPT."""

    held, lock = 0, threading.Lock()  # bytes of all datasets

    def __init__(self):
        self._frames, self._making, self._bytes = {}, threading.Lock(), [0]
        weakref.finalize(self, _give_back, self._bytes)

    def get(self, key, size, make):
        """What make() returned for a key, None where its `size` bytes do not fit."""
        with self._making:
            if key not in self._frames:
                with _Kept.lock:
                    if _Kept.held + size > MOST_KEPT:
                        return None
                    _Kept.held += size
                    self._bytes[0] += size
                self._frames[key] = make()
            return self._frames[key]


def _give_back(held):
    with _Kept.lock:
        _Kept.held -= held[0]
