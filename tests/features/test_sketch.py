"""The backbone without weights: golden values of synthetic pictures and sounds, and what it promises."""

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.features import backbones
from yt8m.features.log_mel import PATCH
from yt8m.features.sketch import small_picture
from yt8m.segments import quantise


@pytest.fixture(scope="module")
def sketch():
    return backbones.build("sketch")


def gradient(height=240, width=320):
    row, column = np.mgrid[:height, :width]
    return np.stack([row % 256, column % 256, (row + column) % 256], axis=-1).astype(np.uint8)


def test_golden_picture(sketch):
    values = sketch.video([sketch.prepare(gradient())])
    assert values.shape == (1, 1024) and values.dtype == np.float32
    np.testing.assert_allclose(values[0, :4], [2.00572, 0.34491, 1.90010, 1.56826], atol=1e-5)
    assert int(quantise(values).sum()) == 127_270


def test_golden_sound(sketch):
    sine = np.sin(2 * np.pi * 1000 * np.arange(PATCH) / 16_000)[None].astype(np.float32)
    values = sketch.audio(sine)
    assert values.shape == (1, 128) and values.dtype == np.float32
    np.testing.assert_allclose(values[0, :4], [-0.32450, -1.11892, -1.76648, 0.81908], atol=2e-5)
    assert int(quantise(values).sum()) == 15_581


def test_a_picture_of_noise_has_the_norm_that_it_should(sketch):
    noise = np.random.default_rng(0).integers(0, 256, (100, 90, 3), np.uint8)
    np.testing.assert_allclose(np.linalg.norm(sketch.video([sketch.prepare(noise)])), 32, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (130, 65), (7, 500)])
def test_blocks_against_a_loop(size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    edges = [[number * length // 64 for number in range(65)] for length in size]
    for i in range(0, 64, 9):
        for j in range(0, 64, 7):
            (top, bottom), (left, right) = (edges[axis][k : k + 2] for axis, k in ((0, i), (1, j)))
            block = image[top : max(bottom, top + 1), left : max(right, left + 1)]
            np.testing.assert_allclose(small_picture(image)[i, j], block.mean(axis=(0, 1)), rtol=1e-6)


def test_a_picture_of_a_single_colour_is_finite(sketch):
    assert np.isfinite(sketch.video([sketch.prepare(np.full((5, 5, 3), value, np.uint8)) for value in (0, 128, 255)])).all()


def test_silence_is_the_embedding_of_zeros(sketch):
    np.testing.assert_array_equal(sketch.silence(), quantise(sketch.audio(np.zeros((1, PATCH), np.float32)))[0])


def test_unknown_backbones_and_options():
    with pytest.raises(UserError, match=r"--backbone=resnet: unknown.*sketch"):
        backbones.build("resnet")
    with pytest.raises(UserError, match="takes no options"):
        backbones.build("sketch:size=3")


def test_options_of_a_backbone():
    assert backbones.split_options("Name,weights=none,size=3") == ("Name", {"weights": "none", "size": "3"})
    with pytest.raises(UserError, match="'none' is not name=value"):
        backbones.split_options("Name,none")
