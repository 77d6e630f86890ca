"""Batches for training, evaluation and inference, as tf.data.

The order of the rows is a pure function of (files, seed): a generator yields arrays of row references, a parallel map loads
them through the record index. So a run resumes at any step by counting, without iterator state and without reading.
A row reference is (shard, record, start): int64, `start` the start time of a rated segment, 0 for whole videos.
"""

import contextlib
import dataclasses
import functools
import itertools
import os
import re
import sys

import numpy as np
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.metrics.segments import Ratings
from yt8m.readers import records
from yt8m.readers.index import index_shard, open_shard, version
from yt8m.readers.labels import LabelMap, multi_hot
from yt8m.readers.sidecars import open_sidecar, sidecar_path
from yt8m.readers.stores import open_store
from yt8m.segments import SEGMENT_SIZE, mean_features

_ALIGNMENT = 64  # TensorFlow takes over numpy memory without a copy when it is aligned so


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """What to read, and what one row of a batch is.

    Attributes:
        pattern: glob, or a comma-separated list of globs; gs:// and the like as TensorFlow allows.
        feature_names, feature_sizes: features of a record in the order of their concatenation, D = sum(feature_sizes).
        frame_features: the records are frame level (tf.train.SequenceExample), not video level (tf.train.Example).
        num_classes: label ids in the records must be below.
        label_ids: the model's columns stand for these ids only; None: column = label id, num_classes of them.
        only_videos_with_label_ids: leave out videos that carry none of label_ids.
        id_feature: name of the id in the record's context.
        max_frames: later frames of a video are not read (rated segments are, wherever they are).
        segment_labels: a row is a rated (video, start time), with its ratings; unrated videos give no row.
        segment_size: seconds (= frames) of a rated segment.
        segment_expansion: t more frames on both sides, as far as the video has them; T = segment_size + 2t.
        whole_videos: with segment_labels, a row is a rated video, whole, with the places of all its rated segments.
        context: the same, and the segments' own frames: `frames` are the segments', `context_frames` their videos'.
        all_segments: with segment_labels, every segment of a video counts (start times 0, 5, ...), rated or not.
        annotations: folder of sidecars (readers/sidecars.py) whose labels stand in for the records' ratings. Where these are
            dense, all_segments must be set: every pair then has weight 1.
        teachers: folders of score stores (readers/stores.py): `soft_labels` is the mean of their scores for each row.
        video_labels: with segment_labels, the labels of each row's video come along as `video_labels`.
        positive_ratings: `video_labels` holds the classes, too, that a segment of the video was rated positive for.
        fold: (k, n): leave out every n-th shard from the k-th on; with held_out: take these only.
        held_out: see fold.
        pad_frames: pad to T = max_frames always (static shapes, for XLA); else to the longest video of the batch.
        as_video_features: frame-level records for a video-level model: `features` is the mean of the real dequantised frames.
        pattern_flag: the flag that error messages call the pattern.
    """

    pattern: str
    feature_names: tuple[str, ...]
    feature_sizes: tuple[int, ...]
    frame_features: bool = True
    num_classes: int = 3862
    label_ids: tuple[int, ...] | None = None
    only_videos_with_label_ids: bool = False
    id_feature: str = "id"
    max_frames: int = 300
    segment_labels: bool = False
    segment_size: int = SEGMENT_SIZE
    segment_expansion: int = 0
    whole_videos: bool = False
    context: bool = False
    all_segments: bool = False
    annotations: str = ""
    teachers: tuple[str, ...] = ()
    video_labels: bool = False
    positive_ratings: bool = False
    fold: tuple[int, int] | None = None
    held_out: bool = False
    pad_frames: bool = False
    as_video_features: bool = False
    pattern_flag: str = "data_pattern"

    def __post_init__(self):
        for name in ("feature_names", "feature_sizes", "label_ids"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(getattr(self, name)))
        names, sizes = ",".join(self.feature_names), ",".join(map(str, self.feature_sizes))
        if not names or not len(set(self.feature_names)) == len(self.feature_names) == len(self.feature_sizes):
            raise UserError(f"--feature_names={names} --feature_sizes={sizes}: expected distinct names and a size for each.")
        if min(self.feature_sizes) < 1:
            raise UserError(f"--feature_sizes={sizes}: expected sizes of at least 1.")
        for name, least in (("num_classes", 1), ("max_frames", 1), ("segment_size", 1), ("segment_expansion", 0)):
            _check_least(name, getattr(self, name), least)
        if self.by_video and (not self.segment_labels or self.as_video_features or (self.whole_videos and self.context)):
            raise UserError("whole videos with their rated segments are for segment_labels and models of frames.")
        if (self.all_segments or self.annotations or self.video_labels) and not self.segment_labels:
            raise UserError("annotated segments, all segments and their videos' labels are for segment_labels.")
        if self.segment_labels and not self.frame_features:
            raise UserError("rated segments are read from frame-level records. Use --frame_features.")
        if self.label_ids is not None and self.label_map.label_ids.max() >= self.num_classes:
            raise UserError(f"label id {max(self.label_ids)} is not below --num_classes={self.num_classes}. Use a larger one.")
        if self.only_videos_with_label_ids and self.label_ids is None:
            raise UserError("only videos with the label ids were asked for, but no label ids were given. Give label_ids.")

    @property
    def label_map(self):
        """Label ids to columns."""
        return _label_map(self.label_ids, self.num_classes)

    @property
    def by_video(self):
        """Whether a row is a video with all its rated segments."""
        return self.whole_videos or self.context

    @property
    def dense(self):
        """Whether every class of every segment is annotated."""
        return bool(self.annotations) and self.all_segments

    @property
    def gives_frames(self):
        """Whether batches hold `frames` and `num_frames`, not `features`."""
        return self.frame_features and not self.as_video_features

    @property
    def num_frames(self):
        """T where it is the same for all batches, else None."""
        return self.window_size if self.segment_labels and not self.whole_videos else self.video_length

    @property
    def video_length(self):
        """T of whole videos where it is the same for all batches, else None."""
        return self.max_frames if self.pad_frames else None

    @property
    def window_size(self):
        """W, frames of a rated segment's window."""
        return self.segment_size + 2 * self.segment_expansion


def shards(spec):
    """The files that a spec reads: those of its pattern, or of its fold.

    Raises:
        UserError: no file, or fewer than two for each part of a fold.
    """
    files = match_files(spec.pattern, spec.pattern_flag)
    if spec.fold is None:
        return files
    index, count = spec.fold
    if not 0 <= index < count or count < 2:
        raise UserError(f"--folds={count} --fold={index}: expected 2 folds or more, and a fold from 0 to one below their number.")
    if len(files) < count:
        raise UserError(
            f"--folds={count}: --{spec.pattern_flag}='{spec.pattern}' has {len(files)} shards, and folds are made of whole "
            f"shards. Use --folds={len(files)} or fewer."
        )
    return [path for number, path in enumerate(files) if (number % count == index) == spec.held_out]


def match_files(pattern, flag="data_pattern"):
    """The files that a glob, or a comma-separated list of globs, names: sorted, each once.

    Raises:
        UserError: there is none.
    """
    files = set()
    for part in filter(None, map(str.strip, pattern.split(","))):
        try:
            found = tf.io.gfile.glob(part)
        except tf.errors.OpError:
            found = []
        if not found:
            raise UserError(f"no file matches --{flag}='{part}'. Give a path, or a glob such as 'folder/train*.tfrecord'.")
        files.update(found)
    if not files:
        raise UserError(f"no file matches --{flag}='{pattern}'. Give a path, or a glob such as 'folder/train*.tfrecord'.")
    return sorted(files)


def training_batches(spec, batch_size, seed, start_step=0, num_epochs=None, worker=(0, 1), num_parallel=2, shuffle_shards=16):
    """Shuffled batches without end, or for num_epochs; batches go on across the end of an epoch.

    Each epoch permutes the shards, and the rows within each group of `shuffle_shards` of them. A shard is indexed when its
    group's turn comes. Remote shards are held in memory, a group at a time.

    Args:
        spec: DataSpec.
        batch_size: rows of a global batch.
        seed: with the files, determines every batch.
        start_step: the first batch to give; what comes is identical to batches start_step, start_step + 1, ... of a run from 0.
        num_epochs: None for no end; only the very last batch may be smaller.
        worker: (i, n): of every global batch this worker's rows i::n. Where the last batch has fewer than n rows, some
            workers' are empty, so that all take the same number of steps.
        num_parallel: batches that are loaded at the same time.
        shuffle_shards: shards in a group.

    Returns:
        tf.data.Dataset of the batch dict: `ids` string [B]; `frames` uint8 [B, T, D] and `num_frames` int32 [B], or `features`
        float32 [B, D]; `labels` and `label_weights` float32 [B, C]; for rated segments `start_times` int32 [B]. With
        whole_videos there are N segments in a batch of B videos: `segment_rows` int32 [N], the video of each, `start_times`
        [N], `labels` and `label_weights` [N, C]. With context `frames` uint8 [N, W, D] and `num_frames` [N] are those of the
        segments, and the videos' are `context_frames` uint8 [B, T, D] and `context_num_frames` int32 [B]. As the spec asks:
        `video_labels`, `soft_labels` and `soft_weights`, float32 of the shape of `labels`.

    Raises:
        UserError: a bad argument, no file, or nothing to read in the files. What is found while reading arrives as a
            tf.errors.OpError: see errors_as_user_errors.
    """
    for name, value in (("batch_size", batch_size), ("shuffle_shards", shuffle_shards), ("num_parallel", num_parallel)):
        _check_least(name, value, 1)
    _check_least("seed", seed, 0)
    files = shards(spec)

    def references():
        rows = _shuffled_rows(spec, files, seed, num_epochs, start_step * batch_size, shuffle_shards)
        return _batched(rows, batch_size, worker)

    return _loaded(spec, files, references, num_parallel)


def evaluation_batches(spec, batch_size, worker=(0, 1), num_parallel=2):
    """Every row exactly once, in the order of the files; the last batch is smaller where it must be.

    Args, returns and raises: as training_batches.
    """
    _check_least("batch_size", batch_size, 1)
    files = shards(spec)

    def references():
        rows = (_shard_rows(spec, files, shard) for shard in range(len(files)))
        return _batched(_not_empty(rows, spec), batch_size, worker)

    return _loaded(spec, files, references, num_parallel)


def count_examples(spec):
    """Number of rows of an epoch. Indexes every shard; rated segments and filtered videos need every record's context.

    Raises:
        UserError: no file, a damaged shard or record, or no row at all.
    """
    files = shards(spec)
    return sum(len(rows) for rows in _not_empty((_shard_rows(spec, files, shard) for shard in range(len(files))), spec))


def blended(first, second):
    """Batches of both datasets joined row by row, the first one's rows first; ends when the first ends.

    Args:
        first, second: datasets of batch dicts with the same keys, as training_batches gives them; frames of whole videos are
            padded to the longer ones.

    Returns:
        tf.data.Dataset of batch dicts.
    """

    def join(a, b):
        joined = {}
        for key in a:
            x, y = a[key], b[key]
            if key == "segment_rows":
                y = y + tf.shape(a["ids"], out_type=y.dtype)[0]
            elif key in ("frames", "context_frames") and x.shape[1] is None:
                length = tf.maximum(tf.shape(x)[1], tf.shape(y)[1])
                x, y = (tf.pad(z, [[0, 0], [0, length - tf.shape(z)[1]], [0, 0]]) for z in (x, y))
            joined[key] = tf.concat([x, y], axis=0)
        return joined

    return tf.data.Dataset.zip(first, second).map(join)


def read_ratings(pattern, id_feature="id", pattern_flag="data_pattern"):
    """The ratings in the shards, read from the records' contexts alone (their frames may be missing).

    Returns:
        metrics.segments.Ratings; segment_ids str, classes int64, scores float32.

    Raises:
        UserError: no file, a damaged shard or record, or no rating at all.
    """
    ids, rated = [], []
    for path in match_files(pattern, pattern_flag):
        shard = open_shard(path)
        for number in range(len(shard)):
            with _naming(path, number):
                video = records.decode_context(shard.record(number), id_feature)
            if video.segments is not None:
                rated.append(video.segments)
                ids += [f"{video.id}:{start}" for start in video.segments.start_times.tolist()]
    if not rated:
        raise UserError(f"no rated segment in --{pattern_flag}='{pattern}': needs version-3 validate shards.")
    return Ratings(np.array(ids), np.concatenate([s.labels for s in rated]), np.concatenate([s.scores for s in rated]))


def user_error_from(error):
    """The UserError inside an exception, as it was or wrapped by TensorFlow; None where there is none."""
    while error is not None:
        if isinstance(error, UserError):
            return error
        found = re.search(r"^.*?\bUserError: (.+)$", str(error), re.MULTILINE)
        if found:
            return UserError(found[1].strip())
        error = error.__cause__
    return None


@contextlib.contextmanager
def errors_as_user_errors():
    """Within it, an error of TensorFlow's that a UserError caused (while a batch was read) becomes that UserError again."""
    try:
        yield
    except Exception as error:
        found = user_error_from(error)
        if found is None or found is error:
            raise
        raise found from None


# ---------------------------------------------------------------- which rows, in which order


def _shard_rows(spec, files, shard):
    """References int64 [n, 3] of a shard's rows, in the order of the file."""
    path = files[shard]
    if spec.segment_labels or spec.only_videos_with_label_ids:
        selected = _selected_rows(spec, path, version(path))
    else:
        numbers = np.arange(len(index_shard(path)))
        selected = np.stack([numbers, np.zeros_like(numbers)], axis=1)
    return np.insert(selected, 0, shard, axis=1).astype(np.int64)


@functools.cache
def _selected_rows(spec, path, version):
    """(record, start) int64 [n, 2] of the rows that spec asks for in this version of a shard, from the records' contexts."""
    shard, rows, outside = open_shard(path), [], 0
    if spec.annotations:
        _check_annotations(spec, path)
    for number in range(len(shard)):
        with _naming(path, number):
            video = records.decode_context(shard.record(number), spec.id_feature)
            if spec.only_videos_with_label_ids and spec.label_map.columns(video.labels).max(initial=-1) < 0:
                continue
            if not spec.segment_labels:
                rows.append((number, 0))
                continue
            starts = _annotated_starts(spec, path, number, video.segments)
            if spec.all_segments or len(starts):
                length = records.count_frames(shard.record(number), spec.feature_names, spec.feature_sizes)
                inside = _inside(spec, starts, length)
                outside += len(starts) - len(inside)
                if spec.all_segments:
                    inside = np.arange(0, min(length, spec.max_frames), spec.segment_size)
                rows += [(number, start) for start in (inside[:1] if spec.by_video else inside)]
    if outside:
        name = os.path.basename(path)
        print(f"shard {name}: {outside} rated segment(s) start past their video's end; dropped.", file=sys.stderr)
    return np.array(rows, np.int64).reshape(-1, 2)


def _annotated_starts(spec, path, number, ratings):
    """Distinct start times of the segments of a record that are rated, or annotated by the spec's sidecar."""
    segments = _sidecar(spec.annotations, path).segments(number) if spec.annotations else ratings
    if segments is None:
        return np.zeros(0, np.int64)
    records.check_labels(segments.labels, spec.num_classes)
    return np.unique(segments.start_times[spec.label_map.columns(segments.labels) >= 0])


def _check_annotations(spec, path):
    """Refuses a sidecar of another shard, of other classes, or of the other kind than the spec's rows need."""
    sidecar = _sidecar(spec.annotations, path)
    sidecar.check(open_shard(path), path, spec.num_classes, spec.label_ids, spec.id_feature)
    if sidecar.header.dense != spec.all_segments:
        kind, use = ("every segment", "--stage=mstep") if sidecar.header.dense else ("chosen segments only", "--stage=finetune")
        raise UserError(f"--pseudo_labels={spec.annotations}: labels of {kind}. They are for {use}.")


@functools.lru_cache(maxsize=4096)
def _open_sidecar(folder, path, version):
    return open_sidecar(folder, path)


def _sidecar(folder, path):
    """The sidecar of a shard as it is now; opened once."""
    file = str(sidecar_path(folder, path))
    return _open_sidecar(folder, path, version(file) if os.path.exists(file) else None)


def _inside(spec, starts, length):
    """The start times that lie in a video of `length` frames; of a whole video no more than max_frames are read."""
    return starts[(starts >= 0) & (starts < (min(length, spec.max_frames) if spec.by_video else length))]


def _shuffled_rows(spec, files, seed, num_epochs, skip, shuffle_shards):
    """Yields references int64 [n, 3], a group of shards at a time, without the first `skip` rows.

    Only the shards up to the position are looked at: a run that goes on need not index what it has not come to.
    """
    for epoch in itertools.count() if num_epochs is None else range(num_epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(files))
        for rows in _not_empty(_epoch_rows(spec, files, order, [seed, epoch], shuffle_shards), spec):
            yield rows[skip:]
            skip -= min(skip, len(rows))


def _epoch_rows(spec, files, order, seed, shuffle_shards):
    for group, begin in enumerate(range(0, len(order), shuffle_shards)):
        rows = np.concatenate([_shard_rows(spec, files, shard) for shard in order[begin : begin + shuffle_shards]])
        yield np.random.default_rng([*seed, group]).permutation(rows)


def _not_empty(row_arrays, spec):
    """Passes them on; an epoch without any row is an error, which in training would else be an endless loop."""
    count = 0
    for rows in row_arrays:
        count += len(rows)
        yield rows
    if not count:
        where = f"--{spec.pattern_flag}='{spec.pattern}'"
        if spec.segment_labels:
            raise UserError(f"no rated segment in {where}: needs version-3 validate shards.")
        if spec.only_videos_with_label_ids:
            raise UserError(f"no video in {where} carries one of the {len(spec.label_ids)} label ids. Check the label ids.")
        raise UserError(f"no record in {where}: the shards are empty. Give other shards.")


def _batched(row_arrays, batch_size, worker):
    """Yields the worker's part of batches of batch_size references, across the arrays' ends."""
    index, count = worker
    left = np.zeros((0, 3), np.int64)
    for rows in row_arrays:
        left = np.concatenate([left, rows])
        whole = len(left) // batch_size * batch_size
        for begin in range(0, whole, batch_size):
            yield left[begin : begin + batch_size][index::count]
        left = left[whole:]
    if len(left):
        yield left[index::count]


# ---------------------------------------------------------------- loading


def _loaded(spec, files, references, num_parallel):
    """The dataset of batches from a generator function of references."""
    signature, keys = _signature(spec), _numpy_keys(spec)

    @tf.autograph.experimental.do_not_convert
    def load(rows):
        values = tf.numpy_function(lambda rows: _load(spec, files, rows), [rows], [signature[key].dtype for key in keys])
        batch = dict(zip(keys, values))
        for key in keys:
            batch[key].set_shape(signature[key].shape)
        if "label_weights" not in batch:
            batch["label_weights"] = tf.ones_like(batch["labels"])
        return {key: batch[key] for key in signature}

    rows = tf.data.Dataset.from_generator(references, output_signature=tf.TensorSpec([None, 3], tf.int64))
    # Under TensorFlow's op determinism a map behind a Python generator is serial; asking for more only logs an error.
    parallel = {"num_parallel_calls": num_parallel, "deterministic": True} if num_parallel > 1 else {}
    return rows.map(load, **parallel).prefetch(2)


def _signature(spec):
    """Key -> tf.TensorSpec of a batch."""
    width, classes = sum(spec.feature_sizes), spec.label_map.size
    signature = {"ids": tf.TensorSpec([None], tf.string)}
    if spec.gives_frames:
        signature["frames"] = tf.TensorSpec([None, spec.num_frames, width], tf.uint8)
        signature["num_frames"] = tf.TensorSpec([None], tf.int32)
    else:
        signature["features"] = tf.TensorSpec([None, width], tf.float32)
    signature["labels"] = signature["label_weights"] = tf.TensorSpec([None, classes], tf.float32)
    if spec.video_labels:
        signature["video_labels"] = signature["labels"]
    if spec.teachers:
        signature["soft_labels"] = signature["soft_weights"] = signature["labels"]
    if spec.segment_labels:
        signature["start_times"] = tf.TensorSpec([None], tf.int32)
    if spec.by_video:
        signature["segment_rows"] = tf.TensorSpec([None], tf.int32)
    if spec.context:
        signature["context_frames"] = tf.TensorSpec([None, spec.video_length, width], tf.uint8)
        signature["context_num_frames"] = tf.TensorSpec([None], tf.int32)
    return signature


def _numpy_keys(spec):
    """The keys that _load gives: all but the weights where they are all 1."""
    return [key for key in _signature(spec) if key != "label_weights" or (spec.segment_labels and not spec.dense)]


def _load(spec, files, rows):
    """The arrays of a batch, in the order of _numpy_keys, for references int64 [B, 3]."""
    arrays = None if spec.frame_features else _parsed_in_bulk(spec, files, rows)
    if arrays is None:
        arrays = _decoded_one_by_one(spec, files, rows)
    if spec.teachers:
        arrays |= _soft_labels(spec, files, rows, arrays)
    return [arrays[key] for key in _numpy_keys(spec)]


def _parsed_in_bulk(spec, files, rows):
    """Video-level rows through TensorFlow's own batch parser, or None where one of them is not as it should be."""
    serialized = [open_shard(files[shard]).record(number) for shard, number, _ in rows]
    wanted = {name: tf.io.FixedLenFeature([size], tf.float32) for name, size in zip(spec.feature_names, spec.feature_sizes)}
    wanted |= {spec.id_feature: tf.io.FixedLenFeature([], tf.string), "labels": tf.io.RaggedFeature(tf.int64)}
    try:
        with tf.device("CPU"):
            parsed = tf.io.parse_example(tf.constant([bytes(record) for record in serialized], tf.string), wanted)
    except tf.errors.InvalidArgumentError:
        return None
    labels = parsed["labels"].values.numpy()
    if len(labels) and not (labels.min() >= 0 and labels.max() < spec.num_classes):
        return None
    labels = np.split(spec.label_map.columns(labels), parsed["labels"].row_splits.numpy()[1:-1])
    features = np.concatenate([parsed[name].numpy() for name in spec.feature_names], axis=1)
    return {"ids": parsed[spec.id_feature].numpy(), "features": features, "labels": _multi_hot(labels, spec)}


def _decoded_one_by_one(spec, files, rows):
    """Any rows; what is wrong with a record becomes a UserError that names it."""
    videos, last = [], None
    for shard, number, _ in rows:
        if last != (shard, number):  # consecutive segments of a video share one parse
            with _naming(files[shard], number):
                video = _decode(spec, open_shard(files[shard]).record(number))
            if spec.annotations:
                video = dataclasses.replace(video, segments=_sidecar(spec.annotations, files[shard]).segments(number))
            last = shard, number
        videos.append(video)
    if spec.by_video:
        return _rated_videos(spec, videos)
    starts = rows[:, 2]
    arrays = {"ids": np.array([video.id.encode() for video in videos], object)}
    if spec.frame_features:
        windows = [_window(spec, video, start) for video, start in zip(videos, starts)]
        arrays |= (
            _stacked_frames(windows, spec.num_frames, spec) if spec.gives_frames else {"features": _frame_means(spec, windows)}
        )
    else:
        arrays["features"] = _stacked_features(spec, videos)
    if spec.segment_labels:
        arrays |= _segment_labels(spec, videos, starts)
        arrays["start_times"] = starts.astype(np.int32)
    else:
        arrays["labels"] = _multi_hot([spec.label_map.columns(video.labels) for video in videos], spec)
    return arrays


def _rated_videos(spec, videos):
    """The arrays of whole videos and of all their rated segments; see training_batches."""
    rows, starts = [], []
    for row, video in enumerate(videos):
        length = len(next(iter(video.frames.values())))
        if spec.all_segments:
            inside = np.arange(0, min(length, spec.max_frames), spec.segment_size)
        else:
            rated = video.segments.start_times[spec.label_map.columns(video.segments.labels) >= 0]
            inside = _inside(spec, np.unique(rated), length)
        rows += [row] * len(inside)
        starts += inside.tolist()
    of_rows = [videos[row] for row in rows]
    whole = [[video.frames[name][: spec.max_frames] for name in spec.feature_names] for video in videos]
    frames = _stacked_frames(whole, spec.video_length, spec)
    if spec.context:
        windows = [_window(spec, video, start) for video, start in zip(of_rows, starts)]
        videos_frames = {f"context_{key}": value for key, value in frames.items()}
        frames = {**_stacked_frames(windows, spec.window_size, spec), **videos_frames}
    return {
        "ids": np.array([video.id.encode() for video in videos], object),
        **frames,
        "segment_rows": np.array(rows, np.int32),
        "start_times": np.array(starts, np.int32),
        **_segment_labels(spec, of_rows, np.array(starts, np.int64)),
    }


def _decode(spec, record):
    decode = records.decode_video if spec.frame_features else records.decode_video_features
    video = decode(record, spec.feature_names, spec.feature_sizes, spec.id_feature)
    records.check_labels(video.labels, spec.num_classes)
    return video


def _window(spec, video, start):
    """The feature arrays [n, size] of a row, in the order of feature_names: views, no copy."""
    if spec.segment_labels:
        first = max(start - spec.segment_expansion, 0)
        frames = slice(first, start + spec.segment_size + spec.segment_expansion)
    else:
        frames = slice(spec.max_frames)
    return [video.frames[name][frames] for name in spec.feature_names]


def _stacked_frames(windows, length, spec):
    """`frames` uint8 [B, T, D], zero past each row's `num_frames` int32 [B]; T = length, None: the longest's."""
    num_frames = np.array([len(window[0]) for window in windows], np.int32)
    longest = length or num_frames.max(initial=0)
    frames = _aligned_zeros((len(windows), int(longest), sum(spec.feature_sizes)), np.uint8)
    for row, window in zip(frames, windows):
        at = 0
        for feature in window:
            row[: len(feature), at : at + feature.shape[1]] = feature
            at += feature.shape[1]
    return {"frames": frames, "num_frames": num_frames}


def _aligned_zeros(shape, dtype):
    """Zeros at an aligned address, which TensorFlow can take over as they are."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _frame_means(spec, windows):
    """float32 [B, D]: means over the real frames, as segments.mean_features'."""
    means = np.zeros((len(windows), sum(spec.feature_sizes)), np.float32)
    for row, window in zip(means, windows):
        row[:] = np.concatenate([mean_features(feature, len(feature)) for feature in window])
    return means


def _stacked_features(spec, videos):
    features = np.zeros((len(videos), sum(spec.feature_sizes)), np.float32)
    for row, video in zip(features, videos):
        np.concatenate([video.features[name] for name in spec.feature_names], out=row)
    return features


def _multi_hot(columns, spec):
    return multi_hot(columns, spec.label_map.size, out=_aligned_zeros((len(columns), spec.label_map.size), np.float32))


def _segment_labels(spec, videos, starts):
    """`labels` and, unless all are 1, `label_weights` float32 [B, C] of each row's segment; `video_labels` if asked for."""
    scores = _aligned_zeros((len(videos), spec.label_map.size), np.float32)
    weights = None if spec.dense else _aligned_zeros(scores.shape, np.float32)
    for row, (video, start) in enumerate(zip(videos, starts)):
        if video.segments is None:
            continue
        here = video.segments.start_times == start
        columns = spec.label_map.columns(video.segments.labels[here])
        known = columns >= 0
        scores[row, columns[known]] = video.segments.scores[here][known]
        if weights is not None:
            weights[row, columns[known]] = 1
    arrays = {"labels": scores} if weights is None else {"labels": scores, "label_weights": weights}
    if spec.video_labels:
        arrays["video_labels"] = _multi_hot([spec.label_map.columns(_labels(spec, video)) for video in videos], spec)
    return arrays


def _labels(spec, video):
    """The label ids of a video, with spec.positive_ratings those of its positive segments as well."""
    if not spec.positive_ratings or video.segments is None:
        return video.labels
    return np.union1d(video.labels, video.segments.labels[video.segments.scores > 0])


def _soft_labels(spec, files, rows, arrays):
    """`soft_labels` and `soft_weights` float32 [N, C]: the teachers' mean scores, and 1 for the classes that all of them know."""
    videos = arrays["segment_rows"] if spec.by_video else np.arange(len(rows))
    starts = arrays["start_times"] if spec.segment_labels else np.zeros(len(videos), np.int64)
    soft = _aligned_zeros((len(videos), spec.label_map.size), np.float32)
    known = np.ones(spec.label_map.size, np.float32)
    names = [(files[rows[video, 0]], arrays["ids"][video].decode()) for video in videos]
    for folder in spec.teachers:
        columns = spec.label_map.columns(np.array(_teacher_classes(folder)))
        known[np.setdiff1d(np.arange(len(known)), columns)] = 0
        for row, ((path, video), start) in enumerate(zip(names, starts)):
            scores = _teacher(folder, os.path.basename(path), spec.segment_labels).of(video, start)
            soft[row, columns[columns >= 0]] += scores[columns >= 0] / len(spec.teachers)
    soft *= known
    return {"soft_labels": soft, "soft_weights": np.broadcast_to(known, soft.shape).copy()}


class _Teacher:
    """One shard of a score store, by video and start time."""

    def __init__(self, folder, name, segments):
        store = open_store(folder)
        if (store.config.kind == "segments") != segments:
            wanted = "segments" if segments else "videos"
            raise UserError(f"--teacher_scores={folder}: scores of {store.config.kind}; this stage needs those of {wanted}.")
        self._name, self._folder, self._stored = name, folder, store.read(name)
        ids = self._stored.ids
        first = (
            np.flatnonzero(np.append(True, ids[1:] != ids[:-1])) if len(ids) else np.zeros(0, int)
        )  # a video's rows are in one piece
        ends = np.append(first[1:], len(ids))
        self._rows = {video: slice(begin, end) for video, begin, end in zip(ids[first].tolist(), first, ends)}

    def of(self, video, start):
        """Scores float32 [teacher's classes] of a video's segment, or of the video."""
        rows = self._rows.get(video)
        at = None
        if rows is not None:
            at = rows.start
            if self._stored.starts is not None:
                found = np.flatnonzero(self._stored.starts[rows] == start)
                at = rows.start + found[0] if len(found) else None
        if at is None:
            raise UserError(
                f"--teacher_scores={self._folder}: no scores of {video}:{start} in its {self._name}. Score these shards with "
                "inference.py --scores_output first."
            )
        return self._stored.scores(slice(at, at + 1))[0]


@functools.lru_cache(maxsize=64)
def _teacher_classes(folder):
    """Label ids of the columns of a score store; store.json is read once, not with every batch."""
    return open_store(folder).config.label_ids


@functools.lru_cache(maxsize=256)
def _teacher(folder, name, segments):
    return _Teacher(folder, name, segments)


# ---------------------------------------------------------------- small things


@functools.lru_cache(maxsize=8)
def _label_map(label_ids, num_classes):
    return LabelMap.all(num_classes) if label_ids is None else LabelMap.segment_classes(label_ids)


@contextlib.contextmanager
def _naming(path, number):
    """Puts the shard and the record's number in front of a UserError's line."""
    try:
        yield
    except UserError as error:
        raise UserError(f"shard {os.path.basename(path)}, record {number}: {error}") from error


def _check_least(name, value, least):
    if value < least:
        raise UserError(f"--{name}={value}: expected {least} or more.")
