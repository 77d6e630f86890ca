"""Rankers of pairs, and the features of scores."""

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.reranking import rankers, score_features

RNG = np.random.default_rng(0)


def test_features_of_scores_by_hand():
    logits = np.array([[1.0], [3.0], [5.0], [7.0]], np.float32)  # a video of three segments and one of a single segment
    found = score_features.of_segments(logits, np.array([0, 3]), np.array([True, True, False]))
    np.testing.assert_allclose(found[:, 0], [[1, 3, 5, -2, 3], [3, 3, 5, 0, 3], [5, 3, 5, 2, 3], [7, 7, 7, 0, 7]])


def test_a_gap_between_segments_is_no_neighbour():
    logits = np.array([[1.0], [3.0]], np.float32)
    assert score_features.of_segments(logits, np.array([0]), np.array([False]))[:, 0, 4].tolist() == [1, 3]


def test_ties_have_the_mean_of_their_ranks_wherever_they_stand():
    logits = np.array([[0, 0, 0], [0, 1, 0], [2, 0, 0], [0, 0, 0]], np.float32)
    found = score_features.of_videos(logits)
    np.testing.assert_allclose(found[:, 0, 2], [1 / 3, 1 / 3, 1, 1 / 3])
    np.testing.assert_allclose(np.exp(found[:, :, 1]), [[2, 2, 2], [2.5, 1, 2.5], [1, 2.5, 2.5], [2, 2, 2]], rtol=1e-6)
    order, columns = [3, 1, 0, 2], [2, 0, 1]
    np.testing.assert_array_equal(score_features.of_videos(logits[order][:, columns]), found[order][:, columns])


def test_features_of_videos_by_hand():
    found = score_features.of_videos(np.array([[2.0, 1.0], [0.0, 5.0], [1.0, 1.5]], np.float32))
    np.testing.assert_allclose(found[:, 0], [[2, 0, 1], [0, np.log(2), 0], [1, np.log(2), 0.5]], rtol=1e-6)


def test_related_classes_are_those_that_correlate_most():
    x = RNG.normal(size=(50, 6)).astype(np.float32)
    x[:, 3] = 2 * x[:, 0] + 0.1 * x[:, 3] + 5
    x[:, 4] = -x[:, 0]
    correlations = score_features.Correlations(6)
    for part in np.split(x, [7, 30]):
        correlations.update(part)
    related = correlations.related(2)
    expected = np.corrcoef(x.T)
    np.testing.assert_array_equal(related, np.argsort(-expected - np.eye(6), axis=1)[:, :3])
    assert related[0, :2].tolist() == [0, 3] and 4 not in related[0]
    assert correlations.related(10).shape == (6, 6)


def test_classes_with_few_ratings_weigh_more_within_bounds():
    weights = rankers.class_weights(np.repeat([0, 1, 2], [100, 10, 1]))
    assert weights[0] == 0.5 and weights[-1] == 2 and weights[105] == 2


@pytest.mark.parametrize("method", ("logistic", "trees"))
def test_a_ranker_learns_across_classes(method):
    """What one class's ratings say of a feature holds for a class that has none."""
    features = RNG.normal(size=(600, 4)).astype(np.float32)
    labels = features[:, 1] + 0.3 * RNG.normal(size=600) > 0
    score = rankers.fit(
        method, features[:400], labels[:400], np.arange(400) % 2, **({"num_trees": 40} if method == "trees" else {})
    )
    said = score(features[400:])
    assert said.dtype == np.float32 and ((said > 0) == labels[400:]).mean() > 0.8


def test_bad_input_is_one_line():
    with pytest.raises(UserError, match="method='forest'"):
        rankers.fit("forest", np.zeros((2, 1)), [0, 1], [0, 0])
    with pytest.raises(UserError, match="2 ratings, 2 of them positive"):
        rankers.fit("logistic", np.zeros((2, 1)), [1, 1], [0, 0])
