"""What the records of a shard say beside their features, of all of them at once."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from yt8m.readers import records
from yt8m.readers.failures import naming_record
from yt8m.readers.wire import first_field

_INTS = ("labels", "segment_start_times", "segment_end_times", "segment_labels")
_SCORES = "segment_scores"


@dataclass(frozen=True, eq=False)
class Contexts:
    """Of R records, of which the ratings of the i-th are those in [segment_ends[i], segment_ends[i + 1]), its labels likewise.

    Attributes:
        ids: bytes, object [R].
        labels: int64 [L], class ids.
        label_ends: int64 [R + 1], 0 first.
        segments: records.Segments of all records, one's after the other's.
        segment_ends: int64 [R + 1], 0 first.
    """

    ids: np.ndarray
    labels: np.ndarray
    label_ends: np.ndarray
    segments: records.Segments
    segment_ends: np.ndarray


_SEGMENTS = ("start_times", "end_times", "labels", "scores")


def shard_contexts(shard, path, id_feature="id"):
    """The Contexts of a shard's records, frame level or not; the features are neither read nor needed.

    Args:
        shard: as index.open_shard gives it.
        path: its path, for messages.
        id_feature: name of the id.

    Raises:
        UserError: names the record that is not as it should be.
    """

    def decode(number):
        with naming_record(path, number):
            return records.decode_context(shard.record(number), id_feature)

    return read_contexts(map(shard.record, range(len(shard))), decode, id_feature)


def contexts_in_bulk(shard, id_feature="id"):
    """As shard_contexts, but None where there is no record, or one is not as it should be."""
    return _in_bulk([first_field(shard.record(number)) for number in range(len(shard))], id_feature)


def read_contexts(serialized, decode, id_feature="id"):
    """The Contexts of records.

    Args:
        serialized: iterable of R records, bytes or any buffers.
        decode: function of a record's number that gives its records.Video, and raises what is wrong with it.
        id_feature: name of the id.
    """
    serialized = [first_field(record) for record in serialized]
    contexts = _in_bulk(serialized, id_feature)
    return _joined([decode(number) for number in range(len(serialized))]) if contexts is None else contexts


def _in_bulk(serialized, id_feature):
    """The Contexts of serialized tf.train.Examples by TensorFlow's parser; None where one is not as it should be."""
    if not serialized:
        return None
    with tf.device("CPU"):
        try:
            parsed = tf.raw_ops.ParseExampleV2(
                serialized=tf.constant(serialized, tf.string),
                names=tf.constant([], tf.string),
                sparse_keys=tf.constant([], tf.string),
                dense_keys=tf.constant([id_feature]),
                ragged_keys=tf.constant([*_INTS, _SCORES]),
                dense_defaults=[tf.constant([], tf.string)],
                num_sparse=0,
                sparse_types=[],
                ragged_value_types=[tf.int64] * len(_INTS) + [tf.float32],
                ragged_split_types=[tf.int64] * (len(_INTS) + 1),
                dense_shapes=[[]],
            )
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # its message may quote the record, which is no text
            return None
    ids = parsed.dense_values[0].numpy()
    labels, starts, ends, classes, scores = (values.numpy() for values in parsed.ragged_values)
    of_labels, of_starts, *others = (splits.numpy() for splits in parsed.ragged_row_splits)
    if not len(ends):
        ends, others[0] = starts + records.SEGMENT_SIZE, of_starts
    if not all(np.array_equal(of_starts, of_others) for of_others in others) or not ((scores >= 0) & (scores <= 1)).all():
        return None
    if not all(map(records.is_text, ids)):
        return None
    return Contexts(ids, labels, of_labels, records.Segments(starts, ends, classes, scores), of_starts)


def _joined(videos):
    """The Contexts of records.Videos."""
    none = records.Segments(*(np.zeros(0, np.int64) for _ in range(3)), np.zeros(0, np.float32))
    segments = [none if video.segments is None else video.segments for video in videos]
    joined = [np.concatenate([getattr(part, name) for part in (none, *segments)]) for name in _SEGMENTS]
    return Contexts(
        np.array([video.id.encode() for video in videos], object),
        np.concatenate([np.zeros(0, np.int64), *(video.labels for video in videos)]),
        ends_of([len(video.labels) for video in videos]),
        records.Segments(*joined),
        ends_of([len(part.labels) for part in segments]),
    )


def ends_of(counts):
    """int64 [n + 1], 0 first: where the parts of these sizes end that follow one another."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
