"""One binary model for all classes, from a pair's features to how relevant the class is: the first step of CCRL.

Source: the specification's section 2, step A, after arXiv 1911.08548 (of which the code was never published).
"""

import importlib.util

import numpy as np

from yt8m.errors import UserError

METHODS = ("logistic", "trees")
WEIGHT_BOUNDS = 0.5, 2.0


def check_installed():
    """Raises UserError where scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise UserError("Ranking pairs needs scikit-learn. Install it: pip install 'yt8m[rerank]'")


def class_weights(classes):
    """Weights [n] of ratings, between 1/2 and 2: mean ratings a class / those of its class, since MAP is a mean over classes."""
    _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return np.clip(counts.mean() / counts, *WEIGHT_BOUNDS)[inverse]


def fit(method, features, labels, classes, seed=1, depth=3, num_trees=300, learning_rate=0.05, strength=1.0):
    """A function from features [n, F] to logits float32 [n].

    Args:
        method: "logistic": of standardised features; "trees": boosted trees.
        features: float32 [n, F] of rated pairs.
        labels: [n], positive where above 0.
        classes: int [n].
        seed: of the trees.
        depth, num_trees, learning_rate: of the trees.
        strength: inverse of the logistic regression's L2.

    Raises:
        UserError: an unknown method, scikit-learn is not installed, or labels of one kind only.
    """
    if method not in METHODS:
        raise UserError(f"method={method!r}: use one of {', '.join(METHODS)}.")
    positive = np.asarray(labels) > 0
    if positive.all() or not positive.any():
        raise UserError(
            f"{len(positive)} ratings, {positive.sum()} of them positive: nothing to learn from. Name shards with both."
        )
    check_installed()
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weights = class_weights(classes)
    if method == "logistic":
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        model.fit(features, positive, logisticregression__sample_weight=weights)
    else:
        model = HistGradientBoostingClassifier(
            max_depth=depth, max_iter=num_trees, learning_rate=learning_rate, early_stopping=False, random_state=seed
        )
        model.fit(features, positive, sample_weight=weights)
    return lambda rows: model.decision_function(rows).astype(np.float32)
