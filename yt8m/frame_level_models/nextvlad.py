"""NeXtVLAD as in paper 002, and with the settings of paper 004."""

import keras
from keras import layers, ops

from yt8m.base_model import BaseModel, check_sizes, frame_inputs
from yt8m.frame_level_models.frames import check_choice, check_positive, check_share, sampled_features
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.nextvlad import NeXtVlad
from yt8m.layers.se_gating import SEContextGating
from yt8m.registry import register
from yt8m.video_level_models import make_head

FUSIONS = ("late", "early")


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class NeXtVladModel(BaseModel):
    """The frames described by NeXtVLAD, projected, gated and classified.

    Frames -> ends cut off and sampled (training) -> features, L2-normalised -> NeXtVLAD (late fusion: one a feature,
    concatenated; early: one for all) -> (dropout) -> dense `hidden`, ReLU -> SE gating -> head.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        fusion: "late" (each feature is L2-normalised and described on its own) or "early" (all D values together).
        sampling: frames that a training step sees: a method of FrameSampling, or "none" (all); "every" (with stride 1)
            cuts off the ends only.
        num_samples: L_m, frames that are left; skip_head, skip_tail, stride: as in FrameSampling. A video no longer than
            both ends, such as a segment, is used whole.
        normalize: L2-normalise each frame.
        cluster_size: K of the first feature, or of early fusion's one.
        other_cluster_size: K of every other feature; None: half of cluster_size.
        groups: G of the first feature, or of early fusion's one.
        other_groups: G of every other feature; None: as groups.
        expansion, assignment_norm, cluster_dropout, alpha: as in NeXtVlad.
        dropout: share of the description zeroed in training.
        hidden_size: of `hidden`.
        hidden_reduction: of its SE gating, as in SEContextGating.
        momentum, epsilon: of the trunk's batch norms.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer (num_mixtures is the N of paper 002).

    The defaults are paper 002's nxvlad-2; its nxvlad-1 has groups=32 and num_samples=200. Paper 004: sampling="none" (its
    examples are segments), cluster_size=128, groups=8, assignment_norm="cluster_group", cluster_dropout=0, dropout=0.5; what it
    takes from Lin et al. is other_groups=4, hidden_reduction=8 and video_level_classifier_model="MoeModel".

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size] (the output of the
        layer `hidden` is the same before its gating).
    Raises:
        UserError: sizes that are not positive, an unknown name, or as NeXtVlad.
    Source: paper 002, sections 3.1, 3.3 and figure 2, table 2; paper 004, sections 4.2 and 6.1. Biases, the audio's half of the
        clusters, alpha, momentum and epsilon from the code of paper 002.
    """

    RECIPE, SEGMENT_EXPANSION = "ceshine", 3
    SAMPLE = {
        "hyperparameters": {"cluster_size": 16, "other_cluster_size": 8, "hidden_size": 512, "skip_head": 0, "skip_tail": 0}
    }

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        fusion="late",
        sampling="without_replacement",
        num_samples=150,
        skip_head=30,
        skip_tail=10,
        stride=1,
        normalize=True,
        cluster_size=64,
        other_cluster_size=None,
        groups=16,
        other_groups=None,
        expansion=2,
        assignment_norm="cluster",
        cluster_dropout=0.25,
        alpha=100.0,
        dropout=0.0,
        hidden_size=2048,
        hidden_reduction=4,
        momentum=0.9,
        epsilon=1e-5,
        video_level_classifier_model="SharedGateMoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        check_choice("fusion", fusion, FUSIONS)
        check_positive(cluster_size=cluster_size, hidden_size=hidden_size)
        check_share(dropout=dropout)
        other_cluster_size = max(1, cluster_size // 2) if other_cluster_size is None else other_cluster_size
        other_groups = groups if other_groups is None else other_groups
        head_options = dict(head_options or {})
        norm = {"momentum": momentum, "epsilon": epsilon}
        sizes = [(cluster_size, groups), *[(other_cluster_size, other_groups)] * (len(feature_sizes) - 1)]
        features = list(zip(feature_sizes, sizes)) if fusion == "late" else [(sum(feature_sizes), sizes[0])]

        inputs = frame_inputs(feature_sizes)
        x, mask = sampled_features(inputs, sampling, num_samples, skip_head, skip_tail, stride, False)
        options = (expansion, assignment_norm, cluster_dropout, alpha, momentum, epsilon)
        vlad = _vlad(x, mask, features, normalize, options)
        if dropout:
            vlad = layers.Dropout(dropout, name="vlad_dropout")(vlad)
        hidden = layers.Dense(hidden_size, activation="relu", kernel_initializer="he_normal", name="hidden")(vlad)
        embedding = SEContextGating(hidden_reduction, **norm, name="hidden_gating")(hidden)
        outputs = make_head(video_level_classifier_model, num_classes, head_options)(embedding)
        super().__init__(inputs, outputs, embedding=embedding, name=name)

        self.num_classes, self.feature_sizes, self.fusion = num_classes, feature_sizes, fusion
        self.sampling, self.num_samples, self.stride = sampling, num_samples, stride
        self.skip_head, self.skip_tail, self.normalize = skip_head, skip_tail, normalize
        self.cluster_size, self.other_cluster_size = cluster_size, other_cluster_size
        self.groups, self.other_groups = groups, other_groups
        self.expansion, self.assignment_norm, self.alpha = expansion, assignment_norm, alpha
        self.cluster_dropout, self.dropout = cluster_dropout, dropout
        self.hidden_size, self.hidden_reduction = hidden_size, hidden_reduction
        self.momentum, self.epsilon = momentum, epsilon
        self.video_level_classifier_model, self.head_options = video_level_classifier_model, head_options


def _vlad(x, mask, features, normalize, options):
    """The NeXtVLAD of each of the features [(its size, (K, G))], concatenated: [B, sum of K * expansion * size / G]."""
    described, start = [], 0
    for index, (size, (cluster_size, groups)) in enumerate(features):
        feature = x[:, :, start : start + size]
        layer = NeXtVlad(cluster_size, groups, *options, name=f"vlad_{index}")
        described.append(layer(l2_normalize(feature) if normalize else feature, mask=mask))
        start += size
    return described[0] if len(described) == 1 else ops.concatenate(described, axis=-1)
