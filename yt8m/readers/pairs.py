"""Labels of segments as (row, class) pairs: what an M-step reads of pseudo-labels, of which nearly all of [N, C] would be 0.

A batch of N rows then has, in place of `labels` and `label_weights`:

- `pair_rows`, `pair_columns` int32 [P] and `pair_scores` float32 [P]: the labels that are not 0; no pair comes twice.
- `row_weights` float32 [N]: the weight of a row's classes, the same for all.
"""

import numpy as np
import tensorflow as tf

OF_PAIRS = ("pair_rows", "pair_columns", "pair_scores")
KEYS = (*OF_PAIRS, "row_weights")
_COLUMNS = 1 << 32  # more than a model has


def signature():
    """Key -> tf.TensorSpec."""
    kinds = (tf.int32, tf.int32, tf.float32, tf.float32)
    return {key: tf.TensorSpec([None], kind) for key, kind in zip(KEYS, kinds)}


def joined(columns, scores):
    """The arrays by key.

    Args:
        columns: for each of N rows an integer array, the columns of its labels.
        scores: for each row as many floats.
    """
    rows = np.repeat(np.arange(len(columns), dtype=np.int32), [len(part) for part in columns])
    weights = np.ones(len(columns), np.float32)
    columns = np.concatenate([np.zeros(0, np.int32), *columns]).astype(np.int32)
    scores = np.concatenate([np.zeros(0, np.float32), *scores]).astype(np.float32)
    return dict(zip(KEYS, (rows, columns, scores, weights)))


def spread(batch, num_classes):
    """The batch with `labels` and `label_weights` float32 [N, C] in place of pairs, made where it is called; another as it is.

    Args:
        batch: dict of tensors.
        num_classes: C.
    """
    if KEYS[0] not in batch:
        return batch
    rows, columns, scores, weights = (batch[key] for key in KEYS)
    shape = tf.stack([tf.shape(weights)[0], num_classes])
    labels = tf.ensure_shape(tf.scatter_nd(tf.stack([rows, columns], axis=1), scores, shape), [None, num_classes])
    rest = {key: value for key, value in batch.items() if key not in KEYS}
    return {**rest, "labels": labels, "label_weights": tf.broadcast_to(weights[:, None], tf.shape(labels))}


def without_rows(batch, lost):
    """The entries that change when rows, bool [N], are not to count."""
    scores = tf.where(tf.gather(lost, batch["pair_rows"]), 0.0, batch["pair_scores"])
    return {"pair_scores": scores, "row_weights": tf.where(lost, 0.0, batch["row_weights"])}


def mixed(batch, partner, share):
    """The entries that change when each row is mixed with another, as virtual_segments mixes labels and weights.

    Args:
        batch: with pairs.
        partner: int [N], a permutation: the row with which each is mixed.
        share: float32 [N], that of the row itself.
    """
    rows, columns, scores, weights = (batch[key] for key in KEYS)
    weight = share * weights + (1.0 - share) * tf.gather(weights, partner)
    weighted = tf.gather(weights, rows) * scores
    others = tf.gather(tf.math.invert_permutation(partner), rows)  # the row that a pair's row is the partner of
    terms = [tf.gather(share, rows) * weighted, (1.0 - tf.gather(share, others)) * weighted]
    keys = tf.cast(tf.concat([rows, others], 0), tf.int64) * _COLUMNS + tf.cast(tf.concat([columns, columns], 0), tf.int64)
    pairs, at = tf.unique(keys)  # a label of both is one pair
    total = tf.math.unsorted_segment_sum(tf.concat(terms, 0), at, tf.size(pairs))
    rows, columns = tf.cast(pairs // _COLUMNS, tf.int32), tf.cast(pairs % _COLUMNS, tf.int32)
    return dict(zip(KEYS, (rows, columns, tf.math.divide_no_nan(total, tf.gather(weight, rows)), weight)))
