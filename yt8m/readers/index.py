"""Random access to TFRecord shards: an index made (and checksums verified) once, then a memory map."""

import contextlib
import functools
import hashlib
import os
from dataclasses import dataclass

import numpy as np
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from yt8m.arrays import read_array
from yt8m.errors import UserError
from yt8m.files import replacing
from yt8m.folders import cache_folder
from yt8m.readers.framing import AFTER, BEFORE, changed, unreadable
from yt8m.readers.recent import RecentlyUsed


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """Where a shard's records lie: record i is bytes [offsets[i], offsets[i] + lengths[i]) of `path`; both int64 [n]."""

    path: str
    offsets: np.ndarray
    lengths: np.ndarray

    def __len__(self):
        return len(self.offsets)


def index_shard(path):
    """The ShardIndex of a TFRecord file, local or remote ("scheme://...").

    The first time, TensorFlow's reader goes through the file and verifies every checksum; the result is kept in
    `cache_folder("index")` under the file's path, size and modification time.

    Raises:
        UserError: no such file, or no regular one; it is truncated or corrupt (says at which record and byte).
    """
    path = str(path)
    if is_remote(path):
        from yt8m.readers import verification

        length, mtime = verification.file_facts(path)
    else:
        length, mtime = version(path)  # to the nanosecond; indexes of before, to the second, are made again
        if not os.path.isfile(path):
            raise UserError(f"cannot read shard {path}: it is a folder, a pipe or a device. Check the path: name TFRecord files.")
    return _index_of(path, _lengths(path if is_remote(path) else os.path.abspath(path), length, mtime))


def index_by_headers(path):
    """The ShardIndex of a local file from its records' headers, whose checksums are compared; those of the data are not.

    Unlike index_shard it neither needs TensorFlow nor reads what is between the headers, and keeps nothing.

    Raises:
        UserError: no such file; a header is damaged, or the file ends within a record.
    """
    size, _ = version(path)
    lengths, at = [], 0
    with open(path, "rb") as file:
        while at < size:
            file.seek(at)
            header = file.read(BEFORE)
            length = int.from_bytes(header[:8], "little")
            if masked_crc32c(header[:8]) != int.from_bytes(header[8:], "little") or at + BEFORE + length + AFTER > size:
                raise UserError(f"shard {path} is damaged at byte {at}, record {len(lengths)}. Fetch the file again.")
            lengths.append(length)
            at += BEFORE + length + AFTER
    return _index_of(str(path), np.array(lengths, np.int64))


def _index_of(path, lengths):
    ends = np.cumsum(lengths + BEFORE + AFTER)
    return ShardIndex(path, ends - lengths - AFTER, lengths)


def is_remote(path):
    """Whether a path names a file system of TensorFlow's (gs://...), which cannot be memory-mapped."""
    return "://" in str(path)


def version(path):
    """(size, modification time) of a local file, which change when it is rewritten; () for a remote one: asking takes long.

    Raises:
        UserError: no such file.
    """
    if is_remote(path):
        return ()
    try:
        stat = os.stat(path)
    except OSError as error:
        raise unreadable(path, error.strerror) from error
    return stat.st_size, stat.st_mtime_ns


def version_if_there(path):
    """version of a path; None where there is no such file: what reads it says so."""
    path = str(path)
    return version(path) if is_remote(path) or os.path.exists(path) else None


class LocalShard:
    """A memory-mapped shard: `record(i)` is a read-only uint8 view, valid as long as it is referenced.

    Args:
        path: of a local file.
        index: its ShardIndex; None: index_shard's.

    Attributes:
        path, index: as given.
        version: the file's, when it was opened.
        data: read-only uint8 [bytes], the whole file.
    """

    def __init__(self, path, index=None):
        self.path, self.version = str(path), version(path)
        self.index = index_shard(path) if index is None else index
        # np.memmap refuses empty files; slices of a plain array are made faster than its own
        self.data = np.asarray(np.memmap(path, np.uint8, "r")) if len(self.index) else np.zeros(0, np.uint8)

    def __len__(self):
        return len(self.index)

    def record(self, i):
        try:
            start = self.index.offsets[i]
        except IndexError:  # i was counted in another version of the file
            raise changed(self.path) from None
        return self.data[start : start + self.index.lengths[i]]


class RemoteShard:
    """A shard held in memory whole: over a network one long read is far cheaper than a read a record."""

    def __init__(self, path):
        from yt8m.readers import verification

        self.path, self._records = str(path), verification.records(path)

    def __len__(self):
        return len(self._records)

    def record(self, i):
        try:
            return self._records[i]
        except IndexError:
            raise changed(self.path) from None


# A remote training run touches a group of 16 shards at a time (batches.training_batches), and the next one's first.
_LOCAL = RecentlyUsed(lambda key: LocalShard(key[0]), 128)
_REMOTE = RecentlyUsed(lambda key: RemoteShard(key[0]), 20)


def open_shard(path):
    """The LocalShard or RemoteShard of a path; the last ones stay open (128 local, 20 remote).

    Raises:
        UserError: as index_shard.
    """
    path = str(path)
    return (_REMOTE if is_remote(path) else _LOCAL).get((path, version(path)))


@functools.cache
def _lengths(path, file_length, mtime):
    key = hashlib.sha256(f"{path}|{file_length}|{mtime}".encode()).hexdigest()
    cached = cache_folder("index") / f"{key}.npy"
    lengths = _load(cached, file_length)
    if lengths is None:
        lengths = _verified_lengths(path, file_length)
        _save(cached, lengths)
    return lengths


def _verified_lengths(path, file_length):
    from yt8m.readers import verification  # which takes TensorFlow

    return verification.verified_lengths(path, file_length)


def _load(cached, file_length):
    """The cached lengths, or None where there are none that add up to the file's length."""
    try:
        lengths = read_array(cached)
    except ValueError:
        return None
    if lengths.ndim != 1 or lengths.dtype != np.int64 or (lengths < 0).any():
        return None
    return lengths if lengths.sum() + len(lengths) * (BEFORE + AFTER) == file_length else None


def _save(cached, lengths):
    """Best effort: without a writable cache folder the shard is indexed again next time."""
    with contextlib.suppress(UserError, OSError), replacing(cached) as file:
        np.save(file, lengths)
