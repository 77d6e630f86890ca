"""Scores of whole videos and of all their 5-second segments, from any model."""

import numpy as np
import tensorflow as tf

from yt8m import models

SEGMENT_SIZE = 5


def make_predict(model):
    """A compiled `batch dict -> float32 [rows, C]` in inference mode (batch norm by its averages, no dropout, no sampling)."""
    taken = {tensor.name for tensor in model.inputs} | {"frames", "num_frames", "segment_rows", "start_times"}
    taken |= {"segment_frames", "segment_num_frames"}

    @tf.function(reduce_retracing=True)
    def predict(batch):
        return models.predict(model, batch)

    return lambda batch: predict({key: tf.convert_to_tensor(value) for key, value in batch.items() if key in taken}).numpy()


def window_indices(num_frames, expansion=0):
    """The frames that belong to each 5-second segment of each video, `expansion` more on either side.

    Args:
        num_frames: int [B], real frames of each video.
        expansion: frames added before and after, as far as the video has them.

    Returns:
        rows int [N], the video of each segment; starts int [N], its start in seconds; frames int [N, 5 + 2 expansion], the
        indices of its frames, real ones first (the rest repeat the first); counts int32 [N], its real frames. A last
        segment shorter than 5 seconds counts as one.
    """
    num_frames = np.asarray(num_frames, np.int64)
    segments = -(-num_frames // SEGMENT_SIZE)  # [B]
    rows = np.repeat(np.arange(len(num_frames)), segments)  # [N]
    starts = (np.arange(segments.sum()) - np.repeat(np.cumsum(segments) - segments, segments)) * SEGMENT_SIZE
    first = np.maximum(starts - expansion, 0)
    counts = np.minimum(starts + SEGMENT_SIZE + expansion, num_frames[rows]) - first
    offsets = np.arange(SEGMENT_SIZE + 2 * expansion)
    frames = first[:, None] + np.where(offsets < counts[:, None], offsets, 0)
    return rows, starts, frames, counts.astype(np.int32)


def segment_scores(model, predict, batch, expansion=0, chunk=2048):
    """Scores every segment of a batch of videos; a sequence model or a context reads each video once.

    Args:
        model: the Keras model; a video-level one gets the mean of each segment's frames.
        predict: make_predict(model).
        batch: `frames` uint8 [B, T, D] and `num_frames` int [B].
        expansion: frames added on either side of a segment.
        chunk: segments a call of a model that sees segments one by one.

    Returns:
        rows int [N], starts int [N], scores float32 [N, C].
    """
    frames, num_frames = np.asarray(batch["frames"]), np.asarray(batch["num_frames"], np.int32)
    rows, starts, indices, counts = window_indices(num_frames, expansion)
    segments = {"segment_rows": rows.astype(np.int32), "start_times": starts.astype(np.int32)}
    if model.KIND == "sequence":
        return rows, starts, predict({"frames": frames, "num_frames": num_frames, **segments})
    if model.KIND == "context":
        windows = _windows(frames, rows, indices, counts)
        video = {"frames": frames, "num_frames": num_frames}
        return rows, starts, predict({**video, **segments, "segment_frames": windows, "segment_num_frames": counts})
    scores = []
    for begin in range(0, len(rows), chunk):
        part = slice(begin, begin + chunk)
        windows = _windows(frames, rows[part], indices[part], counts[part])
        if model.KIND == "video":
            scores.append(predict({"features": mean_features(windows, counts[part])}))
        else:
            scores.append(predict({"frames": windows, "num_frames": counts[part]}))
    return rows, starts, np.concatenate(scores)


def _windows(frames, rows, indices, counts):
    """uint8 [N, W, D]: the windows of window_indices, zeros behind their real frames."""
    windows = frames[rows[:, None], indices]
    windows *= (np.arange(windows.shape[1]) < counts[:, None])[..., None]
    return windows


def mean_features(windows, counts):
    """Means of dequantised frames: uint8 [N, W, D], zeros behind the counts [N] real frames -> float32 [N, D]."""
    means = windows.sum(axis=1, dtype=np.float32) / counts[:, None].astype(np.float32)
    return means * np.float32(4 / 255) + np.float32(4 / 512 - 2)
