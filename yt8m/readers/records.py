"""YouTube-8M's records, both ways: bytes to plain arrays and back."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.files import full_disk, replacing_path
from yt8m.readers.wire import UnusualLayout, field, fields_of, frame_header, strided_floats, strided_frames
from yt8m.segments import SEGMENT_SIZE

_CONTEXT_FLOATS = {"segment_scores", "start_time_seconds", "end_time_seconds"}  # floats that frame-level records carry
_KINDS = {"bytes_list": "byte strings", "float_list": "floats"}


@dataclass(frozen=True, eq=False)
class Segments:
    """The ratings of one video, as parallel arrays; several classes may share a start time.

    Attributes:
        start_times, end_times: int64 [n], seconds (= frames).
        labels: int64 [n], class ids.
        scores: float32 [n], 1 where the raters saw the class, else 0.
    """

    start_times: np.ndarray
    end_times: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class Video:
    """One frame-level record.

    Attributes:
        id: the video's name in the dataset.
        frames: feature name -> quantised uint8 [T, size], one row a second; the same T for every feature.
        labels: int64 [n], class ids.
        segments: the rated segments, or None where the record has none.
    """

    id: str
    frames: dict
    labels: np.ndarray
    segments: Segments | None = None


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """One video-level record: `features` maps a feature's name to float32 [size]; `labels` int64 [n]."""

    id: str
    features: dict
    labels: np.ndarray


# ---------------------------------------------------------------- writing


def encode_video(video, id_feature="id"):
    """The Video as a serialized tf.train.SequenceExample in the dataset's native layout.

    Raises:
        UserError: a feature that is no uint8 [T, size] array, or features of different lengths.
    """
    context = {id_feature: _bytes(video.id), "labels": _ints(video.labels)}
    if video.segments is not None:
        context["segment_start_times"] = _ints(video.segments.start_times)
        context["segment_end_times"] = _ints(video.segments.end_times)
        context["segment_labels"] = _ints(video.segments.labels)
        context["segment_scores"] = _floats(video.segments.scores)
    context = tf.train.Features(feature=context).SerializeToString(deterministic=True)
    lists = []
    for name, frames in video.frames.items():
        frames = np.asarray(frames)
        if frames.dtype != np.uint8 or frames.ndim != 2:
            raise UserError(f"video {video.id}: `{name}` is {frames.dtype} {list(frames.shape)}, not uint8 [T, size].")
        header = frame_header(frames.shape[1])
        stride = np.empty((len(frames), len(header) + frames.shape[1]), np.uint8)
        stride[:, : len(header)] = np.frombuffer(header, np.uint8)
        stride[:, len(header) :] = frames
        lists.append(field(0x0A, field(0x0A, name.encode()) + field(0x12, stride.tobytes())))
    _check_same_length({name: len(frames) for name, frames in video.frames.items()}, f"video {video.id}: ")
    return field(0x0A, context) + field(0x12, b"".join(lists))


def encode_video_features(id, labels, features, id_feature="id"):
    """A serialized tf.train.Example: `labels` class ids, `features` a dict of name -> float array [size]."""
    feature = {name: _floats(values) for name, values in features.items()}
    feature |= {id_feature: _bytes(id), "labels": _ints(labels)}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def write_shard(path, serialized_records):
    """Writes serialized records to a TFRecord file, which appears when it is whole; makes the folder.

    Raises:
        UserError: the file cannot be written.
    """
    with replacing_path(path) as unfinished:
        try:
            with tf.io.TFRecordWriter(unfinished) as writer:
                for record in serialized_records:
                    writer.write(record)
        except tf.errors.OpError as error:
            if full_disk(error):
                raise  # replacing_path says so
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: cannot be written ({reason}). Free some space, or name a place to write to.") from error


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() if isinstance(value, str) else value]))


def _ints(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=np.asarray(values, np.int64).tolist()))


def _floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=np.asarray(values, np.float32).tolist()))


# ---------------------------------------------------------------- reading


def decode_video(record, feature_names, feature_sizes, id_feature="id"):
    """A frame-level record (bytes or any buffer) as a Video.

    In the usual layout the frames are read-only views into `record`; anything else goes through protobuf's own parser,
    with the same result.

    Raises:
        UserError: no such record; a feature or the id is missing; frames of another size; no frame; different frame counts.
    """
    context = _Context(record)
    if not context.has_frames:
        _refuse_video_level(context)
    frames = strided_frames(record, feature_names, feature_sizes)
    if frames is None:
        frames = _parsed_frames(record, feature_names, feature_sizes)
    _count(frames)
    return Video(context.id(id_feature), frames, context.ints("labels"), context.segments())


def count_frames(record, feature_names, feature_sizes):
    """Number of frames of a frame-level record; in the usual layout from the lengths alone, without touching the frames.

    Raises:
        UserError: as decode_video, as far as it shows.
    """
    if not _Context(record).has_frames:
        _refuse_video_level(_Context(record))
    frames = strided_frames(record, feature_names, feature_sizes, check=slice(1))
    return _count(_parsed_frames(record, feature_names, feature_sizes) if frames is None else frames)


def decode_context(record, id_feature="id"):
    """The same Video without its frames (`frames` is {}), which are neither read nor needed.

    Raises:
        UserError: no such record, or the id is missing.
    """
    context = _Context(record)
    return Video(context.id(id_feature), {}, context.ints("labels"), context.segments())


def decode_video_features(record, feature_names, feature_sizes, id_feature="id"):
    """A video-level record (bytes or any buffer) as a VideoFeatures.

    Raises:
        UserError: no such record; a feature or the id is missing; a feature of another size.
    """
    context = _Context(record)
    if context.has_frames:
        names = _names(_parse(tf.train.SequenceExample, record).feature_lists.feature_list)
        raise UserError(f"is a frame-level record (with {names}), not a video-level one. Use --frame_features.")
    features = strided_floats(context.payload, feature_names, feature_sizes)
    if features is None:
        features = _parsed_floats(context, feature_names, feature_sizes)
    check_finite(features)
    return VideoFeatures(context.id(id_feature), features, context.ints("labels"))


def decode_id(value):
    """A record's id, bytes, as str.

    Raises:
        UserError: it is not UTF-8.
    """
    if not is_text(value):
        raise UserError(f"has the id {value!r}, which is not UTF-8. Rewrite the record.")
    return value.decode()


def is_text(value):
    """Whether bytes are UTF-8, as an id must be."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_finite(features):
    """Raises a UserError that names a feature, of {name: float array}, with a value that is no finite number."""
    for name, values in features.items():
        wrong = values[~np.isfinite(values)]
        if len(wrong):
            raise UserError(f"has {len(wrong)} values of `{name}` that are no finite numbers ({wrong[0]}). Rewrite the record.")


def check_labels(labels, num_classes):
    """Raises a UserError that names a label outside [0, num_classes)."""
    if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        wrong = labels[(labels < 0) | (labels >= num_classes)][0]
        remedy = f"Use --num_classes={wrong + 1} or more." if wrong >= 0 else "Label ids start at 0."
        raise UserError(f"has label {wrong}, which is not in 0..{num_classes - 1} (--num_classes={num_classes}). {remedy}")


class _Context:
    """The parsed `context` of a SequenceExample, or `features` of an Example: both are field 1."""

    def __init__(self, record):
        parts, self.has_frames = [], False
        view = memoryview(record)
        try:
            for tag, start, end in fields_of(view, 0, len(view)):
                if tag == 0x0A:
                    parts.append(bytes(view[start:end]))
                self.has_frames |= tag == 0x12 and end > start  # real video-level records may hold an empty field 2
        except UnusualLayout:
            parsed = _parse(tf.train.SequenceExample, record)
            parts, self.has_frames = [parsed.context.SerializeToString()], bool(parsed.feature_lists.feature_list)
        self.payload = b"".join(parts)  # protobuf merges a repeated message field as if its bytes were joined
        self.feature = _parse(tf.train.Features, self.payload).feature

    def id(self, name):
        values = self.feature[name].bytes_list.value if name in self.feature else ()
        if len(values) != 1:
            texts = [key for key, feature in self.feature.items() if len(feature.bytes_list.value) == 1]
            raise UserError(f"has no id `{name}`; it has {_names(texts)}. Set --id_feature.")
        return decode_id(values[0])

    def ints(self, name):
        if name not in self.feature:
            return np.zeros(0, np.int64)
        feature = self.feature[name]
        kind = feature.WhichOneof("kind")
        if kind in _KINDS and len(getattr(feature, kind).value):
            raise UserError(f"has {_KINDS[kind]} in `{name}`, not whole numbers (int64_list). Rewrite the record.")
        return np.array(feature.int64_list.value, np.int64)

    def segments(self):
        starts, ends = self.ints("segment_start_times"), self.ints("segment_end_times")
        if not len(starts):
            return None
        labels = self.ints("segment_labels")
        scores = self.feature["segment_scores"].float_list.value if "segment_scores" in self.feature else ()
        ends = ends if len(ends) else starts + SEGMENT_SIZE
        if not len(starts) == len(ends) == len(labels) == len(scores):
            counts = f"{len(starts)} start times, {len(ends)} end times, {len(labels)} labels and {len(scores)} scores"
            raise UserError(f"has {counts} of rated segments; these must be as many. Rewrite the record.")
        scores = np.array(scores, np.float32)
        wrong = scores[~((scores >= 0) & (scores <= 1))]  # nan too
        if len(wrong):
            raise UserError(f"has a segment score of {wrong[0]:g}; a score is from 0 (not there) to 1. Rewrite the record.")
        return Segments(starts, ends, labels, scores)


def _parsed_frames(record, names, sizes):
    """The same through protobuf's parser; says what is wrong with a record that is not as asked for."""
    lists = _parse(tf.train.SequenceExample, record).feature_lists.feature_list
    _check_present(names, lists, "feature")
    frames = {}
    for name in names:
        values = [feature.bytes_list.value for feature in lists[name].feature]
        for index, value in enumerate(values):
            if len(value) != 1:
                raise UserError(f"has {len(value)} byte strings in frame {index} of `{name}`, not one. Rewrite the record.")
        frames[name] = [value[0] for value in values]
    for name, size in zip(names, sizes, strict=True):
        wrong = [len(frame) for frame in frames[name] if len(frame) != size]
        if wrong:
            usable = ",".join(str(len(frames[n][0]) if frames[n] else s) for n, s in zip(names, sizes))
            raise UserError(f"has {wrong[0]} bytes a frame in `{name}`, not {size}. Use --feature_sizes={usable}.")
    return {n: np.frombuffer(b"".join(frames[n]), np.uint8).reshape(-1, s) for n, s in zip(names, sizes)}


def _parsed_floats(context, names, sizes):
    floats = {key: feature.float_list.value for key, feature in context.feature.items() if feature.float_list.value}
    _check_present(names, floats, "feature")
    for name, size in zip(names, sizes, strict=True):
        if len(floats[name]) != size:
            usable = ",".join(str(len(floats[n])) for n in names)
            raise UserError(f"has {len(floats[name])} values in `{name}`, not {size}. Use --feature_sizes={usable}.")
    return {name: np.array(floats[name], np.float32) for name in names}


def _parse(message, record):
    try:
        return message.FromString(bytes(record))
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise UserError("is neither a tf.train.SequenceExample nor a tf.train.Example. Give YouTube-8M records.") from error


def _refuse_video_level(context):
    floats = [key for key, feature in context.feature.items() if feature.float_list.value]
    if set(floats) - _CONTEXT_FLOATS:
        raise UserError(f"is a video-level record (with {_names(floats)}), not a frame-level one. Use --noframe_features.")


def _check_present(names, present, what):
    for name in names:
        if name not in present:
            usable = ",".join(sorted(present)) or "nothing"
            raise UserError(f"has no {what} `{name}`; it has {_names(present)}. Use --feature_names={usable}.")


def _count(frames):
    lengths = {name: len(values) for name, values in frames.items()}
    _check_same_length(lengths)
    if not max(lengths.values()):
        raise UserError(f"has no frame in {_names(lengths)}. Remove the record from the shard.")
    return max(lengths.values())


def _check_same_length(lengths, prefix=""):
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{count} of `{name}`" for name, count in lengths.items())
        raise UserError(f"{prefix}has different numbers of frames: {counts}. Rewrite the record.")


def _names(names):
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"
