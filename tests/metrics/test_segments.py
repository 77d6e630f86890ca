"""MAP@N of a submission against a loop over its definition, and metrics of scored pairs against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from yt8m import metrics
from yt8m.errors import UserError
from yt8m.metrics import segments


def loop_map(ranked, ratings, n):
    values = {}
    for c in {c for _, c in ratings}:
        positives = sum(1 for (_, other), score in ratings.items() if other == c and score)
        if not positives:
            continue
        kept, precision_sum, right = [], 0.0, 0
        for segment in list(ranked.get(c, []))[:n]:
            if (segment, c) in ratings and segment not in kept:
                kept.append(segment)
                if ratings[segment, c]:
                    right += 1
                    precision_sum += right / len(kept)
        values[c] = precision_sum / positives
    return sum(values.values()) / len(values), values


def draw(seed, num_segments=400, num_classes=8):
    """A submission with repetitions and unrated segments, and ratings with classes all negative and classes never listed."""
    rng = np.random.default_rng(seed)
    ids = [f"{'abcdéX'[i % 6]}{i:0{3 + i % 4}d}:{5 * (i % 60)}" for i in range(num_segments)]
    rated = [(ids[i], c) for c in range(num_classes) for i in rng.choice(num_segments, 40, replace=False)]
    ratings = {pair: int(rng.random() < 0.5) for pair in rated}
    ratings |= {(segment, 100): 0 for segment in ids[:10]} | {(segment, 101): 1 for segment in ids[:10]}
    ranked = {c: [ids[i] for i in rng.integers(0, num_segments, 300)] for c in [100, 55, *range(num_classes)]}
    ranked[0] = []
    return ranked, ratings


AS = {
    "list": list,
    "tuple": tuple,
    "str array": lambda ids: np.array(ids, dtype=str),
    "wide str array": lambda ids: np.array(ids, dtype="U40"),
    "object array": lambda ids: np.array(ids, dtype=object),
    "strided array": lambda ids: np.repeat(np.array(ids, dtype=str), 2)[::2],
    "bytes": lambda ids: [segment.encode() for segment in ids],
    "bytes array": lambda ids: np.array([segment.encode() for segment in ids], dtype="S"),
    "other endian": lambda ids: np.array(ids, dtype=str).astype(np.dtype("U12").newbyteorder()),
    "iterator": iter,
}


@pytest.mark.parametrize("kind", AS)
@pytest.mark.parametrize("n", [1, 50, 299, 100_000])
def test_map_equals_the_loop(kind, n):
    ranked, ratings = draw(seed=n)
    expected, per_class = loop_map(ranked, ratings, n)
    given = {c: AS[kind](ids) for c, ids in ranked.items()}
    result = metrics.segment_average_precisions(given, ratings, n)
    assert result.mean == pytest.approx(expected, rel=1e-12)
    assert result.per_class == pytest.approx(per_class, rel=1e-12)
    assert result.classes_without_positives == [100]
    assert result.missing_classes == [101]
    assert result.per_class[101] == result.per_class[0] == 0
    assert result.num_rated == len(ratings)


@pytest.mark.parametrize("as_bytes", [list, np.array])
def test_ids_may_be_bytes(as_bytes):
    ranked = {7: as_bytes([b"zzzz:0", b"abcd:5", b"ab:10"])}
    ratings = {("abcd:5", 7): 1, ("ab:10", 7): 1, ("zzzz:0", 7): 0}
    assert metrics.segment_mean_average_precision(ranked, ratings) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_ratings_as_arrays_and_lists_as_pairs_give_the_same():
    ranked, ratings = draw(seed=3)
    expected = metrics.segment_mean_average_precision(ranked, ratings)
    assert type(expected) is float
    (ids, classes), scores = zip(*ratings), list(ratings.values())
    arrays = metrics.Ratings(np.array(ids), np.array(classes), np.array(scores, np.float32))
    assert metrics.segment_mean_average_precision(((np.int64(c), s) for c, s in ranked.items()), arrays) == expected
    again = metrics.Ratings(np.array(ids * 2), np.array(classes * 2), np.array(scores * 2))
    assert metrics.segment_mean_average_precision(ranked, again) == expected


def test_map_by_hand():
    ratings = {("a:0", 1): 1, ("b:0", 1): 0, ("c:0", 1): 1, ("d:0", 1): 1, ("a:0", 2): 1}
    ranked = {1: ["x:0", "b:0", "y:5", "a:0", "a:0", "c:0"]}
    first = (1 / 2 + 2 / 3) / 3
    result = metrics.segment_average_precisions(ranked, ratings)
    assert result.per_class == pytest.approx({1: first, 2: 0})
    assert result.mean == pytest.approx(first / 2)
    assert result.num_found == 3
    cut = metrics.segment_average_precisions(ranked, ratings, n=4)
    assert cut.per_class[1] == pytest.approx((1 / 2) / 3)


def test_repetitions_use_up_the_cut():
    ratings = {("a:0", 1): 1, ("b:0", 1): 1}
    assert metrics.segment_mean_average_precision({1: ["a:0", "a:0", "b:0"]}, ratings, n=2) == 0.5
    assert metrics.segment_mean_average_precision({1: ["a:0", "a:0", "b:0"]}, ratings, n=3) == 1


def test_nothing_rated_positive_is_nan():
    result = metrics.segment_average_precisions({1: ["a:0"]}, {("a:0", 1): 0})
    assert np.isnan(result.mean) and result.per_class == {} and result.classes_without_positives == [1]
    assert np.isnan(metrics.segment_mean_average_precision({}, {}))


def test_the_filter_passes_every_wanted_id_and_few_others():
    ids = np.array([f"{i:x}:{i % 300}" for i in range(100_000)])
    wanted = ids[::400].tolist()
    passed = segments._may_be_among(ids, wanted)
    assert passed[::400].all()
    assert passed.sum() < 2000
    np.testing.assert_array_equal(segments._may_be_among(ids.astype("S"), wanted), passed)


@pytest.mark.parametrize(
    ("ranked", "ratings", "n", "message"),
    [
        ([(3, ["a:0"]), (3, ["b:0"])], {}, 5, "class 3 is listed twice"),
        ({}, {}, 0, "n=0"),
        ({}, metrics.Ratings(np.array(["a:0"]), np.array([1, 2]), np.array([1])), 5, "parallel"),
        ({}, metrics.Ratings(np.array(["a:0", "a:0"]), np.array([4, 4]), np.array([1, 0])), 5, "a:0 .* class 4"),
    ],
)
def test_bad_input_is_a_user_error(ranked, ratings, n, message):
    with pytest.raises(UserError, match=message):
        metrics.segment_mean_average_precision(ranked, ratings, n)


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("shape", [(200, 12), (40, 1)])
def test_scored_pairs_against_scikit_learn(levels, shape):
    rng = np.random.default_rng(0)
    scores = rng.random(shape) if levels is None else rng.integers(0, levels, shape) / levels
    weights = (rng.random(shape) < 0.4).astype(np.float32)
    labels = (rng.random(shape) < 0.5) * weights
    labels[:, 1:2] = 0
    weights[:, 2:3] = labels[:, 2:3] = 0
    scores[weights == 0] = np.nan  # nobody looks at what is not rated
    result = metrics.segment_metrics_from_scores(scores, labels, weights)
    values, shares = [], []
    for c in range(shape[1]):
        rated = weights[:, c] > 0
        own = result["class_average_precisions"][c]
        if not labels[:, c].any():
            assert np.isnan(own)
            continue
        assert own == metrics.average_precision(scores[rated, c], labels[rated, c])
        if levels is None:
            assert own == pytest.approx(average_precision_score(labels[rated, c], scores[rated, c]), rel=1e-9)
        values.append(own)
        shares.append(labels[rated, c].mean())
    assert result["map"] == pytest.approx(np.mean(values), rel=1e-12)
    assert result["chance"] == pytest.approx(np.mean(shares), rel=1e-6)
    assert result["auc"] == pytest.approx(roc_auc_score(labels[weights > 0], scores[weights > 0]), rel=1e-9)
    assert result["num_pairs"] == np.count_nonzero(weights)


def test_scored_pairs_agree_with_the_submission_metric():
    rng = np.random.default_rng(1)
    scores, labels = rng.random((50, 4)), rng.integers(0, 2, (50, 4))
    weights = rng.integers(0, 2, (50, 4))
    labels *= weights
    ids = np.array([f"v{i}:{i}" for i in range(50)])
    ranked = {c: ids[np.argsort(-scores[:, c])] for c in range(4)}
    ratings = {(ids[i], c): labels[i, c] for i, c in zip(*np.nonzero(weights))}
    expected = metrics.segment_mean_average_precision(ranked, ratings)
    assert metrics.segment_metrics_from_scores(scores, labels, weights)["map"] == pytest.approx(expected, rel=1e-12)


def test_scored_pairs_refuse_bad_input_and_survive_none():
    with pytest.raises(UserError, match="NaN"):
        metrics.segment_metrics_from_scores([[np.nan]], [[1]], [[1]])
    with pytest.raises(UserError, match=r"\(1, 2\)"):
        metrics.segment_metrics_from_scores([[1, 2]], [[1]], [[1]])
    with pytest.raises(UserError, match="expected 0 to 2"):
        metrics.segment_metrics_from_pairs([3], [0.5], [1], 3)
    nothing = metrics.segment_metrics_from_scores(np.ones((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)))
    assert np.isnan([nothing["map"], nothing["auc"], nothing["chance"]]).all() and nothing["num_pairs"] == 0
