"""What a training step costs: every model, at its paper's sizes, batch 32 of 150 frames, 1,000 classes.

Each model runs in a process of its own: milliseconds a step (the fastest of the steps after the first), parameters, and the
process's peak memory beside that of one that only imports TensorFlow and the package. Goal: NeXtVLAD (paper 002) and NetVLAD
with 64 clusters under 2 GB. JointContextModel is measured with 64 clusters a side; at the paper's 256 it has 0.9 G weights.
"""

import resource
import time

import report

BATCH, FRAMES, CLASSES = 32, 150, 1000
SETTINGS = {
    "FrameLevelLogisticModel": {},
    "AttentionModel": {},
    "MultiAttentionModel": {},
    "CnnModel": {},
    "CnnLstmModel": {},
    "DbofModel": {},
    "GatedDbofModel": {},
    "LstmModel": {},
    "GruModel": {},
    "NetVladModel": {"cluster_size": 64},
    "NeXtVladModel": {},
    "BiGruModel": {},
    "TransformerModel": {},
    "ContextAwareModel": {},
    "JointContextModel": {"context_options": {"cluster_size": 64}, "segment_options": {"cluster_size": 64}},
    "LogisticModel": {},
    "MoeModel": {},
    "MlpModel": {},
    "SharedGateMoeModel": {},
}
UNDER_2_GB = ("NetVladModel", "NeXtVladModel")


def measure(name, steps):
    """Trains a model for some steps; returns its figures."""
    import numpy as np
    import tensorflow as tf

    from yt8m import losses, models
    from yt8m.training import loop
    from yt8m.training.objectives import Objective
    from yt8m.training.optimizers import make_optimizer

    figures = {}
    if name:
        rng = np.random.default_rng(0)
        frames = rng.integers(0, 256, (BATCH, FRAMES, 1152), np.uint8)
        batch = {
            "frames": frames,
            "num_frames": np.full(BATCH, FRAMES, np.int32),
            "features": rng.normal(size=(BATCH, 1152)).astype(np.float32),
            "labels": (rng.random((BATCH, CLASSES)) < 0.003).astype(np.float32),
            "label_weights": np.ones((BATCH, CLASSES), np.float32),
        }
        if models.model_class(name).HAS_ENCODERS:  # a rated segment of each video
            rows = {"segment_rows": np.arange(BATCH, dtype=np.int32), "start_times": np.zeros(BATCH, np.int32)}
            batch |= rows | {"context_frames": frames, "context_num_frames": np.full(BATCH, FRAMES, np.int32)}
            batch |= {"frames": frames[:, :11], "num_frames": np.full(BATCH, 11, np.int32)}
        model = models.build_model(name, CLASSES, **SETTINGS[name])
        optimizer = make_optimizer("AdamOptimizer", 1e-4, 1.0)
        optimizer.build(model.trainable_variables)
        step = loop.make_train_steps(
            tf.distribute.get_strategy(), model, optimizer, Objective(losses.CrossEntropyLoss()), 1.0, False, (tf.Variable(0),)
        )
        batches, seconds = iter(tf.data.Dataset.from_tensors(batch).repeat()), []
        for _ in range(steps + 1):
            start = time.monotonic()
            step(batches, tf.constant(1))
            seconds.append(time.monotonic() - start)
        trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
        figures = {"ms": min(seconds[1:]) * 1000, "parameters": model.count_params(), "trainable": trainable}
    return {**figures, "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--models", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    options = parser.parse_args()
    imported = report.in_a_process("train_step", "measure", None, 0)["gb"]
    rows = [report.row("importing TensorFlow and the package", imported, "GB")]
    for name in options.models:
        figures = report.in_a_process("train_step", "measure", name, 2 if options.quick else 4)
        size = f"{figures['parameters'] / 1e6:.1f} M parameters, {figures['trainable'] / 1e6:.1f} M trained"
        rows.append(report.row(f"{name}: {size}", figures["ms"], "ms/step"))
        goal, met = ("under 2 GB", figures["gb"] < 2) if name in UNDER_2_GB else ("", None)
        memory = report.row(
            f"{name}: peak memory", figures["gb"], "GB", "imports alone", imported, figures["gb"] / imported, goal, met
        )
        rows.append(memory)
        print(f"{name}: {size}, {figures['ms']:.0f} ms a step, {figures['gb']:.2f} GB", flush=True)
    report.show(f"A training step, batch {BATCH} of {FRAMES} frames, {CLASSES} classes", rows, options.json)


if __name__ == "__main__":
    main()
