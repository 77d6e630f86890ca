"""Intervals by hysteresis, against a second by second account of the same rules."""

import itertools

import numpy as np
import pytest

from yt8m.intervals import intervals
from yt8m.timelines.windows import scores_a_stride, window_starts


def slowly(scores, stride, duration, high, low, merge_gap, min_length):
    """The rules one after another, a score at a time."""
    inside = [score >= high for score in scores]
    changed = True
    while changed:  # extended to the neighbours that are not below low, until nothing changes
        changed = False
        for i, score in enumerate(scores):
            near = (i > 0 and inside[i - 1]) or (i + 1 < len(scores) and inside[i + 1])
            if not inside[i] and near and score >= low:
                inside[i] = changed = True
    for i in range(len(scores)):  # gaps between what is inside
        if not inside[i] and i and inside[i - 1]:
            after = next((j for j in range(i, len(scores)) if inside[j]), None)
            if after is not None and (after - i) * stride <= merge_gap:
                inside[i:after] = [True] * (after - i)
    result, start = [], None
    for i, there in enumerate([*inside, False]):
        if there and start is None:
            start = i
        if not there and start is not None:
            part = scores[start:i]
            if (i - start) * stride >= min_length and start * stride < duration:
                result.append((start * stride, min(i * stride, duration), np.mean(part), max(part)))
            start = None
    return result


def test_by_brute_force():
    for seed in range(1000):
        check_case(np.random.default_rng(seed))


def check_case(rng):
    scores = rng.choice([0.0, 0.2, 0.35, 0.4, 0.5, 0.9], rng.integers(0, 30))
    stride = int(rng.choice([1, 5]))
    duration = float(max(len(scores) * stride - rng.choice([0, 0.5, 3, 7]), 0))
    rules = (rng.choice([0.4, 0.5]), rng.choice([0.2, 0.35]), rng.choice([0, 1, 5, 12]), rng.choice([0, 3, 5, 12]))
    result = intervals(scores, stride, duration, *rules)
    expected = slowly(list(scores), stride, duration, *rules)
    np.testing.assert_allclose(np.reshape(result, (-1, 4)), np.reshape(expected, (-1, 4)))
    for earlier, later in itertools.pairwise(result):
        assert later.start > earlier.end  # they never touch


def test_windows_of_a_video():
    assert window_starts(12, 5).tolist() == [0, 5, 10]
    assert window_starts(12, 1).tolist() == list(range(8))
    assert window_starts(5, 1).tolist() == window_starts(3, 1).tolist() == window_starts(3, 5).tolist() == [0]
    assert window_starts(0, 1).tolist() == window_starts(0, 5).tolist() == []


@pytest.mark.parametrize("num_frames", [1, 4, 5, 6, 9, 10, 23])
def test_a_second_is_the_mean_of_the_windows_over_it(num_frames):
    starts = window_starts(num_frames, 1)
    scores = np.random.default_rng(num_frames).random((len(starts), 3)).astype("float32")
    expected = [
        scores[[i for i, start in enumerate(starts) if start <= second < start + 5]].mean(axis=0) for second in range(num_frames)
    ]
    np.testing.assert_allclose(scores_a_stride(scores, num_frames, 1), expected, rtol=1e-5)
    np.testing.assert_array_equal(scores_a_stride(scores, num_frames, 5), scores)
