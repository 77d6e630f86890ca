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


COSTS = {
    "frame": (1e-5, 1e9),
    "segment": (3e-4, 2e9),
    "frame scored": (4e-6, 1e8),
    "segment scored": (1e-4, 3e8),
    "segment with its video": (2e-2, 5e9),
}


@pytest.fixture
def scaling():
    return importlib.import_module("scaling")


def test_hours_of_a_recipe_are_those_of_its_stages(scaling):
    frames, segments, scored = 60_000 * 128 * 120, 2_500 * 128, 1_700_000
    here, there = scaling.estimates("attention", COSTS, 1e-4, "in float32")
    assert here["value"] == pytest.approx((frames * 1e-5 + segments * 3e-4 + scored * 1e-4) / 3600)
    assert here["arithmetic"].startswith("in float32: pretrain: 60,000 steps x 128 videos x 120 frames x 10.0 us a frame; ")
    assert "test set: 1,700,000 segments x 100.0 us a segment scored" in here["arithmetic"]
    computing = (frames * 1e9 + segments * 2e9 + scored * 3e8) / (8 * 156e12)
    steps = (62_500 + scored / 128 / 8) / 200
    assert there["value"] == pytest.approx((computing + steps) / 3600) and "assumed" in there["name"]
    free = dict.fromkeys(COSTS, (0.0, 0.0))
    read = 60_000 * 128 + 37_000
    for of_reading, a_video in ((1.0, 1 / 64), (0.0, 245e3 / 2e9)):  # slow reading, and slow disks
        (_, there) = scaling.estimates("attention", free, of_reading, "in float32")
        assert there["value"] == pytest.approx(read * a_video / 3600)


def test_em_trains_five_models_and_scores_all_videos_twice(scaling):
    videos = 1.4e12 / 245e3
    pretrain, finetune, scoring, test = scaling.stages_of("em")
    assert pretrain.count == pytest.approx(5 * videos * 300 * 5) and "5 trainings" in pretrain.how
    assert finetune.count == 5 * 237_000 / 5 * 300 * 5 and finetune.unit == "frame"  # whole videos
    assert scoring.count == pytest.approx(2 * videos * 300) and scoring.unit == "frame scored"
    assert pretrain.reads == pytest.approx(25 * videos) and scoring.reads == pytest.approx(2 * videos)
    assert test.count == 37_000 * 300


def test_models_with_context_are_trained_as_their_configs_say(scaling):
    (context,) = [stage for stage in scaling.stages_of("ceshine") if stage.unit == "segment with its video"]
    assert context.count == 15_000 * 128 and context.name == "ContextAwareModel"
    flags = (FOLDER.parent / "configs" / "aware_nextvlad_2_with_nextvlad_2.flags").read_text(encoding="utf-8")
    assert "--max_steps=15000\n" in flags and "--batch_size=128\n" in flags
    (joint,) = [stage for stage in scaling.stages_of("netvlad") if stage.unit == "segment with its video"]
    assert joint.count == 237_000 and "1 epoch" in joint.how
    flags = (FOLDER.parent / "configs" / "gated_netvlad_joint.flags").read_text(encoding="utf-8")
    assert "--num_epochs=1\n" in flags and "--batch_size=128\n" in flags


def test_a_command_is_timed_until_it_says_what_it_is_waited_for(tmp_path):
    start = importlib.import_module("start")
    seconds, cpu = start.seconds_until(["-c", "import time; print('there'); time.sleep(600)"], "there", tmp_path)
    assert 0 < seconds < 300 and 0 <= cpu < 60
    with pytest.raises(SystemExit, match="exit status 3"):
        start.seconds_until(["-c", "raise SystemExit(3)"], None, tmp_path)
