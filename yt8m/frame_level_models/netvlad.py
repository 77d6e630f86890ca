"""Gated NetVLAD with a mixture of experts (paper 003)."""

import keras
from keras import layers, ops

from yt8m.base_model import BaseModel, check_sizes, frame_inputs
from yt8m.errors import UserError
from yt8m.frame_level_models.frames import check_positive, sampled_features
from yt8m.layers.block_dense import BlockDense
from yt8m.layers.gating import ContextGating
from yt8m.layers.netvlad import NetVlad
from yt8m.registry import register
from yt8m.video_level_models import make_head


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class NetVladModel(BaseModel):
    """Each feature's frames described by NetVLAD, the descriptions joined, gated and classified.

    Frames -> sampled (training) -> features, L2-normalised -> batch norm -> for each feature (reduced and) NetVLAD
    -> concatenated [B, K * D] -> dense `hidden` -> (ReLU6) -> context gating -> head.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        sampling: frames that a training step sees: a method of FrameSampling, or "none" (all).
        num_samples, skip_head, skip_tail, stride: as in FrameSampling; the defaults leave up to 300 frames as they are.
        normalize: L2-normalise each frame over D.
        add_batch_norm: of the frames, the assignments and the gates, and of `hidden` where `relu` is set; biases otherwise.
        reduced_sizes: size that a dense layer without bias (`reduce_0`, ...) brings each feature to before its NetVLAD (early
            dimension reduction, for compact models: `hidden` has K * hidden_size * D values); None: no such layer.
        cluster_size: K, of each feature.
        lightvlad, vlagd: the variants of NetVlad without centres; one of them at most.
        hidden_size: of `hidden`.
        hidden_blocks: variables that the kernel of `hidden` (most of the model) is kept in, as in BlockDense.
        relu: whether `hidden` has a batch norm and a ReLU6 (the starter family's default; the paper has none).
        gating: whether it is gated.
        momentum, epsilon: of the batch norms.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size].
    Raises:
        UserError: sizes that are not positive, an unknown name, or both variants at once.
    Source: paper 003, section 4.1; variants, batch norms and initial values from the code of Miech et al. (2017).
    """

    RECIPE, SEGMENT_EXPANSION = "netvlad", 3
    SAMPLE = {"hyperparameters": {"cluster_size": 16, "hidden_size": 512}}

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        sampling="random",
        num_samples=300,
        skip_head=0,
        skip_tail=0,
        stride=1,
        normalize=True,
        add_batch_norm=True,
        reduced_sizes=None,
        cluster_size=256,
        lightvlad=False,
        vlagd=False,
        hidden_size=1024,
        hidden_blocks=8,
        relu=False,
        gating=True,
        momentum=0.99,
        epsilon=1e-3,
        video_level_classifier_model="MoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        check_positive(cluster_size=cluster_size, hidden_size=hidden_size)
        reduced_sizes = _reduced_sizes(reduced_sizes, feature_sizes)
        if lightvlad and vlagd:
            raise UserError("lightvlad=True, vlagd=True: a NetVLAD has one variant; leave one of the two.")
        head_options = dict(head_options or {})
        norm = {"momentum": momentum, "epsilon": epsilon}

        inputs = frame_inputs(feature_sizes)
        x, mask = sampled_features(inputs, sampling, num_samples, skip_head, skip_tail, stride, normalize)
        if add_batch_norm:
            x = layers.BatchNormalization(**norm, name="frame_norm")(x, mask=mask)
        variant = "lightvlad" if lightvlad else "vlagd" if vlagd else "netvlad"
        vlad = _vlad(x, mask, feature_sizes, reduced_sizes, cluster_size, variant, add_batch_norm, norm)
        use_norm = relu and add_batch_norm
        dense = BlockDense(hidden_size, hidden_blocks, use_bias=not use_norm, stddev=cluster_size**-0.5, name="hidden")
        embedding = dense(vlad)
        if use_norm:
            embedding = layers.BatchNormalization(**norm, name="hidden_norm")(embedding)
        if relu:
            embedding = ops.relu6(embedding)
        if gating:
            embedding = ContextGating(use_batch_norm=add_batch_norm, **norm, name="hidden_gating")(embedding)
        outputs = make_head(video_level_classifier_model, num_classes, head_options)(embedding)
        super().__init__(inputs, outputs, embedding=embedding, name=name)

        self.num_classes, self.feature_sizes = num_classes, feature_sizes
        self.sampling, self.num_samples, self.stride = sampling, num_samples, stride
        self.skip_head, self.skip_tail, self.normalize = skip_head, skip_tail, normalize
        self.add_batch_norm, self.reduced_sizes, self.cluster_size = add_batch_norm, reduced_sizes, cluster_size
        self.lightvlad, self.vlagd = lightvlad, vlagd
        self.hidden_size, self.hidden_blocks, self.relu, self.gating = hidden_size, hidden_blocks, relu, gating
        self.momentum, self.epsilon = momentum, epsilon
        self.video_level_classifier_model, self.head_options = video_level_classifier_model, head_options


def _reduced_sizes(sizes, feature_sizes):
    if sizes is None:
        return None
    sizes = tuple(sizes)
    if len(sizes) != len(feature_sizes) or min(sizes) < 1:
        raise UserError(f"reduced_sizes={sizes}: use one positive size a feature ({len(feature_sizes)} of them), or None.")
    return sizes


def _vlad(x, mask, feature_sizes, reduced_sizes, cluster_size, variant, add_batch_norm, norm):
    """Every feature's NetVLAD, concatenated: [B, K * D], or [B, K * sum of the reduced sizes]."""
    described, start = [], 0
    for index, size in enumerate(feature_sizes):
        feature = x[:, :, start : start + size]
        if reduced_sizes is not None:
            feature = layers.Dense(reduced_sizes[index], use_bias=False, name=f"reduce_{index}")(feature)
        layer = NetVlad(cluster_size, variant, use_batch_norm=add_batch_norm, **norm, name=f"vlad_{index}")
        described.append(layer(feature, mask=mask))
        start += size
    return described[0] if len(described) == 1 else ops.concatenate(described, axis=-1)
