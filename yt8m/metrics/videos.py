"""The metrics of whole videos, batch by batch."""

import numpy as np

from yt8m.errors import UserError
from yt8m.metrics import ranking
from yt8m.metrics.score_columns import MEMORY, ScoreColumns


class VideoMetrics:
    """Collects batches and gives the metrics of all of them, equal to the functions of `ranking` on the concatenated batches.

    Memory: 6 * top_k + 50 bytes a video, about (170 at 20: 0.2 GB for YouTube-8M's 1.1 million validation videos), and `memory`.
    MAP over all predictions has to keep them, 4 * num_classes bytes a video: what is more than `memory` goes to a file (17 GB for
    all validation videos at 3,862 classes), see ScoreColumns. With `map_top_k` it keeps that many a video instead, as the starter
    code does with 20.

    Args:
        num_classes: C.
        top_k: predictions a video that count in GAP.
        map_top_k: predictions a video that count in MAP, None for all.
        threshold: of precision and recall: what is predicted is above it.
        memory: bytes of predictions to hold.
    """

    def __init__(self, num_classes, top_k=20, map_top_k=None, threshold=0.5, memory=MEMORY):
        if num_classes < 1 or top_k < 1 or (map_top_k is not None and map_top_k < 1):
            raise UserError(f"num_classes={num_classes}, top_k={top_k}, map_top_k={map_top_k}: each must be 1 or more.")
        self.num_classes = num_classes
        self.top_k = top_k
        self.map_top_k = map_top_k
        self.threshold = threshold
        self.num_videos = 0
        self._hits, self._precisions = [], []
        self._pool = []  # (scores, whether they are right), each [n, top_k], for GAP
        self._listed = []  # (classes, scores, whether they are right), each [n, map_top_k], for MAP over these
        self._columns = ScoreColumns(num_classes, memory) if map_top_k is None else None  # for MAP over all predictions
        self._positives = []  # (video, class) of every label
        self._predicted, self._true, self._right = 0, 0, 0  # pairs above the threshold, labels, and both
        self._losses = {"loss": (0.0, 0)}  # sum over the videos, and how many

    def update(self, predictions, labels, **losses):
        """Adds a batch: predictions and labels [n, num_classes], and its mean losses a video by name, such as loss=."""
        predictions, labels = ranking.checked(predictions, labels, ndim=2)
        if predictions.shape[1] != self.num_classes:
            raise UserError(f"predictions of {predictions.shape[1]} classes: expected num_classes={self.num_classes}.")
        true = labels > 0
        self._hits.append(ranking.hits_at_one(predictions, labels))
        self._precisions.append(ranking.precisions_at_equal_recall(predictions, labels, above=0.0))
        classes = ranking.top_k_classes(predictions, max(self.top_k, self.map_top_k or 1))
        scores, right = (np.take_along_axis(values, classes, axis=1) for values in (predictions, true))
        self._pool.append((scores[:, : self.top_k].copy(), right[:, : self.top_k].copy()))
        if self._columns is None:
            self._listed.append(tuple(values[:, : self.map_top_k].copy() for values in (classes.astype(np.int32), scores, right)))
        else:
            self._columns.append(predictions)
        videos, label_classes = np.nonzero(true)
        self._positives.append(((videos + self.num_videos).astype(np.int32), label_classes.astype(np.int32)))
        predicted = predictions > self.threshold
        self._predicted += np.count_nonzero(predicted)
        self._true += len(videos)
        self._right += np.count_nonzero(predicted & true)
        self.num_videos += len(predictions)
        for name, loss in losses.items():
            total, count = self._losses.get(name, (0.0, 0))
            self._losses[name] = (total + float(loss) * len(predictions), count + len(predictions))

    def result(self):
        """The metrics so far, as a dict.

        Keys: hit_at_one, perr, map, gap, loss (nan if none was given), further losses by their names, precision, recall,
        num_videos, num_classes_without_positives, class_average_precisions float64 [C] (nan without positives),
        class_positives int [C].
        """
        losses = {name: ranking.share(*sums) for name, sums in self._losses.items()}
        precisions, positives, gap = np.full(self.num_classes, np.nan), np.zeros(self.num_classes, int), float("nan")
        if self.num_videos:
            pairs = tuple(map(np.concatenate, zip(*self._positives)))
            positives = np.bincount(pairs[1], minlength=self.num_classes)
            precisions = self._class_precisions(pairs, positives)
            scores, right = (np.concatenate(values).ravel() for values in zip(*self._pool))
            gap = ranking.average_precision(scores, right, self._true)
        return {
            "hit_at_one": ranking.mean(np.concatenate([[], *self._hits])),
            "perr": ranking.mean(np.concatenate([[], *self._precisions])),
            "map": ranking.mean_of_present(precisions),
            "gap": gap,
            **losses,
            "precision": ranking.share(self._right, self._predicted),
            "recall": ranking.share(self._right, self._true),
            "num_videos": self.num_videos,
            "num_classes_without_positives": int(np.count_nonzero(np.isnan(precisions))),
            "class_average_precisions": precisions,
            "class_positives": positives,
        }

    def _class_precisions(self, pairs, positives):
        if self._columns is not None:
            return ranking.dense_class_precisions(self._columns.blocks(), pairs, self.num_classes)
        classes, scores, right = (np.concatenate(values).ravel() for values in zip(*self._listed))
        return ranking.pair_average_precisions(classes, scores, right, positives)
