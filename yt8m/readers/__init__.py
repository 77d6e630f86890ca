"""Bytes to batches: the native records, the index over them, and the tf.data pipelines."""
