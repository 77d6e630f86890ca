"""Smoothing over time, and the weights by which a segment's score, its video's and the mean over the video are added.

Of each (video, class), with logits x of the segments' scores:

    smoothed = w x[s-1] + (1 - 2 w) x[s] + w x[s+1]        the weights of neighbours that there are not go to the others
    fused    = a smoothed + b video + d mean over s of x + e                                 a, b, d >= 0, for all classes

The constant e changes no ranking; without it the weights would have to explain how many of the ratings are positive. All five are
fitted by the log loss of rated pairs, of videos that the scores' models were not trained on.
"""

import itertools
import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.files import write_text

KERNELS = (0.0, 0.1, 0.2, 0.25, 1 / 3)  # w
LEAST_PROBABILITY = {"uint16": 5e-5, "float16": 1e-7}  # what a lower stored score is taken for: of uint16 half a step
VERSION = 1
_FIELDS = {
    "version": jsonfiles.Integer(0),
    **{name: jsonfiles.Number() for name in ("smoothing", "segment", "video", "mean", "constant")},
}
_RIDGE = 1e-6  # keeps the weights finite where ratings can be told apart without a mistake


class Terms(NamedTuple):
    """What a fused score is made of, parallel arrays of logits.

    Attributes:
        segment: of the segments themselves.
        neighbours: sum over the one or two neighbours.
        num_neighbours: how many there are, broadcasts.
        mean: over the video's segments.
        video: of the video; zeros where its scores are not known.
    """

    segment: np.ndarray
    neighbours: np.ndarray
    num_neighbours: np.ndarray
    mean: np.ndarray
    video: np.ndarray

    def smoothed(self, w):
        """The segments' logits with a kernel [w, 1 - 2 w, w]."""
        return ((1 - 2 * w) * self.segment + w * self.neighbours) / (1 - 2 * w + w * self.num_neighbours)


@dataclass(frozen=True)
class Fusion:
    """How scores are smoothed and fused.

    Attributes:
        smoothing: w.
        segment, video, mean, constant: a, b, d, e.
    """

    smoothing: float
    segment: float
    video: float
    mean: float
    constant: float

    def logits(self, terms):
        """The fused logits of Terms."""
        parts = self.segment * terms.smoothed(self.smoothing) + self.mean * terms.mean + self.constant
        return parts + self.video * terms.video if self.video else parts

    def write(self, path, about):
        """Writes it for `read`; about: a dict of what else to note.

        Raises:
            UserError: the file cannot be written.
        """
        write_text(path, json.dumps({"version": VERSION, **asdict(self), **about}, indent=1) + "\n")


def read(path):
    """The Fusion in a file from `Fusion.write`.

    Raises:
        UserError: no such file, or values that are out of range.
    """
    try:
        with open(path, encoding="utf-8") as file:
            values = jsonfiles.parse(file.read(), _FIELDS)
        if values["version"] != VERSION:
            raise ValueError(f"version {values['version']}, not {VERSION}")
        fusion = Fusion(*(float(values[name]) for name in list(_FIELDS)[1:]))
        weights = np.array([fusion.smoothing, fusion.segment, fusion.video, fusion.mean])
        if not np.isfinite([*weights, fusion.constant]).all() or weights.min() < 0 or fusion.smoothing > 0.5:
            raise ValueError("a weight below 0, not finite, or a smoothing above 1/2")
    except OSError as error:
        raise UserError(f"--fusion={path}: cannot be read ({error.strerror}). Name a file of --fusion_output.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"--fusion={path}: no file of --fusion_output ({error}). Fit it again.") from error
    return fusion


def logits(probabilities, dtype):
    """float32 logits of scores that were stored as `dtype`, finite."""
    least = LEAST_PROBABILITY[dtype]
    p = np.clip(np.asarray(probabilities, np.float64), least, 1 - least)
    return (np.log(p) - np.log1p(-p)).astype(np.float32)


def terms_of(x, firsts, linked, video):
    """The Terms of the segments of some videos.

    Args:
        x: float32 [n, C], logits of the segments, video after video.
        firsts: int [V], the first row of each video.
        linked: bool [n - 1], whether a row's next is the segment after it in the same video.
        video: float32 [V, C], logits of the videos; None: not known.
    """
    counts = np.diff(np.append(firsts, len(x)))
    neighbours, num_neighbours = np.zeros_like(x), np.zeros((len(x), 1), np.float32)
    neighbours[1:] += linked[:, None] * x[:-1]
    neighbours[:-1] += linked[:, None] * x[1:]
    num_neighbours[1:, 0] += linked
    num_neighbours[:-1, 0] += linked
    mean = np.repeat(np.add.reduceat(x, firsts, axis=0) / counts[:, None].astype(np.float32), counts, axis=0)
    return Terms(x, neighbours, num_neighbours, mean, np.zeros_like(x) if video is None else np.repeat(video, counts, axis=0))


def fit(terms, labels, kernels=KERNELS):
    """The Fusion that explains ratings best, and its log loss a rating.

    Args:
        terms: Terms of rated pairs, [n] each.
        labels: [n], positive where above 0.
        kernels: values of w to choose from; of equal ones the first is taken.

    Raises:
        UserError: ratings of one kind only, from which nothing can be learned.
    """
    positive = np.asarray(labels) > 0
    if positive.all() or not positive.any():
        raise UserError(f"{len(positive)} ratings, {positive.sum()} of them positive: nothing to fit on. Name shards with both.")
    best, least = None, np.inf
    for w in kernels:
        columns = np.stack([terms.smoothed(w), terms.video, terms.mean], axis=1).astype(np.float64)
        weights, loss = _logistic(columns, positive)
        if loss < least - 1e-12:
            best, least = Fusion(float(w), *map(float, weights)), loss
    return best, float(least)


def log_loss(x, labels):
    """Mean log loss of logits."""
    return float(np.mean(np.logaddexp(0, np.where(np.asarray(labels) > 0, -x, x))))


def log_probabilities(x):
    """log sigmoid(x), which tells apart what rounds to 1: float32."""
    return -np.logaddexp(0, -np.asarray(x, np.float64)).astype(np.float32)


def _logistic(columns, positive):
    """Weights of a logistic regression, none below 0 but the last, a constant, and its log loss.

    The objective is convex, so that its minimum is that without bounds over the weights that are above 0 there: of all choices
    of weights that might be, the best whose minimum is allowed.
    """
    sign, best, least = np.where(positive, 1.0, -1.0), None, np.inf
    used = [c for c in range(columns.shape[1]) if columns[:, c].any()]
    for count in range(len(used) + 1):
        for chosen in itertools.combinations(used, count):
            x = np.concatenate([columns[:, chosen], np.ones((len(columns), 1))], axis=1)
            weights, value = _newton(x, sign)
            if weights[:-1].min(initial=0) >= 0 and value < least:
                least, best = value, np.zeros(columns.shape[1] + 1)
                best[[*chosen, -1]] = weights
    return best, log_loss(columns @ best[:-1] + best[-1], positive)


def _newton(x, sign, max_iterations=100):
    """Weights float64 [k] that minimise mean log(1 + exp(-sign x weights)) and a slight ridge, and the minimum."""

    def objective(weights):
        return np.mean(np.logaddexp(0, -sign * (x @ weights))) + _RIDGE / 2 * weights @ weights

    weights = np.zeros(x.shape[1])
    value = objective(weights)
    for _ in range(max_iterations):
        wrong = np.exp(-np.logaddexp(0, sign * (x @ weights)))  # the probability of what was not rated
        gradient = -x.T @ (sign * wrong) / len(x) + _RIDGE * weights
        curvature = (x * (wrong * (1 - wrong))[:, None]).T @ x / len(x) + _RIDGE * np.eye(len(weights))
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while (lower := objective(weights - size * step)) >= value and size > 1e-6:
            size /= 2
        if lower >= value:
            break
        weights, value, gained = weights - size * step, lower, value - lower
        if gained < 1e-12:
            break
    return weights, value
