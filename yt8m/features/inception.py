"""The Inception-v3 network that YouTube-8M's pictures went through: the frozen graph of December 2015.

It is not keras.applications' InceptionV3, which has other weights and pools otherwise in its last block.
"""

import numpy as np
import tensorflow as tf

from yt8m.features.batching import in_batches
from yt8m.features.frozen_graphs import load
from yt8m.features.matrices import VIDEO_NETWORK, damaged

INPUT, OUTPUT = "ResizeBilinear:0", "pool_3:0"
SIDE = 299


def resized(frame):
    """A picture, RGB uint8 [H, W, 3], as float32 [299, 299, 3] in 0..255.

    It is the resize of the graph, TensorFlow 1's: bilinear from corners, without antialiasing and without half-pixel centres.
    """
    return tf.raw_ops.ResizeBilinear(
        images=tf.constant(frame)[None], size=[SIDE, SIDE], align_corners=False, half_pixel_centers=False
    )[0].numpy()


class Inception:
    """Values of a network's last pooling.

    Args:
        file: classify_image_graph_def.pb, a weights.WeightFile.

    Raises:
        UserError: the file is damaged or another graph.
    """

    def __init__(self, file):
        self._function = load(file, INPUT, OUTPUT, [None, SIDE, SIDE, 3])
        shape = self._function.outputs[0].shape
        if shape.rank != 4 or shape[-1] not in (None, VIDEO_NETWORK):
            raise damaged(file, f"{OUTPUT} has shape {shape}, expected [n, 1, 1, {VIDEO_NETWORK}]")

    def __call__(self, pictures):
        """A list of n resized pictures -> float32 [n, 2048]."""
        return in_batches(lambda batch: self._function(tf.constant(np.stack(batch))).numpy()[:, 0, 0], pictures)
