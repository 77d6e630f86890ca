"""What a step minimises of the labels: classes' weights, and unrated classes as negatives."""

import numpy as np
import pytest

from yt8m import config, losses
from yt8m.stages.objective import objective_of
from yt8m.training.objectives import Objective, with_negatives

P = np.array([[0.9, 0.2, 0.6, 0.3], [0.5, 0.7, 0.1, 0.8], [0.4, 0.4, 0.4, 0.4]], np.float32)
Y = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], np.float32)
W = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], np.float32)  # the last row is a segment that nobody rated
BATCH = {"labels": Y, "label_weights": W}


def cross_entropy(p, y):
    return -np.log(p + 1e-5) if y else -np.log(1 - p + 1e-5)


@pytest.mark.parametrize("weight, of_classes", [(1.0, None), (0.3, None), (1.0, np.array([1, 5, 5, 1], np.float32))])
def test_unrated_classes_of_a_rated_segment_are_negatives(weight, of_classes):
    objective = Objective(losses.CrossEntropyLoss(), of_classes, unrated_as_negatives=weight)
    expected = np.zeros(3)
    for row, column in np.ndindex(2, 4):
        of_pair = (1 if W[row, column] else weight) * (1 if of_classes is None else of_classes[column])
        expected[row] += of_pair * cross_entropy(P[row, column], Y[row, column] if W[row, column] else 0)
    np.testing.assert_allclose(objective.label_losses(P, BATCH), expected, rtol=1e-5)


def test_without_it_they_do_not_count():
    of_rated = [sum(cross_entropy(P[r, c], Y[r, c]) for c in range(4) if W[r, c]) for r in range(3)]
    np.testing.assert_allclose(Objective(losses.CrossEntropyLoss()).label_losses(P, BATCH), of_rated, rtol=1e-5)


def test_a_mixture_of_two_rows_is_the_mixture_of_their_losses():
    a, rows = 0.3, slice(0, 2)
    weights = a * W[0] + (1 - a) * W[1]
    labels = np.divide(a * W[0] * Y[0] + (1 - a) * W[1] * Y[1], weights, out=np.zeros(4, np.float32), where=weights > 0)
    objective = Objective(losses.CrossEntropyLoss(), unrated_as_negatives=0.5)
    p = np.stack([P[0]] * 2)
    of_rows = np.array(objective.label_losses(p, {"labels": Y[rows], "label_weights": W[rows]}))
    mixed = objective.label_losses(p[:1], {"labels": labels[None], "label_weights": weights[None]})
    np.testing.assert_allclose(mixed, [a * of_rows[0] + (1 - a) * of_rows[1]], rtol=1e-5)


@pytest.mark.parametrize("loss", [losses.CrossEntropyLoss(1e-7), losses.BranchCrossEntropyLoss(1e-7), losses.HingeLoss()])
def test_soft_labels_have_the_label_losss_epsilon(loss):
    p, y = np.float32([[0.0]]), np.float32([[1.0]])
    epsilon = 1e-5 if isinstance(loss, losses.HingeLoss) else 1e-7
    np.testing.assert_allclose(Objective(loss).soft_loss(p, y, y), [-np.log(epsilon)], rtol=1e-5)


def test_rated_pairs_keep_their_labels_bit_for_bit():
    labels, weights = with_negatives(Y, W, 0.25)
    np.testing.assert_array_equal(labels, Y)
    np.testing.assert_array_equal(weights, [[1, 1, 0.25, 0.25], [0.25, 0.25, 1, 0.25], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    "stage, unrated, weights",
    [("pretrain", 0.0, [1, 1, 5, 1]), ("finetune", 0.0, None), ("finetune", 1.0, [1, 1, 5, 1]), ("pretrain", 1.0, [1, 1, 5, 1])],
)
def test_segment_classes_weigh_more_where_other_classes_count(stage, unrated, weights):
    run = config.TrainConfig("dir", stage, "*", 4, 0.1, 1.0, 1000, segment_class_weight=5.0, segment_label_ids=(2,))
    run = config.dataclasses.replace(run, unrated_as_negatives=unrated)
    objective = objective_of(run, config.ModelConfig("LogisticModel", num_classes=4))
    assert (None if objective.class_weights is None else objective.class_weights.tolist()) == weights
    assert objective.unrated_as_negatives == (unrated if stage == "finetune" else 0.0)
