"""sparsemax against tensorflow-addons' recorded values, and what masks do to both kinds of attention weights."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from yt8m.layers.sparsemax import masked_softmax, sparsemax

GOLDEN = np.load(os.path.join(os.path.dirname(__file__), os.pardir, "golden", "sparsemax.npz"))
CASES = range(sum(key.startswith("logits_") for key in GOLDEN))
both = pytest.mark.parametrize("weigh", [sparsemax, masked_softmax])


def weights_and_gradient(logits, cotangent, axis=-1, mask=None, weigh=sparsemax):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        weights = weigh(logits, axis, mask)
        total = tf.reduce_sum(weights * cotangent)
    return weights.numpy(), tape.gradient(total, logits).numpy()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_equals_tensorflow_addons(case, compiled):
    if compiled and case not in (0, 3, 7, 9):
        pytest.skip("a few suffice")

    def run(logits, cotangent):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            weights = sparsemax(logits, int(GOLDEN[f"axis_{case}"]))
            total = tf.reduce_sum(weights * cotangent)
        return weights, tape.gradient(total, logits)

    run = tf.function(run, jit_compile=True) if compiled else run
    weights, gradient = run(tf.constant(GOLDEN[f"logits_{case}"]), tf.constant(GOLDEN[f"cotangent_{case}"]))
    np.testing.assert_allclose(weights, GOLDEN[f"weights_{case}"], atol=1e-6)
    np.testing.assert_allclose(gradient, GOLDEN[f"gradient_{case}"], atol=1e-6)


def test_more_than_one_entry_survives():
    np.testing.assert_allclose(sparsemax(np.array([1.0, 0.9, 0.0], "float32")), [0.55, 0.45, 0.0], atol=1e-6)


def test_many_newton_steps_end_at_the_projection():
    logits = np.sort(np.random.default_rng(0).pareto(0.6, (50, 400)).astype("float32"))
    logits = logits / logits.max(axis=1, keepdims=True) * 1.5
    weights = np.array(sparsemax(logits))
    descending = logits[:, ::-1].astype("float64")
    sums = np.cumsum(descending, axis=1) - 1
    count = (descending * np.arange(1, 401) > sums).sum(axis=1)
    tau = sums[np.arange(50), count - 1] / count
    np.testing.assert_allclose(weights, np.maximum(logits - tau[:, None], 0), atol=1e-5)


@both
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mask_is_the_row_without_the_masked_entries(weigh, axis):
    rng = np.random.default_rng(1)
    logits, cotangent = rng.normal(size=(2, 4, 5, 6)).astype("float32")
    kept = np.arange(logits.shape[axis]) != 2
    mask = np.expand_dims(kept, [a for a in range(3) if a != axis])
    spoilt = np.where(mask, logits, 1e9).astype("float32")
    weights, gradient = weights_and_gradient(spoilt, cotangent, axis, mask, weigh)
    short, short_gradient = weights_and_gradient(
        np.compress(kept, logits, axis), np.compress(kept, cotangent, axis), axis, weigh=weigh
    )
    np.testing.assert_allclose(np.compress(kept, weights, axis), short, atol=1e-6)
    np.testing.assert_allclose(np.compress(kept, gradient, axis), short_gradient, atol=1e-6)
    assert not np.compress(~kept, weights, axis).any()
    assert not np.compress(~kept, gradient, axis).any()


@both
def test_a_row_without_a_real_entry_is_zero_and_has_no_gradient(weigh):
    mask = np.array([[True, True, False], [False, False, False]])
    weights, gradient = weights_and_gradient(np.ones((2, 3), "float32"), np.ones((2, 3), "float32"), -1, mask, weigh)
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0], [0, 0, 0]])
    assert np.isfinite(gradient).all() and not gradient[1].any()


@both
def test_half_precision_logits_are_weighed_in_float32(weigh):
    logits = keras.ops.cast(np.linspace(0, 0.1, 300), "float16")
    weights = weigh(logits)
    assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    assert float(np.sum(weights)) == pytest.approx(1, abs=1e-5)


@both
def test_nan_is_not_hidden(weigh):
    assert np.isnan(np.array(weigh(np.array([[0.1, np.nan, 0.3]], "float32")))).any()
