"""Convolutions over time: the CNN baselines of team Locust (papers 000, 001)."""

import keras
from keras import initializers, layers, ops

from yt8m.base_model import BaseModel, check_sizes, frame_inputs
from yt8m.errors import UserError
from yt8m.frame_level_models.recurrent import check_counts, recurrent_mask
from yt8m.layers.dequantize import Dequantize, l2_normalize
from yt8m.layers.experts import slim_l2
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.frame_sampling import sample_frames
from yt8m.layers.pooling import FramePooling
from yt8m.registry import register
from yt8m.video_level_models import make_head


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class CnnModel(BaseModel):
    """Convolutions over time of several widths side by side, each filter's maximum over the frames, a classifier.

    Frames -> every 5th (training) -> features, L2-normalised -> for each width w: x_t, ..., x_{t-w+1} times a [w * D, filters]
    kernel, no bias -> concatenated [B, T, sum of filters] -> maximum over the real frames -> L2-normalised -> head.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        num_filters: filters of each width.
        widths: frames that each kernel spans: the present one and those before it; before the first frame there are zeros.
        filter_stddev: of the kernels' initial values (a normal distribution cut off at two deviations).
        filter_l2_penalty: on the kernels, slim's scale, see slim_l2.
        sampling: frames that a training step sees: a method of FrameSampling ("random" breaks their order), or "none" (all).
        num_samples, skip_head, skip_tail, stride: as in FrameSampling.
        normalize: L2-normalise each frame over D.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, sum of filters].
    Raises:
        UserError: sizes that are not positive, widths and filters that do not match, or an unknown name.
    Source: CNN1, CNN2 in table 2 of papers 000, 001; widths, filters, initial values and sampling from the authors' code
        (which has its maximum over padding, too).
    """

    SAMPLE = {"hyperparameters": {"skip_head": 0, "skip_tail": 0}, "base_learning_rate": 5e-4}  # its videos are short

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        num_filters=(1024, 1024, 2048),
        widths=(1, 2, 3),
        filter_stddev=0.1,
        filter_l2_penalty=1e-8,
        sampling="every",
        num_samples=120,
        skip_head=None,
        skip_tail=None,
        stride=5,
        normalize=True,
        video_level_classifier_model="MoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        num_filters, widths = check_filters(num_filters, widths)
        inputs = frame_inputs(feature_sizes)
        x, num_frames = sampled_frames(inputs, sampling, num_samples, skip_head, skip_tail, stride, normalize)
        x = convolve(x, num_filters, widths, filter_stddev, filter_l2_penalty)
        pooled = FramePooling("max", name="pooling")(x, mask=FrameMask(name="mask")(x, num_frames))
        embedding = l2_normalize(pooled)
        outputs = make_head(video_level_classifier_model, num_classes, head_options)(embedding)
        super().__init__(inputs, outputs, embedding=embedding, name=name)

        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.num_filters = num_filters
        self.widths = widths
        self.filter_stddev = filter_stddev
        self.filter_l2_penalty = filter_l2_penalty
        self.sampling = sampling
        self.num_samples = num_samples
        self.skip_head = skip_head
        self.skip_tail = skip_tail
        self.stride = stride
        self.normalize = normalize
        self.video_level_classifier_model = video_level_classifier_model
        self.head_options = head_options


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class CnnLstmModel(BaseModel):
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

    def __init__(
        self,
        num_classes,
        feature_sizes=(1024, 128),
        num_filters=(1024, 1024, 1024),
        widths=(1, 2, 3),
        filter_stddev=0.1,
        filter_l2_penalty=1e-8,
        units=1024,
        num_layers=1,
        sampling="every",
        num_samples=120,
        skip_head=None,
        skip_tail=None,
        stride=5,
        normalize=True,
        video_level_classifier_model="MoeModel",
        head_options=None,
        name=None,
    ):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        num_filters, widths = check_filters(num_filters, widths)
        check_counts(units=units, num_layers=num_layers)
        inputs = frame_inputs(feature_sizes)
        x, num_frames = sampled_frames(inputs, sampling, num_samples, skip_head, skip_tail, stride, normalize)
        x = l2_normalize(convolve(x, num_filters, widths, filter_stddev, filter_l2_penalty))
        mask = recurrent_mask(x, num_frames)
        memories = []
        for index in range(num_layers):
            lstm = layers.LSTM(units, return_sequences=True, return_state=True, name=f"lstm_{index}")
            x, _, memory = lstm(x, mask=mask)
            memories.append(memory)
        embedding = ops.concatenate(memories, axis=-1) if num_layers > 1 else memories[0]
        outputs = make_head(video_level_classifier_model, num_classes, head_options)(embedding)
        super().__init__(inputs, outputs, embedding=embedding, name=name)

        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.num_filters = num_filters
        self.widths = widths
        self.filter_stddev = filter_stddev
        self.filter_l2_penalty = filter_l2_penalty
        self.units = units
        self.num_layers = num_layers
        self.sampling = sampling
        self.num_samples = num_samples
        self.skip_head = skip_head
        self.skip_tail = skip_tail
        self.stride = stride
        self.normalize = normalize
        self.video_level_classifier_model = video_level_classifier_model
        self.head_options = head_options


def check_filters(num_filters, widths):
    """Both as tuples; UserError unless there is a positive number of filters for each positive width."""
    num_filters, widths = tuple(num_filters), tuple(widths)
    if len(num_filters) != len(widths) or not widths or min(*num_filters, *widths) < 1:
        raise UserError(f"num_filters={num_filters}, widths={widths}: use a positive number of filters for each positive width.")
    return num_filters, widths


def sampled_frames(inputs, sampling, num_samples, skip_head, skip_tail, stride, normalize):
    """What the convolutions see: x [B, T', D] with zeros for padding, and the number of real frames, int32 [B]."""
    frames, num_frames = sample_frames(inputs, sampling, num_samples, skip_head, skip_tail, stride)
    return Dequantize(normalize=normalize, name="dequantize")(frames, num_frames), num_frames


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
