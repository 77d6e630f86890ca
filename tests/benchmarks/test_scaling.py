"""benchmarks/scaling.py and start.py: the arithmetic of the estimates, and how a command is timed."""

import importlib
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setitem(sys.modules, "report", importlib.import_module("report"))


def test_hours_of_a_recipe_are_its_frames_times_a_frame():
    scaling = importlib.import_module("scaling")
    frames = 60_000 * 128 * 120 + 2_500 * 128 * 11
    here, there = scaling.estimates("attention", of_frame=1e-5, operations=1e9, of_reading=1e-4)
    assert here["value"] == pytest.approx(frames * 1e-5 / 3600) and "60,000 steps x 128 rows x 120 frames" in here["arithmetic"]
    assert there["value"] == pytest.approx((frames * 1e9 / (8 * 156e12) + 62_500 / 200) / 3600) and "assumed" in there["name"]
    (_, slow_reading) = scaling.estimates("attention", of_frame=1e-5, operations=1.0, of_reading=1.0)
    assert slow_reading["value"] == pytest.approx(60_000 * 128 / 64 / 3600)
    (_, slow_disks) = scaling.estimates("attention", of_frame=1e-5, operations=1.0, of_reading=0.0)
    assert slow_disks["value"] == pytest.approx(60_000 * 128 * 245e3 / 2e9 / 3600)


def test_em_trains_five_models():
    scaling = importlib.import_module("scaling")
    (_, videos, how, _), (_, segments, *_) = scaling.frames_of("em", 300)
    assert videos == pytest.approx(5 * 1.4e12 / 245e3 * 300 * 5) and "5 trainings" in how
    assert segments == 5 * 237_000 * 11 * 5


def test_a_command_is_timed_until_it_says_what_it_is_waited_for(tmp_path):
    start = importlib.import_module("start")
    seconds, cpu = start.seconds_until(["-c", "import time; print('there'); time.sleep(600)"], "there", tmp_path)
    assert 0 < seconds < 300 and 0 <= cpu < 60
    with pytest.raises(SystemExit, match="exit status 3"):
        start.seconds_until(["-c", "raise SystemExit(3)"], None, tmp_path)
