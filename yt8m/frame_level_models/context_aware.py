"""The context-aware segment classifier of paper 002."""

import keras
from keras import layers, ops

from yt8m.base_model import ContextModel
from yt8m.base_model.context import SEGMENT
from yt8m.base_model.encoders import build_encoder, encoder_of
from yt8m.layers.se_gating import SEContextGating
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class ContextAwareModel(ContextModel):
    """The context-aware segment classifier of paper 002.

    The frozen context encoder's embedding of the video (of sampled frames in training) and the segment encoder's vector,
    concatenated -> batch norm, dropout, dense `hidden`, ReLU -> SE gating -> head.

    Args:
        context_model, segment_model: names of the encoders: models of frames. Their classifiers are left out.
        segment_layer: layer of the segment encoder whose output is the segment's vector: "auto": `hidden` of a NeXtVLAD, the
            embedding of others; None: the embedding; or a name (`hidden` comes before the gating).
        segment_activation: whether it is that layer's output after its activation (a ReLU). It says nothing of the embedding.
        context_num_samples: frames of the video that a training step sees, the paper's maximum length.
        hidden_size: of `hidden`.
        reduction: of the SE gating, as in SEContextGating; None: no gating ("optional" in the paper).
        dropout: share of the concatenated vector zeroed in training.
        momentum, epsilon: of the batch norms.
        num_classes, feature_sizes, context_options, segment_options, context_sampling, video_level_classifier_model,
            head_options: as in ContextModel.

    Shapes: {frames uint8 [B, W, D], num_frames int32 [B], context_frames uint8 [B, T, D], context_num_frames int32 [B]} ->
        float32 [B, C]; embed -> [B, hidden_size].
    Raises:
        UserError: sizes that are not positive, an unknown name or option, or an encoder that is none of frames.
    Source: paper 002, section 3.9 and figure 8. From the authors' code (ceshine/yt8m-2019, segment_models.py): momentum and
        epsilon, the ends of the context, and the segment's vector: of a NeXtVLAD the dense layer's output before its ReLU
        (`intermediate_fc[:1]`), of a DBoF the gated embedding; the paper leaves open which. The defaults are dbof-3 with
        nxvlad-2; table 5's counts are those of 2 experts.
    Example:
        model = ContextAwareModel(num_classes=1000, context_options={"num_samples": 200})
        model.load_encoders(context=video_model, segment=other_video_model)
    """

    HEAD_DEFAULTS = {"SharedGateMoeModel": {"num_mixtures": 2}}
    EARLIER_DEFAULTS = {"segment_layer": "hidden", "segment_activation": True}
    RECIPE = "ceshine"
    SAMPLE = {
        "hyperparameters": {
            "context_options": {"cluster_size": 1024, "hidden_size": 512, "skip_head": 0, "skip_tail": 0},
            "segment_options": {
                "cluster_size": 16,
                "other_cluster_size": 8,
                "hidden_size": 512,
                "skip_head": 0,
                "skip_tail": 0,
            },
            "hidden_size": 512,
        }
    }
    ARGUMENTS = {
        "context_model": "GatedDbofModel",
        "segment_model": "NeXtVladModel",
        "context_options": None,
        "segment_options": None,
        "segment_layer": "auto",
        "segment_activation": False,
        "context_sampling": "without_replacement",
        "context_num_samples": 150,
        "hidden_size": 2048,
        "reduction": 4,
        "dropout": 0.5,
        "momentum": 0.9,
        "epsilon": 1e-5,
        "video_level_classifier_model": "SharedGateMoeModel",
        "head_options": None,
    }

    def classifier(self):
        norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        segment = self.segment_graphs(
            build_encoder("segment_model", self.segment_model, self.feature_sizes, self.segment_options, SEGMENT)
        )[SEGMENT]
        stack = [
            layers.BatchNormalization(**norm, name="joined_norm"),
            layers.Dropout(self.dropout, name="joined_dropout"),
            layers.Dense(self.hidden_size, activation="relu", kernel_initializer="he_normal", name="hidden"),
        ]
        if self.reduction is not None:
            stack.append(SEContextGating(self.reduction, **norm, name="hidden_gating"))
        head = self.head()

        def classify(context, vectors):
            x = ops.concatenate([context, *vectors], axis=-1)
            for layer in stack:
                x = layer(x)
            return head(x), x

        return [segment], classify

    def segment_graphs(self, model):
        layer = type(model).SEGMENT_LAYER if self.segment_layer == "auto" else self.segment_layer
        return {SEGMENT: encoder_of(model, layer, SEGMENT, self.segment_activation)}
