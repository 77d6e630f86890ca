"""Learning-rate schedules, against tensorflow-addons' recorded values and slow versions."""

import math

import numpy as np
import pytest

from tests.training.test_optimizers import GOLDEN, SETTINGS
from yt8m.training import schedules


def test_triangular_schedule_is_a_cycle_of_tensorflow_addons():
    settings = SETTINGS["cyclical"]
    low, high, size = (settings[k] for k in ("initial_learning_rate", "maximal_learning_rate", "step_size"))
    schedule = schedules.SlantedTriangular(high, 2 * size, 0.5, low / high)
    rates = [float(schedule(step)) for step in range(2 * size + 1)]
    np.testing.assert_allclose(rates, GOLDEN["cyclical_rates"][: 2 * size + 1], rtol=1e-5)


@pytest.mark.parametrize("warmup, floor", [(0.25, 0.01), (0.25, 0.0), (0.0, 0.1), (1.0, 0.1)])
def test_slanted_triangle(warmup, floor):
    steps, high = 40, 3e-4
    schedule = schedules.SlantedTriangular(high, steps, warmup, floor)
    for step in range(steps + 5):
        up, s = warmup * steps, min(step, steps)
        height = s / up if s < up or up == steps else 1 - (s - up) / (steps - up)
        assert float(schedule(step)) == pytest.approx(high * (floor + (1 - floor) * height), rel=1e-5, abs=1e-12)
    if 0 < warmup < 1:
        assert float(schedule(10)) == pytest.approx(high)


@pytest.mark.parametrize("warmup", [0.25, 0.0])
def test_cosine(warmup):
    steps, high, floor = 40, 1e-3, 0.1
    schedule = schedules.make_schedule("cosine", high, 32, steps, warmup_fraction=warmup, final_fraction=floor)
    up = round(warmup * steps)
    for step in range(steps + 5):
        s = min(step, steps)
        fall = 0.5 * (1 + math.cos(math.pi * (s - up) / (steps - up)))
        height = s / up if s < up else fall
        assert float(schedule(step)) == pytest.approx(high * (floor + (1 - floor) * height), rel=1e-5)


def test_staircase():
    schedule = schedules.make_schedule("staircase", 0.01, 100, decay=0.5, decay_examples=1000)
    np.testing.assert_allclose([float(schedule(s)) for s in (0, 9, 10, 25)], [0.01, 0.01, 0.005, 0.0025], rtol=1e-6)


@pytest.mark.parametrize("name", ["triangular", "cosine"])
def test_a_schedule_that_ends_needs_an_end(name):
    with pytest.raises(ValueError, match="--max_steps"):
        schedules.make_schedule(name, 1e-3, 32)


def test_unknown_schedule_lists_the_known():
    with pytest.raises(ValueError, match=r"linear.*staircase, triangular, cosine"):
        schedules.make_schedule("linear", 1e-3, 32, 10)
