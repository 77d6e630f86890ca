"""The accumulator against one sort of everything."""

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.scoring.topk import TopSegments


def sorted_top(scores, indices, capacity):
    """Per class by (falling score, rising index)."""
    best = [np.lexsort((indices, -column))[:capacity] for column in scores.T]
    return [(indices[rows], column[rows]) for rows, column in zip(best, scores.T)]


def assert_same(result, expected):
    assert len(result) == len(expected)
    for (indices, scores), (expected_indices, expected_scores) in zip(result, expected):
        np.testing.assert_array_equal(indices, expected_indices)
        np.testing.assert_array_equal(scores, expected_scores)


def draw(n, num_classes, levels, seed):
    """Scores of both signs; with `levels` mostly ties, each class on its own scale."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, num_classes)) if levels is None else rng.integers(-levels, levels + 1, (n, num_classes)) / 4
    return (scores * np.linspace(0.1, 3, num_classes)).astype(np.float32)


@pytest.mark.parametrize("levels", [None, 0, 1, 5])
@pytest.mark.parametrize("capacity", [1, 10, 300, 5000])
@pytest.mark.parametrize("slack", [1, 13, None])
def test_stream_equals_one_sort(levels, capacity, slack):
    n = 200 if slack == 1 else 2000
    scores = draw(n, 6, levels, seed=capacity)
    rng = np.random.default_rng(capacity)
    top = TopSegments(6, capacity, slack)
    first = 0
    while first < n:
        size = int(rng.integers(0, 150))
        top.update(scores[first : first + size], first)
        first += size
    assert_same(top.result(), sorted_top(scores, np.arange(n), capacity))


@pytest.mark.parametrize("levels", [None, 1])
def test_order_and_batch_sizes_do_not_matter(levels):
    scores = draw(3000, 4, levels, seed=1)
    indices = np.random.default_rng(2).permutation(3000) * 1_400_000
    top = TopSegments(4, 200, slack=50)
    for rows in np.array_split(np.arange(3000), 37):
        top.update(scores[rows], indices[rows])
    assert_same(top.result(), sorted_top(scores, indices, 200))


@pytest.mark.parametrize("order", ["rising", "falling", "one class rising"])
def test_sorted_streams(order):
    scores = np.sort(draw(1500, 3, None, seed=4), axis=0)
    scores = scores[::-1] if order == "falling" else scores
    if order == "one class rising":
        scores[:, 1:] = scores[::-1, 1:]
    top = TopSegments(3, 100, slack=64)
    for first in range(0, 1500, 70):
        top.update(scores[first : first + 70], first)
    assert_same(top.result(), sorted_top(scores, np.arange(1500), 100))


@pytest.mark.parametrize("order", ["random", "rising", "rising slowly", "ties"])
@pytest.mark.parametrize("slack", [20, 50, 700])
def test_long_streams(order, slack):
    """What is dropped is looked for among the lowest entries again and again, until these are cut anew."""
    scores = draw(20_000, 3, 2 if order == "ties" else None, seed=slack)
    if order.startswith("rising"):
        scores += np.linspace(0, 300 if order == "rising" else 1, len(scores), dtype=np.float32)[:, None]
    top = TopSegments(3, 1000, slack)
    for first in range(0, len(scores), 330):
        top.update(scores[first : first + 330], first)
    assert_same(top.result(), sorted_top(scores, np.arange(len(scores)), 1000))
    top.merge(TopSegments(3, 1000))
    top.update(scores + 1, np.arange(len(scores)) + 20_000)
    both = np.concatenate([scores, scores + 1])
    assert_same(top.result(), sorted_top(both, np.arange(len(both)), 1000))


def test_infinities_zeros_and_extremes():
    values = [0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45, 3.4e38, -3.4e38, -np.inf, 0.0]
    scores = np.array(values, np.float32)[:, None]
    for capacity in (1, 3, 6, 8, 9, 10, 20):
        top = TopSegments(1, capacity, slack=2)
        for i in range(10):
            top.update(scores[i : i + 1], i)
        assert_same(top.result(), sorted_top(scores, np.arange(10), capacity))


def test_reading_the_result_in_between_changes_nothing():
    scores = draw(900, 2, 2, seed=9)
    top = TopSegments(2, 50, slack=20)
    for first in range(0, 900, 30):
        top.update(scores[first : first + 30], np.arange(first, first + 30, dtype=np.int32))
        assert_same(top.result(), sorted_top(scores[: first + 30], np.arange(first + 30), 50))
    assert top.top(1)[0].dtype == np.int64 and top.top(1)[1].dtype == np.float32


@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize("sizes", [(500, 500), (5, 900), (900, 5), (0, 40), (40, 0), (30, 30)])
def test_merge_equals_one_stream(levels, sizes):
    scores = draw(sum(sizes) + 100, 3, levels, seed=7)
    indices = np.random.default_rng(0).permutation(len(scores))
    one, other = TopSegments(3, 60, slack=25), TopSegments(3, 60)
    one.update(scores[: sizes[0]], indices[: sizes[0]])
    other.update(scores[sizes[0] : sum(sizes)], indices[sizes[0] : sum(sizes)])
    before = other.result()
    one.merge(other)
    assert_same(one.result(), sorted_top(scores[: sum(sizes)], indices[: sum(sizes)], 60))
    assert_same(other.result(), before)
    one.update(scores[sum(sizes) :], indices[sum(sizes) :])
    assert_same(one.result(), sorted_top(scores, indices, 60))


def test_nothing_added_gives_empty_lists():
    for indices, scores in TopSegments(2, 5).result():
        assert indices.shape == scores.shape == (0,)


def test_memory_grows_with_what_is_kept_and_has_a_bound():
    top, first = TopSegments(3, 1000, slack=50), 0
    for size in (1, 20, 300, 4000):
        top.update(draw(size, 3, 1, seed=0), first)
        first += size
        kept = sum(len(indices) for indices, _ in top.result())
        assert 8 * kept <= sum(of_class.nbytes for of_class in top._kept) <= 8 * min(4 * kept, 3 * 1050)


def test_memory_of_a_full_submission_is_below_a_gigabyte():
    top = TopSegments(1000, 100_000)
    assert 8 * top.num_classes * (top.capacity + top._slack) < 0.9e9 and not sum(of_class.nbytes for of_class in top._kept)


def test_double_precision_is_compared_as_single():
    top = TopSegments(1, 2)
    top.update(np.array([[0.5], [0.5 + 1e-12]]), 0)
    assert top.top(0)[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("scores", "indices", "message"),
    [
        (np.ones((2, 4)), 0, r"expected \[segments, 3\]"),
        (np.ones(3), 0, r"expected \[segments, 3\]"),
        (np.ones((2, 3)), [1], "2 rows"),
        (np.ones((2, 3)), [0.0, 1.0], "expected integers"),
        (np.ones((2, 3)), [-1, 1], "from -1 to 1"),
        (np.ones((2, 3)), 2**32 - 2, "expected 0 to"),
        (np.array([[1, 1, 1], [1, np.nan, 1]]), [70, 71], "segment 71 is NaN"),
    ],
)
def test_bad_input_is_a_user_error_and_adds_nothing(scores, indices, message):
    top = TopSegments(3, 5)
    with pytest.raises(UserError, match=message):
        top.update(scores, indices)
    assert all(len(kept) == 0 for kept, _ in top.result())


def test_bad_sizes_are_a_user_error():
    for arguments in ((0, 1), (1, 0), (1, 1, 0)):
        with pytest.raises(UserError, match="must be 1 or more"):
            TopSegments(*arguments)
    with pytest.raises(UserError, match="2 classes x 5 segments into 2 x 6"):
        TopSegments(2, 6).merge(TopSegments(2, 5))


def test_the_largest_index_is_kept():
    top = TopSegments(1, 2)
    top.update(np.array([[-np.inf], [-np.inf]]), [2**32 - 2, 2**32 - 3])
    assert top.top(0)[0].tolist() == [2**32 - 3, 2**32 - 2]
