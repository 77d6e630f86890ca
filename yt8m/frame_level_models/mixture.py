"""Mixtures of NeXtVLADs with on-line distillation (R. Lin, third place of 2019)."""

import keras
from keras import layers, ops

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_choice, check_positive, check_share
from yt8m.base_model.heads import head_policy
from yt8m.base_model.parts import Graph
from yt8m.errors import UserError
from yt8m.layers.bottleneck_gating import BottleneckGating
from yt8m.layers.experts import slim_l2
from yt8m.layers.gated_sum import GatedSum
from yt8m.layers.nextvlad import NeXtVlad
from yt8m.layers.pooling import FramePooling
from yt8m.layers.unwhiten import Unwhiten
from yt8m.registry import register

INPUT_SCALES = ("none", "l2", "unwhiten")


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class MixtureModel(FrameModel):
    """N NeXtVLADs side by side, whose logits z_n a gate adds: z = sum of g_n z_n; of `num_mixtures` M such, a second gate.

    A branch: of each feature NeXtVLAD (sigmoid attention of the groups, batch norm over all groups' assignments, L2 norm and
    batch norm of the descriptors) -> concatenated -> dropout -> dense `hidden` without bias, batch norm, no ReLU -> gate ->
    logistic regression. The gates look at the mean of the frames. OnlineDistillationLoss draws the branches to their mixture.

    Args:
        num_branches: N; 1: one NeXtVLAD, without a gate.
        num_mixtures: M; above 1 the model's logits are Z = sum over m of q_m z^(m).
        cluster_size: K of the first feature; the others have half of it.
        groups: G of the first feature; the others have half of it.
        expansion: as in NeXtVlad.
        hidden_size: H.
        reduction: of the gate of `hidden`: 8 of a single model, 16 in mixtures.
        dropout: of the descriptors: .5 in pre-training, .75 in fine-tuning.
        l2_penalty: slim's scale, see slim_l2, on the kernel and the bias of the classifiers.
        input_scale: "none"; "l2": frames are L2-normalised over D; "unwhiten": the first feature as Unwhiten has it, which is for
            YouTube-8M's own.
        momentum, epsilon: of the batch norms.
        num_classes, feature_sizes, sampling, num_samples, skip_head, skip_tail, stride: as in FrameModel; all frames by default.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, H], the branches' mean. A training step
        also gets `logits` float32 [B, C], `branch_logits` float32 [B, M, N, C] and `mixture_logits` [B, M, C].
    Raises:
        UserError: sizes that are not positive, an unknown name, or groups that cannot be halved.
    Source: the code of the third place of 2019; the mixture is Lin et al. 2018, "NeXtVLAD", section 3.4, eq. 12-16. Momentum .999
        there, which takes thousands of steps; padding is masked here everywhere.
    """

    SAMPLE = {"hyperparameters": {"cluster_size": 16, "hidden_size": 256, "reduction": 8}}
    VIDEO_PREDICTIONS = ("whole",)
    POOLS_FRAMES = True
    NO_SEGMENTS_MEAN = ", whose branches are trained on what it is shown"

    ARGUMENTS = {
        **FrameModel.SAMPLING,
        "sampling": "none",
        "num_branches": 3,
        "num_mixtures": 1,
        "cluster_size": 128,
        "groups": 8,
        "expansion": 2,
        "hidden_size": 2048,
        "reduction": 16,
        "dropout": 0.5,
        "l2_penalty": 1e-5,
        "input_scale": "none",
        "momentum": 0.99,
        "epsilon": 1e-3,
    }

    def check_arguments(self):
        check_positive(self, "num_branches", "num_mixtures", "hidden_size", "reduction")
        check_share(self, "dropout")
        check_choice("input_scale", self.input_scale, INPUT_SCALES)
        for name in ("cluster_size", "groups"):
            if len(self.feature_sizes) > 1 and getattr(self, name) < 2:
                raise UserError(f"{name}={getattr(self, name)}: use at least 2, of which features but the first have half.")

    @property
    def normalize(self):
        """Whether frames are L2-normalised, as read_frames asks."""
        return self.input_scale == "l2"

    @property
    def _norm(self):
        return {"momentum": self.momentum, "epsilon": self.epsilon}

    def graph(self):
        inputs, frames, mask = self.read_frames()
        if self.input_scale == "unwhiten":
            frames = Unwhiten(self.feature_sizes[0], name="unwhiten")(frames, mask=mask)
        mean = FramePooling("average", name="frame_mean")(frames, mask=mask)
        hidden, of_branches, of_mixtures = [], [], []
        for m in range(1, self.num_mixtures + 1):
            first = f"mixture_{m}_" if self.num_mixtures > 1 else ""
            logits = []
            for n in range(1, self.num_branches + 1):
                hidden.append(self.branch(frames, mask, f"{first}branch_{n}"))
                logits.append(self.logits(hidden[-1], f"{first}branch_{n}_head"))
            of_branches.append(ops.stack(logits, axis=1))  # [B, N, C]
            of_mixtures.append(self._mixed(of_branches[-1], mean, f"{first}gate"))
        of_mixtures = ops.stack(of_mixtures, axis=1)  # [B, M, C]
        logits = self._mixed(of_mixtures, mean, "second_gate")
        beside = {"logits": logits, "branch_logits": ops.stack(of_branches, axis=1), "mixture_logits": of_mixtures}
        embedding = hidden[0] if len(hidden) == 1 else ops.mean(ops.stack(hidden, axis=1), axis=1)
        return Graph(inputs, ops.sigmoid(logits), embedding, beside=beside)

    def branch(self, frames, mask, name):
        """The gated hidden layer of a branch, [B, H]."""
        described, start = [], 0
        for index, size in enumerate(self.feature_sizes):
            share = 2 if index else 1
            vlad = NeXtVlad(
                self.cluster_size // share,
                self.groups // share,
                self.expansion,
                assignment_norm="cluster_group",
                cluster_dropout=0.0,
                alpha=None,
                **self._norm,
                name=f"{name}_vlad_{index}",
            )
            described.append(vlad(frames[:, :, start : start + size], mask=mask))
            start += size
        x = described[0] if len(described) == 1 else ops.concatenate(described, axis=-1)  # [B, sum of K S]
        x = layers.Dropout(self.dropout, name=f"{name}_dropout")(x)
        x = layers.Dense(self.hidden_size, use_bias=False, kernel_initializer="he_normal", name=f"{name}_hidden")(x)
        x = layers.BatchNormalization(**self._norm, name=f"{name}_hidden_norm")(x)
        return BottleneckGating(self.reduction, **self._norm, name=f"{name}_gating")(x)

    def logits(self, hidden, name):
        """Logits of the classes, float32 [B, C]."""
        penalty = slim_l2(self.l2_penalty)
        options = {"kernel_regularizer": penalty, "bias_regularizer": penalty, "dtype": head_policy()}
        return ops.cast(layers.Dense(self.num_classes, **options, name=name)(hidden), "float32")

    def _mixed(self, logits, mean, name):
        """[B, N, C] -> [B, C]; one member alone has no gate."""
        if logits.shape[1] == 1:
            return logits[:, 0]
        return GatedSum(**self._norm, name=name)(logits, mean)
