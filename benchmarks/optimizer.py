"""What the optimizer costs: Keras' own Adam and the package's in turn, on MoeModel's 22 M weights at video level.

1,152 features, 3,862 classes, 2 mixtures, batch 128, each variable's gradient clipped to norm 1. Milliseconds of a whole training
step and of the update alone (of gradients that one multiplication makes anew), by the clock and of CPU, all cores' together: the
fastest of --repeats each. Keras' Adam passes over every weight a dozen times; goal: the update in half its CPU time.

  PYTHONPATH=$PWD python benchmarks/optimizer.py --json docs/results/optimizer.json
"""

import time

import keras
import numpy as np
import report
import tensorflow as tf

from yt8m import losses, models
from yt8m.training import optimizers

BATCH, CLASSES = 128, 3862
KERAS, OURS = "Keras' Adam", "Adam"
ALONE = "the update alone"
CLOCKS = {"ms": time.perf_counter, "ms of CPU": time.process_time}


def make_optimizer(name):
    if name == OURS:
        return optimizers.make_optimizer("AdamOptimizer", 0.01, clip_norm=1.0)
    return keras.optimizers.Adam(0.01, epsilon=1e-8, clipnorm=1.0)


def model_and_optimizer(name):
    model, optimizer = models.build_model("MoeModel", CLASSES), make_optimizer(name)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def training_step(name, batch):
    """A compiled step of a fresh model."""
    model, optimizer = model_and_optimizer(name)
    loss, variables = losses.CrossEntropyLoss(), [w.value for w in model.trainable_variables]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            predictions = model({"features": batch["features"]}, training=True)
            total = tf.reduce_mean(loss(predictions, batch["labels"])) + tf.add_n(model.losses)
        optimizer.apply(tape.gradient(total, variables), model.trainable_variables)

    return step


def update(name, gradients):
    """A compiled update of a fresh model's weights."""
    model, optimizer = model_and_optimizer(name)
    update = tf.function(lambda scale: optimizer.apply([g * scale for g in gradients], model.trainable_variables))
    return lambda: update(tf.constant(1e-3))


def beside_keras(what, unit, ours, theirs):
    """A row: ours beside Keras'. The goal is about the update's CPU time."""
    goal = {"goal": "at most half", "met": ours <= theirs / 2} if (what, unit) == (ALONE, "ms of CPU") else {}
    return report.row(what, ours, unit, KERAS, theirs, theirs / ours, **goal)


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    repeats = 8 if options.quick else options.repeats
    rng = np.random.default_rng(0)
    batch = {
        "features": tf.constant(rng.normal(size=(BATCH, 1152)), "float32"),
        "labels": tf.constant(rng.random((BATCH, CLASSES)) < 0.001, "float32"),
    }
    model, _ = model_and_optimizer(OURS)
    gradients = [tf.constant(rng.normal(size=w.shape), "float32") for w in model.trainable_variables]
    rows = []
    for what, make, argument in (("a training step", training_step, batch), (ALONE, update, gradients)):
        sides = {name: make(name, argument) for name in (KERAS, OURS)}
        for unit, clock in CLOCKS.items():
            ms = report.fastest_in_turn(sides, repeats, clock)
            rows.append(beside_keras(what, unit, ms[OURS], ms[KERAS]))
    report.show(f"MoeModel, video level, batch {BATCH}, {CLASSES} classes: Adam", rows, options.json)


if __name__ == "__main__":
    main()
