"""What a model is made of, where in videos it is asked to look, and the functions that serve it."""

from typing import Any, NamedTuple

import numpy as np


class Graph(NamedTuple):
    """What a model is made of.

    Attributes:
        inputs: dict of keras.Input.
        outputs: probabilities, float32.
        embedding: what the classifier sees.
        attention: weights of the frames, float32 [B, T, number of features, M], or None.
        beside: {name: tensor} of what a loss may need beside the outputs (its NEEDS), or None.
    """

    inputs: dict
    outputs: Any
    embedding: Any
    attention: Any = None
    beside: dict | None = None


class Windows(NamedTuple):
    """Windows of frames on segments of B videos, NumPy.

    Attributes:
        rows: int [N], the video of each.
        starts: int [N], the segment's start in seconds.
        indices: int [N, W], the frames of the window, real ones first.
        counts: int32 [N], how many are real, at least 1.
        shift: frames by which the windows are later than the segments.
        max_frames: a video to which frames are added is cut to this length again; None: is not.
    """

    rows: np.ndarray
    starts: np.ndarray
    indices: np.ndarray
    counts: np.ndarray
    shift: int = 0
    max_frames: int | None = None


class Part(NamedTuple):
    """A function that serves a model, or a part of it, for one row of frames.

    Attributes:
        name: of the part.
        output: name of what it gives: "probabilities", or a vector that a later part takes.
        call: function of a batch of one row with `frames` uint8 [1, T, D] and `num_frames` int32 [1]: of a segment's window; of
            a whole video, then with `segment_rows` and `start_times` of all its segments.
        whole_video: whether the frames are a video's.
        vectors: {name: size} of vectors float32 [1, size] that the batch has, too.
    """

    name: str
    output: str
    call: Any
    whole_video: bool = False
    vectors: dict = {}
