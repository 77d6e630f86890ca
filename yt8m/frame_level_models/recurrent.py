"""Recurrent networks that read a video frame by frame: the starter code's LSTM, and GRUs."""

import keras
from keras import layers, ops

from yt8m.base_model import BaseModel, check_sizes, frame_inputs
from yt8m.errors import UserError
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask
from yt8m.registry import register
from yt8m.video_level_models import make_head


def check_counts(**counts):
    """Raises UserError unless all are at least 1."""
    for name, value in counts.items():
        if value < 1:
            raise UserError(f"{name}={value}: use at least 1.")


def recurrent_mask(x, num_frames):
    """Which of x [B, T, ...] a recurrent layer reads, bool [B, T]: the real frames, and one zero frame where there is none.

    cuDNN fails on a row without any.
    """
    return FrameMask(name="recurrent_mask")(x, ops.maximum(num_frames, 1))


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class LstmModel(BaseModel):
    """LSTMs one on the other; what the last one says at the last real frame goes to the classifier.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        units: of each LSTM (the starter's --lstm_cells).
        num_layers: LSTMs (the starter's --lstm_layers).
        normalize: L2-normalise each frame over D, as the starter code does.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, units].
    Raises:
        UserError: sizes that are not positive, or an unknown head.
    Source: the starter code (google/youtube-8m), frame_level_models.py. Its forget bias of 1 is the initial value of a
        trained bias here.
    """

    SAMPLE = {"hyperparameters": {"units": 256}}

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        units=1024,
        num_layers=2,
        normalize=True,
        video_level_classifier_model="MoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        check_counts(units=units, num_layers=num_layers)
        inputs = frame_inputs(feature_sizes)
        x = Dequantize(normalize=normalize, name="dequantize")(inputs["frames"], inputs["num_frames"])
        mask = recurrent_mask(x, inputs["num_frames"])
        for index in range(num_layers):
            last = index == num_layers - 1
            x = layers.LSTM(units, unit_forget_bias=True, return_sequences=not last, name=f"lstm_{index}")(x, mask=mask)
        outputs = make_head(video_level_classifier_model, num_classes, head_options)(x)
        super().__init__(inputs, outputs, embedding=x, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.units = units
        self.num_layers = num_layers
        self.normalize = normalize
        self.video_level_classifier_model = video_level_classifier_model
        self.head_options = head_options


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class GruModel(BaseModel):
    """GRUs one on the other; the last one's state at the last real frame goes to the classifier.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        units: of each GRU.
        num_layers: GRUs.
        reset_after: the reset gate acts on U h instead of h: cuDNN's form, several times faster on a GPU.
        normalize: L2-normalise each frame over D.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, units].
    Raises:
        UserError: sizes that are not positive, or an unknown head.
    Source: the GRU in table 2 of papers 000, 001, which give no sizes; these are the starter's LSTM's.
    """

    SAMPLE = {"hyperparameters": {"units": 256}}

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        units=1024,
        num_layers=2,
        reset_after=True,
        normalize=True,
        video_level_classifier_model="MoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        check_counts(units=units, num_layers=num_layers)
        inputs = frame_inputs(feature_sizes)
        x = Dequantize(normalize=normalize, name="dequantize")(inputs["frames"], inputs["num_frames"])
        mask = recurrent_mask(x, inputs["num_frames"])
        for index in range(num_layers):
            last = index == num_layers - 1
            x = layers.GRU(units, reset_after=reset_after, return_sequences=not last, name=f"gru_{index}")(x, mask=mask)
        outputs = make_head(video_level_classifier_model, num_classes, head_options)(x)
        super().__init__(inputs, outputs, embedding=x, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.units = units
        self.num_layers = num_layers
        self.reset_after = reset_after
        self.normalize = normalize
        self.video_level_classifier_model = video_level_classifier_model
        self.head_options = head_options
