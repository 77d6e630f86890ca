"""YouTube-8M's picture features as they were before they were whitened."""

import keras
import numpy as np
from keras import layers, ops

from yt8m.registry import register

# Dimension -> root of the eigenvalue of YouTube-8M's PCA there; in between its logarithm is linear in log(1 + dimension).
_PLACES = (0, 1, 2, 3, 5, 7, 10, 15, 23, 31, 47, 63, 95, 127, 191, 255, 383, 511, 767, 1023)
_VALUES = (
    *(3.839, 2.888, 2.652, 2.220, 1.866, 1.733, 1.558, 1.353, 1.128, 1.026),
    *(0.880, 0.792, 0.671, 0.593, 0.494, 0.423, 0.322, 0.251, 0.166, 0.124),
)
ROOTS = dict(zip(_PLACES, _VALUES))
_SHIFT, _LEAST = 4 / 512, 1e-4


def roots(size):
    """The roots of the first `size` eigenvalues, float32 [size], at most 2.7% off; beyond 1,024 the last."""
    known = np.log1p(np.array(list(ROOTS)))
    return np.exp(np.interp(np.log1p(np.arange(size)), known, np.log(list(ROOTS.values())))).astype(np.float32)


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class Unwhiten(layers.Layer):
    """x_d -> (x_d - 4/512) (r_d + 1e-4), r_d the root of the d-th eigenvalue; padding stays 0.

    Args:
        size: the values at the beginning of a frame that it is about; the others stay as they are.

    Shapes: x [B, T, F], mask bool [B, T] or None -> [B, T, F].
    Source: the code of the third place of 2019 (R. Lin), with the eigenvalues of YouTube-8M.
    """

    def __init__(self, size=1024, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, x, mask=None):
        others = x.shape[-1] - self.size
        factors = np.concatenate([roots(self.size) + _LEAST, np.ones(others)])
        shifts = np.concatenate([np.full(self.size, _SHIFT), np.zeros(others)])
        exact = (ops.cast(x, "float32") - ops.cast(shifts, "float32")) * ops.cast(factors, "float32")
        scaled = ops.cast(exact, x.dtype)
        return scaled if mask is None else ops.where(mask[:, :, None], scaled, ops.zeros_like(scaled))

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "size": self.size}
