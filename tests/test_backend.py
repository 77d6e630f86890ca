"""Which backend Keras takes, and how quietly TensorFlow starts; each in a process of its own."""

import importlib.util
import os
import subprocess
import sys
import time

import pytest

from tests.commands import ROOT

BUILD = "import yt8m; print(yt8m.build_model('LogisticModel', 5).count_params())"


def python(*arguments, **environment):
    """The finished process `python ARGUMENTS`; a None in the environment is taken out of it."""
    environment = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("door", ["train", "eval", "inference", "export_model"])
@pytest.mark.parametrize("backend, words", [("jax", "TensorFlow backend"), ("nothing", "knows no such backend")])
def test_commands_refuse_another_backend_in_one_line(door, backend, words):
    begin = time.monotonic()
    done = python(f"{door}.py", KERAS_BACKEND=backend)
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr and f"KERAS_BACKEND={backend}" in done.stderr and "Unset KERAS_BACKEND" in done.stderr
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - begin < 3  # before TensorFlow is imported


def test_a_backend_of_kerass_own_file_is_refused_with_the_file(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    done = python("train.py", KERAS_BACKEND=None, KERAS_HOME=str(tmp_path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert str(tmp_path / "keras.json") in done.stderr and "Set KERAS_BACKEND=tensorflow" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
@pytest.mark.slow
def test_functions_refuse_another_backend_and_models_do_not():
    code = f"{BUILD}\ntry: yt8m.train()\nexcept yt8m.UserError as error: print(error)"
    done = python("-c", code, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    assert done.returncode == 0, done.stderr
    params, line = done.stdout.splitlines()
    assert int(params) > 0 and "training needs Keras's TensorFlow backend" in line


@pytest.mark.slow
@pytest.mark.parametrize("level", [None, "2", "3"])
def test_tensorflow_starts_without_notes(level):
    done = python("-c", BUILD, TF_CPP_MIN_LOG_LEVEL=level)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.slow
def test_notes_that_were_asked_for_are_shown():
    assert python("-c", BUILD, TF_CPP_MIN_LOG_LEVEL="0").stderr


def test_a_tensorflow_that_cannot_be_imported_shows_what_it_wrote(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'no such library'); raise ImportError('broken')")
    done = python("-c", BUILD, PYTHONPATH=str(tmp_path), TF_CPP_MIN_LOG_LEVEL=None)
    assert done.returncode != 0
    assert "no such library" in done.stderr and "broken" in done.stderr
