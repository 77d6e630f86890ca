"""The spectrogram against the values of VGGish's own code, and against a loop."""

import numpy as np

from yt8m.features.log_mel import PATCH, log_mel, mel_matrix


def sine(seconds=3):
    return np.sin(2 * np.pi * 1000 * np.arange(16_000 * seconds) / 16_000)


def test_the_matrix():
    weights = mel_matrix()
    assert weights.shape == (257, 64)
    np.testing.assert_allclose(weights.sum(), 230.9136, atol=1e-4)
    assert np.count_nonzero(weights) == 461
    assert np.flatnonzero(weights.any(axis=1))[[0, -1]].tolist() == [5, 239]


def test_a_sine():
    values = log_mel(sine())
    assert values.shape == (298, 64) and values.dtype == np.float32
    np.testing.assert_allclose(values[0, :3], [-4.48313, -4.27083, -4.17064], atol=1e-5)
    np.testing.assert_allclose(values[0, -3:], [-4.60069, -4.60099, -4.60116], atol=1e-5)
    assert values[0].argmax() == 19
    np.testing.assert_allclose([values[0].max(), values.mean(), values.std()], [4.81112, -3.42962, 2.12658], atol=1e-5)


def test_silence():
    values = log_mel(np.zeros((2, PATCH), np.float32))
    assert values.shape == (2, 96, 64)
    np.testing.assert_allclose(values, np.log(0.01), atol=1e-6)


def test_every_patch_is_computed_alone():
    patches = np.random.default_rng(1).uniform(-1, 1, (3, PATCH)).astype(np.float32)
    np.testing.assert_array_equal(log_mel(patches)[1], log_mel(patches[1]))
