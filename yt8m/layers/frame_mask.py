"""Which frames of a padded batch are real."""

import keras
from keras import layers, ops

from yt8m.registry import register


def frame_mask(num_frames, length):
    """num_frames int [B] -> bool [B, length]: True at the first num_frames positions of each row."""
    return ops.arange(length, dtype="int32")[None, :] < ops.cast(num_frames, "int32")[:, None]


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class FrameMask(layers.Layer):
    """True at the first `num_frames` frames of each row, False at the padding after them.

    Shapes: frames [B, T, ...], num_frames int [B] -> bool [B, T].
    """

    def call(self, frames, num_frames):
        return frame_mask(num_frames, ops.shape(frames)[1])
