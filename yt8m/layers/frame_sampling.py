"""Which frames of a video a model sees."""

import keras
import numpy as np
from keras import layers, ops

from yt8m.errors import UserError
from yt8m.registry import register

METHODS = ("random", "without_replacement", "sequence", "every")
SAMPLINGS = (*METHODS, "none")
INFERENCE_METHODS = ("random", "sequence")  # the starter code's two
_ENDS = {"random": (15, 15), "without_replacement": (30, 10), "sequence": (0, 0), "every": (20, 30)}


def ends_of(sampling, skip_head=None, skip_tail=None):
    """How many frames at the beginning and at the end of a video a sampling leaves out; (0, 0) for "none".

    Args:
        sampling: a method of FrameSampling, or "none".
        skip_head, skip_tail: as in FrameSampling.
    """
    if sampling not in _ENDS:
        return 0, 0
    head, tail = _ENDS[sampling]
    return head if skip_head is None else skip_head, tail if skip_tail is None else skip_tail


def sample_frames(inputs, sampling, num_samples, skip_head, skip_tail, stride, inference_seed=None):
    """The frames and num_frames of a model's symbolic inputs as the model sees them: through FrameSampling, or whole.

    Args:
        inputs: {"frames": [B, T, D], "num_frames": [B]}.
        sampling: a method of FrameSampling, or "none".
        num_samples, skip_head, skip_tail, stride, inference_seed: as in FrameSampling.

    Raises:
        UserError: an unknown sampling, or a number out of range.
    """
    if sampling not in SAMPLINGS:
        raise UserError(f"sampling={sampling!r}: use one of {', '.join(SAMPLINGS)}.")
    if sampling == "none":
        return inputs["frames"], inputs["num_frames"]
    layer = FrameSampling(num_samples, sampling, skip_head, skip_tail, stride, inference_seed=inference_seed, name="sampling")
    return layer(inputs["frames"], inputs["num_frames"])


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class FrameSampling(layers.Layer):
    """Cuts off the ends of videos, in training and in inference, and samples the frames that are left in training.

    What is left of a video of n frames are its frames [skip_head, n - skip_tail); all n where n <= skip_head + skip_tail, as of
    segments, which are shorter than the methods' ends. In inference the model sees all that is left. In training:
    "random": `num_samples` of these frames with replacement; all, without draws, in a batch whose padded length T is at most
    `num_samples`.
    "without_replacement": `num_samples` different frames in the video's order, or all where there are no more.
    "sequence": `num_samples` frames that follow one another from a random one on, or all where there are no more.
    "every": every stride-th frame from the first on; with stride 1 all of them. Nothing in it is random. With a stride above 1 a
    video of up to `whole_up_to` frames is used whole: a segment, of 5 frames and its neighbourhood, is no video to be thinned.

    Args:
        num_samples: frames drawn; "every" does not use it.
        method: "random", "without_replacement", "sequence" or "every".
        skip_head, skip_tail: frames left out at the ends; None: 15 and 15 for "random", 30 and 10 for
            "without_replacement", 0 and 0 for "sequence", 20 and 30 for "every".
        stride: step of "every".
        whole_up_to: frames up to which "every" leaves none out, nor at the ends, in training.
        seed: of the draws.
        inference_seed: an int: inference samples, too, with "random" or "sequence": a row of more than `num_samples` frames
            (after the cut) is drawn from at places that this seed fixes, the same share of the way through each video, so
            that a prediction depends on the video alone, not on the batch or on earlier ones. None: inference sees all.

    Shapes: frames [B, T, ...] of any dtype, num_frames int [B] -> frames [B, T', ...], num_frames int32 [B]. Inference: T' is
        what the longest video needs (with inference_seed `num_samples` at most). Training: "random": T' = num_samples, all of
        them real; where T <= num_samples is known when the step is traced, what the longest video needs (where T is unknown
        then, such a batch is padded to num_samples). "without_replacement", "sequence": T' is the smaller of T and
        num_samples (num_samples where T is unknown).
    Raises:
        UserError: an unknown method, a number out of range, or an inference_seed for another method than these two.
    Source: the ends: paper 002, section 3.9 ("dropped from every video before the frame sampling"), whose authors' code cuts 30
        and 10 frames in evaluation, too; papers 000, 001 (the authors' code, in training; its inference sees segments only).
        "random" and "every": the training of papers 000, 001 (the authors' code); "without_replacement": paper 002, section
        3.1; "sequence": SampleRandomSequence of the starter code, which repeats the last frame of short videos; sampling in
        inference: its DbofModel.
    """

    def __init__(
        self,
        num_samples=120,
        method="random",
        skip_head=None,
        skip_tail=None,
        stride=5,
        whole_up_to=15,
        seed=None,
        inference_seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if method not in METHODS:
            raise UserError(f"method={method!r}: use one of {', '.join(METHODS)}.")
        if inference_seed is not None and method not in INFERENCE_METHODS:
            raise UserError(f"sampling={method!r}: in inference use one of {', '.join(INFERENCE_METHODS)}.")
        self.num_samples = num_samples
        self.method = method
        self.skip_head, self.skip_tail = ends_of(method, skip_head, skip_tail)
        self.stride = stride
        self.whole_up_to = whole_up_to
        self.seed = seed
        self.inference_seed = inference_seed
        for name, least in (("num_samples", 1), ("skip_head", 0), ("skip_tail", 0), ("stride", 1), ("whole_up_to", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name}={getattr(self, name)}: use a number of frames of at least {least}.")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, frames, num_frames, training=None):
        num_frames, total = ops.cast(num_frames, "int32"), frames.shape[1]
        n = ops.minimum(num_frames, ops.shape(frames)[1])[:, None]
        fits = total is not None and total <= self.num_samples
        if training and not (self.method == "random" and fits):
            indices, counts = getattr(self, f"_{self.method}")(frames, n)
        elif not training and self.inference_seed is not None and not fits:
            indices, counts = self._in_inference(frames, n)
        else:
            skipped = self.skip_head + self.skip_tail
            if not skipped or (total is not None and total <= skipped):
                return frames, num_frames
            indices, counts = self._every(frames, n, stride=1)
        return take(frames, indices), counts[:, 0]

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
            in_order = ops.minimum(first + ops.arange(self.num_samples, dtype="int32")[None, :], total - 1)
            indices = ops.where(total <= self.num_samples, in_order, indices)
            counts = ops.where(total <= self.num_samples, ops.minimum(n, width), counts)
        return indices, counts

    def _in_inference(self, frames, n):
        """Indices [B, num_samples] and the number [B, 1] of those that stand for frames, by `inference_seed` alone."""
        first, width = self._range(n)
        order = ops.arange(self.num_samples, dtype="int32")[None, :]
        rng = np.random.default_rng(self.inference_seed)
        draws = rng.random((1, self.num_samples if self.method == "random" else 1), dtype="float32")  # a constant of the graph
        if self.method == "random":
            offsets = ops.cast(draws * ops.cast(width, "float32"), "int32")
        else:
            offsets = ops.cast(draws * ops.cast(width - self.num_samples + 1, "float32"), "int32") + order
        indices = first + ops.where(width > self.num_samples, offsets, order)
        return ops.minimum(indices, ops.shape(frames)[1] - 1), ops.minimum(width, self.num_samples)

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

    def _every(self, frames, n, stride=None):
        """Indices [B, T'] and the number [B, 1] of those that stand for frames; T' is what the longest video needs."""
        stride = stride or self.stride
        skipped, short = self.skip_head + self.skip_tail, self._short(stride)
        total = ops.shape(frames)[1]
        if frames.shape[1] is None:
            length = ops.maximum(ops.minimum(total, short), (total - skipped + stride - 1) // stride)
        else:
            length = max(min(total, short), (total - skipped + stride - 1) // stride)
        order = ops.arange(length, dtype="int32")[None, :]
        indices = ops.where(n > short, self.skip_head + stride * order, order)
        counts = ops.where(n > short, (n - skipped + stride - 1) // stride, n)
        return ops.minimum(indices, total - 1), counts

    def _short(self, stride):
        """How many frames a video has at most that is used whole."""
        skipped = self.skip_head + self.skip_tail
        return max(skipped, self.whole_up_to) if stride > 1 else skipped

    def compute_output_spec(self, frames, num_frames, training=None):
        length = None if frames.shape[1] is None else self._sampled_length(frames.shape[1], training)
        sampled = keras.KerasTensor((frames.shape[0], length, *frames.shape[2:]), frames.dtype)
        return sampled, keras.KerasTensor(num_frames.shape, "int32")

    def _sampled_length(self, total, training):
        """T' of a known T."""
        skipped, drawn = self.skip_head + self.skip_tail, min(total, self.num_samples)
        draws = self.method != "every" if training else self.inference_seed is not None
        if draws and (drawn < total or (training and self.method != "random")):
            return drawn
        stride = self.stride if training and self.method == "every" else 1
        return max(min(total, self._short(stride)), (total - skipped + stride - 1) // stride)

    def get_config(self):
        return {
            **super().get_config(),
            "num_samples": self.num_samples,
            "method": self.method,
            "skip_head": self.skip_head,
            "skip_tail": self.skip_tail,
            "stride": self.stride,
            "whole_up_to": self.whole_up_to,
            "seed": self.seed,
            "inference_seed": self.inference_seed,
        }


def take(frames, indices):
    """frames[b, indices[b, s]] as one gather of whole frames: [B, T, ...], int32 [B, S] -> [B, S, ...]."""
    shape = ops.shape(frames)
    rows = indices + shape[1] * ops.arange(shape[0], dtype="int32")[:, None]
    return ops.take(ops.reshape(frames, (-1, *frames.shape[2:])), rows, axis=0)
