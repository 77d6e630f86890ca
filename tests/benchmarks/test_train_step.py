"""The arithmetic of benchmarks/train_step.py: operations of a step's products, and the share of the matrix rate."""

import importlib
import pathlib

import keras
import numpy as np
import pytest

from yt8m import models

BENCHMARKS = pathlib.Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def train_step(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("train_step")
    monkeypatch.setattr(module, "BATCH", 4)
    monkeypatch.setattr(module, "FRAMES", 6)
    monkeypatch.setattr(module, "CLASSES", 5)
    return module


def test_every_model_has_a_row(train_step):
    of_package = {name for name in models.model_names() if models.model_class(name).__module__.startswith("yt8m.")}
    assert set(train_step.SETTINGS) == of_package
    assert {model for model, *_ in train_step.OTHERS.values()} <= of_package


def test_a_second_row_of_a_model_has_its_own_batch_and_classes(train_step, monkeypatch):
    monkeypatch.setitem(train_step.OTHERS, "LogisticModel, more", ("LogisticModel", 6, 9))
    for label, videos, classes in (("LogisticModel", 4, 5), ("LogisticModel, more", 6, 9)):
        model, batch = train_step.model_and_batch(label)
        assert batch["features"].shape == (videos, 1152) and batch["label_weights"].shape == (videos, classes)
        assert model({"features": batch["features"]}).shape == (videos, classes)


@pytest.mark.parametrize(
    "name, arguments, products",
    [
        ("LogisticModel", {}, 2 * 1152 * 5),  # forwards, and the kernel's gradient: the features need none
        ("MoeModel", {"num_mixtures": 2}, 2 * 1152 * 5 * (3 + 2)),
        ("MlpModel", {"hidden_size": 8}, 2 * 1152 * 8 + 3 * 8 * 5),  # the hidden layer needs one
        ("NetVladModel", {"cluster_size": 2, "hidden_size": 3, "hidden_blocks": 1, "gating": False,
                          "video_level_classifier_model": "LogisticModel"},
         6 * 2 * 1152 * (3 + 3) + 3 * 2 * 1152 * 3 + 3 * 3 * 5),  # assignment and sums over 6 frames, hidden, head
    ],
)  # fmt: skip
def test_operations_are_those_of_the_products_forwards_and_backwards(train_step, name, arguments, products):
    keras.utils.set_random_seed(0)
    model = models.build_model(name, 5, **arguments)
    batch = train_step.make_batch(models.model_class(name))
    assert train_step.operations(model, {k: np.asarray(v) for k, v in batch.items()}) == 2 * 4 * products


def test_our_recurrent_layers_beside_keras(train_step):
    ours = {"cpu_ms": 1000, "cpu_rate": 200, "gb": 1.5, "operations": 130}
    theirs = {"cpu_ms": 2000, "cpu_rate": 260, "gb": 2.0}
    row = train_step.beside_keras("GruModel", "float32", ours, theirs)
    assert row["ratio"] == 2 and row["share"] == 0.65 and row["keras_share"] == 0.25 and row["keras_gb"] == 2.0


def test_share_and_gain_come_from_cpu_time(train_step):
    full = {"ms": 900, "cpu_ms": 1000, "cpu_rate": 200, "gb": 1.5, "operations": 130}
    half = {"ms": 700, "cpu_ms": 800, "cpu_rate": 400, "gb": 2.5}
    figures = {"float32": full, "mixed_bfloat16": half}
    step, cpu, share, memory = train_step.rows_of("NeXtVladModel", "float32", figures, 0.5)
    assert (step["value"], cpu["value"], share["value"], share["met"]) == (900, 1000, 65, True)
    assert memory["ratio"] == 3 and memory["met"] and cpu["share"] == 0.65
    step, cpu, share, memory = train_step.rows_of("NeXtVladModel", "mixed_bfloat16", figures, 0.5)
    assert cpu["ratio"] == 1.25 and share["value"] == pytest.approx(100 * 130 / 0.8 / 400) and not share["met"]
    assert not memory["met"] and cpu["operations"] == 130
