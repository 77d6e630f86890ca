"""NeXtVLAD as in paper 002, and with the settings of paper 004."""

import keras
from keras import layers, ops

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_choice, check_positive, check_share
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.nextvlad import NeXtVlad
from yt8m.layers.se_gating import SEContextGating
from yt8m.registry import register

FUSIONS = ("late", "early")


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class NeXtVladModel(FrameModel):
    """The frames described by NeXtVLAD, projected, gated and classified.

    Frames -> ends cut off, sampled (training) -> features, L2-normalised -> NeXtVLAD (late fusion: one a feature,
    concatenated; early: one for all) -> (dropout) -> dense `hidden`, ReLU -> SE gating -> head.

    Args:
        fusion: "late" (each feature is L2-normalised and described on its own) or "early" (all D values together).
        sampling: as in FrameModel; "every" (with stride 1) cuts off the ends only.
        num_samples: L_m, frames that are left. A video no longer than skip_head and skip_tail, such as a segment, is used whole.
        normalize: L2-normalise each frame: all of it, or each feature of it (fusion).
        cluster_size: K of the first feature, or of early fusion's one.
        other_cluster_size: K of every other feature; None: half of cluster_size.
        groups: G of the first feature, or of early fusion's one.
        other_groups: G of every other feature; None: as groups.
        expansion, assignment_norm, cluster_dropout, alpha: as in NeXtVlad.
        dropout: share of the description zeroed in training.
        hidden_size: of `hidden`.
        hidden_reduction: of its SE gating, as in SEContextGating.
        momentum, epsilon: of the trunk's batch norms.
        num_classes, feature_sizes, skip_head, skip_tail, stride, video_level_classifier_model, head_options: as in FrameModel
            (the head's num_mixtures is the N of paper 002).

    The defaults are paper 002's nxvlad-2; its nxvlad-1 has groups=32 and num_samples=200. Paper 004: sampling="none" (its
    examples are segments), cluster_size=128, groups=8, assignment_norm="cluster_group", cluster_dropout=0, dropout=0.5; what it
    takes from Lin et al. is other_groups=4, hidden_reduction=8 and video_level_classifier_model="MoeModel".

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size] (`hidden` and its
        ReLU, the layer `hidden_activation`, give the same before the gating).
    Raises:
        UserError: sizes that are not positive, an unknown name, or as NeXtVlad.
    Source: paper 002, sections 3.1, 3.3 and figure 2, table 2; paper 004, sections 4.2 and 6.1. Biases, the audio's half of the
        clusters, alpha, momentum and epsilon from the code of paper 002.
    """

    GAINS_BY_BFLOAT16 = True
    RECIPE, SEGMENT_EXPANSION = "ceshine", 3
    SAMPLE = {
        "hyperparameters": {"cluster_size": 16, "other_cluster_size": 8, "hidden_size": 512, "skip_head": 0, "skip_tail": 0}
    }

    SEGMENT_LAYER = "hidden"
    HEAD_DEFAULTS = {}
    NORMALIZES_FRAMES = False
    POOLS_FRAMES = True
    ARGUMENTS = {
        "fusion": "late",
        "sampling": "without_replacement",
        "num_samples": 150,
        "skip_head": 30,
        "skip_tail": 10,
        "stride": 1,
        "normalize": True,
        "cluster_size": 64,
        "other_cluster_size": None,
        "groups": 16,
        "other_groups": None,
        "expansion": 2,
        "assignment_norm": "cluster",
        "cluster_dropout": 0.25,
        "alpha": 100.0,
        "dropout": 0.0,
        "hidden_size": 2048,
        "hidden_reduction": 4,
        "momentum": 0.9,
        "epsilon": 1e-5,
        "video_level_classifier_model": "SharedGateMoeModel",
        "head_options": None,
    }

    def check_arguments(self):
        check_choice("fusion", self.fusion, FUSIONS)
        check_positive(self, "cluster_size", "hidden_size")
        check_share(self, "dropout")
        if self.other_cluster_size is None:
            self.other_cluster_size = max(1, self.cluster_size // 2)
        if self.other_groups is None:
            self.other_groups = self.groups

    def encode(self, frames, mask):
        x = self._vlad(frames, mask)
        if self.dropout:
            x = layers.Dropout(self.dropout, name="vlad_dropout")(x)
        x = layers.Dense(self.hidden_size, kernel_initializer="he_normal", name="hidden")(x)
        x = layers.Activation("relu", name="hidden_activation")(x)
        return SEContextGating(self.hidden_reduction, momentum=self.momentum, epsilon=self.epsilon, name="hidden_gating")(x)

    def _vlad(self, frames, mask):
        """The NeXtVLAD of each feature, or of all in one, concatenated: [B, sum of K * expansion * size / G]."""
        first, others = (self.cluster_size, self.groups), (self.other_cluster_size, self.other_groups)
        options = (self.expansion, self.assignment_norm, self.cluster_dropout, self.alpha, self.momentum, self.epsilon)
        described, start = [], 0
        for index, size in enumerate(self.feature_sizes if self.fusion == "late" else [sum(self.feature_sizes)]):
            feature = frames[:, :, start : start + size]
            vlad = NeXtVlad(*(others if index else first), *options, name=f"vlad_{index}")
            described.append(vlad(l2_normalize(feature) if self.normalize else feature, mask=mask))
            start += size
        return described[0] if len(described) == 1 else ops.concatenate(described, axis=-1)
