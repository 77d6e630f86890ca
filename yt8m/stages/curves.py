"""Precision and recall at every threshold, as TensorBoard's PR CURVES page shows them."""

import numpy as np
import tensorflow as tf

THRESHOLDS = 201  # 0, 0.005, ..., 1


class PrecisionRecall:
    """Counts pairs by their scores, batch by batch.

    A pair is predicted at a threshold where its score is that or more.
    """

    def __init__(self):
        self._counts = np.zeros((2, THRESHOLDS), np.int64)  # negatives and positives, by the last threshold that they reach

    def add(self, scores, labels):
        """Adds pairs: scores from 0 to 1 and labels, positive where above 0, arrays of one shape."""
        reached = np.clip(np.floor(np.ravel(scores) * (THRESHOLDS - 1)), 0, THRESHOLDS - 1).astype(np.int64)
        places = reached + THRESHOLDS * (np.ravel(labels) > 0)
        self._counts += np.bincount(places, minlength=2 * THRESHOLDS).reshape(2, THRESHOLDS)

    def values(self):
        """float32 [6, THRESHOLDS]: true and false positives, true and false negatives, precision, recall."""
        false, true = np.cumsum(self._counts[:, ::-1], axis=1)[:, ::-1]
        rows = (true, false, false[0] - false, true[0] - true)
        precision = true / np.maximum(1, true + false)
        recall = true / max(1, true[0])
        return np.stack([*rows, precision, recall]).astype(np.float32)


def write(tag, curve, step):
    """Writes a PrecisionRecall to the default tf.summary writer."""
    from tensorboard.plugins.pr_curve import metadata

    about = metadata.create_summary_metadata(display_name=tag, description="", num_thresholds=THRESHOLDS)
    tf.summary.write(tag, curve.values(), step=step, metadata=about)
