"""Which rows are read, in which order, without reading their frames.

The order is a pure function of (files, seed). A row reference is (shard, record, start): int64, `start` the start time of a
rated segment, 0 for whole videos; of a video with its segments it is (shard, record, number of the segments).
"""

import functools
import itertools

import numpy as np

from yt8m.errors import UserError
from yt8m.progress import Progress
from yt8m.readers import records
from yt8m.readers.ahead import AT_ONCE, open_ahead
from yt8m.readers.failures import naming_record
from yt8m.readers.index import index_shard, open_shard, version
from yt8m.readers.tables import table_of


def shard_rows(spec, files, shard):
    """References int64 [n, 3] of a shard's rows, in the order of the file.

    Args:
        spec: DataSpec.
        files: paths of the shards.
        shard: number of one of them.

    Raises:
        UserError: a damaged shard or record, or a sidecar that does not fit.
    """
    path = files[shard]
    if spec.segment_labels:
        selected = table_of(spec, path).rows
        if spec.by_video:
            selected = np.stack(np.unique(selected[:, 0], return_counts=True), axis=1)
    elif spec.only_videos_with_label_ids:
        selected = _selected_rows(spec, path, version(path))
    else:
        numbers = np.arange(len(index_shard(path)))
        selected = np.stack([numbers, np.zeros_like(numbers)], axis=1)
    return np.insert(selected, 0, shard, axis=1).astype(np.int64)


def ordered_rows(spec, files, ahead=False):
    """Yields references int64 [n, 3], a shard at a time, in the order of the files.

    Args:
        spec: DataSpec.
        files: paths of the shards.
        ahead: their records will be read: begin to read a remote shard when the one before it has its turn.

    Raises:
        UserError: as shard_rows, or no row at all.
    """

    def of_shards():
        for shard in range(len(files)):
            if ahead:
                open_ahead(files[shard : shard + 2])
            yield shard_rows(spec, files, shard)

    return _not_empty(of_shards(), spec)


def shuffled_rows(spec, files, seed, num_epochs, skip, shuffle_shards):
    """Yields references int64 [n, 3], a group of shards at a time, without the first `skip` rows.

    Only the shards up to the position are looked at: a run that goes on need not index what it has not come to.

    Raises:
        UserError: as shard_rows, or an epoch without any row.
    """
    with Progress("Indexing", unit="shards") as indexing:  # until the first rows come
        for epoch in itertools.count() if num_epochs is None else range(num_epochs):
            order = np.random.default_rng([seed, epoch]).permutation(len(files))
            groups = _epoch_rows(spec, files, order, [seed, epoch], shuffle_shards, indexing.advance)
            for group, rows in enumerate(_not_empty(groups, spec)):
                if len(rows) > skip:
                    indexing.finish()
                    begin = group * shuffle_shards
                    open_ahead(files[shard] for shard in order[begin : begin + shuffle_shards + AT_ONCE])
                yield rows[skip:]
                skip -= min(skip, len(rows))


def batched(row_arrays, batch_size, worker=(0, 1)):
    """Yields the worker's part of batches of batch_size references, across the arrays' ends."""
    index, count = worker
    left = np.zeros((0, 3), np.int64)
    for rows in row_arrays:
        left = np.concatenate([left, rows])
        whole = len(left) // batch_size * batch_size
        for begin in range(0, whole, batch_size):
            yield left[begin : begin + batch_size][index::count]
        left = left[whole:]
    if len(left):
        yield left[index::count]


def filled(row_arrays, num_segments, least=1):
    """Yields batches of references to videos with their segments, across the arrays' ends: as many videos as have no more than
    num_segments together.

    Which videos a batch has does not depend on where the arrays end, and no video is left out or split.

    Args:
        row_arrays: iterable of references int64 [n, 3], whose last entry is the number of a video's segments.
        num_segments: of a batch.
        least: videos of a batch, also where they have more segments: each of several devices needs one. The very last batch may
            have fewer.
    """
    left = np.zeros((0, 3), np.int64)
    for rows in row_arrays:
        left = np.concatenate([left, rows])
        ends, begin = np.cumsum(left[:, 2]), 0
        while True:
            before = ends[begin - 1] if begin else 0
            end = max(int(np.searchsorted(ends, before + num_segments, side="right")), begin + least)
            if end >= len(left):  # the next array's first video may belong to it, too
                break
            yield left[begin:end]
            begin = end
        left = left[begin:]
    if len(left):
        yield left


def _epoch_rows(spec, files, order, seed, shuffle_shards, advance):
    """Yields the rows of a group of shards at a time; calls advance() after each shard."""
    for group, begin in enumerate(range(0, len(order), shuffle_shards)):
        of_shards = []
        for shard in order[begin : begin + shuffle_shards]:
            of_shards.append(shard_rows(spec, files, shard))
            advance()
        rows, random = np.concatenate(of_shards), np.random.default_rng([*seed, group])
        if spec.class_balance and len(rows):
            yield random.choice(rows, len(rows), p=chances(spec, files, rows))
        else:
            yield random.permutation(rows)


def chances(spec, files, rows):
    """Chance of each row in class-balanced sampling, float64 [n] of sum 1: in proportion to the mean of m^-b over its labels.

    m is the number of the rows that have a label, b the spec's class_balance: with b = 1 classes come equally often where rows
    have one label each, with b = 0 rows do. A row without a label counts as one of the commonest class.

    Args:
        spec: WholeVideos.
        files: paths of the shards.
        rows: references int64 [n, 3].
    """
    columns, counts = [], []  # of the rows' labels, one row's after the other's, and how many a row has
    for shard in np.unique(rows[:, 0]):
        of_shard, ends = _labels(spec, files[shard], version(files[shard]))
        wanted = rows[rows[:, 0] == shard, 1]
        counts.append(ends[wanted + 1] - ends[wanted])
        columns += [of_shard[ends[record] : ends[record + 1]] for record in wanted]
    order = np.argsort(rows[:, 0], kind="stable")  # of `columns` and `counts`
    columns, counts = np.concatenate(columns), np.concatenate(counts)
    of_classes = np.maximum(np.bincount(columns, minlength=1), 1)
    weights = (of_classes / of_classes.max()) ** -spec.class_balance
    totals = np.bincount(np.repeat(np.arange(len(rows)), counts), weights[columns], len(rows))
    of_rows = np.empty(len(rows))
    of_rows[order] = np.where(counts > 0, totals / np.maximum(counts, 1), 1.0)
    return of_rows / of_rows.sum()


def _not_empty(row_arrays, spec):
    """Passes them on; an epoch without any row is an error, which in training would else be an endless loop."""
    count = 0
    for rows in row_arrays:
        count += len(rows)
        yield rows
    if not count:
        where = f"--{spec.pattern_flag}='{spec.pattern}'"
        if spec.segment_labels:
            raise UserError(f"no rated segment in {where}: needs version-3 validate shards.")
        if spec.only_videos_with_label_ids:
            raise UserError(f"no video in {where} carries one of the {len(spec.label_ids)} label ids. Check the label ids.")
        raise UserError(f"no record in {where}: the shards are empty. Give other shards.")


@functools.cache
def _selected_rows(spec, path, version):
    """(record, 0), int64 [n, 2], of the videos of this version of a shard that carry one of the spec's label ids."""
    shard, rows = open_shard(path), []
    for number in range(len(shard)):
        with naming_record(path, number):
            video = records.decode_context(shard.record(number), spec.id_feature)
            if spec.label_map.columns(video.labels).max(initial=-1) >= 0:
                rows.append((number, 0))
    return np.array(rows, np.int64).reshape(-1, 2)


@functools.cache
def _labels(spec, path, version):
    """Of this version of a shard, from the records' contexts: (columns of the labels of all its videos, one video's after the
    other's, and where they end, with a 0 in front)."""
    shard, labels = open_shard(path), []
    for number in range(len(shard)):
        with naming_record(path, number):
            video = records.decode_context(shard.record(number), spec.id_feature)
            columns = np.unique(spec.label_map.columns(video.labels)).astype(np.int32)
            labels.append(columns[columns >= 0])
    ends = np.concatenate([[0], np.cumsum([len(columns) for columns in labels], dtype=np.int64)])
    return np.concatenate([np.zeros(0, np.int32), *labels]), ends
