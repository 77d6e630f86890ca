"""Whitening of a network's outputs, which are of any scale, for the bytes that hold [-2, 2]: fitted once, kept, used again.

Pooled ReLU outputs are never negative, and clipping them to [-2, 2] destroys them. Their principal components, each with variance
1, fit: of a normal one 5% are beyond 2.
"""

import hashlib
import heapq
import json

import numpy as np

from yt8m.arrays import read_arrays
from yt8m.errors import UserError
from yt8m.features.matrices import whitening_projection
from yt8m.files import replacing

SAMPLE = 20_000  # frames that it is fitted on at most
COMPONENTS = 1024  # that are kept at most
_PIECE = 2048  # frames whose products are summed at once
_ARRAYS = ("mean", "variances", "components", "fingerprint")


class Whitening:
    """Principal components with variance 1.

    Args:
        mean: float64 [D].
        variances: float64 [k], falling.
        components: float64 [k, D], a component a row.
        fingerprint: of the backbone whose outputs it was fitted on, or {}.

    Attributes:
        size: k, the values of a frame that are left.
    """

    def __init__(self, mean, variances, components, fingerprint=None):
        self.mean, self.variances, self.components = mean, variances, components
        self.fingerprint = fingerprint or {}
        self._projection = whitening_projection(mean, variances, components)
        self.size = self._projection.size

    def apply(self, outputs):
        """A network's outputs float [n, D] -> float32 [n, size].

        Raises:
            UserError: they have another D.
        """
        if outputs.shape[-1] != len(self.mean):
            raise UserError(
                f"the whitening is for {len(self.mean)} values a frame, the backbone gives {outputs.shape[-1]}. "
                "Leave out --whitening to fit one to this backbone."
            )
        return self._projection.apply(outputs)

    def save(self, path):
        """Writes it, whole or not at all; the same whitening gives the same bytes."""
        fingerprint = np.array(json.dumps(self.fingerprint, sort_keys=True))
        with replacing(path) as file:
            np.savez(file, mean=self.mean, variances=self.variances, components=self.components, fingerprint=fingerprint)


def fit(outputs, fingerprint=None):
    """The whitening of a sample of a network's outputs, computed in float64.

    Args:
        outputs: float [n, D], n at least 2, in an order that does not hang on chance if the result shall not.
        fingerprint: of the network's backbone, kept beside it.

    Returns:
        Whitening of at most 1024 components; fewer where D is less, or where the sample varies in fewer directions.

    Raises:
        UserError: there are too few frames, they are all the same, or they are no finite numbers.
    """
    outputs = np.asarray(outputs)
    if len(outputs) < 2:
        raise UserError(f"{len(outputs)} frames: a whitening needs two at least. Add videos, or name one with --whitening=FILE.")
    if not np.isfinite(outputs).all():
        raise UserError("the backbone's outputs are no finite numbers: they cannot be whitened. Check its weights.")
    mean = outputs.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((outputs.shape[1],) * 2)
    for first in range(0, len(outputs), _PIECE):
        centred = outputs[first : first + _PIECE].astype(np.float64) - mean
        covariance += centred.T @ centred
    variances, components = np.linalg.eigh(covariance / len(outputs))
    variances, components = variances[::-1], components.T[::-1]  # the largest first, a component a row
    rank = int((variances > variances[0] * len(mean) * np.finfo(np.float64).eps).sum()) if variances[0] > 0 else 0
    size = min(rank, COMPONENTS, len(outputs) - 1)
    if not size:
        raise UserError(
            "all frames have the same outputs: there is nothing to whiten. Add videos, or name one with --whitening=FILE."
        )
    components = components[:size]
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return Whitening(mean, variances[:size].copy(), components * np.sign(largest), fingerprint)


def load(path, fingerprint=None):
    """The whitening in a file of Whitening.save.

    Args:
        path: the file.
        fingerprint: of the backbone that it is for; a whitening fitted on another's outputs is refused.

    Raises:
        UserError: there is no such file, it is damaged, or for another backbone.
    """
    try:
        arrays = _checked(read_arrays(path, _ARRAYS))
        fitted = json.loads(str(arrays["fingerprint"]))
        if not isinstance(fitted, dict):
            raise ValueError("no fingerprint")
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: no whitening can be read ({error}). Name a whitening.npz that `yt8m features` wrote."
        ) from error
    if fingerprint and fitted and fitted != fingerprint:
        raise UserError(
            f"{path}: it was fitted to outputs of {_shown(fitted)}, not of {_shown(fingerprint)}. "
            "Name that backbone, or leave out --whitening to fit one to this."
        )
    return Whitening(arrays["mean"], arrays["variances"], arrays["components"], fitted)


def _checked(arrays):
    """The arrays; ValueError unless their shapes belong together and all is finite."""
    mean, variances, components, fingerprint = (arrays[name] for name in _ARRAYS)
    numbers = mean, variances, components
    if [array.ndim for array in numbers] != [1, 1, 2] or components.shape != (len(variances), len(mean)) or not components.size:
        raise ValueError(f"shapes {', '.join(str(list(array.shape)) for array in numbers)}")
    if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in numbers):
        raise ValueError("values that are no finite numbers")
    if fingerprint.dtype.kind != "U" or fingerprint.ndim:
        raise ValueError("no fingerprint")
    return arrays


def _shown(fingerprint):
    """A fingerprint for a message: name and options, and the beginning of the files' hashes."""
    options = "".join(f",{name}={value}" for name, value in fingerprint.get("options", {}).items())
    files = ", ".join(f"{name} {str(value)[:8]}" for name, value in fingerprint.get("files", {}).items())
    return f"{fingerprint.get('name')}{options}" + (f" ({files})" if files else "")


# ---------------------------------------------------------------- which frames


def frame_hashes(id, seconds):
    """uint64 [n] that order the frames of all videos by chance, but always alike: of a video's id and its seconds, int [n]."""
    digests = (hashlib.sha256(f"{id}:{int(second)}".encode()).digest() for second in seconds)
    return np.array([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)


class FrameSample:
    """The outputs of the frames with the least hashes, of any number of videos in any order.

    Args:
        size: frames that are kept at most.
    """

    def __init__(self, size=SAMPLE):
        self._size, self._heap = size, []  # of (-hash, id, second, outputs): the greatest hash first

    def wants(self, id, seconds):
        """bool [n]: whether a frame is among the least so far, so that the outputs of the others need not be computed."""
        hashes = frame_hashes(id, seconds)
        return hashes < np.uint64(-self._heap[0][0]) if len(self._heap) >= self._size else np.ones(len(hashes), bool)

    def add(self, id, seconds, outputs):
        """Offers the outputs float [n, D] of a video's frames at these seconds, each frame once."""
        for code, second, values in zip(frame_hashes(id, seconds).tolist(), seconds, outputs, strict=True):
            entry = (-code, id, int(second), np.array(values))
            if len(self._heap) < self._size:
                heapq.heappush(self._heap, entry)
            elif entry[:3] > self._heap[0][:3]:
                heapq.heapreplace(self._heap, entry)

    def outputs(self):
        """float [n, D], n at most size, ordered by hash."""
        return (
            np.stack([entry[3] for entry in sorted(self._heap, key=lambda entry: entry[:3], reverse=True)])
            if self._heap
            else np.zeros((0, 1))
        )
