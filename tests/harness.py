"""Small batches for every kind of model, and how tests call layers and models."""

import numpy as np
from keras import ops

CLASSES, SIZES, FRAMES = 7, (16, 8), 12
D = sum(SIZES)


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
    names = [tensor.name for tensor in model.inputs]
    if "features" in names:
        return {"features": random_floats(3, D)}
    if "context_frames" in names:
        return {**frames_batch(), **{f"context_{k}": v for k, v in frames_batch((8, 2, FRAMES + 3), FRAMES + 3).items()}}
    return frames_batch()


def masked_frames():
    return {"x": random_floats(3, FRAMES, 16), "mask": np.arange(FRAMES)[None] < np.array([[FRAMES], [5], [1]])}


def asked_frames():
    frames = masked_frames()
    return {"keys": frames["x"], "query": random_floats(3, 16), "mask": frames["mask"]}


def conditioned_frames():
    """Three videos, and four rows that ask one of them each."""
    places = np.array([2, 0, 1, 0], "int32")
    frames = masked_frames()
    return {"frames": frames["x"], "vectors": random_floats(4, 5), "places": places, "mask": frames["mask"][places]}


def counted_frames():
    return {"x": random_floats(3, FRAMES, 16), "num_frames": np.array([FRAMES, 5, 1], "int32")}


def cut_frames():
    """Of batches of FRAMES frames what is left without 3 of them."""
    return {"values": random_floats(3, FRAMES - 3, 2, 4), **frames_batch()}


def frame_features():
    return {"x": random_floats(3, FRAMES, 16)}


def vectors():
    return {"x": random_floats(3, 16)}


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


def permute_frames(batch, ends=0):
    """The same batch with the real frames of each video, of its context too, in another order (reversed, then rolled by one).

    Args:
        batch: of frames.
        ends: frames at the beginning and as many at the end that stay where they are in a video longer than both.
    """
    permuted = dict(batch)
    for prefix in ("", "context_"):
        if f"{prefix}frames" in batch:
            frames = batch[f"{prefix}frames"].copy()
            for row, n in enumerate(batch[f"{prefix}num_frames"]):
                middle = slice(ends, n - ends) if n > 2 * ends else slice(n)
                frames[row, middle] = np.roll(frames[row, middle][::-1], 1, axis=0)
            permuted[f"{prefix}frames"] = frames
    return permuted


def pad_frames(batch, extra, fill):
    """The batch with `extra` frames of bytes `fill` after the end, and the padding before them filled too."""
    padded = dict(batch)
    for name in ("frames", "context_frames"):
        if name in batch:
            frames, num_frames = batch[name], batch[name.replace("frames", "num_frames")]
            padded[name] = np.full((frames.shape[0], frames.shape[1] + extra, frames.shape[2]), fill, "uint8")
            for row, n in enumerate(num_frames):
                padded[name][row, :n] = frames[row, :n]
    return padded
