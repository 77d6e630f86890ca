"""Models as Keras saves them, and models of the hub: a stub of huggingface_hub, no network."""

import json
import sys
import types
import zipfile

import keras
import numpy as np
import pytest

import yt8m
from tests import commands, harness
from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import write_run
from yt8m import models
from yt8m.errors import UserError
from yt8m.training import checkpoints, restore


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The run as model.keras, unpacked as well, as a hub's repository has it."""
    folder = tmp_path_factory.mktemp("exported") / "shared"
    assert commands.run("export_model", f"--train_dir={run}", "--formats=keras", f"--output_dir={folder}") is None
    with zipfile.ZipFile(folder / "model.keras") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def repositories(monkeypatch, run, exported):
    """A hub with the run and the export."""
    asked = []

    def snapshot_download(repo_id, **options):
        asked.append((repo_id, options))
        if repo_id not in ("me/run", "me/exported"):
            raise OSError(f"401 Client Error\n\nRepository Not Found: {repo_id}")
        return str(run if repo_id == "me/run" else exported)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=snapshot_download))
    return asked


def frames():
    return np.random.default_rng(0).integers(0, 256, (13, 24), np.uint8)


def test_the_keras_file_is_the_model(run, exported):
    expected, batch = yt8m.load(run), harness.frames_batch(size=24)
    for path in (exported / "model.keras", exported):
        model = keras.saving.load_model(path)
        np.testing.assert_array_equal(harness.predict(model, batch), harness.predict(expected.model, batch))
    report = json.loads((exported / "export.json").read_text())
    assert report["formats"][1]["files"] == ["model.keras", "model_flags.json"]


@pytest.mark.parametrize("without", [(), ("model.keras",)])
def test_what_was_exported_is_as_good_as_the_run(run, exported, without, monkeypatch):
    from yt8m.training import keras_files

    monkeypatch.setattr(keras_files, "NAMES", [name for name in keras_files.NAMES if name not in without])
    expected, loaded = yt8m.load(run), yt8m.load(exported)
    np.testing.assert_array_equal(loaded.predict(frames()), expected.predict(frames()))
    assert loaded.step == expected.step and loaded.vocabulary == expected.vocabulary


def test_hub_paths_are_folders(run, repositories):
    for name in ("run", "exported"):
        np.testing.assert_array_equal(yt8m.load(f"hf://me/{name}").predict(frames()), yt8m.load(run).predict(frames()))
    assert [repo for repo, _ in repositories] == ["me/run", "me/exported"]
    assert repositories[0][1]["library_name"] == "keras"
    with pytest.raises(
        UserError, match=r"--train_dir=hf://me/other: cannot be downloaded \(401 Client Error Repository Not Found"
    ):
        yt8m.load("hf://me/other")


@pytest.mark.slow
def test_training_starts_from_the_hub(run, repositories, tmp_path):
    videos = [make_video(f"v{i}", 9, labels=[i % 7], ratings=[(0, i % 7, 1.0)]) for i in range(4)]
    flags = ("--stage=finetune", "--init_checkpoint=hf://me/exported", "--max_steps=1", "--batch_size=4")
    named = (f"--train_data_pattern={write_frame_shards(tmp_path, [videos])}", f"--train_dir={tmp_path / 'new'}")
    assert commands.run("train", *flags, "--base_learning_rate=1e-30", *named) is None
    for ours, theirs in zip(
        restore.newest(str(tmp_path / "new")).model.weights, restore.newest(str(run)).model.weights, strict=True
    ):
        if "moving" not in ours.path:
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
    line = commands.run("train", *flags, "--keep_optimizer", *named[:1], f"--train_dir={tmp_path / 'other'}")
    assert "has weights alone" in line
    line = commands.run("inference", "--train_dir=hf://me/exported", f"--output_model_tgz={tmp_path / 'a.tgz'}", *named[:0],
                        f"--input_data_pattern={tmp_path}/*.tfrecord", f"--output_file={tmp_path / 'out.csv'}")  # fmt: skip
    assert "is no checkpoint" in line


def test_no_training_writes_to_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = commands.run("train", "--train_dir=hf://me/run", "--train_data_pattern=*.tfrecord")
    assert "--init_checkpoint=hf://me/run" in line and not list(tmp_path.iterdir())


def test_without_huggingface_hub_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: yt8m.load("hf://me/run"), lambda: checkpoints.find("hf://me/run")):
        with pytest.raises(UserError, match=r"hf://me/run: huggingface_hub is not installed\. pip install huggingface_hub"):
            call()


def test_weights_of_another_model_and_damaged_ones(exported, tmp_path):
    other = models.build_model("LogisticModel", 7, (16, 8))
    with pytest.raises(UserError, match="no weights of this LogisticModel"):
        checkpoints.load_weights(other, str(exported / "model.keras"))
    (tmp_path / "model.keras").write_bytes(b"PK")
    with pytest.raises(UserError, match="no weights of this"):
        checkpoints.load_weights(other, str(tmp_path / "model.keras"))
