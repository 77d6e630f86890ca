"""Augmentation: virtual segments, convex combinations of two rows (the "future work" of papers 000 and 001, as in mixup)."""

import tensorflow as tf

from yt8m.readers import pairs
from yt8m.training.frame_order import LABELS, real_frames


def mixed_rows(batch, alpha, seed):
    """Mixes each row with another row: x = a x_i + (1 - a) x_j, a from Beta(alpha, alpha).

    The partner's n_j frames are spread over the row's own n_i: frame t is mixed with frame floor(t n_j / n_i), so that all of
    the partner is there and the row keeps its length. A row with a partner without frames (or without frames itself) stays as
    it is. Bytes are rounded at random, so that their mean is right.

    Args:
        batch: as augmentation.augment's.
        alpha: of the Beta distribution.
        seed: int [2].

    Returns:
        The entries of the batch that change, of the same shapes.
    """
    pairing, shares, rounding = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    rows = tf.shape(batch["labels" if "labels" in batch else "row_weights"])[0]
    partner = tf.random.experimental.stateless_shuffle(tf.range(rows), seed=pairing)
    share = _beta(rows, alpha, shares)
    changed = {}
    if "features" in batch:
        changed["features"] = _combined(batch["features"], tf.gather(batch["features"], partner), share[:, None])
    else:
        num_frames = batch["num_frames"]
        others = tf.gather(num_frames, partner)
        share = tf.where((num_frames > 0) & (others > 0), share, 1.0)
        changed["frames"] = _mixed_frames(batch["frames"], num_frames, others, partner, share, rounding)
    for labels, weights in LABELS.items():
        if labels in batch:
            changed |= _mixed_labels(batch, labels, weights, partner, share[:, None])
    if "pair_rows" in batch:
        changed |= pairs.mixed(batch, partner, share)
    if "video_labels" in batch:
        other = tf.where(share[:, None] < 1.0, tf.gather(batch["video_labels"], partner), 0.0)
        changed["video_labels"] = tf.maximum(batch["video_labels"], other)
    return changed


def _beta(rows, alpha, seed):
    """Draws from Beta(alpha, alpha), float32 [rows]."""
    gammas = tf.random.stateless_gamma([2, rows], seed, alpha=alpha, dtype=tf.float64)
    total = gammas[0] + gammas[1]  # 0 by underflow where alpha is tiny
    return tf.cast(tf.where(total > 0.0, tf.math.divide_no_nan(gammas[0], total), 1.0), tf.float32)


def _combined(x, other, share):
    return share * x + (1.0 - share) * other


def _mixed_frames(frames, num_frames, others, partner, share, seed):
    length = tf.shape(frames)[1]
    spread = tf.range(length)[None, :] * others[:, None] // tf.maximum(num_frames, 1)[:, None]
    at = partner[:, None] * length + tf.minimum(spread, length - 1)
    flat = tf.reshape(frames, [-1, tf.shape(frames)[2]])  # [B * T, D]
    x, other = tf.cast(frames, tf.float32), tf.cast(tf.gather(flat, at), tf.float32)
    mixed = _combined(x, other, share[:, None, None]) + tf.random.stateless_uniform(tf.shape(frames), seed)
    mixed = tf.where((share < 1.0)[:, None, None], tf.minimum(tf.floor(mixed), 255.0), x)
    return tf.where(real_frames(num_frames, length)[:, :, None], tf.cast(mixed, frames.dtype), tf.zeros([], frames.dtype))


def _mixed_labels(batch, labels, weights, partner, share):
    """Labels y and weights w such that a loss linear in w and in y (cross entropy) is a of the row's + 1 - a of the partner's.

    w = a w_i + (1 - a) w_j; y = (a w_i y_i + (1 - a) w_j y_j) / w, 0 where w is 0.
    """
    y, w = batch[labels], batch.get(weights)
    if w is None:
        return {labels: _combined(y, tf.gather(y, partner), share)}
    weight = _combined(w, tf.gather(w, partner), share)
    weighted = _combined(w * y, tf.gather(w * y, partner), share)
    return {labels: tf.math.divide_no_nan(weighted, weight), weights: weight}
