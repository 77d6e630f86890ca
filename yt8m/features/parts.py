"""What is kept of each file between runs, its frames and what they were made of: a run that was stopped goes on."""

import dataclasses
import hashlib
import json
import os

import numpy as np

from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.features.extraction import Facts
from yt8m.files import write_text
from yt8m.readers.framing import AFTER, BEFORE
from yt8m.readers.records import Video, decode_video, encode_video, write_shard

FOLDER = "parts"
_FACTS = {
    "duration": jsonfiles.Number(),
    "frames": jsonfiles.Integer(1),
    "width": jsonfiles.Integer(0),
    "height": jsonfiles.Integer(0),
    "has_audio": jsonfiles.Boolean(),
    "decode_errors": jsonfiles.Integer(0),
}
_FIELDS = {
    "source": jsonfiles.Object(),
    "sha256": jsonfiles.Text("[0-9a-f]{64}"),
    "sizes": jsonfiles.Object(),
    "facts": jsonfiles.Object(_FACTS),
}


def save(folder, id_, extracted):
    """Keeps an Extracted: the record first, then what says that it is whole.

    Raises:
        UserError: it cannot be written.
    """
    record = encode_video(Video(id_, extracted.frames, np.zeros(0, np.int64)))
    write_shard(_path(folder, id_, "tfrecord"), [record])
    entry = {
        "source": extracted.source,
        "sha256": hashlib.sha256(record).hexdigest(),
        "sizes": {name: values.shape[1] for name, values in extracted.frames.items()},
        "facts": dataclasses.asdict(extracted.facts),
    }
    write_text(_path(folder, id_, "json"), json.dumps(entry, indent=1, sort_keys=True) + "\n")


def facts(folder, id_, source):
    """The Facts of a part that was made of this source, or None."""
    entry = _entry(folder, id_)
    if not entry or entry["source"] != source or not os.path.isfile(_path(folder, id_, "tfrecord")):
        return None
    return Facts(**{name: entry["facts"][name] for name in _FACTS})


def frames(folder, id_):
    """The frames of a part: {feature: uint8 [N, size]}.

    Raises:
        UserError: it is damaged.
    """
    entry, path = _entry(folder, id_), _path(folder, id_, "tfrecord")
    with open(path, "rb") as file:
        record = file.read()[BEFORE:-AFTER]
    if not entry or hashlib.sha256(record).hexdigest() != entry["sha256"]:
        raise UserError(f"{path}: damaged. Delete it, and the same command makes it anew.")
    return decode_video(record, tuple(entry["sizes"]), tuple(entry["sizes"].values())).frames


def _entry(folder, id_):
    """What is kept beside a part, or None where there is nothing or it is damaged: the part is made anew then."""
    try:
        return jsonfiles.read(_path(folder, id_, "json"), _FIELDS, "Delete it", missing=None)
    except (UserError, OSError):
        return None


def _path(folder, id_, ending):
    return os.path.join(folder, FOLDER, f"{id_}.{ending}")
