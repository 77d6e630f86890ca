"""Every layer and model under the JAX backend: the same predictions from the same weights."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests import cases, harness

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Every operation is compiled for a few numbers: compiling takes far longer than they do.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="already under jax")
def test_jax_predicts_the_same(tmp_path):
    arrays, expected = {}, {}
    for kind, table in (("layer", cases.LAYERS), ("model", cases.MODELS)):
        for i, case in enumerate(table):
            thing = case.build()
            batch = case.inputs() if kind == "layer" else harness.batch_for(thing)
            if kind == "layer":
                harness.call(thing, batch)
            harness.randomise(thing)
            arrays |= {f"{kind}_{i}_{j}": w for j, w in enumerate(thing.get_weights())}
            outputs = harness.call(thing, batch) if kind == "layer" else [harness.predict(thing, batch)]
            expected |= {f"{kind}_{i}_{j}": (cases.case_id(case), output) for j, output in enumerate(outputs)}
    np.savez(tmp_path / "inputs.npz", **arrays)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": ROOT, "XLA_FLAGS": QUICK}
    subprocess.run([sys.executable, "-m", "tests.models.jax_outputs", str(tmp_path)], env=environment, cwd=ROOT, check=True)
    outputs = np.load(tmp_path / "outputs.npz")
    for key, (name, output) in expected.items():
        np.testing.assert_allclose(outputs[key].astype("float32"), output.astype("float32"), atol=1e-4, err_msg=name)
    assert all(outputs[key] for key in outputs if key.endswith("finite_in_training"))
