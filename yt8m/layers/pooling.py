"""Maximum and mean over the real frames."""

import keras
from keras import ops

from yt8m.errors import UserError
from yt8m.layers.frame_pool import FramePool
from yt8m.registry import register

METHODS = ("max", "average", "both")


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class FramePooling(FramePool):
    """The maximum, the mean, or both of each feature over the frames that the mask calls real.

    Args:
        method: "max", "average", or "both" (maximum and mean, concatenated in this order).

    Shapes: x [B, T, F], mask bool [B, T] or None -> [B, F], or [B, 2 F] for "both"; a row without a real frame gives
        zeros.
    Raises:
        UserError: an unknown method.
    Source: FramePooling of the starter code; "both" as in paper 002, section 3.2, whose code lets padding count as zeros.
    """

    def __init__(self, method="max", **kwargs):
        super().__init__(**kwargs)
        if method not in METHODS:
            raise UserError(f"method={method!r}: use one of {', '.join(METHODS)}.")
        self.method = method

    def describe(self, x, mask=None, training=None):
        return (x,)

    def pool(self, described, mask=None, training=None):
        (x,), pooled = described, []
        if self.method != "average":
            pooled.append(_masked_max(x, mask))
        if self.method != "max":
            pooled.append(_masked_mean(x, mask))
        return pooled[0] if len(pooled) == 1 else ops.concatenate(pooled, axis=-1)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "method": self.method}


def _masked_max(x, mask):
    if mask is None:
        return ops.max(x, axis=1)
    lowest = ops.cast(-3.0e38 if x.dtype != "float16" else -65504.0, x.dtype)
    highest = ops.max(ops.where(mask[:, :, None], x, lowest), axis=1)
    return ops.where(ops.any(mask, axis=1, keepdims=True), highest, ops.zeros_like(highest))


def _masked_mean(x, mask):
    if mask is None:
        return ops.mean(x, axis=1)
    total = _sum_of_frames(x, ops.cast(mask, x.dtype))
    count = ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True)
    return ops.cast(ops.cast(total, "float32") / ops.maximum(count, 1.0), x.dtype)


@ops.custom_gradient
def _sum_of_frames(x, weights):
    """x [B, T, F], weights [B, T] -> [B, F]; the gradient is one multiplication, not the product that an einsum's would be."""

    def gradient(*upstreams, upstream=None):
        change = upstreams[0] if upstream is None else upstream
        return change[:, None, :] * weights[:, :, None], ops.zeros_like(weights)

    return ops.einsum("bt,btf->bf", weights, x), gradient
