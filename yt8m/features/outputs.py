"""What an extraction writes beside the shards: what the features are, flags for training, reports."""

import csv
import dataclasses
import hashlib
import io
import json
import os
import platform

import numpy as np

import yt8m
from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.features.backbones import located
from yt8m.features.decode import import_av
from yt8m.features.extraction import VERSION
from yt8m.features.origin import MANIFEST, WHITENING, YOUTUBE_8M
from yt8m.features.vocabulary import FILE as VOCABULARY
from yt8m.files import write_text

FLAGS, VIDEOS, FAILED = "dataset.flags", "videos.csv", "failed.csv"
_FORMAT = "yt8m-features"
_USUAL_LENGTH = 300  # frames of a video that are read where nothing is said


class Manifest:
    """features.json: what the features are, by which other folders of features, and models, can be compared with them.

    Raises:
        UserError: the folder has features of another backbone.
    """

    def __init__(self, job, backbone):
        self.job, self.path, self.fingerprint = job, os.path.join(job.output_dir, MANIFEST), backbone.fingerprint()
        fields = {"format": jsonfiles.Text(_FORMAT), "backbone": jsonfiles.Object()}
        earlier = jsonfiles.read(self.path, fields, "Name another --output_dir", missing=None)
        if earlier and earlier["backbone"] != self.fingerprint:
            raise UserError(
                f"--output_dir={job.output_dir} has features of {jsonfiles.shown(earlier['backbone'], 200)}, and --backbone is "
                f"{jsonfiles.shown(self.fingerprint, 200)}. Use another --output_dir."
            )
        if not earlier:
            self.write(None)

    def write(self, sizes):
        """Writes the file; sizes: {feature: bytes a frame}, None: not known yet."""
        whitening = os.path.join(self.job.output_dir, WHITENING)
        versions = {"yt8m": yt8m.__version__, "numpy": np.__version__, "python": platform.python_version()}
        if not self.job.from_mediapipe:
            versions["av"] = import_av().__version__
        values = {
            "format": _FORMAT,
            "version": VERSION,
            "backbone": self.fingerprint,
            "whitening": sha256(whitening) if os.path.exists(whitening) else None,
            "feature_sizes": sizes,
            "flags": self._flags(),
            "versions": versions,
        }
        write_text(self.path, json.dumps(values, indent=1, sort_keys=True) + "\n")

    def _flags(self):
        """What the job was told; paths of the backbone as they say the same in any folder."""
        if self.job.from_mediapipe:
            return {**dataclasses.asdict(self.job), "backbone": YOUTUBE_8M}
        weights_dir = self.job.weights_dir and os.path.abspath(os.path.expanduser(self.job.weights_dir))
        return {**dataclasses.asdict(self.job), "backbone": located(self.job.backbone), "weights_dir": weights_dir}


def check_folder(folder):
    """Raises a UserError for a folder that no data pattern can name."""
    wrong = [character for character in ",*?[" if character in os.path.abspath(folder)]
    if wrong:
        raise UserError(f"--output_dir={folder}: {wrong[0]!r} has a meaning in data patterns. Use a path without it.")


def write_flags(folder, sizes, num_classes, splits, longest):
    """Writes dataset.flags, for --flagfile of training.

    Args:
        folder: of the features, with vocabulary.csv if there is one.
        sizes: as Manifest.write's.
        num_classes: 0: not known.
        splits: names of those that have videos.
        longest: frames of the longest video, all of which shall be read.

    Returns:
        (path of the file, {flag: value} of what it says).
    """
    flags = {"feature_names": ",".join(sizes), "feature_sizes": ",".join(map(str, sizes.values()))}
    if num_classes:
        flags["num_classes"] = num_classes
    for flag, split in (("train_data_pattern", "train"), ("eval_data_pattern", "validate")):
        if split in splits:
            flags[flag] = os.path.join(os.path.abspath(folder), f"{split}-*.tfrecord")
    if os.path.exists(os.path.join(folder, VOCABULARY)):
        flags["vocabulary_file"] = os.path.join(os.path.abspath(folder), VOCABULARY)
    if longest > _USUAL_LENGTH:
        flags["max_frames"] = longest
    lines = ["--frame_features", *(f"--{name}={value}" for name, value in flags.items())]
    write_text(os.path.join(folder, FLAGS), "\n".join(lines) + "\n")
    return os.path.join(folder, FLAGS), {"frame_features": True, **flags}


def write_reports(folder, items, videos, failed):
    """Writes videos.csv of {id: Facts} and failed.csv of [(path, reason)]."""
    rows = [("id", "path", "duration", "frames", "width", "height", "has_audio", "decode_errors")]
    for item in items:
        if item.id in videos:
            facts = dataclasses.astuple(videos[item.id])
            rows.append((item.id, item.path, *(int(fact) if isinstance(fact, bool) else fact for fact in facts)))
    _write_csv(os.path.join(folder, VIDEOS), rows)
    _write_csv(os.path.join(folder, FAILED), [("path", "reason"), *failed])


def _write_csv(path, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue().encode("utf-8", "replace").decode())  # names of files may be no UTF-8


def sha256(path):
    """Of a file, as hex."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
