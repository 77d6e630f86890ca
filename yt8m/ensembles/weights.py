"""Weights of an ensemble's members: given on the command line, or fitted for each class on rated segments."""

import json

import numpy as np

from yt8m.errors import UserError
from yt8m.files import write_text

VERSION = 1
LEAST_PROBABILITY = 5e-5  # half a step of a score stored as round(p * 9999): what a stored 0 or 1 is taken for


def parse(text, num_members, num_classes):
    """The weights of --weights=1,2,1: float64 [K, C], each member's the same for all classes.

    Args:
        text: numbers between commas; None: all members weigh the same.

    Raises:
        UserError: something else than K finite numbers, a negative one, or nothing above 0.
    """
    try:
        weights = np.ones(num_members) if text is None else np.array([float(part) for part in text.split(",")])
    except ValueError as error:
        raise UserError(f"--weights={text}: expected numbers such as 1,2,1 or a .json file of --weights_output.") from error
    if len(weights) != num_members:
        raise UserError(f"--weights={text}: {len(weights)} weights for {num_members} members. Give one each, in their order.")
    _check(weights[:, None], f"--weights={text}")
    return np.repeat(weights[:, None], num_classes, axis=1)


def fit(probabilities, labels, classes, num_classes, prior=30.0, tolerance=1e-5, max_iterations=5000):
    """For each class the weights (not negative, of sum 1) by which its members' mean explains its ratings best.

    They minimise, over the class's n ratings, sum of log loss of the weighted mean - (prior / K) * sum over members of log
    weight: as if `prior` more ratings had been seen that favour no member. The problem is convex, and it is that of the
    proportions of a mixture, so EM needs no step size: a weight is multiplied by its share of the credit. The largest of
    these factors, less 1, bounds how far the objective is from its minimum, per rating; when it is below `tolerance` the
    fit is done. A class without ratings keeps equal weights.

    Args:
        probabilities: float [n, K], each member's score of each rated pair.
        labels: [n], positive where above 0.
        classes: int [n], 0 to num_classes - 1.
        num_classes: C.
        prior: in ratings; 0: none.

    Returns:
        float64 [K, C].
    """
    likelihoods = likelihoods_of(probabilities, labels)
    weights = np.full((likelihoods.shape[1], num_classes), 1 / likelihoods.shape[1])
    order = np.argsort(classes, kind="stable")
    ends = np.cumsum(np.bincount(classes, minlength=num_classes))
    for c in np.unique(classes):
        of_class = order[ends[c - 1] if c else 0 : ends[c]]
        weights[:, c] = _fit_class(likelihoods[of_class], prior, tolerance, max_iterations)
    return weights


def likelihoods_of(probabilities, labels):
    """The probability of what the raters said: float64 [n, K], kept from 0."""
    probabilities = np.asarray(probabilities, np.float64)
    likelihoods = np.where(np.asarray(labels)[:, None] > 0, probabilities, 1 - probabilities)
    return np.maximum(likelihoods, LEAST_PROBABILITY)


def log_loss(weights, likelihoods, classes):
    """Mean log loss of the weighted mean: weights [K, C] of sum 1, likelihoods [n, K], classes [n]."""
    return float(-np.log(np.einsum("nk,kn->n", likelihoods, weights[:, classes])).mean())


def write(path, members, label_ids, weights, about):
    """Writes weights for `read`.

    Args:
        path: JSON file.
        members: {"name": .., "run": ..} of each member, in order.
        label_ids: of the C classes.
        weights: [K, C].
        about: dict of what else to note: how they were fitted.

    Raises:
        UserError: the file cannot be written.
    """
    by_class = {str(label): [round(float(w), 6) for w in of_class] for label, of_class in zip(label_ids, weights.T)}
    lines = ",\n".join(f"  {json.dumps(label)}: {json.dumps(of_class)}" for label, of_class in by_class.items())
    head = json.dumps({"version": VERSION, **about, "members": members}, indent=1)[:-2]
    write_text(path, f'{head},\n "weights": {{\n{lines}\n }}\n}}\n')


def read(path, label_ids, runs=None):
    """The weights in a file from `write`: float64 [K, C].

    Args:
        path: JSON file.
        label_ids: the classes that are wanted.
        runs: what made the scores of each member, as in the stores; None: only the number of members is known.

    Raises:
        UserError: no such file, of another number of members or of members in another order, or without one of the classes.
    """
    try:
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
        members, by_class = [member["run"] for member in stored["members"]], stored["weights"]
        fitted = {int(label): np.array(of_class, np.float64) for label, of_class in by_class.items()}
        if stored["version"] != VERSION or any(of_class.shape != (len(members),) for of_class in fitted.values()):
            raise ValueError("another version, or weights that are not one a member")
    except OSError as error:
        raise UserError(f"--weights={path}: cannot be read ({error.strerror}). Name a file of --weights_output.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--weights={path}: no file of --weights_output ({error}). Fit the weights again.") from error
    _check_members(path, members, runs)
    missing = [label for label in label_ids if label not in fitted]
    if missing:
        raise UserError(
            f"--weights={path}: no weights for {len(missing)} of {len(label_ids)} classes ({missing[0]}, ...). "
            "Fit them for these classes."
        )
    weights = np.stack([fitted[label] for label in label_ids], axis=1)
    _check(weights, f"--weights={path}")
    return weights


def _check_members(path, fitted, runs):
    """That the members are as many as those whose weights were fitted, and in their order as far as it can be told."""
    if runs is None:
        return
    if len(runs) != len(fitted):
        raise UserError(f"--weights={path}: weights of {len(fitted)} members, not of {len(runs)}. Name the same members.")
    runs, fitted = ([_models(run) for run in either] for either in (runs, fitted))
    for k, (run, other) in enumerate(zip(runs, fitted)):
        if run != other and run in fitted:
            raise UserError(
                f"--weights={path}: what is member {k + 1} here was member {fitted.index(run) + 1} when the weights were "
                "fitted. Name the members in that order."
            )
        if run is not None and run != other:
            print(f"Note: member {k + 1} in {path} was another model than the one whose scores are given here.")


def _models(run):
    """The models of a store's run, whatever else it says: which segments were left out, say."""
    return run.get("members", run) if isinstance(run, dict) else run


def _check(weights, what):
    """Raises UserError unless weights [K, C] are finite, none is negative and each class has one above 0."""
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise UserError(f"{what}: a weight is negative or no number. Give numbers from 0 up.")
    if not weights.any(axis=0).all():
        raise UserError(f"{what}: all weights are 0. Give one above 0.")


def _fit_class(likelihoods, prior, tolerance, max_iterations):
    """The weights of one class, float64 [K]; likelihoods [n, K]."""
    n, k = likelihoods.shape
    weights = np.full(k, 1 / k)
    for _ in range(max_iterations):
        credit = weights * (likelihoods / (likelihoods @ weights)[:, None]).sum(axis=0)
        updated = (credit + prior / k) / (n + prior)
        done = np.all(updated <= weights * (1 + tolerance))
        weights = updated
        if done:
            break
    return weights
