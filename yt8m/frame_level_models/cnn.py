"""Convolutions over time: the CNN baselines of team Locust (papers 000, 001)."""

import keras
from keras import initializers, layers, ops

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_positive
from yt8m.errors import UserError
from yt8m.frame_level_models.recurrent import recurrent_mask
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.experts import slim_l2
from yt8m.layers.pooling import FramePooling
from yt8m.layers.recurrence import LSTM
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class CnnModel(FrameModel):
    """Convolutions over time of several widths side by side, each filter's maximum over the frames, a classifier.

    Frames -> every 5th (training) -> features, L2-normalised -> for each width w: x_t, ..., x_{t-w+1} times a [w * D, filters]
    kernel, no bias -> concatenated [B, T, sum of filters] -> maximum over the real frames -> L2-normalised -> head.

    Args:
        num_filters: filters of each width.
        widths: frames that each kernel spans: the present one and those before it; before the first frame there are zeros.
        filter_stddev: of the kernels' initial values (a normal distribution cut off at two deviations).
        filter_l2_penalty: on the kernels, slim's scale, see slim_l2.
        sampling: as in FrameModel; "random" breaks the order of the frames.
        num_classes, feature_sizes, num_samples, skip_head, skip_tail, stride, normalize, video_level_classifier_model,
            head_options: as in FrameModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, sum of filters].
    Raises:
        UserError: sizes that are not positive, widths and filters that do not match, or an unknown name.
    Source: CNN1, CNN2 in table 2 of papers 000, 001; widths, filters, initial values and sampling from the authors' code
        (which has its maximum over padding, too).
    """

    SAMPLE = {"hyperparameters": {"skip_head": 0, "skip_tail": 0}, "base_learning_rate": 5e-4}  # its videos are short

    FILTERS = {"num_filters": (1024, 1024, 2048), "widths": (1, 2, 3), "filter_stddev": 0.1, "filter_l2_penalty": 1e-8}
    ARGUMENTS = {**FILTERS, **FrameModel.ARGUMENTS, "sampling": "every"}

    def check_arguments(self):
        self.num_filters, self.widths = check_filters(self.num_filters, self.widths)

    def encode(self, frames, mask):
        x = convolve(frames, self.num_filters, self.widths, self.filter_stddev, self.filter_l2_penalty)
        return l2_normalize(FramePooling("max", name="pooling")(x, mask=mask))


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class CnnLstmModel(FrameModel):
    """The convolutions of CnnModel, L2-normalised at each frame, read by LSTMs; their last memories go to the classifier.

    Args:
        num_filters, widths, filter_stddev, filter_l2_penalty: as in CnnModel, with fewer filters.
        units: of each LSTM.
        num_layers: LSTMs, one on the other.
        num_classes, feature_sizes, sampling, num_samples, skip_head, skip_tail, stride, normalize,
            video_level_classifier_model, head_options: as in CnnModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, num_layers * units], the memory c
        of each LSTM at the last real frame.
    Raises:
        UserError: as CnnModel.
    Source: the CNN-LSTM of papers 000, 001; sizes and the memory as embedding from the authors' code.
    """

    SAMPLE = {"hyperparameters": {"units": 256, "skip_head": 0, "skip_tail": 0}}

    FILTERS = {**CnnModel.FILTERS, "num_filters": (1024, 1024, 1024)}
    ARGUMENTS = {**FILTERS, "units": 1024, "num_layers": 1, **FrameModel.ARGUMENTS, "sampling": "every"}

    def check_arguments(self):
        self.num_filters, self.widths = check_filters(self.num_filters, self.widths)
        check_positive(self, "units", "num_layers")

    def encode(self, frames, mask):
        x = l2_normalize(convolve(frames, self.num_filters, self.widths, self.filter_stddev, self.filter_l2_penalty))
        mask = recurrent_mask(x, mask)
        memories = []
        for index in range(self.num_layers):
            lstm = LSTM(self.units, return_sequences=True, return_state=True, name=f"lstm_{index}")
            x, _, memory = lstm(x, mask=mask)
            memories.append(memory)
        return ops.concatenate(memories, axis=-1) if self.num_layers > 1 else memories[0]


def check_filters(num_filters, widths):
    """Both as tuples; UserError unless there is a positive number of filters for each positive width."""
    num_filters, widths = tuple(num_filters), tuple(widths)
    if len(num_filters) != len(widths) or not widths or min(*num_filters, *widths) < 1:
        raise UserError(f"num_filters={num_filters}, widths={widths}: use a positive number of filters for each positive width.")
    return num_filters, widths


def convolve(x, num_filters, widths, stddev, l2_penalty):
    """The convolutions side by side: x [B, T, D] -> [B, T, sum of filters]; padding after a frame does not reach it.

    Each is one product of the frames, set beside those before them, with a [width * D, filters] kernel (the present frame's
    rows first): on a CPU about twice as fast as Conv1D.
    """
    earlier = [x] + [ops.pad(x, ((0, 0), (back, 0), (0, 0)))[:, :-back] for back in range(1, max(widths))]
    outputs = []
    for index, (filters, width) in enumerate(zip(num_filters, widths)):
        kernel = layers.Dense(
            filters,
            use_bias=False,
            kernel_initializer=initializers.TruncatedNormal(stddev=stddev),
            kernel_regularizer=slim_l2(l2_penalty),
            name=f"convolution_{index}",
        )
        outputs.append(kernel(ops.concatenate(earlier[:width], axis=-1) if width > 1 else x))
    return ops.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
