"""A dense layer whose kernel is kept in several variables, so that training it takes less memory."""

import keras
from keras import initializers, layers, ops

from yt8m.errors import UserError
from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class BlockDense(layers.Layer):
    """y = x W + b, where W is the variables kernel_0, kernel_1, ... one below the other.

    An optimizer works on a variable at a time and needs several temporary copies of it: of a whole kernel of hundreds of
    megabytes they weigh more than the rest of the training step. Adam's updates are the same either way; clipping each
    variable's gradient on its own bounds each block's norm, not the whole kernel's.

    Args:
        units: size of y.
        blocks: number of variables; 1 is an ordinary dense layer.
        use_bias: whether there is b.
        stddev: of the initial values, a normal distribution.

    Shapes: [..., F] -> [..., units]; kernel_i is [rows F * i // blocks to F * (i + 1) // blocks, units].
    Raises:
        UserError: fewer than one block or unit, or more blocks than rows.
    """

    def __init__(self, units, blocks=1, use_bias=True, stddev=0.05, **kwargs):
        super().__init__(**kwargs)
        if units < 1 or blocks < 1:
            raise UserError(f"units={units}, blocks={blocks}: use at least 1 of each.")
        self.units = units
        self.blocks = blocks
        self.use_bias = use_bias
        self.stddev = stddev

    def build(self, input_shape):
        rows = input_shape[-1]
        if self.blocks > rows:
            raise UserError(f"blocks={self.blocks}: use at most the {rows} rows of the kernel.")
        self.bounds = [rows * i // self.blocks for i in range(self.blocks + 1)]
        self.kernels = [
            self.add_weight(
                name=f"kernel_{i}",
                shape=(end - start, self.units),
                initializer=initializers.RandomNormal(stddev=self.stddev),  # one for each: its values are always the same
            )
            for i, (start, end) in enumerate(zip(self.bounds[:-1], self.bounds[1:]))
        ]
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, x):
        parts = ops.split(x, self.bounds[1:-1], axis=-1) if self.blocks > 1 else [x]
        y = ops.cast(ops.matmul(parts[0], self.kernels[0]), "float32")
        for part, kernel in zip(parts[1:], self.kernels[1:]):
            y = y + ops.cast(ops.matmul(part, kernel), "float32")
        y = ops.cast(y, self.compute_dtype)
        return y + self.bias if self.use_bias else y

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "blocks": self.blocks,
            "use_bias": self.use_bias,
            "stddev": self.stddev,
        }
