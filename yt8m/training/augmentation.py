"""Augmentation of training batches: the "future work" of papers 000 and 001.

Functions of (batch, options, seed) in tf.data, without state: batch number k of a run is augmented in the same way whenever
the run comes to it, so that a run that goes on ends where one that never stopped does.
"""

import dataclasses
import math

import tensorflow as tf

from yt8m.errors import UserError
from yt8m.readers import pairs
from yt8m.segments import SEGMENT_SIZE
from yt8m.training.feature_noise import noisy_features
from yt8m.training.frame_order import backwards, choose_flips, chosen_frames, frames_of, take_frames
from yt8m.training.virtual_segments import mixed_rows

_NEED_FRAMES = ("reverse", "drop_frames", "drop_segments", "subsample")
_MOVE_FRAMES = ("drop_frames", "drop_segments", "subsample")


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What to do to the rows of training batches; the defaults do nothing.

    Attributes:
        virtual_segments: alpha of Beta(alpha, alpha): each row becomes a convex combination with another row of the batch, its
            labels and their weights with it. 0: off.
        reverse: probability that a video (or segment) runs backwards.
        drop_frames: probability that a frame is left out.
        drop_segments: probability that 5 seconds of a whole video are left out.
        noise: standard deviation of the noise on the features, in dequantised units.
        subsample: only every so-many-th frame is kept, from a random one of the first so many on; 1: all.

    At least one frame of each row is always kept.

    Raises:
        UserError: a value out of range.
    """

    virtual_segments: float = 0.0
    reverse: float = 0.0
    drop_frames: float = 0.0
    drop_segments: float = 0.0
    noise: float = 0.0
    subsample: int = 1

    def __post_init__(self):
        for name in ("virtual_segments", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--augment_{name}={getattr(self, name)}: use 0 (off) or a positive number.")
        if not 0 <= self.reverse <= 1:
            raise UserError(f"--augment_reverse={self.reverse}: use a probability, from 0 to 1.")
        for name in ("drop_frames", "drop_segments"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"--augment_{name}={getattr(self, name)}: use a probability below 1.")
        if not isinstance(self.subsample, int) or self.subsample < 1:
            raise UserError(f"--augment_subsample={self.subsample}: use 1 (all frames), 2 (every second), ...")

    @property
    def chosen(self):
        """Names of what is switched on."""
        return [field.name for field in dataclasses.fields(self) if getattr(self, field.name) != field.default]

    @property
    def active(self):
        """Whether anything is switched on."""
        return bool(self.chosen)

    def check(self, model, whole_videos=False, segment_labels=False, by_segments=False):
        """Refuses what makes no sense of a model's rows.

        Args:
            model: the model's class.
            whole_videos: rows are whole videos with their rated segments (DataSpec.by_video). A sequence model, and the
                start-time loss of a model of frames, find the segments there by their position.
            segment_labels: rows are rated segments (DataSpec.segment_labels).
            by_segments: rows are videos that the model cuts into segments (ModelConfig.video_prediction="segments_mean").

        Raises:
            UserError: names the flag.
        """
        for name in self.chosen:
            flag = f"--augment_{name}={getattr(self, name)}"
            if not model.TAKES_FRAMES and name in _NEED_FRAMES:
                raise UserError(f"{flag}: a video-level model sees no frames. Leave it out, or use a frame-level model.")
            if name == "drop_segments" and (segment_labels or whole_videos):
                raise UserError(_SEGMENTS_ARE_ROWS.format(flag=flag))
            if by_segments and name in ("drop_frames", "subsample"):
                raise UserError(
                    f"{flag}: with --video_prediction=segments_mean a segment is 5 seconds, and 5 of the frames that are left "
                    "would be more. Leave it out in pre-training; the other --augment_ flags are possible."
                )
            moves = name in _MOVE_FRAMES or name == "virtual_segments"
            if whole_videos and model.FINDS_SEGMENTS_BY_POSITION and moves:
                raise UserError(
                    f"{flag}: the rated segments are found by their position in whole videos, which it would change. Leave it "
                    "out in fine-tuning; --augment_reverse and --augment_noise are possible."
                )


_SEGMENTS_ARE_ROWS = "{flag}: the rows are rated segments. Use it with --stage=pretrain, --augment_drop_frames for segments."


def augmented(dataset, options, seed, start_step=0, segment_size=SEGMENT_SIZE, num_parallel=1):
    """A dataset of augmented batches.

    Args:
        dataset: batch dicts as training_batches gives them, the first being number `start_step` of the run.
        options: Augmentation.
        seed: int; batch number k is augmented with (seed, k).
        start_step: number of the first batch.
        segment_size: frames of a segment.
        num_parallel: batches that are augmented at the same time.

    Returns:
        tf.data.Dataset of batches of the same types and shapes.

    Raises:
        UserError: segments are to be dropped from rated segments.
    """
    if not options.active:
        return dataset
    if options.drop_segments and "start_times" in dataset.element_spec:
        raise UserError(_SEGMENTS_ARE_ROWS.format(flag=f"--augment_drop_segments={options.drop_segments}"))

    @tf.autograph.experimental.do_not_convert
    def augment_batch(number, batch):
        return augment(batch, options, tf.stack([tf.constant(seed, tf.int64), number]), segment_size)

    numbered = tf.data.Dataset.zip(tf.data.Dataset.counter(start_step), dataset)
    # Under TensorFlow's op determinism a map behind a Python generator is serial; asking for more only logs an error.
    parallel = {"num_parallel_calls": num_parallel, "deterministic": True} if num_parallel > 1 else {}
    return numbered.map(augment_batch, **parallel).prefetch(2)


def augment(batch, options, seed, segment_size=SEGMENT_SIZE):
    """One augmented batch: first frames are reversed and left out, then rows are mixed, then noise is added.

    Of a video that runs backwards and has rated segments, a last part that fills no segment is cut off: the others keep their
    bounds, at start time n' - segment_size - start, n' the frames left. What was rated in the part cut off gets weight 0.

    Args:
        batch: dict of tensors, with any of these: `frames` uint8 [B, T, D] and `num_frames` int32 [B]; `features` float32
            [B, D]; for whole videos with N rated segments also `segment_rows` and `start_times` int32 [N], the frames being
            the videos', or the segments' with `context_frames` and `context_num_frames` beside them. And rows of `labels`,
            `label_weights`, `video_labels`, `soft_labels`, `soft_weights` float32 [B, C] (or [N, C]); or labels as pairs.
        options: Augmentation.
        seed: int [2]; the same seed gives the same result.
        segment_size: frames of a segment.

    Returns:
        dict of the same keys, types and static shapes (but for the number of pairs). Padding is 0.
    """
    seed = tf.cast(seed, tf.int64)
    flips, order, mixing, noise = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    result = dict(batch)
    flips = choose_flips(batch, options.reverse, flips, segment_size)
    if flips and "segment_rows" in batch:
        result |= backwards(batch, flips, segment_size)
    if set(options.chosen) & set(_NEED_FRAMES):
        for number, (frames, count) in enumerate(frames_of(batch)):
            frames_seed = tf.random.experimental.stateless_fold_in(order, number)
            at, left = chosen_frames(result[frames], result[count], flips.get(frames), options, frames_seed, segment_size)
            result[frames], result[count] = take_frames(result[frames], at, left), left
    if options.virtual_segments:
        result |= mixed_rows(result, options.virtual_segments, mixing)
    if options.noise:
        result |= noisy_features(result, options.noise, noise)
    for key, value in result.items():
        if key not in pairs.OF_PAIRS:  # whose number may change
            value.set_shape(batch[key].shape)
    return result
