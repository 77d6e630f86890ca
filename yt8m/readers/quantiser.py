"""Scores as numbers of two bytes: paper 002's whole numbers, or float16."""

import numpy as np

from yt8m.errors import UserError

SCALES = {"uint16": 9999, "float16": 1}  # a stored value is score * scale; 9999 is paper 002's
# The bits of a score of 1. Those of every other stored score are, as whole numbers, below.
HIGHEST = {"uint16": 9999, "float16": int(np.float16(1).view(np.uint16))}


def encode_scores(scores, dtype):
    """Scores as they are stored.

    Args:
        scores: float [...], probabilities.
        dtype: "uint16": round(score * 9999), paper 002's, off by at most 5e-5; "float16": off by at most 1/2048 of the score
            (of tiny ones more).

    Raises:
        UserError: another dtype, or scores that are NaN or not in [0, 1].
    """
    check_dtype(dtype)
    scores = np.asarray(scores, np.float32)
    if scores.size and not (scores.min() >= -1e-5 and scores.max() <= 1 + 1e-5):  # NaN is neither
        raise UserError(f"scores from {scores.min()} to {scores.max()}: expected probabilities, 0 to 1; check the model.")
    if dtype == "float16":
        return scores.clip(0, 1).astype(np.float16) + np.float16(0)  # + 0 turns -0.0 into 0.0
    return np.rint(scores * np.float32(SCALES[dtype])).astype(np.uint16)


def decode_scores(values, dtype):
    """float32 scores of stored values of the dtype."""
    check_dtype(dtype)
    scores = np.asarray(values).astype(np.float32)
    return scores if dtype == "float16" else scores / np.float32(SCALES[dtype])


def unsound_row(values, rows_at_a_time=8192):
    """The first row with a stored value that no probability has, of values [N, C]; None where all are sound."""
    for begin in range(0, len(values), rows_at_a_time):
        part = values[begin : begin + rows_at_a_time]
        bits, highest = part.view(np.uint16), HIGHEST[part.dtype.name]
        if bits.size and bits.max() > highest:
            return begin + int(np.argmax((bits > highest).any(axis=1)))
    return None


def check_dtype(dtype):
    """Refuses a dtype that scores are not stored as.

    Raises:
        UserError: names those that they are.
    """
    if dtype not in SCALES:
        raise UserError(f"dtype={dtype!r} of a store of scores: use one of {', '.join(SCALES)}.")
