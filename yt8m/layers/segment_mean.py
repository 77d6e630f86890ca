"""Frames to 5-second segments: what a sequence model's classifier sees (paper 004)."""

import keras
from keras import layers, ops

from yt8m.errors import UserError
from yt8m.layers.frame_mask import frame_mask
from yt8m.registry import register
from yt8m.segments import SEGMENT_SIZE


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class SegmentMean(layers.Layer):
    """Mean of the frames of each segment; a last segment that the video fills in part is the mean of its real frames.

    Args:
        segment_size: frames a segment.

    Shapes: x [B, T, F], num_frames int [B] -> means [B, S, F] (0 past the video's end) and which segments have a real
        frame, bool [B, S]; S = ceil(T / segment_size), any T.
    Raises:
        UserError: a segment_size below 1.
    Source: "average pooling every five time steps" of paper 004, sections 4.3 and 4.4; the partial segment is ours.
    """

    def __init__(self, segment_size=SEGMENT_SIZE, **kwargs):
        super().__init__(**kwargs)
        if segment_size < 1:
            raise UserError(f"segment_size={segment_size}: use at least 1 frame.")
        self.segment_size = segment_size

    def call(self, x, num_frames):
        size = self.segment_size
        length = ops.shape(x)[1]
        segments = (length + size - 1) // size
        num_frames = ops.minimum(ops.cast(num_frames, "int32"), length)
        x = ops.where(frame_mask(num_frames, length)[:, :, None], x, 0.0)
        x = ops.pad(x, ((0, 0), (0, size - 1), (0, 0)))[:, : segments * size]
        sums = ops.sum(ops.reshape(x, (-1, segments, size, x.shape[2])), axis=2)  # [B, S, size, F] -> [B, S, F]
        starts = ops.arange(segments, dtype="int32")[None, :] * size
        counts = ops.clip(num_frames[:, None] - starts, 0, size)  # [B, S]
        return sums / ops.cast(ops.maximum(counts, 1), sums.dtype)[:, :, None], counts > 0

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "segment_size": self.segment_size}
