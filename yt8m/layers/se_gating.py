"""Squeeze-and-excitation context gating (paper 002)."""

import keras
from keras import layers

from yt8m.errors import UserError
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.gating import gated
from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class SEContextGating(layers.Layer):
    """Scales each feature by a gate that looks at all of them through a narrow layer.

    y = x * sigmoid(BN(relu(BN(x) W_1 + b_1)) W_2 + b_2), W_1 `reduce` [F, F / r], W_2 `expand` [F / r, F].

    Args:
        reduction: r; F / r is rounded down, and at least 1.
        momentum, epsilon: of the batch norms (`input_norm`, `hidden_norm`), which take their statistics from what the
            mask calls real.

    Shapes: x [..., F], mask bool [...] or None -> [..., F].
    Raises:
        UserError: a reduction below 1.
    Source: paper 002, section 3.5 and figure 6; momentum and epsilon from the authors' code.
    """

    def __init__(self, reduction=4, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        if reduction < 1:
            raise UserError(f"reduction={reduction}: use a factor of at least 1.")
        self.reduction = reduction
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        size = input_shape[-1]
        hidden_shape = (*input_shape[:-1], max(1, size // self.reduction))
        norm = {"momentum": self.momentum, "epsilon": self.epsilon, "dtype": self.dtype_policy}
        dense = {"kernel_initializer": "he_normal", "dtype": self.dtype_policy}
        self.input_norm = BatchNormalization(**norm, name="input_norm")
        self.input_norm.build(input_shape)
        self.reduce = layers.Dense(hidden_shape[-1], activation="relu", **dense, name="reduce")
        self.reduce.build(input_shape)
        self.hidden_norm = BatchNormalization(**norm, name="hidden_norm")
        self.hidden_norm.build(hidden_shape)
        self.expand = layers.Dense(size, **dense, name="expand")
        self.expand.build(hidden_shape)

    def call(self, x, mask=None, training=None):
        hidden = self.reduce(self.input_norm(x, mask=mask, training=training))
        return gated(x, self.expand(self.hidden_norm(hidden, mask=mask, training=training)))

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask

    def get_config(self):
        return {**super().get_config(), "reduction": self.reduction, "momentum": self.momentum, "epsilon": self.epsilon}
