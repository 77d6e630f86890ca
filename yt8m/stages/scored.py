"""Every pair of an evaluation set with its score and its video: what intervals and comparisons are made of."""

from typing import NamedTuple

import numpy as np

from yt8m import models
from yt8m.errors import UserError
from yt8m.stages import evaluate
from yt8m.training.data import video_spec
from yt8m.training.predict import make_predict

MAX_PAIRS = 20_000_000  # of whole videos, 40 bytes each


class ScoredPairs(NamedTuple):
    """(row, class) pairs with what is known and what a model says, n of them; a row is a segment or a video.

    Attributes:
        videos: str [n], id of each pair's video.
        starts: int [n], of its segment; -1 of whole videos.
        classes: int [n], columns of the predictions.
        scores, labels: float32 [n].
    """

    videos: np.ndarray
    starts: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def in_order(self):
        """The pairs by video, start and class: in one order, whatever kind of model has read the rows."""
        order = np.lexsort((self.classes, self.starts, self.videos))
        return ScoredPairs(*(values[order] for values in self))


def scored_pairs(model, config, pattern, batch_size=128, segments=True):
    """The pairs by which a model is judged: the rated ones of segments, or all of whole videos.

    Args:
        model, config, pattern, batch_size: as evaluate.evaluate_videos'.
        segments: rated segments, else whole videos with their labels.

    Returns:
        ScoredPairs.

    Raises:
        UserError: more than MAX_PAIRS pairs of whole videos, or as evaluate's functions.
    """
    if segments:
        parts = [
            _pairs_of_segments(*row) for row in evaluate.rated_rows(model, config, pattern, batch_size, None, "eval_data_pattern")
        ]
    else:
        parts = list(_pairs_of_videos(model, config, pattern, batch_size))
    return ScoredPairs(*(np.concatenate(part) for part in zip(*parts)))


def _pairs_of_segments(batch, predictions):
    """The rated pairs of a batch, a ScoredPairs."""
    classes, scores, labels, _ = evaluate.pairs_of(batch, predictions)
    rows = np.nonzero(batch["label_weights"].numpy())[0]
    videos = batch["segment_rows"].numpy()[rows] if "segment_rows" in batch else rows
    return ScoredPairs(_ids(batch)[videos], batch["start_times"].numpy()[rows], classes, scores, labels)


def _ids(batch):
    """The ids of a batch's videos, str [B]; records have them as UTF-8."""
    return np.array([name.decode() for name in batch["ids"].numpy()], str)


def _pairs_of_videos(model, config, pattern, batch_size):
    """Yields the pairs of each batch of whole videos, ScoredPairs."""
    models.check_scores_videos(config.model)
    predict, count = make_predict(model), 0
    for batch in evaluate.shown_batches(video_spec(config, pattern, pattern_flag="eval_data_pattern"), batch_size):
        predictions = predict(batch)
        count += predictions.size
        if count > MAX_PAIRS:
            raise UserError(
                f"--eval_data_pattern={pattern}: more than {MAX_PAIRS:,} (video, class) pairs, which are held in memory here. "
                "Name fewer shards, or rated ones without --whole_videos."
            )
        rows, classes = (values.ravel() for values in np.indices(predictions.shape))
        labels = (batch["labels"].numpy() > 0).astype(np.float32)
        starts = np.full(predictions.size, -1)
        yield ScoredPairs(_ids(batch)[rows], starts, classes, predictions.ravel(), labels.ravel())
