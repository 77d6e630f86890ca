"""Many workers: each keeps the best segments of its own shards in a partial result; merging these is exact.

A partial result is an .npz file beside the output file:

    header            JSON: which worker of how many, what made the scores, its classes, the shards' names and sizes, segments a
                      class
    sizes             int64, segments in each of the worker's shards (numbers i, i + n, ... of the sorted list)
    ids, starts       str and int64 [segments], what was scored, in the order of the shards and their records
    rows.ID scores.ID uint32 and float32, the best segments of class ID: rows of ids and starts, by falling score

Equal scores are ranked by the order of the segments in the sorted list of all shards, which merging restores from the sizes.
"""

import contextlib
import json
import os
import zipfile

import numpy as np

from yt8m.errors import UserError
from yt8m.files import replacing
from yt8m.readers.stores import first_difference
from yt8m.scoring.submission import write_submission
from yt8m.scoring.topk import TopSegments

VERSION = 2  # 1: without the shards' sizes


def partial_path(output_file, index, count):
    """Where worker `index` of `count` leaves its result."""
    return f"{output_file}.worker-{index:05d}-of-{count:05d}.npz"


def write_partial(path, score):
    """Writes a partial result; the file appears when it is whole.

    Args:
        path: partial_path(...).
        score: called once the file is open, so that one that cannot be written is refused before the work; returns
            (header without the version, sizes, ids, starts, TopSegments), the header with `label_ids`.

    Raises:
        UserError: the file cannot be written.
    """
    with replacing(path) as new, zipfile.ZipFile(new, "w") as file:
        header, sizes, ids, starts, best = score()
        _add(file, "header", np.array(json.dumps({"version": VERSION, **header})))
        for name, values in (("sizes", sizes), ("ids", ids), ("starts", starts)):
            _add(file, name, values)
        for index, label in enumerate(header["label_ids"]):
            rows, scores = best.top(index)
            _add(file, f"rows.{label}", rows.astype(np.uint32))
            _add(file, f"scores.{label}", scores)


def merge(output_file, count, max_pred=None):
    """Writes the submission that one worker would have written, byte for byte.

    Args:
        output_file: CSV, the workers' own.
        count: how many workers there were.
        max_pred: segments a class; None: what the workers kept.

    Raises:
        UserError: a partial result is missing or damaged (names it), two are of different runs, or max_pred is more than the
            workers kept.
    """
    parts = [_Partial(output_file, index, count) for index in range(count)]
    first = parts[0]
    for part in parts[1:]:
        difference = first_difference(first.header, part.header)
        if difference:
            raise UserError(
                f"{first.path} and {part.path} are of different runs: {difference}. Run all workers with the same flags."
            )
    kept, label_ids = first.header["max_pred"], first.header["label_ids"]
    if max_pred and max_pred > kept:
        raise UserError(f"--segment_max_pred={max_pred}: the workers kept {kept} a class. Use {kept} or less.")
    sizes = np.zeros(len(first.header["shards"]), np.int64)
    for index, part in enumerate(parts):
        sizes[index::count] = part.sizes
    starts = np.cumsum(sizes) - sizes  # of each shard among all segments
    orders = [_ranges(starts[index::count], sizes[index::count]) for index in range(count)]
    names = np.empty(sizes.sum(), np.result_type(*(part.names.dtype for part in parts)))
    for part, order in zip(parts, orders):
        names[order] = part.names

    def ranked():
        for label in label_ids:
            best = TopSegments(1, max_pred or kept)
            for part, order in zip(parts, orders):
                rows, scores = part.best(label)
                best.update(scores[:, None], order[rows])
            yield names[best.top(0)[0]]

    write_submission(output_file, label_ids, ranked(), max_pred or kept)
    print(f"Wrote {output_file}: the best segments of {len(label_ids)} classes among {len(names):,}, from {count} workers.")


class _Partial:
    """An open partial result; header without what is the worker's own."""

    def __init__(self, output_file, index, count):
        self.path = partial_path(output_file, index, count)
        if not os.path.exists(self.path):
            raise UserError(f"{self.path} is missing. Run inference.py with --worker_index={index} --num_workers={count}.")
        with self._damage_named():
            self._file = np.load(self.path, allow_pickle=False)
            self.header = json.loads(str(self._file["header"]))
            version, worker = self.header.pop("version"), self.header.pop("worker")
            if version != VERSION or worker != [index, count]:
                raise ValueError(f"it is version {version} of worker {worker}")
            self.sizes, ids, starts = (self._file[name] for name in ("sizes", "ids", "starts"))
            shards = len(self.header["shards"][index::count])
            if len(self.sizes) != shards or not self.sizes.sum() == len(ids) == len(starts):
                raise ValueError(f"{len(self.sizes)} of {shards} shards, {len(ids)} ids, {len(starts)} start times")
        self.names = np.array([f"{name}:{start}" for name, start in zip(ids.tolist(), starts.tolist())], str)

    def best(self, label):
        """(rows uint32, scores float32) of a class."""
        with self._damage_named():
            return self._file[f"rows.{label}"], self._file[f"scores.{label}"]

    @contextlib.contextmanager
    def _damage_named(self):
        try:
            yield
        except Exception as error:  # NumPy and zipfile raise whatever their parsers meet
            text = " ".join(str(error).split())
            raise UserError(f"{self.path} is damaged ({text}). Delete it and run that worker again.") from error


def _ranges(starts, sizes):
    """int64 [sum of sizes]: starts[0], starts[0] + 1, ..., starts[1], ..."""
    return np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())


def _add(file, name, values):
    """Appends an array to an open .npz file."""
    with file.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.asanyarray(values), allow_pickle=False)
