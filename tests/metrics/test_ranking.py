"""Every metric against a loop that spells out its definition, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score

from yt8m import metrics
from yt8m.errors import UserError
from yt8m.metrics import ranking

EXACT = {"rtol": 1e-12, "atol": 0}


def draw(shape, seed, levels=None, share=0.3):
    """Scores with `levels` distinct values (None: all distinct) and labels."""
    rng = np.random.default_rng(seed)
    scores = rng.random(shape) if levels is None else rng.integers(1, levels + 1, shape) / levels
    return scores.astype(np.float32), (rng.random(shape) < share).astype(np.float32)


def loop_average_precision(scores, labels, num_positives=None):
    ranked = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    found, total = 0, 0.0
    for k, i in enumerate(ranked, start=1):
        if labels[i] > 0:
            found += 1
            total += found / k
    return total / (num_positives or sum(x > 0 for x in labels))


def loop_top(row, k):
    return sorted(range(len(row)), key=lambda c: (-row[c], c))[:k]


def loop_gap(predictions, labels, top_k):
    pool = [(row[c], true[c]) for row, true in zip(predictions, labels) for c in loop_top(row, top_k)]
    return loop_average_precision(*zip(*pool), num_positives=(labels > 0).sum())


def loop_perr(predictions, labels, above=0.0):
    shares = []
    for row, true in zip(predictions, labels):
        n = int((true > 0).sum())
        if n:
            shares.append(sum(true[c] > 0 and row[c] > above for c in loop_top(row, n)) / n)
    return sum(shares) / len(shares)


def loop_map(predictions, labels, top_k=None):
    values = []
    for c in range(labels.shape[1]):
        if (labels[:, c] > 0).any():
            listed = [i for i, row in enumerate(predictions) if top_k is None or c in loop_top(row, top_k)]
            values.append(loop_average_precision(predictions[listed, c], labels[listed, c], (labels[:, c] > 0).sum()))
    return sum(values) / len(values)


GRID = [(n, levels, seed) for n in (1, 2, 7, 60, 500) for levels in (None, 1, 2, 10) for seed in range(3)]


@pytest.mark.parametrize(("n", "levels", "seed"), GRID)
def test_average_precision_and_auc_of_one_list(n, levels, seed):
    scores, labels = draw(n, seed, levels)
    labels[seed % n] = 1
    np.testing.assert_allclose(metrics.average_precision(scores, labels), loop_average_precision(scores, labels), **EXACT)
    grouped = metrics.average_precision(scores, labels, ties="group")
    np.testing.assert_allclose(grouped, average_precision_score(labels, scores), rtol=1e-9)
    more = int(labels.sum()) + 5
    np.testing.assert_allclose(
        metrics.average_precision(scores, labels, more), loop_average_precision(scores, labels, more), **EXACT
    )
    of_more = metrics.average_precision(scores, labels, more, ties="group")
    np.testing.assert_allclose(of_more, grouped * int(labels.sum()) / more, **EXACT)
    if labels.all():
        assert np.isnan(metrics.auc(scores, labels))
    else:
        np.testing.assert_allclose(metrics.auc(scores, labels), roc_auc_score(labels, scores), rtol=1e-9)


def test_average_precision_by_hand():
    assert metrics.average_precision([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.average_precision([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], num_positives=4) == pytest.approx((1 + 2 / 3) / 4)
    assert metrics.average_precision([-5, 3, -np.inf], [0, 1, 1]) == pytest.approx((1 + 2 / 3) / 2)


def test_equal_scores_rank_as_given_or_as_a_group():
    assert metrics.average_precision([0.5, 0.5], [1, 0]) == 1
    assert metrics.average_precision([0.5, 0.5], [0, 1]) == 0.5
    assert metrics.average_precision([0.5, 0.5], [1, 0], ties="group") == 0.5
    assert metrics.auc([0.5, 0.5], [1, 0]) == 0.5


def test_nothing_to_average_is_nan():
    assert np.isnan(metrics.average_precision([0.5], [0]))
    assert np.isnan(metrics.average_precision([], []))
    assert metrics.average_precision([0.5], [0], num_positives=3) == 0
    assert np.isnan(metrics.auc([], []))
    none = np.zeros((3, 4))
    for metric in (metrics.global_average_precision, metrics.perr, metrics.mean_average_precision):
        assert np.isnan(metric(none + 0.5, none))
        assert np.isnan(metric(none[:0], none[:0]))
    assert np.isnan(metrics.hit_at_one(none[:0], none[:0]))


@pytest.mark.parametrize(
    ("shape", "levels"), [((40, 30), None), ((40, 30), 3), ((25, 1), 4), ((1, 9), None), ((30, 130), 5), ((60, 12), 1)]
)
@pytest.mark.parametrize("seed", range(2))
def test_video_metrics_equal_the_loops(shape, levels, seed):
    predictions, labels = draw(shape, seed, levels, share=0.15)
    labels[0, 0] = 1
    labels[:, shape[1] // 2 + 1 :] *= np.arange(shape[1] - shape[1] // 2 - 1) % 2  # classes without positives
    for top_k in (1, 3, 20, 1000):
        np.testing.assert_allclose(
            metrics.global_average_precision(predictions, labels, top_k), loop_gap(predictions, labels, top_k), **EXACT
        )
    np.testing.assert_allclose(metrics.perr(predictions, labels), loop_perr(predictions, labels), **EXACT)
    hits = sum(true[loop_top(row, 1)[0]] > 0 for row, true in zip(predictions, labels)) / len(labels)
    np.testing.assert_allclose(metrics.hit_at_one(predictions, labels), hits, **EXACT)
    np.testing.assert_allclose(metrics.mean_average_precision(predictions, labels), loop_map(predictions, labels), **EXACT)
    np.testing.assert_allclose(
        metrics.mean_average_precision(predictions, labels, top_k=4), loop_map(predictions, labels, 4), **EXACT
    )


def test_mean_average_precision_equals_scikit_learn_macro():
    predictions, labels = draw((300, 70), seed=5, share=0.1)
    expected = average_precision_score(labels, predictions, average="macro")
    np.testing.assert_allclose(metrics.mean_average_precision(predictions, labels), expected, rtol=1e-9)


def test_a_class_without_positives_is_nan_and_left_out():
    predictions, labels = draw((50, 3), seed=1)
    labels[:, 1] = 0
    values = metrics.class_average_precisions(predictions, labels)
    assert np.isnan(values).tolist() == [False, True, False]
    assert metrics.mean_average_precision(predictions, labels) == pytest.approx((values[0] + values[2]) / 2)


def test_gap_counts_labels_outside_the_top_k():
    predictions, labels = np.array([[0.9, 0.8, 0.1]]), np.array([[1, 0, 1]])
    assert metrics.global_average_precision(predictions, labels, top_k=2) == 0.5
    assert metrics.global_average_precision(predictions, labels, top_k=3) == pytest.approx((1 + 2 / 3) / 2)


def test_a_video_without_labels_is_a_miss_for_hit_at_one_and_left_out_of_perr():
    predictions, labels = np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[1, 0], [0, 0]])
    assert metrics.hit_at_one(predictions, labels) == 0.5
    assert metrics.perr(predictions, labels) == 1


def test_perr_gives_nothing_for_a_zero_prediction_unless_asked():
    predictions, labels = np.array([[0.9, 0.0, 0.0]]), np.array([[1, 1, 0]])
    assert metrics.perr(predictions, labels) == 0.5
    assert metrics.perr(predictions, labels, above=-np.inf) == 1
    logits, labels = draw((40, 10), seed=3)
    assert metrics.perr(logits - 2, labels, above=-np.inf) == pytest.approx(loop_perr(logits, labels), rel=1e-12)


@pytest.mark.parametrize("levels", [None, 2, 6])
@pytest.mark.parametrize("k", [1, 5, 39, 40, 41])
def test_top_k_classes_is_a_stable_sort(levels, k):
    predictions, _ = draw((50, 40), seed=k, levels=levels)
    expected = np.argsort(-predictions, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(metrics.top_k_classes(predictions, k), expected)


def test_precision_and_recall_at_one_half():
    predictions, labels = draw((40, 9), seed=2)
    expected = [f(labels.ravel(), predictions.ravel() > 0.5) for f in (precision_score, recall_score)]
    np.testing.assert_allclose(metrics.precision_recall(predictions, labels), expected, **EXACT)
    precision, recall = metrics.precision_recall([0.5, 0.1], [1, 0])
    assert np.isnan(precision) and recall == 0


def test_half_precision_and_whole_numbers_are_ranked_too():
    predictions, labels = draw((30, 5), seed=4)
    half = predictions.astype(np.float16)
    assert metrics.mean_average_precision(half, labels) == metrics.mean_average_precision(half.astype(np.float64), labels)
    assert metrics.average_precision(np.array([3, 200, 7], np.uint8), [0, 1, 0]) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.average_precision([1, 2], [1]), r"shape \(2,\) and labels of shape \(1,\)"),
        (lambda: metrics.average_precision([1, np.nan], [1, 0]), "1 of 2 scores are NaN"),
        (lambda: metrics.average_precision([1, 2], [1, 1], num_positives=1), "num_positives=1 .* 2"),
        (lambda: metrics.average_precision([1], [1], ties="random"), "ties='random'"),
        (lambda: metrics.global_average_precision([0.1], [1]), r"expected \[videos, classes\]"),
        (lambda: metrics.global_average_precision([[0.1]], [[1]], top_k=0), "top_k=0"),
        (lambda: metrics.hit_at_one(np.zeros((2, 0)), np.zeros((2, 0))), "at least one class"),
        (lambda: metrics.perr([[np.nan, 1]], [[1, 0]]), "NaN"),
        (lambda: metrics.VideoMetrics(0), "num_classes=0"),
        (lambda: metrics.VideoMetrics(3).update([[0.1]], [[1]]), "num_classes=3"),
    ],
)
def test_bad_input_is_a_user_error(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_many_positives_and_heavy_ties_keep_the_fast_path_exact():
    scores, labels = draw(3000, seed=6, levels=700, share=0.6)
    np.testing.assert_allclose(metrics.average_precision(scores, labels), loop_average_precision(scores, labels), **EXACT)
    order = np.argsort(-scores, kind="stable")
    ranks = np.flatnonzero(labels[order]) + 1
    assert ranking.average_precision_from_ranks(ranks, len(ranks)) == metrics.average_precision(scores, labels)
