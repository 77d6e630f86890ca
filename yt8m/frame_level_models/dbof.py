"""Deep bags of frames: the starter code's, and the context-gated one of paper 002."""

import keras
from keras import initializers, layers, ops

from yt8m.base_model import BaseModel, check_sizes, frame_inputs
from yt8m.frame_level_models.frames import check_choice, check_positive, check_share, sampled_features
from yt8m.layers.pooling import FramePooling
from yt8m.layers.se_gating import SEContextGating
from yt8m.registry import register
from yt8m.video_level_models import make_head

ACTIVATIONS = ("relu6", "sigmoid")


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class DbofModel(BaseModel):
    """The starter code's deep bag of frames: frames projected to many clusters, pooled, and projected back.

    Frames -> sampled (training) -> features, L2-normalised -> batch norm -> dense `cluster`, batch norm, activation
    -> maximum or mean over the real frames -> dense `hidden`, batch norm, activation -> head.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        sampling: frames that a training step sees: a method of FrameSampling, or "none" (all). The starter code's
            --sample_random_frames is "random", its opposite "sequence".
        num_samples, skip_head, skip_tail, stride: as in FrameSampling.
        normalize: L2-normalise each frame over D.
        add_batch_norm: the three batch norms; without them the dense layers have biases.
        cluster_size: of the dense layer on each frame.
        hidden_size: of the dense layer after the pooling.
        pooling_method: "max", "average" or "both", as in FramePooling.
        activation: "relu6" or "sigmoid".
        momentum, epsilon: of the batch norms.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size].
    Raises:
        UserError: sizes that are not positive, or an unknown name.
    Source: DbofModel of the starter code (google/youtube-8m), frame_level_models.py, which samples at inference too: here
        every real frame counts then.
    """

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        sampling="random",
        num_samples=30,
        skip_head=0,
        skip_tail=0,
        stride=1,
        normalize=True,
        add_batch_norm=True,
        cluster_size=8192,
        hidden_size=1024,
        pooling_method="max",
        activation="relu6",
        momentum=0.99,
        epsilon=1e-3,
        video_level_classifier_model="MoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        check_positive(cluster_size=cluster_size, hidden_size=hidden_size)
        check_choice("activation", activation, ACTIVATIONS)
        head_options = dict(head_options or {})
        norm = {"momentum": momentum, "epsilon": epsilon} if add_batch_norm else None

        inputs = frame_inputs(feature_sizes)
        x, mask = sampled_features(inputs, sampling, num_samples, skip_head, skip_tail, stride, normalize)
        if add_batch_norm:
            x = layers.BatchNormalization(**norm, name="frame_norm")(x, mask=mask)
        x = _projected(x, mask, cluster_size, activation, norm, "cluster")
        pooled = FramePooling(pooling_method, name="pooling")(x, mask=mask)
        embedding = _projected(pooled, None, hidden_size, activation, norm, "hidden")
        outputs = make_head(video_level_classifier_model, num_classes, head_options)(embedding)
        super().__init__(inputs, outputs, embedding=embedding, name=name)

        self.num_classes, self.feature_sizes = num_classes, feature_sizes
        self.sampling, self.num_samples, self.stride = sampling, num_samples, stride
        self.skip_head, self.skip_tail, self.normalize = skip_head, skip_tail, normalize
        self.add_batch_norm, self.activation, self.pooling_method = add_batch_norm, activation, pooling_method
        self.cluster_size, self.hidden_size = cluster_size, hidden_size
        self.momentum, self.epsilon = momentum, epsilon
        self.video_level_classifier_model, self.head_options = video_level_classifier_model, head_options


def _projected(x, mask, units, activation, norm, name):
    """Dense, batch norm (a bias where `norm` is None) and activation: [..., F] -> [..., units]."""
    initializer = initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
    x = layers.Dense(units, use_bias=norm is None, kernel_initializer=initializer, name=name)(x)
    if norm is not None:
        x = layers.BatchNormalization(**norm, name=f"{name}_norm")(x, mask=mask)
    return ops.relu6(x) if activation == "relu6" else ops.sigmoid(x)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class GatedDbofModel(BaseModel):
    """The context-gated deep bag of frames of paper 002.

    Frames -> ends cut off and sampled (training) -> features -> dense `cluster`, ReLU -> SE gating of each frame -> maximum
    and mean over the real frames, concatenated -> batch norm, dropout, dense `hidden`, ReLU -> SE gating -> head.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        sampling: frames that a training step sees: a method of FrameSampling, or "none" (all); "every" (with stride 1)
            cuts off the ends only, the paper's unlimited length.
        num_samples: L_m, frames that are left; skip_head, skip_tail, stride: as in FrameSampling. A video no longer than
            both ends, such as a segment, is used whole.
        normalize: L2-normalise each frame over D.
        cluster_size: H, of the dense layer on each frame.
        hidden_size: D_v, of the dense layer after the pooling.
        cluster_reduction, hidden_reduction: of the SE gatings, as in SEContextGating.
        dropout: share of the pooled values zeroed in training.
        momentum, epsilon: of the trunk's batch norms.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer (num_mixtures is the paper's N).

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size] (the output of the
        layer `hidden` is the same before its gating).
    Raises:
        UserError: sizes that are not positive, or an unknown name.
    Source: paper 002, sections 3.1, 3.2 and figure 1, table 1; biases, dropout, momentum and epsilon from the authors' code.
    """

    RECIPE, SEGMENT_EXPANSION = "ceshine", 3
    SAMPLE = {"hyperparameters": {"cluster_size": 1024, "hidden_size": 512, "skip_head": 0, "skip_tail": 0}}

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        sampling="without_replacement",
        num_samples=150,
        skip_head=30,
        skip_tail=10,
        stride=1,
        normalize=False,
        cluster_size=4096,
        hidden_size=2048,
        cluster_reduction=8,
        hidden_reduction=4,
        dropout=0.5,
        momentum=0.9,
        epsilon=1e-5,
        video_level_classifier_model="SharedGateMoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        check_positive(cluster_size=cluster_size, hidden_size=hidden_size)
        check_share(dropout=dropout)
        head_options = dict(head_options or {})
        norm = {"momentum": momentum, "epsilon": epsilon}

        inputs = frame_inputs(feature_sizes)
        x, mask = sampled_features(inputs, sampling, num_samples, skip_head, skip_tail, stride, normalize)
        x = layers.Dense(cluster_size, activation="relu", kernel_initializer="he_normal", name="cluster")(x)
        x = SEContextGating(cluster_reduction, **norm, name="cluster_gating")(x, mask=mask)
        x = FramePooling("both", name="pooling")(x, mask=mask)  # [B, 2 * cluster_size]
        x = layers.BatchNormalization(**norm, name="pooled_norm")(x)
        x = layers.Dropout(dropout, name="pooled_dropout")(x)
        x = layers.Dense(hidden_size, activation="relu", use_bias=False, kernel_initializer="he_normal", name="hidden")(x)
        embedding = SEContextGating(hidden_reduction, **norm, name="hidden_gating")(x)
        outputs = make_head(video_level_classifier_model, num_classes, head_options)(embedding)
        super().__init__(inputs, outputs, embedding=embedding, name=name)

        self.num_classes, self.feature_sizes = num_classes, feature_sizes
        self.sampling, self.num_samples, self.stride = sampling, num_samples, stride
        self.skip_head, self.skip_tail, self.normalize = skip_head, skip_tail, normalize
        self.cluster_size, self.cluster_reduction = cluster_size, cluster_reduction
        self.hidden_size, self.hidden_reduction = hidden_size, hidden_reduction
        self.dropout, self.momentum, self.epsilon = dropout, momentum, epsilon
        self.video_level_classifier_model, self.head_options = video_level_classifier_model, head_options
