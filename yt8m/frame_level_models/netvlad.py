"""Gated NetVLAD with a mixture of experts (paper 003)."""

import keras
from keras import layers, ops

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_positive
from yt8m.errors import UserError
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.block_dense import BlockDense
from yt8m.layers.gating import ContextGating
from yt8m.layers.netvlad import NetVlad
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class NetVladModel(FrameModel):
    """Each feature's frames described by NetVLAD, the descriptions joined, gated and classified.

    Frames -> sampled (training) -> features, L2-normalised -> batch norm -> for each feature (reduced and) NetVLAD
    -> concatenated [B, K * D] -> dense `hidden` -> (ReLU6) -> context gating -> head.

    Args:
        sampling, num_samples, skip_head, skip_tail, stride: as in FrameModel; the defaults leave up to 300 frames as they are.
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
        num_classes, feature_sizes, normalize, video_level_classifier_model, head_options: as in FrameModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size].
    Raises:
        UserError: sizes that are not positive, an unknown name, or both variants at once.
    Source: paper 003, section 4.1; variants, batch norms and initial values from the code of Miech et al. (2017).
    """

    GAINS_BY_BFLOAT16 = True
    RECIPE, SEGMENT_EXPANSION = "netvlad", 3
    POOLS_FRAMES = True
    SAMPLE = {"hyperparameters": {"cluster_size": 16, "hidden_size": 512}}

    HEAD_DEFAULTS = {}
    ARGUMENTS = {
        **FrameModel.SAMPLING,
        "num_samples": 300,
        "skip_head": 0,
        "skip_tail": 0,
        "stride": 1,
        "normalize": True,
        "add_batch_norm": True,
        "reduced_sizes": None,
        "cluster_size": 256,
        "lightvlad": False,
        "vlagd": False,
        "hidden_size": 1024,
        "hidden_blocks": 8,
        "relu": False,
        "gating": True,
        "momentum": 0.99,
        "epsilon": 1e-3,
        **FrameModel.HEAD_ARGUMENTS,
    }

    def check_arguments(self):
        check_positive(self, "cluster_size", "hidden_size")
        if self.reduced_sizes is not None:
            self.reduced_sizes = _reduced_sizes(self.reduced_sizes, self.feature_sizes)
        if self.lightvlad and self.vlagd:
            raise UserError("lightvlad=True, vlagd=True: a NetVLAD has one variant; leave one of the two.")

    def encode(self, frames, mask):
        norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        if self.add_batch_norm:
            frames = BatchNormalization(**norm, name="frame_norm")(frames, mask=mask)
        vlad = self._vlad(frames, mask, norm)
        use_norm = self.relu and self.add_batch_norm
        stddev = self.cluster_size**-0.5
        x = BlockDense(self.hidden_size, self.hidden_blocks, use_bias=not use_norm, stddev=stddev, name="hidden")(vlad)
        if use_norm:
            x = BatchNormalization(**norm, name="hidden_norm")(x)
        if self.relu:
            x = ops.relu6(x)
        if self.gating:
            x = ContextGating(use_batch_norm=self.add_batch_norm, **norm, name="hidden_gating")(x)
        return x

    def _vlad(self, frames, mask, norm):
        """Every feature's NetVLAD, concatenated: [B, K * D], or [B, K * sum of the reduced sizes]."""
        variant = "lightvlad" if self.lightvlad else "vlagd" if self.vlagd else "netvlad"
        described = []
        for index, feature in enumerate(self.features_of(frames)):
            if self.reduced_sizes is not None:
                feature = layers.Dense(self.reduced_sizes[index], use_bias=False, name=f"reduce_{index}")(feature)
            vlad = NetVlad(self.cluster_size, variant, use_batch_norm=self.add_batch_norm, **norm, name=f"vlad_{index}")
            described.append(vlad(feature, mask=mask))
        return described[0] if len(described) == 1 else ops.concatenate(described, axis=-1)


def _reduced_sizes(sizes, feature_sizes):
    sizes = tuple(sizes)
    if len(sizes) != len(feature_sizes) or min(sizes) < 1:
        raise UserError(f"reduced_sizes={sizes}: use one positive size a feature ({len(feature_sizes)} of them), or None.")
    return sizes
