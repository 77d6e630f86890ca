"""Label ids: which of them a model's columns stand for, and what they are called."""

import csv
import hashlib
import io
import os

import numpy as np

from yt8m.errors import UserError
from yt8m.files import replacing_path

DEFAULT_SEGMENT_LABEL_IDS_URL = "https://raw.githubusercontent.com/google/youtube-8m/master/segment_label_ids.csv"


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


def read_label_ids(path_or_url=DEFAULT_SEGMENT_LABEL_IDS_URL):
    """Label ids from a CSV file, one a line in its first column, under a header line (`Index`) or none.

    Args:
        path_or_url: a file; a http(s) address is fetched once, which is said on standard output, and cached.

    Returns:
        tuple of int, in the file's order.

    Raises:
        UserError: the file cannot be read or fetched; a line that is no id, or an id given twice.
    """
    rows = [row for row in _read_rows(_local(str(path_or_url))) if row]
    ids = []
    for number, row in enumerate(rows):
        text = row[0].strip()
        if text.isdecimal():
            ids.append(int(text))
        elif number:
            raise UserError(f"{path_or_url}: {text!r} is no label id. Give one non-negative integer a line.")
    if not ids:
        raise UserError(f"{path_or_url} holds no label id. Give one non-negative integer a line.")
    twice = [i for i in ids if ids.count(i) > 1] if len(set(ids)) < len(ids) else []
    if twice:
        raise UserError(f"{path_or_url} names label id {twice[0]} more than once. Remove the repetition.")
    return tuple(ids)


def read_vocabulary(path):
    """{label id: name} from the dataset's vocabulary.csv (columns `Index` and `Name`; an empty name becomes `label ID`).

    Raises:
        UserError: the file cannot be read, lacks one of the columns, or has an index that is no integer.
    """
    header, *rows = list(_read_rows(str(path))) or [[]]
    if "Index" not in header or "Name" not in header:
        raise UserError(f"{path} has no columns `Index` and `Name`; it has {header}. Give the dataset's vocabulary.csv.")
    index, name = header.index("Index"), header.index("Name")
    try:
        return {int(row[index]): row[name] or f"label {row[index]}" for row in rows if row}
    except (ValueError, IndexError) as error:
        raise UserError(f"{path} is not a vocabulary: {error}. Give the dataset's vocabulary.csv.") from error


def _read_rows(path):
    import tensorflow as tf  # paths may be remote (gs://...)

    try:
        with tf.io.gfile.GFile(path) as file:
            return list(csv.reader(io.StringIO(file.read(), newline="")))
    except (tf.errors.OpError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}. Check the path.") from error


def _local(path_or_url):
    if not path_or_url.startswith(("http://", "https://")):
        return path_or_url
    import keras

    from yt8m.folders import cache_folder

    folder = cache_folder("downloads")
    name = f"{hashlib.sha256(path_or_url.encode()).hexdigest()[:16]}.csv"
    if (folder / name).exists():
        return str(folder / name)
    print(f"Fetching {path_or_url} (cached in {folder}).", flush=True)
    with replacing_path(folder / name) as unfinished:
        try:
            keras.utils.get_file(fname=os.path.basename(unfinished), origin=path_or_url, cache_dir=str(folder), cache_subdir="")
        except Exception as error:  # urllib's, http's and the file system's many ways to fail
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"cannot fetch {path_or_url}: {reason}. Download the file yourself and give its path instead."
            ) from error
    return str(folder / name)


def _shortened(values):
    text = ", ".join(map(str, list(values)[:5]))
    return f"[{text}, ...]" if len(values) > 5 else f"[{text}]"
