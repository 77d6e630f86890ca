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
    (paper 001, "future work": a mixture of ground truth and the teacher's soft labels), and loss(p, labels) where not.

    Attributes:
        loss: a loss of yt8m.losses.
        class_weights: float [C] on the label loss, or None.
        distillation_weight: a, 0 to 1.
        start_time_weight: of the start-time loss (training/start_times.py), for whole videos with rated segments.
    """

    loss: object
    class_weights: object = None
    distillation_weight: float = 0.0
    start_time_weight: float = 0.0

    def __call__(self, model, batch):
        weights = batch["label_weights"] if self.class_weights is None else batch["label_weights"] * self.class_weights
        predictions = model.predict_rated(batch, training=True)
        extra = {name: batch[name] for name in getattr(self.loss, "NEEDS", ()) if name in batch}
        term = self.loss(predictions, batch["labels"], weights, **extra)
        quantities = {}
        if "soft_labels" in batch:
            soft = losses.CrossEntropyLoss()(predictions, batch["soft_labels"], batch["soft_weights"])
            term = (1 - self.distillation_weight) * term + self.distillation_weight * soft
            quantities["teacher_agreement"] = teacher_agreement(predictions, batch["soft_labels"], batch["soft_weights"])
        terms = [term]
        if self.start_time_weight:
            videos, inside, outside = start_time_loss(model, batch)
            terms.append(self.start_time_weight * videos)
            quantities |= {"start_time_loss": tf.reduce_mean(videos), "attention_mass_in_positives": inside}
            quantities["attention_mass_in_negatives"] = outside
        return Outcome(terms, tf.where(weights > 0, predictions, 0.0), quantities)


def teacher_agreement(predictions, soft_labels, soft_weights):
    """Share of the rows whose best class is the teachers' best, among the classes that these know; [N, C] each -> scalar."""
    known = soft_weights > 0
    ours, theirs = (tf.argmax(tf.where(known, scores, -1.0), axis=-1) for scores in (predictions, soft_labels))
    return tf.reduce_mean(tf.cast(ours == theirs, tf.float32))
