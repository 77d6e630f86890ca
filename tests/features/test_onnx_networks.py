"""The backbone `onnx:FILE`."""

import sys

import numpy as np
import pytest

from tests.features import onnx_files
from tests.features.onnx_files import FLOAT, INT64, UINT8, colour_means
from yt8m.errors import UserError
from yt8m.features import backbones
from yt8m.features.onnx_networks import PIXELS

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
MATRIX = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)


def pictures(count=3):
    return list(np.random.default_rng(0).integers(0, 256, (count, 50, 70, 3), np.uint8))


def built(folder, data, options="", name="net.onnx"):
    (folder / name).write_bytes(data)
    return backbones.build(f"onnx:{folder / name}{options}")


def video(backbone, count=3):
    return backbone.video([backbone.prepare(picture) for picture in pictures(count)])


def expected(backbone, pixels="imagenet", count=3):
    offset, scale = PIXELS[pixels]
    prepared = np.stack([backbone.prepare(picture) for picture in pictures(count)])
    return ((prepared - np.array(offset)) / np.array(scale)).sum(axis=(1, 2)) @ MATRIX


@pytest.mark.parametrize("shape", [["n", 3, 8, 12], ["n", 8, 12, 3], [1, 3, 8, 12], [2, 8, 12, 3]])
def test_channels_first_or_last_in_any_batch(tmp_path, shape):
    """40 pictures are more than a batch, and no multiple of 2 is left of it with 3."""
    backbone = built(tmp_path, colour_means(shape, MATRIX))
    assert backbone.SIZES == {"rgb": 5, "audio": 128} and backbone.NEEDS_WHITENING
    assert backbone.prepare(pictures()[0]).shape == (8, 12, 3)
    for count in (3, 40):
        np.testing.assert_allclose(video(backbone, count), expected(backbone, count=count), rtol=1e-3, atol=1e-2)


def test_pictures_of_any_size(tmp_path):
    data = colour_means(["n", 3, "height", "width"], MATRIX)
    assert built(tmp_path, data).prepare(pictures()[0]).shape == (224, 224, 3)
    assert built(tmp_path, data, ",size=16").prepare(pictures()[0]).shape == (16, 16, 3)


@pytest.mark.parametrize("pixels", list(PIXELS))
def test_pixels_as_the_network_wants_them(tmp_path, pixels):
    backbone = built(tmp_path, colour_means(["n", 3, 8, 8], MATRIX), f",pixels={pixels}")
    np.testing.assert_allclose(video(backbone), expected(backbone, pixels), rtol=1e-3, atol=1e-2)
    assert backbone.fingerprint()["options"]["pixels"] == pixels


def test_bytes_go_in_as_they_are(tmp_path):
    backbone = built(tmp_path, colour_means(["n", 8, 8, 3], MATRIX, UINT8))
    np.testing.assert_allclose(video(backbone), expected(backbone, "bytes"), rtol=1e-3)


def test_one_of_several_outputs(tmp_path):
    data = colour_means(["n", 3, 8, 8], MATRIX)
    twice = built(tmp_path, data, ",output=twice")
    np.testing.assert_allclose(video(twice), 2 * video(built(tmp_path, data)), rtol=1e-5)


@pytest.mark.parametrize("shape", [["n", 3, 8, 8], ["n", 8, 8, 3]])
def test_the_mean_over_places(tmp_path, shape):
    backbone = built(tmp_path, colour_means(shape, MATRIX, flat=False), ",pixels=bytes")
    prepared = np.stack([backbone.prepare(picture) for picture in pictures()])
    np.testing.assert_allclose(video(backbone), prepared.mean(axis=(1, 2)), rtol=1e-4)


def test_its_fingerprint(tmp_path):
    import hashlib

    data = colour_means(["n", 3, 8, 8], MATRIX)
    assert built(tmp_path, data).fingerprint() == {
        "name": "onnx:net.onnx",
        "options": {"height": "8", "width": "8", "pixels": "imagenet", "output": "values", "sound": "sketch"},
        "files": {"net.onnx": hashlib.sha256(data).hexdigest()},
    }


@pytest.mark.parametrize(
    "data, options, words",
    [
        (b"", "", "it is damaged, or no ONNX file"),
        (b"no network", "", "it is damaged, or no ONNX file"),
        (colour_means(["n", 3, 8, 8], MATRIX)[:-60], "", "it is damaged, or no ONNX file"),
        (
            colour_means(["n", 4, 8, 8], np.ones((8, 5), np.float32)),
            "",
            r"inputs pictures tensor\(float\) \['n', 4, 8, 8\]; expected one",
        ),
        (colour_means(["n", 3, 8, 3], MATRIX), "", "expected one, of pictures"),
        (colour_means(["n", 3, 8, 8], MATRIX, INT64), "", r"tensor\(int64\)"),
        (colour_means(["n", 3, 8, 8], MATRIX, FLOAT), ",pixels=dots", "pixels=dots: use one of imagenet"),
        (colour_means(["n", 3, 8, 8], MATRIX, UINT8), ",pixels=unit", "the input is uint8"),
        (colour_means(["n", 3, 8, 8], MATRIX), ",output=none", "no output 'none'. Use one of values, twice"),
        (colour_means(["n", 3, 8, 8], MATRIX), ",depth=1", "unknown option 'depth'"),
        (colour_means(["n", 3, "h", "w"], MATRIX), ",size=0", "size=0 is no number of pixels"),
        (
            onnx_files.model(
                [onnx_files.node("ReduceSum", ["pictures"], ["sum"])],
                [],
                [onnx_files.value(11, "pictures", FLOAT, ["n", 3, 8, 8])],
                [onnx_files.value(12, "sum", FLOAT, [])],
            ),
            "",
            "output sum has shape",
        ),
    ],
    ids=lambda value: "file" if isinstance(value, bytes) else None,
)
def test_files_and_options_that_do_not_do(tmp_path, data, options, words):
    with pytest.raises(UserError, match=words) as error:
        built(tmp_path, data, options)
    assert "\n" not in str(error.value) and "net.onnx" in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"no file .*none.onnx"):
        backbones.build(f"onnx:{tmp_path}/none.onnx")


def test_without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'yt8m\[onnx\]'"):
        backbones.build("onnx:net.onnx")
