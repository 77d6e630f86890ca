"""Dequantize and FrameMask against their formulas."""

import numpy as np
import pytest

from tests import harness
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask


def dequantized(batch, **arguments):
    return np.array(Dequantize(**arguments)(batch["frames"], batch["num_frames"]))


def test_bytes_become_values_and_padding_zero():
    batch = harness.frames_batch()
    x = dequantized(batch)
    expected = batch["frames"].astype("float64") * 4 / 255 - 2 + 4 / 512
    np.testing.assert_allclose(x[0], expected[0], atol=1e-6)
    np.testing.assert_allclose(x[1, :5], expected[1, :5], atol=1e-6)
    assert not x[1, 5:].any()


def test_range():
    x = dequantized({"frames": np.array([[[0, 255]]], "uint8"), "num_frames": np.array([1])}, min_value=0.0, max_value=1.0)
    np.testing.assert_allclose(x, [[[1 / 512, 1 + 1 / 512]]], atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_real_frames_have_norm_one_under_every_policy(policy):
    batch = {"frames": np.full((1, 3, 4000), 255, "uint8"), "num_frames": np.array([2])}
    x = dequantized(batch, normalize=True, dtype=policy)
    assert x.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(x, axis=-1), [[1, 1, 0]], atol=1e-5)


def test_a_frame_of_zeros_stays_zero():
    x = dequantized(
        {"frames": np.zeros((1, 1, 4), "uint8"), "num_frames": np.array([1])}, normalize=True, min_value=0.0, max_value=0.0
    )
    np.testing.assert_array_equal(x, np.zeros((1, 1, 4)))


def test_frame_mask():
    mask = FrameMask()(np.zeros((3, 4, 2), "uint8"), np.array([0, 3, 9]))
    np.testing.assert_array_equal(mask, [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
