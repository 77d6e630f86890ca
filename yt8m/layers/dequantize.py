"""Bytes to features: the first layer of every frame-level model."""

import keras
from keras import layers, ops

from yt8m.layers.frame_mask import frame_mask
from yt8m.registry import register
from yt8m.segments import MAX_VALUE, MIN_VALUE, scale_and_offset


def l2_normalize(x, axis=-1, epsilon=1e-12):
    """x / |x| along `axis`, computed and returned in float32; zeros stay zeros. `epsilon` is the least |x|^2 divided by."""
    x = ops.cast(x, "float32")
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), epsilon))


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class Dequantize(layers.Layer):
    """Turns bytes q into features q * (max - min) / 255 + min + (max - min) / 512, and padding into zeros.

    Args:
        normalize: divide each frame by its L2 norm over all D values, as the starter code does.
        min_value, max_value: the range that was quantised to 0..255; the dataset's is -2..2.

    Shapes: frames uint8 [B, T, D], num_frames int [B] -> float32 [B, T, D], whatever the dtype policy: a float16 sum
        of squares overflows.
    Source: utils.Dequantize of the starter code (google/youtube-8m); its bias of half a step is kept.
    """

    def __init__(self, normalize=False, min_value=MIN_VALUE, max_value=MAX_VALUE, **kwargs):
        super().__init__(**kwargs)
        self.normalize = normalize
        self.min_value = min_value
        self.max_value = max_value

    def call(self, frames, num_frames):
        scale, offset = scale_and_offset(self.min_value, self.max_value)
        x = ops.cast(frames, "float32") * scale + offset
        if self.normalize:
            x = l2_normalize(x)
        real = frame_mask(num_frames, ops.shape(frames)[1])
        return ops.where(real[:, :, None], x, 0.0)

    def get_config(self):
        return {
            **super().get_config(),
            "normalize": self.normalize,
            "min_value": self.min_value,
            "max_value": self.max_value,
        }
