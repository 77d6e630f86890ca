"""What the losses are put together from."""

from keras import ops


def in_float32(predictions, labels, label_weights):
    """The three in float32; weights that are None are ones."""
    predictions = ops.cast(predictions, "float32")
    labels = ops.cast(labels, "float32")
    weights = ops.ones_like(labels) if label_weights is None else ops.cast(label_weights, "float32")
    return predictions, labels, weights


def logarithms(p, epsilon):
    """log(p + epsilon) and log(1 - p + epsilon), finite for every p in [0, 1] and just over."""
    least = epsilon / 2  # a sum of float32 probabilities may exceed 1 by more than epsilon
    return ops.log(ops.maximum(p + epsilon, least)), ops.log(ops.maximum(1.0 - p + epsilon, least))


def ratio(total, count):
    """total / count, 0 where the count is 0."""
    return total / ops.where(count > 0.0, count, 1.0)
