"""Where the features lie in a shard, so that they are read without the records that they are in.

In the usual layout the frames of a feature follow one another at a fixed stride, and the floats of a video-level record lie in
one piece. Whether they do is looked at once, for every frame of every record, and kept in the cache folder beside the index.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from yt8m.arrays import read_arrays
from yt8m.errors import UserError
from yt8m.files import replacing
from yt8m.folders import cache_folder
from yt8m.readers.index import version
from yt8m.readers.wire import UnusualLayout, first_size, float_features, floats_header, frame_header, frame_lists

VERSION = 1  # of what is kept: another one's is not looked at, but made anew


@dataclass(frozen=True)
class Kind:
    """How features lie in a record.

    Attributes:
        name: of the kind.
        places: function (view, begin, end) of a record that gives {feature: (begin, end)}.
        tags: those of the fields in one another that hold a frame, or all floats.
        header: function of their number of bytes: what precedes them.
    """

    name: str
    places: Callable
    tags: tuple[int, ...]
    header: Callable

    def stride(self, size):
        """Bytes from a frame of `size` bytes to the next."""
        return len(self.header(size)) + size


FRAMES = Kind("frames", frame_lists, (0x0A, 0x0A, 0x0A), frame_header)  # FeatureList.feature, Feature.bytes_list, BytesList.value
FLOATS = Kind("floats", float_features, (0x12, 0x0A), floats_header)  # Feature.float_list, FloatList.value; one "frame" a record


@dataclass(frozen=True, eq=False)
class Layout:
    """Of a shard with R records, whose usual ones have F features.

    Attributes:
        names: of the features.
        sizes: int64 [F], bytes of a frame.
        counts: int64 [R], frames of each record; 0 where the record is not in the usual layout, has not these features, or not as
            many frames of each.
        begins: int64 [R, F], the byte of the file where what precedes the first frame of a feature begins; 0 where counts is.
    """

    names: tuple[str, ...]
    sizes: np.ndarray
    counts: np.ndarray
    begins: np.ndarray

    def of(self, names, sizes):
        """(counts int64 [R], begins int64 [R, n]) of n features of these sizes; counts are 0 where they are others."""
        if not all(name in self.names and self.sizes[self.names.index(name)] == size for name, size in zip(names, sizes)):
            return np.zeros(len(self.counts), np.int64), np.zeros((len(self.counts), len(names)), np.int64)
        return self.counts, self.begins[:, [self.names.index(name) for name in names]]


def strided(data, size):
    """uint8 [n, size], the `size` bytes from each byte of uint8 data on, as a view."""
    return np.ndarray((max(len(data) - size + 1, 0), size), np.uint8, data, strides=(1, 1))


def strides_at(data, begins, counts, length, stride):
    """uint8 [k, length, stride] of what begins at each of int64 [k] bytes of a file; anything where that is negative.

    Args:
        data: uint8, the file.
        begins: int64 [k].
        counts: int64 [k], the strides of each that matter: of those near the end of the file no others are read.
        length, stride: of all.
    """
    last = len(data) - length * stride
    if last >= 0:
        values = strided(data, length * stride)[np.clip(begins, 0, last)].reshape(-1, length, stride)
    else:
        values = np.zeros((len(begins), length, stride), np.uint8)
    for row in np.flatnonzero(begins > last).tolist():
        begin, size = begins[row], counts[row] * stride
        values[row, : counts[row]] = data[begin : begin + size].reshape(-1, stride)
    return values


def layout_of(shard, kind=FRAMES):
    """The Layout of a shard (index.LocalShard) with records of a kind.

    The first time all of the shard is gone through; the result is kept under its path, size and modification time.
    """
    text = f"{os.path.abspath(shard.path)}|{shard.version}|{kind.name} {VERSION}"
    cached = cache_folder("index") / f"{hashlib.sha256(text.encode()).hexdigest()}.npz"
    layout = _load(cached, shard, kind)
    if layout is None:
        layout = _scanned(shard, kind)
        if version(shard.path) == shard.version:
            _save(cached, layout)
    return layout


def _scanned(shard, kind):
    """The Layout from the records."""
    view, index = memoryview(shard.data), shard.index
    places = [_places(view, first, first + size, kind) for first, size in zip(index.offsets.tolist(), index.lengths.tolist())]
    usual = next(filter(None, places), {})
    names, sizes = tuple(usual), [size for _, _, size in usual.values()]
    counts, begins = np.zeros(len(places), np.int64), np.zeros((len(places), len(names)), np.int64)
    for record, lists in enumerate(places):
        lengths = {_count(shard.data, *lists[name], size, kind) if name in lists else 0 for name, size in zip(names, sizes)}
        if len(lengths) == 1 and lengths != {0}:
            counts[record], begins[record] = lengths.pop(), [lists[name][0] for name in names]
    decoded = [name.decode("utf-8", "replace") for name in names]
    return Layout(tuple(decoded), np.array(sizes, np.int64), counts, begins)


def _places(view, at, end, kind):
    """{feature: (begin, end, bytes of its first frame)} of the record view[at:end]; without those of another kind."""
    places = {}
    try:
        for name, place in kind.places(view, at, end).items():
            with contextlib.suppress(UnusualLayout):
                places[name] = *place, first_size(view, *place, kind.tags)
    except UnusualLayout:
        return {}
    return places


def _count(data, begin, end, size, usual_size, kind):
    """Number of the frames in data[begin:end]; 0 where one is not at its stride."""
    header = np.frombuffer(kind.header(size), np.uint8)
    if size != usual_size or (end - begin) % (len(header) + size):
        return 0
    frames = data[begin:end].reshape(-1, len(header) + size)
    return len(frames) if (frames[:, : len(header)] == header).all() else 0


def _load(cached, shard, kind):
    """The Layout that is kept, or None where there is none that fits the shard."""
    try:
        kept = read_arrays(cached, ("names", "sizes", "counts", "begins"))
    except ValueError:
        return None
    names, sizes, counts, begins = kept.values()
    shapes = (names.shape, sizes.shape, counts.shape, begins.shape)
    if shapes != ((len(sizes),), (len(sizes),), (len(shard),), (len(shard), len(sizes))) or names.dtype.kind != "U":
        return None
    if any(array.dtype != np.int64 or (array < 0).any() for array in (sizes, counts, begins)):
        return None
    if (counts > shard.index.lengths).any() or sizes.max(initial=0) > len(shard.data):
        return None
    layout = Layout(tuple(names.tolist()), sizes, counts, begins)
    usual, strides = counts > 0, np.array([kind.stride(size) for size in sizes.tolist()], np.int64)
    first, last = shard.index.offsets[usual, None], (shard.index.offsets + shard.index.lengths)[usual, None]
    inside = (begins[usual] >= first) & (begins[usual] + counts[usual, None] * strides <= last)
    return layout if inside.all() else None


def _save(cached, layout):
    """Best effort: without a writable cache folder the shard is gone through again next time."""
    with contextlib.suppress(UserError, OSError), replacing(cached) as file:
        names = np.array(layout.names, np.str_).reshape(-1)
        np.savez(file, names=names, sizes=layout.sizes, counts=layout.counts, begins=layout.begins)
