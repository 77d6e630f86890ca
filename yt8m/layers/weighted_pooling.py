"""One frame of a few, or their mean by learned weights."""

import keras
from keras import layers, ops

from yt8m.errors import UserError
from yt8m.layers.sparsemax import masked_softmax
from yt8m.registry import register

METHODS = ("last", "attention")


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class WeightedPooling(layers.Layer):
    """The last real frame, or the sum of the real frames with weights softmax over time of x . w / sqrt(F), w learned.

    Args:
        method: "last" or "attention".

    Shapes: x [B, T, F], mask bool [B, T] or None -> [B, F].
    Raises:
        UserError: an unknown method.
    Source: the 9th place of 2019, whose "first" is the last frame.
    """

    def __init__(self, method="attention", **kwargs):
        super().__init__(**kwargs)
        if method not in METHODS:
            raise UserError(f"method={method!r}: use one of {', '.join(METHODS)}.")
        self.method = method

    def build(self, input_shape):
        if self.method == "attention":
            self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1],), initializer="truncated_normal")

    def call(self, x, mask=None):
        if self.method == "attention":
            scores = ops.einsum("btf,f->bt", x, ops.cast(self.kernel, x.dtype)) / x.shape[-1] ** 0.5
            weights = masked_softmax(scores, axis=-1, mask=mask)
        else:
            steps = ops.arange(ops.shape(x)[1])[None]
            real = steps if mask is None else ops.where(mask, steps, 0)
            weights = ops.equal(steps, ops.max(real, axis=1, keepdims=True))
        return ops.einsum("bt,btf->bf", ops.cast(weights, x.dtype) + ops.zeros_like(x[:, :, 0]), x)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "method": self.method}
