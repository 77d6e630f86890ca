"""What a training step minimises: the label loss, mixed with teachers' soft labels, and the start-time loss."""

import dataclasses

import tensorflow as tf

from yt8m import losses
from yt8m.training.start_times import start_time_loss


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Of one batch on one device.

    Attributes:
        terms: list of float32 vectors; what is minimised is the sum of their means.
        predictions: float32 [N, C], 0 where no label is known.
        quantities: {name: scalar} to show in TensorBoard beside the loss.
    """

    terms: list
    predictions: tf.Tensor
    quantities: dict


@dataclasses.dataclass(frozen=True)
class Objective:
    """(BaseModel, batch) -> Outcome.

    The label loss of a row is (1 - a) loss(p, labels) + a loss(p, soft labels) where the batch brings teachers' soft labels
    (paper 001, "future work": a mixture of ground truth and the teacher's soft labels), and loss(p, labels) where not. That of
    soft labels is the cross entropy, with the label loss's epsilon where it has one.

    Attributes:
        loss: a loss of yt8m.losses.
        class_weights: float [C] on the label loss, or None.
        distillation_weight: a, 0 to 1.
        start_time_weight: of the start-time loss (training/start_times.py), for whole videos with rated segments.
        unrated_as_negatives: weight of the pairs of a rated row that nobody rated, as negatives; 0: they do not count.
    """

    loss: object
    class_weights: object = None
    distillation_weight: float = 0.0
    start_time_weight: float = 0.0
    unrated_as_negatives: float = 0.0

    def __call__(self, model, batch):
        predictions, beside = model.training_outputs(batch)
        term = self.label_losses(predictions, {**batch, **beside})
        quantities = {}
        if "soft_labels" in batch:
            soft = self.soft_loss(predictions, batch["soft_labels"], batch["soft_weights"])
            term = (1 - self.distillation_weight) * term + self.distillation_weight * soft
            quantities["teacher_agreement"] = teacher_agreement(predictions, batch["soft_labels"], batch["soft_weights"])
        terms = [term]
        if self.start_time_weight:
            videos, inside, outside = start_time_loss(model, batch)
            terms.append(self.start_time_weight * videos)
            quantities |= {"start_time_loss": tf.reduce_mean(videos), "attention_mass_in_positives": inside}
            quantities["attention_mass_in_negatives"] = outside
        return Outcome(terms, tf.where(self._of_classes(batch["label_weights"]) > 0, predictions, 0.0), quantities)

    @property
    def soft_loss(self):
        """The cross entropy of soft labels."""
        if hasattr(self.loss, "epsilon"):
            return losses.CrossEntropyLoss(self.loss.epsilon)
        return losses.CrossEntropyLoss()

    def label_losses(self, predictions, batch):
        """The label loss of each row, float32 [N], for predictions float32 [N, C] of a batch."""
        labels, weights = batch["labels"], batch["label_weights"]
        if self.unrated_as_negatives:
            labels, weights = with_negatives(labels, weights, self.unrated_as_negatives)
        extra = {name: batch[name] for name in getattr(self.loss, "NEEDS", ()) if name in batch}
        return self.loss(predictions, labels, self._of_classes(weights), **extra)

    def _of_classes(self, weights):
        """Label weights [N, C], each times its class's."""
        return weights if self.class_weights is None else weights * self.class_weights


def with_negatives(labels, label_weights, weight):
    """Labels and weights of rated rows in which what nobody rated is a negative.

    A pair of weight w, 1 where it is rated and 0 where not (between them in a mixture of two rows), becomes one of weight
    w + (1 - w) weight, of which the part w has the label. Rows without any rated pair stay as they are.

    Args:
        labels, label_weights: float32 [N, C].
        weight: of a negative that nobody rated.

    Returns:
        (labels, label_weights) float32 [N, C].

    Source: the authors' code of papers 000 and 001, whose second phase counts every class of a rated segment.
    """
    known = tf.reduce_any(label_weights > 0, axis=-1, keepdims=True)
    weights = tf.where(known, label_weights + (1.0 - label_weights) * weight, label_weights)
    return tf.math.divide_no_nan(label_weights * labels, weights), weights


def teacher_agreement(predictions, soft_labels, soft_weights):
    """Share of the rows whose best class is the teachers' best, among the classes that these know; [N, C] each -> scalar."""
    known = soft_weights > 0
    ours, theirs = (tf.argmax(tf.where(known, scores, -1.0), axis=-1) for scores in (predictions, soft_labels))
    return tf.reduce_mean(tf.cast(ours == theirs, tf.float32))
