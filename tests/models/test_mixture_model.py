"""Mixtures of NeXtVLADs and the loss that distils them: the checks that the published formulas imply."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests.harness import CLASSES, SIZES, frames_batch
from yt8m import losses, models
from yt8m.errors import UserError
from yt8m.layers import unwhiten
from yt8m.losses import CrossEntropyLoss, OnlineDistillationLoss
from yt8m.training.objectives import Objective

SMALL = {"cluster_size": 4, "groups": 4, "hidden_size": 12, "reduction": 4, "dropout": 0.0}
RNG = np.random.default_rng(0)
Y = (RNG.random((5, CLASSES)) < 0.3).astype(np.float32)
W = (RNG.random((5, CLASSES)) < 0.5).astype(np.float32)


def build(**options):
    return models.build_model("MixtureModel", CLASSES, SIZES, **{**SMALL, **options})


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def outputs(model, batch):
    """Predictions and {name: array} of a training step."""
    predictions, beside = model.training_outputs(batch)
    return np.array(predictions), {name: np.array(value) for name, value in beside.items()}


def test_one_branch_is_its_own_mixture():
    model = build(num_branches=1)
    predictions, beside = outputs(model, frames_batch())
    assert beside["branch_logits"].shape == (3, 1, 1, CLASSES)
    np.testing.assert_allclose(predictions, sigmoid(beside["branch_logits"][:, 0, 0]), rtol=1e-5)
    assert not any("gate" in weight.path and "gating" not in weight.path for weight in model.weights)
    p, y = predictions, Y[:3]
    np.testing.assert_allclose(OnlineDistillationLoss()(p, y, **beside), CrossEntropyLoss(epsilon=1e-5)(p, y), rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"num_branches": 2, "num_mixtures": 2}])
def test_a_mixture_is_the_gated_sum_of_its_branches(options):
    model, batch = build(**options), frames_batch()
    predictions, beside = outputs(model, batch)
    m, n = options.get("num_mixtures", 1), options.get("num_branches", 3)
    assert beside["branch_logits"].shape == (3, m, n, CLASSES) and beside["mixture_logits"].shape == (3, m, CLASSES)
    of_branches = beside["branch_logits"]
    between = (beside["mixture_logits"] >= of_branches.min(axis=2) - 1e-5) & (
        beside["mixture_logits"] <= of_branches.max(axis=2) + 1e-5
    )
    assert between.all()  # weights of sum 1, none negative
    np.testing.assert_allclose(predictions, sigmoid(beside["logits"]), rtol=1e-5)
    if m == 1:
        np.testing.assert_allclose(beside["logits"], beside["mixture_logits"][:, 0], rtol=1e-5)
    gate = model.get_layer("gate" if m == 1 else "mixture_1_gate")
    gates = np.array(gate.weights_of(RNG.normal(size=(4, sum(SIZES)))))
    np.testing.assert_allclose(gates.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.array(model(batch)), np.array(model.predict_rated(batch)), rtol=1e-6)


def test_permuting_branches_with_their_gate_columns_changes_nothing():
    model, batch = build(num_branches=2), frames_batch()
    before = np.array(model(batch))
    weights = {weight.path: weight for weight in model.weights}
    values = {path: weight.numpy() for path, weight in weights.items()}
    gates = model.get_layer("gate").gates
    for path, weight in weights.items():
        if "branch_" in path:
            weight.assign(values[re.sub("branch_([12])", lambda found: f"branch_{3 - int(found[1])}", path)])
    for weight in gates.weights:
        weight.assign(weight.numpy()[..., ::-1])
    np.testing.assert_allclose(np.array(model(batch)), before, atol=1e-5)


def by_hand(z, branches, tau, lam, y, w):
    """L1 of a mixture: z [B, C], branches [B, N, C]."""

    def entropy(q):
        q = sigmoid(q)
        return -(w * (y * np.log(q + 1e-5) + (1 - y) * np.log(1 - q + 1e-5))).sum(axis=-1)

    total, teacher = entropy(z), softmax(z / tau)
    for n in range(branches.shape[1]):
        student = softmax(branches[:, n] / tau)
        total += entropy(branches[:, n]) + lam * (teacher * (np.log(teacher) - np.log(student))).sum(axis=-1)
    return total


def drawn(num_mixtures, num_branches):
    """Random logits with the shapes of a training step."""
    rng = np.random.default_rng(4)
    shapes = {"logits": (5, CLASSES), "branch_logits": (5, num_mixtures, num_branches, CLASSES)}
    shapes["mixture_logits"] = (5, num_mixtures, CLASSES)
    logits = {name: rng.normal(0, 2, shape).astype(np.float32) for name, shape in shapes.items()}
    if num_mixtures == 1:
        logits["mixture_logits"] = logits["logits"][:, None]
    return logits


@pytest.mark.parametrize("tau, lam", [(20.0, None), (3.0, 9.0), (1.0, 0.0), (50.0, 2500.0)])
def test_the_loss_of_a_mixture(tau, lam):
    logits = drawn(1, 3)
    found = OnlineDistillationLoss(tau, lam)(sigmoid(logits["logits"]), Y, W, **logits)
    expected = by_hand(
        np.float64(logits["logits"]), np.float64(logits["branch_logits"][:, 0]), tau, tau**2 if lam is None else lam, Y, W
    )
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_the_loss_of_two_levels():
    logits = {name: np.float64(value) for name, value in drawn(2, 3).items()}
    found = OnlineDistillationLoss(3.0, 9.0, 2.0, 5.0)(
        sigmoid(logits["logits"]), Y, W, **{k: np.float32(v) for k, v in logits.items()}
    )
    of_mixtures = [by_hand(logits["mixture_logits"][:, m], logits["branch_logits"][:, m], 3.0, 9.0, Y, W) for m in range(2)]
    expected = sum(of_mixtures) + by_hand(logits["logits"], logits["mixture_logits"], 2.0, 5.0, Y, W)
    for m in range(2):  # by_hand counts the entropy of the mixtures once more, as if they were branches
        expected = expected - by_hand(logits["mixture_logits"][:, m], np.zeros((5, 0, CLASSES)), 2.0, 5.0, Y, W)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("of_first, of_second", [(0.0, 0.0), (7.0, 7.0), (None, 2500.0)])
def test_the_second_level_takes_the_first_ones_weight_at_its_own_temperature(of_first, of_second):
    logits = drawn(2, 3)
    p = np.float32(sigmoid(logits["logits"]))
    found = OnlineDistillationLoss(20.0, of_first, second_temperature=50.0)(p, Y, W, **logits)
    expected = OnlineDistillationLoss(20.0, of_first, 50.0, of_second)(p, Y, W, **logits)
    np.testing.assert_array_equal(found, expected)


def test_equal_branches_do_not_diverge():
    logits = drawn(1, 3)
    logits["branch_logits"] = np.tile(logits["logits"][:, None, None], (1, 1, 3, 1))
    found = OnlineDistillationLoss()(sigmoid(logits["logits"]), Y, W, **logits)
    np.testing.assert_allclose(found, 4 * CrossEntropyLoss(epsilon=1e-5)(np.float32(sigmoid(logits["logits"])), Y, W), rtol=1e-4)


def test_a_high_temperature_measures_the_distance_of_centred_logits():
    rng = np.random.default_rng(1)
    z, other = rng.normal(0, 3, (2, 200, 1000)).astype(np.float32)
    divergence = np.array(OnlineDistillationLoss()._divergence(z, other, 20.0, None))
    centred = (z - z.mean(axis=1, keepdims=True)) - (other - other.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(divergence.mean(), (centred**2).mean() / 2, rtol=0.02)


def test_teacher_and_students_learn_unless_the_gradient_is_stopped():
    for stop in (False, True):
        logits = {name: tf.constant(value) for name, value in drawn(1, 2).items()}
        loss = OnlineDistillationLoss(3.0, stop_gradient=stop)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = tf.reduce_sum(loss(tf.stop_gradient(tf.sigmoid(logits["logits"])), Y, W * 0, **logits))
        of_teacher, of_students = tape.gradient(total, [logits["mixture_logits"], logits["branch_logits"]])
        assert (of_teacher is None) == stop and np.abs(of_students).max() > 0


def test_a_training_step_sees_the_branches_and_evaluation_does_not():
    model = build()
    batch = {**frames_batch(), "labels": Y[:3], "label_weights": np.ones_like(Y[:3])}
    outcome = Objective(OnlineDistillationLoss())(model, {name: tf.constant(value) for name, value in batch.items()})
    predictions, beside = outputs(model, batch)
    np.testing.assert_allclose(outcome.terms[0], OnlineDistillationLoss()(predictions, Y[:3], **beside), rtol=1e-4)
    plain = losses.CrossEntropyLoss(epsilon=1e-5)(predictions, Y[:3])
    np.testing.assert_allclose(Objective(OnlineDistillationLoss()).label_losses(predictions, batch), plain, rtol=1e-6)
    assert (np.array(outcome.terms[0]) > np.array(plain) * 2).all()


def test_unwhitened_frames():
    roots = unwhiten.roots(1024)
    np.testing.assert_allclose(roots[[0, 1, 63, 1023]], [3.839, 2.888, 0.792, 0.124], rtol=1e-5)
    assert (np.diff(roots) < 0).all()
    x = RNG.normal(size=(2, 3, 6)).astype(np.float32)
    mask = np.array([[True, True, False], [True, True, True]])
    found = np.array(unwhiten.Unwhiten(4)(x, mask=mask))
    np.testing.assert_allclose(found[1, :, 4:], x[1, :, 4:])
    np.testing.assert_allclose(found[1, :, :4], (x[1, :, :4] - 4 / 512) * (roots[:4] + 1e-4), rtol=1e-5)
    assert (found[0, 2] == 0).all()


@pytest.mark.parametrize("options", [{"input_scale": "pca"}, {"num_branches": 0}, {"dropout": 1.0}, {"groups": 1}])
def test_arguments_that_make_no_mixture(options):
    with pytest.raises(UserError, match=next(iter(options))):
        build(**options)


def test_bad_temperatures():
    for options in ({"temperature": 0.0}, {"second_temperature": -1.0}, {"divergence_weight": -1.0}):
        with pytest.raises(UserError, match=next(iter(options))):
            OnlineDistillationLoss(**options)
