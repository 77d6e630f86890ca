"""The places of frames in the video."""

import keras
import numpy as np
import pytest

from tests import harness
from yt8m.layers.frame_places import FramePlaces
from yt8m.models import build_model


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_values_come_back_bit_for_bit(policy):
    inputs = harness.cut_frames()
    (placed,) = harness.call(FramePlaces(2, 1, dtype=policy), inputs)
    assert placed.dtype == np.float32
    np.testing.assert_array_equal(placed[0, 2:-1], inputs["values"][0])
    assert not placed[0, :2].any() and not placed[0, -1:].any()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_attention_whose_ends_are_cut_off_sums_to_one(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = build_model("AttentionModel", 7, (16, 8), hidden_size=6, skip_head=2, skip_tail=1)
    finally:
        keras.config.set_dtype_policy(before)
    weights = keras.ops.convert_to_numpy(model.attention(harness.frames_batch((12, 9, 5))))
    assert weights.dtype == np.float32 and not weights[:, :2].any()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
