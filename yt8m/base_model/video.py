"""Models of one vector a video."""

import keras
from keras import ops

from yt8m.base_model.base import BaseModel
from yt8m.base_model.heads import head_policy, layer_arguments
from yt8m.base_model.parts import Graph
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.experts import LogisticHead
from yt8m.layers.frame_mask import frame_mask
from yt8m.segments import OFFSET, SCALE


class VideoModel(BaseModel):
    """A head on a video's features. A subclass names the HEAD's layer, and has its arguments.

    Args:
        num_classes: C.
        feature_sizes: values of each feature; D is their sum.
        normalize: L2-normalise the features first, as the starter code does.

    Shapes: {features float32 [B, D]} -> float32 [B, C]; of frames it gets the mean.
    """

    HEAD = LogisticHead
    ARGUMENTS = {**layer_arguments(HEAD), "normalize": True}
    TAKES_FRAMES = False
    NO_SEGMENTS_MEAN = ", which sees one vector of a video"

    def graph(self):
        features = keras.Input((sum(self.feature_sizes),), dtype="float32", name="features")
        vector = l2_normalize(features) if self.normalize else features
        return Graph({"features": features}, self.head()(vector), vector)

    def head(self):
        arguments = {name: getattr(self, name) for name in layer_arguments(self.HEAD)}
        return self.HEAD(self.num_classes, name="head", dtype=head_policy(), **arguments)

    def window_inputs(self, frames, num_frames):
        return {"features": mean_features(frames, num_frames)}


def mean_features(frames, num_frames):
    """segments.mean_features in keras.ops: uint8 [N, W, D] and how many are real, int [N] -> float32 [N, D]."""
    real = frame_mask(num_frames, ops.shape(frames)[1])
    sums = ops.sum(ops.where(real[:, :, None], ops.cast(frames, "float32"), 0.0), axis=1)
    means = sums / ops.cast(ops.maximum(num_frames, 1), "float32")[:, None]
    return means * SCALE + OFFSET
