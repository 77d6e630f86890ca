"""Deep bags of frames: the starter code's, and the context-gated one of paper 002."""

import keras
from keras import initializers, layers, ops

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_choice, check_positive, check_share
from yt8m.errors import UserError
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.frame_sampling import INFERENCE_METHODS
from yt8m.layers.pooling import FramePooling
from yt8m.layers.se_gating import SEContextGating
from yt8m.registry import register

ACTIVATIONS = ("relu6", "sigmoid")


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class DbofModel(FrameModel):
    """The starter code's deep bag of frames: frames projected to many clusters, pooled, and projected back.

    Frames -> sampled -> features, L2-normalised -> batch norm -> dense `cluster`, batch norm, activation -> maximum or mean over
    the real frames -> dense `hidden`, batch norm, activation -> head.

    Args:
        sampling: the starter code's --sample_random_frames is "random", its opposite "sequence".
        sample_at_inference: num_samples frames in inference, too, as in the starter code; False: every frame. Needs one of these
            two samplings.
        inference_seed: of these draws, as in FrameSampling: each inference of a video sees the same frames.
        add_batch_norm: the three batch norms; without them the dense layers have biases.
        cluster_size: of the dense layer on each frame.
        hidden_size: of the dense layer after the pooling.
        pooling_method: "max", "average" or "both", as in FramePooling.
        activation: "sigmoid" (the starter code's default since August 2019) or "relu6" (before).
        momentum, epsilon: of the batch norms.
        num_classes, feature_sizes, num_samples, skip_head, skip_tail, stride, normalize, video_level_classifier_model,
            head_options: as in FrameModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size].
    Raises:
        UserError: sizes that are not positive, or an unknown name.
    Source: DbofModel of the starter code (google/youtube-8m), frame_level_models.py, which samples at inference, too, at random
        each time. docs/models.md says what that changes.
    """

    EARLIER_DEFAULTS = {"activation": "relu6"}
    POOLS_FRAMES = True
    HEAD_DEFAULTS = {}
    ARGUMENTS = {
        **FrameModel.SAMPLING,
        "num_samples": 30,
        "skip_head": 0,
        "skip_tail": 0,
        "stride": 1,
        "sample_at_inference": False,
        "inference_seed": 0,
        "normalize": True,
        "add_batch_norm": True,
        "cluster_size": 8192,
        "hidden_size": 1024,
        "pooling_method": "max",
        "activation": "sigmoid",
        "momentum": 0.99,
        "epsilon": 1e-3,
        **FrameModel.HEAD_ARGUMENTS,
    }

    def check_arguments(self):
        check_positive(self, "cluster_size", "hidden_size")
        check_choice("activation", self.activation, ACTIVATIONS)
        if self.sample_at_inference and self.sampling not in INFERENCE_METHODS:
            raise UserError(
                f"sample_at_inference=True: sampling={self.sampling!r} is none of {', '.join(INFERENCE_METHODS)}, the starter "
                "code's two. Use one of these, or leave it out."
            )

    def seed_of_inference(self):
        return self.inference_seed if self.sample_at_inference else None

    def encode(self, frames, mask):
        if self.add_batch_norm:
            frames = BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, name="frame_norm")(frames, mask=mask)
        x = self._projected(frames, mask, self.cluster_size, "cluster")
        pooled = FramePooling(self.pooling_method, name="pooling")(x, mask=mask)
        return self._projected(pooled, None, self.hidden_size, "hidden")

    def _projected(self, x, mask, units, name):
        """Dense, batch norm (or a bias) and activation: [..., F] -> [..., units]."""
        initializer = initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
        x = layers.Dense(units, use_bias=not self.add_batch_norm, kernel_initializer=initializer, name=name)(x)
        if self.add_batch_norm:
            norm = BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, name=f"{name}_norm")
            x = norm(x, mask=mask)
        return ops.relu6(x) if self.activation == "relu6" else ops.sigmoid(x)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class GatedDbofModel(FrameModel):
    """The context-gated deep bag of frames of paper 002.

    Frames -> ends cut off, sampled (training) -> features -> dense `cluster`, ReLU -> SE gating of each frame -> maximum
    and mean over the real frames, concatenated -> batch norm, dropout, dense `hidden`, ReLU -> SE gating -> head.

    Args:
        sampling: as in FrameModel; "every" (with stride 1) cuts off the ends only, the paper's unlimited length.
        num_samples: L_m, frames that are left. A video no longer than skip_head and skip_tail, such as a segment, is used whole.
        cluster_size: H, of the dense layer on each frame.
        hidden_size: D_v, of the dense layer after the pooling.
        cluster_reduction, hidden_reduction: of the SE gatings, as in SEContextGating.
        dropout: share of the pooled values zeroed in training.
        momentum, epsilon: of the trunk's batch norms.
        num_classes, feature_sizes, skip_head, skip_tail, stride, normalize, video_level_classifier_model, head_options: as in
            FrameModel (the head's num_mixtures is the paper's N).

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size] (`hidden` and its
        ReLU, the layer `hidden_activation`, give the same before the gating).
    Raises:
        UserError: sizes that are not positive, or an unknown name.
    Source: paper 002, sections 3.1, 3.2 and figure 1, table 1; biases, dropout, momentum and epsilon from the authors' code.
    """

    GAINS_BY_BFLOAT16 = True
    RECIPE, SEGMENT_EXPANSION = "ceshine", 3
    POOLS_FRAMES = True
    SAMPLE = {"hyperparameters": {"cluster_size": 1024, "hidden_size": 512, "skip_head": 0, "skip_tail": 0}}

    HEAD_DEFAULTS = {}
    ARGUMENTS = {
        "sampling": "without_replacement",
        "num_samples": 150,
        "skip_head": 30,
        "skip_tail": 10,
        "stride": 1,
        "normalize": False,
        "cluster_size": 4096,
        "hidden_size": 2048,
        "cluster_reduction": 8,
        "hidden_reduction": 4,
        "dropout": 0.5,
        "momentum": 0.9,
        "epsilon": 1e-5,
        "video_level_classifier_model": "SharedGateMoeModel",
        "head_options": None,
    }

    def check_arguments(self):
        check_positive(self, "cluster_size", "hidden_size")
        check_share(self, "dropout")

    def encode(self, frames, mask):
        norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        x = layers.Dense(self.cluster_size, activation="relu", kernel_initializer="he_normal", name="cluster")(frames)
        x = SEContextGating(self.cluster_reduction, **norm, name="cluster_gating")(x, mask=mask)
        x = FramePooling("both", name="pooling")(x, mask=mask)  # [B, 2 * cluster_size]
        x = BatchNormalization(**norm, name="pooled_norm")(x)
        x = layers.Dropout(self.dropout, name="pooled_dropout")(x)
        x = layers.Dense(self.hidden_size, use_bias=False, kernel_initializer="he_normal", name="hidden")(x)
        x = layers.Activation("relu", name="hidden_activation")(x)
        return SEContextGating(self.hidden_reduction, **norm, name="hidden_gating")(x)
