"""A mixture's logits: the members' by gates that sum to 1."""

import keras
from keras import layers, ops

from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class GatedSum(layers.Layer):
    """z = sum over n of g_n z_n with one gate for all classes, g = softmax(BN(x) W + b).

    Args:
        momentum, epsilon: of the batch norm.

    Shapes: members float32 [B, N, C] or [B, N, H], x [B, F] -> float32 [B, C] or [B, H]; with weights() the gates [B, N].
    Source: Lin et al. 2018, section 3.4 (eq. 12-16), and the code of the third place of 2019, whose second gate never updates the
        averages of its batch norm; this one does.
    """

    def __init__(self, momentum=0.99, epsilon=1e-3, **kwargs):
        super().__init__(autocast=False, **kwargs)  # logits stay float32
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, members_shape, x_shape):
        self.norm = layers.BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name="norm")
        self.norm.build(x_shape)
        self.gates = layers.Dense(members_shape[1], dtype=self.dtype_policy, name="gates")
        self.gates.build(x_shape)

    def weights_of(self, x, training=None):
        """The gates, float32 [B, N], each row of sum 1."""
        return ops.softmax(ops.cast(self.gates(self.norm(x, training=training)), "float32"), axis=-1)

    def call(self, members, x, training=None):
        return ops.einsum("bn,bnc->bc", self.weights_of(x, training), ops.cast(members, "float32"))

    def compute_mask(self, members, x, previous_mask=None):
        return None

    def compute_output_spec(self, members, x, training=None):
        return keras.KerasTensor((members.shape[0], members.shape[2]), "float32")

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
