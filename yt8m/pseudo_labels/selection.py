"""What pseudo-labels are asked for, and what is chosen in a shard."""

from dataclasses import dataclass

import numpy as np

from yt8m.errors import UserError


@dataclass(frozen=True)
class Selection:
    """Which segments become pseudo-labels.

    Attributes:
        top: positives a class at most: the best segments.
        negatives: negatives a class at most, from the videos that hold one of its positives; None: as many as positives.
        min_score: a positive's score is at least this, and never 0.
        soft: a positive's score is the stored one, not 1. A negative's is 0.
        video_labels_only: a positive's class is among its video's labels.
        seed: of the choice among the segments that a submission does not list.
    """

    top: int = 1000
    negatives: int | None = None
    min_score: float = 0.0
    soft: bool = False
    video_labels_only: bool = False
    seed: int = 0

    def __post_init__(self):
        for name, value, least in (("top", self.top, 1), ("negatives", self.negatives, 0), ("seed", self.seed, 0)):
            if value is not None and value < least:
                raise UserError(f"--{name}={value}: expected {least} or more.")
        if not 0 <= self.min_score <= 1:
            raise UserError(f"--min_score={self.min_score}: expected a score, 0 to 1.")


@dataclass(frozen=True, eq=False)
class ShardLabels:
    """The pseudo-labels of one shard; n of them as parallel arrays.

    Attributes:
        ids: the video of each record.
        rows: int64 [n], numbers of records.
        starts: int64 [n], seconds.
        labels: int64 [n], label ids.
        scores: float32 [n]; a negative's is 0.
    """

    ids: list
    rows: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
