"""Scores of whole videos and of all their 5-second segments, from any model."""

import numpy as np
import tensorflow as tf

from yt8m import models

SEGMENT_SIZE = 5


def make_predict(model):
    """A compiled `batch dict -> float32 [B, C]` in inference mode (batch norm by its averages, no dropout, no sampling)."""

    @tf.function(reduce_retracing=True)
    def predict(inputs):
        return model(inputs, training=False)

    return lambda batch: predict(models.model_inputs(model, batch)).numpy()


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
    """Scores every segment of a batch of videos.

    Args:
        model: the Keras model; a video-level one gets the mean of each segment's frames.
        predict: make_predict(model).
        batch: `frames` uint8 [B, T, D] and `num_frames` int [B].
        expansion: frames added on either side of a segment.
        chunk: segments a call of the model.

    Returns:
        rows int [N], starts int [N], scores float32 [N, C].
    """
    frames = np.asarray(batch["frames"])
    rows, starts, indices, counts = window_indices(batch["num_frames"], expansion)
    takes_frames = "frames" in [tensor.name for tensor in model.inputs]
    scores = []
    for begin in range(0, len(rows), chunk):
        part = slice(begin, begin + chunk)
        windows = frames[rows[part, None], indices[part]]  # [n, W, D]
        real = np.arange(windows.shape[1]) < counts[part, None]  # [n, W]
        windows *= real[..., None]
        if takes_frames:
            scores.append(predict({"frames": windows, "num_frames": counts[part]}))
        else:
            scores.append(predict({"features": mean_features(windows, counts[part])}))
    return rows, starts, np.concatenate(scores)


def mean_features(windows, counts):
    """Means of dequantised frames: uint8 [N, W, D], zeros behind the counts [N] real frames -> float32 [N, D]."""
    means = windows.sum(axis=1, dtype=np.float32) / counts[:, None].astype(np.float32)
    return means * np.float32(4 / 255) + np.float32(4 / 512 - 2)
