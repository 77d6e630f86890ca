"""The wheel, installed elsewhere: the commands work in an empty folder, without the checkout."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.commands import ROOT, TINY
from tests.testing import make_video, write_frame_shards


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder that the wheel is installed in, with nothing of the checkout; its dependencies are this environment's."""
    folder, source = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("source") / "yt8m"
    for name in ("yt8m", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, source / name)
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return folder


@pytest.fixture(scope="module")
def yt8m(installed, tmp_path_factory):
    """Function that runs `yt8m ARGUMENTS` of the installed package in an empty folder and returns what it prints."""
    folder = tmp_path_factory.mktemp("empty")

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(installed), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, str(installed / "bin" / "yt8m"), *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    videos = [make_video(f"v{i:03d}", 12, labels=(i % 7,), ratings=[(5, 1, 1.0), (5, 2, 0.0)]) for i in range(12)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos])


def test_the_package_is_the_installed_one(installed):
    code = "import yt8m; print(yt8m.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", code], cwd=installed, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith(str(installed))


def test_configs_are_in_the_wheel(installed):
    assert {path.name for path in (installed / "yt8m" / "configs").iterdir()} >= {
        path.name for path in (ROOT / "configs").iterdir() if path.suffix == ".flags"
    }


@pytest.mark.slow
def test_the_segment_classes_are_in_the_wheel(installed):
    code = "from yt8m.readers import labels; print(len(labels.default_segment_label_ids(3862)), labels.SEGMENT_LABEL_IDS_FILE)"
    environment = {**os.environ, "PYTHONPATH": str(installed), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], cwd=installed, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["1000", str(installed / "yt8m" / "readers" / "segment_label_ids.csv")]


@pytest.mark.slow
def test_train_evaluate_and_infer_in_an_empty_folder(yt8m, shards, tmp_path):
    run, output = f"--train_dir={tmp_path / 'run'}", tmp_path / "out.csv"
    data = f"--train_data_pattern={shards}"
    assert "Done." in yt8m("train", "--model=FrameLevelLogisticModel", "--max_steps=2", "--batch_size=4", *TINY, data, run)
    assert "gap" in yt8m("eval", f"--eval_data_pattern={shards}", run)
    yt8m("inference", f"--input_data_pattern={shards}", f"--output_file={output}", run)
    assert len(output.read_text().splitlines()) == 13


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["--recipe=attention_logistic", "--flagfile=configs/attention_logistic.flags"])
def test_published_recipes_from_anywhere(yt8m, shards, tmp_path, recipe):
    small = ("--hyperparameters=hidden_size=8", "--max_steps=1", "--batch_size=4", *TINY)
    printed = yt8m("train", recipe, *small, f"--train_data_pattern={shards}", f"--train_dir={tmp_path}")
    assert "AttentionModel" in printed and "Done." in printed
