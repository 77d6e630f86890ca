"""Models of a segment and of the video around it (papers 002, 003)."""

import keras
from keras import layers, ops

from yt8m import registry
from yt8m.base_model.base import BaseModel
from yt8m.base_model.encoders import build_encoder, copy_weights
from yt8m.base_model.frame import frame_inputs
from yt8m.base_model.parts import Graph, Part
from yt8m.base_model.shared_frames import SharedFrames
from yt8m.layers.frame_sampling import sample_frames
from yt8m.readers.spec import SegmentsInVideos

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

    def compute_output_spec(self, frames, num_frames):
        output = self.encoder.output
        return keras.KerasTensor((frames.shape[0], *output.shape[1:]), output.dtype)


class ContextModel(BaseModel):
    """A model whose batch has `context_frames` and `context_num_frames` of the video beside a segment's frames.

    The video's frames matter through one vector a video, the embedding of a frozen encoder, so that all segments of a video need
    it only once:

        context = model.encode_context({"context_frames": frames, "context_num_frames": num_frames})  # [videos, E]
        probabilities = model.predict_segments(context[rows], segment_frames, segment_num_frames)     # [segments, C]

    A subclass implements `classifier` and `segment_graphs`.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        context_model, segment_model: names of the encoders: models of frames.
        context_options, segment_options: arguments of their constructors, or None.
        context_sampling: frames of the video that a training step sees: a method of FrameSampling, or "none" (all). The ends of
            the video that are cut off, in training and in inference, are the context encoder's own: its skip_head and
            skip_tail in context_options.
        context_num_samples: frames drawn.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer, over HEAD_DEFAULTS.

    Shapes: {frames uint8 [B, W, D], num_frames int32 [B], context_frames uint8 [B, T, D], context_num_frames int32 [B]} ->
        float32 [B, C].
    """

    NEEDS_WHOLE_VIDEOS = True
    SEGMENT_EXPANSION = 3
    SCORES_VIDEOS = False
    NO_SEGMENTS_MEAN = ", which scores segments only"
    FINDS_SEGMENTS_BY_POSITION = False
    HAS_ENCODERS = True
    RATED_ROWS = SegmentsInVideos
    suits_xla = False  # the videos of a batch are as long as its longest
    # First parts of weights' paths -> factor on their learning rate (papers 002, 003); the longest that fits counts.
    LEARNING_RATE_MULTIPLIERS = {SEGMENT: 0.5, f"{SEGMENT}/head": 1.0, IGNORING: 0.5, f"{IGNORING}/head": 1.0}

    def classifier(self):
        """The network on a segment and its video's embedding.

        Returns:
            (a list of encoders of segments, keras.Models of `frames` and `num_frames`; function (context [B, E], a list of what
            they gave) -> (probabilities [B, C], embedding [B, F])). The layers are made once, however often it is called.
        """
        raise NotImplementedError

    def segment_graphs(self, model):
        """{name of a layer: the part of a pre-trained segment model that it is, a keras.Model}."""
        raise NotImplementedError

    def graph(self):
        named = ("context_model", self.context_model, self.feature_sizes, self.context_options, CONTEXT)
        encoder = build_encoder(*named, cut=True).encoder
        encoders, classify = self.classifier()
        segment = frame_inputs(self.feature_sizes)
        frames = frame_inputs(self.feature_sizes, prefix="context_")
        video = {f"context_{name}": x for name, x in frames.items()}
        context = FrozenEncoder(encoder, name=CONTEXT)(*self._sampled_context(frames))
        outputs, embedding = classify(context, [encoder(segment) for encoder in encoders])
        self._encode_context = keras.Model(video, context).__call__  # bound methods for BaseModel's reason
        self.context_size = context.shape[1]
        embedded = keras.Input(context.shape[1:], dtype=context.dtype, name="context_embedding")
        encoded = [encoder(segment) for encoder in encoders]
        probabilities, _ = classify(embedded, encoded)
        self._predict_segments = keras.Model({"context_embedding": embedded, **segment}, probabilities).__call__
        finish = keras.Model([embedded, encoded], probabilities).__call__
        self._share_frames = lambda: SharedFrames(encoders, lambda outputs, context: finish([context, outputs], training=False))
        return Graph({**video, **segment}, outputs, embedding)

    def _sampled_context(self, frames):
        """The videos' symbolic frames and num_frames without the encoder's ends, sampled in training."""
        ends = registry.get("model", self.context_model).ends(self.context_options or {})
        sampling = self.context_sampling
        if sampling == "none" and any(ends):
            sampling = "every"  # with stride 1: cuts off the ends only
        return sample_frames(frames, sampling, self.context_num_samples, *ends, stride=1)

    def get_config(self):
        return self.settled(super().get_config())  # the encoders' defaults as well

    @classmethod
    def settled(cls, arguments, earlier=False):
        """As BaseModel.settled, of the encoders, too."""
        settled = super().settled(arguments, earlier)
        given = {**cls.ARGUMENTS, **settled}
        for part in ("context", "segment"):
            encoder, options = registry.get("model", given[f"{part}_model"]), given[f"{part}_options"]
            settled[f"{part}_options"] = encoder.settled(options or {}, earlier) or options
        return settled

    def encode_context(self, inputs, training=False):
        """Embeddings of the videos, [B, E], without the ends that the encoder cuts off; it is in inference mode always.

        Args:
            inputs: {context_frames uint8 [B, T, D], context_num_frames int32 [B]}; other entries are ignored.
            training: sample frames as in a training step; False: all frames between the ends.
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

    def predict_rated(self, batch, training=False):
        """As BaseModel.predict_rated; segments: `frames` uint8 [N, W, D], `num_frames` [N], `segment_rows` [N], and of the videos
        `context_frames` uint8 [B, T, D], `context_num_frames` [B], or `context_embedding` [B, E] in their stead.
        """
        if "segment_rows" not in batch:
            return super().predict_rated(batch, training)
        if "context_embedding" in batch:
            videos = batch["context_embedding"]
        else:
            videos = self.encode_context(batch, training=training)
        context = ops.take(videos, batch["segment_rows"], axis=0)
        return self.predict_segments(context, batch["frames"], batch["num_frames"], training=training)

    def shared_frames(self, width):
        segment = registry.get("model", self.segment_model)
        return self._share_frames() if segment.judges_described(self.segment_options or {}, width) else None

    def segment_inputs(self, segments):
        taken = ("frames", "num_frames", "segment_rows", "context_frames", "context_num_frames")
        return {name: segments[name] for name in taken if name in segments}

    def serving_parts(self):
        def encode(video):
            return self.encode_context({"context_frames": video["frames"], "context_num_frames": video["num_frames"]})

        def classify(segment):
            return self.predict_segments(**segment)

        return [
            Part("context", "context_embedding", encode, whole_video=True),
            Part("segment", "probabilities", classify, vectors={"context_embedding": self.context_size}),
        ]

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
            for name, graph in self.segment_graphs(segment).items():
                copy_weights(graph, self.get_layer(name), "segment")
