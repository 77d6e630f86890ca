"""The starter code's logistic regression on the mean frame."""

import keras
from keras import ops

from yt8m.base_model import FrameModel
from yt8m.base_model.heads import head_policy
from yt8m.layers.experts import LogisticHead
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class FrameLevelLogisticModel(FrameModel):
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

    ARGUMENTS = {"l2_penalty": 1e-8, "normalize": True}

    def encode(self, frames, mask):
        count = ops.maximum(ops.sum(ops.cast(mask, "float32"), axis=1), 1.0)
        return ops.sum(frames, axis=1) / ops.expand_dims(count, 1)  # padding is 0

    def head(self):
        return LogisticHead(self.num_classes, self.l2_penalty, dtype=head_policy(), name="head")
