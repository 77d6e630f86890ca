"""Models of a segment and of the video around it (papers 002, 003)."""

import keras
from keras import layers, ops

from yt8m import registry
from yt8m.base_model import BaseModel, check_sizes, constructor_arguments, frame_inputs
from yt8m.errors import UserError
from yt8m.layers.frame_sampling import sample_frames
from yt8m.layers.se_gating import SEContextGating
from yt8m.registry import register
from yt8m.video_level_models import make_head

# Names of layers; the paths of their weights begin with them.
CONTEXT, SEGMENT, IGNORING = "context_encoder", "segment_encoder", "context_ignoring"


class FrozenEncoder(layers.Layer):
    """An encoder that no training step changes: always in inference mode, its weights and batch statistics as they are.

    Args:
        encoder: keras.Model, {frames uint8 [B, T, D], num_frames int32 [B]} -> [B, E].

    Shapes: frames uint8 [B, T, D], num_frames int32 [B] -> [B, E].
    """

    def __init__(self, encoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.trainable = False

    def call(self, frames, num_frames):
        return ops.stop_gradient(self.encoder({"frames": frames, "num_frames": num_frames}, training=False))


class ContextModel(BaseModel):
    """A model whose batch has `context_frames` and `context_num_frames` of the video beside a segment's frames.

    The video's frames matter through one vector a video, so that all segments of a video need it only once:

        context = model.encode_context({"context_frames": frames, "context_num_frames": num_frames})  # [videos, E]
        probabilities = model.predict_segments(context[rows], segment_frames, segment_num_frames)     # [segments, C]

    Args:
        inputs: dict of keras.Input.
        context: embedding of the video, [B, E].
        classify: function (context, inputs) -> (probabilities [B, C], embedding [B, F]).
    """

    KIND = "context"
    NEEDS_WHOLE_VIDEOS = True
    SEGMENT_EXPANSION = 3
    # First parts of weights' paths -> factor on their learning rate (papers 002, 003); the longest that fits counts.
    LEARNING_RATE_MULTIPLIERS = {SEGMENT: 0.5, f"{SEGMENT}/head": 1.0, IGNORING: 0.5, f"{IGNORING}/head": 1.0}

    def __init__(self, inputs, context, classify, **kwargs):
        outputs, embedding = classify(context, inputs)
        super().__init__(inputs, outputs, embedding, **kwargs)
        video = {name: inputs[name] for name in ("context_frames", "context_num_frames")}
        self._encode_context = keras.Model(video, context).__call__  # bound methods for BaseModel's reason
        segment = {name: inputs[name] for name in ("frames", "num_frames")}
        embedded = keras.Input(context.shape[1:], dtype=context.dtype, name="context_embedding")
        probabilities, _ = classify(embedded, segment)
        self._predict_segments = keras.Model({"context_embedding": embedded, **segment}, probabilities).__call__

    def encode_context(self, inputs, training=False):
        """Embeddings of the videos, [B, E]; the encoder is in inference mode always.

        Args:
            inputs: {context_frames uint8 [B, T, D], context_num_frames int32 [B]}; other entries are ignored.
            training: sample frames as in a training step; False: all frames.
        """
        return self._encode_context({name: inputs[name] for name in ("context_frames", "context_num_frames")}, training=training)

    def predict_segments(self, context_embedding, frames, num_frames, training=False):
        """Probabilities of segments, float32 [N, C].

        Args:
            context_embedding: [N, E], the row of encode_context of each segment's video.
            frames: uint8 [N, W, D], the segments' frames.
            num_frames: int32 [N], how many of them are real.
            training: for a training step.
        """
        inputs = {"context_embedding": context_embedding, "frames": frames, "num_frames": num_frames}
        return self._predict_segments(inputs, training=training)

    def load_encoders(self, context=None, segment=None):
        """Copies the weights of pre-trained models into the encoders.

        Args:
            context, segment: models of the names and options that this one was given; of their classifiers only that of
                JointContextModel's segment model is used. None: leave as it is.

        Raises:
            UserError: a model whose weights have other shapes.
        """
        if context is not None:
            copy_weights(context.encoder, self.get_layer(CONTEXT).encoder, "context")
        if segment is not None:
            for name, graph in self._segment_graphs(segment).items():
                copy_weights(graph, self.get_layer(name), "segment")

    def _segment_graphs(self, model):
        """Layer -> the graph of a segment model that it is."""
        raise NotImplementedError


def context_inputs(feature_sizes):
    """The symbolic batch: frames [B, W, D], num_frames [B] of the segment, context_frames [B, T, D], context_num_frames [B]."""
    return {
        "context_frames": keras.Input((None, sum(feature_sizes)), dtype="uint8", name="context_frames"),
        "context_num_frames": keras.Input((), dtype="int32", name="context_num_frames"),
        **frame_inputs(feature_sizes),
    }


def build_encoder(argument, name, feature_sizes, options, scope, num_classes=1):
    """The frame-level model `name`, its weights' paths under `scope`.

    Args:
        argument: constructor argument that named it, for errors.
        name: registered name.
        feature_sizes: of the frames.
        options: arguments of its constructor, or None.
        scope: first part of the paths.
        num_classes: of its classifier, where that is used.

    Raises:
        UserError: no model of frames, or an option that it does not have.
    """
    model = registry.get("model", name)
    if model.KIND not in ("frame", "sequence"):
        raise UserError(f"{argument}={name!r}: use a model of frames, such as GatedDbofModel or NeXtVladModel.")
    known = sorted(set(constructor_arguments(model)) - {"num_classes", "feature_sizes"})
    for option in options or {}:
        if option not in known:
            raise UserError(f"{argument.replace('_model', '_options')}: {name} has no {option!r}; use {', '.join(known)}.")
    with keras.name_scope(scope):
        return model(num_classes, feature_sizes, **(options or {}))


def encoder_of(model, layer, name):
    """The graph of a model up to a layer's output, or up to its embedding, as a keras.Model.

    Args:
        model: BaseModel.
        layer: name of a layer whose output is [B, E], or None: the embedding.
        name: of the result.

    Raises:
        UserError: no such layer, or one with an output of another rank.
    """
    if layer is None:
        return keras.Model(model.input, model.encoder.output, name=name)
    known = [one.name for one in model.layers if isinstance(one.output, keras.KerasTensor) and len(one.output.shape) == 2]
    if layer not in known:
        raise UserError(
            f"segment_layer={layer!r}: {type(model).__name__} has no layer of that name that gives a vector; "
            f"use None for its embedding, or one of {', '.join(known)}."
        )
    return keras.Model(model.input, model.get_layer(layer).output, name=name)


def whole_of(model, name):
    """The graph of a model up to its embedding and its output, as a keras.Model with these two outputs."""
    return keras.Model(model.input, [model.encoder.output, model.output], name=name)


def encode_context(inputs, encoder, sampling, num_samples):
    """The embedding [B, E] of a batch's videos by the frozen encoder, with frames sampled in training."""
    video = {"frames": inputs["context_frames"], "num_frames": inputs["context_num_frames"]}
    return FrozenEncoder(encoder, name=CONTEXT)(*sample_frames(video, sampling, num_samples, None, None, 1))


def copy_weights(source, target, argument):
    """Copies a graph's weights to a graph of the same kind; UserError if their shapes differ."""
    if [w.shape for w in source.weights] != [w.shape for w in target.weights]:
        raise UserError(f"{argument}: the pre-trained weights do not fit: use a {argument}_model with {argument}_options.")
    target.set_weights(source.get_weights())


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class ContextAwareModel(ContextModel):
    """The context-aware segment classifier of paper 002.

    The frozen context encoder's embedding of the video (of sampled frames in training) and the segment encoder's vector,
    concatenated -> batch norm, dropout, dense `hidden`, ReLU -> SE gating -> head.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        context_model, segment_model: names of the encoders: models of frames. Their classifiers are left out.
        context_options, segment_options: arguments of their constructors.
        segment_layer: layer of the segment encoder whose output is used: `hidden` comes before the gating; None: the embedding.
        context_sampling: frames of the video that a training step sees: a method of FrameSampling, or "none" (all).
        context_num_samples: frames drawn, the paper's maximum length.
        hidden_size: of `hidden`.
        reduction: of the SE gating, as in SEContextGating; None: no gating ("optional" in the paper).
        dropout: share of the concatenated vector zeroed in training.
        momentum, epsilon: of the batch norms.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer, over HEAD_DEFAULTS.

    Shapes: {frames uint8 [B, W, D], num_frames int32 [B], context_frames uint8 [B, T, D], context_num_frames int32 [B]} ->
        float32 [B, C]; embed -> [B, hidden_size].
    Raises:
        UserError: sizes that are not positive, an unknown name or option, or an encoder that is none of frames.
    Source: paper 002, section 3.9 and figure 8; momentum and epsilon from the authors' code, which takes a DBoF segment encoder
        with its gating (segment_layer=None). The defaults are dbof-3 with nxvlad-2; table 5's counts are those of 2 experts.
    Example:
        model = ContextAwareModel(num_classes=1000, context_options={"num_samples": 200})
        model.load_encoders(context=video_model, segment=other_video_model)
    """

    HEAD_DEFAULTS = {"SharedGateMoeModel": {"num_mixtures": 2}}
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

    def _segment_graphs(self, model):
        return {SEGMENT: encoder_of(model, self.segment_layer, SEGMENT)}

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        context_model="GatedDbofModel",
        segment_model="NeXtVladModel",
        context_options=None,
        segment_options=None,
        segment_layer="hidden",
        context_sampling="without_replacement",
        context_num_samples=150,
        hidden_size=2048,
        reduction=4,
        dropout=0.5,
        momentum=0.9,
        epsilon=1e-5,
        video_level_classifier_model="SharedGateMoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        head_options = {**self.HEAD_DEFAULTS.get(video_level_classifier_model, {}), **(head_options or {})}
        norm = {"momentum": momentum, "epsilon": epsilon}
        video = build_encoder("context_model", context_model, feature_sizes, context_options, CONTEXT)
        segment = build_encoder("segment_model", segment_model, feature_sizes, segment_options, SEGMENT)
        segment = encoder_of(segment, segment_layer, SEGMENT)
        stack = [
            layers.BatchNormalization(**norm, name="joined_norm"),
            layers.Dropout(dropout, name="joined_dropout"),
            layers.Dense(hidden_size, activation="relu", kernel_initializer="he_normal", name="hidden"),
        ]
        if reduction is not None:
            stack.append(SEContextGating(reduction, **norm, name="hidden_gating"))
        head = make_head(video_level_classifier_model, num_classes, head_options)

        def classify(context, inputs):
            vector = segment({"frames": inputs["frames"], "num_frames": inputs["num_frames"]})
            x = ops.concatenate([context, vector], axis=-1)
            for layer in stack:
                x = layer(x)
            return head(x), x

        inputs = context_inputs(feature_sizes)
        context = encode_context(inputs, video.encoder, context_sampling, context_num_samples)
        super().__init__(inputs, context, classify, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.context_model = context_model
        self.segment_model = segment_model
        self.context_options = context_options
        self.segment_options = segment_options
        self.segment_layer = segment_layer
        self.context_sampling = context_sampling
        self.context_num_samples = context_num_samples
        self.hidden_size = hidden_size
        self.reduction = reduction
        self.dropout = dropout
        self.momentum = momentum
        self.epsilon = epsilon
        self.video_level_classifier_model = video_level_classifier_model
        self.head_options = head_options


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class JointContextModel(ContextModel):
    """A context-ignoring and a context-aware classifier, averaged inside one network and trained together (paper 003).

    Context-ignoring: a model of frames on the segment. Context-aware: the frozen context encoder's embedding of the video and
    the segment encoder's of the segment, concatenated -> dense `hidden`, batch norm, ReLU -> head.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        context_model: name of the context encoder: a model of frames. Its classifier is left out.
        segment_model: name of the context-ignoring model, whose embedding is the segment encoder's too.
        context_options, segment_options: arguments of their constructors.
        share_segment_encoder: the context-ignoring model's own embedding is used, for a smaller network; False: the segment
            encoder has weights of its own, which is what the paper's checkpoint sizes allow for.
        context_sampling: frames of the video that a training step sees: a method of FrameSampling, or "none" (all).
        context_num_samples: frames drawn.
        hidden_size: of `hidden`.
        momentum, epsilon: of the batch norm.
        video_level_classifier_model: name of the context-aware classifier's head.
        head_options: arguments of that head's layer.

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

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        context_model="NetVladModel",
        segment_model="NetVladModel",
        context_options=None,
        segment_options=None,
        share_segment_encoder=False,
        context_sampling="none",
        context_num_samples=300,
        hidden_size=1024,
        momentum=0.99,
        epsilon=1e-3,
        video_level_classifier_model="MoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        video = build_encoder("context_model", context_model, feature_sizes, context_options, CONTEXT)
        chosen = ("segment_model", segment_model, feature_sizes, segment_options)
        if share_segment_encoder:
            ignoring, segment = whole_of(build_encoder(*chosen, SEGMENT, num_classes), SEGMENT), None
        else:
            ignoring = whole_of(build_encoder(*chosen, IGNORING, num_classes), IGNORING)
            segment = encoder_of(build_encoder(*chosen, SEGMENT), None, SEGMENT)
        hidden = layers.Dense(hidden_size, name="hidden")
        norm = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name="hidden_norm")
        head = make_head(video_level_classifier_model, num_classes, head_options)

        def classify(context, inputs):
            frames = {"frames": inputs["frames"], "num_frames": inputs["num_frames"]}
            seen, ignorant = ignoring(frames)
            vector = seen if share_segment_encoder else segment(frames)
            x = ops.relu(norm(hidden(ops.concatenate([context, vector], axis=-1))))
            return (head(x) + ignorant) / 2.0, ops.concatenate([x, seen], axis=-1)

        inputs = context_inputs(feature_sizes)
        context = encode_context(inputs, video.encoder, context_sampling, context_num_samples)
        super().__init__(inputs, context, classify, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.context_model = context_model
        self.segment_model = segment_model
        self.context_options = context_options
        self.segment_options = segment_options
        self.share_segment_encoder = share_segment_encoder
        self.context_sampling = context_sampling
        self.context_num_samples = context_num_samples
        self.hidden_size = hidden_size
        self.momentum = momentum
        self.epsilon = epsilon
        self.video_level_classifier_model = video_level_classifier_model
        self.head_options = head_options

    def _segment_graphs(self, model):
        if self.share_segment_encoder:
            return {SEGMENT: whole_of(model, SEGMENT)}
        return {SEGMENT: encoder_of(model, None, SEGMENT), IGNORING: whole_of(model, IGNORING)}
