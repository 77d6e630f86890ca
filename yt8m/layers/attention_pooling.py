"""Gated attention pooling of frames, in one or several sets (papers 000, 001)."""

import keras
from keras import initializers, layers, ops

from yt8m.errors import UserError
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.frame_pool import FramePool
from yt8m.layers.sparsemax import masked_softmax, sparsemax
from yt8m.registry import register

ATTENTIONS = {"softmax": masked_softmax, "sparsemax": sparsemax}


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class GatedAttentionPooling(FramePool):
    """M weighted means of the frames, each with weights of its own that the frames themselves decide.

    h = BN(x W_dr); a = (tanh(h V) * sigmoid(h U)) w; weights = softmax or sparsemax of a over the real frames;
    pooled = sum_t weight_t x_t. Nothing has a bias. V and U are [reduced, attention, M], w is [attention, M]. They start normal,
    V and U with deviation 1/sqrt(F) (1/sqrt(1024) for rgb), which is less than their inputs' number asks for, w with
    1/sqrt(attention).

    Args:
        reduced_size: size of h.
        attention_size: size of the two gated branches.
        num_sets: M.
        attention: "softmax" or "sparsemax".
        momentum, epsilon: of the batch norm, which takes its statistics from real frames only.
        overlap_penalty: of a step's loss, times the mean squared cosine between the weights of two sets (Lin et al. 2017,
            arXiv 1703.03130, eq. 8, with weights of unit length, so that it is in [0, 1] however many frames there are).

    Shapes: x [B, T, F], mask bool [B, T] -> pooled [B, M, F], weights float32 [B, T, M] (0 on padding; a row without
        a real frame gives zeros).
    Raises:
        UserError: an unknown attention.
    Source: papers 000, 001, and the initial deviations of V, U and w from the authors' code (mv-lab/youtube8m-19,
        frame_level_models.py: `1 / math.sqrt(self.feature_size)` of V and U); the gate is that of Ilse et al. (2018), eq. 9.
    """

    def __init__(
        self,
        reduced_size,
        attention_size,
        num_sets=1,
        attention="softmax",
        momentum=0.99,
        epsilon=1e-3,
        overlap_penalty=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if attention not in ATTENTIONS:
            raise UserError(f"attention={attention!r}: use one of {', '.join(ATTENTIONS)}.")
        self.reduced_size = reduced_size
        self.attention_size = attention_size
        self.num_sets = num_sets
        self.attention = attention
        self.momentum = momentum
        self.epsilon = epsilon
        self.overlap_penalty = overlap_penalty

    def build(self, input_shape):
        reduced, size, sets = self.reduced_size, self.attention_size, self.num_sets
        self.reduce = layers.Dense(reduced, use_bias=False, dtype=self.dtype_policy, name="reduce")
        self.reduce.build(input_shape)
        self.norm = BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name="norm")
        self.norm.build((*input_shape[:-1], reduced))
        # Keras takes the first axes of a 3-D kernel for those of a convolution: the deviations are given instead.
        for name in ("value_kernel", "gate_kernel"):
            initializer = initializers.RandomNormal(stddev=input_shape[-1] ** -0.5)
            setattr(self, name, self.add_weight(name=name, shape=(reduced, size, sets), initializer=initializer))
        self.score_kernel = self.add_weight(
            name="score_kernel", shape=(size, sets), initializer=initializers.RandomNormal(stddev=size**-0.5)
        )

    def describe(self, x, mask=None, training=None):
        h = self.norm(self.reduce(x), mask=mask, training=training)
        kernels = [ops.reshape(kernel, (self.reduced_size, -1)) for kernel in (self.value_kernel, self.gate_kernel)]
        both = ops.matmul(ops.reshape(h, (-1, self.reduced_size)), ops.concatenate(kernels, axis=1))  # [B * T, 2 * attention * M]
        value, gate = ops.split(ops.cast(both, "float32"), 2, axis=1)
        scores = ops.matmul(ops.tanh(value) * ops.sigmoid(gate), self._score_matrix())
        return x, ops.reshape(scores, (-1, ops.shape(x)[1], self.num_sets))  # [B, T, M]

    def _score_matrix(self):
        """w as a matrix [attention * M, M], in which each set sees its values only: one product sums them for all sets."""
        sets = ops.eye(self.num_sets, dtype="float32")
        return ops.reshape(ops.cast(self.score_kernel, "float32")[:, :, None] * sets, (-1, self.num_sets))

    def pool(self, described, mask=None, training=None):
        x, scores = described
        mask = None if mask is None else mask[:, :, None]
        weights = ATTENTIONS[self.attention](scores, axis=1, mask=mask)
        if training and self.overlap_penalty and self.num_sets > 1:
            self.add_loss(self.overlap_penalty * set_overlap(weights))
        return ops.einsum("btm,btf->bmf", ops.cast(weights, x.dtype), x), weights

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def get_config(self):
        return {
            **super().get_config(),
            "reduced_size": self.reduced_size,
            "attention_size": self.attention_size,
            "num_sets": self.num_sets,
            "attention": self.attention,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "overlap_penalty": self.overlap_penalty,
        }


def set_overlap(weights):
    """Mean over the videos and the pairs of sets of the squared cosine between their weights: [B, T, M] -> scalar."""
    sets = weights.shape[-1]
    unit = weights / ops.sqrt(ops.maximum(ops.sum(ops.square(weights), axis=1, keepdims=True), 1e-12))
    cosines = ops.einsum("btm,btn->bmn", unit, unit)
    others = 1 - ops.eye(sets, dtype=cosines.dtype)
    return ops.mean(ops.sum(ops.square(cosines) * others, axis=(1, 2))) / (sets * (sets - 1))
