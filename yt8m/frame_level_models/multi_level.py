"""Multi-level attention: what several depths of a network on the frames say, each pooled by attentions of its own."""

import keras
from keras import layers, ops

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_not_negative, check_positive, check_share
from yt8m.errors import UserError
from yt8m.layers.attention_pooling import GatedAttentionPooling
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.pooling import FramePooling
from yt8m.registry import register


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class MultiLevelAttentionModel(FrameModel):
    """Dense layers on each frame, attentions over the frames at every level, dense layers on what they pool.

    Frames -> sampled (training) -> features -> batch norm = level 0 -> dense, batch norm, ReLU, dropout = level 1, ... -> each
    level described by M attentions over the frames and, with frame_statistics, by its maximum and mean -> concatenated ->
    batch norm -> clip_layers times dense, batch norm, ReLU, dropout, all their outputs concatenated -> head.

    Several branches are as many such networks side by side, which share the features alone; the prediction is the mean of theirs.
    With BranchCrossEntropyLoss each learns as if it were alone.

    Args:
        frame_layers: levels above the frames themselves, 0 or more.
        frame_size: of the dense layer of each level.
        num_sets: M, attentions of a level; 0: none.
        attention_size: of the two gated branches of the attentions; the frames are reduced to twice that for them.
        frame_statistics: whether a level's maximum and mean over the frames count, too.
        clip_layers: dense layers on the pooled levels, 1 or more.
        clip_size: of each of them.
        frame_dropout, dropout: share of a level's, and of a clip layer's values that is zeroed in training.
        momentum, epsilon: of the batch norms.
        num_branches: N.
        num_classes, feature_sizes, sampling, num_samples, skip_head, skip_tail, stride, normalize,
            video_level_classifier_model, head_options: as in FrameModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, N * clip_layers * clip_size]. With
        more than one branch a training step also gets `branch_predictions` float32 [B, N, C].
    Raises:
        UserError: sizes that are not positive, shares out of range, neither attentions nor statistics, or branches with
            video_prediction="segments_mean".
    Source: Yu et al. 2018, "Multi-level attention model for weakly supervised audio classification", whose levels are pooled to
        classes, here to features as in Kong et al. 2019, "Weakly labelled AudioSet tagging with attention neural networks",
        section IV; the clip layers, their concatenation and the statistics are ours.
    """

    GAINS_BY_BFLOAT16 = True
    ARGUMENTS = {
        "sampling": "none",
        "num_samples": 300,
        "skip_head": 0,
        "skip_tail": 0,
        "stride": 1,
        "normalize": False,
        "frame_layers": 1,
        "frame_size": 512,
        "num_sets": 4,
        "attention_size": 64,
        "frame_statistics": True,
        "clip_layers": 2,
        "clip_size": 1024,
        "frame_dropout": 0.0,
        "dropout": 0.5,
        "momentum": 0.99,
        "epsilon": 1e-3,
        "num_branches": 1,
        "video_level_classifier_model": "LogisticModel",
        "head_options": None,
    }
    SAMPLE = {"hyperparameters": {"frame_size": 256, "clip_size": 256}}

    def check_arguments(self):
        check_positive(self, "frame_size", "attention_size", "clip_layers", "clip_size", "num_branches")
        check_not_negative(self, "frame_layers", "num_sets")
        check_share(self, "frame_dropout", "dropout")
        if not self.num_sets and not self.frame_statistics:
            raise UserError("num_sets=0, frame_statistics=False: nothing would be pooled. Use either.")
        if self.num_branches > 1 and self.video_prediction != "whole":
            raise UserError(
                f"num_branches={self.num_branches}: not with --video_prediction={self.video_prediction}, since each branch is "
                "trained on what the model is shown. Leave one of them out."
            )

    def graph(self):
        inputs, frames, mask = self.read_frames()
        return self.graph_of_branches(inputs, lambda name: self.branch(frames, mask, name))

    def branch(self, frames, mask, name):
        """What a branch's head sees, [B, clip_layers * clip_size]; its layers' names begin with `name`."""
        norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        level = BatchNormalization(**norm, name=f"{name}frame_norm")(frames, mask=mask)
        described = self._pooled(level, mask, f"{name}attention_0", f"{name}statistics_0")
        for number in range(1, self.frame_layers + 1):
            level = self._block(level, self.frame_size, self.frame_dropout, f"{name}frame_{number}", mask)
            described += self._pooled(level, mask, f"{name}attention_{number}", f"{name}statistics_{number}")
        x = ops.concatenate(described, axis=-1)
        x = BatchNormalization(**norm, name=f"{name}pooled_norm")(x)
        outputs = []
        for number in range(1, self.clip_layers + 1):
            x = self._block(x, self.clip_size, self.dropout, f"{name}clip_{number}")
            outputs.append(x)
        return ops.concatenate(outputs, axis=-1)

    def _pooled(self, level, mask, attention, statistics):
        """What describes a level, a list of [B, M * F] and [B, 2 F], by layers of these names."""
        described = []
        if self.num_sets:
            sizes = 2 * self.attention_size, self.attention_size, self.num_sets
            norm = {"momentum": self.momentum, "epsilon": self.epsilon}
            pooled, _ = GatedAttentionPooling(*sizes, **norm, name=attention)(level, mask=mask)  # [B, M, F]
            described.append(ops.reshape(pooled, (-1, self.num_sets * level.shape[-1])))
        if self.frame_statistics:
            described.append(FramePooling("both", name=statistics)(level, mask=mask))
        return described

    def _block(self, x, size, dropout, name, mask=None):
        """Dense, batch norm, ReLU and dropout: [..., F] -> [..., size]."""
        x = layers.Dense(size, use_bias=False, kernel_initializer="he_normal", name=name)(x)
        norm = BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, name=f"{name}_norm")
        x = ops.relu(norm(x, mask=mask))
        return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x
