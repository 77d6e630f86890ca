"""A video as its 5-second segments, for models that see one segment at a time (paper 004, eq. 15)."""

import keras
from keras import layers, ops

from yt8m.registry import register
from yt8m.segments import SEGMENT_SIZE


def frames_of_segments(num_frames, length):
    """Real frames of each segment: num_frames int [B] of videos padded to `length` -> int32 [B, S], S = ceil(length / 5).

    The grid is that of segments.segments_of: a last segment that the video fills in part counts as one.
    """
    starts = ops.arange((length + SEGMENT_SIZE - 1) // SEGMENT_SIZE, dtype="int32") * SEGMENT_SIZE
    num_frames = ops.minimum(ops.cast(num_frames, "int32"), length)
    return ops.clip(num_frames[:, None] - starts[None, :], 0, SEGMENT_SIZE)


def _are_segments(counts):
    """Whether the rows of counts [B, S] are known to be segments themselves: S is 1."""
    return counts.shape[1] == 1


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class SegmentSplit(layers.Layer):
    """Cuts videos into their segments; a video of at most 5 frames is one.

    In training only the segments that there are come, so that what pads the videos reaches no batch statistics; how many they
    are is then known with the batch alone (no XLA, no jax.jit). In inference come all S of each video, some without a real frame.

    Shapes: frames [B, T, ...], num_frames int [B] -> frames [N, 5, ...] and how many are real, int32 [N];
        videos in order and segments in order of time; N = B S, S = ceil(T / 5), or in training the segments with a real frame.
    Source: "the frame level models take one segment as input" (paper 004, section 4).
    """

    def compute_output_spec(self, frames, num_frames, training=None):
        shape = None, SEGMENT_SIZE, *frames.shape[2:]
        return keras.KerasTensor(shape, frames.dtype), keras.KerasTensor(shape[:1], "int32")

    def call(self, frames, num_frames, training=None):
        length, rest = ops.shape(frames)[1], frames.shape[2:]
        counts = frames_of_segments(num_frames, length)  # [B, S]
        segments = ops.shape(counts)[1]
        if not isinstance(length, int) or length % SEGMENT_SIZE:
            padding = ((0, 0), (0, SEGMENT_SIZE - 1), *((0, 0) for _ in rest))
            frames = ops.pad(frames, padding)[:, : segments * SEGMENT_SIZE]
        frames, of_segments = ops.reshape(frames, (-1, SEGMENT_SIZE, *rest)), ops.reshape(counts, (-1,))
        if training and not _are_segments(counts):
            there = ops.nonzero(of_segments)[0]
            frames, of_segments = ops.take(frames, there, axis=0), ops.take(of_segments, there, axis=0)
        return frames, of_segments


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class MeanOfSegments(layers.Layer):
    """The mean of a vector over the segments that a video has; 0 for a video without a frame.

    Shapes: x [N, F], a row for each segment as SegmentSplit gives them (in training and in inference), frames [B, T, ...] and
        num_frames int [B] as it got them -> [B, F] of x's dtype, whatever the dtype policy.
    Source: paper 004, section 5.1, eq. 15.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # probabilities stay float32

    def compute_output_spec(self, x, frames, num_frames, training=None):
        return keras.KerasTensor((None, *x.shape[1:]), x.dtype)

    def call(self, x, frames, num_frames, training=None):
        counts = frames_of_segments(num_frames, ops.shape(frames)[1])
        if _are_segments(counts):
            return x
        real, dtype = counts > 0, x.dtype  # [B, S]
        if training:
            place = ops.cumsum(ops.cast(ops.reshape(real, (-1,)), "int32")) - 1
            x = ops.take(x, ops.maximum(place, 0), axis=0)
        x = ops.reshape(x, (-1, ops.shape(counts)[1], x.shape[1]))
        x = ops.where(real[:, :, None], ops.cast(x, "float32"), 0.0)
        return ops.cast(mean_of_real(x, real), dtype)


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class AttentionOfSegments(layers.Layer):
    """Attention within segments as attention over the video, to whose prediction each of its segments contributes alike.

    Shapes: weights [N, 5, F, M] of the segments that SegmentSplit gives in inference, frames [B, T, ...] and num_frames int [B]
        as it got them -> [B, T, F, M]; what summed to 1 over a segment sums to 1 over the video.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def compute_output_spec(self, weights, frames, num_frames):
        return keras.KerasTensor((*frames.shape[:2], *weights.shape[2:]), weights.dtype)

    def call(self, weights, frames, num_frames):
        length = ops.shape(frames)[1]
        counts = frames_of_segments(num_frames, length)
        real = ops.cast(counts > 0, weights.dtype)  # [B, S]
        share = ops.reshape(real / ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0), (-1, 1, 1, 1))
        weights = ops.where(share > 0, weights * share, ops.zeros((), weights.dtype))
        return ops.reshape(weights, (-1, ops.shape(counts)[1] * SEGMENT_SIZE, *weights.shape[2:]))[:, :length]


def mean_of_real(x, real):
    """Mean of the segments x [B, S, F] that are real, bool [B, S] -> [B, F], 0 where none is; x is 0 for the others."""
    count = ops.maximum(ops.sum(ops.cast(real, x.dtype), axis=1), 1.0)
    return ops.sum(x, axis=1) / count[:, None]
