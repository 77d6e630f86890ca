"""The fine-tuning loss of paper 002 (eq. 2)."""

import keras
from keras import ops

from yt8m.errors import UserError
from yt8m.losses.terms import in_float32, logarithms, ratio
from yt8m.registry import register

FORMS, MINED_PER = ("paper", "code"), ("pair", "segment")


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class SampledNegativeLoss:
    """Cross entropy of the rated pairs, and of the classes that the video surely does not show (negative label mining).

    For a rated pair j with score y, video labels Sv and positive segment labels Ss:
    -(3/2 y log p_j + (1 - y) log(1 - p_j)) - 1/2 * mean over the classes c outside Sv and Ss of log(1 - p_c).
    A row is the sum of this over its rated pairs, each times its weight.

    The authors' code differs in three ways, which form="code" follows: the rated term is weighted by y + 1/2, so that a
    negative counts 1/2, not 1; the classes outside leave out all rated ones, not only the positive; and their mean is taken
    over the batch, not the row, so that a row counts by the number of its classes outside. (Several devices: each its rows.)

    Args:
        positive_weight, negative_weight: of a rated pair with score 1 and 0; negative_weight None: 1, or 1/2 for form="code".
        unrated_weight: of the mean over the classes outside.
        form: "paper" or "code".
        num_negatives: of the classes outside only so many, those with the highest predictions, are counted; None: all of
            them, as the paper's. The choice of hard ones is ours.
        mined_per: how often the mean over the classes outside counts: "pair": once a rated pair, as in the paper;
            "segment": once a row.
        epsilon: as in CrossEntropyLoss.

    The second place of 2019 has positive_weight, negative_weight and unrated_weight 1 and mined_per="segment", over the segment
    classes alone (--segment_classes_only).

    Call: (predictions [B, C] in [0, 1], labels [B, C] in [0, 1], label_weights [B, C] or None, video_labels [B, C]) ->
        float32 [B]; video_labels is positive for the labels Sv of the row's video and for its positive ratings Ss (the row's
        own are added). A class of Sv or Ss that is not rated has exactly no gradient, and a row without a rated pair has none
        at all. Neither label_weights nor video_labels (a whole video, every class of which is known): nothing is mined.
    Raises:
        UserError: an unknown name, a negative weight, fewer than 1 num_negatives, or label_weights without video_labels.
    Source: paper 002, section 3.6, eq. 2; form="code": the authors' code (ceshine/yt8m-2019).
    """

    NEEDS = ("video_labels",)

    def __init__(
        self,
        positive_weight=1.5,
        negative_weight=None,
        unrated_weight=0.5,
        form="paper",
        num_negatives=None,
        mined_per="pair",
        epsilon=1e-7,
    ):
        for name, value, known in (("form", form, FORMS), ("mined_per", mined_per, MINED_PER)):
            if value not in known:
                raise UserError(f"{name}={value!r}: use one of {', '.join(known)}.")
        for name, weight in (("positive", positive_weight), ("negative", negative_weight), ("unrated", unrated_weight)):
            if weight is not None and not weight >= 0:
                raise UserError(f"{name}_weight={weight}: use 0 or more.")
        if num_negatives is not None and num_negatives < 1:
            raise UserError(f"num_negatives={num_negatives}: use at least 1, or None for all.")
        self.positive_weight = positive_weight
        self.negative_weight = negative_weight
        self.unrated_weight = unrated_weight
        self.form = form
        self.num_negatives = num_negatives
        self.mined_per = mined_per
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None, video_labels=None):
        if video_labels is None and label_weights is not None:
            raise UserError(
                "label_loss=SampledNegativeLoss: the batch has no video_labels. It is for rated segments and their videos' "
                "labels; use CrossEntropyLoss for whole videos."
            )
        p, y, weights = in_float32(predictions, labels, label_weights)
        positive, negative = logarithms(p, self.epsilon)
        of_negatives = self.negative_weight
        if of_negatives is None:
            of_negatives = 1.0 if self.form == "paper" else 0.5
        terms = self.positive_weight * y * positive + of_negatives * (1.0 - y) * negative
        rated = -ops.sum(weights * terms, axis=-1)
        if video_labels is None:
            return rated
        pairs = ops.sum(weights, axis=-1) if self.mined_per == "pair" else ops.max(weights, axis=-1)
        total, count = self._outside(p, negative, self._known(y, weights, video_labels))
        if self.form == "paper":
            mean = ratio(total, count)
        else:
            mean = total * ratio(ops.sum(pairs), ops.sum(pairs * count))
        return rated - self.unrated_weight * pairs * mean

    def _known(self, y, weights, video_labels):
        """Which classes are no mined negatives of a row, bool [B, C]."""
        rated = weights > 0.0
        if self.form == "paper":
            rated = ops.logical_and(rated, y > 0.0)
        return ops.logical_or(rated, ops.cast(video_labels, "float32") > 0.0)

    def _outside(self, p, negative, known):
        """Sum of log(1 - p) over the other classes, and their number: float32 [B] each."""
        outside = ops.logical_not(known)
        if self.num_negatives is not None:
            hardest = ops.top_k(ops.where(outside, p, -1.0), min(self.num_negatives, p.shape[-1]))[1]
            negative, outside = (ops.take_along_axis(x, hardest, axis=-1) for x in (negative, outside))
        counted = ops.cast(outside, "float32")
        return ops.sum(counted * negative, axis=-1), ops.sum(counted, axis=-1)

    def get_config(self):
        return {
            "positive_weight": self.positive_weight,
            "negative_weight": self.negative_weight,
            "unrated_weight": self.unrated_weight,
            "form": self.form,
            "num_negatives": self.num_negatives,
            "mined_per": self.mined_per,
            "epsilon": self.epsilon,
        }
