"""The deep bag of frames with soft assignments of the second place of 2019."""

import keras
from keras import layers, ops

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_positive
from yt8m.errors import UserError
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.dequantize import l2_normalize
from yt8m.layers.pooling import FramePooling
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class SoftDbofModel(FrameModel):
    """How much of each feature's frames belongs to each of K words; without centres and residuals, so that it is small.

    Frames -> sampled (training) -> features, L2-normalised -> batch norm -> for each feature softmax over K of BN(x W), summed
    over the real frames, L2-normalised (and beside it the L2-normalised maximum) -> concatenated -> dense `hidden` -> head.

    Args:
        cluster_size: K of the first feature.
        other_reduction: the other features have K / other_reduction words.
        use_max: whether the maximum over the frames stands beside the sum.
        hidden_size: of `hidden`, which has a bias and no activation.
        momentum, epsilon: of the batch norms.
        num_classes, feature_sizes, sampling, num_samples, skip_head, skip_tail, stride, normalize, video_level_classifier_model,
            head_options: as in FrameModel. sampling="sequence", num_samples=5 pre-trains on runs of 5 frames, as many as a
            segment has.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, hidden_size].
    Raises:
        UserError: sizes that are not positive, or fewer words than other_reduction.
    Source: the second place's write-up (Mix-SoftDBoF was its best model before fine-tuning); the network from its model zoo's
        code of 2018, K 4,000 or 8,000.
    """

    SAMPLE = {"hyperparameters": {"cluster_size": 512, "hidden_size": 256}}

    HEAD_DEFAULTS = {}
    ARGUMENTS = {
        **FrameModel.SAMPLING,
        "num_samples": 300,
        "skip_head": 0,
        "skip_tail": 0,
        "stride": 1,
        "normalize": True,
        "cluster_size": 4000,
        "other_reduction": 8,
        "use_max": False,
        "hidden_size": 1024,
        "momentum": 0.99,
        "epsilon": 1e-3,
        **FrameModel.HEAD_ARGUMENTS,
    }

    def check_arguments(self):
        check_positive(self, "cluster_size", "other_reduction", "hidden_size")
        if self.cluster_size < self.other_reduction:
            raise UserError(f"cluster_size={self.cluster_size}: use at least other_reduction={self.other_reduction}.")

    def encode(self, frames, mask):
        norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        frames = BatchNormalization(**norm, name="frame_norm")(frames, mask=mask)
        bags, start = [], 0
        for index, size in enumerate(self.feature_sizes):
            words = self.cluster_size // (self.other_reduction if index else 1)
            dense = layers.Dense(words, use_bias=False, kernel_initializer="he_normal", name=f"words_{index}")
            x = dense(frames[:, :, start : start + size])  # [B, T, K]
            x = BatchNormalization(**norm, name=f"words_norm_{index}")(x, mask=mask)
            shares = ops.softmax(ops.cast(x, "float32"), axis=-1)
            bags.append(l2_normalize(ops.einsum("bt,btk->bk", ops.cast(mask, "float32"), shares)))
            if self.use_max:
                bags.append(l2_normalize(FramePooling("max", name=f"most_{index}")(shares, mask=mask)))
            start += size
        joined = bags[0] if len(bags) == 1 else ops.concatenate(bags, axis=-1)  # [B, sum of the words]
        return layers.Dense(self.hidden_size, name="hidden")(joined)
