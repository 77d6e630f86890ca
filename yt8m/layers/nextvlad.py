"""NeXtVLAD: NetVLAD over groups of an expanded frame."""

import keras
from keras import initializers, layers, ops

from yt8m.errors import UserError
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.frame_pool import FramePool
from yt8m.registry import register

ASSIGNMENT_NORMS = ("cluster", "cluster_group", "none")


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class NeXtVlad(FramePool):
    """Describes a bag of frames by K vectors of S = expansion * F / G values.

    Each frame is expanded, x' = x W_e + b_e, and cut into G groups x'_g of S values. With the attention of a group
    alpha_g = sigmoid(x' W_a + b_a)_g, 0 on padding, and its assignment a_gk = softmax over K of BN(x' W)_gk,
    v_k = sum over frames and groups of alpha_g a_gk (x'_g - c_k). Each v_k is divided by its norm; then batch norm over
    all K * S values, concatenated (v_1 first); then, in training, whole clusters are zeroed.
    `expand` is [F, G * S], `attention` [G * S, G], `assignment` [G * S, G * K] (columns group by group, K each), `centres`
    (c) [K, S].

    Args:
        cluster_size: K.
        groups: G, a divisor of expansion * F.
        expansion: factor of the expansion (lambda).
        assignment_norm: what the assignment's batch norm has statistics of: "cluster" (K of them, over real frames and
            groups; paper 002), "cluster_group" (G * K, over real frames; Lin et al.), "none" (a bias instead).
        cluster_dropout: share of the clusters zeroed in training; the others are scaled by 1 / (1 - share).
        alpha: hardness of the first assignment: its kernel starts at 2 alpha c in every pair of groups; None: kernel and centres
            start at random (He), as in the code of Lin et al.
        momentum, epsilon: of the batch norms (`assignment_norm`, `vlad_norm`).

    Shapes: x [B, T, F], mask bool [B, T] or None -> [B, K * S]. Nothing inside is larger than [B, T, G * K] or [B, T, G * S]:
        the sum over frames and groups is one product of [B, T * G, K] and [B, T * G, S].
    Raises:
        UserError: groups that do not divide the expanded size, an unknown assignment_norm, or a number out of range.
    Source: paper 002, section 3.3, and paper 004, eq. 4-7 (Lin et al. 2018); initial values, momentum and epsilon from the
        code of paper 002.
    """

    def __init__(
        self,
        cluster_size,
        groups=16,
        expansion=2,
        assignment_norm="cluster",
        cluster_dropout=0.25,
        alpha=100.0,
        momentum=0.9,
        epsilon=1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (("cluster_size", cluster_size), ("groups", groups), ("expansion", expansion)):
            if value < 1:
                raise UserError(f"{name}={value}: use at least 1.")
        if assignment_norm not in ASSIGNMENT_NORMS:
            raise UserError(f"assignment_norm={assignment_norm!r}: use one of {', '.join(ASSIGNMENT_NORMS)}.")
        if not 0 <= cluster_dropout < 1:
            raise UserError(f"cluster_dropout={cluster_dropout}: use a share of at least 0 and below 1.")
        self.cluster_size = cluster_size
        self.groups = groups
        self.expansion = expansion
        self.assignment_norm = assignment_norm
        self.cluster_dropout = cluster_dropout
        self.alpha = alpha
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        expanded = self.expansion * input_shape[-1]
        if expanded % self.groups:
            raise UserError(f"groups={self.groups}: use a divisor of {self.expansion} * {input_shape[-1]} = {expanded}.")
        self.size = expanded // self.groups
        expanded_shape = (*input_shape[:-1], expanded)
        self.expand = self._dense("expand", expanded, True, "he_normal", input_shape)
        self.attention = self._dense("attention", self.groups, True, "he_normal", expanded_shape)

        starts = self._random_starts() if self.alpha is None else self._hard_starts()
        self.centres = self.add_weight(name="centres", shape=(self.cluster_size, self.size), initializer=starts[0])
        units = self.groups * self.cluster_size
        self.assignment = self._dense("assignment", units, self.assignment_norm == "none", starts[1], expanded_shape)
        if self.assignment_norm == "cluster":
            self.norm = self._norm("assignment_norm", (None, None, self.cluster_size))
        elif self.assignment_norm == "cluster_group":
            self.norm = self._norm("assignment_norm", (None, None, units))
        self.vlad_norm = self._norm("vlad_norm", (None, self.cluster_size * self.size))
        self.drop_clusters = layers.Dropout(
            self.cluster_dropout, noise_shape=(None, self.cluster_size, 1), dtype=self.dtype_policy, name="drop_clusters"
        )

    def _hard_starts(self):
        """Initial values of the centres, and of an assignment that follows from them."""
        uniform = initializers.RandomUniform(0.0, 1.0)  # one initializer gives the same values at every call

        def hard_start(_, dtype=None):
            block = 2 * self.alpha * ops.transpose(uniform((self.cluster_size, self.size), dtype=dtype))
            return ops.tile(block, (self.groups, self.groups))

        return uniform, hard_start

    @staticmethod
    def _random_starts():
        """Initial values of the centres, whose fan-in is their size, and of the assignment."""
        he = initializers.HeNormal()
        return lambda shape, dtype=None: ops.transpose(he(shape[::-1], dtype=dtype)), initializers.HeNormal()

    def _dense(self, name, units, use_bias, initializer, input_shape):
        dense = layers.Dense(units, use_bias=use_bias, kernel_initializer=initializer, dtype=self.dtype_policy, name=name)
        dense.build(input_shape)
        return dense

    def _norm(self, name, input_shape):
        norm = BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
        norm.build(input_shape)
        return norm

    def describe(self, x, mask=None, training=None):
        expanded = self.expand(x)  # [B, T, G * S]
        attention = ops.sigmoid(ops.cast(self.attention(expanded), "float32"))  # [B, T, G]
        assignment = ops.reshape(self._assign(expanded, mask, training), (-1, ops.shape(x)[1], self.groups * self.cluster_size))
        return expanded, attention, assignment

    def pool(self, described, mask=None, training=None):
        expanded, attention, assignment = described
        if mask is not None:
            attention = attention * ops.cast(mask, "float32")[:, :, None]
        length = ops.shape(expanded)[1] * self.groups
        assignment = ops.reshape(assignment, (-1, length, self.cluster_size))
        weights = assignment * ops.reshape(attention, (-1, length, 1))  # [B, T * G, K]
        groups = ops.reshape(expanded, (-1, length, self.size))  # [B, T * G, S]
        vlad = ops.cast(ops.einsum("bnk,bns->bks", ops.cast(weights, groups.dtype), groups), "float32")
        vlad = l2_normalize(vlad - ops.sum(weights, axis=1)[:, :, None] * ops.cast(self.centres, "float32"))
        vlad = self.vlad_norm(ops.reshape(vlad, (-1, self.cluster_size * self.size)), training=training)
        vlad = ops.reshape(vlad, (-1, self.cluster_size, self.size))
        return ops.reshape(self.drop_clusters(vlad, training=training), (-1, self.cluster_size * self.size))

    def _assign(self, expanded, mask, training):
        """The soft assignment, float32 [B, T * G, K]."""
        logits = self.assignment(expanded)
        shape = (-1, ops.shape(expanded)[1] * self.groups, self.cluster_size)
        if self.assignment_norm == "cluster_group":
            logits = self.norm(logits, mask=mask, training=training)
        logits = ops.reshape(logits, shape)
        if self.assignment_norm == "cluster":
            mask = None if mask is None else ops.repeat(mask, self.groups, axis=1)
            logits = self.norm(logits, mask=mask, training=training)
        return ops.softmax(ops.cast(logits, "float32"), axis=-1)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.cluster_size * (self.expansion * input_shape[-1] // self.groups))

    def get_config(self):
        return {
            **super().get_config(),
            "cluster_size": self.cluster_size,
            "groups": self.groups,
            "expansion": self.expansion,
            "assignment_norm": self.assignment_norm,
            "cluster_dropout": self.cluster_dropout,
            "alpha": self.alpha,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
