"""Features of references: what they are of hand-made segments, and that nothing of a pair's own video is in them."""

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.reranking.references import COSINES, Descriptors, Neighbourhood, References, _share, unit

RNG = np.random.default_rng(0)


def descriptors(n, embedding=True, rng=RNG):
    sizes = (8, 4, 6) if embedding else (8, 4)
    return Descriptors(*(unit(rng.normal(size=(n, size))) for size in sizes))


def hand_made():
    """Two classes; class 0 has two positives (videos a, b) and a negative (b), class 1 a positive (a)."""
    rgb = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    audio = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    return References(Descriptors(rgb, audio), np.array(list("abba")), np.array([0, 0, 0, 1]), np.array([1, 1, 0, 1.0]), 3)


def of(features, references, name):
    return float(features[0, references.names.index(name)])


def test_cosines_counts_and_votes_of_hand_made_segments():
    references = hand_made()
    pair = Descriptors(np.array([[0.6, 0.8, 0.0]], np.float32), np.array([[1.0, 0.0]], np.float32))
    found = references.features(pair, np.array(["c"]), np.array([0]))
    assert of(found, references, "rgb mean positive") == pytest.approx(0.7)
    assert of(found, references, "rgb top positive") == pytest.approx(0.7) and of(found, references, "rgb mean negative") == 0
    assert of(found, references, "log positives") == pytest.approx(np.log(3))
    assert of(found, references, "log negatives") == pytest.approx(np.log(2))
    assert of(found, references, "logit of positives") == pytest.approx(np.log(3 / 2))
    near = np.exp((np.array([0.8, 0.9, 0.0]) - 1) / 0.1)
    assert of(found, references, "nearest positive share") == pytest.approx(near[:2].sum() / near.sum())


def test_the_neighbourhood_says_how_many_count():
    references = hand_made()
    few = References(references._descriptors, references._videos, [0, 0, 0, 1], references._positive, 3, Neighbourhood(1, 1, 1.0))
    pair = Descriptors(np.array([[0.6, 0.8, 0.0]], np.float32), np.array([[1.0, 0.0]], np.float32))
    found = few.features(pair, np.array(["c"]), np.array([0]))
    assert of(found, few, "rgb top positive") == pytest.approx(0.8) and of(found, few, "nearest positive share") == 1


@pytest.mark.parametrize("temperature", [0.1, 0.001])
def test_the_vote_is_a_share_however_far_the_references_are_and_however_low_its_temperature(temperature):
    cosines, positive = np.array([[0.5] * 4, [-0.3] * 4, [0.9, 0.9, -1, 0.9]]), np.array([1, 1, 1, 0], bool)
    there = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 1]], bool)
    found = _share(cosines, there, positive, Neighbourhood(nearest=4, temperature=temperature))
    np.testing.assert_allclose(found, [3 / 4, 3 / 4, 2 / 3])
    assert _share(cosines[:1], np.zeros((1, 4), bool), positive, Neighbourhood(nearest=4, temperature=temperature)) == 0


def test_a_pairs_own_video_is_left_out():
    references = hand_made()
    pair = Descriptors(np.array([[0.6, 0.8, 0.0]], np.float32), np.array([[1.0, 0.0]], np.float32))
    found = references.features(pair, np.array(["b"]), np.array([0]))
    assert of(found, references, "rgb mean positive") == pytest.approx(0.6)
    assert of(found, references, "log negatives") == 0 and of(found, references, "nearest positive share") == 1


def test_features_of_a_rated_pair_are_those_of_the_same_pair_among_references_without_its_video():
    """And so segments of the own video that are added change nothing."""
    mine, rated = descriptors(40), np.arange(40) % 3
    videos, labels = np.arange(40) // 4, RNG.random(40) < 0.5
    everything = References(mine, videos, rated, labels, 3)
    for row in (0, 17, 39):
        others = videos != videos[row]
        alone = References(mine.rows(others), videos[others], rated[others], labels[others], 3)
        pair = mine.rows([row]), videos[[row]], rated[[row]]
        np.testing.assert_allclose(everything.features(*pair), alone.features(*pair), atol=1e-6)


def test_all_references_twice_leave_the_means_as_they_are():
    rated, queries = descriptors(30), descriptors(9)
    videos, classes, labels = np.arange(30), np.arange(30) % 2, RNG.random(30) < 0.5
    once = References(rated, videos, classes, labels, 2)
    twice = References(rated.rows(np.tile(np.arange(30), 2)), *(np.tile(of, 2) for of in (videos, classes, labels)), 2)
    pairs = queries, np.full(9, -1), np.arange(9) % 2
    means = [i for i, name in enumerate(once.names) if " mean " in name]
    np.testing.assert_allclose(once.features(*pairs)[:, means], twice.features(*pairs)[:, means], atol=1e-6)


def test_renaming_classes_changes_nothing():
    rated, queries = descriptors(30), descriptors(9)
    videos, classes, labels = np.arange(30), np.arange(30) % 3, RNG.random(30) < 0.5
    new = np.array([2, 0, 1])
    asked = np.arange(9) % 3
    first = References(rated, videos, classes, labels, 3).features(queries, np.full(9, -1), asked)
    np.testing.assert_array_equal(
        first, References(rated, videos, new[classes], labels, 3).features(queries, np.full(9, -1), new[asked])
    )


def test_a_class_without_references_has_zeros_and_counts_of_none():
    references = References(descriptors(4), np.arange(4), np.zeros(4, int), np.ones(4), 3)
    found = references.features(descriptors(2), np.array([9, 9]), np.array([2, 2]))
    assert found.shape == (2, 16) and not found.any()


def test_without_an_embedding_there_are_four_columns_less():
    references = References(descriptors(4, False), np.arange(4), np.zeros(4, int), np.ones(4), 1)
    assert len(references.names) == 2 * len(COSINES) + 4
    with pytest.raises(UserError, match="rgb, audio, embedding"):
        references.features(descriptors(2), np.array([9, 9]), np.zeros(2, int))


def test_unit_vectors_of_zeros_are_zeros():
    np.testing.assert_allclose(unit([[3, 4], [1, 1]], mean=[1, 1]), [[2 / 13**0.5, 3 / 13**0.5], [0, 0]], rtol=1e-6)
