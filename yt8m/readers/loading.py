"""The tf.data pipeline from references of rows to batches."""

import tensorflow as tf

from yt8m.readers import pairs
from yt8m.readers.decoding import decoder
from yt8m.readers.failures import keeping_user_errors
from yt8m.readers.teachers import soft_labels


def loaded(spec, files, references, num_parallel, keep=False):
    """The batches of references.

    Args:
        spec: DataSpec.
        files: paths of the shards.
        references: generator function of references int64 [B, 3] (readers/rows.py), a batch at a time.
        num_parallel: batches that are loaded at the same time.
        keep: keep frames of segments that are read more than once (windows.Windows).

    Returns:
        tf.data.Dataset of the batch dict, as batches.training_batches has it. A UserError of `references` or of a record
        arrives as a tf.errors.OpError: see failures.errors_as_user_errors.
    """
    batch_signature, keys, decode = signature(spec), _numpy_keys(spec), decoder(spec, files, keep)

    def batches_of_references():
        with keeping_user_errors():
            yield from references()

    @tf.autograph.experimental.do_not_convert
    def load(rows):
        kinds = [batch_signature[key].dtype for key in keys]
        values = tf.numpy_function(lambda rows: _load(spec, files, decode, rows), [rows], kinds)
        batch = dict(zip(keys, values))
        for key in keys:
            batch[key].set_shape(batch_signature[key].shape)
        if "labels" in batch and "label_weights" not in batch:
            batch["label_weights"] = tf.ones_like(batch["labels"])
        return {key: batch[key] for key in batch_signature}

    rows = tf.data.Dataset.from_generator(batches_of_references, output_signature=tf.TensorSpec([None, 3], tf.int64))
    # Under TensorFlow's op determinism a map behind a Python generator is serial; asking for more only logs an error.
    parallel = {"num_parallel_calls": num_parallel, "deterministic": True} if num_parallel > 1 else {}
    return rows.map(load, **parallel).prefetch(2)


def signature(spec):
    """Key -> tf.TensorSpec of a batch."""
    width, classes = sum(spec.feature_sizes), spec.label_map.size
    tensors = {"ids": tf.TensorSpec([None], tf.string)}
    if spec.gives_frames:
        tensors["frames"] = tf.TensorSpec([None, spec.num_frames, width], tf.uint8)
        tensors["num_frames"] = tf.TensorSpec([None], tf.int32)
    else:
        tensors["features"] = tf.TensorSpec([None, width], tf.float32)
    of_classes = tf.TensorSpec([None, classes], tf.float32)
    if spec.segment_labels and spec.dense:
        tensors |= pairs.signature()
    else:
        tensors["labels"] = tensors["label_weights"] = of_classes
    if spec.segment_labels and spec.video_labels:
        tensors["video_labels"] = of_classes
    if spec.teachers:
        tensors["soft_labels"] = tensors["soft_weights"] = of_classes
    if spec.segment_labels:
        tensors["start_times"] = tf.TensorSpec([None], tf.int32)
    if spec.by_video:
        tensors["segment_rows"] = tf.TensorSpec([None], tf.int32)
    if spec.context:
        tensors["context_frames"] = tf.TensorSpec([None, spec.video_length, width], tf.uint8)
        tensors["context_num_frames"] = tf.TensorSpec([None], tf.int32)
    return tensors


def _numpy_keys(spec):
    """The keys that _load gives: all but the weights where they are all 1."""
    return [key for key in signature(spec) if key != "label_weights" or not spec.dense]


def _load(spec, files, decode, rows):
    """The arrays of a batch, in the order of _numpy_keys, for references int64 [B, 3]."""
    with keeping_user_errors():
        arrays = decode(rows)
        if spec.teachers:
            arrays |= soft_labels(spec, files, rows, arrays)
        return [arrays[key] for key in _numpy_keys(spec)]
