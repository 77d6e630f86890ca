"""Models of one vector a video; frame-level models end in their layers, under the same names."""

import keras

from yt8m.base_model import VideoModel
from yt8m.base_model.heads import layer_arguments
from yt8m.layers.experts import LogisticHead, MixtureOfExperts
from yt8m.layers.shared_gate_moe import SharedGateMixtureOfExperts
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class LogisticModel(VideoModel):
    """One logistic regression a class on the video's features.

    Args:
        num_classes: C.
        feature_sizes: values of each feature; D is their sum.
        l2_penalty: as in LogisticHead.
        normalize: L2-normalise the features first, as the starter code does.

    Shapes: {features float32 [B, D]} -> float32 [B, C].
    Raises:
        UserError: sizes that are not positive.
    Source: the starter code (google/youtube-8m), video_level_models.py.
    """

    SAMPLE = {"base_learning_rate": 0.01}  # a model without a hidden layer needs the starter's higher rate
    HEAD = LogisticHead
    ARGUMENTS = {**layer_arguments(LogisticHead), "normalize": True}


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class MoeModel(VideoModel):
    """A mixture of logistic experts a class on the video's features.

    Args:
        num_classes: C.
        feature_sizes: values of each feature; D is their sum.
        num_mixtures, l2_penalty, low_rank_gates, probability_gating, gating_input, remove_diagonal, gating_rank,
            momentum, epsilon: as in MixtureOfExperts.
        normalize: L2-normalise the features first, as the starter code does.

    Shapes: {features float32 [B, D]} -> float32 [B, C].
    Raises:
        UserError: sizes that are not positive, or as MixtureOfExperts.
    Source: the starter code (google/youtube-8m), video_level_models.py.
    """

    SAMPLE = {"base_learning_rate": 0.01}  # a model without a hidden layer needs the starter's higher rate
    HEAD = MixtureOfExperts
    ARGUMENTS = {**layer_arguments(MixtureOfExperts), "normalize": True}


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class SharedGateMoeModel(VideoModel):
    """Paper 002's mixture of logistic experts, whose gates all classes share, on the video's features.

    Args:
        num_classes: C.
        feature_sizes: values of each feature; D is their sum.
        num_mixtures, dropout, l2_penalty, momentum, epsilon: as in SharedGateMixtureOfExperts.
        normalize: L2-normalise the features first, as the starter code does.

    Shapes: {features float32 [B, D]} -> float32 [B, C].
    Raises:
        UserError: sizes that are not positive, or as SharedGateMixtureOfExperts.
    Source: paper 002, section 3.4.
    """

    HEAD = SharedGateMixtureOfExperts
    ARGUMENTS = {**layer_arguments(SharedGateMixtureOfExperts), "normalize": True}
