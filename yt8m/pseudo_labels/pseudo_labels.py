"""Pseudo-labels from predictions: each class's best segments, and the worst ones of the same videos, as sidecars of the shards.

The predictions are a store of scores (inference.py --scores_output) or a submission (--submission_file), which has no scores.
See docs/methods/pseudo_labels.md.
"""

import dataclasses
import itertools
import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from yt8m.errors import UserError
from yt8m.readers import datasets, labels, records, sidecars, stores
from yt8m.readers.index import open_shard
from yt8m.scoring.submission import read_submission
from yt8m.scoring.topk import TopSegments

_SCORES_AT_A_TIME = 1 << 22
_PRIME, _FACTOR = 2**32 - 5, 2654435761  # the largest prime below 2**32, and a number that scatters rows over it


@dataclass(frozen=True)
class Selection:
    """Which segments become pseudo-labels.

    Attributes:
        top: positives a class at most: the best segments.
        negatives: negatives a class at most, from the videos that hold one of its positives; None: as many as positives.
        min_score: a positive's score is at least this, and never 0.
        soft: a positive's score is the stored one, not 1. A negative's is 0.
        video_labels_only: a positive's class is among its video's labels.
        seed: of the choice among the segments that a submission does not list.
    """

    top: int = 1000
    negatives: int | None = None
    min_score: float = 0.0
    soft: bool = False
    video_labels_only: bool = False
    seed: int = 0

    def __post_init__(self):
        for name, value, least in (("top", self.top, 1), ("negatives", self.negatives, 0), ("seed", self.seed, 0)):
            if value is not None and value < least:
                raise UserError(f"--{name}={value}: expected {least} or more.")
        if not 0 <= self.min_score <= 1:
            raise UserError(f"--min_score={self.min_score}: expected a score, 0 to 1.")


@dataclass(frozen=True, eq=False)
class ShardLabels:
    """The pseudo-labels of one shard; n of them as parallel arrays.

    Attributes:
        ids: the video of each record.
        rows: int64 [n], numbers of records.
        starts: int64 [n], seconds.
        labels: int64 [n], label ids.
        scores: float32 [n]; a negative's is 0.
    """

    ids: list
    rows: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


@dataclass
class Report:
    """What was written.

    Attributes:
        positives: label id -> count, for every class considered.
        negatives, videos, annotated_videos: counts.
        sidecar_bytes, feature_bytes: sizes of the sidecars and of the shards that they belong to.
        rated_positives, right_positives, rated_negatives, right_negatives: how many of them are rated, and as the raters say.
    """

    positives: dict
    negatives: int = 0
    videos: int = 0
    annotated_videos: int = 0
    sidecar_bytes: int = 0
    feature_bytes: int = 0
    rated_positives: int = 0
    right_positives: int = 0
    rated_negatives: int = 0
    right_negatives: int = 0

    @property
    def num_positives(self):
        """Over all classes."""
        return sum(self.positives.values())


# ---------------------------------------------------------------- from a store of scores


def from_store(store, files, label_ids, selection, id_feature="id"):
    """Chooses pseudo-labels by stored scores. Goes through the store twice; memory does not grow with it.

    Positives of a class are its `top` highest scores, negatives the lowest ones among the other segments of their videos.
    Equal scores: of positives the earlier segment is taken, of negatives any, in a fixed order scattered over the shards.

    Args:
        store: readers.stores.ScoreStore of segments.
        files: features shards, all of them in the store.
        label_ids: classes, all of them in the store.
        selection: Selection.
        id_feature: name of the id in the shards.

    Returns:
        An iterator of ShardLabels, one for each of the files in their order.

    Raises:
        UserError: a store of videos, a shard or class that it has not, scores of other videos than the shard's; no positive.
    """
    if store.config.kind != "segments":
        raise UserError(f"{store.folder} holds scores of {store.config.kind}; expected segments. Name a store of segments.")
    if store.config.segment_size != records.SEGMENT_SECONDS:
        seconds = f"{store.config.segment_size} seconds; expected {records.SEGMENT_SECONDS}"
        raise UserError(f"{store.folder} holds scores of segments of {seconds}. Score the shards again.")
    stored_ids = list(store.config.label_ids)
    missing = sorted(set(label_ids) - set(stored_ids))
    if missing:
        counts = f"{len(missing)} of {len(label_ids)} classes ({missing[0]}, ...) are none of its {len(stored_ids)}"
        raise UserError(f"{store.folder}: {counts}. Name the file that goes with it, or leave --segment_label_ids_file out.")
    unscored = [file for file in files if not store.has(file)]
    if unscored:
        counts = f"{len(unscored)} of {len(files)} shards have no scores in {store.folder} ({unscored[0]}, ...)"
        raise UserError(f"{counts}. Score them first: inference.py --scores_output={store.folder}.")
    scores = _Scores(store, files, label_ids, id_feature)
    positives = _positives(scores, selection)
    if not len(positives.rows):
        which = " of a label of its video" if selection.video_labels_only else ""
        bound = f"above 0 and at least --min_score={selection.min_score}"
        raise UserError(f"{store.folder}: no score{which} is {bound}, so there is no positive. Ask for less.")
    return _located(scores, positives, _negatives(scores, positives, selection), selection.soft)


class _Scores:
    """The scores of all shards. Iterating gives (number of the shard's first row, _ShardScores); `classes` is C."""

    def __init__(self, store, files, label_ids, id_feature):
        self.label_ids = np.array(label_ids, np.int64)
        self.classes = len(self.label_ids)
        column = {label: number for number, label in enumerate(store.config.label_ids)}
        self._columns = np.array([column[label] for label in self.label_ids.tolist()])
        self._store, self._files, self._id_feature = store, files, id_feature

    def __iter__(self):
        first = 0
        for file in self._files:
            ids, video_labels = _read_videos(file, self._id_feature)
            stored = self._store.read(file)
            rows = _numbers_of(ids, stored.ids, f"{self._store.folder}: its scores of {os.path.basename(file)}")
            yield first, _ShardScores(ids, video_labels, rows, stored.starts, stored, self._columns)
            first += len(rows)


@dataclass(frozen=True, eq=False)
class _ShardScores:
    """Scores of N segments: `ids` and `labels` of the shard's videos, `rows` int64 [N] the video of each, `starts` [N]."""

    ids: list
    labels: list
    rows: np.ndarray
    starts: np.ndarray
    stored: stores.StoredScores
    columns: np.ndarray

    def chunks(self, segments):
        """Yields (numbers int64 [n], scores float32 [n, C]) of some segments, in memory a part at a time."""
        step = max(1, _SCORES_AT_A_TIME // self.stored.values.shape[1])
        for begin in range(0, len(segments), step):
            part = segments[begin : begin + step]
            yield part, self.stored.scores(part)[:, self.columns]


@dataclass(frozen=True, eq=False)
class _Chosen:
    """(row, column) pairs with their scores, by rising row: rows int64 [n] of the whole store, columns int64, scores float32."""

    rows: np.ndarray
    columns: np.ndarray
    scores: np.ndarray

    @classmethod
    def of_classes(cls, found):
        """From each class's (rows, scores)."""
        rows = np.concatenate([rows for rows, _ in found])
        columns = np.repeat(np.arange(len(found)), [len(rows) for rows, _ in found])
        order = np.argsort(rows, kind="stable")
        return cls(rows[order], columns[order], np.concatenate([scores for _, scores in found])[order])

    def within(self, first, count):
        """Those of `count` rows from `first` on, which becomes row 0."""
        part = slice(*np.searchsorted(self.rows, [first, first + count]))
        return _Chosen(self.rows[part] - first, self.columns[part], self.scores[part])


def _positives(scores, selection):
    best = TopSegments(scores.classes, selection.top)
    label_map = labels.LabelMap(scores.label_ids)
    for first, shard in scores:
        carried = [label_map.columns(own) for own in shard.labels]
        for segments, values in shard.chunks(np.arange(len(shard.rows))):
            if selection.video_labels_only:
                carries = labels.multi_hot([carried[row] for row in shard.rows[segments]], scores.classes)
                values = np.where(carries > 0, values, -1)
            best.update(values, first + segments)
    found = (best.top(column) for column in range(scores.classes))
    kept = [(rows, own, (own > 0) & (own >= np.float32(selection.min_score))) for rows, own in found]
    return _Chosen.of_classes([(rows[keep], own[keep]) for rows, own, keep in kept])


def _negatives(scores, positives, selection):
    """The lowest scores of each class among the segments, without its positives, of the videos that hold one of these."""
    counts = np.bincount(positives.columns, minlength=scores.classes)
    limits = counts if selection.negatives is None else np.full(scores.classes, selection.negatives)
    worst = TopSegments(scores.classes, max(1, limits.max()))
    for first, shard in scores if limits.any() else ():
        own = positives.within(first, len(shard.rows))
        if not len(own.rows):
            continue
        wanted = np.zeros((len(shard.ids), scores.classes), bool)
        wanted[shard.rows[own.rows], own.columns] = True
        for segments, values in shard.chunks(np.flatnonzero(wanted.any(axis=1)[shard.rows])):
            values = np.where(wanted[shard.rows[segments]], -values, -np.inf)
            at = np.searchsorted(segments, own.rows)
            here = (at < len(segments)) & (segments[np.minimum(at, len(segments) - 1)] == own.rows)
            values[at[here], own.columns[here]] = -np.inf
            worst.update(values, _scattered(first + segments))
    found = []
    for column, limit in enumerate(limits):
        rows, values = worst.top(column)
        rows = _gathered(rows[np.isfinite(values)][:limit])
        found.append((rows, np.zeros(len(rows), np.float32)))
    return _Chosen.of_classes(found)


def _scattered(rows):
    """Row numbers in another order, one to one: quantised scores of 0 are many, and the first ones would all be of one shard."""
    if len(rows) and rows[-1] >= _PRIME:
        raise UserError(f"more than {_PRIME} segments in the shards. Make the pseudo-labels of fewer shards at a time.")
    return (rows.astype(np.uint64) * np.uint64(_FACTOR) % np.uint64(_PRIME)).astype(np.int64)


def _gathered(scattered):
    """The row numbers that _scattered made these of."""
    inverse = np.uint64(pow(_FACTOR, -1, _PRIME))
    return (scattered.astype(np.uint64) * inverse % np.uint64(_PRIME)).astype(np.int64)


def _located(scores, positives, negatives, soft):
    """Yields the ShardLabels of chosen rows."""
    for first, shard in scores:
        own = [chosen.within(first, len(shard.rows)) for chosen in (positives, negatives)]
        segments = np.concatenate([chosen.rows for chosen in own])
        columns = np.concatenate([chosen.columns for chosen in own])
        values = own[0].scores.clip(0, 1) if soft else np.ones(len(own[0].rows), np.float32)
        values = np.concatenate([values, own[1].scores])
        yield ShardLabels(shard.ids, shard.rows[segments], shard.starts[segments], scores.label_ids[columns], values)


def _numbers_of(ids, wanted, where):
    """int64 [N]: the record of each of the video ids `wanted` str [N], which come in runs of equal ones."""
    number = {id: record for record, id in enumerate(ids)}
    begins = np.flatnonzero(np.append(True, wanted[1:] != wanted[:-1])) if len(wanted) else np.zeros(0, np.int64)
    found = [number.get(id) for id in wanted[begins].tolist()]
    if None in found:
        unknown = wanted[begins[found.index(None)]]
        raise UserError(f"{where} are of video {str(unknown)!r}, which the shard has not. Name the data that was scored.")
    return np.repeat(np.array(found, np.int64), np.diff(np.append(begins, len(wanted))))


# ---------------------------------------------------------------- from a submission


def from_submission(path, files, label_ids, selection, id_feature="id", feature_names=("rgb",), feature_sizes=(1024,)):
    """Chooses pseudo-labels by the order of a submission's lines, one class in memory at a time.

    Positives of a class are the first `top` segments that are in the files, negatives whole segments of the same videos that
    the line does not name, chosen at random.

    Args:
        path: CSV file, see submission.read_submission.
        files: features shards.
        label_ids: classes; None: all that the submission lists.
        selection: Selection; without scores there is no `soft` and no `min_score`.
        id_feature: name of the id in the shards.
        feature_names, feature_sizes: features by which a video's seconds are counted.

    Returns:
        label ids, and an iterator of ShardLabels, one for each of the files in their order.

    Raises:
        UserError: an argument that needs scores; a bad submission, or one of other videos; a video twice in the files.
    """
    if selection.soft or selection.min_score:
        raise UserError("--submission_file has no scores: --soft and --min_score are for --scores. Leave them out.")
    videos = _Videos(files, id_feature, feature_names, feature_sizes)
    listed, found = [], []
    for label, segments in read_submission(path):
        if label_ids is None or label in label_ids:
            listed.append(label)
            found.append(_of_line(videos, label, segments.tolist(), selection, f"{path}, class {label}"))
    if not sum(positives for _, positives in found):
        raise UserError(f"{path}: none of its segments can be a positive in --data_pattern. Name the data that was scored.")
    numbers = np.concatenate([pairs[:, 0] for pairs, _ in found])
    starts = np.concatenate([pairs[:, 1] for pairs, _ in found])
    of_label = np.repeat(listed, [len(pairs) for pairs, _ in found])
    values = np.concatenate([np.arange(len(pairs)) < positives for pairs, positives in found]).astype(np.float32)
    return tuple(listed), videos.by_shard(numbers, starts, of_label, values)


def _of_line(videos, label, segments, selection, where):
    """The pseudo-labels of a class: int64 [n, 2] of (video, start), the positives first, and how many these are."""
    positives = {}
    for segment in segments:
        id, _, start = segment.rpartition(":")
        number, start = videos.number.get(id), int(start)
        if number is None or (selection.video_labels_only and label not in videos.labels[number]):
            continue
        if start >= videos.seconds[number]:
            raise UserError(
                f"{where}: {segment}, but the video has {videos.seconds[number]} seconds. Name the data that was scored."
            )
        positives[number, start] = None
        if len(positives) == selection.top:
            break
    numbers, named = sorted({number for number, _ in positives}), set(segments)
    whole = [
        (number, range(0, videos.seconds[number] - records.SEGMENT_SECONDS + 1, records.SEGMENT_SECONDS)) for number in numbers
    ]
    others = [(number, start) for number, starts in whole for start in starts if f"{videos.ids[number]}:{start}" not in named]
    count = min(len(positives) if selection.negatives is None else selection.negatives, len(others))
    chosen = np.random.default_rng([selection.seed, label]).choice(len(others), count, replace=False) if count else ()
    pairs = list(positives) + [others[index] for index in sorted(chosen)]
    return np.array(pairs, np.int64).reshape(-1, 2), len(positives)


class _Videos:
    """All videos of the files: `ids`, their `labels` and `seconds` in the files' order, and the `number` of an id in it."""

    def __init__(self, files, id_feature, feature_names, feature_sizes):
        self.ids, self.labels, self.seconds, self._first = [], [], [], [0]
        for file in files:
            ids, own = _read_videos(file, id_feature)
            self.ids += ids
            self.labels += [set(of_video.tolist()) for of_video in own]
            self.seconds += _each_record(file, lambda record: records.count_frames(record, feature_names, feature_sizes))
            self._first.append(len(self.ids))
        self.number = {id: number for number, id in enumerate(self.ids)}
        if len(self.number) < len(self.ids):
            twice = next(id for number, id in enumerate(self.ids) if self.number[id] != number)
            raise UserError(f"video {twice!r} is in --data_pattern more than once. Name each shard once.")

    def by_shard(self, numbers, starts, of_label, values):
        """Yields the ShardLabels of pairs whose videos are `numbers` int64 [n]."""
        order = np.argsort(numbers, kind="stable")
        numbers, starts, of_label, values = (array[order] for array in (numbers, starts, of_label, values))
        for first, end in itertools.pairwise(self._first):
            part = slice(*np.searchsorted(numbers, [first, end]))
            yield ShardLabels(self.ids[first:end], numbers[part] - first, starts[part], of_label[part], values[part])


# ---------------------------------------------------------------- reading and writing


def _read_videos(file, id_feature):
    """The ids (list of str) and labels (list of int64 arrays) of a shard's records."""
    videos = _each_record(file, lambda record: records.decode_context(record, id_feature))
    ids = [video.id for video in videos]
    if len(set(ids)) < len(ids):
        twice = next(id for number, id in enumerate(ids) if id in ids[:number])
        raise UserError(f"shard {file} has video {twice!r} more than once. Write it anew, each video once.")
    return ids, [video.labels for video in videos]


def _each_record(file, decode):
    """decode(record) of all records of a shard; an error names the record."""
    shard, values = open_shard(file), []
    for number in range(len(shard)):
        try:
            values.append(decode(shard.record(number)))
        except UserError as error:
            raise UserError(f"shard {os.path.basename(file)}, record {number}: {error}") from error
    return values


def write(folder, files, shard_labels, num_classes, label_ids, source, ratings=None):
    """Writes a sidecar for each shard, one without any label too. Older sidecars of these shards are removed first.

    Args:
        folder: of the sidecars.
        files: features shards.
        shard_labels: iterable of a ShardLabels for each.
        num_classes, label_ids, source: of sidecars.SidecarHeader.
        ratings: datasets.Ratings to compare with, or None.

    Returns:
        Report.

    Raises:
        UserError: see sidecars.write_sidecar.
    """
    header = sidecars.SidecarHeader("shard", 0, num_classes, tuple(label_ids), dense=False, source=source)
    rated = {}
    if ratings is not None:
        for id, *pair, score in zip(*(array.tolist() for array in dataclasses.astuple(ratings))):
            rated.setdefault(id, {})[tuple(pair)] = score
    report = Report({int(label): 0 for label in label_ids})
    sidecars.remove_sidecars(folder, files)
    for file, own in zip(files, shard_labels, strict=True):
        annotations = _by_video(own)
        own_header = dataclasses.replace(header, shard=os.path.basename(file), num_records=len(own.ids))
        report.sidecar_bytes += sidecars.write_sidecar(folder, own_header, zip(own.ids, annotations))
        report.feature_bytes += tf.io.gfile.stat(file).length
        _count(report, own.ids, annotations, rated)
    return report


def _by_video(shard):
    """records.Segments, or None, of each video of a ShardLabels."""
    order = np.lexsort((shard.labels, shard.starts, shard.rows))
    starts, of_label, scores = shard.starts[order], shard.labels[order], shard.scores[order]
    bounds = np.searchsorted(shard.rows[order], np.arange(len(shard.ids) + 1))
    parts = [slice(*bound) for bound in itertools.pairwise(bounds)]
    ends = starts + records.SEGMENT_SECONDS
    return [
        records.Segments(starts[part], ends[part], of_label[part], scores[part]) if part.start < part.stop else None
        for part in parts
    ]


def _count(report, ids, annotations, rated):
    """Adds a shard to a report."""
    report.videos += len(ids)
    for id, own in zip(ids, annotations):
        if own is None:
            continue
        report.annotated_videos += 1
        report.negatives += int((own.scores == 0).sum())
        for label in own.labels[own.scores > 0].tolist():
            report.positives[label] += 1
        if id not in rated:
            continue
        for start, label, score in zip(own.start_times.tolist(), own.labels.tolist(), own.scores.tolist()):
            rating = rated[id].get((start, label))
            if rating is not None and score > 0:
                report.rated_positives += 1
                report.right_positives += rating > 0
            elif rating is not None:
                report.rated_negatives += 1
                report.right_negatives += rating <= 0


def show(report, compared):
    """Prints a report; with `compared` also how the pseudo-labels agree with ratings."""
    table = Table(title="Pseudo-labels", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    counts = np.array(list(report.positives.values()))
    table.add_row("classes with positives", f"{np.count_nonzero(counts):,} of {len(counts):,}")
    table.add_row("positives", f"{report.num_positives:,}")
    table.add_row("a class: least, median, most", f"{counts.min():,}, {np.median(counts):,.0f}, {counts.max():,}")
    table.add_row("negatives", f"{report.negatives:,}")
    table.add_row("videos touched", f"{report.annotated_videos:,} of {report.videos:,}")
    table.add_row("bytes of the sidecars", f"{report.sidecar_bytes:,}")
    table.add_row("bytes of the features", f"{report.feature_bytes:,}")
    table.add_row("sidecars beside features", f"{report.sidecar_bytes / max(report.feature_bytes, 1):.3%}")
    if compared:
        for name in ("positives", "negatives"):
            rated, right = getattr(report, f"rated_{name}"), getattr(report, f"right_{name}")
            table.add_row(f"rated {name}", f"{rated:,}")
            table.add_row(f"precision of the {name}", f"{right / rated:.3f}" if rated else "none is rated")
    Console().print(table)


# ---------------------------------------------------------------- the command


def run(options):
    """Makes the sidecars that `yt8m pseudo-labels` was asked for; options: its options."""
    selection = Selection(**{name.name: getattr(options, name.name) for name in dataclasses.fields(Selection)})
    files = datasets.match_files(options.data_pattern)
    sidecars.check_destination(options.output_dir, files)
    ratings = None
    if options.eval_data_pattern:
        ratings = datasets.read_ratings(options.eval_data_pattern, options.id_feature, "eval_data_pattern")
    wanted = labels.read_label_ids(options.segment_label_ids_file) if options.segment_label_ids_file else None
    source = {"scores": options.scores or options.submission_file, **dataclasses.asdict(selection)}
    if options.scores:
        store = stores.open_store(options.scores)
        source["run"] = store.config.run
        label_ids = wanted or store.config.label_ids
        _check_classes(label_ids, options.num_classes)
        chosen = from_store(store, files, label_ids, selection, options.id_feature)
    else:
        spec = datasets.DataSpec(options.data_pattern, options.feature_names.split(","), _integers(options.feature_sizes))
        features = spec.feature_names, spec.feature_sizes
        label_ids, chosen = from_submission(options.submission_file, files, wanted, selection, options.id_feature, *features)
        _check_classes(label_ids, options.num_classes)
    report = write(options.output_dir, files, chosen, options.num_classes, label_ids, source, ratings)
    show(report, ratings is not None)
    print(
        f"Wrote {len(files)} sidecars to {options.output_dir}. Next, with the shards of rated segments as --train_data_pattern:"
    )
    flags = f"--pseudo_labels={options.output_dir} --pseudo_data_pattern='{options.data_pattern}' --pseudo_share=0.5"
    print(f"  python train.py --stage=finetune {flags} ...")


def _check_classes(label_ids, num_classes):
    if max(label_ids) >= num_classes:
        raise UserError(
            f"--num_classes={num_classes}: label id {max(label_ids)} was predicted. Use --num_classes={max(label_ids) + 1}."
        )


def _integers(text):
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"--feature_sizes={text}: expected integers, such as 1024,128.") from error
