"""Keras' batch norm with fewer passes over the frames in training."""

import keras
from keras import layers, ops

from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class BatchNormalization(layers.BatchNormalization):
    """keras.layers.BatchNormalization; of inputs with more axes than two a training step's statistics and gradients are products.

    Keras sums over all but the last axis, at which a CPU is several times slower than at the product with a vector of ones (or
    of the mask), and leaves the gradient to the single operations. Statistics and gradients are Keras' but for the order in which
    values are added (tests: within 1e-5 of their size). Inference, and inputs [B, F], are Keras' own. The class has Keras' name:
    saved weights are found by it.

    Args: as keras.layers.BatchNormalization has, along the last axis, with gamma and beta, without renorm and synchronized.

    Shapes: [..., F], mask bool [...] or None (what the statistics leave out) -> [..., F].
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable) or len(inputs.shape) < 3:
            return super().call(inputs, training=training, mask=mask)
        size = inputs.shape[-1]
        x = ops.reshape(ops.cast(inputs, "float32"), (-1, size))  # [N, F]
        real = ops.ones_like(x[:, :1]) if mask is None else ops.reshape(ops.cast(mask, "float32"), (-1, 1))  # [N, 1]
        count = ops.sum(real) + (0.0 if mask is None else keras.config.epsilon())
        fixed, weights = ops.stop_gradient(x), ops.transpose(real)
        mean = ops.matmul(weights, fixed)[0] / count
        variance = ops.matmul(weights, ops.square(fixed - mean))[0] / count
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        scale = ops.rsqrt(variance + self.epsilon)
        outputs = _normalized(x, self.gamma * 1.0, self.beta * 1.0, real, count, mean, scale)  # tensors, not variables
        return ops.cast(ops.reshape(outputs, ops.shape(inputs)), self.compute_dtype)


@ops.custom_gradient
def _normalized(x, gamma, beta, real, count, mean, scale):
    """(x - mean) scale gamma + beta, of x [N, F], whose gradient takes mean and scale for what they are of the real rows."""
    factor = gamma * scale
    outputs = x * factor + (beta - mean * factor)

    def gradient(*upstreams, upstream=None):
        change = upstreams[0] if upstream is None else upstream
        ones, centred = ops.transpose(ops.ones_like(real)), x - mean
        total = ops.matmul(ones, change)[0]
        along = ops.matmul(ones, change * centred)[0]
        slope, level = -factor * ops.square(scale) * along / count, -factor * total / count
        others = [ops.zeros_like(value) for value in (real, count, mean, scale)]
        return (change * factor + real * (centred * slope + level), along * scale, total, *others)

    return outputs, gradient
