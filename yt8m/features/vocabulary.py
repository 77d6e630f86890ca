"""The classes of an extraction: given by a file or made of the labels' names, and kept beside the features."""

import csv
import io
import os

from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.readers.labels import read_vocabulary

FILE = "vocabulary.csv"


class Vocabulary:
    """Ids and names of classes.

    Attributes:
        names: {id: name}; empty: labels are ids, and nothing is known of them.
    """

    def __init__(self, names=()):
        self.names = dict(names)
        self._ids = {}
        for index, name in self.names.items():
            self._ids.setdefault(name, []).append(index)

    def id_of(self, label, where):
        """The class id of a label, an id or a name.

        Raises:
            UserError: no such class; `where` says what has the label.
        """
        if _is_id(label):
            if self.names and int(label) not in self.names:
                raise UserError(f"{where}: label {label} is not in the vocabulary. Use one of its ids or names.")
            return int(label)
        ids = self._ids.get(label, [])
        if len(ids) > 1:
            raise UserError(f"{where}: label {label!r} is the name of several classes, {ids}. Use an id.")
        if not ids:
            raise UserError(f"{where}: label {label!r} is not in the vocabulary. Correct it, or add it by --extend_vocabulary.")
        return ids[0]

    def num_classes(self, labels=()):
        """One more than the highest id, of the vocabulary and of labels; 0 without any."""
        return max([*self.names, *labels], default=-1) + 1


def resolve(folder, path, texts, extend):
    """The Vocabulary that is to be used.

    Args:
        folder: of the features, which may have a vocabulary of an earlier run.
        path: of --vocabulary, or None.
        texts: the labels as the user writes them.
        extend: whether new names are added behind the others.

    Raises:
        UserError: a vocabulary that contradicts the earlier one, or names beside ids without a vocabulary.
    """
    kept = os.path.join(folder, FILE)
    earlier = read_vocabulary(kept) if os.path.exists(kept) else {}
    names = {**earlier, **(read_vocabulary(os.path.expanduser(path)) if path else {})}
    _check_ids(names, path or kept)
    for index, name in earlier.items():
        if names[index] != name:
            raise UserError(
                f"--vocabulary={path}: class {index} is {names[index]!r}, and {kept} has {name!r}. Use another --output_dir."
            )
    ids = [text for text in texts if _is_id(text)]
    new = sorted(set(texts) - set(ids) - set(names.values()))
    if not names and new and ids:
        raise UserError(f"labels {ids[0]} and {new[0]!r}: ids beside names need a --vocabulary. Give one, or names alone.")
    if new and (not names or extend):
        names |= enumerate(new, max(names, default=-1) + 1)
    return Vocabulary(names)


def write(folder, vocabulary):
    """Keeps a Vocabulary with names beside the features.

    Raises:
        UserError: the file cannot be written.
    """
    if vocabulary.names:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("Index", "Name"), *sorted(vocabulary.names.items())])
        write_text(os.path.join(folder, FILE), text.getvalue())


def _check_ids(names, path):
    wrong = [index for index in names if not 0 <= index < 10**9]
    if wrong:
        raise UserError(f"{path}: Index {wrong[0]}: expected whole numbers from 0 up. Correct the file.")


def _is_id(label):
    return label.isascii() and label.isdecimal() and len(label) < 10
