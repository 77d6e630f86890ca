"""Where the frames lie in a shard, so that some of a record's can be read without the others.

In the usual layout the frames of a feature follow one another at a fixed stride. Whether they do is looked at once, for every
frame of every record, and kept in the cache folder beside the shard's index.
"""

import contextlib
import hashlib
from dataclasses import dataclass

import numpy as np

from yt8m.arrays import read_arrays
from yt8m.errors import UserError
from yt8m.files import replacing
from yt8m.folders import cache_folder
from yt8m.readers.index import version
from yt8m.readers.wire import UnusualLayout, first_frame_size, frame_header, frame_lists

VERSION = 1  # of what is kept: another one's is not looked at, but made anew


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


def stride_of(size):
    """Bytes from a frame of `size` bytes to the next."""
    return len(frame_header(size)) + size


def strided(data, size):
    """uint8 [n, size], the `size` bytes from each byte of uint8 data on, as a view."""
    return np.ndarray((max(len(data) - size + 1, 0), size), np.uint8, data, strides=(1, 1))


def layout_of(shard):
    """The Layout of a shard (index.LocalShard) of frame-level records.

    The first time all of the shard is gone through; the result is kept under its path, size and modification time.
    """
    text = f"{shard.path}|{shard.version}|frames {VERSION}"
    cached = cache_folder("index") / f"{hashlib.sha256(text.encode()).hexdigest()}.npz"
    layout = _load(cached, shard)
    if layout is None:
        layout = _scanned(shard)
        if version(shard.path) == shard.version:
            _save(cached, layout)
    return layout


def _scanned(shard):
    """The Layout from the records."""
    view, index, places = memoryview(shard.data), shard.index, []
    for begin, length in zip(index.offsets.tolist(), index.lengths.tolist()):
        try:
            lists = frame_lists(view, begin, begin + length)
            places.append({name: (*place, first_frame_size(view, *place)) for name, place in lists.items()})
        except UnusualLayout:
            places.append({})
    usual = next(filter(None, places), {})
    names, sizes = tuple(usual), [size for _, _, size in usual.values()]
    counts, begins = np.zeros(len(places), np.int64), np.zeros((len(places), len(names)), np.int64)
    for record, lists in enumerate(places):
        lengths = {_count(shard.data, *lists[name], size) if name in lists else 0 for name, size in zip(names, sizes)}
        if len(lengths) == 1 and lengths != {0}:
            counts[record], begins[record] = lengths.pop(), [lists[name][0] for name in names]
    decoded = [name.decode("utf-8", "replace") for name in names]
    return Layout(tuple(decoded), np.array(sizes, np.int64), counts, begins)


def _count(data, begin, end, size, usual_size):
    """Number of the frames in data[begin:end]; 0 where one is not at its stride."""
    header = np.frombuffer(frame_header(size), np.uint8)
    if size != usual_size or (end - begin) % (len(header) + size):
        return 0
    frames = data[begin:end].reshape(-1, len(header) + size)
    return len(frames) if (frames[:, : len(header)] == header).all() else 0


def _load(cached, shard):
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
    usual, strides = counts > 0, np.array([stride_of(size) for size in sizes.tolist()], np.int64)
    first, last = shard.index.offsets[usual, None], (shard.index.offsets + shard.index.lengths)[usual, None]
    inside = (begins[usual] >= first) & (begins[usual] + counts[usual, None] * strides <= last)
    return layout if inside.all() else None


def _save(cached, layout):
    """Best effort: without a writable cache folder the shard is gone through again next time."""
    with contextlib.suppress(UserError, OSError), replacing(cached) as file:
        names = np.array(layout.names, np.str_).reshape(-1)
        np.savez(file, names=names, sizes=layout.sizes, counts=layout.counts, begins=layout.begins)
