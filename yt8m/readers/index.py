"""Random access to TFRecord shards: an index made (and checksums verified) once, then a memory map."""

import contextlib
import functools
import hashlib
import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from yt8m.arrays import read_array
from yt8m.errors import UserError
from yt8m.files import replacing
from yt8m.folders import cache_folder

_BEFORE, _AFTER = 12, 4  # bytes of length + its CRC before a record's data, of the data's CRC behind it


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
    try:
        stat = tf.io.gfile.stat(path)
    except tf.errors.OpError as error:
        raise _unreadable(path, _first_line(error)) from error
    if not is_remote(path) and not os.path.isfile(path):
        raise UserError(f"cannot read shard {path}: it is a folder, a pipe or a device. Check the path: name TFRecord files.")
    lengths = _lengths(path if is_remote(path) else os.path.abspath(path), stat.length, stat.mtime_nsec)
    ends = np.cumsum(lengths + _BEFORE + _AFTER)
    return ShardIndex(path, ends - lengths - _AFTER, lengths)


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
        raise _unreadable(path, error.strerror) from error
    return stat.st_size, stat.st_mtime_ns


class LocalShard:
    """A memory-mapped shard: `record(i)` is a read-only uint8 view, valid as long as it is referenced."""

    def __init__(self, path):
        self.index = index_shard(path)
        # np.memmap refuses empty files; slices of a plain array are made faster than its own
        self._data = np.asarray(np.memmap(path, np.uint8, "r")) if len(self.index) else np.zeros(0, np.uint8)

    def __len__(self):
        return len(self.index)

    def record(self, i):
        start = self.index.offsets[i]
        return self._data[start : start + self.index.lengths[i]]


class RemoteShard:
    """A shard held in memory whole: over a network one long read is far cheaper than a read a record."""

    def __init__(self, path):
        self._records = _streamed(path, tf.data.TFRecordDataset(path))

    def __len__(self):
        return len(self._records)

    def record(self, i):
        return self._records[i]


class _RecentlyUsed:
    """The last `size` shards of a kind; threads that want the same shard wait for one load of it."""

    def __init__(self, kind, size):
        self._kind, self._size = kind, size
        self._shards, self._lock = OrderedDict(), threading.Lock()

    def get(self, path):
        key = path, version(path)
        with self._lock:
            if key not in self._shards:
                self._shards[key] = self._kind(path)
                if len(self._shards) > self._size:
                    self._shards.popitem(last=False)
            self._shards.move_to_end(key)
            return self._shards[key]


# A remote training run touches a group of 16 shards at a time (batches.training_batches), and the next one's first.
_LOCAL, _REMOTE = _RecentlyUsed(LocalShard, 128), _RecentlyUsed(RemoteShard, 20)


def open_shard(path):
    """The LocalShard or RemoteShard of a path; the last ones stay open (128 local, 20 remote).

    Raises:
        UserError: as index_shard.
    """
    path = str(path)
    return (_REMOTE if is_remote(path) else _LOCAL).get(path)


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
    if not is_remote(path):
        _check_headers(path, file_length)
    lengths = _streamed(path, tf.data.TFRecordDataset(path).map(_length).batch(4096))
    lengths = np.concatenate([np.zeros(0, np.int64), *lengths])
    end = lengths.sum() + len(lengths) * (_BEFORE + _AFTER)
    if end != file_length:  # TensorFlow takes the beginning of a length for the end of the file
        raise UserError(_truncated(path, len(lengths), end))
    return lengths


def _check_headers(path, file_length):
    """Refuses a record that is longer than what is left of the file: TensorFlow's reader would ask for that much memory."""
    at = record = 0
    with open(path, "rb") as file:
        while at + _BEFORE + _AFTER <= file_length:
            file.seek(at)
            header = file.read(_BEFORE)
            if masked_crc32c(header[:8]) != int.from_bytes(header[8:], "little"):
                return  # TensorFlow's reader stops there, and says so
            length = int.from_bytes(header[:8], "little")
            if length > file_length - at - _BEFORE - _AFTER:
                raise UserError(_truncated(path, record, at))
            at += length + _BEFORE + _AFTER
            record += 1


def _truncated(path, record, byte):
    return f"shard {path} is truncated: it ends within record {record} (at byte {byte}). Fetch the file again."


def _length(record):
    return tf.cast(tf.strings.length(record), tf.int64)


def _streamed(path, dataset):
    """The elements of a dataset over one file, as a list; what is wrong with the file becomes one line."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # this may run inside another pipeline, whose threads are taken
    try:
        return list(dataset.with_options(options).as_numpy_iterator())
    except tf.errors.DataLossError as error:
        raise UserError(_damage(path, str(error))) from error
    except tf.errors.OpError as error:
        raise _unreadable(path, _first_line(error)) from error


def _damage(path, message):
    """One line from TensorFlow's "corrupted record at BYTE" or "truncated record at BYTE"."""
    match = re.search(r"(truncated|corrupted) record at (\d+)", message)
    if not match:
        return f"shard {path} is damaged ({message.splitlines()[0]}). Fetch the file again."
    byte, record = int(match[2]), _record_at(path, int(match[2]))
    if match[1] == "truncated":
        return _truncated(path, record, byte)
    if record == 0 and byte == 0:
        return f"shard {path} is no TFRecord file, or corrupt from its first byte. Check --..._data_pattern or fetch it again."
    return f"shard {path} is corrupt: the checksum of record {record} (at byte {byte}) is wrong. Fetch the file again."


def _record_at(path, byte):
    """Number of the record that `byte` belongs to, when all the lengths before it are right."""
    record, at = 0, 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while True:
            file.seek(at)
            at += int.from_bytes(file.read(8), "little") + _BEFORE + _AFTER
            if at > byte:
                return record
            record += 1


def _load(cached, file_length):
    """The cached lengths, or None where there are none that add up to the file's length."""
    try:
        lengths = read_array(cached)
    except ValueError:
        return None
    if lengths.ndim != 1 or lengths.dtype != np.int64 or (lengths < 0).any():
        return None
    return lengths if lengths.sum() + len(lengths) * (_BEFORE + _AFTER) == file_length else None


def _save(cached, lengths):
    """Best effort: without a writable cache folder the shard is indexed again next time."""
    with contextlib.suppress(UserError, OSError), replacing(cached) as file:
        np.save(file, lengths)


def _unreadable(path, reason):
    return UserError(f"cannot read shard {path}: {reason}. Check the path and its permissions.")


def _first_line(error):
    return str(error).splitlines()[0].rstrip(".")
