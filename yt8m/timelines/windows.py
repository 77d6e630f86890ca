"""Scores a stride: the windows that a video is scored in, and what they say of each second; NumPy alone."""

import numpy as np

from yt8m.segments import SEGMENT_SIZE, starts_of

STRIDES = (SEGMENT_SIZE, 1)


def window_starts(num_frames, stride):
    """Starts int [W] of a video's 5-second windows.

    Every 5 seconds the last one may be shorter. Every second all are whole, but that of a video of less than 5 seconds.
    """
    if stride == SEGMENT_SIZE:
        return starts_of(num_frames)
    return np.arange(max(num_frames - SEGMENT_SIZE + 1, min(num_frames, 1)))


def scores_a_stride(scores, num_frames, stride):
    """What the windows say of each stride of the video.

    Args:
        scores: float [W, C], of window_starts' windows.
        num_frames: seconds of the video.
        stride: 5: the window's own score; 1: of a second the mean over the windows that it is in.

    Returns:
        float32 [ceil(num_frames / stride), C].
    """
    scores = np.asarray(scores, np.float32)
    if stride == SEGMENT_SIZE:
        return scores
    sums = np.cumsum(np.r_[np.zeros((1, scores.shape[1])), scores], axis=0)  # float64 [W + 1, C]
    seconds = np.arange(num_frames)
    first, last = np.maximum(seconds - SEGMENT_SIZE + 1, 0), np.minimum(seconds, len(scores) - 1) + 1
    return ((sums[last] - sums[first]) / (last - first)[:, None]).astype(np.float32)
