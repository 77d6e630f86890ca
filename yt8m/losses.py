"""Classification losses: one value a row. The loop minimises their mean over the rows.

A loss may need more of a batch than labels and weights: NEEDS names these entries, and the call takes them by keyword.
"""

import keras
from keras import ops

from yt8m import registry
from yt8m.errors import UserError
from yt8m.registry import register

FORMS = ("paper", "code")
REDUCTIONS = ("pairs", "weights")


def _float32(predictions, labels, label_weights):
    predictions = ops.cast(predictions, "float32")
    labels = ops.cast(labels, "float32")
    weights = ops.ones_like(labels) if label_weights is None else ops.cast(label_weights, "float32")
    return predictions, labels, weights


def _logarithms(p, epsilon):
    """log(p + epsilon) and log(1 - p + epsilon), finite for every p in [0, 1] and just over."""
    least = epsilon / 2  # a sum of float32 probabilities may exceed 1 by more than epsilon
    return ops.log(ops.maximum(p + epsilon, least)), ops.log(ops.maximum(1.0 - p + epsilon, least))


def _ratio(total, count):
    """total / count, 0 where the count is 0."""
    return total / ops.where(count > 0.0, count, 1.0)


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class CrossEntropyLoss:
    """-(y log(p + eps) + (1 - y) log(1 - p + eps)), weighted and summed over the classes.

    Args:
        epsilon: the starter code's 10e-8.

    Call: predictions [B, C] in [0, 1], labels [B, C] in [0, 1] (soft labels too), label_weights [B, C] or None (all 1) ->
        float32 [B]. A pair of weight 0 has exactly no gradient.
    Source: the starter code (google/youtube-8m), losses.py.
    """

    def __init__(self, epsilon=1e-7):
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None):
        p, y, weights = _float32(predictions, labels, label_weights)
        positive, negative = _logarithms(p, self.epsilon)
        return -ops.sum(weights * (y * positive + (1.0 - y) * negative), axis=-1)

    def get_config(self):
        return {"epsilon": self.epsilon}


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class HingeLoss:
    """max(0, b - s p) with s = 2 y - 1, weighted and summed over the classes.

    Args:
        margin: b.

    Call: as CrossEntropyLoss, predictions of any range.
    Source: the starter code (google/youtube-8m), losses.py.
    """

    def __init__(self, margin=1.0):
        self.margin = margin

    def __call__(self, predictions, labels, label_weights=None):
        p, y, weights = _float32(predictions, labels, label_weights)
        return ops.sum(weights * ops.maximum(0.0, self.margin - (2.0 * y - 1.0) * p), axis=-1)

    def get_config(self):
        return {"margin": self.margin}


@register("loss")
@keras.saving.register_keras_serializable("yt8m")
class SoftmaxLoss:
    """Cross entropy of softmax(p) with the labels divided by their sum.

    Classes of weight 0 are not there: neither in the softmax nor in the labels' sum.

    Args:
        epsilon: least sum of the labels divided by; the starter code's 10e-8.

    Call: as CrossEntropyLoss, predictions of any range.
    Source: the starter code (google/youtube-8m), losses.py.
    """

    def __init__(self, epsilon=1e-7):
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None):
        p, y, weights = _float32(predictions, labels, label_weights)
        rated = weights > 0.0
        y = ops.where(rated, y, 0.0)
        y = y / ops.maximum(ops.sum(y, axis=-1, keepdims=True), self.epsilon)
        log_softmax = ops.log_softmax(ops.where(rated, p, -3.0e38), axis=-1)
        return -ops.sum(weights * y * ops.where(rated, log_softmax, 0.0), axis=-1)

    def get_config(self):
        return {"epsilon": self.epsilon}


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
        _, _, weights = _float32(predictions, labels, label_weights)
        counted = weights if self.reduction == "weights" else ops.cast(weights > 0.0, "float32")
        return _ratio(total, ops.sum(counted, axis=-1))

    def get_config(self):
        return {**super().get_config(), "reduction": self.reduction}


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
        epsilon: as in CrossEntropyLoss.

    Call: (predictions [B, C] in [0, 1], labels [B, C] in [0, 1], label_weights [B, C] or None, video_labels [B, C]) ->
        float32 [B]; video_labels is positive for the labels Sv of the row's video and for its positive ratings Ss (the row's
        own are added). A class of Sv or Ss that is not rated has exactly no gradient, and a row without a rated pair has none
        at all. Neither label_weights nor video_labels (a whole video, every class of which is known): nothing is mined.
    Raises:
        UserError: an unknown form, a negative weight, fewer than 1 num_negatives, or label_weights without video_labels.
    Source: paper 002, section 3.6, eq. 2; form="code": the authors' code (ceshine/yt8m-2019).
    """

    NEEDS = ("video_labels",)

    def __init__(
        self, positive_weight=1.5, negative_weight=None, unrated_weight=0.5, form="paper", num_negatives=None, epsilon=1e-7
    ):
        if form not in FORMS:
            raise UserError(f"form={form!r}: use one of {', '.join(FORMS)}.")
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
        self.epsilon = epsilon

    def __call__(self, predictions, labels, label_weights=None, video_labels=None):
        if video_labels is None and label_weights is not None:
            raise UserError(
                "label_loss=SampledNegativeLoss: the batch has no video_labels. It is for rated segments and their videos' "
                "labels; use CrossEntropyLoss for whole videos."
            )
        p, y, weights = _float32(predictions, labels, label_weights)
        positive, negative = _logarithms(p, self.epsilon)
        of_negatives = self.negative_weight
        if of_negatives is None:
            of_negatives = 1.0 if self.form == "paper" else 0.5
        terms = self.positive_weight * y * positive + of_negatives * (1.0 - y) * negative
        rated = -ops.sum(weights * terms, axis=-1)
        if video_labels is None:
            return rated
        pairs = ops.sum(weights, axis=-1)
        total, count = self._outside(p, negative, self._known(y, weights, video_labels))
        if self.form == "paper":
            mean = _ratio(total, count)
        else:
            mean = total * _ratio(ops.sum(pairs), ops.sum(pairs * count))
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
            "epsilon": self.epsilon,
        }


def get(name):
    """The loss class of that name; UserError lists the known ones."""
    return registry.get("loss", name)


def build(name, options=None, rated=True):
    """The loss of that name with these arguments of its constructor.

    Args:
        name: registered name.
        options: {argument: value}.
        rated: the rows are rated segments. Other rows have no labels of a video around them: a loss that NEEDS these gives way
            to CrossEntropyLoss, with which paper 002 pre-trains.

    Raises:
        UserError: an unknown loss, or an argument that it does not have or refuses.
    """
    loss, options = get(name), options or {}
    known = sorted(loss().get_config())
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(f"--loss_options: {name} has no {unknown[0]}. It has {', '.join(known)}.")
    built = loss(**options)
    return built if rated or "video_labels" not in getattr(loss, "NEEDS", ()) else CrossEntropyLoss()
