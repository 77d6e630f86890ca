"""The examples of CONTRIBUTING.md, as they stand there: a new model and a new loss, in a process where they are registered."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from tests.cases import ModelCase
from yt8m import losses, models
from yt8m.training import loop
from yt8m.training.objectives import Objective
from yt8m.training.optimizers import make_optimizer

ROOT = pathlib.Path(__file__).parent.parent
BLOCK = re.compile(r"<!-- (\S+\.py(?:: \w+)?) -->\n```python\n(.*?)```", re.DOTALL)
EXAMPLES = dict(BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text()))
MODEL, LOSS = "yt8m/frame_level_models/mean_max.py", "yt8m/losses/focal.py"


def in_a_process(check, folder):
    """Runs a function of this file in a process of its own: what is registered there is not registered here."""
    code = f"import pathlib; from tests import test_contributing; test_contributing.{check}(pathlib.Path({str(folder)!r}))"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def add(example, folder):
    """Imports an example's file."""
    path = folder / pathlib.Path(example).name
    path.write_text(EXAMPLES[example])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def row(table):
    """The example's row of one of the tests' tables."""
    (entry,) = eval(f"[{EXAMPLES[table]}]", {"ModelCase": ModelCase})
    return entry


def train(model, loss):
    """Three steps of the training loop; the losses before each."""
    labels = np.eye(3, harness.CLASSES, dtype=np.float32)
    batch = {**harness.frames_batch(), "labels": labels, "label_weights": np.ones_like(labels)}
    optimizer = make_optimizer("AdamOptimizer", 0.01, 1.0)
    optimizer.build(model.trainable_variables)
    steps = loop.make_train_steps(tf.distribute.get_strategy(), model, optimizer, Objective(loss), 1.0, False, (tf.Variable(0),))
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return [float(steps(batches, tf.constant(1))[0]) for _ in range(3)]


def check_model(folder):
    add(MODEL, folder)
    keras.utils.set_random_seed(1)
    model = row("tests/cases.py: MODELS").build()
    values = train(model, losses.CrossEntropyLoss())
    assert np.isfinite(values).all() and values[2] < values[0]
    model.save(folder / "model.keras")
    batch = harness.frames_batch()
    again = keras.saving.load_model(folder / "model.keras")
    np.testing.assert_array_equal(harness.predict(again, batch), harness.predict(model, batch))
    name, num_classes, options, count = row("tests/models/test_parameter_counts.py: COUNTS")
    published = models.build_model(name, num_classes, **options)
    assert sum(int(np.prod(w.shape)) for w in published.trainable_weights) == count


def check_loss(folder):
    add(LOSS, folder)
    loss = losses.build("FocalLoss", {"gamma": 1.5})
    p, y = np.float32([[0.9, 0.2], [0.4, 0.6]]), np.float32([[1, 0], [1, 1]])
    weights = np.float32([[1, 2], [0, 1]])
    missed = np.where(y > 0, 1 - p, p)
    np.testing.assert_allclose(loss(p, y, weights), (weights * missed**1.5 * -np.log(1 - missed)).sum(axis=1), rtol=1e-4)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    assert keras.saving.get_registered_object(config["registered_name"]) is type(loss)
    assert losses.build("FocalLoss", config["config"]).get_config() == {"gamma": 1.5, "epsilon": 1e-7}
    keras.utils.set_random_seed(1)
    values = train(models.build_model("FrameLevelLogisticModel", harness.CLASSES, harness.SIZES), loss)
    assert np.isfinite(values).all() and values[2] < values[0]


def test_examples_are_short():
    assert all(len(EXAMPLES[example].splitlines()) <= 40 for example in (MODEL, LOSS))


@pytest.mark.slow
def test_the_new_model(tmp_path):
    in_a_process("check_model", tmp_path)


@pytest.mark.slow
def test_the_new_loss(tmp_path):
    in_a_process("check_loss", tmp_path)
