"""LSTM and GRU against Keras' own: outputs, states and every gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yt8m.layers.recurrence import GRU, LSTM, all_steps
from yt8m.layers.recurrent_cells import LstmCell

B, T, D, U = 4, 6, 5, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(B, T, D)).astype("float32")
RIGHT = np.arange(T)[None] < np.array([[6], [3], [1], [0]])
GAPS = RNG.random((B, T)) < 0.6
KINDS = [(LSTM, {}), (GRU, {"reset_after": True}), (GRU, {"reset_after": False})]
each = pytest.mark.parametrize("kind,options", KINDS, ids=["LSTM", "GRU", "GRU, reset before"])


def pair(kind, options, **more):
    """One of our layers and Keras' with its weights."""
    ours = kind(U, **options, **more)
    theirs = getattr(keras.layers, kind.__name__)(U, **options, **more)
    for layer in (ours, theirs):
        layer.build(X.shape)
    ours.set_weights([RNG.normal(scale=0.7, size=weight.shape) for weight in ours.weights])
    theirs.set_weights(ours.get_weights())
    return ours, theirs


def results(layer, mask, states, training=True, graph=False):
    """All outputs, and the gradients of their weighted sum by input, first states and weights; `graph`: compiled."""
    x, states = tf.constant(X), [tf.constant(state) for state in states]
    weights = np.random.default_rng(1)

    def run(x, states):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            outputs = layer(x, mask=mask, initial_state=states or None, training=training)
            outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
            total = sum(tf.reduce_sum(y * weights.normal(size=y.shape).astype("float32")) for y in outputs)
        return [*outputs, *tape.gradient(total, [x, *states, *[weight.value for weight in layer.trainable_weights]])]

    return [np.asarray(values) for values in (tf.function(run) if graph else run)(x, states)]


def close(ours, theirs, bound=1e-5):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other, atol=bound * max(1.0, np.abs(other).max()))


@each
@pytest.mark.parametrize(
    "mask,backwards",
    [(None, False), (RIGHT, False), (RIGHT, True), (GAPS, True)],
    ids=["all", "padded", "padded, back", "gaps, back"],
)
def test_a_training_step_is_that_of_keras(kind, options, mask, backwards):
    ours, theirs = pair(kind, options, return_sequences=True, return_state=True, go_backwards=backwards)
    states = [RNG.normal(size=(B, U)).astype("float32") for _ in range(2)] if mask is None and kind is LSTM else []
    close(results(ours, mask, states, graph=mask is GAPS), results(theirs, mask, states))


@each
def test_the_last_output_alone_and_gradients_outside_training(kind, options):
    ours, theirs = pair(kind, options)
    expected = results(theirs, RIGHT, [])
    for training in (False, True):
        close(results(ours, RIGHT, [], training), expected)


@each
def test_cudnn_is_asked_first(kind, options, monkeypatch):
    """Keras' own path stays where TensorFlow sees a GPU: its class asks for it before ours does the steps."""
    name, asked = kind.__name__.lower(), []

    def refuse(*given, **options):
        asked.append(name)
        raise NotImplementedError

    monkeypatch.setattr(keras.src.backend, name, refuse)
    kind(U, **options)(X)
    assert asked == [name]


def test_layers_with_other_equations_are_left_to_keras():
    for options in ({"activation": "relu"}, {"use_bias": False}, {"recurrent_activation": "hard_sigmoid"}):
        ours, theirs = pair(LSTM, {}, **options)
        assert not ours._is_plain()
        np.testing.assert_array_equal(ours(X), theirs(X))


@each
def test_gradients_in_bfloat16_are_near_those_in_float32(kind, options):
    whole, half = kind(U, **options), kind(U, **options, dtype="mixed_bfloat16")
    for layer in (whole, half):
        layer.build(X.shape)
    whole.set_weights([RNG.normal(scale=0.5, size=weight.shape) for weight in whole.weights])
    half.set_weights(whole.get_weights())
    for ours, theirs in zip(results(half, RIGHT, []), results(whole, RIGHT, [])):
        np.testing.assert_allclose(ours.astype("float32"), theirs, atol=0.03 * max(1.0, np.abs(theirs).max()))


def test_a_memory_in_bfloat16_keeps_what_is_little():
    """Half a thousand times a thousandth: a sum in bfloat16 stays at .25."""
    x = np.full((500, 1, 4), 9.0, "float32")  # input and forget gate are open
    x[..., 2] = 1e-3
    kernel, bias, zeros = tf.zeros((1, 4), tf.bfloat16), tf.zeros(4, tf.bfloat16), tf.zeros((1, 1))
    _, memory = all_steps(LstmCell, tf.cast(x, tf.bfloat16), kernel, bias, None, [zeros, zeros])
    assert float(memory[0, 0]) == pytest.approx(0.5, rel=0.05)
