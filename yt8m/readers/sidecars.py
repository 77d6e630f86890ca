"""Pseudo-labels beside the features: for every shard a small TFRecord of the same name and record order, in another folder.

Record 0 is a tf.train.Example whose bytes feature `sidecar` holds the SidecarHeader as JSON. The others, one for each record
of the shard, are tf.train.Examples with `id` and the dataset's own keys of rated segments, so `records.decode_context` reads
them.
"""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.files import check_local, is_temporary
from yt8m.readers import records
from yt8m.readers.contexts import read_contexts, shard_contexts
from yt8m.readers.index import open_shard
from yt8m.readers.labels import LabelMap

VERSION = 1
_KEY = "sidecar"
_LONGEST_HEADER = 1 << 24
_MAKE_AGAIN = "Name the folder of this data's sidecars, or make them again."


@dataclass(frozen=True)
class SidecarHeader:
    """What a sidecar belongs to.

    Attributes:
        shard: the features shard's name, without its folder.
        num_records: its records.
        num_classes: label ids are below.
        label_ids: the classes that were considered; None: all num_classes.
        dense: every segment of every video is annotated with every one of the classes, what is not listed is 0 (EM).
            Otherwise only the listed (segment, class) pairs are known, like ratings; their scores may be soft.
        source: what made the annotations, as JSON can hold it.
    """

    shard: str
    num_records: int
    num_classes: int
    label_ids: tuple[int, ...] | None = None
    dense: bool = False
    source: dict = field(default_factory=dict)

    def __post_init__(self):
        if not self.shard or os.path.basename(self.shard) != self.shard:
            raise UserError(f"sidecar of shard {self.shard!r}: expected the name of a shard, without its folder.")
        if self.num_records < 0 or self.num_classes < 1:
            counts = f"num_records={self.num_records}, num_classes={self.num_classes}"
            raise UserError(f"sidecar of {self.shard}: {counts}; expected 0 or more records and 1 or more classes.")
        if self.label_ids is not None:
            object.__setattr__(self, "label_ids", tuple(int(label) for label in self.label_ids))
            if self.label_map.label_ids.max() >= self.num_classes:
                raise UserError(f"sidecar of {self.shard}: label id {max(self.label_ids)} is not below {self.num_classes}.")

    @property
    def label_map(self):
        """The classes, as labels.LabelMap."""
        return LabelMap.all(self.num_classes) if self.label_ids is None else LabelMap.segment_classes(self.label_ids)


class Sidecar:
    """A sidecar; make it with open_sidecar. Many may be at hand at once: which of them stay open is open_shard's matter.

    Attributes:
        path: the file.
        header: SidecarHeader.
    """

    def __init__(self, path, header):
        self.path, self.header = path, header

    def id(self, number):
        """The id of the video in record `number` of the features shard."""
        return self._annotation(number).id

    def segments(self, number):
        """Its annotated segments (records.Segments), None where there is none."""
        return self._annotation(number).segments

    def contexts(self):
        """What it says of all records (contexts.Contexts)."""
        numbers = range(1, self.header.num_records + 1)
        return read_contexts(map(open_shard(self.path).record, numbers), self._annotation)

    def check(self, shard, path, num_classes, label_ids=None, id_feature="id"):
        """Whether this is the sidecar of a shard, and of a model's classes. Reads the ids of all records of both.

        Args:
            shard: the open features shard (index.open_shard).
            path: its path.
            num_classes, label_ids: the model's (label_ids None: all num_classes). A dense sidecar must be about just these
                classes, in any order; one of single pairs about some of them.
            id_feature: name of the id in the features shard.

        Raises:
            UserError: another shard's name, record count or ids (names the first record), or other classes.
        """
        name, header = os.path.basename(str(path)), self.header
        if header.shard != name:
            raise UserError(f"sidecar {self.path} is of shard {header.shard}, not {name}. {_MAKE_AGAIN}")
        if header.num_records != len(shard):
            counts = f"annotates {header.num_records} records, shard {path} has {len(shard)}"
            raise UserError(f"sidecar {self.path} {counts}. {_MAKE_AGAIN}")
        self._check_classes(num_classes, label_ids)
        ids, expected = self.contexts().ids, shard_contexts(shard, path, id_feature).ids
        for number in np.flatnonzero(ids != expected)[:1]:
            pair = f"has video {ids[number].decode()!r} as record {number}, shard {path} has {expected[number].decode()!r}"
            raise UserError(f"sidecar {self.path} {pair}. {_MAKE_AGAIN}")

    def _check_classes(self, num_classes, label_ids):
        header = self.header
        if header.num_classes != num_classes:
            counts = f"has labels of {header.num_classes} classes, the model is of {num_classes}"
            raise UserError(f"sidecar {self.path} {counts} (--num_classes). {_MAKE_AGAIN}")
        annotated = set(header.label_map.label_ids.tolist())
        wanted = set(range(num_classes) if label_ids is None else map(int, label_ids))
        if annotated == wanted or (annotated < wanted and not header.dense):
            return
        extra = min(annotated - wanted, default=None)
        which = f"not {min(wanted - annotated)}, which the model has" if extra is None else f"{extra}, which the model has not"
        counts = f"is about {len(annotated)} classes, the model about {len(wanted)}"
        raise UserError(f"sidecar {self.path} {counts}: {which}. Make it again with a model of the same classes.")

    def _annotation(self, number):
        if not 0 <= number < self.header.num_records:
            raise UserError(f"sidecar {self.path} has no record {number}: expected 0 to {self.header.num_records - 1}.")
        record = open_shard(self.path).record(number + 1)
        try:
            return records.decode_context(record)
        except UserError as error:
            raise UserError(f"sidecar {self.path}, record {number}: {error}") from error


def write_sidecar(folder, header, annotations):
    """Writes one shard's sidecar as folder/<header.shard>, which appears when it is whole; makes the folder.

    Different shards may be written by different processes at the same time.

    Args:
        folder: not the features' own: the names are the same.
        header: SidecarHeader.
        annotations: iterable of (id, records.Segments or None), one for each record of the shard in its order.

    Returns:
        The size of the file in bytes.

    Raises:
        UserError: more or fewer annotations than header.num_records; a start below 0, a label that is none of the header's
            classes, a score outside [0, 1], or a (start, label) pair twice; a file of this name that is no sidecar; the
            file cannot be written.
    """
    check_local(folder)
    path = sidecar_path(folder, header.shard)
    _check_replaceable(path)
    serialized = [_encode_header(header)]
    serialized += [_encode_annotation(id, segments) for id, segments in _checked(header, annotations)]
    records.write_shard(path, serialized)
    return path.stat().st_size


def open_sidecar(folder, shard_path):
    """The Sidecar of a features shard. Every checksum is verified (once: see index.index_shard); see also Sidecar.check.

    Raises:
        UserError: there is none; it is damaged, or no sidecar, or one of another version.
    """
    path = sidecar_path(folder, shard_path)
    if not path.exists():
        raise UserError(f"no sidecar {path} for shard {shard_path}. Make the sidecars of this shard, or name their folder.")
    try:
        shard = open_shard(path)
    except UserError as error:
        reason = str(error).rpartition(". ")[0]
        raise UserError(f"{reason}. It should be a sidecar: delete it and make it again.") from error
    header = _decode_header(bytes(shard.record(0)) if len(shard) else b"", path)
    if len(shard) != header.num_records + 1:
        counts = f"{len(shard) - 1} of its {header.num_records} records"
        raise UserError(f"sidecar {path} is truncated: it has {counts}. Delete it and make it again.")
    return Sidecar(path, header)


def sidecar_path(folder, shard_path):
    """The file that holds, or will hold, the sidecar of a shard."""
    return Path(folder) / os.path.basename(str(shard_path))


def missing_sidecars(folder, files):
    """Those of the features shards `files` that have no sidecar in the folder, in their order; a file there is a whole one.

    Raises:
        UserError: two of the files have one name, so that they would share a sidecar.
    """
    names = {}
    for file in map(str, files):
        other = names.setdefault(os.path.basename(file), file)
        if other != file:
            raise UserError(f"shards {other} and {file} have one name, so they would share a sidecar. Rename one of them.")
    return [file for file in map(str, files) if not sidecar_path(folder, file).exists()]


def ensure_sidecars_done(folder, files):
    """Raises a UserError unless every one of the features shards `files` has its sidecar in the folder."""
    missing = missing_sidecars(folder, files)
    if missing:
        counts = f"{len(missing)} of {len(list(files))} shards have no sidecar in {folder}: {missing[0]}"
        raise UserError(f"{counts}{', ...' if len(missing) > 1 else ''}. Make them, or name their folder.")


def check_destination(folder, files):
    """Whether sidecars of the features shards `files` can be written to a folder, which is made.

    Raises:
        UserError: two of the files have one name; the folder holds a file of such a name that is no sidecar (the features
            themselves), or cannot be made or written.
    """
    check_local(folder)
    missing_sidecars(folder, files)
    for file in files:
        _check_replaceable(sidecar_path(folder, file))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make folder {folder}: {error.strerror}. Name a folder that can be written.") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write to folder {folder}: permission denied. Name a folder that can be written.")


def remove_sidecars(folder, files):
    """Removes the sidecars of the features shards `files`, so that what is written next never mixes with an older run's.

    Raises:
        UserError: as check_destination.
    """
    check_destination(folder, files)
    for file in files:
        sidecar_path(folder, file).unlink(missing_ok=True)


def size_of(folder):
    """Bytes of all sidecars in a folder; other files do not count.

    Raises:
        UserError: no such folder.
    """
    try:
        files = [entry for entry in os.scandir(folder) if entry.is_file() and not is_temporary(entry.name)]
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}. Name a folder of sidecars.") from error
    return sum(entry.stat().st_size for entry in files if _starts_as_sidecar(entry.path))


# ---------------------------------------------------------------- writing


def _checked(header, annotations):
    """Passes them on; what is wrong with one names its record."""
    label_map, count = header.label_map, 0
    for id, segments in annotations:
        if count == header.num_records:
            break
        reason = None if segments is None else _objection(segments, label_map, header.num_classes)
        if reason:
            raise UserError(f"sidecar of {header.shard}, record {count} (video {_text(id)}): {reason}.")
        yield id, segments
        count += 1
    else:
        if count == header.num_records:
            return
    amount = "fewer" if count < header.num_records else "more"
    raise UserError(f"sidecar of {header.shard}: {amount} annotations than its {header.num_records} records. Give one for each.")


def _objection(segments, label_map, num_classes):
    """What is wrong with the annotated segments of a video; None where nothing is."""
    starts, labels, scores = segments.start_times, segments.labels, segments.scores
    counts = {len(values) for values in (starts, segments.end_times, labels, scores)}
    if len(counts) > 1:
        return f"arrays of {min(counts)} to {max(counts)} values; expected as many start times, end times, labels and scores"
    if not len(starts):
        return None
    if starts.min() < 0:
        return f"start time {starts.min()}; expected 0 or more seconds"
    unknown = labels[label_map.columns(labels) < 0]
    if len(unknown):
        return f"label {unknown[0]}, which is none of the header's {label_map.size} classes"
    wrong = scores[~((scores >= 0) & (scores <= 1))]
    if len(wrong):
        return f"score {wrong[0]}; expected 0 to 1"
    pairs, times = np.unique(starts.astype(np.int64) * num_classes + labels, return_counts=True)
    if len(pairs) < len(starts):
        start, label = divmod(int(pairs[times > 1][0]), num_classes)
        return f"the segment at {start} has label {label} more than once; expected a pair once"
    return None


def _encode_header(header):
    content = {"version": VERSION, **dataclasses.asdict(header)}
    try:
        return _example({_KEY: _bytes(json.dumps(content).encode())})
    except TypeError as error:
        raise UserError(f"sidecar of {header.shard}: its source is not for JSON ({error}). Use plain values.") from error


def _encode_annotation(id, segments):
    feature = {"id": _bytes(_text(id).encode())}
    if segments is not None and len(segments.start_times):
        feature["segment_start_times"] = _ints(segments.start_times)
        feature["segment_end_times"] = _ints(segments.end_times)
        feature["segment_labels"] = _ints(segments.labels)
        scores = np.asarray(segments.scores, np.float32).tolist()
        feature["segment_scores"] = tf.train.Feature(float_list=tf.train.FloatList(value=scores))
    return _example(feature)


def _example(feature):
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _ints(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=np.asarray(values, np.int64).tolist()))


def _text(id):
    return id.decode("utf-8", "replace") if isinstance(id, bytes) else str(id)


def _check_replaceable(path):
    if path.exists() and not _starts_as_sidecar(path):
        raise UserError(f"{path} is there and no sidecar: not overwritten. Name a folder other than the features' own.")


# ---------------------------------------------------------------- reading


def _starts_as_sidecar(path):
    """Whether the first record of a file (whose checksum is not looked at) holds a sidecar's header."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(12)[:8], "little")
            return length <= _LONGEST_HEADER and _header_text(file.read(length)) is not None
    except OSError:
        return False


def _header_text(record):
    """The JSON in a sidecar's first record; None if it is any other record."""
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except Exception:  # protobuf's DecodeError differs between its implementations
        return None
    return feature[_KEY].bytes_list.value[0] if _KEY in feature and feature[_KEY].bytes_list.value else None


def _decode_header(record, path):
    text = _header_text(record)
    if text is None:
        raise UserError(f"{path} is no sidecar. Name the folder of the sidecars.")
    try:
        content = json.loads(text)
        version = content.pop("version")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"sidecar {path} has a bad header ({error}). Make it again.") from error
    if version != VERSION:
        raise UserError(f"sidecar {path} is of version {version!r}, not {VERSION}. Make it again.")
    try:
        return SidecarHeader(**content)
    except (TypeError, ValueError) as error:
        raise UserError(f"sidecar {path} has a bad header ({error}). Make it again.") from error
