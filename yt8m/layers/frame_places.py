"""Where in a video the frames lie that FrameSampling leaves of it."""

import keras
from keras import layers, ops

from yt8m.layers.frame_sampling import take
from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class FramePlaces(layers.Layer):
    """Puts what was computed of the frames that inference sees back at their places in the video; 0 where a frame was cut off.

    Args:
        skip_head, skip_tail: frames that were cut off a video of more frames than both.

    Shapes: values [B, T', ...], the video's frames [B, T, ...] and num_frames int [B] -> [B, T, ...] of the values'
        dtype, whatever the dtype policy: entry t is of frame t.
    """

    def __init__(self, skip_head=0, skip_tail=0, **kwargs):
        super().__init__(autocast=False, **kwargs)  # weights of the frames stay float32, and their sum 1
        self.skip_head, self.skip_tail = skip_head, skip_tail

    def call(self, values, frames, num_frames):
        skipped, left, total = self.skip_head + self.skip_tail, ops.shape(values)[1], ops.shape(frames)[1]
        n = ops.minimum(ops.cast(num_frames, "int32"), total)[:, None]
        first, width = ops.where(n > skipped, self.skip_head, 0), ops.where(n > skipped, n - skipped, n)
        order = ops.arange(total, dtype="int32")[None, :] - first  # [B, T]
        seen = ops.logical_and(order >= 0, order < width)
        taken = take(values, ops.clip(order, 0, left - 1))
        for _ in values.shape[2:]:
            seen = seen[..., None]
        return ops.where(seen, taken, ops.zeros_like(taken))

    def compute_output_spec(self, values, frames, num_frames):
        return keras.KerasTensor((*frames.shape[:2], *values.shape[2:]), values.dtype)

    def get_config(self):
        return {**super().get_config(), "skip_head": self.skip_head, "skip_tail": self.skip_tail}
