"""NetVLAD: sums of the frames' differences from learned centres, and two variants without centres."""

import keras
from keras import initializers, layers, ops

from yt8m.errors import UserError
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.frame_pool import FramePool
from yt8m.registry import register

VARIANTS = ("netvlad", "lightvlad", "vlagd")


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class NetVlad(FramePool):
    """Describes a bag of frames by K vectors, one a cluster.

    a = softmax over K of BN(x W), 0 on padding; then, with the sums over the frames,
    "netvlad": v_k = sum_t a_tk (x_t - c_k); "lightvlad": v_k = sum_t a_tk x_t; "vlagd": v_k = sigmoid(g_k) sum_t a_tk x_t.
    Each v_k is divided by its norm, they are concatenated (v_1 first), and the whole is divided by its norm.
    `assignment` is [F, K], `centres` (c) and `gates` (g) are [K, F].

    Args:
        cluster_size: K.
        variant: "netvlad", "lightvlad" or "vlagd".
        use_batch_norm: normalise the assignment before the softmax, with statistics of real frames; without it the
            assignment has a bias.
        intra_normalize: whether each v_k is divided by its norm.
        normalize: whether the whole is.
        momentum, epsilon: of the batch norm (`assignment_norm`).

    Shapes: x [B, T, F], mask bool [B, T] or None -> [B, K * F]. Nothing inside is larger than [B, T, K] or [B, K, F].
    Raises:
        UserError: an unknown variant, or fewer than one cluster.
    Source: paper 003, section 4.1.1 (Arandjelovic et al. 2016); batch norm, initial values, lightvlad and vlagd from the
        code of Miech et al. (2017).
    """

    def __init__(
        self,
        cluster_size,
        variant="netvlad",
        use_batch_norm=True,
        intra_normalize=True,
        normalize=True,
        momentum=0.99,
        epsilon=1e-3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if variant not in VARIANTS:
            raise UserError(f"variant={variant!r}: use one of {', '.join(VARIANTS)}.")
        if cluster_size < 1:
            raise UserError(f"cluster_size={cluster_size}: use at least 1 cluster.")
        self.cluster_size = cluster_size
        self.variant = variant
        self.use_batch_norm = use_batch_norm
        self.intra_normalize = intra_normalize
        self.normalize = normalize
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        size, clusters = input_shape[-1], self.cluster_size
        initializer = initializers.RandomNormal(stddev=size**-0.5)
        self.assignment = layers.Dense(
            clusters,
            use_bias=not self.use_batch_norm,
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name="assignment",
        )
        self.assignment.build(input_shape)
        if self.use_batch_norm:
            self.assignment_norm = BatchNormalization(
                momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name="assignment_norm"
            )
            self.assignment_norm.build((*input_shape[:-1], clusters))
        weight = {"netvlad": "centres", "lightvlad": None, "vlagd": "gates"}[self.variant]
        if weight:
            initializer = initializers.RandomNormal(stddev=size**-0.5)
            setattr(self, weight, self.add_weight(name=weight, shape=(clusters, size), initializer=initializer))

    def describe(self, x, mask=None, training=None):
        logits = self.assignment(x)
        if self.use_batch_norm:
            logits = self.assignment_norm(logits, mask=mask, training=training)
        return x, ops.softmax(ops.cast(logits, "float32"), axis=-1)  # [B, T, K]

    def pool(self, described, mask=None, training=None):
        x, assignment = described
        if mask is not None:
            assignment = assignment * ops.cast(mask, "float32")[:, :, None]
        vlad = ops.cast(ops.einsum("btk,btf->bkf", ops.cast(assignment, x.dtype), x), "float32")
        if self.variant == "netvlad":
            vlad = vlad - ops.sum(assignment, axis=1)[:, :, None] * ops.cast(self.centres, "float32")
        elif self.variant == "vlagd":
            vlad = vlad * ops.sigmoid(ops.cast(self.gates, "float32"))
        if self.intra_normalize:
            vlad = l2_normalize(vlad)
        vlad = ops.reshape(vlad, (-1, self.cluster_size * x.shape[-1]))
        if self.normalize:
            vlad = l2_normalize(vlad)
        return ops.cast(vlad, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def get_config(self):
        return {
            **super().get_config(),
            "cluster_size": self.cluster_size,
            "variant": self.variant,
            "use_batch_norm": self.use_batch_norm,
            "intra_normalize": self.intra_normalize,
            "normalize": self.normalize,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
