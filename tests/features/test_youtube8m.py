"""VGGish and the backbone `yt8m`, on weights of chance in the published formats."""

import hashlib
import os

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.features.published import (
    frozen_inception,
    matrix_data,
    vggish_weights,
    weight_file,
    write_checkpoint,
    write_starter_pca,
    write_vggish_pca,
)
from yt8m.errors import UserError
from yt8m.features import backbones, vggish
from yt8m.features import weights as weights_module
from yt8m.features.inception import resized
from yt8m.features.log_mel import log_mel
from yt8m.features.networks import sound_beside
from yt8m.segments import quantise

RANDOM = "yt8m:checksums=any"


@pytest.fixture(scope="module")
def weights():
    return vggish_weights()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, weights):
    """A --weights_dir with all files."""
    folder = tmp_path_factory.mktemp("weights")
    write_starter_pca(folder)
    write_vggish_pca(folder)
    (folder / "classify_image_graph_def.pb").write_bytes(frozen_inception())
    write_checkpoint(folder / "vggish_model.ckpt", weights)
    yield folder
    (folder / "vggish_model.ckpt").unlink()


@pytest.fixture(scope="module")
def backbone(folder):
    return backbones.build(RANDOM, str(folder))


def sounds(count=2):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, 15_600)).astype(np.float32)


def embeddings(values, weights):
    """VGGish layer by layer in TensorFlow's own operations: log-mel [n, 96, 64] -> [n, 128]."""
    values = tf.constant(values)[..., None]
    for name in vggish.SHAPES:
        kernel, bias = weights[f"{name}/weights"], weights[f"{name}/biases"]
        if kernel.ndim == 4:
            values = tf.nn.relu(tf.nn.conv2d(values, kernel, 1, "SAME") + bias)
            if name.endswith(("conv1", "conv2", "conv3_2", "conv4_2")):
                values = tf.nn.max_pool2d(values, 2, 2, "SAME")
        else:
            values = tf.reshape(values, [len(values), -1]) @ kernel + bias
            values = values if name == "vggish/fc2" else tf.nn.relu(values)
    return values.numpy()


@pytest.mark.slow
def test_vggish_against_tensorflows_operations(folder, weights):
    network = vggish.load_network(weight_file(folder / "vggish_model.ckpt"))
    assert network.count_params() == 72_141_184
    values = log_mel(sounds())
    expected = embeddings(values, weights)
    computed = network(values).numpy()
    assert (expected < 0).any(), "the last layer has no ReLU"
    np.testing.assert_allclose(computed, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_the_backbone(backbone, folder, weights):
    """Pictures and sounds through networks and PCAs, as their files say."""
    assert backbone.SIZES == {"rgb": 1024, "audio": 128} and not backbone.NEEDS_WHITENING
    pictures = list(np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3), np.uint8))
    prepared = [backbone.prepare(picture) for picture in pictures]
    np.testing.assert_array_equal(prepared[0], resized(pictures[0]))
    video = backbone.video(prepared)
    assert video.shape == (2, 1024) and video.dtype == np.float32 and np.isfinite(video).all() and np.ptp(video, axis=0).any()
    with np.load(folder / "vggish_pca_params.npz") as pca:
        expected = (pca["pca_eigen_vectors"] @ (embeddings(log_mel(sounds()), weights).T - pca["pca_means"])).T
    audio = backbone.audio(sounds())
    assert audio.dtype == np.float32
    np.testing.assert_allclose(audio, expected, atol=1e-3 * np.abs(expected).max())


def test_its_silence_is_the_datasets(backbone):
    silence = backbone.silence()
    assert silence.shape == (128,) and silence.dtype == np.uint8
    assert silence[:4].tolist() == [0xAD, 0x1B, 0x7E, 0x5F] and silence[-1] == 0xBB
    assert hashlib.sha256(silence.tobytes()).hexdigest() == "a3d647b2f5389b1f077d537d2ecea465dfab3354f75dd94354d74db3ddeadf6e"
    silence[:] = 0
    assert backbone.silence()[0] == 0xAD


def test_its_fingerprint_names_its_files(backbone):
    fingerprint = backbone.fingerprint()
    assert fingerprint["name"] == "yt8m" and fingerprint["options"] == {}
    names = [
        "classify_image_graph_def.pb",
        "mean.npy",
        "eigenvals.npy",
        "eigenvecs.npy",
        "vggish_model.ckpt",
        "vggish_pca_params.npz",
    ]
    assert list(fingerprint["files"]) == names
    assert all(len(bytes.fromhex(value)) == 32 for value in fingerprint["files"].values())


def test_files_that_are_not_the_published_are_refused(folder):
    with pytest.raises(
        UserError, match=r"classify_image_graph_def.pb: it is not the published file \([\d,]+ bytes, expected 95,673,916\)"
    ):
        backbones.build("yt8m", str(folder))


@pytest.mark.parametrize("folder", [None, "none", "empty", "wrong"])
def test_a_command_without_the_files_ends_in_a_line(folder, tmp_path):
    """Nothing is decoded, nothing written."""
    pytest.importorskip("av", reason="PyAV is not installed")
    (tmp_path / "clips").mkdir()
    (tmp_path / "empty").mkdir()
    for names in (sets[0] for sets in weights_module.PARTS.values()):
        for name in names:
            (tmp_path / "wrong").mkdir(exist_ok=True)
            (tmp_path / "wrong" / name).write_bytes(b"?")
    given = [f"--weights_dir={tmp_path / folder}"] if folder else []
    line = commands.run(
        "extract_features", "--backbone=yt8m", f"--input_videos={tmp_path / 'clips'}", f"--output_dir={tmp_path / 'out'}", *given
    )
    words = {
        None: "--weights_dir is not given",
        "none": "no such folder",
        "empty": "yt8m weights",
        "wrong": "not the published file",
    }
    assert isinstance(line, str) and words[folder] in line and len(line.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "rest, words",
    [(":quick", "name=value"), (":checksums=none", "the only option is checksums=any"), ("", "--weights_dir is not given")],
)
def test_wrong_options(rest, words):
    with pytest.raises(UserError, match=words):
        backbones.build(f"yt8m{rest}", None)


@pytest.fixture
def twin(tmp_path):
    """A folder with MediaPipe's files for sound; the frozen graph has one layer, its kernel [6144, 128], and a bias of 1."""
    kernel = np.random.default_rng(0).standard_normal((96 * 64, 128)).astype(np.float32) / 80
    with tf.Graph().as_default() as graph:
        values = tf.compat.v1.placeholder(tf.float32, [None, 96, 64], name="vggish/input_features")
        values = tf.matmul(tf.reshape(values, [-1, 96 * 64]), kernel)
        tf.nn.bias_add(values, np.ones(128, np.float32), name="vggish/fc2/BiasAdd")
    (tmp_path / "vggish_new.pb").write_bytes(graph.as_graph_def().SerializeToString())
    matrix, mean = np.random.default_rng(1).standard_normal((128, 128)), np.random.default_rng(2).standard_normal((128, 1))
    (tmp_path / "vggish_projection_matrix_data.pb").write_bytes(matrix_data(matrix))
    (tmp_path / "vggish_mean_matrix_data.pb").write_bytes(matrix_data(mean))
    return tmp_path, lambda samples: (matrix @ ((log_mel(samples).reshape(len(samples), -1) @ kernel + 1).T - mean)).T


def test_mediapipes_frozen_twin(twin):
    folder, expected = twin
    np.testing.assert_allclose(vggish.Vggish(str(folder))(sounds(40)), expected(sounds(40)), atol=1e-3)


def test_vggish_beside_another_network(twin, capsys):
    """Its sound is VGGish's; its silence what that makes of zeros."""
    folder, expected = twin
    audio, silence, name, files = sound_beside(str(folder))
    assert name == "vggish" and list(files) == [file.name for file in vggish.Vggish(str(folder)).files]
    np.testing.assert_allclose(audio(sounds()), expected(sounds()), atol=1e-3)
    np.testing.assert_array_equal(silence, quantise(audio(np.zeros((1, 15_600), np.float32)))[0])
    assert "no checksum is known of vggish_new.pb" in capsys.readouterr().err
    (folder / "vggish_new.pb").write_bytes(b"?")
    with pytest.raises(UserError, match=r"vggish_new.pb: cannot be read"):
        sound_beside(str(folder))


def test_the_sketchs_sound_where_vggish_is_not(tmp_path):
    for folder in (None, str(tmp_path)):
        assert sound_beside(folder)[2:] == ("sketch", {})
    with pytest.raises(UserError, match=r"no such folder"):
        sound_beside(str(tmp_path / "none"))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda weights: weights.pop("vggish/conv2/biases"), "no vggish/conv2/biases in it"),
        (lambda weights: weights.update({"vggish/conv1/weights": np.zeros((3, 3, 3, 64), np.float32)}), "has shape"),
    ],
)
def test_other_checkpoints(tmp_path, change, words):
    values = {f"{name}/{kind}": np.zeros(2, np.float32) for name in vggish.SHAPES for kind in ("weights", "biases")}
    for name in ("vggish/conv1", "vggish/conv2"):
        shape = vggish.SHAPES[name]
        values |= {f"{name}/weights": np.zeros(shape, np.float32), f"{name}/biases": np.zeros(shape[-1], np.float32)}
    change(values)
    write_checkpoint(tmp_path / "vggish_model.ckpt", values)
    with pytest.raises(UserError, match=words) as error:
        vggish.load_network(weight_file(tmp_path / "vggish_model.ckpt"))
    assert str(error.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: b"no checkpoint", lambda data: data[:-500], lambda data: data[:1000]]
)
def test_damaged_checkpoints(tmp_path, damage):
    write_checkpoint(tmp_path / "whole", {"vggish/conv1/weights": np.ones((3, 3, 1, 64), np.float32)})
    path = tmp_path / "vggish_model.ckpt"
    path.write_bytes(damage((tmp_path / "whole").read_bytes()))
    with pytest.raises(UserError, match=r"vggish_model.ckpt: cannot be read") as error:
        vggish.load_network(weight_file(path))
    assert "\n" not in str(error.value)


@pytest.mark.skipif(
    "YT8M_WEIGHTS_DIR" not in os.environ, reason="YT8M_WEIGHTS_DIR is not set: the published weights are not here"
)
def test_the_published_weights():
    """Silence, through the real VGGish and its PCA, is the vector that the datasets hold."""
    backbone = backbones.build("yt8m", os.environ["YT8M_WEIGHTS_DIR"])
    computed = quantise(backbone.audio(np.zeros((1, 15_600), np.float32)))[0]
    assert np.abs(computed.astype(int) - backbone.silence()).max() <= 2
    grey = np.full((240, 320, 3), 128, np.uint8)
    assert backbone.video([backbone.prepare(grey)]).shape == (1, 1024)
