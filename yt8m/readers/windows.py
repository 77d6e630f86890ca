"""Segments and the frames around them, a batch at once: their frames are read, not the records that they are in."""

import math
from dataclasses import dataclass

import numpy as np

from yt8m.readers import pairs, records
from yt8m.readers.failures import naming_record
from yt8m.readers.framing import changed
from yt8m.readers.index import open_shard
from yt8m.readers.kept import Kept
from yt8m.readers.layouts import FRAMES, strides_at
from yt8m.readers.memory import aligned_empty, aligned_zeros
from yt8m.readers.parts import elements_of, parts_of
from yt8m.readers.tables import Tables
from yt8m.readers.wire import frame_header
from yt8m.segments import mean_features


class Windows:
    """Batches of segments from references to them.

    Args:
        spec: RatedSegments, or another of segments with segment_expansion; of labels any of segments.
        files: paths of the shards.
        keep: keep the frames of what is read more than once (kept.MOST_BYTES), unless every segment of every video is.
    """

    def __init__(self, spec, files, keep=False):
        self._spec, self._files, self._tables = spec, files, Tables(spec, files)
        self._kept = Kept() if keep and not spec.all_segments else None

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
        return {**_ids(facts, rows), **arrays, **self._labels(rows, facts.order, facts.parts, facts.found)}

    def labels(self, rows):
        """What a batch holds beside its frames and ids."""
        return self._labels(rows, *self._found(rows))

    def _labels(self, rows, order, parts, found):
        return {**_labels(self._spec, rows, order, parts, found), "start_times": rows[:, 2].astype(np.int32)}

    def _found(self, rows):
        """(order, parts) as parts.parts_of's, and int64 [B], the row of each in its shard's table."""
        order, parts = parts_of(rows, self._tables)
        records, starts, found = rows[order, 1], rows[order, 2], np.empty(len(rows), np.int64)
        for part in parts:
            found[part.slice] = part.table.find(records[part.slice], starts[part.slice])
        if (found < 0).any():
            raise changed(self._files[rows[order[found < 0][0], 0]])
        return order, parts, found

    def _facts(self, rows):
        """The _Facts of a batch."""
        spec, (order, parts, found) = self._spec, self._found(rows)
        starts, lengths = rows[order, 2], np.empty(len(rows), np.int64)
        begin = np.empty((len(rows), len(spec.feature_sizes)), np.int64)
        for part in parts:
            numbers = rows[order[part.slice], 1]
            lengths[part.slice], begin[part.slice] = part.table.lengths[numbers], part.table.begins[numbers]
        first = np.maximum(starts - spec.segment_expansion, 0)
        counts = np.minimum(starts + spec.segment_size + spec.segment_expansion, lengths) - first
        usual = begin[:, 0] > 0
        for number, size in enumerate(spec.feature_sizes):
            begin[:, number] += first * FRAMES.stride(size)
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
            values = strides_at(shard.data, facts.begins[part.slice, number], counts, length, FRAMES.stride(size))
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
                record = shard.record(last)
                with naming_record(path, last):
                    video = records.decode_video(record, spec.feature_names, spec.feature_sizes, spec.id_feature)
            window, read = slice(first[row], first[row] + counts[row]), frames[places[row], : counts[row]]
            np.concatenate([video.frames[name][window] for name in spec.feature_names], axis=1, out=read)


@dataclass(frozen=True, eq=False)
class _Facts:
    """What is known of the B rows of a batch, those of a shard one after the other.

    Attributes:
        order: int64 [B], where each is in the batch.
        parts: the parts.Part of each shard.
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


def _ids(facts, rows):
    ids = np.empty(len(rows), object)
    for part in facts.parts:
        places = facts.order[part.slice]
        ids[places] = part.table.ids[rows[places, 1]]
    return {"ids": ids}


def _labels(spec, rows, order, parts, found):
    """As row_labels.labels_of_segments'."""
    shape = len(rows), spec.label_map.size
    of_rows, columns, scores = elements_of(order, parts, found, "ends", "columns", "scores")
    if spec.dense:
        rising, weights = np.argsort(of_rows, kind="stable"), np.ones(len(rows), np.float32)
        arrays = dict(zip(pairs.KEYS, (of_rows[rising].astype(np.int32), columns[rising], scores[rising], weights)))
    else:
        labels, weights = aligned_zeros(shape, np.float32), aligned_zeros(shape, np.float32)
        labels[of_rows, columns], weights[of_rows, columns] = scores, 1
        arrays = {"labels": labels, "label_weights": weights}
    if spec.video_labels:
        arrays["video_labels"] = aligned_zeros(shape, np.float32)
        arrays["video_labels"][elements_of(order, parts, rows[order, 1], "video_ends", "video_columns")] = 1
    return arrays
