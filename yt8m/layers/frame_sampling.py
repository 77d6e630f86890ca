"""Which frames of a video a training step sees."""

import keras
from keras import layers, ops

from yt8m.errors import UserError
from yt8m.registry import register

METHODS = ("random", "without_replacement", "sequence", "every")
SAMPLINGS = (*METHODS, "none")
_ENDS = {"random": (15, 15), "without_replacement": (30, 10), "sequence": (0, 0), "every": (20, 30)}


def sample_frames(inputs, sampling, num_samples, skip_head, skip_tail, stride):
    """The frames and num_frames of a model's symbolic inputs as a training step sees them: through FrameSampling, or whole.

    Args:
        inputs: {"frames": [B, T, D], "num_frames": [B]}.
        sampling: a method of FrameSampling, or "none".
        num_samples, skip_head, skip_tail, stride: as in FrameSampling.

    Raises:
        UserError: an unknown sampling, or a number out of range.
    """
    if sampling not in SAMPLINGS:
        raise UserError(f"sampling={sampling!r}: use one of {', '.join(SAMPLINGS)}.")
    if sampling == "none":
        return inputs["frames"], inputs["num_frames"]
    layer = FrameSampling(num_samples, sampling, skip_head, skip_tail, stride, name="sampling")
    return layer(inputs["frames"], inputs["num_frames"])


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class FrameSampling(layers.Layer):
    """Samples frames in training; outside training it passes everything on.

    The methods choose among frames [skip_head, n - skip_tail) of each video, among all n where n <= skip_head + skip_tail.
    "random": `num_samples` frames with replacement. A batch whose padded length T is at most `num_samples` (segments) is
    kept as it is.
    "without_replacement": `num_samples` different frames in the video's order, or all where there are no more.
    "sequence": `num_samples` frames that follow one another from a random one on, or all where there are no more.
    "every": frames skip_head, skip_head + stride, ...; with stride 1 only the ends are cut off. Nothing in it is random.

    Args:
        num_samples: frames drawn; "every" does not use it.
        method: "random", "without_replacement", "sequence" or "every".
        skip_head, skip_tail: frames left out at the ends; None: 15 and 15 for "random", 30 and 10 for
            "without_replacement", 0 and 0 for "sequence", 20 and 30 for "every".
        stride: step of "every".
        seed: of the draws.

    Shapes: frames [B, T, ...] of any dtype, num_frames int [B] -> frames [B, T', ...], num_frames int32 [B]. "random":
        T' = num_samples, all of them real; T' = T where T <= num_samples is known when the step is traced (where T is
        unknown then, such a batch is padded to num_samples). "without_replacement", "sequence": T' is the smaller of T
        and num_samples (num_samples where T is unknown).
    Raises:
        UserError: an unknown method, or a number out of range.
    Source: "random" and "every": the training of papers 000, 001 (the authors' code); "without_replacement": paper 002,
        section 3.1; "sequence": SampleRandomSequence of the starter code, which repeats the last frame of short videos.
    """

    def __init__(self, num_samples=120, method="random", skip_head=None, skip_tail=None, stride=5, seed=None, **kwargs):
        super().__init__(**kwargs)
        if method not in METHODS:
            raise UserError(f"method={method!r}: use one of {', '.join(METHODS)}.")
        heads, tails = _ENDS[method]
        self.num_samples = num_samples
        self.method = method
        self.skip_head = heads if skip_head is None else skip_head
        self.skip_tail = tails if skip_tail is None else skip_tail
        self.stride = stride
        self.seed = seed
        for name, least in (("num_samples", 1), ("skip_head", 0), ("skip_tail", 0), ("stride", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name}={getattr(self, name)}: use a number of frames of at least {least}.")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, frames, num_frames, training=None):
        num_frames = ops.cast(num_frames, "int32")
        if not training:
            return frames, num_frames
        if self.method == "random" and frames.shape[1] is not None and frames.shape[1] <= self.num_samples:
            return frames, num_frames
        n = ops.minimum(num_frames, ops.shape(frames)[1])[:, None]
        indices, counts = getattr(self, f"_{self.method}")(frames, n)
        return _take(frames, indices), counts[:, 0]

    def _range(self, n):
        """The first frame to choose from and the number of them, int32 [B, 1]."""
        skipped = self.skip_head + self.skip_tail
        return ops.where(n > skipped, self.skip_head, 0), ops.where(n > skipped, n - skipped, n)

    def _length(self, frames):
        """T' of the methods that draw different frames."""
        return self.num_samples if frames.shape[1] is None else min(self.num_samples, frames.shape[1])

    def _random(self, frames, n):
        """Indices [B, num_samples] and their number [B, 1]."""
        first, width = self._range(n)
        width = ops.maximum(width, 1)
        draws = keras.random.uniform((ops.shape(frames)[0], self.num_samples), dtype="float32", seed=self.seed_generator)
        offsets = ops.cast(draws * ops.cast(width, "float32"), "int32")
        indices = first + offsets
        counts = ops.where(n > 0, self.num_samples, 0)
        if frames.shape[1] is None:
            total = ops.shape(frames)[1]
            in_order = ops.minimum(ops.arange(self.num_samples, dtype="int32"), total - 1)[None, :]
            indices = ops.where(total <= self.num_samples, in_order, indices)
            counts = ops.where(total <= self.num_samples, n, counts)
        return indices, counts

    def _without_replacement(self, frames, n):
        """Indices [B, T'] and the number [B, 1] of those that stand for frames: those with the T' largest random keys."""
        first, width = self._range(n)
        total, length = ops.shape(frames)[1], self._length(frames)
        keys = keras.random.uniform((ops.shape(frames)[0], total), dtype="float32", seed=self.seed_generator)
        position = ops.arange(total, dtype="int32")[None, :]
        keys = ops.where(ops.logical_and(position >= first, position < first + width), keys, -1.0)
        if frames.shape[1] is None:
            keys = ops.pad(keys, ((0, 0), (0, length)), constant_values=-1.0)
        chosen = ops.cast(ops.top_k(keys, length)[1], "int32")
        counts = ops.minimum(width, length)
        chosen = ops.where(ops.arange(length, dtype="int32")[None, :] < counts, chosen, total)
        return ops.minimum(ops.sort(chosen, axis=1), total - 1), counts

    def _sequence(self, frames, n):
        """Indices [B, T'] and the number [B, 1] of those that stand for frames."""
        first, width = self._range(n)
        length = self._length(frames)
        counts = ops.minimum(width, length)
        draws = keras.random.uniform((ops.shape(frames)[0], 1), dtype="float32", seed=self.seed_generator)
        offsets = ops.cast(draws * ops.cast(width - counts + 1, "float32"), "int32")
        indices = first + offsets + ops.arange(length, dtype="int32")[None, :]
        return ops.minimum(indices, ops.shape(frames)[1] - 1), counts

    def _every(self, frames, n):
        """Indices [B, T'] and the number [B, 1] of those that stand for frames; T' is what the longest video needs."""
        skipped = self.skip_head + self.skip_tail
        total = ops.shape(frames)[1]
        if frames.shape[1] is None:
            length = ops.maximum(ops.minimum(total, skipped), (total - skipped + self.stride - 1) // self.stride)
        else:
            length = max(min(total, skipped), (total - skipped + self.stride - 1) // self.stride)
        order = ops.arange(length, dtype="int32")[None, :]
        indices = ops.where(n > skipped, self.skip_head + self.stride * order, order)
        counts = ops.where(n > skipped, (n - skipped + self.stride - 1) // self.stride, n)
        return ops.minimum(indices, total - 1), counts

    def get_config(self):
        return {
            **super().get_config(),
            "num_samples": self.num_samples,
            "method": self.method,
            "skip_head": self.skip_head,
            "skip_tail": self.skip_tail,
            "stride": self.stride,
            "seed": self.seed,
        }


def _take(frames, indices):
    """frames[b, indices[b, s]] as one gather of whole frames."""
    shape = ops.shape(frames)
    rows = indices + shape[1] * ops.arange(shape[0], dtype="int32")[:, None]
    return ops.take(ops.reshape(frames, (-1, *frames.shape[2:])), rows, axis=0)
