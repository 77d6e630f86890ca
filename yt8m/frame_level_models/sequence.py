"""Sequence models: the whole video in, a prediction for every 5 seconds out (paper 004)."""

import keras
from keras import layers, ops

from yt8m.base_model import BaseModel, check_sizes, frame_inputs, model_inputs
from yt8m.errors import UserError
from yt8m.frame_level_models.recurrent import check_counts, recurrent_mask
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.position_encoding import PositionEncoding
from yt8m.layers.segment_mean import SegmentMean
from yt8m.layers.transformer_block import TransformerBlock
from yt8m.registry import register
from yt8m.segments import SEGMENT_SIZE
from yt8m.video_level_models import make_head

FUSIONS = ("early", "late")


class SequenceModel(BaseModel):
    """A model that encodes the frames of a video, averages them over each segment and classifies the segments.

    Its output, [B, C], is the mean over the video's segments (paper 004, eq. 15); segment_probabilities has them one by one.

    Args:
        inputs: dict of keras.Input.
        encoded: frames as they are encoded, [B, T, F].
        head: classifier layer.
        segment_size: frames a segment.
    """

    KIND = "sequence"
    NEEDS_WHOLE_VIDEOS = True
    RECIPE = "em"

    def __init__(self, inputs, encoded, head, segment_size, **kwargs):
        vectors, real = SegmentMean(segment_size, name="segment_mean")(encoded, inputs["num_frames"])  # [B, S, F], [B, S]
        probabilities = ops.where(real[:, :, None], head(vectors, mask=real), 0.0)  # [B, S, C]
        super().__init__(inputs, _mean_of_real(probabilities, real), embedding=_mean_of_real(vectors, real), **kwargs)
        self._classify_segments = keras.Model(inputs, probabilities).__call__  # a bound method for BaseModel's reason

    def segment_probabilities(self, inputs, training=False):
        """Probabilities of every segment, float32 [B, S, C], S = ceil(T / segment_size); zeros past a video's end.

        Args:
            inputs: a batch; entries that the model does not take are ignored.
            training: for a training step: its gradients reach the model's weights.
        """
        return self._classify_segments(model_inputs(self, inputs), training=training)


def _mean_of_real(x, real):
    """Mean of the segments x [B, S, F] that are real, bool [B, S] -> [B, F]; 0 where none is."""
    count = ops.maximum(ops.sum(ops.cast(real, x.dtype), axis=1), 1.0)
    return ops.sum(x, axis=1) / count[:, None]  # the others are 0


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class BiGruModel(SequenceModel):
    """GRUs one on the other that read the video forwards, as many that read it backwards, both outputs side by side.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum (early fusion: the GRUs read all D).
        units: of each GRU.
        num_layers: GRUs each way.
        reset_after: False: the reset gate acts on h, eq. 8; True: on U h, cuDNN's form, several times faster on a GPU.
        segment_size: frames a segment.
        normalize: L2-normalise each frame over D, as the starter code does, on which the paper builds.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; segment_probabilities -> [B, S, C];
        embed -> [B, 2 * units], the mean of the segments' vectors.
    Raises:
        UserError: sizes that are not positive, or an unknown head.
    Source: paper 004, section 4.3, eq. 8-10; it does not give the units. Keras's update gate is 1 - z of eq. 8.
    """

    SAMPLE = {"hyperparameters": {"units": 128, "reset_after": True}}

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        units=512,
        num_layers=2,
        reset_after=False,
        segment_size=SEGMENT_SIZE,
        normalize=True,
        video_level_classifier_model="LogisticModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        check_counts(units=units, num_layers=num_layers)
        inputs = frame_inputs(feature_sizes)
        frames = Dequantize(normalize=normalize, name="dequantize")(inputs["frames"], inputs["num_frames"])
        mask = recurrent_mask(frames, inputs["num_frames"])
        ahead = back = frames
        for index in range(num_layers):
            options = {"reset_after": reset_after, "return_sequences": True}
            ahead = layers.GRU(units, **options, name=f"forward_{index}")(ahead, mask=mask)
            back = layers.GRU(units, **options, go_backwards=True, name=f"backward_{index}")(back, mask=mask)
            back = ops.flip(back, axis=1)  # it comes in the order of reading
        head = make_head(video_level_classifier_model, num_classes, head_options)
        super().__init__(inputs, ops.concatenate([ahead, back], axis=-1), head, segment_size, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.units = units
        self.num_layers = num_layers
        self.reset_after = reset_after
        self.segment_size = segment_size
        self.normalize = normalize
        self.video_level_classifier_model = video_level_classifier_model
        self.head_options = head_options


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class TransformerModel(SequenceModel):
    """Transformer blocks over all frames of the video.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        num_blocks: blocks one on the other.
        fusion: "early": the blocks see all D; "late": each feature has blocks of its own size, and their outputs are
            concatenated before the classifier.
        num_heads, feed_forward_size: as in TransformerBlock (None: the size of what the blocks see).
        position: "none", or as in PositionEncoding.
        max_length: positions of "learned".
        epsilon: of the layer norms.
        segment_size: frames a segment.
        normalize: L2-normalise each frame over D, as the starter code does, on which the paper builds.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; segment_probabilities -> [B, S, C];
        embed -> [B, D], the mean of the segments' vectors.
    Raises:
        UserError: sizes that are not positive, or an unknown name.
    Source: paper 004, section 4.4, eq. 11-14.
    Example:
        model = TransformerModel(num_classes=1000, fusion="late")
        by_segment = model.segment_probabilities({"frames": frames, "num_frames": num_frames})
    """

    SAMPLE = {"base_learning_rate": 2.5e-4}

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        num_blocks=2,
        fusion="early",
        num_heads=1,
        feed_forward_size=None,
        position="none",
        max_length=300,
        epsilon=1e-6,
        segment_size=SEGMENT_SIZE,
        normalize=True,
        video_level_classifier_model="LogisticModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        if fusion not in FUSIONS:
            raise UserError(f"fusion={fusion!r}: use one of {', '.join(FUSIONS)}.")
        check_counts(num_blocks=num_blocks)
        inputs = frame_inputs(feature_sizes)
        x = Dequantize(normalize=normalize, name="dequantize")(inputs["frames"], inputs["num_frames"])
        mask = FrameMask(name="mask")(x, inputs["num_frames"])
        outputs, start = [], 0
        for index, size in enumerate(feature_sizes if fusion == "late" else (sum(feature_sizes),)):
            one = x[:, :, start : start + size]
            if position != "none":
                one = PositionEncoding(position, max_length, name=f"position_{index}")(one)
            for block in range(num_blocks):
                one = TransformerBlock(num_heads, feed_forward_size, epsilon, name=f"block_{index}_{block}")(one, mask=mask)
            outputs.append(one)
            start += size
        encoded = ops.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        head = make_head(video_level_classifier_model, num_classes, head_options)
        super().__init__(inputs, encoded, head, segment_size, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.num_blocks = num_blocks
        self.fusion = fusion
        self.num_heads = num_heads
        self.feed_forward_size = feed_forward_size
        self.position = position
        self.max_length = max_length
        self.epsilon = epsilon
        self.segment_size = segment_size
        self.normalize = normalize
        self.video_level_classifier_model = video_level_classifier_model
        self.head_options = head_options
