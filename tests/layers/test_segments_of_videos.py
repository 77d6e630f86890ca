"""Videos as their segments, and the mean over these (paper 004, eq. 15)."""

import numpy as np
import pytest

from tests import harness
from yt8m.layers.segments_of_videos import AttentionOfSegments, MeanOfSegments, SegmentSplit

FRAMES = np.arange(3 * 12 * 2, dtype="uint8").reshape(3, 12, 2)
NUM_FRAMES = np.array([12, 5, 1], "int32")
VIDEOS = {"frames": FRAMES, "num_frames": NUM_FRAMES}
ROWS = [(0, 0, 5), (0, 5, 5), (0, 10, 2), (1, 0, 5), (2, 0, 1)]  # video, start, real frames of the segments that there are


def test_a_training_step_gets_the_segments_that_there_are():
    frames, counts = harness.call(SegmentSplit(), VIDEOS, training=True)
    assert frames.dtype == np.uint8 and frames.shape == (5, 5, 2)
    assert counts.tolist() == [count for *_, count in ROWS]
    for row, (video, start, count) in zip(frames, ROWS):
        np.testing.assert_array_equal(row[:count], FRAMES[video, start : start + count])


def test_inference_gets_as_many_of_each_video():
    frames, counts = harness.call(SegmentSplit(), VIDEOS)
    assert frames.shape == (9, 5, 2)
    assert counts.reshape(3, 3).tolist() == [[5, 5, 2], [5, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("training", (True, False))
def test_mean_is_over_the_segments_that_a_video_has(training):
    _, counts = harness.call(SegmentSplit(), VIDEOS, training=training)
    x = np.where(counts[:, None] > 0, harness.random_floats(len(counts), 4), np.float32(np.nan))
    (mean,) = harness.call(MeanOfSegments(), {"x": x, **VIDEOS}, training=training)
    real = x[counts > 0]
    np.testing.assert_allclose(mean, [real[:3].mean(axis=0), real[3], real[4]], rtol=1e-6)


def test_a_segment_is_its_own_mean_bit_for_bit():
    segments = {"frames": FRAMES[:, :5], "num_frames": np.array([5, 3, 0], "int32")}
    for training in (True, False):
        frames, counts = harness.call(SegmentSplit(), segments, training=training)
        np.testing.assert_array_equal(frames, FRAMES[:, :5])
        assert counts.tolist() == [5, 3, 0]
        x = harness.random_floats(3, 4)
        np.testing.assert_array_equal(harness.call(MeanOfSegments(), {"x": x, **segments}, training=training)[0], x)


def test_a_video_without_a_frame_gives_zeros():
    videos = {"frames": FRAMES, "num_frames": np.array([12, 0, 1], "int32")}
    (mean,) = harness.call(MeanOfSegments(), {"x": harness.random_floats(9, 4), **videos})
    assert not mean[1].any() and mean[0].all()


def test_half_precision_is_summed_in_float32():
    videos = {"frames": np.zeros((1, 3000, 1), "uint8"), "num_frames": np.array([3000], "int32")}
    (mean,) = harness.call(MeanOfSegments(dtype="bfloat16"), {"x": np.full((600, 2), 0.3, "float32"), **videos})
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, 0.3, rtol=1e-5)


def test_attention_sums_to_one_over_the_video():
    weights = np.abs(harness.random_floats(9, 5, 2, 3))
    weights[np.arange(5)[None] >= np.clip(NUM_FRAMES[:, None] - [0, 5, 10], 0, 5).reshape(-1)[:, None]] = 0
    sums = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, sums, where=sums > 0, out=np.full_like(weights, np.nan))
    (attention,) = harness.call(AttentionOfSegments(), {"x": weights, **VIDEOS})
    assert attention.shape == (3, 12, 2, 3)
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(attention[0, 5:10], weights[1] / 3, rtol=1e-6)
