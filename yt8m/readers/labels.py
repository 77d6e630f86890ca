"""Label ids: which of them a model's columns stand for, and what they are called."""

import csv
import functools
import io
import pathlib

import numpy as np

from yt8m.errors import UserError
from yt8m.readers import downloads

NUM_CLASSES = 3862  # of YouTube-8M
# The 1,000 segment classes among them. Source: YouTube-8M, research.google.com/youtube8m, segment_label_ids.csv.
SEGMENT_LABEL_IDS_FILE = pathlib.Path(__file__).parent / "segment_label_ids.csv"


class LabelMap:
    """Label ids to a model's columns: column j stands for `label_ids[j]`.

    Attributes:
        label_ids: int64 [C].
        size: C.
    """

    def __init__(self, label_ids):
        self.label_ids = np.array(label_ids, np.int64)
        if not len(self.label_ids) or self.label_ids.min() < 0 or len(set(self.label_ids.tolist())) < len(self.label_ids):
            raise UserError(f"label ids {_shortened(label_ids)}: expected one or more distinct ids from 0 up.")
        self.size = len(self.label_ids)
        self._columns = np.full(self.label_ids.max() + 1, -1)
        self._columns[self.label_ids] = np.arange(self.size)

    @classmethod
    def all(cls, num_classes):
        """Every label id below num_classes is its own column."""
        return cls(range(num_classes))

    @classmethod
    def segment_classes(cls, label_ids):
        """Columns for these ids only, in their order; other labels have none."""
        return cls(label_ids)

    def columns(self, labels):
        """The columns of label ids int64 [n]: int64 [n], -1 where a label has none."""
        labels = np.asarray(labels, np.int64)
        known = (labels >= 0) & (labels < len(self._columns))
        return np.where(known, self._columns[np.where(known, labels, 0)], -1)


def multi_hot(columns, num_columns, out=None):
    """float32 [B, num_columns], 1 at each row's columns; `columns` is a list of B integer arrays, -1 marks nothing.

    `out`: zeros of that shape to fill instead of new ones.
    """
    hot = np.zeros((len(columns), num_columns), np.float32) if out is None else out
    if len(columns):
        rows, flat = np.repeat(np.arange(len(columns)), [len(c) for c in columns]), np.concatenate(columns).astype(np.int64)
        hot[rows[flat >= 0], flat[flat >= 0]] = 1
    return hot


def read_label_ids(path_or_url):
    """Label ids from a CSV file, one a line in its first column, under a header line (`Index`; without a digit) or none.

    Args:
        path_or_url: a file; a http(s) address is fetched once, which is said on standard output, and cached.

    Returns:
        tuple of int, in the file's order.

    Raises:
        UserError: the file cannot be read or fetched; a line that is no id, or an id given twice.
    """
    name = str(path_or_url)
    if downloads.is_address(name):
        return downloads.fetched(name, lambda text: _label_ids(text, name))
    return _label_ids(_read_text(name), name)


@functools.cache
def default_segment_label_ids(num_classes):
    """YouTube-8M's 1,000 segment classes where there are as many classes as it has, else None."""
    return read_label_ids(SEGMENT_LABEL_IDS_FILE) if num_classes == NUM_CLASSES else None


def _label_ids(text, name):
    """The ids in a file's text; `name`: what messages call it."""
    ids = []
    for number, row in enumerate(row for row in _rows(text, name) if row):
        field = row[0].strip()
        if field.isascii() and field.isdecimal() and len(field) < 19:
            ids.append(int(field))
        elif number or any(map(str.isdigit, field)):  # else a header
            raise UserError(f"{name}: {field[:40]!r} is no label id. Give one non-negative integer a line.")
    if not ids:
        raise UserError(f"{name} holds no label id. Give one non-negative integer a line.")
    twice = [i for i in ids if ids.count(i) > 1] if len(set(ids)) < len(ids) else []
    if twice:
        raise UserError(f"{name} names label id {twice[0]} more than once. Remove the repetition.")
    return tuple(ids)


def read_vocabulary(path):
    """{label id: name} of a CSV with columns Index and Name, as the dataset's vocabulary.csv; an empty name becomes `label ID`.

    Raises:
        UserError: the file cannot be read, lacks one of the columns, or has an index that is no integer.
    """
    header, *rows = _rows(_read_text(str(path)), path) or [[]]
    if "Index" not in header or "Name" not in header:
        raise UserError(f"{path} has no columns `Index` and `Name`; it has {header}. Give a CSV of classes that has them.")
    index, name = header.index("Index"), header.index("Name")
    try:
        return {int(row[index]): row[name] or f"label {row[index]}" for row in rows if row}
    except (ValueError, IndexError) as error:
        raise UserError(f"{path} is not a vocabulary: {error}. Give a CSV with a number and a name a class.") from error


def _read_text(path):
    import tensorflow as tf  # paths may be remote (gs://...)

    try:
        with tf.io.gfile.GFile(path) as file:
            return file.read().removeprefix("\ufeff")  # a byte-order mark
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}. Check the path.") from error


def _rows(text, name):
    """The lines of a CSV file's text, lists of its fields."""
    try:
        return list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise UserError(f"cannot read {name}: {error}. Give a CSV file.") from error


def _shortened(values):
    text = ", ".join(map(str, list(values)[:5]))
    return f"[{text}, ...]" if len(values) > 5 else f"[{text}]"
