"""Videos as they come: checked, their frames kept in a file without a name, so that memory does not grow with their number."""

import dataclasses
import os
import re

import numpy as np

from yt8m.errors import UserError
from yt8m.features.inputs import ID
from yt8m.features.shards import check_name
from yt8m.features.value_range import ValueRange
from yt8m.features.whitening import FrameSample
from yt8m.files import ScratchFile
from yt8m.segments import SEGMENT_SIZE, quantise

OTHERS = ("id", "labels", "ratings", "split")  # keys of a video that are no feature
_FEATURE = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A video without its frames.

    Attributes:
        labels: texts, names or ids of classes.
        ratings: (start, label, score) of each; label as in `labels`.
        split: name of its split, or "": by its id.
        num_frames: seconds.
        offsets: {feature: where its frames are}.
    """

    labels: tuple
    ratings: tuple
    split: str
    num_frames: int
    offsets: dict


class Spool:
    """What is known of the videos so far.

    Args:
        folder: that the features are for; the frames are kept beside it.
        whitened: {feature: whether its whitening is fitted}, of those whose values are kept as float32.

    Attributes:
        entries: {id: Entry}.
        sizes: {feature: values a frame}.
        ranges: {feature: ValueRange} of those that are quantised as they are.
        samples: {feature: FrameSample} of those whose whitening is fitted.
    """

    def __init__(self, folder, whitened):
        self.entries, self.sizes, self.ranges = {}, {}, {}
        self.samples = {name: FrameSample() for name, fitted in whitened.items() if fitted}
        self._file = ScratchFile(os.path.dirname(os.path.abspath(folder)), f"frames on their way to {folder}")
        self._whitened, self._kinds = frozenset(whitened), {}

    def add(self, video):
        """Checks a video, a dict as write_videos takes it, and keeps it.

        Raises:
            UserError: it is none, or does not go with those before it; names the video and what is wrong.
        """
        id_, where = self._id(video)
        frames = self._frames({name: values for name, values in video.items() if name not in OTHERS}, where)
        count = len(next(iter(frames.values())))
        labels = tuple(dict.fromkeys(_label(label, where) for label in _listed(video.get("labels"), "labels", where)))
        ratings = tuple(_rating(row, count, where) for row in _listed(video.get("ratings"), "ratings", where))
        split = video.get("split") or ""
        if split:
            check_name(str(split), where)
        offsets = {name: self._keep(name, id_, values) for name, values in frames.items()}
        self.entries[id_] = Entry(labels, ratings, str(split), count, offsets)

    def frames(self, id_):
        """The frames of a video: {feature: uint8 [T, D], or, where it is whitened, float32 [T, D]}."""
        entry = self.entries[id_]
        shapes = {name: (entry.num_frames, size) for name, size in self.sizes.items()}
        kinds = {name: np.float32 if name in self._whitened else np.uint8 for name in shapes}
        return {name: self._file.read(entry.offsets[name], shape, kinds[name]) for name, shape in shapes.items()}

    def _id(self, video):
        if not isinstance(video, dict):
            raise UserError(f"video {len(self.entries)} is a {type(video).__name__}: expected a dict such as {_EXAMPLE}.")
        id_ = video.get("id")
        if not isinstance(id_, str) or not ID.fullmatch(id_):
            raise UserError(f"video {len(self.entries)}: id {id_!r}: use 1 to 64 of A-Z a-z 0-9 _ and -.")
        if id_ in self.entries:
            raise UserError(f"video {len(self.entries)}: id {id_} was given before. Give each video an id that no other has.")
        return id_, f"video {id_}"

    def _frames(self, features, where):
        """The features as arrays uint8 or float32 [T, D], checked against those of the videos before."""
        if self.sizes and set(features) != set(self.sizes):
            raise UserError(
                f"{where}: features {_names(features)}, and those before it have {_names(self.sizes)}. Give all the same."
            )
        missing = [name for name in self._whitened if name not in features]
        if not features or missing:
            raise UserError(f"{where} has no feature{' ' + missing[0] if missing else ''}. Give arrays, such as {_EXAMPLE}.")
        frames = {name: self._feature(name, values, where) for name, values in features.items()}
        counts = {name: len(values) for name, values in frames.items()}
        if len(set(counts.values())) > 1:
            raise UserError(f"{where}: {counts} frames: expected as many of each feature, one a second.")
        self.sizes = {name: values.shape[1] for name, values in frames.items()} if not self.sizes else self.sizes
        return frames

    def _feature(self, name, values, where):
        if not isinstance(name, str) or not _FEATURE.fullmatch(name):
            raise UserError(f"{where}: feature {name!r}: use 1 to 64 of A-Z a-z 0-9 and _ as its name.")
        values = _array(values)
        is_float = values.dtype.kind == "f"
        size = self.sizes.get(name) or (values.shape[1] if values.ndim == 2 else 0)
        if not (is_float or values.dtype == np.uint8) or values.ndim != 2 or 0 in values.shape or values.shape[1] != size:
            shape = f"{values.dtype} {list(values.shape)}"
            raise UserError(f"{where}: {name} is {shape}: expected float or uint8 [T, {size or 'D'}], a row a second.")
        if self._kinds.setdefault(name, is_float) != is_float:
            raise UserError(
                f"{where}: {name} is {values.dtype}, and was not before. Give all of a feature as bytes, or all as floats."
            )
        if not is_float and name in self._whitened:
            raise UserError(f"{where}: {name} is bytes, which are not whitened. Give floats, or leave {name} out of whitening.")
        if is_float:
            with np.errstate(over="ignore"):
                values = values.astype(np.float32)
            if not np.isfinite(values).all():
                raise UserError(f"{where}: {name} has values that are no finite numbers, or beyond float32. Correct them.")
        return values

    def _keep(self, name, id_, values):
        """Writes the frames of a feature behind the others: where they are."""
        if name in self.samples:
            seconds = np.flatnonzero(self.samples[name].wants(id_, np.arange(len(values))))
            self.samples[name].add(id_, seconds, values[seconds])
        elif values.dtype != np.uint8 and name not in self._whitened:
            self.ranges.setdefault(name, ValueRange(values.shape[1])).add(values)
            values = quantise(values)
        offset = self._file.size
        self._file.append(values)
        return offset


_EXAMPLE = '{"id": "clip1", "rgb": array [T, 1024], "labels": ["cat"], "ratings": [(15, "cat", 1)]}'


def _array(values):
    """The array of values, of dtype object where they are none."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError):  # rows of different lengths
        return np.empty((0, 0), object)


def _names(features):
    return ", ".join(map(str, features))


def _listed(values, what, where):
    """A list of labels or ratings; none is an empty one."""
    if values is None:
        return []
    if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__iter__"):
        raise UserError(f"{where}: {what} is {values!r:.60}: expected a list.")
    return list(values)


def _label(label, where):
    """A label as text: a name, or the digits of an id."""
    is_id = isinstance(label, (int, np.integer)) and not isinstance(label, bool) and label >= 0
    text = str(label).strip() if is_id or isinstance(label, str) else ""
    if not text or "\0" in text:
        raise UserError(f"{where}: label {label!r:.60}: expected a name or an id, a whole number from 0 up.")
    return text


def _rating(row, num_frames, where):
    """A rating as (start, label, score)."""
    try:
        start, label, score = row
        start, whole, score = int(start), float(start), float(score)
    except (TypeError, ValueError):
        raise UserError(f"{where}: rating {row!r:.60}: expected (start in seconds, label, 0 or 1).") from None
    if start != whole or start < 0 or start + SEGMENT_SIZE > num_frames or score not in (0, 1):
        raise UserError(
            f"{where}: rating {row!r:.60}: expected a start in whole seconds with {SEGMENT_SIZE} s from it in the video's "
            f"{num_frames}, and 0 or 1."
        )
    return start, _label(label, where), score
