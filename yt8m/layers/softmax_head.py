"""A classifier whose classes compete, with a dustbin for what is none of them."""

import keras
from keras import layers, ops

from yt8m.layers.experts import slim_l2
from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class SoftmaxHead(layers.Layer):
    """Softmax over the classes and one column more, the dustbin, which is not given out: what the classes' sum lacks to 1.

    Args:
        num_classes: C.
        dustbin: whether there is the column; without it the classes' probabilities sum to 1.
        l2_penalty: slim's scale, see slim_l2, on the kernel and the bias.

    Shapes: x [..., F] -> float32 [..., C]; float32 inside by default, whatever the global dtype policy. With another
        `dtype` the product is of its type, the softmax float32.
    Source: the 21st place of 2019; there rated negatives are sent to the first class, which is spoilt by it. The dustbin is ours.
    """

    def __init__(self, num_classes, dustbin=True, l2_penalty=0.0, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.num_classes = num_classes
        self.dustbin = dustbin
        self.l2_penalty = l2_penalty

    def build(self, input_shape):
        penalty = slim_l2(self.l2_penalty)
        columns = self.num_classes + bool(self.dustbin)
        self.dense = layers.Dense(
            columns, kernel_regularizer=penalty, bias_regularizer=penalty, dtype=self.dtype_policy, name="dense"
        )
        self.dense.build(input_shape)

    def call(self, x, mask=None):
        return ops.softmax(ops.cast(self.dense(x), "float32"), axis=-1)[..., : self.num_classes]

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dustbin": self.dustbin,
            "l2_penalty": self.l2_penalty,
        }
