"""Records what tensorflow-addons computes, for the tests to compare with: sparsemax.npz and optimizers.npz.

Its own environment: Python 3.10 or 3.11 with `tensorflow-cpu==2.15.1 tensorflow-addons==0.23.0 "numpy<2"`.
Run `python tests/golden/record_addons.py`; the files are written beside it.

sparsemax.npz: for each case i, `logits_i`, `axis_i`, `cotangent_i` -> `weights_i` and `gradient_i`, the gradient of
    sum(cotangent * weights) with respect to the logits.
optimizers.npz: `start_K` and `gradients_K` [steps, ...] of two variables K = a, b, and the variables after each step:
    `adamw_a` (AdamW, decoupled decay), `sgdw_a`, `multi_a`, `multi_b` (MultiOptimizer: Adam, a rate of its own for each);
    `cyclical_rates`: a triangular cycle at steps 0, 1, 2, ...; `settings`: JSON of every number used.
"""

import json
import os

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = {
    "steps": 12,
    "adamw": {"learning_rate": 0.01, "weight_decay": 0.002, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "sgdw": {"learning_rate": 0.05, "weight_decay": 0.002, "momentum": 0.9},
    "multi": {"learning_rate_a": 0.01, "learning_rate_b": 0.005, "epsilon": 1e-7},
    "cyclical": {"initial_learning_rate": 1e-4, "maximal_learning_rate": 3e-3, "step_size": 8, "count": 40},
}


def record_sparsemax():
    rng = np.random.default_rng(0)
    cases = [
        (np.array([[1.0, 0.9, 0.0]]), -1),
        (np.array([[0.0, 0.0, 0.0, 0.0], [5.0, 5.0, -1.0, 0.0], [3.0, 2.0, 1.0, 0.0]]), -1),
        (rng.normal(size=(5, 1)), -1),
        (rng.normal(size=(4, 7)), -1),
        (rng.normal(size=(4, 7)) * 1e-3, -1),
        (rng.normal(size=(4, 7)) * 50, -1),
        (rng.normal(size=(3, 300)), -1),
        (rng.normal(size=(2, 30, 8)), 1),
        (rng.normal(size=(2, 30, 8)), 0),
        (np.cumsum(0.5 ** np.arange(40))[None, ::-1] * 0.9, -1),  # slowly shrinking gaps: many Newton steps
    ]
    arrays = {}
    for i, (logits, axis) in enumerate(cases):
        logits = tf.constant(logits.astype(np.float32))
        cotangent = tf.constant(rng.normal(size=logits.shape).astype(np.float32))
        with tf.GradientTape() as tape:
            tape.watch(logits)
            weights = tfa.activations.sparsemax(logits, axis=axis)
            total = tf.reduce_sum(weights * cotangent)
        gradient = tape.gradient(total, logits)
        arrays |= {f"logits_{i}": logits, f"axis_{i}": axis, f"cotangent_{i}": cotangent}
        arrays |= {f"weights_{i}": weights, f"gradient_{i}": gradient}
    np.savez_compressed(os.path.join(HERE, "sparsemax.npz"), **{k: np.array(v) for k, v in arrays.items()})


def trajectory(optimizer, variables, gradients):
    """The variables after each step: a list of [steps, ...]."""
    steps = []
    for step in range(len(gradients[0])):
        optimizer.apply_gradients([(tf.constant(g[step]), v) for g, v in zip(gradients, variables)])
        steps.append([v.numpy().copy() for v in variables])
    return [np.stack(one) for one in zip(*steps)]


def multi_trajectory(start, gradients):
    """MultiOptimizer works on layers: two dense layers whose kernels are the variables.

    It finds a layer's variables by their names, so the layers are built by calling them: build() would name both kernels
    "kernel:0", and each optimizer would then move both.
    """
    layers = [tf.keras.layers.Dense(start[k].shape[1], use_bias=False, name=k) for k in ("a", "b")]
    for layer, k in zip(layers, ("a", "b")):
        layer(tf.zeros((1, start[k].shape[0])))
        layer.kernel.assign(start[k])
    settings = SETTINGS["multi"]
    pairs = [
        (tf.keras.optimizers.legacy.Adam(settings["learning_rate_a"], epsilon=settings["epsilon"]), layers[0]),
        (tf.keras.optimizers.legacy.Adam(settings["learning_rate_b"], epsilon=settings["epsilon"]), layers[1]),
    ]
    optimizer = tfa.optimizers.MultiOptimizer(pairs)
    return trajectory(optimizer, [layer.kernel for layer in layers], [gradients["a"], gradients["b"]])


def record_optimizers():
    rng = np.random.default_rng(1)
    start = {k: rng.normal(size=shape).astype(np.float32) for k, shape in (("a", (3, 2)), ("b", (2, 4)))}
    gradients = {k: rng.normal(size=(SETTINGS["steps"], *v.shape)).astype(np.float32) for k, v in start.items()}
    arrays = {"settings": np.array(json.dumps(SETTINGS))}
    arrays |= {f"start_{k}": v for k, v in start.items()} | {f"gradients_{k}": v for k, v in gradients.items()}
    arrays["adamw_a"] = trajectory(tfa.optimizers.AdamW(**SETTINGS["adamw"]), [tf.Variable(start["a"])], [gradients["a"]])[0]
    arrays["sgdw_a"] = trajectory(tfa.optimizers.SGDW(**SETTINGS["sgdw"]), [tf.Variable(start["a"])], [gradients["a"]])[0]
    arrays["multi_a"], arrays["multi_b"] = multi_trajectory(start, gradients)
    cyclical = dict(SETTINGS["cyclical"])
    count = cyclical.pop("count")
    schedule = tfa.optimizers.TriangularCyclicalLearningRate(**cyclical)
    arrays["cyclical_rates"] = np.array([float(schedule(tf.constant(step, tf.float32))) for step in range(count)])
    np.savez_compressed(os.path.join(HERE, "optimizers.npz"), **arrays)


if __name__ == "__main__":
    record_sparsemax()
    record_optimizers()
