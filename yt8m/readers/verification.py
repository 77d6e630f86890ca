"""Shards read whole by TensorFlow's reader, which verifies every checksum; what is wrong with one becomes one line."""

import re

import numpy as np
import tensorflow as tf
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from yt8m.errors import UserError
from yt8m.readers.framing import AFTER, BEFORE, unreadable


def verified_lengths(path, file_length):
    """Bytes of each record of a TFRecord file, int64 [n], all checksums of which are right.

    Raises:
        UserError: it is truncated or corrupt (says at which record and byte), or cannot be read.
    """
    if "://" not in path:
        _check_headers(path, file_length)
    lengths = streamed(path, tf.data.TFRecordDataset(path).map(_length).batch(4096))
    lengths = np.concatenate([np.zeros(0, np.int64), *lengths])
    end = lengths.sum() + len(lengths) * (BEFORE + AFTER)
    if end != file_length:  # TensorFlow takes the beginning of a length for the end of the file
        raise UserError(_truncated(path, len(lengths), end))
    return lengths


def _check_headers(path, file_length):
    """Refuses a record that is longer than what is left of the file: TensorFlow's reader would ask for that much memory."""
    at = record = 0
    with open(path, "rb") as file:
        while at + BEFORE + AFTER <= file_length:
            file.seek(at)
            header = file.read(BEFORE)
            if masked_crc32c(header[:8]) != int.from_bytes(header[8:], "little"):
                return  # TensorFlow's reader stops there, and says so
            length = int.from_bytes(header[:8], "little")
            if length > file_length - at - BEFORE - AFTER:
                raise UserError(_truncated(path, record, at))
            at += length + BEFORE + AFTER
            record += 1


def _truncated(path, record, byte):
    return f"shard {path} is truncated: it ends within record {record} (at byte {byte}). Fetch the file again."


def _length(record):
    return tf.cast(tf.strings.length(record), tf.int64)


def records(path):
    """All records of a TFRecord file, a list of bytes; raises as verified_lengths."""
    return streamed(path, tf.data.TFRecordDataset(path))


def file_facts(path):
    """(bytes, modification time in ns) of a file of TensorFlow's file systems.

    Raises:
        UserError: no such file.
    """
    try:
        stat = tf.io.gfile.stat(path)
    except tf.errors.OpError as error:
        raise unreadable(path, _first_line(error)) from error
    return stat.length, stat.mtime_nsec


def streamed(path, dataset):
    """The elements of a dataset over one file, as a list; what is wrong with the file becomes one line."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # this may run inside another pipeline, whose threads are taken
    try:
        return list(dataset.with_options(options).as_numpy_iterator())
    except tf.errors.DataLossError as error:
        raise UserError(_damage(path, str(error))) from error
    except tf.errors.OpError as error:
        raise unreadable(path, _first_line(error)) from error


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
            at += int.from_bytes(file.read(8), "little") + BEFORE + AFTER
            if at > byte:
                return record
            record += 1


def _first_line(error):
    return str(error).splitlines()[0].rstrip(".")
