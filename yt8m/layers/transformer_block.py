"""One block of the Transformer over the frames of a video (paper 004)."""

import keras
from keras import initializers, layers, ops

from yt8m.errors import UserError
from yt8m.layers.sparsemax import masked_softmax
from yt8m.registry import register

ACTIVATIONS = {"relu": "relu", "gelu": lambda x: ops.gelu(x, approximate=True)}


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class TransformerBlock(layers.Layer):
    """Self-attention and a feed-forward layer, each added to what it sees and layer-normalised.

    Q = x W_q + b_q, K = x W_k + b_k, V = x W_v + b_v (eq. 11-13), U = softmax(Q K^T / sqrt(D)) V (eq. 14),
    y = LayerNorm(x + U), out = LayerNorm(y + relu(y W_1 + b_1) W_2 + b_2). With several heads each attends on D / num_heads
    of the columns, scaled by the root of that, and their concatenation passes one more dense layer (Vaswani et al. 2017).

    Args:
        num_heads: heads; 1 is the paper's.
        feed_forward_size: columns of W_1; None: D, as the paper sets "the hidden dimension within Transformer same as
            feature size". Vaswani et al. have 4 D.
        activation: between W_1 and W_2: "relu", the papers', or "gelu" (its tanh form, as BERT's).
        dropout: share of the attention weights, and of what either half adds to its input, that a training step drops.
        kernel_stddev: of the kernels, truncated normal (BERT: .02), and one head has the dense layer after the attention, too;
            None: Glorot's.
        epsilon: of the layer norms.

    Shapes: x [B, T, D], mask bool [B, T] or None -> [B, T, D]. No frame sees a masked one; a masked frame's output means
        nothing. The softmax is float32 under any dtype policy.
    Raises:
        UserError: D is no multiple of num_heads, or an unknown activation.
    Source: paper 004, section 4.4, whose eq. 14 has a factor alpha that it does not define: 1 here. Residuals and layer
        norms are where Vaswani et al. (2017) have them.
    """

    def __init__(
        self,
        num_heads=1,
        feed_forward_size=None,
        epsilon=1e-6,
        activation="relu",
        dropout=0.0,
        kernel_stddev=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            raise UserError(f"activation={activation!r}: use one of {', '.join(ACTIVATIONS)}.")
        self.num_heads = num_heads
        self.feed_forward_size = feed_forward_size
        self.epsilon = epsilon
        self.activation = activation
        self.dropout = dropout
        self.kernel_stddev = kernel_stddev
        if dropout:
            self.attention_dropout, self.output_dropout = (layers.Dropout(dropout, dtype=self.dtype_policy) for _ in range(2))

    def build(self, input_shape):
        size = input_shape[-1]
        if self.num_heads < 1 or size % self.num_heads:
            raise UserError(f"num_heads={self.num_heads}: use a divisor of the {size} features that the heads share out.")
        for name in ("query", "key", "value") + (("merge",) if self.merges else ()):
            setattr(self, name, self._dense(name, size, input_shape))
        inner = self.feed_forward_size or size
        self.feed_forward_in = self._dense("feed_forward_in", inner, input_shape, activation=ACTIVATIONS[self.activation])
        self.feed_forward_out = self._dense("feed_forward_out", size, (*input_shape[:-1], inner))
        for name in ("attention_norm", "feed_forward_norm"):
            norm = layers.LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
            norm.build(input_shape)
            setattr(self, name, norm)

    @property
    def merges(self):
        """Whether a dense layer follows the attention."""
        return self.num_heads > 1 or self.kernel_stddev is not None

    def _dense(self, name, units, input_shape, activation=None):
        initializer = "glorot_uniform"
        if self.kernel_stddev is not None:
            initializer = initializers.TruncatedNormal(stddev=self.kernel_stddev)
        dense = layers.Dense(units, activation=activation, kernel_initializer=initializer, dtype=self.dtype_policy, name=name)
        dense.build(input_shape)
        return dense

    def call(self, x, mask=None, training=None):
        y = self.attention_norm(x + self._dropped(self._attend(x, mask, training), training))
        return self.feed_forward_norm(y + self._dropped(self.feed_forward_out(self.feed_forward_in(y)), training))

    def _dropped(self, x, training):
        return self.output_dropout(x, training=training) if self.dropout else x

    def _attend(self, x, mask, training):
        query, key, value = self._split(self.query(x)), self._split(self.key(x)), self._split(self.value(x))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / (query.shape[-1] ** 0.5)  # [B, H, T, T]
        weights = masked_softmax(scores, axis=-1, mask=None if mask is None else mask[:, None, None, :])
        if self.dropout:
            weights = self.attention_dropout(weights, training=training)
        attended = ops.transpose(ops.matmul(ops.cast(weights, value.dtype), value), (0, 2, 1, 3))
        attended = ops.reshape(attended, ops.shape(x))  # [B, T, H, D / H] -> [B, T, D]
        return self.merge(attended) if self.merges else attended

    def _split(self, x):
        """[B, T, D] -> [B, H, T, D / H]."""
        heads = ops.reshape(x, (-1, ops.shape(x)[1], self.num_heads, x.shape[2] // self.num_heads))
        return ops.transpose(heads, (0, 2, 1, 3))

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feed_forward_size": self.feed_forward_size,
            "epsilon": self.epsilon,
            "activation": self.activation,
            "dropout": self.dropout,
            "kernel_stddev": self.kernel_stddev,
        }
