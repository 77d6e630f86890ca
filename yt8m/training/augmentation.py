"""Augmentation of training batches: the "future work" of papers 000 and 001.

Functions of (batch, options, seed) in tf.data, without state: batch number k of a run is augmented in the same way whenever
the run comes to it, so that a run that goes on ends where one that never stopped does.
"""

import dataclasses
import math

import tensorflow as tf

from yt8m.errors import UserError

BYTES_PER_UNIT = 255 / 4  # one unit of a dequantised feature, whose range is -2 to 2, in bytes
# The frames of a batch -> how many of each row are real; rated videos come with their segments' frames.
FRAMES = {"frames": "num_frames", "context_frames": "context_num_frames"}
LABELS = {"labels": "label_weights", "soft_labels": "soft_weights"}
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

    def check(self, kind, whole_videos=False, segment_labels=False):
        """Refuses what makes no sense of a model's rows.

        Args:
            kind: of the model: "frame", "video", "sequence" or "context".
            whole_videos: rows are whole videos with their rated segments (DataSpec.by_video). A sequence model, and the
                start-time loss of a model of frames, find the segments there by their position.
            segment_labels: rows are rated segments (DataSpec.segment_labels).

        Raises:
            UserError: names the flag.
        """
        for name in self.chosen:
            flag = f"--augment_{name}={getattr(self, name)}"
            if kind == "video" and name in _NEED_FRAMES:
                raise UserError(f"{flag}: a video-level model sees no frames. Leave it out, or use a frame-level model.")
            if name == "drop_segments" and (segment_labels or whole_videos):
                raise UserError(_SEGMENTS_ARE_ROWS.format(flag=flag))
            if whole_videos and kind in ("frame", "sequence") and (name in _MOVE_FRAMES or name == "virtual_segments"):
                raise UserError(
                    f"{flag}: the rated segments are found by their position in whole videos, which it would change. Leave it "
                    "out in fine-tuning; --augment_reverse and --augment_noise are possible."
                )


_SEGMENTS_ARE_ROWS = "{flag}: the rows are rated segments. Use it with --stage=pretrain, --augment_drop_frames for segments."


def augmented(dataset, options, seed, start_step=0, segment_size=5, num_parallel=1):
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
    def one(number, batch):
        return augment(batch, options, tf.stack([tf.constant(seed, tf.int64), number]), segment_size)

    numbered = tf.data.Dataset.zip(tf.data.Dataset.counter(start_step), dataset)
    # Under TensorFlow's op determinism a map behind a Python generator is serial; asking for more only logs an error.
    parallel = {"num_parallel_calls": num_parallel, "deterministic": True} if num_parallel > 1 else {}
    return numbered.map(one, **parallel).prefetch(2)


def augment(batch, options, seed, segment_size=5):
    """One augmented batch: first frames are reversed and left out, then rows are mixed, then noise is added.

    Of a video that runs backwards and has rated segments, a last part that fills no segment is cut off: the others keep their
    bounds, at start time n' - segment_size - start, n' the frames left. What was rated in the part cut off gets weight 0.

    Args:
        batch: dict of tensors, with any of these: `frames` uint8 [B, T, D] and `num_frames` int32 [B]; `features` float32
            [B, D]; for whole videos with N rated segments also `segment_rows` and `start_times` int32 [N], the frames being
            the videos', or the segments' with `context_frames` and `context_num_frames` beside them. And rows of `labels`,
            `label_weights`, `video_labels`, `soft_labels`, `soft_weights` float32 [B, C] (or [N, C]).
        options: Augmentation.
        seed: int [2]; the same seed gives the same result.
        segment_size: frames of a segment.

    Returns:
        dict of the same keys, types and static shapes. Padding is 0.
    """
    seed = tf.cast(seed, tf.int64)
    flips, order, mixing, noise = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    result = dict(batch)
    flips = _flips(batch, options.reverse, flips, segment_size)
    if flips and "segment_rows" in batch:
        result |= _backwards(batch, flips, segment_size)
    if set(options.chosen) & set(_NEED_FRAMES):
        for number, (frames, count) in enumerate(_frames_of(batch)):
            stream = tf.random.experimental.stateless_fold_in(order, number)
            at, left = _order(result[frames], result[count], flips.get(frames), options, stream, segment_size)
            result[frames], result[count] = _take(result[frames], at, left), left
    if options.virtual_segments:
        result |= _mixed(result, options.virtual_segments, mixing)
    if options.noise:
        result |= _noisy(result, options.noise, noise)
    for key, value in result.items():
        value.set_shape(batch[key].shape)
    return result


def _frames_of(batch):
    """(frames, their number) of a batch by name, whole videos before segments."""
    return [(frames, FRAMES[frames]) for frames in ("context_frames", "frames") if frames in batch]


def _videos_of(batch):
    """Name of the frames of the batch's whole videos."""
    return "context_frames" if "context_frames" in batch else "frames"


def _uniform(shape, seed):
    return tf.random.stateless_uniform(shape, seed)


def _real(num_frames, length):
    """Which frames are real: bool [B, T]."""
    return tf.range(length)[None, :] < num_frames[:, None]


# ---------------------------------------------------------------- which frames, in which order


def _flips(batch, probability, seed, size):
    """{name of frames: which of them run backwards, bool [B]}, "segments" [N] for a video's; empty where that is off."""
    if not probability or "frames" not in batch:
        return {}
    videos = _videos_of(batch)
    num_frames = batch[FRAMES[videos]]
    flips = _uniform(tf.shape(num_frames), seed) < probability
    if "segment_rows" not in batch:
        return {videos: flips}
    flips &= num_frames >= size
    segments = tf.gather(flips, batch["segment_rows"])
    return {videos: flips, "segments": segments, **({"frames": segments} if videos != "frames" else {})}


def _backwards(batch, flips, size):
    """Lengths, start times, labels and weights of rated videos, when those with `flips` run backwards."""
    videos = _videos_of(batch)
    num_frames = batch[FRAMES[videos]]
    num_frames = num_frames - tf.where(flips[videos], num_frames % size, 0)
    mirrored = tf.gather(num_frames, batch["segment_rows"]) - size - batch["start_times"]
    lost = flips["segments"] & (mirrored < 0)
    starts = tf.where(flips["segments"], tf.maximum(mirrored, 0), batch["start_times"])
    changed = {FRAMES[videos]: num_frames, "start_times": starts}
    for key in (*LABELS, *LABELS.values()):
        if key in batch:
            changed[key] = tf.where(lost[:, None], 0.0, batch[key])
    return changed


def _order(frames, num_frames, flips, options, seed, size):
    """Indices [B, T] of the frames that come first, second, ..., and how many there are, int32 [B]."""
    rows, length = tf.shape(frames)[0], tf.shape(frames)[1]
    at = tf.broadcast_to(tf.range(length)[None, :], [rows, length])
    drop_segments, subsample, drop_frames = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    if flips is not None:
        at = tf.where(flips[:, None] & _real(num_frames, length), num_frames[:, None] - 1 - at, at)
    if options.drop_segments:
        blocks = (length + size - 1) // size
        draws = tf.where(_real(-(-num_frames // size), blocks), _uniform([rows, blocks], drop_segments), -1.0)
        kept = tf.repeat(_kept(draws, options.drop_segments), size, axis=1)[:, :length]
        at, num_frames = _compact(at, num_frames, kept)
    if options.subsample > 1:
        step = options.subsample
        first = tf.cast(_uniform([rows], subsample) * tf.cast(tf.minimum(num_frames, step), tf.float32), tf.int32)
        chosen = tf.minimum(first[:, None] + step * tf.range(length)[None, :], length - 1)
        at, num_frames = tf.gather(at, chosen, batch_dims=1), -(-(num_frames - first) // step)
    if options.drop_frames:
        draws = tf.where(_real(num_frames, length), _uniform([rows, length], drop_frames), -1.0)
        at, num_frames = _compact(at, num_frames, _kept(draws, options.drop_frames))
    return at, num_frames


def _kept(draws, probability):
    """What is not left out, given uniform draws (-1 for what is not there): the largest draw of a row always stays."""
    return (draws >= probability) | (draws >= tf.reduce_max(draws, axis=1, keepdims=True))


def _compact(at, num_frames, kept):
    """Indices [B, T] and numbers [B] with only the real frames that are kept, in their order."""
    length = tf.shape(at)[1]
    kept = kept & _real(num_frames, length)
    chosen = tf.argsort(tf.range(length)[None, :] + tf.where(kept, 0, length), axis=1)
    return tf.gather(at, chosen, batch_dims=1), tf.reduce_sum(tf.cast(kept, tf.int32), axis=1)


def _take(frames, at, num_frames):
    """frames[b, at[b, t]], zero from num_frames on."""
    taken = tf.gather(frames, at, batch_dims=1)
    return tf.where(_real(num_frames, tf.shape(at)[1])[:, :, None], taken, tf.zeros([], frames.dtype))


# ---------------------------------------------------------------- virtual segments


def _mixed(batch, alpha, seed):
    """What changes when each row is mixed with another one: x = a x_i + (1 - a) x_j, a from Beta(alpha, alpha).

    The partner's n_j frames are spread over the row's own n_i: frame t is mixed with frame floor(t n_j / n_i), so that all of
    the partner is there and the row keeps its length. A row with a partner without frames (or without frames itself) stays as
    it is. Bytes are rounded at random, so that their mean is right.
    """
    pairing, shares, rounding = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    rows = tf.shape(batch["labels"])[0]
    partner = tf.random.experimental.stateless_shuffle(tf.range(rows), seed=pairing)
    share = _beta(rows, alpha, shares)
    changed = {}
    if "features" in batch:
        changed["features"] = _combined(batch["features"], tf.gather(batch["features"], partner), share[:, None])
    else:
        num_frames = batch["num_frames"]
        others = tf.gather(num_frames, partner)
        share = tf.where((num_frames > 0) & (others > 0), share, 1.0)
        changed["frames"] = _mixed_frames(batch["frames"], num_frames, others, partner, share, rounding)
    for labels, weights in LABELS.items():
        if labels in batch:
            changed |= _mixed_labels(batch, labels, weights, partner, share[:, None])
    if "video_labels" in batch:
        other = tf.where(share[:, None] < 1.0, tf.gather(batch["video_labels"], partner), 0.0)
        changed["video_labels"] = tf.maximum(batch["video_labels"], other)
    return changed


def _beta(rows, alpha, seed):
    """Draws from Beta(alpha, alpha), float32 [rows]."""
    gammas = tf.random.stateless_gamma([2, rows], seed, alpha=alpha, dtype=tf.float64)
    total = gammas[0] + gammas[1]  # 0 by underflow where alpha is tiny
    return tf.cast(tf.where(total > 0.0, tf.math.divide_no_nan(gammas[0], total), 1.0), tf.float32)


def _combined(own, other, share):
    return share * own + (1.0 - share) * other


def _mixed_frames(frames, num_frames, others, partner, share, seed):
    length = tf.shape(frames)[1]
    spread = tf.range(length)[None, :] * others[:, None] // tf.maximum(num_frames, 1)[:, None]
    at = partner[:, None] * length + tf.minimum(spread, length - 1)
    flat = tf.reshape(frames, [-1, tf.shape(frames)[2]])  # [B * T, D]
    own, other = tf.cast(frames, tf.float32), tf.cast(tf.gather(flat, at), tf.float32)
    mixed = _combined(own, other, share[:, None, None]) + _uniform(tf.shape(frames), seed)
    mixed = tf.where((share < 1.0)[:, None, None], tf.minimum(tf.floor(mixed), 255.0), own)
    return tf.where(_real(num_frames, length)[:, :, None], tf.cast(mixed, frames.dtype), tf.zeros([], frames.dtype))


def _mixed_labels(batch, labels, weights, partner, share):
    """Labels y and weights w such that a loss linear in w and in y (cross entropy) is a of the row's + 1 - a of the partner's.

    w = a w_i + (1 - a) w_j; y = (a w_i y_i + (1 - a) w_j y_j) / w, 0 where w is 0.
    """
    y, w = batch[labels], batch.get(weights)
    if w is None:
        return {labels: _combined(y, tf.gather(y, partner), share)}
    weight = _combined(w, tf.gather(w, partner), share)
    weighted = _combined(w * y, tf.gather(w * y, partner), share)
    return {labels: tf.math.divide_no_nan(weighted, weight), weights: weight}


# ---------------------------------------------------------------- noise


def _noisy(batch, deviation, seed):
    """Features with Gaussian noise; bytes with a noise of whole bytes of the same mean 0 and the same deviation."""
    changed = {}
    if "features" in batch:
        noise = tf.random.stateless_normal(tf.shape(batch["features"]), seed, stddev=deviation)
        changed["features"] = batch["features"] + noise
    for number, (frames, count) in enumerate(_frames_of(batch)):
        x, stream = batch[frames], tf.random.experimental.stateless_fold_in(seed, number)
        noisy = tf.cast(x, tf.int16) + _byte_noise(tf.shape(x), deviation, stream)
        noisy = tf.cast(tf.clip_by_value(noisy, 0, 255), x.dtype)
        changed[frames] = tf.where(_real(batch[count], tf.shape(x)[1])[:, :, None], noisy, tf.zeros([], x.dtype))
    return changed


def _byte_noise(shape, deviation, seed):
    """Whole bytes, int16, of mean 0 and standard deviation `deviation` units.

    Small ones are -1, 0 or 1, as often as the deviation asks for; a Gaussian rounded would be 0 nearly always. Larger ones are
    a rounded Gaussian, narrower by the variance 1/12 that rounding adds.
    """
    variance = (deviation * BYTES_PER_UNIT) ** 2
    if variance <= 0.5:
        draws = _uniform(shape, seed)
        return tf.cast(draws < variance / 2, tf.int16) - tf.cast(draws >= 1 - variance / 2, tf.int16)
    gaussian = tf.random.stateless_normal(shape, seed, stddev=math.sqrt(variance - 1 / 12))
    return tf.cast(tf.clip_by_value(tf.round(gaussian), -255.0, 255.0), tf.int16)
