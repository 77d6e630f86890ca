"""What inference wrote, with the names of the classes: for people and spreadsheets, beside the file that a competition takes."""

import csv
import os

from yt8m.files import replacing
from yt8m.scoring.submission import read_submission, read_video_predictions

SEGMENT_COLUMNS = ("Class", "Name", "Rank", "Video", "Start")
VIDEO_COLUMNS = ("Video", "Class", "Name", "Confidence")


def named_path(path):
    """Where the names go: predictions.names.csv beside predictions.csv."""
    stem, ending = os.path.splitext(path)
    return f"{stem}.names{ending or '.csv'}"


def write(path, names, segments):
    """Writes a line a segment of each class, best first, or a line a class of each video.

    Args:
        path: CSV that inference wrote; named_path(path) is written.
        names: {label id: name}; a class that is not in it is called `label ID`.
        segments: whether it has segments, else video predictions.

    Returns:
        The path that was written.

    Raises:
        UserError: it cannot be written, or `path` cannot be read.
    """
    target = named_path(path)
    with replacing(target, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SEGMENT_COLUMNS if segments else VIDEO_COLUMNS)
        writer.writerows(_segments(path, names) if segments else _videos(path, names))
    return target


def _segments(path, names):
    for label, segment_ids in read_submission(path):
        name = _cell(names, label)
        for rank, segment in enumerate(segment_ids.tolist(), 1):
            video, _, start = segment.rpartition(":")
            yield label, name, rank, video, start


def _videos(path, names):
    for video, pairs in read_video_predictions(path):
        for label, confidence in pairs:
            yield video, label, _cell(names, label), confidence


def _cell(names, label):
    """A class's name on one line; with an apostrophe before what a spreadsheet would take for a formula."""
    name = " ".join(names.get(label, "").split()) or f"label {label}"
    return "'" + name if name[0] in "=+-@" else name
