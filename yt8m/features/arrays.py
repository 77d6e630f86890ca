"""Arrays of features in, a folder of native frame-level shards out."""

import dataclasses
import json
import os

import numpy as np

import yt8m
from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.features import shards, vocabulary, whitening
from yt8m.features.origin import MANIFEST
from yt8m.features.outputs import check_folder, sha256, write_flags
from yt8m.features.spool import Spool
from yt8m.files import move_files, temporary_folder, write_text
from yt8m.readers.records import Segments, Video, encode_video
from yt8m.segments import SEGMENT_SIZE, quantise

FIT = "fit"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A folder of features.

    Attributes:
        folder: of shards, vocabulary, whitenings and dataset.flags.
        splits: {split: number of videos}.
        feature_sizes: {feature: bytes a frame}.
        names: {label id: name}; {}: the labels are ids without names.
        flags: {flag: value} of dataset.flags, for yt8m.train(**flags).
        flags_file: its path.
    """

    folder: str
    splits: dict
    feature_sizes: dict
    names: dict
    flags: dict
    flags_file: str


@dataclasses.dataclass(frozen=True)
class Options:
    """How write works; the fields are arguments of yt8m.write_videos."""

    split: str | None = None
    num_shards: int = 16
    vocabulary: str | None = None
    extend_vocabulary: bool = False
    whitening: dict | str | None = None
    backbone: str = "arrays"


def write(folder, videos, options):
    """Writes videos, after all of them have come and were found right.

    Args:
        folder: of the features; those that an earlier call wrote there are replaced.
        videos: iterable of dicts, as yt8m.write_videos takes them.
        options: Options.

    Returns:
        (Dataset, warnings: list of lines).

    Raises:
        UserError: a bad video, labels without a class, a folder of other features, or one that cannot be written.
    """
    check_folder(folder)
    _check_manifest(folder, options.backbone)
    if isinstance(videos, (str, bytes, dict)) or not hasattr(videos, "__iter__"):
        raise UserError(f"videos is a {type(videos).__name__}: expected a list, or another iterable, of dicts.")
    videos, asked = _first_known(videos, options.whitening)
    given = {name: _kept_or_given(folder, name, source, options.backbone) for name, source in asked.items()}
    spool = Spool(folder, {name: source is None for name, source in given.items()})
    for video in videos:
        spool.add(video)
    if not spool.entries:
        raise UserError("videos: there is none. Give dicts with an id and arrays.")
    fingerprint = _fingerprint(options.backbone)
    whitenings = {name: source or whitening.fit(spool.samples[name].outputs(), fingerprint) for name, source in given.items()}
    records = _Records(folder, spool, whitenings, options)
    sizes = {name: whitenings[name].size if name in whitenings else size for name, size in spool.sizes.items()}
    with temporary_folder(folder) as unfinished:
        for name in whitenings:
            whitenings[name].save(_whitening_path(unfinished, name))
        vocabulary.write(unfinished, records.vocabulary)
        _write_manifest(unfinished, options.backbone, whitenings, sizes)
        others = sorted(os.listdir(unfinished))
        shards.write(unfinished, records.splits, options.num_shards, records.record)
        written = sorted(set(os.listdir(unfinished)) - set(others))
        move_files(unfinished, folder, others + written)
    shards.remove_others(folder, written)
    longest = max(entry.num_frames for entry in spool.entries.values())
    splits = list(records.splits.values())
    path, flags = write_flags(folder, sizes, records.num_classes, set(splits), longest)
    counts = {name: splits.count(name) for name in sorted(set(splits))}
    dataset = Dataset(str(folder), counts, sizes, records.vocabulary.names, flags, path)
    return dataset, [line for name in spool.ranges if (line := spool.ranges[name].warning(name))]


class _Records:
    """Videos as serialized records: their labels as ids of a vocabulary, their splits."""

    def __init__(self, folder, spool, whitenings, options):
        self._spool, self._whitenings = spool, whitenings
        texts = {label for entry in spool.entries.values() for label in (*entry.labels, *(row[1] for row in entry.ratings))}
        self.vocabulary = vocabulary.resolve(folder, options.vocabulary, sorted(texts), options.extend_vocabulary)
        self._labels, self._ratings = {}, {}
        for id_, entry in spool.entries.items():
            where = f"video {id_}"
            self._labels[id_] = sorted({self.vocabulary.id_of(label, where) for label in entry.labels})
            rows = [(start, self.vocabulary.id_of(label, where), score) for start, label, score in entry.ratings]
            self._ratings[id_] = sorted(rows)
        used = {label for labels in self._labels.values() for label in labels}
        used |= {label for rows in self._ratings.values() for _, label, _ in rows}
        self.num_classes = self.vocabulary.num_classes(used)
        shares = shards.parse_split(options.split or ("train:.8,validate:.1,test:.1" if used else "test:1"))
        self.splits = {id_: entry.split or shards.split_of(id_, shares) for id_, entry in spool.entries.items()}

    def record(self, id_):
        """The serialized record of a video."""
        frames, segments = self._spool.frames(id_), None
        for name, fitted in self._whitenings.items():
            frames[name] = quantise(fitted.apply(frames[name]))
        if self._ratings[id_]:
            starts, labels, scores = (np.array(column) for column in zip(*self._ratings[id_]))
            segments = Segments(starts, starts + SEGMENT_SIZE, labels, scores.astype(np.float32))
        return encode_video(Video(id_, frames, np.array(self._labels[id_], np.int64), segments))


def _first_known(videos, asked):
    """(the videos, {feature: source of its whitening}); "fit" alone means every feature of floats of the first video."""
    if asked is None or isinstance(asked, dict):
        return videos, dict(asked or {})
    if asked != FIT:
        raise UserError(f'whitening={asked!r:.60}: expected "fit", or a dict of features with "fit" or a file each.')
    videos = iter(videos)
    first = next(videos, None)
    floats = [name for name, values in first.items() if _is_float(values)] if isinstance(first, dict) else []
    if isinstance(first, dict) and not floats:
        raise UserError('whitening="fit": no feature of the first video is floats. Leave it out.')
    return _again(first, videos), dict.fromkeys(floats, FIT)


def _again(first, others):
    if first is not None:
        yield first
    yield from others


def _is_float(values):
    return getattr(getattr(values, "dtype", None), "kind", "") == "f"


def _kept_or_given(folder, name, source, backbone):
    """The Whitening of a feature: that of a file, that which an earlier call kept, or None: it is to be fitted."""
    kept = _whitening_path(folder, name)
    if isinstance(source, whitening.Whitening):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise UserError(f'whitening of {name}: {source!r:.60}: expected "fit" or a file.')
    if source != FIT:
        return whitening.load(os.path.expanduser(source), _fingerprint(backbone))
    if not os.path.exists(kept):
        return None
    print(f"The whitening in {kept} is used again. Delete it to fit another.", flush=True)
    return whitening.load(kept, _fingerprint(backbone))


def _whitening_path(folder, name):
    return os.path.join(folder, f"whitening-{name}.npz")


def _fingerprint(backbone):
    return {"name": backbone, "options": {}, "files": {}}


def _check_manifest(folder, backbone):
    """Refuses a folder of features that something else made."""
    path = os.path.join(folder, MANIFEST)
    fields = {"backbone": jsonfiles.Object({"name": jsonfiles.Text()})}
    earlier = jsonfiles.read(path, fields, "Name another folder", missing=None)
    if earlier and earlier["backbone"] != _fingerprint(backbone):
        raise UserError(f"{folder} has features of {earlier['backbone']['name']}, not of {backbone}. Name another folder.")


def _write_manifest(folder, backbone, whitenings, sizes):
    """features.json: what the features are, as `yt8m features` writes it of files."""
    digests = {name: sha256(_whitening_path(folder, name)) for name in whitenings}
    values = {
        "format": "yt8m-features",
        "version": 1,
        "backbone": _fingerprint(backbone),
        "whitening": digests or None,
        "feature_sizes": sizes,
        "versions": {"yt8m": yt8m.__version__, "numpy": np.__version__},
    }
    write_text(os.path.join(folder, MANIFEST), json.dumps(values, indent=1, sort_keys=True) + "\n")
