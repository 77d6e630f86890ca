"""Which picture stands for which second, by brute force; samples by their places."""

import math

import numpy as np
import pytest

from yt8m.features.log_mel import PATCH, RATE
from yt8m.features.seconds import Pictures, Waveform


def chosen(times, limit=300, duration=0.04):
    """The numbers of the pictures of each second, as Pictures has them."""
    taken = []
    pictures = Pictures(limit, lambda number: taken.append(number) or True)
    for number, time in enumerate(times):
        pictures.add(time, time + duration, number)
    pictures.close()
    return [taken[index] for index in pictures.numbers(pictures.count())]


def rule(times, limit=300, duration=0.04):
    """The same, by the words of the rule."""
    count = min(max(math.ceil(max(times) + duration - 1e-3), 1), limit)
    numbers = []
    for second in range(count):
        period = [n for n, time in enumerate(times) if second - 0.5 <= time < second + 0.5]
        if period:
            numbers.append(max(period, key=lambda n: (-abs(times[n] - second), n)))
        else:
            numbers.append(numbers[-1] if numbers else None)
    first = next(number for number in numbers if number is not None)
    return [first if number is None else number for number in numbers]


@pytest.mark.parametrize("seed", range(40))
def test_pictures_against_the_rule(seed):
    rng = np.random.default_rng(seed)
    gaps = rng.choice([0.25, 0.5, 0.04, 1.0, 3.5], rng.integers(1, 40))
    times = (np.cumsum(gaps) - gaps[0]).tolist()
    assert chosen(times) == rule(times)
    assert chosen(times, limit=3) == rule(times, limit=3)


def test_a_first_picture_that_is_late_stands_for_the_seconds_before_it():
    assert chosen([2.6, 3.0]) == [1, 1, 1, 1]


def test_a_picture_that_cannot_be_taken_leaves_its_second_to_the_one_before():
    taken = []
    pictures = Pictures(300, lambda number: number != 1 and (taken.append(number) or True))
    for number in range(3):
        pictures.add(number, number + 1, number)
    pictures.close()
    assert [taken[index] for index in pictures.numbers(pictures.count())] == [0, 0, 2]


def test_milliseconds_of_rounding_make_no_second():
    assert len(chosen([0, 4.967], duration=0.0333)) == 5


def heard(*pieces, limit=300):
    patches = {}
    waveform = Waveform(limit, lambda second, patch: patches.__setitem__(second, patch))
    for position, samples in pieces:
        waveform.add(position, np.asarray(samples, np.float32))
    waveform.close()
    return patches, waveform


@pytest.mark.parametrize("seed", range(10))
def test_samples_against_one_long_array(seed):
    rng = np.random.default_rng(seed)
    pieces, position, whole, known = (
        [],
        int(rng.integers(-2000, 40_000)),
        np.zeros(12 * RATE, np.float32),
        np.zeros(12 * RATE, bool),
    )
    head = 0
    for _ in range(15):
        samples = rng.uniform(-1, 1, rng.integers(1, 9000)).astype(np.float32)
        pieces.append((position, samples))
        for index in range(max(position, head), position + len(samples)):
            whole[index], known[index] = samples[index - position], True
        head = max(head, position + len(samples))
        position = head + int(rng.choice([0, 0, -500, 3000, 40_000 if head < 60_000 else 0]))
    patches, waveform = heard(*pieces)
    for second in range(12):
        here = slice(second * RATE, second * RATE + PATCH)
        assert (second in patches) == known[here].any()
        if second in patches:
            np.testing.assert_array_equal(patches[second], whole[here])
    assert waveform.end == head / RATE


def test_samples_behind_the_limit_are_dropped():
    patches, waveform = heard((0, np.ones(5 * RATE)), limit=2)
    assert sorted(patches) == [0, 1] and waveform.count() == 2


def test_the_samples_between_two_patches_belong_to_none():
    assert not heard((PATCH, np.ones(RATE - PATCH)))[0]


@pytest.mark.parametrize(("samples", "count"), [(1, 1), (5 * RATE, 5), (5 * RATE + 248, 5), (5 * RATE + 900, 6)])
def test_seconds_of_a_sound(samples, count):
    assert heard((0, np.ones(samples)))[1].count() == count
