"""What is read of the shards, and what a row of a batch is: a class for each of the four kinds of rows."""

import dataclasses
import functools

from yt8m.errors import UserError
from yt8m.readers.labels import LabelMap
from yt8m.segments import SEGMENT_SIZE


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """What is read of the shards, whatever a row is; what is built is one of the four kinds of rows.

    WholeVideos: videos with their labels. RatedSegments: segments. VideosWithSegments: videos, with the places of their
    segments. SegmentsInVideos: segments' frames beside those of their videos.

    Attributes:
        pattern: glob, or a comma-separated list of globs; gs:// and the like as TensorFlow allows.
        feature_names, feature_sizes: features of a record in the order of their concatenation, D = sum(feature_sizes).
        num_classes: label ids in the records must be below.
        label_ids: the model's columns stand for these ids only; None: column = label id, num_classes of them.
        id_feature: name of the id in the record's context.
        max_frames: later frames of a video are not read (those of a row of RatedSegments are, wherever they are).
        teachers: folders of score stores (readers/stores.py): `soft_labels` is the mean of their scores for each row.
        fold: (k, n): leave out every n-th shard from the k-th on; with held_out: take these only.
        held_out: see fold.
        pattern_flag: the flag that error messages call the pattern.

    Facts of a kind: `segment_labels`, labels are those of segments; `by_video`, a row is a video with all its rated segments;
    `context`, their frames come along; `frame_features`, the records are frame level; `as_video_features`, the row is the mean
    of their frames; `dense`, every class of every row is annotated.

    Raises:
        UserError: a value out of range, a repeated name, or values that do not go together.
        TypeError: DataSpec itself was called.
    """

    pattern: str
    feature_names: tuple[str, ...]
    feature_sizes: tuple[int, ...]
    _: dataclasses.KW_ONLY
    num_classes: int = 3862
    label_ids: tuple[int, ...] | None = None
    id_feature: str = "id"
    max_frames: int = 300
    teachers: tuple[str, ...] = ()
    fold: tuple[int, int] | None = None
    held_out: bool = False
    pattern_flag: str = "data_pattern"

    segment_labels = by_video = context = False
    class_balance = 0.0

    def __post_init__(self):
        if type(self) is DataSpec:
            raise TypeError("a DataSpec is of a kind: use WholeVideos, RatedSegments, VideosWithSegments or SegmentsInVideos")
        for name in ("feature_names", "feature_sizes", "label_ids"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(getattr(self, name)))
        names, sizes = ",".join(self.feature_names), ",".join(map(str, self.feature_sizes))
        if not names or not len(set(self.feature_names)) == len(self.feature_names) == len(self.feature_sizes):
            raise UserError(f"--feature_names={names} --feature_sizes={sizes}: expected distinct names and a size for each.")
        if min(self.feature_sizes) < 1:
            raise UserError(f"--feature_sizes={sizes}: expected sizes of at least 1.")
        check_least("num_classes", self.num_classes, 1)
        check_least("max_frames", self.max_frames, 1)
        if self.label_ids is not None and self.label_map.label_ids.max() >= self.num_classes:
            raise UserError(f"label id {max(self.label_ids)} is not below --num_classes={self.num_classes}. Use a larger one.")
        if self.held_out and self.fold is None:
            raise UserError("the shards held out were asked for, but no fold was given. Give a fold.")

    @property
    def label_map(self):
        """Label ids to columns."""
        return _label_map(self.label_ids, self.num_classes)

    @property
    def gives_frames(self):
        """Whether batches hold `frames` and `num_frames`, not `features`."""
        return self.frame_features and not self.as_video_features


@dataclasses.dataclass(frozen=True, kw_only=True)
class WholeVideos(DataSpec):
    """A row is a video, with its video-level labels.

    Attributes: as DataSpec's.
        frame_features: the records are frame level (tf.train.SequenceExample), not video level (tf.train.Example).
        as_video_features: frame-level records for a video-level model: `features` is the mean of the real dequantised frames.
        pad_frames: pad to T = max_frames always (static shapes, for XLA); else to the longest video of the batch.
        only_videos_with_label_ids: leave out videos that carry none of label_ids.
        class_balance: b, 0 to 1: of training, each of an epoch's rows is drawn with a chance in proportion to the mean of n^-b
            over its labels, n being a class's videos (rows.chances); 0: each video comes once an epoch.
    """

    frame_features: bool = True
    as_video_features: bool = False
    pad_frames: bool = False
    only_videos_with_label_ids: bool = False
    class_balance: float = 0.0

    dense = True

    def __post_init__(self):
        super().__post_init__()
        if self.as_video_features and not self.frame_features:
            raise UserError("means of frames were asked for of video-level records. Use --frame_features.")
        if self.only_videos_with_label_ids and self.label_ids is None:
            raise UserError("only videos with the label ids were asked for, but no label ids were given. Give label_ids.")

    @property
    def num_frames(self):
        """T where it is the same for all batches, else None."""
        return self.max_frames if self.pad_frames else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Segments(DataSpec):
    """What the rows with labels of segments share; the records are frame level.

    Attributes: as DataSpec's.
        segment_size: seconds (= frames) of a segment.
        all_segments: every segment of a video counts (start times 0, 5, ...), rated or not.
        annotations: folder of sidecars (readers/sidecars.py) whose labels stand in for the records' ratings. Where these are
            dense, all_segments must be set: every pair then has weight 1.
        video_labels: the labels of each row's video come along as `video_labels`.
        positive_ratings: these hold the classes, too, that a segment of the video was rated positive for.
    """

    segment_size: int = SEGMENT_SIZE
    all_segments: bool = False
    annotations: str = ""
    video_labels: bool = False
    positive_ratings: bool = False

    segment_labels = frame_features = True

    def __post_init__(self):
        super().__post_init__()
        check_least("segment_size", self.segment_size, 1)
        if self.positive_ratings and not self.video_labels:
            raise UserError("positive ratings join the labels of the videos, which were not asked for. Ask for video_labels.")

    @property
    def dense(self):
        """Whether every class of every segment is annotated."""
        return bool(self.annotations) and self.all_segments


@dataclasses.dataclass(frozen=True, kw_only=True)
class RatedSegments(_Segments):
    """A row is a rated (video, start time), with its ratings; unrated videos give no row.

    Attributes: as for all segments, and
        segment_expansion: t more frames on both sides, as far as the video has them; T = segment_size + 2t.
        as_video_features: for a video-level model: `features` is the mean of a row's real dequantised frames.
    """

    segment_expansion: int = 0
    as_video_features: bool = False

    def __post_init__(self):
        super().__post_init__()
        check_least("segment_expansion", self.segment_expansion, 0)

    @property
    def num_frames(self):
        """T of `frames`."""
        return self.segment_size + 2 * self.segment_expansion


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideosWithSegments(_Segments):
    """A row is a rated video, whole, with the places of all its rated segments: for models that see segments in sequence.

    Segments that start at max_frames or later are left out.

    Attributes: as for all segments, and
        pad_frames: pad the videos to max_frames always; else to the longest of the batch.
    """

    pad_frames: bool = False

    by_video = True
    as_video_features = False

    @property
    def video_length(self):
        """T of the videos where it is the same for all batches, else None."""
        return self.max_frames if self.pad_frames else None

    @property
    def num_frames(self):
        """T of `frames`, as video_length."""
        return self.video_length


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentsInVideos(VideosWithSegments):
    """Videos with their segments as before, and the segments' own frames: these are `frames`, the videos' `context_frames`.

    Attributes: as VideosWithSegments', and
        segment_expansion: t more frames on both sides of a segment, as far as the video has them; W = segment_size + 2t.
    """

    segment_expansion: int = 0

    context = True

    def __post_init__(self):
        super().__post_init__()
        check_least("segment_expansion", self.segment_expansion, 0)

    @property
    def num_frames(self):
        """W of `frames`."""
        return self.segment_size + 2 * self.segment_expansion


def check_least(name, value, least):
    """Raises a UserError that names the flag if `value` is below `least`."""
    if value < least:
        raise UserError(f"--{name}={value}: expected {least} or more.")


@functools.lru_cache(maxsize=8)
def _label_map(label_ids, num_classes):
    return LabelMap.all(num_classes) if label_ids is None else LabelMap.segment_classes(label_ids)
