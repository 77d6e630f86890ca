"""The 5-second grid, windows on it, and quantisation, against plain loops and against the layer."""

import numpy as np
import pytest

from yt8m import segments
from yt8m.layers.dequantize import Dequantize
from yt8m.segments import segments_of, window_indices, windows_at, windows_of


def test_windows_by_hand():
    rows, starts, frames, counts = window_indices([7, 5], expansion=1)
    assert rows.tolist() == [0, 0, 1]
    assert starts.tolist() == [0, 5, 0]
    assert counts.tolist() == [6, 3, 5]
    assert frames[0, :6].tolist() == [0, 1, 2, 3, 4, 5]
    assert frames[1, :3].tolist() == [4, 5, 6]
    assert frames[2, :5].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("head", "tail"), [(0, 0), (2, 0), (0, 1), (6, 2), (3, 50)])
def test_skipped_segments(head, tail):
    rows, starts = segments_of([23, 5, 1, 60, 300], head, tail)
    expected = []
    for row, count in enumerate((5, 1, 1, 12, 60)):
        expected += [(row, 5 * segment) for segment in range(head, count - tail)]
    assert list(zip(rows, starts)) == expected


@pytest.mark.parametrize(("expansion", "shift"), [(0, 0), (3, 0), (0, 2), (2, -4)])
def test_windows_against_a_loop(expansion, shift):
    rng = np.random.default_rng(1)
    lengths = np.array([23, 5, 1, 12])
    frames = rng.integers(1, 256, (4, 23, 2), np.uint8)
    rows, starts = segments_of(lengths)
    indices, counts = windows_at(starts, lengths[rows], expansion, shift)
    shown = np.flatnonzero(counts)
    windows = windows_of(frames, rows[shown], indices[shown], counts[shown])
    for window, row, start, count in zip(windows, rows[shown], starts[shown], counts[shown]):
        real = frames[row, max(start + shift - expansion, 0) : min(start + shift + 5 + expansion, lengths[row])]
        assert len(real) == count and window.shape == (5 + 2 * expansion, 2)
        np.testing.assert_array_equal(window[:count], real)
        assert not window[count:].any()


def test_starts_of_one_video_are_those_of_segments_of():
    for length in (1, 4, 5, 6, 300):
        np.testing.assert_array_equal(segments.starts_of(length), segments_of([length])[1])


def test_the_layer_dequantises_alike():
    frames = np.arange(256, dtype=np.uint8).reshape(1, 64, 4)
    np.testing.assert_array_equal(Dequantize()(frames, np.array([64])), segments.dequantise(frames))


def test_constants_are_the_starter_codes():
    assert (segments.SCALE, segments.OFFSET, segments.BYTES_PER_UNIT) == (4 / 255, 4 / 512 - 2, 255 / 4)
    np.testing.assert_array_equal(segments.quantise(np.array([-9.0, -2, 0, 2, 9])), [0, 0, 127, 255, 255])


@pytest.mark.parametrize("quantise", [segments.quantise, segments.nearest_bytes])
def test_quantise_inverts_dequantise(quantise):
    frames = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(quantise(segments.dequantise(frames)), frames)


def test_quantise_truncates():
    """A byte holds its step from the lower end on; what reads it adds half a step."""
    edges = np.arange(256) * 4 / 255 - 2
    np.testing.assert_array_equal(segments.quantise(edges + 1e-9), np.arange(256))
    np.testing.assert_array_equal(segments.quantise(edges[1:] - 1e-9), np.arange(255))
    values = np.random.default_rng(0).uniform(-2, 2, 100_000)
    assert abs((segments.dequantise(segments.quantise(values)) - values).mean()) < 1e-4


@pytest.mark.parametrize("length", [1, 5, 7, 11, 230, 300, 4000])
def test_means_do_not_depend_on_how_they_are_summed(length):
    """In float32 over padded windows or in float64 over each video's own frames: the same bits."""
    frames = np.random.default_rng(length).integers(0, 256, (8, length + 3, 64), np.uint8)
    frames[:, length:] = 0
    means = segments.mean_features(frames, np.full(8, length))
    assert means.dtype == np.float32
    exact = frames[:, :length].mean(axis=1, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(means, exact * np.float32(4 / 255) - np.float32(2 - 4 / 512))
    np.testing.assert_array_equal(means[3], segments.mean_features(frames[3, :length], length))
