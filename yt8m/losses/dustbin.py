"""The loss of a softmax over the classes and a dustbin."""

import keras
from keras import ops

from yt8m.errors import UserError
from yt8m.losses.terms import in_float32, logarithms
from yt8m.registry import register

NEGATIVES = ("dustbin", "complement", "dropped")


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class DustbinLoss:
    """Cross entropy of a softmax whose last column, the dustbin, is none of the classes: 1 - sum of p is its probability.

    A positive counts -log p. What a rated negative counts is `negatives`:
    "dustbin": -log(1 - sum of p), once a row; where the row has a positive, too, it is no dustbin, and a negative counts
    -log(1 - p). "complement": always -log(1 - p). "dropped": nothing.

    Args:
        negatives: one of these.
        epsilon: as in CrossEntropyLoss.

    Call: as CrossEntropyLoss; for models whose predictions sum to 1 at most (SoftmaxMlpModel).
    Raises:
        UserError: another name.
    Source: the 21st place of 2019, whose rated negatives have the first class as their target; the dustbin, and "complement" and
        "dropped" to compare with, are ours.
    """

    def __init__(self, negatives="dustbin", epsilon=1e-7):
        if negatives not in NEGATIVES:
            raise UserError(f"negatives={negatives!r}: use one of {', '.join(NEGATIVES)}.")
        self.negatives = negatives
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None):
        p, y, weights = in_float32(predictions, labels, label_weights)
        positive, negative = logarithms(p, self.epsilon)
        total = ops.sum(weights * y * positive, axis=-1)
        if self.negatives == "dropped":
            return -total
        of_negatives = weights * (1.0 - y)
        complement = ops.sum(of_negatives * negative, axis=-1)
        if self.negatives == "complement":
            return -total - complement
        shown = ops.minimum(ops.sum(p, axis=-1), 1.0)
        dustbin = ops.max(of_negatives, axis=-1) * logarithms(shown, self.epsilon)[1]
        return -total - ops.where(ops.max(weights * y, axis=-1) > 0.0, complement, dustbin)

    def get_config(self):
        return {"negatives": self.negatives, "epsilon": self.epsilon}
