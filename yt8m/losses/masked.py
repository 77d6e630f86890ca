"""The loss of annotated (segment, class) pairs (paper 004, eq. 17)."""

import keras
from keras import ops

from yt8m.errors import UserError
from yt8m.losses.starter import CrossEntropyLoss
from yt8m.losses.terms import in_float32, ratio
from yt8m.registry import register

REDUCTIONS = ("pairs", "weights")


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class MaskedCrossEntropyLoss(CrossEntropyLoss):
    """Cross entropy where a (segment, class) pair is annotated, as a mean over the annotated pairs of the row.

    CrossEntropyLoss with weights is eq. 17 with the starter's sum over the classes: a row counts as much as it has annotated
    pairs. Here every row counts the same, whether raters annotated one class of it or an E-step all of them, so that one
    learning rate does for both and they may share a batch. A row without an annotated pair gives 0.

    Args:
        epsilon: as in CrossEntropyLoss.
        reduction: what the weighted sum is divided by: "pairs", the number of pairs whose weight is positive, so that weights
            below 1 count for less; "weights", the sum of the weights, so that only their proportions within the row matter
            (what virtual segments need: a mixture of two rows weighs as much as one).

    Call: as CrossEntropyLoss; a pair of weight 0 has exactly no gradient.
    Raises:
        UserError: an unknown reduction.
    Source: paper 004, section 5.1, eq. 17, which leaves the reduction open; masked is the loss, not the prediction alone.
    """

    def __init__(self, epsilon=1e-7, reduction="pairs"):
        if reduction not in REDUCTIONS:
            raise UserError(f"reduction={reduction!r}: use one of {', '.join(REDUCTIONS)}.")
        super().__init__(epsilon)
        self.reduction = reduction

    def __call__(self, predictions, labels, label_weights=None):
        total = super().__call__(predictions, labels, label_weights)
        _, _, weights = in_float32(predictions, labels, label_weights)
        counted = weights if self.reduction == "weights" else ops.cast(weights > 0.0, "float32")
        return ratio(total, ops.sum(counted, axis=-1))

    def get_config(self):
        return {**super().get_config(), "reduction": self.reduction}
