"""The files a competition takes: ranked segments (`Class,Segments`) and video predictions (`VideoId,LabelConfidencePairs`)."""

import contextlib
import gzip
import io
import os
import re
import zlib

import numpy as np

from yt8m.errors import UserError
from yt8m.files import replacing
from yt8m.metrics.ranking import top_k_classes

SUBMISSION_HEADER = "Class,Segments"
VIDEO_HEADER = "VideoId,LabelConfidencePairs"
_LONGEST_SEGMENT = 256  # an array of ids takes the width of its longest
# A video's id in a CSV file of either kind: without what ends a field or a line, and not what a spreadsheet takes for a formula.
_ID = re.compile(r"""(?:[^\s\x00-\x1f\x7f,"'=+@-][^\s\x00-\x1f\x7f,"']*|-[\w-]*)""")
_ID_RULE = "without white space, commas, quotes and control characters, and beginning with none of = + @"


def check_id(name, what="segments"):
    """Refuses a video's id that cannot stand in a CSV file, before anything else is scored.

    Args:
        name: str.
        what: "segments": of which the file is, `<id>:<start>` each; or "videos".

    Raises:
        UserError: names it.
    """
    if not _ID.fullmatch(name):
        raise UserError(f"video id {_shown(name)} cannot stand in a CSV file: expected one {_ID_RULE}. Rename the video.")
    longest = _LONGEST_SEGMENT - len(":99999")
    if what == "segments" and len(name) > longest:
        raise UserError(
            f"video id {_shown(name)} has {len(name)} characters: at most {longest} can stand in a CSV file. Rename it."
        )


@contextlib.contextmanager
def _new(path):
    """An open text file that takes its name when the block ends without an error; compressed where the name ends in .gz."""
    if not os.fspath(path).endswith(".gz"):
        with replacing(path, "w") as file:
            yield file
        return
    with (
        replacing(path) as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file,
    ):
        yield file


def write_submission(path, class_ids, ranked, n=100_000):
    """Writes one line a class: `class,<id>:<start> <id>:<start> ...`.

    Args:
        path: the CSV file; it appears under this name only when it is complete, compressed where the name ends in .gz.
        class_ids: label id of each class.
        ranked: iterable of each class's segment ids by falling confidence, in the order of `class_ids`; read one class at a
            time. Lists or arrays of str; arrays are written several times faster than lists (not those of dtype object).
        n: segments written a class at most.

    Raises:
        UserError: the file cannot be written, a class is given twice, `ranked` has more or fewer classes than
            `class_ids`, or a segment id is not `<id>:<start>`.
    """
    class_ids = [int(c) for c in class_ids]
    repeated = {c for c in class_ids if class_ids.count(c) > 1} if len(set(class_ids)) < len(class_ids) else ()
    if repeated:
        raise UserError(f"class {min(repeated)} is given twice: give each class once.")
    count = 0
    with _new(path) as file:
        file.write(SUBMISSION_HEADER + "\n")
        for segment_ids in ranked:
            if count == len(class_ids):
                raise UserError(f"ranked segments of more than {len(class_ids)} classes: give as many as class ids.")
            file.write(f"{class_ids[count]},{_joined(segment_ids, n, class_ids[count]).decode()}\n")
            count += 1
        if count < len(class_ids):
            raise UserError(f"ranked segments of {count} classes, class ids of {len(class_ids)}: give as many as class ids.")


def read_submission(path, class_ids=None, n=None):
    """Yields (class id, segment ids as an array of str) line by line, with or without the header line.

    Args:
        path: the CSV file; one whose name ends in .gz is decompressed as it is read.
        class_ids: the label ids that may occur; by default any.
        n: segments of a class that are returned at most; by default all.

    Raises:
        UserError: the file cannot be read; or, with the line's number, a line is not `class,<id>:<start> <id>:<start> ...`,
            its class occurred before or is not one of `class_ids`.
    """
    known = None if class_ids is None else {int(c) for c in class_ids}
    seen = {}
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        if not line or (number == 1 and line.lower() == SUBMISSION_HEADER.lower().encode()):
            continue
        class_field, comma, segments = line.partition(b",")
        if not comma or not class_field.strip().isdigit():
            raise UserError(f"{where}: {_shown(line)} does not start with an integer class; expected `class,<id>:<start> ...`.")
        class_id = int(class_field)
        if class_id in seen:
            raise UserError(f"{where}: class {class_id} is on line {seen[class_id]} already; put its segments on one line.")
        if known is not None and class_id not in known:
            raise UserError(f"{where}: class {class_id} is not one of the {len(known)} segment classes; remove the line.")
        seen[class_id] = number
        yield class_id, _split(segments, where)[:n]


def read_label_ids(path):
    """The label ids that a file of ranked segments names, a list; a bad line is left to read_submission.

    Raises:
        UserError: the file cannot be read.
    """
    fields = (line.partition(b",")[0].strip() for _, line in _lines(path))
    return [int(field) for field in fields if field.isdigit()]


@contextlib.contextmanager
def write_video_predictions(path, class_ids=None, top_k=20):
    """Opens the starter code's CSV of video predictions: `id,label confidence label confidence ...`, by falling confidence.

    Example:
        with write_video_predictions("predictions.csv") as write:
            for batch in batches:
                write(batch["ids"], predict(batch))

    Args:
        path: the CSV file; it appears under this name only when the `with` block ends without an error, compressed where the name
            ends in .gz.
        class_ids: label id of each column of the predictions; by default the column's number.
        top_k: labels a video; equal confidences: lower column first.

    Yields:
        write(ids, predictions): ids str or bytes [B], predictions [B, C].

    Raises:
        UserError: the file cannot be written, or ids, predictions and class ids do not fit together.
    """
    if top_k < 1:
        raise UserError(f"top_k={top_k}: use 1 or more.")
    labels_of_columns = None if class_ids is None else np.asarray(class_ids)

    def write(ids, predictions):
        ids, predictions = np.asarray(ids), np.asarray(predictions)
        if predictions.ndim != 2 or ids.shape != predictions.shape[:1]:
            raise UserError(f"{ids.shape} ids and predictions of shape {predictions.shape}: expected [B] and [B, C].")
        if labels_of_columns is not None and len(labels_of_columns) != predictions.shape[1]:
            raise UserError(f"{len(labels_of_columns)} class ids for {predictions.shape[1]} predictions a video: give one each.")
        unusable = np.isnan(predictions).any(axis=1)
        if unusable.any():
            raise UserError(f"NaN among the predictions of video {_text(ids[unusable][0])}: check the model.")
        columns = top_k_classes(predictions, top_k)
        labels = columns if labels_of_columns is None else labels_of_columns[columns]
        confidences = np.take_along_axis(predictions, columns, axis=1)
        for video_id, its_labels, its_confidences in zip(ids.tolist(), labels.tolist(), confidences.tolist()):
            pairs = (f"{label} {confidence:g}" for label, confidence in zip(its_labels, its_confidences))
            name = _text(video_id)
            check_id(name, "videos")
            file.write(f"{name},{' '.join(pairs)}\n")

    with _new(path) as file:
        file.write(VIDEO_HEADER + "\n")
        yield write


def read_video_predictions(path):
    """Yields (video id, [(label id, confidence as it is written)]) line by line, of a file of write_video_predictions.

    Raises:
        UserError: the file cannot be read, or, with its number, a line is not `id,label confidence ...`.
    """
    for number, line in _lines(path):
        text = line.decode(errors="replace")
        if not text or (number == 1 and text == VIDEO_HEADER):
            continue
        video, comma, pairs = text.partition(",")
        fields = pairs.split()
        labels = fields[::2]
        if not comma or len(fields) % 2 or not all(label.isascii() and label.isdecimal() for label in labels):
            raise UserError(f"{path}, line {number}: {_shown(text)}: expected `id,label confidence label confidence ...`.")
        yield video, list(zip(map(int, labels), fields[1::2]))


def _lines(path):
    """(number from 1, line without its end) of a file, as bytes."""
    try:
        with gzip.open(path) if os.fspath(path).endswith(".gz") else open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(f"cannot read {path}: {reason}. Name a submission CSV file.") from error


def _joined(segment_ids, n, class_id):
    """The segments part of a line, as bytes; all checked. An array of str or bytes goes through numpy, far faster than a list."""
    segment_ids = segment_ids[:n] if isinstance(segment_ids, list) else np.asarray(segment_ids)[:n]
    line = _joined_array(segment_ids) if isinstance(segment_ids, np.ndarray) else None
    if line is None:
        segment_ids = segment_ids if isinstance(segment_ids, list) else segment_ids.tolist()
        if segment_ids and isinstance(segment_ids[0], bytes):
            segment_ids = [s.decode() for s in segment_ids]
        line = " ".join(segment_ids).encode()
    bounds = _plain_bounds(np.frombuffer(line, np.uint8))
    if bounds is None or len(bounds[0]) != len(segment_ids):
        for segment in segment_ids:
            if not _is_segment(_text(segment)):
                raise UserError(
                    f"segment {_shown(_text(segment))} of class {class_id}: expected `<id>:<start>`, the id {_ID_RULE}."
                )
    return line


def _joined_array(segment_ids):
    """The ASCII elements of a non-empty array of str or bytes with spaces in between, as bytes; None if it is anything else."""
    if segment_ids.dtype.kind not in "US" or not segment_ids.size:
        return None
    segment_ids = np.ascontiguousarray(segment_ids, segment_ids.dtype.newbyteorder("="))
    kind = np.uint32 if segment_ids.dtype.kind == "U" else np.uint8
    characters = segment_ids.view(kind).reshape(len(segment_ids), -1)  # [segments, width], zeros behind each element
    if characters.max() > 127 or np.any((characters[:, :-1] == 0) & (characters[:, 1:] != 0)):
        return None
    spaced = np.full((len(characters), characters.shape[1] + 1), ord(" "), np.uint8)
    spaced[:, :-1] = characters
    return spaced[spaced != 0][:-1].tobytes()


def _split(line, where):
    """The segment ids of a line as an array of str; all checked. The usual line goes through numpy, any other token by token."""
    segments = _split_plain(np.frombuffer(line, np.uint8))
    if segments is not None:
        return segments
    try:
        tokens = line.decode().split()
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not UTF-8 text ({error.reason}); expected `class,<id>:<start> ...`.") from error
    for token in tokens:
        if not _is_segment(token):
            raise UserError(f"{where}: {_shown(token)} is not a segment; expected `<id>:<start>`, with whole seconds.")
    return np.array(tokens, dtype=str)


def _split_plain(text):
    """`_split` of ASCII with single spaces and one colon a segment; None if it is anything else."""
    bounds = _plain_bounds(text)
    if bounds is None:
        return None
    starts, lengths = bounds
    width = lengths.max()
    padded = np.append(text, np.zeros(width, np.uint8))
    characters = np.lib.stride_tricks.sliding_window_view(padded, width)[starts].astype(np.uint32)  # [segments, width]
    characters *= np.arange(width) < lengths[:, None]
    return characters.view(f"U{width}")[:, 0]


def _among(characters):
    """bool [256], True at the bytes `characters`."""
    return np.isin(np.arange(256), list(characters))


_NEVER = ~_among(range(ord(" "), 127)) | _among(b",\"'")
_NEVER_FIRST = _among(b"=+@-")


def _plain_bounds(text):
    """(starts, lengths) of the segments in ASCII with single spaces and one colon a segment; None if it is anything else."""
    spaces = np.flatnonzero(text == ord(" "))
    colons = np.flatnonzero(text == ord(":"))
    if not len(text) or len(colons) != len(spaces) + 1 or _NEVER[text].any():
        return None
    starts, ends = np.append(0, spaces + 1), np.append(spaces, len(text))
    if np.any(colons <= starts) or np.any(colons + 1 >= ends) or (ends - starts).max() > _LONGEST_SEGMENT:
        return None
    if _NEVER_FIRST[text[starts]].any():
        return None
    for place in range(1, (ends - colons).max()):
        digits = text[np.minimum(colons + place, ends - 1)]
        if digits.min() < ord("0") or digits.max() > ord("9"):
            return None
    return starts, ends - starts


def _is_segment(text):
    video_id, _, start = text.rpartition(":")
    return len(text) <= _LONGEST_SEGMENT and bool(_ID.fullmatch(video_id)) and start.isascii() and start.isdigit()


def _shown(text):
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _text(video_id):
    return video_id.decode() if isinstance(video_id, bytes) else str(video_id)
