"""Boosted trees, a set for each class: frames around a segment and the scores of the class and of related ones -> its relevance.

Source: the 5th place (Last Top GB Model), as the specification's section 3.4 has it, with scikit-learn in place of XGBoost. Other
than there a row is a segment, not a frame: mean and maximum of its frames; columns of related classes take the place of those of
a thousand; windows end with their video; the trees behind the best ones are not asked; draws have seeds.
"""

import itertools
import math

import numpy as np

from yt8m.reranking import rankers, score_features
from yt8m.reranking.combined import in_video

SEGMENTS_AT_A_TIME = 4096
VIDEO_SCORE = len(score_features.NAMES) + score_features.VIDEO_NAMES.index("video score")


class ClassTrees:
    """Trees of the classes that have ratings enough; of other classes a ranker of all.

    Args:
        of_classes: {class: its fits, (HistGradientBoostingClassifier, how many of its trees count) each}.
        others: rankers.FeatureRanker.
        exponent: of the video's score, by which what the trees say is multiplied.
    """

    def __init__(self, of_classes, others, exponent):
        self.of_classes, self.others, self.exponent = of_classes, others, exponent

    def __call__(self, features, pairs):
        """Logits float32 [n] of p u^exponent, p the mean of the fits, u the video's score; of other classes those of `others`.

        Args:
            features: float32 [n, F]; pairs: frames.Pairs with `related`.
        """
        logits = self.others(features)
        with _one_thread():
            for first in range(0, len(pairs.windows), SEGMENTS_AT_A_TIME):
                some = slice(first, first + SEGMENTS_AT_A_TIME)
                here = np.flatnonzero((pairs.places >= some.start) & (pairs.places < some.stop))
                seen = _pooled(pairs.windows[some], pairs.counts[some])
                for c in np.intersect1d(pairs.classes[here], list(self.of_classes)).tolist():
                    rows = here[pairs.classes[here] == c]
                    columns = np.concatenate([seen[pairs.places[rows] - first], pairs.related[rows]], axis=1)
                    logits[rows] = in_video(self._logits(c, columns), features[rows, VIDEO_SCORE], self.exponent)
        return logits

    def _logits(self, c, columns):
        """Of the mean of a class's fits: float32 [n]."""
        p = np.mean([_probabilities(*fit, columns) for fit in self.of_classes[c]], axis=0)
        return (np.log(p) - np.log1p(-p)).astype(np.float32)


def fit(features, labels, classes, videos, pairs, rated, **options):
    """ClassTrees of the classes with `min_ratings` or more, and the logistic regression of all ratings for the others.

    Each of a class's fits learns from some of its videos and stops where it is best on the rest.

    Args:
        features: float32 [n, F]; labels: [n], positive where above 0; classes: int [n]; videos: str [n], ids.
        pairs: frames.Pairs with `related`.
        rated: bool [n]; other rows are negatives that nobody has rated.
        **options: as in rankers.OPTIONS["class_trees"].

    Raises:
        UserError: as rankers.fit.
    """
    options = rankers.options_of("class_trees", options)
    others = rankers.fit("logistic", features[rated], labels[rated], classes[rated])
    positive, weights, of_classes = np.asarray(labels) > 0, np.where(rated, 1.0, options["negative_weight"]), {}
    with _one_thread():
        for c in np.unique(classes[rated]).tolist():
            rows = np.flatnonzero(classes == c)
            if np.count_nonzero(rated[rows]) >= options["min_ratings"]:
                segments, places = np.unique(pairs.places[rows], return_inverse=True)
                seen = _pooled(pairs.windows[segments], pairs.counts[segments])[places]
                columns = np.concatenate([seen, pairs.related[rows]], axis=1)
                fits = _fits(columns, positive[rows], weights[rows], videos[rows], options)
                of_classes |= {c: fits} if fits else {}
    return ClassTrees(of_classes, others, options["video_exponent"])


def _fits(columns, positive, weights, videos, options):
    """The fits of a class, without those whose videos all have one label; none where too few videos are left to learn from."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import GroupShuffleSplit

    num_videos = len(np.unique(videos))
    if math.ceil(options["held_out"] * num_videos) >= num_videos:
        return []
    splits = GroupShuffleSplit(options["num_fits"], test_size=options["held_out"], random_state=options["seed"])
    fits = []
    for number, (learned, judged) in enumerate(splits.split(columns, groups=videos)):
        if positive[learned].all() or not positive[learned].any():
            continue
        model = HistGradientBoostingClassifier(
            max_depth=options["depth"], max_iter=options["num_trees"], learning_rate=options["learning_rate"],
            max_features=options["max_features"], min_samples_leaf=options["min_leaf"], l2_regularization=options["l2"],
            max_bins=options["bins"], early_stopping=True, n_iter_no_change=options["patience"], tol=0,
            random_state=options["seed"] + number,
        )  # fmt: skip
        model.fit(
            columns[learned], positive[learned], weights[learned],
            X_val=columns[judged], y_val=positive[judged], sample_weight_val=weights[judged],
        )  # fmt: skip
        fits.append((model, max(int(np.argmax(model.validation_score_)), 1)))  # the first score is that of no tree
    return fits


def _probabilities(model, count, columns):
    """What the first `count` trees of a fit say: float64 [n]."""
    logits = next(itertools.islice(model.staged_decision_function(columns), count - 1, None))
    return 1 / (1 + np.exp(-np.ravel(logits)))


def _one_thread():
    """A context in which trees take one thread: a class is small, and threads would wait for each other."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, "openmp")


def _pooled(windows, counts):
    """Mean and maximum of the real frames, float32 [S, 2 D], in bytes: trees ask for the order alone.

    Args:
        windows: uint8 [S, W, D], zeros behind the real frames; counts: int [S].
    """
    mean = windows.sum(axis=1, dtype=np.float32) / np.maximum(counts, 1)[:, None].astype(np.float32)
    return np.concatenate([mean, windows.max(axis=1)], axis=1)
