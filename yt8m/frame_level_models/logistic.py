"""The starter code's logistic regression on the mean frame."""

import keras
from keras import ops

from yt8m.base_model import BaseModel, check_sizes, frame_inputs
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.experts import LogisticHead
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class FrameLevelLogisticModel(BaseModel):
    """One logistic regression a class on the mean of the real frames.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        l2_penalty: as in LogisticHead.
        normalize: L2-normalise each frame over D first, as the starter code does.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C].
    Raises:
        UserError: sizes that are not positive.
    Source: the starter code (google/youtube-8m), frame_level_models.py.
    """

    SAMPLE = {"base_learning_rate": 0.01}  # a model without a hidden layer needs the starter's higher rate

    def __init__(self, num_classes, feature_sizes=(1024, 128), l2_penalty=1e-8, normalize=True, name=None):
        feature_sizes = check_sizes(num_classes, feature_sizes)
        inputs = frame_inputs(feature_sizes)
        x = Dequantize(normalize=normalize, name="dequantize")(inputs["frames"], inputs["num_frames"])
        count = ops.maximum(ops.cast(inputs["num_frames"], "float32"), 1.0)
        mean = ops.sum(x, axis=1) / ops.expand_dims(count, 1)  # padding is 0
        outputs = LogisticHead(num_classes, l2_penalty, name="head")(mean)
        super().__init__(inputs, outputs, embedding=mean, name=name)
        self.num_classes = num_classes
        self.feature_sizes = feature_sizes
        self.l2_penalty = l2_penalty
        self.normalize = normalize
