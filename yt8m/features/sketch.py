"""The backbone `sketch`: colours, layout and edges of a frame, loudness and colour of a sound; no weights, NumPy alone.

It knows no things. It is a stand-in with which the whole path from files to a timeline can be tried without a download.
"""

import functools

import numpy as np

from yt8m.errors import UserError
from yt8m.features.backbones import Backbone
from yt8m.features.log_mel import PATCH, log_mel
from yt8m.registry import register
from yt8m.segments import quantise

_SIDE = 64  # of the small picture
_SHARES = (0.35, 0.20, 0.25, 0.20)  # of the squared norm: layout, colour layout, colours, edges


@register("backbone", "sketch")
class Sketch(Backbone):
    """See the module.

    Args:
        rest: what follows `sketch:`, which takes nothing.
        weights_dir: not used.
    """

    def __init__(self, rest="", weights_dir=None):
        if rest:
            raise UserError(f"--backbone=sketch:{rest}: sketch takes no options. Use --backbone=sketch.")

    def prepare(self, frame):
        return small_picture(frame)

    def video(self, prepared):
        return np.stack([picture_features(picture) for picture in prepared])

    def audio(self, samples):
        return sound_features(samples)

    def silence(self):
        return silence()

    def fingerprint(self):
        return {"name": "sketch", "options": {}, "files": {}}


def silence():
    """The bytes uint8 [128] of a second without sound."""
    return quantise(sound_features(np.zeros((1, PATCH), np.float32)))[0]


def small_picture(frame):
    """Means float32 [64, 64, 3] of blocks of an image uint8 [H, W, 3]; a block without a pixel has the one at its edge."""
    rows, columns = (np.arange(_SIDE) * size // _SIDE for size in frame.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(frame, rows, axis=0, dtype=np.uint32), columns, axis=1)
    counts = [np.maximum(np.diff(edges, append=size), 1) for edges, size in zip((rows, columns), frame.shape)]
    return (sums / np.outer(*counts)[:, :, None]).astype(np.float32)


def picture_features(picture):
    """A small picture [64, 64, 3] as features float32 [1024], most of them within [-2, 2]."""
    red, green, blue = np.moveaxis(picture.astype(np.float64), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    layout = _lowest_frequencies(luma - 128, 16)
    layout[0] *= 0.25
    colour_layout = np.concatenate([_lowest_frequencies(part, 8) for part in (0.564 * (blue - luma), 0.713 * (red - luma))])
    groups = layout, colour_layout, _colours(picture), _edges(luma)
    values = [
        group * (np.sqrt(1024 * share) / (np.linalg.norm(group) + 1e-6)) for group, share in zip(groups, _SHARES, strict=True)
    ]
    return _scattered(np.concatenate(values), 2019)


def sound_features(samples):
    """Samples float [n, 15600] at 16 kHz as features float32 [n, 128]."""
    bands = log_mel(samples).astype(np.float64)
    return _scattered(np.concatenate([(bands.mean(1) + 2.5) / 1.5, (bands.std(1) - 0.5) / 0.4], axis=-1), 2018)


def _lowest_frequencies(plane, count):
    """The count x count lowest coefficients, flat, of the orthonormal DCT-II of a plane [64, 64]."""
    basis = _cosines()[:count]
    return (basis @ plane @ basis.T).ravel()


@functools.cache
def _cosines():
    """The orthonormal DCT-II of 64 values as a matrix [64, 64]."""
    frequency, place = np.ogrid[:_SIDE, :_SIDE]
    basis = np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    basis[0] /= np.sqrt(2)
    return basis


def _colours(picture):
    """Square roots of the shares of 8 x 8 x 8 colours, less their mean: [512]."""
    bins = (picture // 32).astype(int) @ (64, 8, 1)
    roots = np.sqrt(np.bincount(bins.ravel(), minlength=512) / bins.size)
    return roots - roots.mean()


def _edges(luma):
    """Square roots of the strength of edges in 4 x 4 cells and 8 directions, less their mean: [128]."""
    down, right = np.zeros_like(luma), np.zeros_like(luma)
    down[1:-1] = (luma[2:] - luma[:-2]) / 2
    right[:, 1:-1] = (luma[:, 2:] - luma[:, :-2]) / 2
    direction = np.floor((np.arctan2(down, right) + np.pi) * (8 / (2 * np.pi))).astype(int) % 8
    cell = np.arange(_SIDE) // (_SIDE // 4)
    index = 8 * (4 * cell[:, None] + cell) + direction
    roots = np.sqrt(np.bincount(index.ravel(), np.hypot(down, right).ravel(), minlength=128))
    return roots - roots.mean()


def _scattered(values, seed):
    """Values [..., N] with random signs through the orthonormal Walsh-Hadamard transform: float32, as wide as one another."""
    size = values.shape[-1]
    values = np.where(np.random.RandomState(seed).rand(size) < 0.5, -values, values)
    step = 1
    while step < size:
        pairs = values.reshape(*values.shape[:-1], -1, 2, step)
        first, second = pairs[..., 0, :], pairs[..., 1, :]
        values = np.stack([first + second, first - second], axis=-2).reshape(values.shape)
        step *= 2
    return (values / np.sqrt(size)).astype(np.float32)
