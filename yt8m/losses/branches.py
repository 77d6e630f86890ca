"""The loss of a model whose branches each learn as if they were alone."""

import keras
from keras import ops

from yt8m.losses.starter import CrossEntropyLoss
from yt8m.registry import register


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class BranchCrossEntropyLoss:
    """The mean over a model's branches of each one's cross entropy; their mean, the model's prediction, has no part in it.

    A branch's gradient is that of the branch alone, divided by their number, which Adam does not see: branches that begin
    differently stay different, as the members of an ensemble are, where the cross entropy of the mean would let them rely on each
    other.

    Args:
        epsilon: as in CrossEntropyLoss.

    Call: as CrossEntropyLoss, and branch_predictions [B, N, C], as a model with several branches gives them in training ->
        float32 [B]; without them, in evaluation, the cross entropy of the predictions.
    Source: ours; an ensemble of networks that differ by their first weights and dropout, Lakshminarayanan et al. 2017.
    """

    NEEDS = ("branch_predictions",)

    def __init__(self, epsilon=1e-7):
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None, branch_predictions=None):
        entropy = CrossEntropyLoss(self.epsilon)
        if branch_predictions is None:
            return entropy(predictions, labels, label_weights)
        num_branches = branch_predictions.shape[1]
        of_branches = [entropy(branch_predictions[:, n], labels, label_weights) for n in range(num_branches)]
        return ops.mean(ops.stack(of_branches, axis=0), axis=0)

    def get_config(self):
        return {"epsilon": self.epsilon}
