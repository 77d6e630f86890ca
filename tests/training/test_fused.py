"""Adam as one kernel and clipping without temporaries, against Keras' own."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.training.test_optimizers import variable
from yt8m.training import optimizers

SHAPES = {"hidden/kernel": (7, 5), "hidden/bias": (5,), "head/kernel": (5, 3)}
RATE, STEPS = 0.01, 100


def start(optimizer):
    """An optimizer and variables that it is built for; the same each time."""
    rng = np.random.default_rng(0)
    variables = [variable(path, rng.normal(size=shape)) for path, shape in SHAPES.items()]
    optimizer.build(variables)
    return optimizer, variables


def gradients(steps=STEPS):
    """[steps][variable] gradients whose norms are now above and now below 1, some of them zeros."""
    rng = np.random.default_rng(1)
    sizes = [10.0 ** rng.uniform(-3, 1) * (k % 7 > 0) for k in range(steps)]
    return [[tf.constant(rng.normal(size=shape) * size, "float32") for shape in SHAPES.values()] for size in sizes]


def adam(steps, start):
    """A variable after each step of Adam in float64, with TensorFlow 1's epsilon."""
    w, m, v, after = np.float64(start), 0.0, 0.0, []
    for t, g in enumerate(steps, start=1):
        g = np.float64(g)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
        after.append(w)
    return after


@pytest.mark.parametrize("compiled", [False, True])
def test_a_hundred_steps_are_those_of_keras(compiled):
    ours, variables = start(optimizers.make_optimizer("Adam", RATE))
    keras_adam, keras_variables = start(keras.optimizers.Adam(RATE, epsilon=1e-8, name="optimizer"))
    assert [w.path for w in ours.variables] == [w.path for w in keras_adam.variables]  # so checkpoints of either fit both
    step = tf.function(ours.apply, jit_compile=True) if compiled else ours.apply
    way = [np.zeros(shape) for shape in SHAPES.values()]
    for batch in gradients():
        before = [w.numpy() for w in keras_variables]
        step(batch)
        keras_adam.apply(batch)
        way = [length + np.abs(w.numpy() - old) for length, w, old in zip(way, keras_variables, before)]
        for w, expected, length in zip(variables, keras_variables, way):
            # A step is right to 1e-5 of itself; each subtraction rounds the weight to 2^-24 of it.
            bound = 1e-5 * length + STEPS * 2.0**-24 * np.abs(expected.numpy()).max()
            assert np.all(np.abs(w.numpy() - expected.numpy()) <= bound)
    for slot, expected in zip(ours.variables, keras_adam.variables):
        np.testing.assert_allclose(slot.numpy(), expected.numpy(), rtol=2e-5, atol=1e-7, err_msg=slot.path)


def test_no_further_from_adam_in_float64_than_keras():
    batches = [[10 * g for g in batch] for batch in gradients(20)]
    distances = []
    for optimizer in (optimizers.Adam(RATE, epsilon=1e-8), keras.optimizers.Adam(RATE, epsilon=1e-8)):
        optimizer, variables = start(optimizer)
        exact = [adam([batch[i] for batch in batches], w.numpy())[-1] for i, w in enumerate(variables)]
        for batch in batches:
            optimizer.apply(batch)
        distances.append(sum(np.abs(w.numpy() - value).sum() for w, value in zip(variables, exact)))
    assert distances[0] <= distances[1]


def test_it_is_one_kernel_and_no_temporary_squares():
    optimizer, variables = start(optimizers.make_optimizer("Adam", RATE, clip_norm=1.0))
    graph = tf.function(optimizer.apply).get_concrete_function(gradients(1)[0]).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == len(variables)
    assert not {"Square", "AssignSubVariableOp"} & set(kinds)


@pytest.mark.parametrize("options", [{"clipnorm": 1.0}, {"global_clipnorm": 1.0}, {}])
@pytest.mark.parametrize("size", [0.0, 1e-3, 10.0])
def test_clipped_gradients_are_those_of_keras(options, size):
    ours, _ = start(optimizers.SGD(RATE, **options))
    plain, _ = start(keras.optimizers.SGD(RATE, **options))
    batch = [size * g for g in gradients(2)[1]]
    for clipped, expected in zip(ours._clip_gradients(batch), plain._clip_gradients(batch)):
        np.testing.assert_allclose(clipped, expected, rtol=1e-6, atol=0)


def test_a_gradient_that_is_not_finite_stays_so():
    for options in ({"clipnorm": 1.0}, {"global_clipnorm": 1.0}):
        optimizer, _ = start(optimizers.Adam(RATE, **options))
        for value in (np.inf, np.nan):
            (clipped,) = optimizer._clip_gradients([tf.constant([1.0, value])])
            assert not np.isfinite(clipped).all()


@pytest.mark.parametrize("options", [{"amsgrad": True}, {"clipnorm": 0.5}])
def test_what_the_kernel_does_not_do_is_left_to_keras(options):
    ours, variables = start(optimizers.Adam(RATE, **options))
    plain, expected = start(keras.optimizers.Adam(RATE, **options))
    (kernel, *_), (theirs, *_) = variables, expected
    sparse = tf.IndexedSlices(tf.ones((2, 5)), tf.constant([1, 4]), tf.constant([7, 5]))
    for batch in (gradients(2)[1][0], sparse) if "amsgrad" in options else (sparse,):
        for optimizer in (ours, plain):
            optimizer.apply([batch, *gradients(1)[0][1:]])
    np.testing.assert_array_equal(kernel.numpy(), theirs.numpy())


def test_decay_and_factors_come_before_the_kernel():
    """AdamW with a factor: Keras' AdamW at that rate, for what decays."""
    ours, variables = start(optimizers.make_optimizer("AdamW", RATE, weight_decay=0.3, learning_rate_multipliers={"head": 0.5}))
    plain = keras.optimizers.AdamW(RATE * 0.5, weight_decay=0.3, epsilon=1e-7)
    plain, expected = start(plain)
    for batch in gradients(10):
        ours.apply(batch)
        plain.apply(batch)
    np.testing.assert_allclose(variables[2].numpy(), expected[2].numpy(), rtol=1e-5, atol=1e-6)


ON_JAX = """
import keras, numpy as np
from yt8m.training.optimizers import make_optimizer
def trained(optimizer):
    weights = keras.Variable(np.arange(6, dtype="float32"), name="kernel")
    optimizer.build([weights])
    for step in range(5):
        optimizer.apply([keras.ops.full((6,), step - 1.5)], [weights])
    return np.array(weights.value).tolist()
same = trained(make_optimizer("Adam", 0.01, 1.0)) == trained(keras.optimizers.Adam(0.01, epsilon=1e-8, clipnorm=1.0))
print(keras.backend.backend(), same)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_on_another_backend_it_is_keras():
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", ON_JAX], cwd=commands.ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["jax", "True"], done.stderr
