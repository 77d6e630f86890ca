"""Scores on disk: a folder with, for every input shard, a memory-mappable array of quantised scores and the ids of its rows.

Read without this package, in two lines (divide by the `scale` in store.json):

    scores = np.load("DIR/test0000.tfrecord.scores.npy", mmap_mode="r") / 9999
    segments = pd.read_csv("DIR/test0000.tfrecord.segments.csv", dtype={"id": str}, keep_default_na=False)

store.json says what the columns stand for (`label_ids`) and which run made the scores. It is written first; a shard's
segments.csv appears last, so a shard is complete when both its files are there.
"""

import contextlib
import dataclasses
import json
import os
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.files import replacing, write_text
from yt8m.segments import SEGMENT_SIZE

STORE_FILE, VERSION = "store.json", 1
SCALES = {"uint16": 9999, "float16": 1}  # a stored value is score * scale; 9999 is paper 002's
KINDS = ("segments", "videos")
_SCORES, _ROWS = ".scores.npy", ".segments.csv"
_FIELDS = {
    "version": jsonfiles.Integer(0),
    "scale": jsonfiles.Integer(1),
    "kind": jsonfiles.Text("|".join(KINDS)),
    "label_ids": jsonfiles.ListOf(jsonfiles.Integer(0, 2**31)),
    "dtype": jsonfiles.Text("|".join(SCALES)),
    "segment_size": jsonfiles.Integer(1, 10**6),
    "run": jsonfiles.Object(),
}


@dataclass(frozen=True)
class StoreConfig:
    """What a store holds and what made it; kept as store.json.

    Attributes:
        kind: "segments" or "videos": what a row is.
        label_ids: the label id of each column.
        dtype: "uint16" or "float16", see encode_scores.
        segment_size: seconds of a segment.
        run: what made the scores, in JSON's types: models, weights, flags. Two runs mix only where it is equal.
    """

    kind: str
    label_ids: tuple
    dtype: str = "uint16"
    segment_size: int = SEGMENT_SIZE
    run: dict = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "label_ids", tuple(int(label) for label in self.label_ids))
        if self.kind not in KINDS:
            raise UserError(f"kind={self.kind!r}: use one of {', '.join(KINDS)}.")
        _check_dtype(self.dtype)
        if not self.label_ids or len(set(self.label_ids)) < len(self.label_ids):
            raise UserError(f"{len(self.label_ids)} label ids: expected one or more distinct ones.")

    @property
    def scale(self):
        """What a score of 1 is stored as."""
        return SCALES[self.dtype]

    def to_json(self):
        """The content of store.json."""
        return json.dumps({"version": VERSION, **dataclasses.asdict(self), "scale": self.scale}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text):
        """The StoreConfig of a store.json's content; ValueError, KeyError or TypeError where it is none."""
        values = jsonfiles.parse(text, _FIELDS)
        version, scale = values.pop("version"), values.pop("scale")
        if version != VERSION:
            raise ValueError(f"version {version}, not {VERSION}")
        config = cls(**values)
        if scale != config.scale:
            raise ValueError(f"scale {scale}, not {config.scale}")
        return config


@dataclass(frozen=True, eq=False)
class StoredScores:
    """The scores of a shard.

    Attributes:
        ids: str [N], the video of each row, in the order of the records.
        starts: int64 [N], seconds, rising within a video; None in a store of videos.
        values: uint16 or float16 [N, C], memory-mapped.
    """

    ids: np.ndarray
    starts: np.ndarray | None
    values: np.ndarray

    def scores(self, rows=slice(None)):
        """The scores of some rows, float32 [n, C]."""
        return decode_scores(self.values[rows], self.values.dtype.name)


class ScoreStore:
    """A folder of scores; from create_store or open_store.

    Attributes:
        folder: where it is.
        config: StoreConfig.
    """

    def __init__(self, folder, config):
        self.folder = os.fspath(folder)
        self.config = config

    def shards(self):
        """Basenames of the shards that are complete, sorted."""
        names = (name.removesuffix(_ROWS) for name in os.listdir(self.folder) if name.endswith(_ROWS))
        return sorted(name for name in names if self.has(name))

    def has(self, shard):
        """Whether a shard, given by its path or its basename, is complete."""
        return all(os.path.exists(self._path(shard, ending)) for ending in (_SCORES, _ROWS))

    @contextlib.contextmanager
    def writer(self, shard):
        """Opens a shard (path or basename) for writing; it is complete when the `with` block ends without an error.

        Example:
            with store.writer("test0000.tfrecord") as shard:
                shard.add(ids, starts, scores)

        Yields:
            an object with add(ids, starts, scores): ids str [n], starts int [n] (None in a store of videos), scores
            float [n, C]. Rows are in the order of the records, and their starts rise within a record. It returns the scores
            as they are stored, quantised.

        Raises:
            UserError: rows of another shape, scores that are no probabilities, or the files cannot be written.
        """
        with replacing(self._path(shard, _ROWS), "w") as rows, replacing(self._path(shard, _SCORES)) as scores:
            writer = _ShardWriter(scores, self.config)
            yield writer
            writer.finish()
            writer.rows().to_csv(rows, index=False, lineterminator="\n")

    def read(self, shard):
        """The StoredScores of a shard, given by its path or its basename.

        Raises:
            UserError: the shard is missing, or one of its files is damaged.
        """
        scores, rows = self._path(shard, _SCORES), self._path(shard, _ROWS)
        values, table = self._values(scores), self._rows(rows)
        if len(values) != len(table):
            raise _damaged(scores, f"it has {len(values)} rows, {os.path.basename(rows)} has {len(table)}")
        starts = table["start"].to_numpy(np.int64) if self.config.kind == "segments" else None
        return StoredScores(np.array(table["id"].tolist(), str), starts, values)

    def _path(self, shard, ending):
        return os.path.join(self.folder, os.path.basename(os.fspath(shard)) + ending)

    def _values(self, path):
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise _damaged(path, error) from error
        width = len(self.config.label_ids)
        if values.ndim != 2 or values.shape[1] != width or values.dtype != self.config.dtype:
            raise _damaged(path, f"it holds {values.dtype} {list(values.shape)}, not {self.config.dtype} [N, {width}]")
        return values

    def _rows(self, path):
        columns = {"id": str, "start": np.int64} if self.config.kind == "segments" else {"id": str}
        try:
            table = pd.read_csv(path, dtype=columns, keep_default_na=False)
        except (OSError, ValueError) as error:  # pandas' errors are ValueErrors
            raise _damaged(path, error) from error
        if list(table.columns) != list(columns):
            raise _damaged(path, f"its columns are {','.join(map(str, table.columns))}, not {','.join(columns)}")
        return table


class _ShardWriter:
    """Appends rows to an open file; see ScoreStore.writer."""

    def __init__(self, file, config):
        self._file, self._config, self._count = file, config, 0
        self._ids, self._starts = [], []
        self._write_header()

    def add(self, ids, starts, scores):
        """Appends rows: ids str [n], starts int [n] or None, scores float [n, C]; returns the scores as they are stored."""
        ids, scores = np.asarray(ids), np.asarray(scores)
        shape = (len(ids), len(self._config.label_ids))
        if scores.shape != shape:
            raise UserError(f"scores of shape {list(scores.shape)} for {len(ids)} ids: expected {list(shape)}.")
        if (starts is None) != (self._config.kind == "videos") or (starts is not None and len(starts) != len(ids)):
            raise UserError(f"{len(ids)} ids: expected as many start times in a store of segments, None in one of videos.")
        values = np.ascontiguousarray(encode_scores(scores, self._config.dtype))
        self._file.write(values.data)
        self._ids += ids.tolist()
        if starts is not None:
            self._starts.append(np.asarray(starts, np.int64))
        self._count += len(ids)
        return values

    def rows(self):
        """The table of the rows' ids and start times."""
        table = {"id": self._ids}
        if self._config.kind == "segments":
            table["start"] = np.concatenate([np.zeros(0, np.int64), *self._starts])
        return pd.DataFrame(table)

    def finish(self):
        """Writes the number of rows into the header: NumPy pads it, so that its length does not change."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self):
        descr = np.lib.format.dtype_to_descr(np.dtype(self._config.dtype))
        shape = (self._count, len(self._config.label_ids))
        np.lib.format.write_array_header_1_0(self._file, {"descr": descr, "fortran_order": False, "shape": shape})


def create_store(folder, config):
    """The ScoreStore of a folder for writing: made where there is none, else gone on with.

    Args:
        folder: of the store.
        config: StoreConfig.

    Raises:
        UserError: the folder holds scores of another run (says what differs first), or cannot be written.
    """
    path = os.path.join(folder, STORE_FILE)
    if not os.path.exists(path):
        write_text(path, config.to_json())
    store = open_store(folder)
    difference = first_difference(json.loads(store.config.to_json()), json.loads(config.to_json()))
    if difference:
        raise UserError(f"{folder} holds the scores of another run: its {difference}. Name another folder, or delete this one.")
    return store


def open_store(folder):
    """The ScoreStore of a folder.

    Raises:
        UserError: no store there, or store.json is damaged.
    """
    path = os.path.join(folder, STORE_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            return ScoreStore(folder, StoreConfig.from_json(file.read()))
    except OSError as error:
        raise UserError(
            f"{folder}: no scores there ({STORE_FILE}: {error.strerror}). Name a folder from inference.py --scores_output."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error


def check_basenames(shards):
    """Raises UserError if two shards (paths) have one basename: a store tells them apart by it."""
    seen = {}
    for path in shards:
        other = seen.setdefault(os.path.basename(path), path)
        if other != path:
            raise UserError(f"{other} and {path} have one name, by which a store knows them. Use a store for each folder.")


def encode_scores(scores, dtype):
    """Scores as they are stored.

    Args:
        scores: float [...], probabilities.
        dtype: "uint16": round(score * 9999), paper 002's, off by at most 5e-5; "float16": off by at most 1/2048 of the score
            (of tiny ones more).

    Raises:
        UserError: another dtype, or scores that are NaN or not in [0, 1].
    """
    _check_dtype(dtype)
    scores = np.asarray(scores, np.float32)
    if scores.size and not (scores.min() >= -1e-5 and scores.max() <= 1 + 1e-5):  # NaN is neither
        raise UserError(f"scores from {scores.min()} to {scores.max()}: expected probabilities, 0 to 1; check the model.")
    if dtype == "float16":
        return scores.astype(np.float16)
    return np.rint(scores * np.float32(SCALES[dtype])).astype(np.uint16)


def decode_scores(values, dtype):
    """float32 scores of stored values of the dtype."""
    _check_dtype(dtype)
    scores = np.asarray(values).astype(np.float32)
    return scores if dtype == "float16" else scores / np.float32(SCALES[dtype])


def _check_dtype(dtype):
    if dtype not in SCALES:
        raise UserError(f"dtype={dtype!r} of a store of scores: use one of {', '.join(SCALES)}.")


def first_difference(there, given, prefix=""):
    """Where two JSON objects differ first, as `field is A, not B`; None where they are equal."""
    for key in [*there, *(key for key in given if key not in there)]:
        ours, theirs = there.get(key), given.get(key)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return first_difference(ours, theirs, f"{prefix}{key}.")
        if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
            at = next(i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
            return first_difference({f"{key}[{at}]": ours[at]}, {f"{key}[{at}]": theirs[at]}, prefix)
        return f"{prefix}{key} is {_shown(ours)}, not {_shown(theirs)}"
    return None


def _shown(value):
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..." + (f" ({len(value)} of them)" if isinstance(value, list) else "")


def _damaged(path, reason):
    return UserError(f"{path} is missing or damaged ({' '.join(str(reason).split())}). Delete the shard's files; score it again.")
