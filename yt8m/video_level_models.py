"""Models of one vector a video; frame-level models end in their layers, under the same names."""

import itertools

import keras
from keras import layers, ops

from yt8m.base_model import VideoModel
from yt8m.base_model.base import BaseModel
from yt8m.base_model.checks import check_choice, check_positive, check_share
from yt8m.base_model.heads import head_policy, layer_arguments
from yt8m.base_model.parts import Graph
from yt8m.errors import UserError
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.experts import LogisticHead, MixtureOfExperts, slim_l2
from yt8m.layers.gating import ContextGating
from yt8m.layers.shared_gate_moe import SharedGateMixtureOfExperts
from yt8m.layers.softmax_head import SoftmaxHead
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class LogisticModel(VideoModel):
    """One logistic regression a class on the video's features.

    Args:
        num_classes: C.
        feature_sizes: values of each feature; D is their sum.
        l2_penalty, initial_probability: as in LogisticHead.
        normalize: L2-normalise the features first, as the starter code does.

    Shapes: {features float32 [B, D]} -> float32 [B, C].
    Raises:
        UserError: sizes that are not positive, or as LogisticHead.
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
            initial_probability, momentum, epsilon: as in MixtureOfExperts.
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


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class MlpModel(VideoModel):
    """Hidden layers on the video's features, each dense -> batch norm -> activation -> gating -> dropout, and a head.

    Several branches are as many such networks side by side, which share the features alone; the prediction is the mean of theirs.
    With BranchCrossEntropyLoss each learns as if it were alone, and the model is an ensemble that is trained in one run.

    Args:
        num_classes: C.
        feature_sizes: values of each feature; D is their sum.
        hidden_size: H, of each hidden layer.
        num_layers: how many of them.
        activation: "relu" or "swish".
        gating: whether a ContextGating follows the activation.
        input_dropout, hidden_dropout: share of the features and of a hidden layer's outputs that a training step does not see.
        momentum, epsilon: of the batch norms.
        normalize: L2-normalise the features first, as the starter code does.
        feature_lengths: what each feature is brought to on its own then, in the order of feature_sizes; None: all values together
            to 1. Features that are normalised together count by how long they happen to be.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.
        num_branches: N.

    Shapes: {features float32 [B, D]} -> float32 [B, C]; embed -> [B, N * H]. With more than one branch a training step also gets
        `branch_predictions` float32 [B, N, C].
    Raises:
        UserError: sizes that are not positive, shares outside [0, 1), an unknown activation, or feature_lengths that
            are not positive or not one a feature.
    Source: the dense layers of the 21st place's network, with batch norm and swish; dropout and gating as in the frame-level
        models of papers 001 and 002. Sizes and branches are ours.
    """

    ARGUMENTS = {
        "hidden_size": 2048,
        "num_layers": 1,
        "activation": "relu",
        "gating": False,
        "input_dropout": 0.0,
        "hidden_dropout": 0.5,
        "momentum": 0.99,
        "epsilon": 1e-3,
        "normalize": True,
        "feature_lengths": None,
        "video_level_classifier_model": "LogisticModel",
        "head_options": None,
        "num_branches": 1,
    }

    def check_arguments(self):
        check_positive(self, "hidden_size", "num_layers", "num_branches")
        check_choice("activation", self.activation, ("relu", "swish"))
        check_share(self, "input_dropout", "hidden_dropout")
        lengths = self.feature_lengths
        if lengths is not None and (len(lengths) != len(self.feature_sizes) or min(lengths) <= 0):
            raise UserError(
                f"feature_lengths={lengths}: use a positive length for each of the {len(self.feature_sizes)} features."
            )

    def graph(self):
        features = keras.Input((sum(self.feature_sizes),), dtype="float32", name="features")
        x = self.normalized(features)
        return self.graph_of_branches({"features": features}, lambda name: self.branch(x, name))

    def branch(self, x, name):
        """The last hidden layer of a branch, [B, H]; its layers' names begin with `name`."""
        x = layers.Dropout(self.input_dropout, name=f"{name}input_dropout")(x)
        norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        for number in range(1, self.num_layers + 1):
            dense = layers.Dense(self.hidden_size, use_bias=False, kernel_initializer="he_normal", name=f"{name}hidden_{number}")
            x = dense(x)  # [B, H]
            x = layers.BatchNormalization(name=f"{name}norm_{number}", **norm)(x)
            x = layers.Activation(self.activation, name=f"{name}activation_{number}")(x)
            if self.gating:
                x = ContextGating(name=f"{name}gating_{number}", **norm)(x)
            x = layers.Dropout(self.hidden_dropout, name=f"{name}dropout_{number}")(x)
        return x

    def normalized(self, features):
        """Features [B, D], of length 1 together or of their feature_lengths."""
        if not (self.normalize and self.feature_lengths):
            return l2_normalize(features) if self.normalize else features
        parts = ops.split(features, list(itertools.accumulate(self.feature_sizes[:-1])), axis=-1)
        return ops.concatenate([length * l2_normalize(part) for length, part in zip(self.feature_lengths, parts)], axis=-1)

    def head(self, name="head"):
        return BaseModel.head(self, name)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class SoftmaxMlpModel(VideoModel):
    """The 21st place's hour-long network: hidden layers on the mean of a segment's frames, and classes that compete.

    Mean of the real frames, not normalised -> for each hidden size dense, batch norm, swish -> softmax over the classes and a
    dustbin, which is not given out. Among look-alikes only one can have a high score, although only one is rated.

    Args:
        num_classes: C.
        feature_sizes: values of each feature; D is their sum.
        hidden_sizes: of the hidden layers.
        dustbin: whether there is the column for what is none of the classes; False: as published.
        l2_penalty: slim's scale, see slim_l2, on every trained value, as in the source, where it is in the gradient.
        momentum, epsilon: of the batch norms.
        normalize: L2-normalise the features first.

    Shapes: {features float32 [B, D]} -> float32 [B, C], of sum 1 at most; embed -> [B, the last of hidden_sizes].
    Raises:
        UserError: sizes that are not positive.
    Source: the 21st place's write-up (public score .750 for a fold, .760 for the mean of ten), with its sizes. Trained with
        DustbinLoss, on rated segments alone.
    """

    ARGUMENTS = {
        "hidden_sizes": (2765, 1662),
        "dustbin": True,
        "l2_penalty": 1.14e-3,
        "momentum": 0.9,
        "epsilon": 1e-5,
        "normalize": False,
    }

    def check_arguments(self):
        sizes = self.hidden_sizes
        if isinstance(sizes, (str, int)) or not sizes or min(sizes) < 1:
            raise UserError(f"hidden_sizes={sizes!r}: use a list of one or more positive sizes, such as (2765, 1662).")
        self.hidden_sizes = tuple(sizes)

    def graph(self):
        features = keras.Input((sum(self.feature_sizes),), dtype="float32", name="features")
        x, penalty = l2_normalize(features) if self.normalize else features, slim_l2(self.l2_penalty)
        norm = {"momentum": self.momentum, "epsilon": self.epsilon, "gamma_regularizer": penalty, "beta_regularizer": penalty}
        for number, size in enumerate(self.hidden_sizes, start=1):
            x = layers.Dense(size, kernel_regularizer=penalty, bias_regularizer=penalty, name=f"hidden_{number}")(x)
            x = layers.BatchNormalization(**norm, name=f"norm_{number}")(x)  # [B, size]
            x = layers.Activation("swish", name=f"activation_{number}")(x)
        return Graph({"features": features}, self.head()(x), x)

    def head(self):
        return SoftmaxHead(self.num_classes, self.dustbin, self.l2_penalty, dtype=head_policy(), name="head")
