"""Context gating (Miech et al. 2017)."""

import keras
from keras import layers, ops

from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.registry import register


def gated(x, logits):
    """x * sigmoid(logits), in the type of x; the sigmoid is float32, which a CPU computes several times faster than bfloat16."""
    return x * ops.cast(ops.sigmoid(ops.cast(logits, "float32")), x.dtype)


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class ContextGating(layers.Layer):
    """Scales each feature by a gate that looks at all of them: y = x * sigmoid(BN(x W)).

    Args:
        use_batch_norm: normalise the gate before the sigmoid; without it the gate has a bias.
        momentum, epsilon: of the batch norm.

    Shapes: [..., F] -> [..., F].
    Source: "Learnable pooling with context gating for video classification", section 3.2;
        with batch norm as in the multi-attention network (papers 000, 001).
    """

    def __init__(self, use_batch_norm=True, momentum=0.99, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.use_batch_norm = use_batch_norm
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        size = input_shape[-1]
        self.gate = layers.Dense(size, use_bias=not self.use_batch_norm, dtype=self.dtype_policy, name="gate")
        self.gate.build(input_shape)
        if self.use_batch_norm:
            self.norm = BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name="norm")
            self.norm.build(input_shape)

    def call(self, x, training=None):
        logits = self.gate(x)
        if self.use_batch_norm:
            logits = self.norm(logits, training=training)
        return gated(x, logits)

    def get_config(self):
        return {
            **super().get_config(),
            "use_batch_norm": self.use_batch_norm,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
