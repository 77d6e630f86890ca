"""Attention weights: sparsemax and softmax over the real entries of an axis, in float32."""

from keras import ops

_LOWEST = -3.0e38


def sparsemax(logits, axis=-1, mask=None):
    """Euclidean projection of the logits on the simplex: max(0, z - tau), tau such that the result sums to 1.

    The support is found by Newton's iteration on tau from below (Michelot 1986), without a sort: each step drops the
    entries at or under the threshold of those left, until none is; tau is then computed from the support. The gradient
    is the exact one: v minus its mean over the support, 0 elsewhere (the support is a constant of it).

    Args:
        logits: float, any shape.
        axis: the axis that sums to 1.
        mask: bool, broadcast to the logits; False entries get weight 0 and no gradient. A row without a True entry
            is all zeros.

    Returns:
        float32, the logits' shape. A NaN among a row's real logits makes the row's real entries NaN.

    Source: Martins and Astudillo, "From softmax to sparsemax" (2016), algorithm 1 and eq. 9.
    """
    z = ops.cast(logits, "float32")
    real = ops.ones_like(z, dtype="bool") if mask is None else ops.broadcast_to(ops.cast(mask, "bool"), ops.shape(z))
    z = z - ops.stop_gradient(ops.max(ops.where(real, z, _LOWEST), axis=axis, keepdims=True))
    support = _support(ops.stop_gradient(z), real, axis)
    return ops.where(support, z - _threshold(z, support, axis), 0.0)


def masked_softmax(logits, axis=-1, mask=None):
    """Softmax over the entries whose mask is True: float32, exact zeros elsewhere, rows without a True entry all zeros."""
    z = ops.cast(logits, "float32")
    if mask is None:
        return ops.softmax(z, axis=axis)
    real = ops.broadcast_to(ops.cast(mask, "bool"), ops.shape(z))
    z = ops.where(real, z, _LOWEST)
    z = z - ops.stop_gradient(ops.max(z, axis=axis, keepdims=True))
    weights = ops.where(real, ops.exp(z), 0.0)
    total = ops.sum(weights, axis=axis, keepdims=True)
    return weights / ops.where(total == 0.0, 1.0, total)


def _threshold(z, support, axis):
    count = ops.sum(ops.cast(support, "float32"), axis=axis, keepdims=True)
    return (ops.sum(ops.where(support, z, 0.0), axis=axis, keepdims=True) - 1.0) / ops.maximum(count, 1.0)


def _support(z, real, axis):
    """The entries above the threshold; z has maximum 0 over the real ones, so tau >= -1. NaN counts as above."""

    def shrink(support, _):
        smaller = ops.logical_and(support, ops.logical_not(z <= _threshold(z, support, axis)))
        return smaller, ops.any(ops.not_equal(smaller, support))

    first = ops.logical_and(real, ops.logical_not(z <= -1.0))
    return ops.while_loop(lambda _, shrunk: shrunk, shrink, (first, ops.convert_to_tensor(True)))[0]
