"""One binary model for all classes, from a pair's features to how relevant the class is: the first step of CCRL.

Source: the specification's section 2, step A, after arXiv 1911.08548 (of which the code was never published).
"""

import importlib.util

import numpy as np

from yt8m.errors import UserError
from yt8m.flags.values import check_like

METHODS = ("logistic", "trees", "attention", "class_trees", "localizer")
# Of each method its options: the inverse of the L2 of a logistic regression; of boosted trees how many, how deep, at which rate;
# of the networks of pair_model their sizes, the frames that they see beside a segment, their training, the parts of the videos,
# one of which says which epoch is best, the negatives of each rated segment that nobody has rated, what these weigh, what the
# loss of pairs of a class weighs, the rows of a class that are then together in a batch, and how many networks are averaged. Of
# class_trees: the ratings that a class with trees of its own has at least, frames beside a segment, related classes, the share of
# the other videos that give a negative, at most how many for each rating, since all are kept in memory, what one weighs, the
# trees (bins of a column, XGBoost has 256, but a class has few rows, and each takes time; min_leaf: XGBoost's least sum of
# hessians is 1, of at most 1/4 a row; l2: its lambda), the share of videos that a fit is judged on, how many trees without gain
# end it, how many fits are averaged, and the exponent of the video's score. Of the localisers, whose score is a feature more for
# the regression: their sizes, their training (second_rate, third_rate: of the learning rate, in the second and the last third of
# the epochs), the parts of the videos, and the regression's strength.
OPTIONS = {
    "logistic": {"strength": 1.0},
    "trees": {"depth": 3, "num_trees": 300, "learning_rate": 0.05, "seed": 1},
    "attention": {
        "width": 128,
        "hidden": 256,
        "heads": 4,
        "embedding": 32,
        "dropout": 0.5,
        "expansion": 3,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "batch_size": 256,
        "epochs": 20,
        "parts": 5,
        "negatives": 2,
        "negative_weight": 0.25,
        "pairwise_weight": 0.0,
        "rows_per_class": 8,
        "num_models": 3,
        "seed": 1,
    },
    "class_trees": {
        "min_ratings": 50,
        "expansion": 2,
        "related": 10,
        "negatives": 0.09,
        "negatives_a_rating": 4,
        "negative_weight": 1 / 9,
        "depth": 4,
        "num_trees": 1000,
        "learning_rate": 0.02,
        "max_features": 0.8,
        "bins": 64,
        "min_leaf": 4,
        "l2": 1.0,
        "held_out": 0.3,
        "patience": 50,
        "num_fits": 5,
        "video_exponent": 0.25,
        "seed": 1,
    },
    "localizer": {
        "units": 64,
        "embedding": 32,
        "learning_rate": 1e-3,
        "second_rate": 0.1,
        "third_rate": 0.02,
        "clip_norm": 1.0,
        "batch_size": 32,
        "epochs": 12,
        "parts": 3,
        "strength": 1.0,
        "seed": 1,
    },
}
MAY_BE_ZERO = ("dropout", "weight_decay", "negatives", "negative_weight", "pairwise_weight", "related", "l2", "video_exponent")
LEAST = {"parts": 2, "bins": 2, "rows_per_class": 2}  # the smallest values of some; of the others all above 0 will do
MOST = {"dropout": 0.9, "max_features": 1.0, "held_out": 0.9, "bins": 255}  # the largest
# Option -> another without which it has no effect.
NEEDS = {"rows_per_class": "pairwise_weight", "negative_weight": "negatives", "negatives_a_rating": "negatives"}
WEIGHT_BOUNDS = 0.5, 2.0


def check_installed():
    """Raises UserError where scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise UserError("Ranking pairs needs scikit-learn. Install it: pip install 'yt8m[rerank]'")


def class_weights(classes):
    """Weights [n] of ratings, between 1/2 and 2: mean ratings a class / those of its class, since MAP is a mean over classes."""
    _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return np.clip(counts.mean() / counts, *WEIGHT_BOUNDS)[inverse]


def options_of(method, given):
    """The options of a method: those that are given, beside the defaults.

    Raises:
        UserError: an option that the method does not have or that has no effect, or a value that is not a number above 0.
    """
    known = OPTIONS[method]
    for name, value in given.items():
        if name not in known:
            raise UserError(f"--method_options={name}: --method={method} has {', '.join(known)}. Use these.")
        if value is None:
            raise UserError(f"--method_options: {name}=None: expected a number, such as {known[name]}.")
        check_like(f"--method_options: {name}", value, known[name])
        if not (value >= 0 if name in MAY_BE_ZERO else value > 0):
            bound = "must not be below 0" if name in MAY_BE_ZERO else "must be above 0"
            raise UserError(f"--method_options: {name}={value}: {bound}.")
        if not LEAST.get(name, value) <= value <= MOST.get(name, value):
            bounds = [f"{bound} {of[name]}" for bound, of in (("at least", LEAST), ("at most", MOST)) if name in of]
            raise UserError(f"--method_options: {name}={value}: must be {' and '.join(bounds)}.")
    options = {**known, **given}
    for name, needed in NEEDS.items():
        if name in known and options[name] != known[name] and not options[needed]:
            raise UserError(f"--method_options: {name}={given[name]} has no effect with {needed}=0. Give both, or leave it out.")
    return options


class FeatureRanker:
    """Logits of pairs, of their features alone.

    Args:
        model: fitted estimator of scikit-learn.
    """

    def __init__(self, model):
        self.model = model

    def __call__(self, features, pairs=None):
        """Logits float32 [n] of features float32 [n, F]; what else the pairs are is not looked at."""
        return self.model.decision_function(features).astype(np.float32)


def fit(method, features, labels, classes, **options):
    """A FeatureRanker.

    Args:
        method: "logistic": of standardised features; "trees": boosted trees. (The others: pair_model, class_trees, localizer.)
        features: float32 [n, F] of rated pairs.
        labels: [n], positive where above 0.
        classes: int [n].
        **options: of the method, as in OPTIONS.

    Raises:
        UserError: an unknown method or option, scikit-learn is not installed, or labels of one kind only.
    """
    if method not in METHODS[:2]:
        raise UserError(f"method={method!r}: use one of {', '.join(METHODS[:2])}.")
    options = options_of(method, options)
    positive = np.asarray(labels) > 0
    if positive.all() or not positive.any():
        raise UserError(
            f"{len(positive)} ratings, {positive.sum()} of them positive: nothing to learn from. Name shards with both."
        )
    check_installed()
    model = _logistic(**options) if method == "logistic" else _trees(**options)
    weights = {"logisticregression__sample_weight" if method == "logistic" else "sample_weight": class_weights(classes)}
    model.fit(features, positive, **weights)
    return FeatureRanker(model)


def _logistic(strength):
    """A logistic regression of standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


def _trees(depth, num_trees, learning_rate, seed):
    """Boosted trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_depth=depth, max_iter=num_trees, learning_rate=learning_rate, early_stopping=False, random_state=seed
    )
