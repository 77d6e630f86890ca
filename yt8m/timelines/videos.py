"""videos.csv, which the feature extractor writes: where the videos lie, and how long they are."""

import csv
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

    Paths are relative to the CSV's folder, or, where there is no such file, to the current one.

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
    beside, here = os.path.join(folder, path), os.path.abspath(path)
    return here if os.path.exists(here) and not os.path.exists(beside) else beside


def _duration(text):
    if not text:
        return None
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"duration={text}")
    return seconds
