"""Recurrent networks that read a video frame by frame: the starter code's LSTM, and GRUs."""

import keras
from keras import ops

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_positive
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.recurrence import GRU, LSTM
from yt8m.registry import register


def recurrent_mask(x, mask):
    """Which of x [B, T, ...] a recurrent layer reads, bool [B, T]: the real frames, and one zero frame where there is none.

    cuDNN fails on a row without any.
    """
    num_frames = ops.sum(ops.cast(mask, "int32"), axis=1)
    return FrameMask(name="recurrent_mask")(x, ops.maximum(num_frames, 1))


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class LstmModel(FrameModel):
    """LSTMs one on the other; what the last one says at the last real frame goes to the classifier.

    Args:
        units: of each LSTM (the starter's --lstm_cells).
        num_layers: LSTMs (the starter's --lstm_layers).
        num_classes, feature_sizes, normalize, video_level_classifier_model, head_options: as in FrameModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, units].
    Raises:
        UserError: sizes that are not positive, or an unknown head.
    Source: the starter code (google/youtube-8m), frame_level_models.py. Its forget bias of 1 is the initial value of a
        trained bias here.
    """

    SAMPLE = {"hyperparameters": {"units": 256}}

    ARGUMENTS = {"units": 1024, "num_layers": 2, "normalize": True, **FrameModel.HEAD_ARGUMENTS}

    def check_arguments(self):
        check_positive(self, "units", "num_layers")

    def encode(self, frames, mask):
        x, mask = frames, recurrent_mask(frames, mask)
        for index in range(self.num_layers):
            last = index == self.num_layers - 1
            x = LSTM(self.units, unit_forget_bias=True, return_sequences=not last, name=f"lstm_{index}")(x, mask=mask)
        return x


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class GruModel(FrameModel):
    """GRUs one on the other; the last one's state at the last real frame goes to the classifier.

    Args:
        units: of each GRU.
        num_layers: GRUs.
        reset_after: the reset gate acts on U h instead of h: cuDNN's form, several times faster on a GPU.
        num_classes, feature_sizes, normalize, video_level_classifier_model, head_options: as in FrameModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, units].
    Raises:
        UserError: sizes that are not positive, or an unknown head.
    Source: the GRU in table 2 of papers 000, 001, which give no sizes; these are the starter's LSTM's.
    """

    SAMPLE = {"hyperparameters": {"units": 256}}

    ARGUMENTS = {"units": 1024, "num_layers": 2, "reset_after": True, "normalize": True, **FrameModel.HEAD_ARGUMENTS}

    def check_arguments(self):
        check_positive(self, "units", "num_layers")

    def encode(self, frames, mask):
        x, mask = frames, recurrent_mask(frames, mask)
        for index in range(self.num_layers):
            options = {"reset_after": self.reset_after, "return_sequences": index < self.num_layers - 1}
            x = GRU(self.units, **options, name=f"gru_{index}")(x, mask=mask)
        return x
