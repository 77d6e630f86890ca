"""`import yt8m` is enough to load what Keras saved."""

import inspect
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from tests import harness
from yt8m import layers, losses, models, saving  # noqa: F401
from yt8m.layers.gating import ContextGating
from yt8m.training import optimizers, schedules  # noqa: F401

LOADING = """
import sys
import yt8m
import importlib.util
finders = len(sys.meta_path)
assert importlib.util.find_spec("keras") and len(sys.meta_path) == finders  # somebody looks whether it is there
import keras
assert not any(type(finder).__name__ == "_KerasFinder" for finder in sys.meta_path)
assert not any(name.startswith("yt8m.") and name != "yt8m.saving" for name in sys.modules)
import numpy as np
model = keras.saving.load_model(sys.argv[1] + "/" + "model.keras")
frames = np.load(sys.argv[1] + "/frames.npy")
outputs = model({"frames": frames, "num_frames": np.array([12, 5, 1], "int32")})
np.save(sys.argv[1] + "/outputs.npy", np.asarray(outputs))
composed = keras.saving.load_model(sys.argv[1] + "/composed.keras")
assert type(composed.layers[-1]).__name__ == "ContextGating" and type(composed.optimizer).__module__ == "yt8m.training.optimizers"
assert keras.saving.get_registered_object("yt8m>AttentionModel") is type(model)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of ours, and one of Keras's layers and ours with an optimizer of ours, saved; a batch, and what the first says."""
    path, batch = tmp_path_factory.mktemp("saved"), harness.frames_batch()
    model = models.build_model("AttentionModel", 7, (16, 8), hidden_size=6, reduced_sizes=(6, 4), attention_sizes=(4, 3))
    harness.randomise(model)
    model.save(path / "model.keras")
    composed = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), ContextGating()])
    composed.compile(optimizers.AdamW(0.1), "mse")
    composed.save(path / "composed.keras")
    np.save(path / "frames.npy", batch["frames"])
    np.save(path / "expected.npy", harness.predict(model, batch))
    return path


@pytest.mark.slow
def test_a_fresh_process_loads_it(folder):
    done = subprocess.run([sys.executable, "-c", LOADING, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_array_equal(np.load(folder / "outputs.npy"), np.load(folder / "expected.npy"))


def test_every_class_that_keras_can_save_is_listed():
    registered = {
        (cls.__module__.removeprefix("yt8m."), cls.__name__)
        for name, cls in keras.saving.get_custom_objects().items()
        if name.startswith("yt8m>") and cls.__module__.startswith("yt8m.") and hasattr(cls, "from_config")
    }
    listed = {(module, name) for module, names in saving.CLASSES.items() for name in names}
    assert registered == listed
    for module, name in listed:
        assert inspect.isclass(getattr(sys.modules[f"yt8m.{module}"], name))


def test_keras_may_be_imported_first(monkeypatch):
    known = {"yt8m>Adam": "registered already"}
    keras_there = types.SimpleNamespace(saving=types.SimpleNamespace(get_custom_objects=lambda: known))
    monkeypatch.setitem(sys.modules, "keras", keras_there)
    finders = list(sys.meta_path)
    saving.register()
    assert known["yt8m>Adam"] == "registered already" and sys.meta_path == finders
    gating = known["yt8m>ContextGating"].from_config({"name": "gate", "use_batch_norm": False})
    assert type(gating) is ContextGating and gating.name == "gate"
    del keras_there.saving  # Keras is being imported
    saving.register()
