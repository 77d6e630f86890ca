"""Context-ignoring and context-aware classification inside one network (paper 003)."""

import keras
from keras import layers, ops

from yt8m.base_model import ContextModel
from yt8m.base_model.context import IGNORING, SEGMENT
from yt8m.base_model.encoders import build_encoder, encoder_of, whole_of
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class JointContextModel(ContextModel):
    """A context-ignoring and a context-aware classifier, averaged inside one network and trained together (paper 003).

    Context-ignoring: a model of frames on the segment. Context-aware: the frozen context encoder's embedding of the video and
    the segment encoder's of the segment, concatenated -> dense `hidden`, batch norm, ReLU -> head.

    Args:
        context_model: name of the context encoder: a model of frames. Its classifier is left out.
        segment_model: name of the context-ignoring model, whose embedding is the segment encoder's too.
        share_segment_encoder: the context-ignoring model's own embedding is used, for a smaller network; False: the segment
            encoder has weights of its own, which is what the paper's checkpoint sizes allow for.
        hidden_size: of `hidden`.
        momentum, epsilon: of the batch norm.
        video_level_classifier_model, head_options: as in ContextModel, of the context-aware classifier.
        num_classes, feature_sizes, context_options, segment_options, context_sampling, context_num_samples: as in ContextModel.

    Shapes: {frames uint8 [B, W, D], num_frames int32 [B], context_frames uint8 [B, T, D], context_num_frames int32 [B]} ->
        float32 [B, C]; embed -> [B, hidden_size + the segment model's embedding], what the two classifiers see.
    Raises:
        UserError: sizes that are not positive, an unknown name or option, or an encoder that is none of frames.
    Source: paper 003, section 4.2 and figure 4.
    """

    RECIPE = "netvlad"
    SAMPLE = {
        "hyperparameters": {
            "context_options": {"cluster_size": 16, "hidden_size": 512},
            "segment_options": {"cluster_size": 16, "hidden_size": 512},
            "hidden_size": 512,
        }
    }
    ARGUMENTS = {
        "context_model": "NetVladModel",
        "segment_model": "NetVladModel",
        "context_options": None,
        "segment_options": None,
        "share_segment_encoder": False,
        "context_sampling": "none",
        "context_num_samples": 300,
        "hidden_size": 1024,
        "momentum": 0.99,
        "epsilon": 1e-3,
        "video_level_classifier_model": "MoeModel",
        "head_options": None,
    }

    def classifier(self):
        model = ("segment_model", self.segment_model, self.feature_sizes, self.segment_options)
        if self.share_segment_encoder:
            encoders = [whole_of(build_encoder(*model, SEGMENT, self.num_classes), SEGMENT)]
        else:
            ignoring = whole_of(build_encoder(*model, IGNORING, self.num_classes), IGNORING)
            encoders = [ignoring, encoder_of(build_encoder(*model, SEGMENT), None, SEGMENT)]
        hidden = layers.Dense(self.hidden_size, name="hidden")
        norm = layers.BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, name="hidden_norm")
        head = self.head()

        def classify(context, encoded):
            seen, ignorant = encoded[0]
            vector = seen if self.share_segment_encoder else encoded[1]
            x = ops.relu(norm(hidden(ops.concatenate([context, vector], axis=-1))))
            return (head(x) + ignorant) / 2.0, ops.concatenate([x, seen], axis=-1)

        return encoders, classify

    def segment_graphs(self, model):
        if self.share_segment_encoder:
            return {SEGMENT: whole_of(model, SEGMENT)}
        return {SEGMENT: encoder_of(model, None, SEGMENT), IGNORING: whole_of(model, IGNORING)}
