"""Models of one vector a video, and the heads that frame-level models end in under the same names."""

import keras

from yt8m.base_model import BaseModel, check_sizes
from yt8m.errors import UserError
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.experts import LogisticHead, MixtureOfExperts
from yt8m.layers.shared_gate_moe import SharedGateMixtureOfExperts
from yt8m.registry import register

HEADS = {"LogisticModel": LogisticHead, "MoeModel": MixtureOfExperts, "SharedGateMoeModel": SharedGateMixtureOfExperts}


def head_class(name):
    """The layer that --video_level_classifier_model=NAME stands for.

    Raises:
        UserError: no head of that name; the line lists the known ones.
    """
    if name not in HEADS:
        raise UserError(f"video_level_classifier_model={name!r}: use one of {', '.join(sorted(HEADS))}.")
    return HEADS[name]


def make_head(name, num_classes, options=None):
    """The head of that name with the options (its layer's arguments); UserError as head_class."""
    return head_class(name)(num_classes, name="head", **(options or {}))


def _features(feature_sizes, normalize):
    """The symbolic batch {"features": float32 [B, D]} and the vector for the head."""
    features = keras.Input((sum(feature_sizes),), dtype="float32", name="features")
    return {"features": features}, l2_normalize(features) if normalize else features


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class LogisticModel(BaseModel):
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

    KIND = "video"
    SAMPLE = {"base_learning_rate": 0.01}  # a model without a hidden layer needs the starter's higher rate

    def __init__(self, num_classes, feature_sizes=(1024, 128), l2_penalty=1e-8, normalize=True, name=None):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        inputs, features = _features(feature_sizes, normalize)
        outputs = LogisticHead(num_classes, l2_penalty, name="head")(features)
        super().__init__(inputs, outputs, embedding=features, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.l2_penalty = l2_penalty
        self.normalize = normalize


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class MoeModel(BaseModel):
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

    KIND = "video"
    SAMPLE = {"base_learning_rate": 0.01}  # a model without a hidden layer needs the starter's higher rate

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        num_mixtures=2,
        l2_penalty=1e-6,
        low_rank_gates=None,
        probability_gating=False,
        gating_input="probabilities",
        remove_diagonal=False,
        gating_rank=None,
        momentum=0.99,
        epsilon=1e-3,
        normalize=True,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        options = {
            "num_mixtures": num_mixtures,
            "l2_penalty": l2_penalty,
            "low_rank_gates": low_rank_gates,
            "probability_gating": probability_gating,
            "gating_input": gating_input,
            "remove_diagonal": remove_diagonal,
            "gating_rank": gating_rank,
            "momentum": momentum,
            "epsilon": epsilon,
        }
        inputs, features = _features(feature_sizes, normalize)
        outputs = MixtureOfExperts(num_classes, **options, name="head")(features)
        super().__init__(inputs, outputs, embedding=features, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.normalize = normalize
        for option, value in options.items():
            setattr(self, option, value)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class SharedGateMoeModel(BaseModel):
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

    KIND = "video"

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        num_mixtures=4,
        dropout=0.5,
        l2_penalty=0.0,
        momentum=0.9,
        epsilon=1e-5,
        normalize=True,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        options = {
            "num_mixtures": num_mixtures,
            "dropout": dropout,
            "l2_penalty": l2_penalty,
            "momentum": momentum,
            "epsilon": epsilon,
        }
        inputs, features = _features(feature_sizes, normalize)
        outputs = SharedGateMixtureOfExperts(num_classes, **options, name="head")(features)
        super().__init__(inputs, outputs, embedding=features, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.normalize = normalize
        for option, value in options.items():
            setattr(self, option, value)
