"""Windows that overlap: what a network makes of each frame by itself is made once, not once a window."""

import keras
from keras import layers, ops

from yt8m.layers.frame_mask import frame_mask
from yt8m.layers.frame_pool import FramePool


class SharedFrames:
    """Networks of frames in two halves, in inference: `describe` each frame, `judge` windows of described frames.

    A network is cut at its FramePools: what comes before them is done to each frame by itself, and nothing after them looks at
    frames. The halves share their layers, and so their weights, with the networks.

    Args:
        graphs: keras.Models of `frames` and `num_frames` with layers `dequantize` and `mask`, each through FramePools.
        finish: function of the outputs of all graphs, a list, and what `judge` was given beside them.
    """

    def __init__(self, graphs, finish):
        self._readers = [(graph.get_layer("dequantize"), graph.get_layer("mask")) for graph in graphs]
        self._describers, self._judges = zip(*map(_halves, graphs))
        self._finish = finish

    def describe(self, frames):
        """What the networks make of frames: uint8 [F, D] -> a list of tensors [F, ...] a network."""
        num_frames, described = ops.ones((1,), "int32") * ops.shape(frames)[0], []
        for (dequantize, mask), describer in zip(self._readers, self._describers):
            inputs = [dequantize(frames[None], num_frames), mask(frames[None], num_frames)]
            described.append([x[0] for x in keras.tree.flatten(describer(inputs, training=False))])
        return described

    def judge(self, described, indices, counts, beside=None):
        """What the networks say of windows.

        Args:
            described: of `describe`.
            indices: int [N, W], which of its frames a window has.
            counts: int [N], how many of them are real, the first ones.
            beside: given to `finish`.
        """
        mask, outputs = frame_mask(counts, indices.shape[1]), []
        for parts, judge in zip(described, self._judges):
            outputs.append(judge([*(ops.take(part, indices, axis=0) for part in parts), mask], training=False))
        return self._finish(outputs, beside)


def _halves(graph):
    """(keras.Model of dequantised frames and their mask, to a list of what its pools make of each frame; keras.Model of such a
    list of windows and their mask, to the graph's outputs)."""
    pools = [layer for layer in graph.layers if isinstance(layer, FramePool)]
    parts = [_Describe(pool, name=f"{pool.name}_described")(pool.input[0]) for pool in pools]
    inputs = [[keras.Input((None, *part.shape[2:]), dtype=part.dtype) for part in of_pool] for of_pool in parts]
    mask = keras.Input((None,), dtype="bool")
    pooled = [_Pool(pool, name=f"{pool.name}_pooled")(of_pool, mask) for pool, of_pool in zip(pools, inputs)]
    rest = keras.Model([_first(pool.output) for pool in pools], graph.output)
    describer = keras.Model([graph.get_layer(name).output for name in ("dequantize", "mask")], keras.tree.flatten(parts))
    return describer, keras.Model([*keras.tree.flatten(inputs), mask], rest(pooled))


def _first(outputs):
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


class _Describe(layers.Layer):
    """The first half of a FramePool."""

    def __init__(self, pool, **kwargs):
        super().__init__(dtype=pool.dtype_policy, **kwargs)
        self._pool, self.supports_masking = pool, True

    def call(self, x):
        return self._pool.describe(x, training=False)

    def compute_mask(self, inputs, previous_mask=None):
        return None


class _Pool(layers.Layer):
    """The second half of a FramePool; of several results the first."""

    def __init__(self, pool, **kwargs):
        super().__init__(dtype=pool.dtype_policy, autocast=False, **kwargs)
        self._pool = pool

    def call(self, described, mask):
        return _first(self._pool.pool(described, mask, training=False))
