"""SegmentMean against a loop over segments."""

import keras
import numpy as np
import pytest

from tests import harness
from yt8m.errors import UserError
from yt8m.layers.segment_mean import SegmentMean


def loop(x, num_frames, size=5):
    segments = -(-x.shape[1] // size)
    means, real = np.zeros((len(x), segments, x.shape[2])), np.zeros((len(x), segments), bool)
    for row, n in enumerate(num_frames):
        for segment in range(segments):
            frames = x[row, segment * size : min(segment * size + size, n)]
            if segment * size < n:
                means[row, segment], real[row, segment] = frames.mean(axis=0), True
    return means, real


@pytest.mark.parametrize("length", [1, 5, 7, 300, 301])
def test_means_of_the_real_frames(length):
    num_frames = np.array([length, max(1, length // 2), max(0, length - 1), 0])
    x = np.random.default_rng(0).normal(size=(4, length, 3)).astype("float32")
    means, real = harness.call(SegmentMean(), {"x": x, "num_frames": num_frames})
    expected, expected_real = loop(x, num_frames)
    np.testing.assert_allclose(means, expected, atol=1e-5)
    np.testing.assert_array_equal(real, expected_real)


def test_what_lies_past_the_end_does_not_matter():
    x = harness.random_floats(2, 7, 3)
    num_frames = np.array([6, 2])
    other = x.copy()
    other[0, 6:], other[1, 2:] = np.nan, np.inf
    for one, expected in zip(
        harness.call(SegmentMean(), {"x": other, "num_frames": num_frames}),
        harness.call(SegmentMean(), {"x": x, "num_frames": num_frames}),
    ):
        np.testing.assert_array_equal(one, expected)


def test_more_frames_than_there_are_count_as_all():
    x = harness.random_floats(1, 7, 3)
    means, real = harness.call(SegmentMean(), {"x": x, "num_frames": np.array([9])})
    np.testing.assert_allclose(means, loop(x, [7])[0], atol=1e-6)
    assert real.all()


def test_a_graph_of_unknown_length():
    x, num_frames = keras.Input((None, 3)), keras.Input((), dtype="int32")
    graph = keras.Model([x, num_frames], SegmentMean(4)(x, num_frames))
    for length in (1, 4, 9):
        values = harness.random_floats(2, length, 3)
        means, real = graph.predict([values, np.array([length, 1])], verbose=0)
        expected, expected_real = loop(values, [length, 1], size=4)
        np.testing.assert_allclose(means, expected, atol=1e-5)
        np.testing.assert_array_equal(real, expected_real)


def test_a_segment_has_frames():
    with pytest.raises(UserError, match="segment_size=0"):
        SegmentMean(0)
