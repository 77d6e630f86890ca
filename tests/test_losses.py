"""The losses against the starter code's formulas in numpy."""

import numpy as np
import pytest
import tensorflow as tf

from yt8m import registry
from yt8m.losses import CrossEntropyLoss, HingeLoss, SoftmaxLoss

P = np.array([[0.9, 0.2, 0.6, 0.5], [0.1, 0.8, 0.3, 0.0]], "float32")
Y = np.array([[1, 0, 1, 0], [0, 1, 0, 0]], "float32")
WEIGHTS = np.array([[1, 2, 0, 0.5], [0, 1, 0, 0]], "float32")
each = pytest.mark.parametrize("name", ["CrossEntropyLoss", "HingeLoss", "SoftmaxLoss"])


def gradient(loss, predictions, labels, weights=None):
    predictions = tf.constant(predictions)
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        total = tf.reduce_sum(loss(predictions, labels, weights))
    return tape.gradient(total, predictions).numpy()


def test_registered():
    assert {"CrossEntropyLoss", "HingeLoss", "SoftmaxLoss"} <= set(registry.names("loss"))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy(weights):
    terms = -(Y * np.log(P + 10e-8) + (1 - Y) * np.log(1 - P + 10e-8))
    expected = (terms * (1 if weights is None else weights)).sum(axis=1)
    np.testing.assert_allclose(CrossEntropyLoss()(P, Y, weights), expected, rtol=1e-5)


def test_cross_entropy_takes_soft_labels():
    expected = -(0.3 * np.log(0.9 + 1e-7) + 0.7 * np.log(0.1 + 1e-7))
    np.testing.assert_allclose(CrossEntropyLoss()(np.float32([[0.9]]), np.float32([[0.3]])), [expected], rtol=1e-5)


def test_cross_entropy_is_finite_at_the_ends_and_just_over_one():
    ends = np.float32([[0, 1, 0, 1, 1 + 2.4e-7]])
    labels = np.float32([[0, 1, 1, 0, 0]])
    assert np.isfinite(CrossEntropyLoss()(ends, labels)).all()
    assert np.isfinite(gradient(CrossEntropyLoss(), ends, labels)).all()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_hinge(weights):
    terms = np.maximum(0, 1 - (2 * Y - 1) * P)
    expected = (terms * (1 if weights is None else weights)).sum(axis=1)
    np.testing.assert_allclose(HingeLoss()(P, Y, weights), expected, rtol=1e-5)


def test_softmax():
    softmax = np.exp(P) / np.exp(P).sum(axis=1, keepdims=True)
    expected = -(Y / Y.sum(axis=1, keepdims=True) * np.log(softmax)).sum(axis=1)
    np.testing.assert_allclose(SoftmaxLoss()(P, Y), expected, rtol=1e-5)


def test_softmax_of_the_rated_is_that_of_a_table_without_the_others():
    rated = np.array([0, 1, 3])
    weights = np.float32([[1, 1, 0, 1], [1, 1, 0, 1]])
    np.testing.assert_allclose(SoftmaxLoss()(P, Y, weights), SoftmaxLoss()(P[:, rated], Y[:, rated]), rtol=1e-5)


@each
def test_unrated_pairs_have_exactly_no_gradient(name):
    loss = registry.get("loss", name)()
    slopes = gradient(loss, P, Y, WEIGHTS)
    assert (slopes[WEIGHTS == 0] == 0).all()
    assert (slopes[0, [0, 1]] != 0).all()


@each
def test_nothing_rated_is_a_loss_of_zero(name):
    loss = registry.get("loss", name)()
    np.testing.assert_array_equal(loss(P, Y, np.zeros_like(Y)), [0, 0])
    assert not gradient(loss, P, Y, np.zeros_like(Y)).any()


@each
def test_computed_in_float32_for_any_dtype(name):
    loss = registry.get("loss", name)()
    value = loss(tf.cast(P, tf.float16), Y.astype(bool), WEIGHTS.astype("float64"))
    assert value.dtype == tf.float32 and value.shape == (2,)
    assert type(loss)(**loss.get_config()).get_config() == loss.get_config()
