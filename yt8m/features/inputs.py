"""Which files are read, what they are called, and what the user says of them: a folder, a glob, a file or a CSV file."""

import csv
import dataclasses
import glob
import hashlib
import io
import os
import re

from yt8m.errors import UserError

# Endings of files that a folder is searched for.
ENDINGS = frozenset(
    f".{ending}"
    for endings in (
        ("3gp", "avi", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "ts", "webm", "wmv"),
        ("aac", "aif", "aiff", "flac", "m4a", "mka", "mp3", "oga", "ogg", "opus", "wav", "wma"),
    )
    for ending in endings
)
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER = ("video", "labels", "id", "split")
_RATINGS = ("video", "start", "label", "score")


@dataclasses.dataclass(frozen=True)
class Item:
    """A file of the input.

    Attributes:
        path: of the file.
        given: the path as the user wrote it, or below the folder that he named.
        id: of its record.
        labels: texts, names or ids of classes.
        split: name of its split, or "": by its id.
    """

    path: str
    given: str
    id: str
    labels: tuple = ()
    split: str = ""


@dataclasses.dataclass(frozen=True)
class Rating:
    """A line of --segments_csv: whether a class is in [start, start + 5) seconds of the video of this id."""

    id: str
    start: int
    label: str
    score: float


def read_items(source, id_from="stem", endings=ENDINGS):
    """The Items of --input_videos, sorted by id.

    Args:
        source: a folder, which is searched with all that is in it, a file, a glob or a CSV file.
        id_from: "stem" or "path", where a CSV file has no column `id`.
        endings: of the files that a folder is searched for.

    Raises:
        UserError: nothing there, a CSV file that is none, a bad id, or an id that two files have.
    """
    source = os.path.expanduser(source)
    if os.path.isfile(source) and source.lower().endswith(".csv"):
        rows = _csv_rows(source)
    else:
        rows = [{"video": path, "given": given} for path, given in _files(source, endings)]
    items = [_item(row, id_from) for row in rows]
    _check_ids(items)
    return sorted(items, key=lambda item: item.id)


def read_ratings(path, items):
    """The Ratings of --segments_csv; its column `video` has ids, or paths as the input has them.

    Raises:
        UserError: the file cannot be read, a line that is no rating, or a video that is not in the input.
    """
    path = os.path.expanduser(path)
    header, *lines = _lines(path) or [[]]
    if not set(_RATINGS) <= set(header):
        raise UserError(f"{path}: its first line is {','.join(header)[:80]!r}. Begin it with {','.join(_RATINGS)}.")
    names = {}
    for item in items:
        names |= {item.given: item.id, os.path.abspath(item.path): item.id}
    names |= {item.id: item.id for item in items}
    ratings = []
    for number, line in enumerate(lines, 2):
        row = dict(zip(header, line))
        video = row.get("video", "")
        known = names.get(video) or names.get(os.path.abspath(os.path.join(os.path.dirname(path), video)))
        if known is None:
            raise UserError(f"{path} line {number}: video {video!r} is not in --input_videos. Use an id or a path of it.")
        ratings.append(_rating(row, known, f"{path} line {number}"))
    return ratings


def _rating(row, id_, where):
    try:
        start, score = float(row["start"]), float(row["score"])
    except (KeyError, ValueError):
        raise UserError(f"{where}: start and score must be numbers, as in clip,15,Skateboard,1.") from None
    if score not in (0, 1) or start != int(start) or start < 0 or not row["label"].strip():
        raise UserError(f"{where}: {','.join(row.values())}: start must be whole seconds, label a class, score 0 or 1.")
    return Rating(id_, int(start), row["label"].strip(), score)


def _files(source, endings):
    """(path, path as it is called) of a folder's, a glob's or the one file."""
    if os.path.isdir(source):
        paths = sorted(
            os.path.join(folder, name)
            for folder, names in _folders(source)
            for name in names
            if os.path.splitext(name)[1].lower() in endings and not name.startswith(".")
        )
        if not paths:
            raise UserError(
                f"--input_videos={source}: no video or sound in this folder. It looks for {' '.join(sorted(endings))}."
            )
        return [(path, os.path.relpath(path, source)) for path in paths]
    if os.path.exists(source):
        return [(source, os.path.basename(source))]
    paths = sorted(path for path in glob.glob(source, recursive=True) if not os.path.isdir(path))
    if not paths:
        raise UserError(f"--input_videos={source}: no such folder or file, and no file matches. Check the path.")
    base = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [(path, os.path.relpath(path, base or ".")) for path in paths]


def _folders(source):
    """Yields (folder, names of its files) of a folder and of all in it, each once; those that links lead to come last."""

    def refuse(error):
        raise UserError(
            f"--input_videos={source}: cannot read its folder {error.filename} ({error.strerror}). Mend its permissions, or move "
            "it away."
        )

    seen, starts = set(), [source]
    for start in starts:
        for folder, folders, names in os.walk(start, onerror=refuse):
            here = os.path.realpath(folder)
            if here in seen:
                folders.clear()
                continue
            seen.add(here)
            yield folder, names
            links = [path for name in sorted(folders) if os.path.islink(path := os.path.join(folder, name))]
            starts += [path for path in links if not _is_in(here, os.path.realpath(path))]  # a link upwards would be a loop


def _is_in(path, folder):
    """Whether a path is a folder or below it; both without links."""
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _csv_rows(path):
    """The lines of a CSV file as dicts; without a header it is the starter's form, path and labels."""
    lines = _lines(path)
    if lines and "video" in lines[0]:
        header, *lines = lines
        unknown = [name for name in header if name not in _HEADER]
        if unknown:
            raise UserError(f"{path}: column {unknown[0]!r} is unknown. Use {', '.join(_HEADER)}.")
        first = 2
    else:
        header, first = _HEADER[:2], 1
    rows = []
    for number, line in enumerate(lines, first):
        row = dict(zip(header, (value.strip() for value in line)))
        if len(line) > len(header) or not row.get("video"):
            raise UserError(f"{path} line {number}: {','.join(line)[:80]!r} is not {','.join(header)}. Quote texts with commas.")
        row["given"] = row["video"]
        row["video"] = os.path.join(os.path.dirname(path), os.path.expanduser(row["video"]))
        if row.get("id") and not ID.fullmatch(row["id"]):
            raise UserError(f"{path} line {number}: id {row['id']!r}: use 1 to 64 of A-Z a-z 0-9 _ and -.")
        rows.append(row)
    if not rows:
        raise UserError(f"--input_videos={path}: it names no video. Give a line for each, such as clip.mp4,Skateboard.")
    return rows


def _lines(path):
    """The lines of a CSV file that are not empty, as lists of texts."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return [line for line in csv.reader(io.StringIO(file.read(), newline="")) if line and any(line)]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}. Check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}. Give a CSV file in UTF-8.") from error


def _item(row, id_from):
    labels = tuple(dict.fromkeys(filter(None, (label.strip() for label in row.get("labels", "").split(";")))))
    id_ = row.get("id") or id_of(row["given"], id_from)
    return Item(row["video"], row["given"], id_, labels, row.get("split", ""))


def id_of(path, id_from="stem"):
    """The id of a file: its name without its ending, at most 64 of A-Z a-z 0-9 _ -; of a "path" with 8 digits of its SHA-256."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", os.path.splitext(os.path.basename(path))[0])
    if id_from == "stem":
        return stem[:64]
    return f"{stem[:55]}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def _check_ids(items):
    paths = {}
    for item in items:
        if item.id in paths:
            raise UserError(
                f"{paths[item.id]} and {item.path} have the same id {item.id}. Use --id_from=path, or a column id in a CSV."
            )
        paths[item.id] = item.path
