"""Noise that is drawn two values at a time: Gaussian, independent, and the seed's alone."""

import keras
import numpy as np

from yt8m.layers.gaussian_noise import GaussianNoise

FRAMES = np.zeros((40, 50, 101), "float32")  # an odd size: the last value of each has no other half


def drawn(layer, dtype="float32"):
    return np.asarray(keras.ops.cast(layer(FRAMES.astype(dtype), training=True), "float32"))


def test_the_values_are_gaussian_and_independent():
    values = drawn(GaussianNoise(0.1, seed=3)) / 0.1
    assert abs(values.mean()) < 0.01 and abs(values.std() - 1) < 0.01
    assert abs((values**4).mean() - 3) < 0.1
    for share, bound in ((0.1587, -1.0), (0.9772, 2.0), (0.00135, -3.0)):
        assert abs((values < bound).mean() - share) < 0.002
    halves = values[..., :50], values[..., 51:]  # drawn together
    assert abs((halves[0] * halves[1]).mean()) < 0.01
    assert abs((halves[0] ** 2 * halves[1] ** 2).mean() - 1) < 0.03


def test_a_seed_gives_the_same_values_and_each_step_others():
    one, other = GaussianNoise(0.1, seed=3), GaussianNoise(0.1, seed=3)
    first = drawn(one)
    np.testing.assert_array_equal(first, drawn(other))
    second = drawn(one)
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_array_equal(second, drawn(other))


def test_the_state_of_the_seed_is_all_that_a_resumed_run_needs():
    layer, resumed = GaussianNoise(0.1, seed=3), GaussianNoise(0.1, seed=8)
    drawn(layer)
    resumed.seed_generator.state.assign(layer.seed_generator.state)
    np.testing.assert_array_equal(drawn(layer), drawn(resumed))


def test_inference_has_none():
    np.testing.assert_array_equal(GaussianNoise(0.1)(FRAMES, training=False), FRAMES)
