"""The losses of the starter code: one value a row. The training loop minimises their mean over the rows."""

import keras
from keras import ops

from yt8m.losses.terms import in_float32, logarithms
from yt8m.registry import register


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class CrossEntropyLoss:
    """-(y log(p + eps) + (1 - y) log(1 - p + eps)), weighted and summed over the classes.

    Args:
        epsilon: added inside the logarithms; the starter code's 1e-5 (10e-8 before TensorFlow 1.0).

    Call: predictions [B, C] in [0, 1], labels [B, C] in [0, 1] (soft labels too), label_weights [B, C] or None (all 1) ->
        float32 [B]. A pair of weight 0 has exactly no gradient.
    Source: the starter code (google/youtube-8m), losses.py.
    """

    def __init__(self, epsilon=1e-5):
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None):
        p, y, weights = in_float32(predictions, labels, label_weights)
        positive, negative = logarithms(p, self.epsilon)
        return -ops.sum(weights * (y * positive + (1.0 - y) * negative), axis=-1)

    def get_config(self):
        return {"epsilon": self.epsilon}


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class HingeLoss:
    """max(0, b - s p) with s = 2 y - 1, weighted and summed over the classes.

    Args:
        margin: b.

    Call: as CrossEntropyLoss, predictions of any range.
    Source: the starter code (google/youtube-8m), losses.py.
    """

    def __init__(self, margin=1.0):
        self.margin = margin

    def __call__(self, predictions, labels, label_weights=None):
        p, y, weights = in_float32(predictions, labels, label_weights)
        return ops.sum(weights * ops.maximum(0.0, self.margin - (2.0 * y - 1.0) * p), axis=-1)

    def get_config(self):
        return {"margin": self.margin}


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class SoftmaxLoss:
    """Cross entropy of softmax(p) with the labels divided by their sum.

    Classes of weight 0 are not there: neither in the softmax nor in the labels' sum.

    Args:
        epsilon: least sum of the labels divided by; the starter code's 10e-8.

    Call: as CrossEntropyLoss, predictions of any range.
    Source: the starter code (google/youtube-8m), losses.py.
    """

    def __init__(self, epsilon=1e-7):
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None):
        p, y, weights = in_float32(predictions, labels, label_weights)
        rated = weights > 0.0
        y = ops.where(rated, y, 0.0)
        y = y / ops.maximum(ops.sum(y, axis=-1, keepdims=True), self.epsilon)
        log_softmax = ops.log_softmax(ops.where(rated, p, -3.0e38), axis=-1)
        return -ops.sum(weights * y * ops.where(rated, log_softmax, 0.0), axis=-1)

    def get_config(self):
        return {"epsilon": self.epsilon}
