"""The gate of R. Lin's NeXtVLAD (third place of 2019)."""

import keras
from keras import layers, ops

from yt8m.errors import UserError
from yt8m.layers.gating import gated
from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class BottleneckGating(layers.Layer):
    """Scales each feature by a gate that looks at all of them through a bottleneck: y = x * sigmoid(relu(BN(x W_1)) W_2).

    SEContextGating has a batch norm on its input and on the gate as well, and biases.

    Args:
        reduction: W_1 is [F, F // reduction].
        momentum, epsilon: of the batch norm.

    Shapes: [B, F] -> [B, F].
    Raises:
        UserError: a reduction below 1, or one that leaves no column.
    Source: Lin et al. 2018, section 3.3, and the code of the third place of 2019.
    """

    def __init__(self, reduction=8, momentum=0.99, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        if reduction < 1:
            raise UserError(f"reduction={reduction}: use at least 1.")
        self.reduction = reduction
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        size = input_shape[-1]
        reduced = size // self.reduction
        if not reduced:
            raise UserError(f"reduction={self.reduction}: use at most the {size} features.")
        self.squeeze = self._dense("squeeze", reduced, input_shape)
        self.norm = layers.BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name="norm")
        self.norm.build((*input_shape[:-1], reduced))
        self.excite = self._dense("excite", size, (*input_shape[:-1], reduced))

    def _dense(self, name, units, input_shape):
        dense = layers.Dense(units, use_bias=False, kernel_initializer="he_normal", dtype=self.dtype_policy, name=name)
        dense.build(input_shape)
        return dense

    def call(self, x, training=None):
        return gated(x, self.excite(ops.relu(self.norm(self.squeeze(x), training=training))))

    def get_config(self):
        return {**super().get_config(), "reduction": self.reduction, "momentum": self.momentum, "epsilon": self.epsilon}
