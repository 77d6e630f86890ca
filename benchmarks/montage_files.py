"""A folder of montages in YouTube-8M's native formats, with what is known of them.

  frame_level/train*.tfrecord              montages with video labels
  segments/rated/, segments/held_out/      the same with rated segments
  segments/test/                           without labels or ratings
  segments/test_ratings/                   the ratings of the test montages, without frames
  vocabulary.csv, segment_label_ids.csv, dataset.flags, truth.npz, montages.json (the last that is written)

truth.npz, of each montage (by its id) of every part: `ID.there` uint8 [S, segment classes], 1 where the class is there for more
than half of the segment; `ID.seconds` uint8 [T, segment classes], of the seconds' intervals; `ID.sources` the row of each
second's source in `source_ids`, -1 for none, `ID.filler` bool [T], the seconds that are fillers, and `ID.background`.
"""

import csv
import dataclasses
import glob
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import montages
import numpy as np

from yt8m.errors import UserError
from yt8m.files import replacing_folder, write_text
from yt8m.readers.labels import SEGMENT_LABEL_IDS_FILE
from yt8m.readers.records import decode_video_features, encode_video, write_shard
from yt8m.sample import vocabulary
from yt8m.sample.generator import AUDIO, RGB
from yt8m.sample.sample import record_of

VERSION = 2  # of the generator: another number makes new montages
MANIFEST = "montages.json"
_SHARD = 125  # montages at most
_PATHS = {
    "train_pattern": "frame_level/train*.tfrecord",
    "rated_pattern": "segments/rated/validate*.tfrecord",
    "held_out_pattern": "segments/held_out/validate*.tfrecord",
    "test_pattern": "segments/test/test*.tfrecord",
    "test_ratings_pattern": "segments/test_ratings/test*.tfrecord",
    "truth_file": "truth.npz",
    "vocabulary_file": "vocabulary.csv",
    "segment_label_ids_file": "segment_label_ids.csv",
}


@dataclass(frozen=True)
class Made:
    """Where the parts of a folder of montages are; patterns are globs of TFRecord shards.

    Attributes:
        folder: of all; key: its name, a digest of settings and sources.
        num_classes: label ids are below this; segment_classes: those that are rated, in the order of the truth's columns.
        train_pattern, rated_pattern, held_out_pattern, test_pattern, test_ratings_pattern: see above.
        truth_file, vocabulary_file, segment_label_ids_file: see above.
    """

    folder: str
    key: str
    num_classes: int
    segment_classes: tuple
    train_pattern: str
    rated_pattern: str
    held_out_pattern: str
    test_pattern: str
    test_ratings_pattern: str
    truth_file: str
    vocabulary_file: str
    segment_label_ids_file: str

    def truth(self):
        """{id: {"there", "seconds", "sources", "filler", "background": array}} of every montage."""
        known = {}
        with np.load(self.truth_file) as arrays:
            for name in arrays.files:
                id, _, what = name.partition(".")
                if what:
                    known.setdefault(id, {})[what] = arrays[name]
        return known


def read_sources(data):
    """The Sources in a folder of video-level shards (mean_rgb, mean_audio).

    Raises:
        UserError: there are none.
    """
    import tensorflow as tf

    paths = sorted(glob.glob(os.path.join(data, "*.tfrecord")))
    if not paths:
        raise UserError(f"--data={data}: no *.tfrecord there. Name a folder of YouTube-8M's video-level shards.")
    ids, labels, means = [], [], []
    for path in paths:
        of_shard = []
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            video = decode_video_features(record, ("mean_rgb", "mean_audio"), (RGB, AUDIO))
            ids.append(video.id)
            labels.append(video.labels)
            of_shard.append(np.concatenate([video.features["mean_rgb"], video.features["mean_audio"]]))
        means.append(np.array(of_shard, np.float32))
    return montages.Sources(ids, labels, np.concatenate(means))


def segment_label_ids():
    """YouTube-8M's 1,000 segment classes."""
    return [int(line) for line in SEGMENT_LABEL_IDS_FILE.read_text().split()[1:]]


def make_world(settings, sources):
    """The World of sources with YouTube-8M's segment classes."""
    return montages.World(settings, sources, segment_label_ids())


def ensure_montages(work, data, settings):
    """The Made montages of these settings in a work folder; made on first use, which is said on standard output.

    Raises:
        UserError: no shards in `data`, or a folder that cannot be written.
    """
    description = {"version": VERSION, "settings": dataclasses.asdict(settings), "data": _described(data)}
    folder = Path(work) / f"montages-{_digest(description)}"
    if not (folder / MANIFEST).is_file():
        print(f"Making {sum(settings.num_videos(split) for split in montages.SPLITS)} montages in {folder} (once).", flush=True)
        started = time.monotonic()
        with replacing_folder(folder) as unfinished:
            build(Path(unfinished), folder.absolute(), make_world(settings, read_sources(data)), description, names_beside(data))
        print(f"Made in {time.monotonic() - started:.0f} s.", flush=True)
    return read(folder)


def read(folder):
    """The Made montages in a folder."""
    folder = Path(folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    paths = {key: str(folder / value) for key, value in _PATHS.items()}
    return Made(str(folder), folder.name, manifest["num_classes"], tuple(manifest["segment_classes"]), **paths)


def settings_of(made):
    """{name: value}: the montages.Settings that Made montages were made from."""
    return json.loads((Path(made.folder) / MANIFEST).read_text(encoding="utf-8"))["settings"]


def build(folder, place, world, description, names):
    """Writes all files; the manifest is the last.

    Args:
        folder: Path of an empty folder.
        place: Path of the folder that it will be.
        world: montages.World.
        description: what the manifest says of settings and data.
        names: {label id of the records: class name}.
    """
    truth, counts = {"source_ids": np.array(world.ids)}, np.zeros(len(world.label_ids), int)
    for split in montages.SPLITS:
        total = world.settings.num_videos(split)
        size = min(_SHARD, max(total // 4, 1))  # EM holds some shards out
        for shard, start in enumerate(range(0, total, size)):
            count = min(size, total - start)
            videos = [montages.make_montage(world, split, start + index) for index in range(count)]
            for video in videos:
                _know(truth, world, video)
                if split == "train":
                    counts[video.labels] += 1
            _write_shards(folder, split, shard, videos)
    np.savez_compressed(folder / _PATHS["truth_file"], **truth)
    _write_tables(folder, place, world, counts, names)
    manifest = {"num_classes": len(world.label_ids), "segment_classes": world.segment_classes.tolist(),
                "label_ids": world.label_ids.tolist(), **description}  # fmt: skip
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")


def names_beside(data):
    """Class names of a vocabulary.csv in the folder of the shards or the one above, {label id: name}; {} without one."""
    for folder in (Path(data), Path(data).parent):
        path = folder / "vocabulary.csv"
        if path.is_file():
            with open(path, newline="", encoding="utf-8") as file:
                return {int(row["Index"]): row["Name"] for row in csv.DictReader(file)}
    return {}


def _know(truth, world, video):
    classes = world.segment_classes
    truth[f"{video.id}.there"] = video.there[:, classes].astype(np.uint8)
    seconds = np.zeros((len(video.entities), len(classes)), np.uint8)
    shown = video.entities >= 0
    rows = np.where(shown, video.sources[video.entities], -1)
    seconds[shown] = world.has[rows[shown]][:, classes]
    truth[f"{video.id}.seconds"] = seconds
    truth[f"{video.id}.sources"] = rows.astype(np.int32)
    truth[f"{video.id}.filler"] = video.filler
    truth[f"{video.id}.background"] = np.int32(video.background)


def _write_shards(folder, split, shard, videos):
    def path(key):
        return folder / _PATHS[key].replace("*", f"{shard:04d}")

    known = split != "test"
    write_shard(path(f"{split}_pattern"), [encode_video(record_of(video, known, known)) for video in videos])
    if not known:
        write_shard(path("test_ratings_pattern"), [encode_video(record_of(video, True, False, frames=False)) for video in videos])


def _write_tables(folder, place, world, counts, names):
    ids = "".join(f"{label}\n" for label in world.segment_classes)
    write_text(folder / _PATHS["segment_label_ids_file"], "Index\n" + ids)
    with open(folder / _PATHS["vocabulary_file"], "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(vocabulary.COLUMNS)
        for label, (count, original) in enumerate(zip(counts, world.label_ids.tolist())):
            name = names.get(original) or f"YouTube-8M class {original}"
            writer.writerow((label, count, f"/yt8m/{original}", name, "", "", "", "", ""))
    flags = {"feature_names": "rgb,audio", "feature_sizes": f"{RGB},{AUDIO}", "num_classes": len(world.label_ids)}
    for flag, key in (("train_data_pattern", "train_pattern"), ("rated_data_pattern", "rated_pattern"),
                      ("eval_data_pattern", "held_out_pattern"), ("segment_label_ids_file", "segment_label_ids_file"),
                      ("vocabulary_file", "vocabulary_file")):  # fmt: skip
        flags[flag] = place / _PATHS[key]
    lines = ["--frame_features", *(f"--{name}={value}" for name, value in flags.items())]
    write_text(folder / "dataset.flags", "\n".join(lines) + "\n")


def _described(data):
    return [[os.path.basename(path), os.path.getsize(path)] for path in sorted(glob.glob(os.path.join(data, "*.tfrecord")))]


def _digest(description):
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:10]
