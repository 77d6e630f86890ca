"""The files of one shard in a store of scores: how its rows are appended, and the checksums that tell damage.

A shard's `.sums.json` has the CRC-32 of its two other files, {"scores": number, "rows": number}, and may have what tells the
shard that was scored from others of its name, {"source": object}.
"""

import functools
import json
import os
import zlib

import numpy as np
import pandas as pd

from yt8m.arrays import read_array
from yt8m.errors import UserError
from yt8m.readers.quantiser import encode_scores, unsound_row

_PART = 1 << 20  # bytes


class ShardWriter:
    """Appends rows to an open file; see ScoreStore.writer.

    Attributes:
        source: what tells the shard that is scored from others of its name, in JSON's types, set before the end; None: nothing.
    """

    def __init__(self, file, config):
        self._file, self._config, self._count, self.source = file, config, 0, None
        self._ids, self._starts = [], []
        self._write_header()

    def add(self, ids, starts, scores):
        """Appends rows: ids str [n], starts int [n] or None, scores float [n, C]; returns the scores as they are stored."""
        ids, scores = np.asarray(ids), np.asarray(scores)
        shape = (len(ids), len(self._config.label_ids))
        if scores.shape != shape:
            raise UserError(f"scores of shape {list(scores.shape)} for {len(ids)} ids: expected {list(shape)}.")
        if (starts is None) != (self._config.kind == "videos") or (starts is not None and len(starts) != len(ids)):
            raise UserError(f"{len(ids)} ids: expected as many start times in a store of segments, None in one of videos.")
        values = np.ascontiguousarray(encode_scores(scores, self._config.dtype))
        self._file.write(values.data)
        self._ids += ids.tolist()
        if starts is not None:
            self._starts.append(np.asarray(starts, np.int64))
        self._count += len(ids)
        return values

    def rows(self):
        """The table of the rows' ids and start times."""
        table = {"id": self._ids}
        if self._config.kind == "segments":
            table["start"] = np.concatenate([np.zeros(0, np.int64), *self._starts])
        return pd.DataFrame(table)

    def finish(self):
        """Writes the number of rows into the header: NumPy pads it, so that its length does not change."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self):
        descr = np.lib.format.dtype_to_descr(np.dtype(self._config.dtype))
        shape = (self._count, len(self._config.label_ids))
        np.lib.format.write_array_header_1_0(self._file, {"descr": descr, "fortran_order": False, "shape": shape})


def read_values(path, config):
    """The stored values of a shard, memory-mapped [N, C].

    Raises:
        UserError: the file is missing, damaged, or of another dtype or width than the StoreConfig says.
    """
    try:
        values = read_array(path, mmap_mode="r")
    except ValueError as error:
        raise damaged(path, error) from error
    width = len(config.label_ids)
    if values.ndim != 2 or values.shape[1] != width or values.dtype != config.dtype:
        raise damaged(path, f"it holds {values.dtype} {list(values.shape)}, not {config.dtype} [N, {width}]")
    return values


def read_rows(path, config):
    """The table of a shard's rows: id and, in a store of segments, start.

    Raises:
        UserError: the file is missing, damaged, or has other columns than the StoreConfig's kind.
    """
    columns = {"id": str, "start": np.int64} if config.kind == "segments" else {"id": str}
    try:
        table = pd.read_csv(path, dtype=columns, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' errors are ValueErrors
        raise damaged(path, error) from error
    if list(table.columns) != list(columns):
        raise damaged(path, f"its columns are {','.join(map(str, table.columns))}, not {','.join(columns)}")
    return table


def write_sums(path, scores, rows, source=None):
    """Writes the checksums of a shard's two other files, and its source if it has one, into a file."""
    values = {"scores": checksum(scores), "rows": checksum(rows), **({"source": source} if source else {})}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(values, file)
        file.write("\n")


def read_source(path):
    """The source in a file of checksums, or None.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with open(path, encoding="utf-8") as file:
            source = json.load(file).get("source")
        return dict(source) if source else None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from error


def check_sums(path, scores, rows):
    """Compares a shard's files with their checksums; one that was read for that, and did not change since, is not read again.

    Raises:
        UserError: one of the three files is missing or damaged.
    """
    try:
        with open(path, encoding="utf-8") as file:
            sums = json.load(file)
        expected = {scores: int(sums["scores"]), rows: int(sums["rows"])}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise damaged(path, error) from error
    for file, crc in expected.items():
        try:
            same = _checksum_of(*_version(file)) == crc
        except OSError as error:
            raise damaged(file, error) from error
        if not same:
            raise damaged(file, "its checksum is not the one that it was written with")


def check_values(path):
    """Refuses a file of stored values that are no probabilities, once.

    Raises:
        UserError: names the first such row.
    """
    row = _unsound_row_of(*_version(path))
    if row is not None:
        raise damaged(path, f"row {row} has scores that are not from 0 to 1")


def checksum(path):
    """CRC-32 of a file."""
    crc = 0
    with open(path, "rb") as file:
        while part := file.read(_PART):
            crc = zlib.crc32(part, crc)
    return crc


def _version(path):
    """(path, size, modification time) of a file."""
    stat = os.stat(path)
    return os.path.abspath(path), stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=65_536)
def _checksum_of(path, size, mtime):
    """CRC-32 of a file as it is at this size and time."""
    return checksum(path)


@functools.lru_cache(maxsize=65_536)
def _unsound_row_of(path, size, mtime):
    """unsound_row of a .npy file as it is at this size and time."""
    return unsound_row(read_array(path, mmap_mode="r"))


def damaged(path, reason):
    """The UserError for a file of a store."""
    return UserError(f"{path} is missing or damaged ({' '.join(str(reason).split())}). Delete the shard's files; score it again.")
