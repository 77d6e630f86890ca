"""Scores of whole videos and of all their 5-second segments, from any model."""

import numpy as np
import tensorflow as tf

from yt8m.backend import dtype_policy
from yt8m.base_model import Windows
from yt8m.segments import SEGMENT_SIZE, segments_of, windows_at

_FRAMES_AT_A_TIME, _WINDOWS_AT_A_TIME = 2048, 512  # that share what is made of frames


class Predict:
    """A model's predictions in inference mode (batch norm by its averages, no dropout, no sampling), compiled.

    Called with a batch dict it gives float32 [rows, C], see BaseModel.predict_rated.

    Args:
        model: BaseModel.
    """

    def __init__(self, model):
        self._taken = {tensor.name for tensor in model.inputs} | {"segment_rows", "start_times", "context_embedding"}

        def encode(frames, num_frames):
            return model.encode_context({"context_frames": frames, "context_num_frames": num_frames})

        self._model, self._shared = model, {}
        self._predict, self._encode = _Compiled(model.predict_rated), _Compiled(encode)

    def __call__(self, batch):
        return self._predict({key: tf.convert_to_tensor(value) for key, value in batch.items() if key in self._taken}).numpy()

    def context(self, frames, num_frames):
        """What a model that HAS_ENCODERS keeps of each video: frames uint8 [B, T, D], num_frames int32 [B] -> tensor [B, E]."""
        return self._encode(tf.convert_to_tensor(frames), tf.convert_to_tensor(num_frames))

    def shared(self, width):
        """The compiled halves (describe, judge) of the model's SharedFrames for windows of `width` frames; None: it has none."""
        if width not in self._shared:
            with dtype_policy(self._model.dtype_policy.name):  # what was restored since may have another
                halves = self._model.shared_frames(width)
            self._shared[width] = halves and (_Compiled(halves.describe), _Compiled(halves.judge))
        return self._shared[width]


class _Compiled:
    """A compiled function of tensors whose first axes are as long as they are: it is traced once for all lengths.

    tf.function would trace it for the first lengths alone, and again for the second. Where other axes change it is traced anew,
    and from then on for any length of them.
    """

    def __init__(self, function):
        self.function, self._known = tf.function(function, reduce_retracing=True, autograph=False), False

    def __call__(self, *inputs):
        if not self._known:
            self.function.get_concrete_function(*tf.nest.map_structure(_of_any_length, inputs))
            self._known = True
        return self.function(*inputs)


def _of_any_length(tensor):
    return None if tensor is None else tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)


def make_predict(model):
    """The model's Predict, a compiled `batch dict -> float32 [rows, C]` in inference mode: whoever asks again gets the same."""
    if not hasattr(model, "_compiled_predict"):
        model._compiled_predict = Predict(model)
    return model._compiled_predict


def segment_scores(model, predict, batch, expansion=0, chunk=2048, shifts=0):
    """Scores every segment of a batch of videos; a sequence model or a context reads each video once.

    Args:
        model: the Keras model; a video-level one gets the mean of each segment's frames.
        predict: make_predict(model).
        batch: `frames` uint8 [B, T, D] and `num_frames` int [B].
        expansion: frames added on either side of a segment.
        chunk, shifts: as scores_at's.

    Returns:
        rows int [N], starts int [N], scores float32 [N, C].
    """
    frames, num_frames = np.asarray(batch["frames"]), np.asarray(batch["num_frames"], np.int32)
    rows, starts = segments_of(num_frames)
    return rows, starts, scores_at(model, predict, frames, num_frames, rows, starts, expansion, shifts, chunk=chunk)


def scores_at(model, predict, frames, num_frames, rows, starts, expansion=0, shifts=0, max_frames=None, chunk=2048, shift=0):
    """Scores the given segments of videos, on average over shifted windows.

    Shifting is test-time augmentation. A segment's window moves by -shifts..shifts frames; what of it lies outside the video is
    cut off, and a window without a real frame does not take part in the segment's mean. A sequence model has no windows: the
    whole video moves before it is cut into segments (its first |d| frames go, or its first frame is repeated |d| times in
    front), and a shift takes part where the segment then has a frame that is no repetition. Of a context model only the
    segment's window moves; the context is encoded once.

    Args:
        model: the Keras model; a video-level one gets the mean of each window's frames.
        predict: make_predict(model).
        frames, num_frames: uint8 [B, T, D] and int [B], the videos.
        rows, starts: int [N], the segments: the video of each, and its start in seconds, of a sequence model a multiple of 5.
        expansion: frames added on either side of a window; a sequence model has none.
        shifts: frames by which windows move at most.
        max_frames: a video to which frames were added is cut to this length again; None: is not.
        chunk: windows a call of a model that sees segments one by one.
        shift: frames by which all windows are later than the segments, below 5; each then has to have a real frame.

    Returns:
        float32 [N, C].

    Source: the 9th place of the challenge moved the segment by -2 to +1 frames; averaging both ways alike is ours.
    """
    context = {"context_embedding": predict.context(frames, num_frames)} if model.HAS_ENCODERS and len(rows) else {}
    moves = []  # (which of the segments have a window there, their Windows)
    for moved in range(shift - shifts, shift + shifts + 1):
        indices, counts = windows_at(starts, np.asarray(num_frames)[rows], expansion if model.SCORES_WINDOWS else 0, moved)
        part = np.flatnonzero(counts)
        if len(part):
            moves.append((part, Windows(rows[part], starts[part], indices[part], counts[part], moved, max_frames)))
    if _overlap(moves, frames.shape) and predict.shared(SEGMENT_SIZE + 2 * expansion):
        scored = _shared_scores(predict, frames, moves, **context)
    else:
        scored = []
        for part, windows in moves:
            batches = [predict({**batch, **context}) for batch in model.segment_batches(frames, num_frames, windows, chunk)]
            scored.append((part, batches[0] if len(batches) == 1 else np.concatenate(batches)))
        if len(scored) == 1 and len(scored[0][0]) == len(rows):
            return scored[0][1]
    total, count = np.zeros((len(rows), model.outputs[0].shape[-1]), np.float32), np.zeros(len(rows), np.float32)
    for part, scores in scored:
        total[part] += scores
        count[part] += 1
    return total / count[:, None] if shifts else total  # each segment's own window took part


def _overlap(moves, shape):
    """Whether a frame of the videos, uint8 [B, T, D] in shape, is in two of the windows."""
    seen, count = np.zeros(shape[:2], bool), 0
    for _, windows in moves:
        seen[windows.rows[:, None], windows.indices] = True
        count += windows.counts.sum()
    return count > np.count_nonzero(seen)


def _shared_scores(predict, frames, moves, context_embedding=None):
    """Yields (the segments, their scores float32 [n, C]) of windows, each frame described once for all that it is in.

    Videos are taken a few at a time, so that what is described, and its windows, stay small.

    Args:
        predict: Predict.
        frames: uint8 [B, T, D].
        moves: list of (int [n] which of the segments, their Windows).
        context_embedding: tensor [B, E] of a model that HAS_ENCODERS.
    """
    describe, judge = predict.shared(moves[0][1].indices.shape[1])
    length = frames.shape[1]
    videos = max(1, _FRAMES_AT_A_TIME // length)
    for first in range(0, len(frames), videos):
        block, picked, seen = frames[first : first + videos].reshape(-1, frames.shape[2]), [], np.zeros(videos * length, bool)
        for part, windows in moves:
            here = np.flatnonzero((windows.rows >= first) & (windows.rows < first + videos))
            for at in np.split(here, range(_WINDOWS_AT_A_TIME, len(here), _WINDOWS_AT_A_TIME)):
                places = (windows.rows[at, None] - first) * length + windows.indices[at]  # [n, W] in the block
                seen[places] = True
                picked += [(part[at], windows.rows[at], places, windows.counts[at])] if len(at) else []
        if not picked:
            continue
        described, new_places = describe(tf.constant(block[seen[: len(block)]])), (np.cumsum(seen) - 1).astype(np.int32)
        for part, rows, places, counts in picked:
            beside = None if context_embedding is None else tf.gather(context_embedding, rows)
            yield part, judge(described, tf.constant(new_places[places]), tf.constant(counts), beside).numpy()


def deciding_attention(model, frames, columns):
    """Where in a video the attention set looks that decides each class, in inference, the mean over the features.

    A set is chosen for the video as a whole: the one whose probability of the class is highest. A model whose video_prediction is
    the mean over its segments looks at each by itself, and so has a set for each.

    Args:
        model: the Keras model.
        frames: uint8 [T, D], T > 0.
        columns: int [n], of the predictions.

    Returns:
        float32 [n, T], each row with the maximum 1; None: the model has no attention.
    """
    if not model.has_attention:
        return None
    length = len(frames)
    size = SEGMENT_SIZE if getattr(model, "video_prediction", "whole") == "segments_mean" else length
    pieces = np.zeros((-(-length // size), size, frames.shape[1]), np.uint8)
    pieces.reshape(-1, frames.shape[1])[:length] = frames
    counts = np.minimum(length - np.arange(len(pieces)) * size, size)
    batch = {"frames": tf.constant(pieces), "num_frames": tf.constant(counts, tf.int32)}
    probabilities, weights = (np.asarray(part) for part in model.set_probabilities(batch))  # [N, M, C], [N, size, F, M]
    sets = probabilities[:, :, columns].argmax(axis=1)  # [N, n]
    seen = np.take_along_axis(weights.mean(axis=2), sets[:, None], axis=2)  # [N, size, n]
    seen = seen.reshape(-1, len(columns))[:length].T
    return seen / np.maximum(seen.max(axis=1, keepdims=True), 1e-12)
