"""What is known of a shard's rows before their frames are read: ids, labels and places, as arrays to gather a batch from."""

import functools
import os
import sys
import weakref
from dataclasses import dataclass

import numpy as np

from yt8m.readers import records
from yt8m.readers.annotations import annotated_contexts, annotations_version, check_sidecar
from yt8m.readers.contexts import contexts_in_bulk, ends_of, shard_contexts
from yt8m.readers.failures import naming_record
from yt8m.readers.index import LocalShard, open_shard, version
from yt8m.readers.layouts import FLOATS, layout_of
from yt8m.readers.recent import RecentlyUsed

# Of all tables together. That of an M-step's shard (1,000 videos with 46 segments each) takes about 2 MB, and a run has those of
# two groups of 16 shards in use.
MOST_BYTES = 512 << 20
_LATEST = 1 << 31  # a start time is before


@dataclass(frozen=True, eq=False)
class SegmentTable:
    """Of a shard with R records, n rows (segments that are read) and F features.

    Attributes:
        version: of the file, as index.version has it.
        ids: bytes, object [R].
        lengths: int64 [R], frames of each record; -1 where no row needs it.
        begins: int64 [R, F], as layouts.Layout's; 0 where the record has to be read whole.
        keys: int64 [n], rising: record << 32 | start time.
        columns, scores: int32 [P] and float32 [P], the known labels of the rows, one row's after the other's.
        ends: int64 [n + 1], where those of each row end, 0 first.
        video_columns, video_ends: int32 [L] and int64 [R + 1], the columns of the videos' labels likewise; none unless asked for.
    """

    version: tuple
    ids: np.ndarray
    lengths: np.ndarray
    begins: np.ndarray
    keys: np.ndarray
    columns: np.ndarray
    scores: np.ndarray
    ends: np.ndarray
    video_columns: np.ndarray
    video_ends: np.ndarray

    @property
    def rows(self):
        """(record, start time), int64 [n, 2]."""
        return np.stack([self.keys >> 32, self.keys & (_LATEST - 1)], axis=1)

    def starts(self, numbers):
        """The start times int64 [n] of the rows of each record of int64 [k], rising: a list."""
        first, last = np.searchsorted(self.keys, numbers << 32), np.searchsorted(self.keys, (numbers + 1) << 32)
        return [self.keys[begin:end] & (_LATEST - 1) for begin, end in zip(first.tolist(), last.tolist())]

    def find(self, numbers, starts):
        """The row of each record and start time, both int64 [k]: int64 [k], -1 where there is none."""
        return _found(self.keys, (numbers << 32) + starts)


@dataclass(frozen=True, eq=False)
class VideoTable:
    """Of a shard with R records and F features, rows that are whole records.

    Attributes:
        version: of the file, as index.version has it.
        ids: bytes, object [R].
        lengths: int64 [R], frames of each record, 1 for floats; 0 where it is unusual: then nothing else is known of it.
        begins: int64 [R, F], as layouts.Layout's.
        columns: int32 [L], those of the videos' labels, one's after the other's.
        ends: int64 [R + 1], where those of each end, 0 first.
    """

    version: tuple
    ids: np.ndarray
    lengths: np.ndarray
    begins: np.ndarray
    columns: np.ndarray
    ends: np.ndarray


def table_of(spec, path):
    """The SegmentTable or VideoTable of a shard as it is now; the last ones stay (MOST_BYTES).

    Args:
        spec: DataSpec.
        path: of the shard.

    Raises:
        UserError: a damaged shard or record, or a sidecar that does not fit.
    """
    annotated = annotations_version(spec, path) if spec.segment_labels else None
    return _TABLES.get((spec, path, version(path), annotated))


class Tables:
    """The tables of the shards of a spec, by their numbers; kept no longer than table_of does."""

    def __init__(self, spec, files):
        self._spec, self._files, self._known = spec, files, weakref.WeakValueDictionary()

    def __getitem__(self, shard):
        """The table of a shard; raises as table_of."""
        path = self._files[shard]
        key = shard, version(path)
        table = self._known.get(key)
        if table is None:
            table = self._known[key] = table_of(self._spec, path)
        return table


def _made(key):
    spec, path, file_version, _ = key
    return (_segment_table if spec.segment_labels else _video_table)(spec, path, file_version)


def _size(table):
    """Bytes of a table's arrays, with the ids' 40 each."""
    return sum(array.nbytes for array in vars(table).values() if isinstance(array, np.ndarray)) + 40 * len(table.ids)


_TABLES = RecentlyUsed(_made, MOST_BYTES, _size)


def _video_table(spec, path, file_version):
    shard, features = open_shard(path), len(spec.feature_names)
    lengths, begins = np.zeros(len(shard), np.int64), np.zeros((len(shard), features), np.int64)
    contexts = contexts_in_bulk(shard, spec.id_feature) if isinstance(shard, LocalShard) else None
    if contexts is None:  # remote, or a record says why when it is read
        none = np.zeros(0, np.int32)
        return VideoTable(file_version, np.empty(len(shard), object), lengths, begins, none, ends_of(lengths))
    if spec.frame_features:
        lengths, begins = layout_of(shard).of(spec.feature_names, spec.feature_sizes)
    else:
        lengths, begins = layout_of(shard, FLOATS).of(spec.feature_names, [4 * size for size in spec.feature_sizes])
        lengths = np.where(lengths == 1, 1, 0)
    labels, of_labels = contexts.labels, np.repeat(np.arange(len(shard)), np.diff(contexts.label_ends))
    lengths = lengths.copy()
    lengths[of_labels[(labels < 0) | (labels >= spec.num_classes)]] = 0
    columns, ends = _labels_of_videos(spec, contexts, of_labels)
    return VideoTable(file_version, contexts.ids, lengths, begins, columns, ends)


def _segment_table(spec, path, file_version):
    shard = open_shard(path)
    if spec.annotations:
        check_sidecar(spec, path)
    contexts = shard_contexts(shard, path, spec.id_feature)
    segments, segment_ends = annotated_contexts(spec, path, contexts)
    of_pairs = np.repeat(np.arange(len(shard)), np.diff(segment_ends))
    _check_labels(spec, path, segments.labels, of_pairs)
    columns = spec.label_map.columns(segments.labels)
    known = columns >= 0
    starts, scores, columns, of_pairs = segments.start_times[known], segments.scores[known], columns[known], of_pairs[known]
    distinct = np.unique(np.stack([of_pairs, starts], axis=1), axis=0)  # in the order of the records, rising
    needed = np.ones(len(shard), bool) if spec.all_segments else np.bincount(distinct[:, 0], minlength=len(shard)) > 0
    lengths, begins = _places(spec, shard, path, needed)
    last = np.minimum(lengths, spec.max_frames) if spec.by_video else lengths
    inside = (distinct[:, 1] >= 0) & (distinct[:, 1] < last[distinct[:, 0]])
    _tell_outside(path, file_version, len(inside) - int(inside.sum()))
    rows = _all_rows(spec, lengths) if spec.all_segments else distinct[inside]
    keys = (rows[:, 0] << 32) + rows[:, 1]
    of_labels = np.repeat(np.arange(len(shard)), np.diff(contexts.label_ends))
    is_read = np.zeros(len(shard), bool)
    is_read[rows[:, 0]] = True
    _check_labels(spec, path, contexts.labels[is_read[of_labels]], of_labels[is_read[of_labels]])
    positive = scores > 0 if spec.positive_ratings else np.zeros(len(scores), bool)
    none = np.zeros(0, np.int32), np.zeros(len(shard) + 1, np.int64)
    return SegmentTable(
        file_version, contexts.ids, lengths, begins, keys,
        *_labels_of_rows(keys, of_pairs, starts, columns, scores),
        *(_labels_of_videos(spec, contexts, of_labels, of_pairs[positive], columns[positive]) if spec.video_labels else none),
    )  # fmt: skip


def _places(spec, shard, path, needed):
    """(lengths int64 [R], begins int64 [R, F]) of a shard's records, those that are needed, bool [R]."""
    counts, begins = np.zeros(len(shard), np.int64), np.zeros((len(shard), len(spec.feature_names)), np.int64)
    if isinstance(shard, LocalShard) and needed.any():
        counts, begins = layout_of(shard).of(spec.feature_names, spec.feature_sizes)
    lengths = np.where(needed & (counts > 0), counts, -1)
    for number in np.flatnonzero(needed & (counts == 0)).tolist():
        with naming_record(path, number):
            lengths[number] = records.count_frames(shard.record(number), spec.feature_names, spec.feature_sizes)
    return lengths, begins


def _all_rows(spec, lengths):
    """(record, start time) int64 [n, 2] of all segments of all videos."""
    counts = -(-np.minimum(lengths, spec.max_frames) // spec.segment_size)
    of_rows = np.repeat(np.arange(len(lengths)), counts)
    starts = (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)) * spec.segment_size
    return np.stack([of_rows, starts], axis=1)


def _labels_of_rows(keys, of_pairs, starts, columns, scores):
    """(columns, scores, ends) of the rows, of a row in the order in which they are given."""
    usual = (starts >= 0) & (starts < _LATEST)
    of_pairs, starts, columns, scores = (values[usual] for values in (of_pairs, starts, columns, scores))
    found = _found(keys, (of_pairs << 32) + starts)
    found, columns, scores = found[found >= 0], columns[found >= 0], scores[found >= 0]
    order = np.argsort(found, kind="stable")
    return columns[order].astype(np.int32), scores[order], ends_of(np.bincount(found, minlength=len(keys)))


def _labels_of_videos(spec, contexts, of_labels, of_others=(), others=()):
    """(columns, ends) of the videos' labels, together with other columns of theirs."""
    columns = np.concatenate([spec.label_map.columns(contexts.labels), np.array(others, np.int64)])
    of_labels = np.concatenate([of_labels, np.array(of_others, np.int64)])
    of_labels, columns = of_labels[columns >= 0], columns[columns >= 0]
    order = np.argsort(of_labels, kind="stable")
    return columns[order].astype(np.int32), ends_of(np.bincount(of_labels, minlength=len(contexts.ids)))


def _found(keys, wanted):
    """The places of int64 [k] in rising int64 [n]: int64 [k], -1 where one is not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    there = keys[places] == wanted
    return places if there.all() else np.where(there, places, -1)


def _check_labels(spec, path, labels, of_labels):
    """Raises a UserError that names the record of a label that is none."""
    wrong = (labels < 0) | (labels >= spec.num_classes)
    if wrong.any():
        record = int(of_labels[wrong][0])
        with naming_record(path, record):
            records.check_labels(labels[of_labels == record], spec.num_classes)


@functools.cache
def _tell_outside(path, file_version, outside):
    """Says once of this version of a shard that segments are past their videos' ends."""
    if outside:
        name = os.path.basename(path)
        print(f"shard {name}: {outside} rated segment(s) start past their video's end; dropped.", file=sys.stderr)
