"""The built-in sample: a small made-up dataset in YouTube-8M's native formats, made on first use and kept.

`yt8m sample` makes others. How the videos are made: yt8m/sample/generator.py. The cache folder is $YT8M_CACHE, else
$XDG_CACHE_HOME/yt8m, else ~/.cache/yt8m. DIR/sample.json lists what is in the folder.
"""

import collections
import contextlib
import csv
import dataclasses
import hashlib
import json
import os
import time
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yt8m.errors import UserError
from yt8m.files import replacing_folder
from yt8m.progress import Progress
from yt8m.sample import vocabulary
from yt8m.sample.generator import RGB, SPLITS, Settings, World, make_video
from yt8m.segments import SEGMENT_SIZE, dequantise

VERSION = 1  # of the generator: another number makes a new sample
MANIFEST = "sample.json"
SIZES = {
    "small": Settings(),
    "medium": Settings(
        num_train_videos=5000,
        num_rated_videos=2000,
        num_held_out_videos=1500,
        num_test_videos=1000,
        num_classes=108,
        num_segment_classes=44,
        mean_frames=60,
    ),
    "large": Settings(
        num_train_videos=40_000,
        num_rated_videos=20_000,
        num_held_out_videos=10_000,
        num_test_videos=10_000,
        num_classes=3862,
        num_segment_classes=1000,
        mean_frames=230,
        visual_dims=128,
        audio_dims=32,
    ),
}
_SHARD = 125  # videos
# Attribute of Sample -> where in the folder.
_PATHS = {
    "train_pattern": "frame_level/train*.tfrecord",
    "rated_pattern": "segments/rated/validate*.tfrecord",
    "held_out_pattern": "segments/held_out/validate*.tfrecord",
    "test_pattern": "segments/test/test*.tfrecord",
    "test_ratings_pattern": "segments/test_ratings/test*.tfrecord",
    "video_train_pattern": "video_level/train*.tfrecord",
    "video_validate_pattern": "video_level/validate*.tfrecord",
    "segment_label_ids_file": "segment_label_ids.csv",
    "vocabulary_file": "vocabulary.csv",
    "truth_file": "truth.npz",
    "oracle_file": "oracle.npz",
}
_FRAMES_OF = {"train": "train_pattern", "rated": "rated_pattern", "held_out": "held_out_pattern", "test": "test_pattern"}
_MEANS_OF = {"train": "video_train_pattern", "held_out": "video_validate_pattern"}


@dataclass(frozen=True)
class Sample:
    """Where the parts of a made sample are, and what there is to reach on it.

    Attributes:
        folder: of the sample; all paths below are in it. Patterns are globs of TFRecord shards.
        size: a name in SIZES, or "custom".
        version: of the generator.
        num_classes: label ids are below this.
        train_pattern: frame level, with video labels only.
        rated_pattern: frame level with rated segments, for fine-tuning.
        held_out_pattern: the same of other videos, for evaluation.
        test_pattern: frame level, without labels or ratings.
        test_ratings_pattern: ratings of the test videos, without frames, to score a submission with.
        video_train_pattern, video_validate_pattern: video level (mean_rgb, mean_audio) of the train and the held-out videos.
        segment_label_ids_file, vocabulary_file: as in YouTube-8M.
        truth_file: .npz, of each held-out and test video (by its id) uint8 [S, segment classes]: 1 where the class is there for
            more than half of the segment. S = ceil(T / 5); columns are in the order of segment_label_ids_file.
        oracle_file: the same shape, float32: the oracle's probabilities.
        held_out_chance_map, test_chance_map: MAP of a random order: mean over the classes of the positive share of ratings.
        held_out_oracle_map, test_oracle_map: MAP of the oracle over the rated pairs.
    """

    folder: str
    size: str
    version: int
    num_classes: int
    train_pattern: str
    rated_pattern: str
    held_out_pattern: str
    test_pattern: str
    test_ratings_pattern: str
    video_train_pattern: str
    video_validate_pattern: str
    segment_label_ids_file: str
    vocabulary_file: str
    truth_file: str
    oracle_file: str
    held_out_chance_map: float
    held_out_oracle_map: float
    test_chance_map: float
    test_oracle_map: float


def read_sample(folder):
    """The Sample in a folder.

    Raises:
        UserError: the folder holds none, or not the whole of it, or one of another version.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, files, numbers = manifest["version"], manifest["files"], manifest["sample"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: no manifest of a sample ({error}). Make one with yt8m sample.") from error
    if version != VERSION:
        raise UserError(f"{folder}: a sample of version {version}, not {VERSION}. Make it anew in another folder.")
    for name, size in files.items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise UserError(f"{folder / name}: missing or not its {size} bytes. Delete {folder} and make the sample again.")
    paths = {key: str(folder / value) for key, value in _PATHS.items()}
    return Sample(folder=str(folder), version=version, **paths, **numbers)


def ensure_sample(size="small", cache_dir=None, progress=True):
    """The built-in sample of a size; made on first use, which is said on standard output.

    Several processes may ask at once: each makes its own, and all use the one that was there first.

    Args:
        size: a name in SIZES.
        cache_dir: folder that holds samples; None: the user's cache folder.
        progress: show how far it is.

    Raises:
        UserError: an unknown size, or a folder that cannot be written.
    """
    if size not in SIZES:
        raise UserError(f"size={size!r}: use one of {', '.join(SIZES)}.")
    settings = SIZES[size]
    key = hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
    name = f"sample-v{VERSION}-{size}-{key}"
    folder = Path(cache_dir) / name if cache_dir else _in_user_cache(name)
    if folder.exists():
        with contextlib.suppress(UserError):
            return read_sample(folder)
    return make_sample(folder, settings, size, progress, replace=True)


def _in_user_cache(name):
    from yt8m.folders import cache_folder

    return cache_folder(name)


def make_sample(folder, settings, size="custom", progress=True, replace=False):
    """Makes a sample; the folder appears when all of it is there.

    Args:
        folder: must not exist, be empty, or hold the same sample, which is then returned.
        settings: Settings.
        size: what Sample.size says.
        progress: show how far it is.
        replace: a damaged sample at `folder` is replaced; one that is whole is left and returned.

    Returns:
        the Sample.

    Raises:
        UserError: the folder is not empty, or cannot be written.
    """
    folder = Path(folder).absolute()
    if folder.exists() and not replace and (not folder.is_dir() or any(folder.iterdir())):
        if not _is_made_with(folder, settings):
            raise UserError(f"{folder} is there already. Name a folder that does not exist.")
        print(f"{folder} is there already, made with the same settings.", flush=True)
        return read_sample(folder)
    print(f"Making the {size} built-in sample in {folder} (once).", flush=True)
    started = time.monotonic()
    with replacing_folder(folder, keep=_is_whole) as unfinished:
        _build(Path(unfinished), settings, size, progress)
    bytes_ = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"Made in {time.monotonic() - started:.0f} s, {bytes_ / 1e6:.0f} MB.", flush=True)
    return read_sample(folder)


def _is_made_with(folder, settings):
    """Whether a folder holds a whole sample of these settings, as a command leaves it that was killed in its last moment."""
    if not _is_whole(folder):
        return False
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest.get("settings") == json.loads(json.dumps(dataclasses.asdict(settings)))


def _is_whole(folder):
    """Whether a folder holds a sample: another process was first."""
    try:
        read_sample(folder)
    except UserError:
        return False
    return True


def _build(folder, settings, size, progress):
    """Writes all files of a sample; the manifest is the last."""
    from yt8m.sample.oracle import Oracle

    world = World(settings)
    oracle = Oracle(world)
    known = {"held_out": _Known(world), "test": _Known(world)}
    train_counts = np.zeros(settings.num_classes, int)
    total = sum(settings.num_videos(split) for split in SPLITS)
    with Progress("Making the sample", total, "videos", shown=progress) as making:
        for split in SPLITS:
            for shard, videos in enumerate(_shards(world, split)):
                if split == "train":
                    train_counts += np.bincount(np.concatenate([v.labels for v in videos]), minlength=settings.num_classes)
                if split in known:
                    known[split].add(videos, oracle)
                _write_shards(folder, split, shard, videos)
                making.advance(len(videos))
    _write_tables(folder, world, train_counts)
    for key, part in (("truth_file", "truth"), ("oracle_file", "oracle")):
        np.savez_compressed(folder / _PATHS[key], **getattr(known["held_out"], part), **getattr(known["test"], part))
    numbers = {"size": size, "num_classes": settings.num_classes}
    for split, of in known.items():
        numbers[f"{split}_chance_map"], numbers[f"{split}_oracle_map"] = of.chance_map(), of.oracle_map()
    _write_manifest(folder, settings, numbers)


def _shards(world, split):
    """Lists of MadeVideos, one a shard; the next one's are made meanwhile."""
    count, ahead = world.settings.num_videos(split), collections.deque()
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy lets other threads on while it draws numbers
        for start in range(0, count, _SHARD):
            shard = range(start, min(count, start + _SHARD))
            ahead.append([pool.submit(make_video, world, split, index) for index in shard])
            if len(ahead) > 1:
                yield [video.result() for video in ahead.popleft()]
        yield from ([video.result() for video in videos] for videos in ahead)


def _write_shards(folder, split, shard, videos):
    """The frame-level shard and, where there is one, its video-level shard and its ratings."""
    from yt8m.readers.records import encode_video, encode_video_features, write_shard

    def path(key):
        return folder / _PATHS[key].replace("*", f"{shard:04d}")

    known = split != "test"
    write_shard(path(_FRAMES_OF[split]), [encode_video(record_of(video, rated=known, labelled=known)) for video in videos])
    if not known:
        ratings = [record_of(video, rated=True, labelled=False, frames=False) for video in videos]
        write_shard(path("test_ratings_pattern"), [encode_video(video) for video in ratings])
    if split in _MEANS_OF:
        means = [dequantise(video.frames).mean(axis=0) for video in videos]
        write_shard(path(_MEANS_OF[split]), [
            encode_video_features(video.id, video.labels, {"mean_rgb": mean[:RGB], "mean_audio": mean[RGB:]})
            for video, mean in zip(videos, means)
        ])  # fmt: skip


def record_of(video, rated, labelled, frames=True):
    """A made video as it is written, a records.Video.

    Args:
        video: generator.MadeVideo, or what has its id, frames uint8 [T, 1152], labels and ratings.
        rated, labelled, frames: whether its ratings, its labels and its frames are written.
    """
    from yt8m.readers.records import Segments, Video

    segments = None
    if rated and video.ratings:
        starts, classes, scores = (np.array(column) for column in zip(*video.ratings))
        segments = Segments(starts, starts + SEGMENT_SIZE, classes, scores.astype(np.float32))
    features = {"rgb": video.frames[:, :RGB], "audio": video.frames[:, RGB:]} if frames else {}
    return Video(video.id, features, video.labels if labelled else np.zeros(0, np.int64), segments)


class _Known:
    """What is known of a split's videos: truth, the oracle's probabilities, and both MAPs."""

    def __init__(self, world):
        self.classes = world.segment_classes
        self.truth, self.oracle = {}, {}
        self.rated = {c: ([], []) for c in self.classes.tolist()}  # class -> scores of the oracle, ratings

    def add(self, videos, oracle):
        for video, probabilities in zip(videos, oracle.segments([video.frames for video in videos])):
            self.truth[video.id] = video.there[:, self.classes].astype(np.uint8)
            self.oracle[video.id] = probabilities[:, self.classes].astype(np.float32)
            for start, c, score in video.ratings:
                scores, ratings = self.rated[c]
                scores.append(np.float32(probabilities[start // SEGMENT_SIZE, c]))
                ratings.append(score)

    def chance_map(self):
        return float(np.mean([np.mean(ratings) for _, ratings in self.rated.values() if any(ratings)] or [0.0]))

    def oracle_map(self):
        return float(np.mean([_average_precision(*rated) for rated in self.rated.values() if any(rated[1])] or [0.0]))


def _average_precision(scores, ratings):
    """AP with equal scores taken as a whole: the oracle is often sure."""
    positives = np.sort(np.array(scores)[np.array(ratings) > 0])
    at_least = [len(values) - np.searchsorted(values, positives) for values in (positives, np.sort(scores))]
    return np.mean(at_least[0] / at_least[1])


def _write_tables(folder, world, train_counts):
    """segment_label_ids.csv and vocabulary.csv."""
    ids = "".join(f"{label}\n" for label in world.segment_classes)
    (folder / _PATHS["segment_label_ids_file"]).write_text("Index\n" + ids, encoding="utf-8")
    with open(folder / _PATHS["vocabulary_file"], "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(vocabulary.COLUMNS)
        for label, (name, topic, count) in enumerate(zip(world.names, world.topics, train_counts)):
            writer.writerow(vocabulary.row(label, count, name, topic))


def _write_manifest(folder, settings, numbers):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    manifest = {"version": VERSION, "sample": numbers, "settings": dataclasses.asdict(settings), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
