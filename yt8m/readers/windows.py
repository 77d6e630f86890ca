"""Segments and the frames around them, a batch at once: their frames are read, not the records that they are in."""

import math
import threading
import weakref

import numpy as np

from yt8m.errors import UserError
from yt8m.readers import pairs, records
from yt8m.readers.failures import naming_record
from yt8m.readers.index import open_shard
from yt8m.readers.layouts import stride_of
from yt8m.readers.memory import aligned_zeros
from yt8m.readers.tables import Tables
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
        """The arrays of a batch by name, as decoding.decoded's.

        Args:
            rows: references int64 [B, 3].

        Raises:
            UserError: names the record that is wrong.
        """
        spec, count = self._spec, len(rows)
        ids, num_frames = np.empty(count, object), np.zeros(count, np.int32)
        frames = aligned_zeros((count, spec.num_frames, sum(spec.feature_sizes)), np.uint8)
        labels = _Labels(spec, count)
        for shard, places in _by_shard(rows):
            table = self._tables[shard]
            found = table.find(rows[places, 1:])
            if (found < 0).any():
                raise UserError(f"shard {self._files[shard]} changed while it was read. Run the command again.")
            numbers = rows[places, 1]
            ids[places] = table.ids[numbers]
            labels.add(places, table, found, numbers)
            kept = self._kept_frames(shard, table)
            if kept is None:
                num_frames[places] = self._read(frames, places, shard, table, rows[places, 1:])
            else:
                frames[places], num_frames[places] = kept[0][found], kept[1][found]
        if spec.gives_frames:
            arrays = {"frames": frames, "num_frames": num_frames}
        else:
            arrays = {"features": mean_features(frames, num_frames)}
        return {"ids": ids, **arrays, **labels.arrays(), "start_times": rows[:, 2].astype(np.int32)}

    def _kept_frames(self, shard, table):
        """(frames uint8 [n, W, D], num_frames int32 [n]) of all rows of a shard, or None where they are not kept."""
        if self._kept is None:
            return None
        shape = len(table.keys), self._spec.num_frames, sum(self._spec.feature_sizes)

        def make():
            frames = np.zeros(shape, np.uint8)
            return frames, self._read(frames, np.arange(len(frames)), shard, table, table.rows)

        return self._kept.get((shard, table.version), math.prod(shape), make)

    def _read(self, frames, places, shard, table, rows):
        """Reads the frames of rows (record, start) int64 [k, 2] of a shard to their places.

        Returns:
            int32 [k], how many these are; behind them are zeros.
        """
        spec, path, numbers = self._spec, self._files[shard], rows[:, 0]
        first = np.maximum(rows[:, 1] - spec.segment_expansion, 0)
        last = np.minimum(rows[:, 1] + spec.segment_size + spec.segment_expansion, table.lengths[numbers])
        counts, offsets = last - first, np.arange(spec.num_frames)
        behind = offsets >= counts[:, None]  # [k, W]
        indices = first[:, None] + np.where(behind, 0, offsets)
        opened, whole, at = open_shard(path), table.begins[numbers, 0] == 0, 0
        if not whole.all():
            for number, size in enumerate(spec.feature_sizes):
                begins = table.begins[numbers, number, None] + indices * stride_of(size)
                values, right = _gathered(opened.data, np.where(whole[:, None], 0, begins), size)
                frames[places, :, at : at + size] = values
                whole, at = whole | ~right, at + size
        if whole.any():
            self._read_whole(frames, places[whole], path, numbers[whole], first[whole], counts[whole])
        if behind.any():
            of_rows, of_frames = np.nonzero(behind)
            frames[places[of_rows], of_frames] = 0
        return counts.astype(np.int32)

    def _read_whole(self, frames, places, path, numbers, firsts, counts):
        """Reads windows of unusual or remote records, each of which is decoded once."""
        spec, opened, last = self._spec, open_shard(path), None
        for row in np.argsort(numbers, kind="stable"):
            if numbers[row] != last:
                last = numbers[row]
                with naming_record(path, last):
                    video = records.decode_video(opened.record(last), spec.feature_names, spec.feature_sizes, spec.id_feature)
            at, window = 0, slice(firsts[row], firsts[row] + counts[row])
            for name, size in zip(spec.feature_names, spec.feature_sizes):
                frames[places[row], : counts[row], at : at + size] = video.frames[name][window]
                at += size


class _Labels:
    """The labels of a batch, gathered from the tables of its shards."""

    def __init__(self, spec, count):
        self._spec, self._count = spec, count
        self._rows, self._columns, self._scores, self._of_videos, self._of_columns = [], [], [], [], []

    def add(self, places, table, found, numbers):
        """Those of the rows `found` of a table, whose records are `numbers`, to their places in the batch."""
        rows, at = _ranges(table.ends, found)
        self._rows.append(places[rows])
        self._columns.append(table.columns[at])
        self._scores.append(table.scores[at])
        if self._spec.video_labels:
            rows, at = _ranges(table.video_ends, numbers)
            self._of_videos.append(places[rows])
            self._of_columns.append(table.video_columns[at])

    def arrays(self):
        """As row_labels.labels_of_segments'."""
        classes = self._spec.label_map.size
        rows, columns, scores = (
            np.concatenate([np.zeros(0, kind), *parts])
            for parts, kind in ((self._rows, np.int64), (self._columns, np.int32), (self._scores, np.float32))
        )
        if self._spec.dense:
            order = np.argsort(rows, kind="stable")
            weights = np.ones(self._count, np.float32)
            arrays = dict(zip(pairs.KEYS, (rows[order].astype(np.int32), columns[order], scores[order], weights)))
        else:
            labels, weights = (aligned_zeros((self._count, classes), np.float32) for _ in range(2))
            labels[rows, columns], weights[rows, columns] = scores, 1
            arrays = {"labels": labels, "label_weights": weights}
        if self._spec.video_labels:
            arrays["video_labels"] = aligned_zeros((self._count, classes), np.float32)
            for rows, columns in zip(self._of_videos, self._of_columns):
                arrays["video_labels"][rows, columns] = 1
        return arrays


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


def _by_shard(rows):
    """(number of a shard, places int64 [k] of its rows) of each shard of references int64 [B, 3]."""
    order = np.argsort(rows[:, 0], kind="stable")
    shards, begins = np.unique(rows[order, 0], return_index=True)
    return zip(shards.tolist(), np.split(order, begins[1:]))


def _ranges(ends, parts):
    """(int64 [n], int64 [n]) of the elements of some parts: which of `parts` each is of, and where it is.

    Args:
        ends: int64, where the parts that follow one another end, 0 first.
        parts: int64 [k], numbers of some of them.
    """
    first, counts = ends[parts], ends[parts + 1] - ends[parts]
    of_parts = np.repeat(np.arange(len(parts)), counts)
    return of_parts, np.arange(len(of_parts)) + (first - np.cumsum(counts) + counts)[of_parts]


def _gathered(data, begins, size):
    """Frames of `size` bytes, of which those begin at int64 [k, W] with what precedes them.

    Returns:
        uint8 [k, W, size], and bool [k]: whether what precedes each of a row's frames is as it must be.
    """
    header = np.frombuffer(frame_header(size), np.uint8)
    stride = len(header) + size
    places = np.lib.stride_tricks.as_strided(data, (len(data) - stride + 1, stride), (1, 1), writeable=False)
    values = places[begins]  # [k, W, stride]
    return values[..., len(header) :], (values[..., : len(header)] == header).all(axis=(1, 2))
