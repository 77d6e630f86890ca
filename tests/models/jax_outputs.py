"""Every layer and model under the Keras backend of the environment, on the weights of another: a script for test_jax.py."""

import os
import sys

import jax
import numpy as np

from tests import cases, harness


def main(folder):
    """Every case's outputs with the weights and inputs in `folder`, into outputs.npz there."""
    given = np.load(os.path.join(folder, "inputs.npz"))
    outputs = {}
    for kind, table in (("layer", cases.LAYERS), ("model", cases.MODELS)):
        for i, case in enumerate(table):
            thing = case.build()
            run = harness.call if kind == "layer" else harness.predict
            batch = case.inputs() if kind == "layer" else harness.batch_for(thing)
            if kind == "layer":
                run(thing, batch)
            thing.set_weights([given[f"{kind}_{i}_{j}"] for j in range(len(thing.weights))])
            for j, output in enumerate(run(thing, batch) if kind == "layer" else [run(thing, batch)]):
                outputs[f"{kind}_{i}_{j}"] = output
            if kind == "layer" and thing._call_has_training_arg:
                trained = run(thing, batch, training=True)
                outputs[f"{kind}_{i}_finite_in_training"] = np.array(all(np.isfinite(output).all() for output in trained))
            if i % 12 == 11:
                jax.clear_caches()  # they would take gigabytes; after every case, compiling anew would take minutes
    np.savez(os.path.join(folder, "outputs.npz"), **outputs)


if __name__ == "__main__":
    main(sys.argv[1])
