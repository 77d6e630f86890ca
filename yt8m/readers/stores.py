"""Scores on disk: a folder with, for every input shard, a memory-mappable array of quantised scores and the ids of its rows.

Read without this package, in two lines (divide by the `scale` in store.json):

    scores = np.load("DIR/test0000.tfrecord.scores.npy", mmap_mode="r") / 9999
    segments = pd.read_csv("DIR/test0000.tfrecord.segments.csv", dtype={"id": str}, keep_default_na=False)

store.json says what the columns stand for (`label_ids`) and which run made the scores. It is written first; then, a shard at a
time, scores.npy, sums.json with the checksums of both, and segments.csv. A shard is complete when all three are there.
"""

import contextlib
import dataclasses
import json
import os
import zlib
from dataclasses import dataclass, field

import numpy as np

from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.files import check_local, remove_abandoned, replacing_path, write_text
from yt8m.readers.quantiser import SCALES, check_dtype, decode_scores
from yt8m.readers.shard_scores import (
    ShardWriter,
    check_sums,
    check_values,
    damaged,
    read_rows,
    read_source,
    read_values,
    write_sums,
)
from yt8m.segments import SEGMENT_SIZE

STORE_FILE, VERSION = "store.json", 1
KINDS = ("segments", "videos")
_SCORES, _SUMS, _ROWS = ".scores.npy", ".sums.json", ".segments.csv"
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
        check_dtype(self.dtype)
        if not self.label_ids or len(set(self.label_ids)) < len(self.label_ids):
            raise UserError(f"{len(self.label_ids)} label ids: expected one or more distinct ones.")

    @property
    def scale(self):
        """What a score of 1 is stored as."""
        return SCALES[self.dtype]

    def to_json(self):
        """The content of store.json."""
        values = {"version": VERSION, **dataclasses.asdict(self), "scale": self.scale}
        return json.dumps({**values, "crc32": _checksum(values)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text):
        """The StoreConfig of a store.json's content; ValueError, KeyError or TypeError where it is none."""
        values = jsonfiles.parse(text, _FIELDS)
        checksum = values.pop("crc32", None)  # stores of earlier versions have none
        if checksum not in (None, _checksum(values)):
            raise ValueError("its checksum is not the one that it was written with")
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

    def videos(self):
        """The ids of the videos, each as often as there are videos of that id."""
        return self.ids[self.first_rows()]

    def first_rows(self):
        """The first row of each video, int64, rising."""
        if self.starts is None or not len(self.ids):
            return np.arange(len(self.ids))
        return np.flatnonzero(np.append(True, (self.ids[1:] != self.ids[:-1]) | (self.starts[1:] <= self.starts[:-1])))


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
        return all(map(os.path.exists, self.files(shard)))

    def files(self, shard):
        """The paths of the scores, checksums and rows of a shard, given by its path or its basename, there or not."""
        start = os.path.join(self.folder, os.path.basename(os.fspath(shard)))
        return [start + ending for ending in (_SCORES, _SUMS, _ROWS)]

    @contextlib.contextmanager
    def writer(self, shard):
        """Opens a shard (path or basename) for writing; it is complete when the `with` block ends without an error.

        Example:
            with store.writer("test0000.tfrecord") as shard:
                shard.add(ids, starts, scores)

        Yields:
            an object with add(ids, starts, scores): ids str [n], starts int [n] (None in a store of videos), scores
            float [n, C]. Rows are in the order of the records, and their starts rise within a record. It returns the scores
            as they are stored, quantised. Its `source` may be set to what tells the shard from others of its name.

        Raises:
            UserError: rows of another shape, scores that are no probabilities, or the files cannot be written.
        """
        of_scores, of_sums, of_rows = self.files(shard)
        with replacing_path(of_rows) as rows, replacing_path(of_sums) as sums, replacing_path(of_scores) as scores:
            with open(scores, "wb") as file:
                writer = ShardWriter(file, self.config)
                yield writer
                writer.finish()
            writer.rows().to_csv(rows, index=False, lineterminator="\n")
            write_sums(sums, scores, rows, writer.source)
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.realpath(of_rows))  # of an earlier time: with it new scores would count as complete too soon

    def read(self, shard):
        """The StoredScores of a shard, given by its path or its basename; its checksums are verified the first time.

        Raises:
            UserError: the shard is missing, one of its files is damaged, or holds scores that are no probabilities.
        """
        scores, sums, rows = self.files(shard)
        check_sums(sums, scores, rows)
        values, table = read_values(scores, self.config), read_rows(rows, self.config)
        if len(values) != len(table):
            raise damaged(scores, f"it has {len(values)} rows, {os.path.basename(rows)} has {len(table)}")
        check_values(scores)
        starts = table["start"].to_numpy(np.int64) if self.config.kind == "segments" else None
        return StoredScores(np.array(table["id"].tolist(), str), starts, values)

    def source(self, shard):
        """What tells the shard that was scored from others of its name, in JSON's types; None: nothing was noted.

        Raises:
            UserError: the shard is missing or damaged.
        """
        return read_source(self.files(shard)[1])


def create_store(folder, config):
    """The ScoreStore of a folder for writing: made where there is none, else gone on with; rests of killed processes go.

    Args:
        folder: of the store.
        config: StoreConfig.

    Raises:
        UserError: the folder holds scores of another run (says what differs first), or cannot be written.
    """
    check_local(folder)
    path = os.path.join(folder, STORE_FILE)
    if not os.path.exists(path):
        write_text(path, config.to_json())
    remove_abandoned(folder)
    return check_same(folder, config)


def check_same(folder, config):
    """Refuses a store that holds other scores than are to be written.

    Args:
        folder: of a store; config: StoreConfig of what is to be written.

    Returns:
        ScoreStore; None: there is none yet.

    Raises:
        UserError: the folder holds scores of another run (says what differs first).
    """
    if not os.path.exists(os.path.join(folder, STORE_FILE)):
        return None
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
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from error


def check_basenames(shards):
    """Raises UserError if two shards (paths) have one basename: a store tells them apart by it."""
    seen = {}
    for path in shards:
        other = seen.setdefault(os.path.basename(path), path)
        if other != path:
            raise UserError(f"{other} and {path} have one name, by which a store knows them. Use a store for each folder.")


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


def _checksum(values):
    """CRC-32 of the content of store.json."""
    return zlib.crc32(json.dumps(values).encode())


def _shown(value):
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..." + (f" ({len(value)} of them)" if isinstance(value, list) else "")
