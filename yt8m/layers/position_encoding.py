"""Where in the video a frame is, for models that would not know."""

import math

import keras
from keras import initializers, layers, ops

from yt8m.errors import UserError
from yt8m.registry import register

KINDS = ("sinusoidal", "learned")


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class PositionEncoding(layers.Layer):
    """Adds a vector of its position to each frame.

    "sinusoidal": sin and cos of t / 10000^(2 i / D) in the even and odd columns, divided by sqrt(D / 2), so that the vector
    has norm 1 like an L2-normalised frame (Vaswani et al. scale the frame up instead). "learned": a row of a table for each
    position, the last row for those after it.

    Args:
        kind: "sinusoidal" or "learned".
        max_length: rows of the table.

    Shapes: x [B, T, D] -> [B, T, D].
    Raises:
        UserError: an unknown kind.
    Source: Vaswani et al. (2017), section 3.5. Paper 004 has no positions.
    """

    def __init__(self, kind="sinusoidal", max_length=300, **kwargs):
        super().__init__(**kwargs)
        if kind not in KINDS:
            raise UserError(f"position={kind!r}: use one of {', '.join(KINDS)}.")
        self.kind = kind
        self.max_length = max_length

    def build(self, input_shape):
        if self.kind == "learned":
            size = input_shape[-1]
            self.table = self.add_weight(
                name="table", shape=(self.max_length, size), initializer=initializers.RandomNormal(stddev=size**-0.5)
            )

    def call(self, x):
        length, size = ops.shape(x)[1], x.shape[2]
        positions = ops.arange(length, dtype="int32")
        if self.kind == "learned":
            rows = ops.take(ops.convert_to_tensor(self.table), ops.minimum(positions, self.max_length - 1), axis=0)
        else:
            columns = ops.arange(size, dtype="int32")
            rates = ops.exp(ops.cast(columns - columns % 2, "float32") * (-math.log(10_000) / size))
            angles = ops.cast(positions, "float32")[:, None] * rates[None, :]
            rows = ops.where(columns % 2 == 0, ops.sin(angles), ops.cos(angles)) / (size / 2) ** 0.5
        return x + ops.cast(rows, x.dtype)[None]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "max_length": self.max_length}
