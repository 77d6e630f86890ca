"""The 5-second grid of a video, windows of frames on it, and YouTube-8M's quantisation of frames; NumPy alone.

Layers and exported signatures do the same in keras.ops and TensorFlow, with these constants.
"""

import numpy as np

SEGMENT_SIZE = 5  # seconds, which are frames
MIN_VALUE, MAX_VALUE = -2.0, 2.0  # of a feature, before it was quantised to 0..255
BYTES_PER_UNIT = 255 / (MAX_VALUE - MIN_VALUE)


def scale_and_offset(min_value=MIN_VALUE, max_value=MAX_VALUE):
    """Floats with which feature = byte * scale + offset: (max - min) / 255, and min with half a step of 1/256 of the range.

    Source: utils.Dequantize of the starter code (google/youtube-8m).
    """
    span = max_value - min_value
    return span / 255, min_value + span / 512


SCALE, OFFSET = scale_and_offset()

# ---------------------------------------------------------------- segments and windows


def starts_of(num_frames):
    """Start times int [S] of the segments of one video; S = ceil(num_frames / 5)."""
    return np.arange(0, num_frames, SEGMENT_SIZE)


def segments_of(num_frames, skip_head=0, skip_tail=0):
    """The segments of each video; a last one shorter than 5 seconds counts as one.

    Args:
        num_frames: int [B], real frames of each video.
        skip_head, skip_tail: segments at the beginning and at the end of each video that are left out.

    Returns:
        rows int [N], the video of each segment; starts int [N], its start in seconds.
    """
    segments = -(-np.asarray(num_frames, np.int64) // SEGMENT_SIZE)  # [B]
    left = np.maximum(segments - skip_head - skip_tail, 0)
    rows = np.repeat(np.arange(len(segments)), left)  # [N]
    starts = (np.arange(left.sum()) - np.repeat(np.cumsum(left) - left, left) + skip_head) * SEGMENT_SIZE
    return rows, starts


def windows_at(starts, lengths, expansion=0, shift=0):
    """The frames of the windows [start + shift - expansion, start + shift + 5 + expansion), as far as the video has them.

    Args:
        starts: int [N].
        lengths: int [N], real frames of each segment's video.
        expansion: frames added before and after.
        shift: frames by which the windows are later than the segments.

    Returns:
        frames int [N, 5 + 2 expansion], indices of a window's frames, real ones first (the rest repeat the first); counts
        int32 [N], its real frames: 0 where it lies outside the video (its indices then may, too).
    """
    first = np.maximum(starts + shift - expansion, 0)
    counts = np.maximum(np.minimum(starts + shift + SEGMENT_SIZE + expansion, lengths) - first, 0)
    offsets = np.arange(SEGMENT_SIZE + 2 * expansion)
    return first[:, None] + np.where(offsets < counts[:, None], offsets, 0), counts.astype(np.int32)


def window_indices(num_frames, expansion=0):
    """The frames that belong to each segment of each video, `expansion` more on either side.

    Args:
        num_frames: int [B], real frames of each video.
        expansion: frames added before and after, as far as the video has them.

    Returns:
        rows, starts as segments_of's; frames, counts as windows_at's.
    """
    num_frames = np.asarray(num_frames, np.int64)
    rows, starts = segments_of(num_frames)
    return rows, starts, *windows_at(starts, num_frames[rows], expansion)


def windows_of(frames, rows, indices, counts):
    """The windows of windows_at, zeros behind their real frames.

    Args:
        frames: uint8 [B, T, D].
        rows: int [N], the video of each window.
        indices, counts: int [N, W] and [N], as windows_at's.

    Returns:
        uint8 [N, W, D].
    """
    windows = frames[rows[:, None], indices]
    windows[np.arange(windows.shape[1]) >= counts[:, None]] = 0
    return windows


# ---------------------------------------------------------------- quantisation


def dequantise(frames):
    """Bytes, or means of bytes, as features: float32 of the same shape."""
    return np.asarray(frames).astype(np.float32) * np.float32(SCALE) + np.float32(OFFSET)


def quantise(features):
    """Features float [...] as bytes uint8 [...]: clipped to [-2, 2] and truncated, which the half step of dequantise mends.

    Source: the quantisers of MediaPipe's YouTube-8M graph and of VGGish's postprocessor; the starter's extractor rounds.
    """
    features = np.clip(features, MIN_VALUE, MAX_VALUE)
    return np.floor((features - MIN_VALUE) * BYTES_PER_UNIT).astype(np.uint8)


def nearest_bytes(features):
    """Features as the bytes that dequantise nearest to them: uint8 of the same shape, with the sample's rounding."""
    return np.clip(np.rint((features - np.float32(OFFSET)) * np.float32(BYTES_PER_UNIT)), 0, 255).astype(np.uint8)


def mean_features(frames, counts):
    """Means of frames as features: of the bytes, whose sum is exact in float32 up to 65,793 frames, dequantised once.

    The mean of dequantised frames, which the sample's video-level files hold, differs from it in the last bits.

    Args:
        frames: uint8 [..., T, D], zeros behind the real ones.
        counts: int [...], how many are real.

    Returns:
        float32 [..., D].
    """
    return dequantise(frames.sum(axis=-2, dtype=np.float32) / np.asarray(counts, np.float32)[..., None])
