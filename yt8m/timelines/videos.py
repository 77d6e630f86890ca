"""videos.csv, which the feature extractor writes: where the videos lie, and how long they are."""

import csv
import glob
import io
import math
import os
from typing import NamedTuple

from yt8m.errors import UserError

NAME = "videos.csv"


class VideoFile(NamedTuple):
    """A video's file.

    Attributes:
        path: of the file, absolute; "" is not known.
        duration: seconds; None: is not known.
    """

    path: str = ""
    duration: float | None = None


def read(path):
    """{video id: VideoFile} of a CSV file with the column `id`, and `path` and `duration` where they are known.

    Paths are relative to the CSV's folder, or, where there is no such file, to the current one. The extractor writes `?` for a
    byte of a name that is no UTF-8: where there is no file of that name, the path is that of the only one which is so written.

    Raises:
        UserError: the file cannot be read, or is no such file.
    """
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(io.StringIO(file.read(), newline=""))
            return {row["id"]: VideoFile(_path(folder, row.get("path")), _duration(row.get("duration"))) for row in rows}
    except OSError as error:
        raise UserError(f"--videos_csv={path}: cannot be read ({error.strerror}). Check the path.") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--videos_csv={path}: not a CSV with the columns id, path and duration ({reason}). Mend it.") from error


def _path(folder, path):
    if not path:
        return ""
    places = os.path.join(folder, path), os.path.abspath(path)
    found = next(filter(os.path.exists, places), None) or next(filter(None, map(_written_as, places)), None)
    return found or places[0]


def _written_as(path):
    """The only file that is written as `path` where `?` stands for bytes that are no UTF-8; None: there is none, or several."""
    if "?" not in path:
        return None
    places = glob.glob(glob.escape(path).replace("[?]", "?"))
    found = [place for place in places if _in_utf8(place) == _in_utf8(path)]
    return found[0] if len(found) == 1 else None


def _in_utf8(path):
    return path.encode("utf-8", "replace")


def _duration(text):
    if not text:
        return None
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"duration={text}")
    return seconds
