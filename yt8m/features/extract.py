"""From video and sound files to a folder of native frame-level shards; a run that was stopped goes on where it was."""

import dataclasses
import os

import numpy as np

from yt8m.errors import UserError
from yt8m.features import backbones, mediapipe, outputs, parts, processes, shards, vocabulary
from yt8m.features.decode import import_av
from yt8m.features.extraction import RAW, Settings, floats, source_of
from yt8m.features.extractor import Extractor, Failure, of_killed
from yt8m.features.inputs import ENDINGS, read_items, read_ratings
from yt8m.progress import Progress
from yt8m.readers.records import Segments, Video, encode_video
from yt8m.segments import SEGMENT_SIZE, quantise


@dataclasses.dataclass(frozen=True)
class Job:
    """What is asked for; the fields are the flags of `yt8m features`. from_mediapipe: the input is features.pb of MediaPipe."""

    input_videos: str
    output_dir: str
    backbone: str = "sketch"
    weights_dir: str | None = None
    whitening: str | None = None
    vocabulary: str | None = None
    extend_vocabulary: bool = False
    segments_csv: str | None = None
    id_from: str = "stem"
    split: str | None = None
    num_shards: int = 16
    num_workers: int = 1
    from_mediapipe: bool = False
    settings: Settings = dataclasses.field(default_factory=Settings)


@dataclasses.dataclass(frozen=True)
class Features:
    """What an extraction left.

    Attributes:
        folder: of shards, vocabulary and reports.
        videos: {id: extraction.Facts} of those that are in the shards.
        failed: [(path, reason)] of those that are not, and of ratings that were left out.
        skipped: [(path, reason)] of those that were left out as it was asked for.
        splits: {split: number of videos}.
        flags_file: path of dataset.flags.
    """

    folder: str
    videos: dict
    failed: list
    skipped: list
    splits: dict
    flags_file: str


def run(job, backbone=None):
    """Extracts the features of all files of the input.

    Args:
        job: Job.
        backbone: the Backbone of job.backbone, if there is one already.

    Returns:
        Features; its `failed` says which files gave none.

    Raises:
        UserError: bad input, a folder of other features, or a folder that cannot be written. What was done is kept.
    """
    outputs.check_folder(job.output_dir)
    if job.from_mediapipe:
        backbone, read, endings = mediapipe.MediaPipe(), mediapipe.convert, mediapipe.ENDINGS
    else:
        import_av()
        backbone, read, endings = backbone or backbones.build(job.backbone, job.weights_dir), None, ENDINGS
    items = read_items(job.input_videos, job.id_from, endings)
    asked = _Asked(job, items)
    _check_whitening(job, backbone)
    manifest = outputs.Manifest(job, backbone)
    outcomes = _extract(job, items, backbone, read)
    videos = {id_: facts for id_, facts in outcomes.items() if not isinstance(facts, Failure)}
    failures = [(item.path, outcomes[item.id]) for item in items if item.id not in videos]
    failed, skipped = ([(path, f.reason) for path, f in failures if f.skipped == kind] for kind in (False, True))
    failed += asked.check_ratings(videos)
    splits = {item.id: asked.split(item) for item in items if item.id in videos}
    if videos:
        whitening = _whitening(job, backbone, sorted(videos))
        sizes = {"rgb": whitening.size if whitening else backbone.SIZES["rgb"], "audio": backbone.SIZES["audio"]}
        vocabulary.write(job.output_dir, asked.vocabulary)
        shards.write(job.output_dir, splits, job.num_shards, lambda id_: asked.record(id_, whitening, videos[id_].frames))
        longest = max(facts.frames for facts in videos.values())
        outputs.write_flags(job.output_dir, sizes, asked.num_classes, set(splits.values()), longest)
        manifest.write(sizes)
    outputs.write_reports(job.output_dir, items, videos, failed + skipped)
    counts = {name: list(splits.values()).count(name) for name in sorted(set(splits.values()))}
    return Features(job.output_dir, videos, failed, skipped, counts, os.path.join(job.output_dir, outputs.FLAGS))


class _Asked:
    """What the user says of the files: labels, ratings, splits, checked before anything is decoded."""

    def __init__(self, job, items):
        self.folder = job.output_dir
        ratings = read_ratings(job.segments_csv, items) if job.segments_csv else []
        texts = [label for item in items for label in item.labels] + [rating.label for rating in ratings]
        self.vocabulary = vocabulary.resolve(job.output_dir, job.vocabulary, texts, job.extend_vocabulary)
        self._labels = {item.id: sorted({self.vocabulary.id_of(label, item.given) for label in item.labels}) for item in items}
        self._ratings = {}
        for rating in ratings:
            label = self.vocabulary.id_of(rating.label, f"{job.segments_csv}: {rating.id}")
            self._ratings.setdefault(rating.id, []).append((rating.start, label, rating.score))
        labels = [label for labels in self._labels.values() for label in labels]
        labels += [label for rows in self._ratings.values() for _, label, _ in rows]
        self.num_classes = self.vocabulary.num_classes(labels)
        self._shares = shards.parse_split(job.split or ("train:.8,validate:.1,test:.1" if labels else "test:1"))
        for item in items:
            if item.split:
                shards.check_name(item.split, item.given)
        self._items = {item.id: item for item in items}

    def split(self, item):
        """The name of an Item's split."""
        return item.split or shards.split_of(item.id, self._shares)

    def check_ratings(self, videos):
        """[(path, reason)] of ratings that end after their video."""
        wrong = []
        for id_ in sorted(self._ratings.keys() & videos.keys()):
            frames = videos[id_].frames
            late = [start for start, _, _ in self._ratings[id_] if start + SEGMENT_SIZE > frames]
            if late:
                reason = f"{len(late)} ratings left out: that at {late[0]} s ends after the video's {frames} s"
                wrong.append((self._items[id_].path, reason))
        return wrong

    def record(self, id_, whitening, count):
        """The serialized record of a video."""
        frames = parts.frames(self.folder, id_)
        if RAW in frames:
            frames = {"rgb": quantise(whitening.apply(floats(frames[RAW]))), "audio": frames["audio"]}
        rows = sorted(row for row in self._ratings.get(id_, ()) if row[0] + SEGMENT_SIZE <= count)
        segments = None
        if rows:
            starts, labels, scores = (np.array(column) for column in zip(*rows))
            segments = Segments(starts, starts + SEGMENT_SIZE, labels, scores.astype(np.float32))
        return encode_video(Video(id_, frames, np.array(self._labels[id_], np.int64), segments))


def _extract(job, items, backbone, read):
    """{id: Facts or Failure}: parts that are there already are kept."""
    fingerprint, outcomes, todo = backbone.fingerprint(), {}, []
    for item in items:
        facts = None
        if os.path.isfile(item.path):
            facts = parts.facts(job.output_dir, item.id, source_of(item.path, job.settings, fingerprint))
        if facts is None:
            todo.append(item)
        else:
            outcomes[item.id] = facts
    if outcomes:
        print(f"{len(outcomes)} of {len(items)} files were extracted before.", flush=True)
    workers = 1 if read else job.num_workers  # what is not decoded needs no processes; a single file that kills its own does
    threads = processes.threads_of(max(1, min(workers, len(todo))))
    work = Extractor(job.backbone, job.weights_dir, job.settings, fingerprint, threads, backbone, read)
    seconds = sum(facts.frames for facts in outcomes.values())
    with Progress("Extracting features", len(todo), "files") as progress:
        for item, outcome in processes.results(work, todo, workers, of_killed):
            if not isinstance(outcome, Failure):
                parts.save(job.output_dir, item.id, outcome)
                outcome = outcome.facts
                seconds += outcome.frames
            outcomes[item.id] = outcome
            progress.advance(note=f"{seconds:,} s of video")
    return outcomes


def _check_whitening(job, backbone):
    """Refuses, before anything is decoded, a --whitening that does not fit."""
    if not job.whitening:
        return
    if not backbone.NEEDS_WHITENING:
        raise UserError(f"--whitening={job.whitening}: {job.backbone} needs none. Leave it out.")
    from yt8m.features import whitening

    path, kept = os.path.expanduser(job.whitening), os.path.join(job.output_dir, outputs.WHITENING)
    whitening.load(path, backbone.fingerprint())
    if os.path.exists(kept) and outputs.sha256(kept) != outputs.sha256(path):
        raise UserError(f"--whitening={job.whitening}: {kept} is another. Use another --output_dir, or leave it out.")


def _whitening(job, backbone, ids):
    """The whitening of a backbone that needs one: the one named, the folder's, or one fitted to the parts; else None."""
    if not backbone.NEEDS_WHITENING:
        return None
    from yt8m.features import whitening

    fingerprint, kept = backbone.fingerprint(), os.path.join(job.output_dir, outputs.WHITENING)
    if job.whitening:
        named = whitening.load(os.path.expanduser(job.whitening), fingerprint)
        named.save(kept)
        return named
    if os.path.exists(kept):
        print(f"The whitening in {kept} is used again.", flush=True)
        return whitening.load(kept, fingerprint)
    sample = whitening.FrameSample()
    for id_ in ids:
        values = floats(parts.frames(job.output_dir, id_)[RAW])
        seconds = np.flatnonzero(sample.wants(id_, np.arange(len(values))))
        sample.add(id_, seconds, values[seconds])
    fitted = whitening.fit(sample.outputs(), fingerprint)
    fitted.save(kept)
    return fitted
