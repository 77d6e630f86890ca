"""What must hold of every registered layer and model, and the arguments that each is tested with.

A layer or model that is registered and not in LAYERS or MODELS fails the tests. Run as a script, with a folder that
tests/models/test_jax.py wrote, it computes the same predictions again under another Keras backend.
"""

import dataclasses
import importlib
import os
import pkgutil
import sys
import typing

import numpy as np
from keras import ops

import yt8m.layers
import yt8m.models
from yt8m import registry

for _module in pkgutil.iter_modules(yt8m.layers.__path__):
    importlib.import_module(f"yt8m.layers.{_module.name}")

CLASSES, SIZES, FRAMES = 7, (16, 8), 12
D = sum(SIZES)


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A layer's constructor arguments and what it is called with; `weights`: its number of values, all counted."""

    name: str
    arguments: dict
    inputs: typing.Callable[[], dict]
    weights: int

    def build(self):
        return registry.get("layer", self.name)(**self.arguments)


@dataclasses.dataclass(frozen=True)
class ModelCase:
    """A model's hyper-parameters; CLASSES and SIZES are given to all."""

    name: str
    arguments: dict

    def build(self):
        return yt8m.models.build_model(self.name, CLASSES, SIZES, **self.arguments)


def random_floats(*shape):
    return np.random.default_rng(3).normal(size=shape).astype("float32")


def frames_batch(num_frames=(FRAMES, 5, 1), length=FRAMES, size=D):
    """Frames with zeros for padding, as the readers give them."""
    frames = np.random.default_rng(4).integers(0, 256, (len(num_frames), length, size)).astype("uint8")
    for row, n in enumerate(num_frames):
        frames[row, n:] = 0
    return {"frames": frames, "num_frames": np.array(num_frames, "int32")}


def batch_for(model):
    """A batch of three that the model takes."""
    if "features" in [tensor.name for tensor in model.inputs]:
        return {"features": random_floats(3, D)}
    return frames_batch()


def masked_frames():
    return {"x": random_floats(3, FRAMES, 16), "mask": np.arange(FRAMES)[None] < np.array([[FRAMES], [5], [1]])}


def vectors():
    return {"x": random_floats(3, 16)}


LAYERS = [
    LayerCase("ContextGating", {}, vectors, 16 * 16 + 4 * 16),
    LayerCase("ContextGating", {"use_batch_norm": False}, vectors, 16 * 16 + 16),
    LayerCase("Dequantize", {}, frames_batch, 0),
    LayerCase("Dequantize", {"normalize": True, "min_value": -1.0}, frames_batch, 0),
    LayerCase("FrameMask", {}, frames_batch, 0),
    LayerCase("FrameSampling", {"num_samples": 6, "seed": 1}, frames_batch, 0),
    LayerCase("FrameSampling", {"method": "every", "skip_head": 2, "skip_tail": 1, "stride": 3}, frames_batch, 0),
    LayerCase(
        "GatedAttentionPooling",
        {"reduced_size": 6, "attention_size": 4, "num_sets": 3},
        masked_frames,
        16 * 6 + 4 * 6 + 2 * 6 * 4 * 3 + 4 * 3,
    ),
    LayerCase(
        "GatedAttentionPooling",
        {"reduced_size": 6, "attention_size": 4, "attention": "sparsemax"},
        masked_frames,
        16 * 6 + 4 * 6 + 2 * 6 * 4 + 4,
    ),
    LayerCase("LogisticHead", {"num_classes": CLASSES}, vectors, 17 * 7),
    LayerCase("MixtureOfExperts", {"num_classes": CLASSES}, vectors, 16 * 21 + 17 * 14),
    LayerCase(
        "MixtureOfExperts",
        {"num_classes": CLASSES, "num_mixtures": 3, "probability_gating": True, "remove_diagonal": True},
        vectors,
        16 * 28 + 17 * 21 + 7 * 7 + 4 * 7,
    ),
    LayerCase(
        "MixtureOfExperts",
        {"num_classes": CLASSES, "probability_gating": True, "gating_input": "input", "low_rank_gates": 5},
        vectors,
        16 * 5 + 5 * 21 + 17 * 14 + 16 * 7 + 4 * 7,
    ),
    LayerCase(
        "MixtureOfExperts",
        {"num_classes": CLASSES, "probability_gating": True, "gating_rank": 2, "remove_diagonal": True},
        lambda: {"x": random_floats(3, 4, 16)},
        16 * 21 + 17 * 14 + 2 * 7 * 2 + 4 * 7,
    ),
]
_ATTENTION = {"hidden_size": 10, "reduced_sizes": (6, 4), "attention_sizes": (4, 3)}
MODELS = [
    ModelCase("AttentionModel", _ATTENTION),
    ModelCase("AttentionModel", {**_ATTENTION, "attention": "sparsemax", "sampling": "none", "normalize": False}),
    ModelCase("AttentionModel", {"hidden_size": 10, "video_level_classifier_model": "LogisticModel", "sampling": "every"}),
    ModelCase("FrameLevelLogisticModel", {}),
    ModelCase("LogisticModel", {}),
    ModelCase("MoeModel", {"moe_num_mixtures": 3, "normalize": False}),
    ModelCase("MoeModel", {"probability_gating": True}),
    ModelCase("MultiAttentionModel", {**_ATTENTION, "num_sets": 3, "num_samples": 8}),
    ModelCase("MultiAttentionModel", {**_ATTENTION, "num_sets": 2, "attention": "sparsemax", "noise": 0}),
]


def case_id(case):
    return "-".join([case.name, *(f"{k}={v}" for k, v in case.arguments.items())])


def missing(kind, cases):
    """Registered names that no case tests."""
    return sorted(set(registry.names(kind)) - {case.name for case in cases})


def call(layer, inputs, **options):
    """The layer's outputs as a list of numpy arrays; the first input by position, as Keras wants it."""
    first, *others = inputs
    outputs = layer(ops.convert_to_tensor(inputs[first]), **{k: ops.convert_to_tensor(inputs[k]) for k in others}, **options)
    return [ops.convert_to_numpy(x) for x in (outputs if isinstance(outputs, (tuple, list)) else [outputs])]


def predict(model, batch, **options):
    return ops.convert_to_numpy(model({k: ops.convert_to_tensor(v) for k, v in batch.items()}, **options))


def randomise(thing, seed=5):
    """Gives every weight values that no initialiser gives, so that a bias, an offset or a moving mean left out shows."""
    rng = np.random.default_rng(seed)
    weights = []
    for weight in thing.weights:
        values = rng.normal(size=weight.shape) / max(1, weight.shape[0]) ** 0.5
        weights.append(0.5 + np.abs(values) if "variance" in weight.name or "gamma" in weight.name else values)
    thing.set_weights([np.asarray(w, "float32") for w in weights])


def pad_frames(batch, extra, fill):
    """The batch with `extra` frames of bytes `fill` after the end, and the padding before them filled too."""
    frames, num_frames = batch["frames"], batch["num_frames"]
    longer = np.full((frames.shape[0], frames.shape[1] + extra, frames.shape[2]), fill, "uint8")
    for row, n in enumerate(num_frames):
        longer[row, :n] = frames[row, :n]
    return {**batch, "frames": longer}


def main(folder):
    """Every case's outputs with the weights and inputs in `folder`, into outputs.npz there."""
    given = np.load(os.path.join(folder, "inputs.npz"))
    outputs = {}
    for kind, cases in (("layer", LAYERS), ("model", MODELS)):
        for i, case in enumerate(cases):
            thing = case.build()
            run = call if kind == "layer" else predict
            batch = case.inputs() if kind == "layer" else batch_for(thing)
            if kind == "layer":
                run(thing, batch)
            thing.set_weights([given[f"{kind}_{i}_{j}"] for j in range(len(thing.weights))])
            for j, one in enumerate(run(thing, batch) if kind == "layer" else [run(thing, batch)]):
                outputs[f"{kind}_{i}_{j}"] = one
            if kind == "layer" and thing._call_has_training_arg:
                trained = run(thing, batch, training=True)
                outputs[f"{kind}_{i}_finite_in_training"] = np.array(all(np.isfinite(one).all() for one in trained))
    np.savez(os.path.join(folder, "outputs.npz"), **outputs)


if __name__ == "__main__":
    main(sys.argv[1])
