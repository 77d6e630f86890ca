"""Attention over frames that asks for a class."""

import keras
from keras import layers, ops

from yt8m.layers.sparsemax import masked_softmax
from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class ClassAttention(layers.Layer):
    """For each head h the sum of the real frames' keys with weights softmax over time of V_h . tanh(key + query).

    Args:
        num_heads: M.

    Shapes: keys [B, T, F], query [B, F], mask bool [B, T] or None -> [B, M F].
    Source: the design of the specification's section 2, step B, after the 1st place of 2019 (CCRL, arXiv 1911.08548); the form is
        additive attention (Bahdanau et al. 2015).
    """

    def __init__(self, num_heads=4, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def build(self, keys_shape, query_shape=None):
        self.kernel = self.add_weight(name="kernel", shape=(keys_shape[-1], self.num_heads), initializer="glorot_uniform")

    def call(self, keys, query, mask=None):
        asked = ops.tanh(keys + query[:, None])  # [B, T, F]
        logits = ops.einsum("btf,fm->bmt", asked, ops.cast(self.kernel, asked.dtype))
        weights = masked_softmax(logits, axis=-1, mask=None if mask is None else mask[:, None])
        heads = ops.einsum("bmt,btf->bmf", ops.cast(weights, keys.dtype), keys)
        return ops.reshape(heads, (-1, self.num_heads * keys.shape[-1]))

    def compute_mask(self, *args, **kwargs):
        return None

    def get_config(self):
        return {**super().get_config(), "num_heads": self.num_heads}
