"""The backbones `keras:NAME` and `keras_hub:PRESET`."""

import sys
import types
import urllib.error
import warnings

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from yt8m.errors import UserError
from yt8m.features import backbones
from yt8m.features.keras_networks import applications, build, weights_digest
from yt8m.features.networks import pooled, resized


def pictures(count=3):
    return list(np.random.default_rng(0).integers(0, 256, (count, 50, 70, 3), np.uint8))


def video(backbone):
    return backbone.video([backbone.prepare(picture) for picture in pictures()])


@pytest.fixture(scope="module")
def mobile():
    return backbones.build("keras:MobileNet,weights=none,size=32")


def test_a_network_of_keras(mobile):
    assert mobile.SIZES == {"rgb": 1024, "audio": 128} and mobile.NEEDS_WHITENING
    prepared = mobile.prepare(pictures()[0])
    assert prepared.shape == (32, 32, 3) and prepared.dtype == np.uint8
    outputs = video(mobile)
    assert outputs.shape == (3, 1024) and outputs.dtype == np.float32 and np.ptp(outputs, axis=0).max() > 0.001
    np.testing.assert_allclose(mobile.video([prepared]), outputs[:1], rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def network():
    """The same network with the same random weights, built another time."""
    return build("", "MobileNet", "none", 32)[0]


def test_its_preprocessing_is_the_networks(mobile, network):
    """MobileNet's pictures are in -1..1."""
    prepared = np.stack([mobile.prepare(picture) for picture in pictures()])
    expected = network(prepared.astype(np.float32) / 127.5 - 1, training=False).numpy()
    np.testing.assert_allclose(video(mobile), expected, rtol=1e-3, atol=1e-4)


def test_its_fingerprint(mobile, network):
    """Random weights are the same in every process."""
    fingerprint = {"options": {"size": "32", "weights": "none", "sound": "sketch"}, "files": {"random": weights_digest(network)}}
    assert mobile.fingerprint() == {"name": "keras:MobileNet", **fingerprint}


def test_its_sound_is_the_sketchs(mobile):
    sketch = backbones.build("sketch")
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 15_600)).astype(np.float32)
    np.testing.assert_array_equal(mobile.audio(samples), sketch.audio(samples))
    np.testing.assert_array_equal(mobile.silence(), sketch.silence())


def test_weights_from_a_file(mobile, network, tmp_path):
    network.save_weights(tmp_path / "mobile.weights.h5")
    backbone = backbones.build(f"keras:MobileNet,weights={tmp_path}/mobile.weights.h5,size=32")
    np.testing.assert_allclose(video(backbone), video(mobile), rtol=1e-5)
    assert list(backbone.fingerprint()["files"]) == ["mobile.weights.h5"]
    assert backbone.fingerprint()["options"]["weights"] == "file"


@pytest.mark.parametrize(
    "rest, words",
    [
        ("", "unknown network ''"),
        ("MobileNet9", "unknown network 'MobileNet9'. Use one of ConvNeXtBase"),
        ("MobileNet,depth=3", "unknown option 'depth'. Use weights, size"),
        ("MobileNet,quick", "name=value"),
        ("MobileNet,weights=none,size=big", "size=big is no number of pixels"),
        ("InceptionV3,weights=none,size=32", "Leave out size"),
        ("MobileNet,weights=/none.h5", "no file /none.h5"),
    ],
)
def test_wrong_options(rest, words):
    with pytest.raises(UserError, match=words) as error:
        backbones.build(f"keras:{rest}")
    assert "\n" not in str(error.value)


def test_a_file_of_other_weights(tmp_path):
    (tmp_path / "mobile.weights.h5").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"holds no weights of MobileNet"):
        backbones.build(f"keras:MobileNet,weights={tmp_path}/mobile.weights.h5,size=32")


def test_imagenet_weights_without_a_network(tmp_path, monkeypatch, capsys):
    """What would download says so first, and fails in one line."""

    def offline(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", offline)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path), raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(
        UserError, match=r"no ImageNet weights in .*models, and they cannot be downloaded \(URL fetch failure"
    ) as error:
        backbones.build("keras:MobileNet")
    assert "\n" not in str(error.value) and "weights=FILE" in str(error.value)
    assert "Keras downloads them if they are not there" in capsys.readouterr().err


def test_imagenet_weights_that_keras_has_are_not_downloaded(tmp_path, monkeypatch, network, mobile):
    """A file in the old form under the name by which Keras looks for it."""
    (tmp_path / "models").mkdir()
    with h5py.File(tmp_path / "models" / "mobilenet_1_0_224_tf_no_top.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    downloads = []
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", lambda *arguments: downloads.append(arguments))
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path), raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights for another size than 32
        backbone = backbones.build("keras:MobileNet,size=32")
    assert not downloads and backbone.fingerprint()["files"] == {"imagenet": weights_digest(network)}
    np.testing.assert_allclose(video(backbone), video(mobile), rtol=1e-5)


def test_every_network_of_keras_is_known():
    known = applications()
    assert {"MobileNetV3Small", "EfficientNetV2S", "ResNet50V2", "Xception", "VGG16", "InceptionV3"} < set(known)
    for name, module in known.items():
        assert callable(getattr(keras.applications, name)) and callable(module.preprocess_input)


def test_a_picture_in_another_size():
    """Antialiased: a fine chequered pattern becomes grey."""
    chequered = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
    small = resized(np.repeat(chequered[..., None], 3, -1).astype(np.uint8), 8, 16)
    assert small.shape == (8, 16, 3) and small.dtype == np.uint8
    assert np.abs(small.astype(int) - 127).max() <= 30


def test_outputs_with_places_are_averaged(mobile):
    values = np.random.default_rng(0).random((2, 3, 4, 5))
    np.testing.assert_allclose(pooled(values, 2, mobile), values.mean(axis=(1, 2)), rtol=1e-6)
    with pytest.raises(UserError, match=r"float64 \[2\] comes out for 2 pictures"):
        pooled(np.zeros(2), 2, mobile)


# ---------------------------------------------------------------- KerasHub


class Hub:
    """What is used of keras_hub, with a backbone of tokens."""

    class Converter:
        image_size = (16, 24)

        def __call__(self, values):
            return values / 255

    def __init__(self):
        self.models = types.SimpleNamespace(Backbone=types.SimpleNamespace(from_preset=self.backbone))
        self.layers = types.SimpleNamespace(ImageConverter=types.SimpleNamespace(from_preset=lambda preset: self.Converter()))

    def backbone(self, preset):
        if preset != "tiny":
            raise ValueError(f"Unknown preset\n{preset}")
        inputs = keras.Input((16, 24, 3))
        return keras.Model(inputs, keras.layers.Reshape((-1, 12))(inputs))


def test_a_preset_of_keras_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", Hub())
    backbone = backbones.build("keras_hub:tiny")
    prepared = np.stack([backbone.prepare(picture) for picture in pictures()])
    assert prepared.shape == (3, 16, 24, 3) and backbone.SIZES["rgb"] == 12
    np.testing.assert_allclose(video(backbone), (prepared / 255).reshape(3, -1, 12).mean(axis=1), rtol=1e-5)
    with pytest.raises(UserError, match=r"the preset cannot be had \(Unknown preset big\)"):
        backbones.build("keras_hub:big")


def test_without_keras_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(UserError, match=r"pip install keras-hub"):
        backbones.build("keras_hub:tiny")
