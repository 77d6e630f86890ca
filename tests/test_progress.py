"""How far long work is: what is said of it, when, and of what nothing is said."""

import io
import sys
import time

import numpy as np
import pytest

from tests.testing import make_video, write_frame_shards
from yt8m import config, progress
from yt8m.progress import Progress, duration, track
from yt8m.readers.batches import count_examples, training_batches
from yt8m.readers.ratings import read_ratings
from yt8m.stages.evaluate import evaluate_segments, evaluate_videos
from yt8m.training.data import segment_spec
from yt8m.training.restore import build


@pytest.fixture
def slow(monkeypatch):
    """Function: waits until long work has been announced; of everything a line is printed."""
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    begin = Progress._begin
    monkeypatch.setattr(Progress, "_begin", lambda self: None)  # the timer's call; ours comes at once

    enter = Progress.__enter__

    def entered(self):
        enter(self)
        if self._timer is not None:
            begin(self)
        return self

    monkeypatch.setattr(Progress, "__enter__", entered)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    videos = [make_video(f"v{i:02d}", 12, labels=[i % 7], ratings=[(0, 1, 1.0), (5, 2, 0.0)]) for i in range(12)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:4], videos[4:8], videos[8:]])


MODEL = config.ModelConfig("FrameLevelLogisticModel", feature_sizes=(16, 8), num_classes=7)


def test_nothing_is_said_of_quick_work(capsys):
    assert list(track([1, 2, 3], "Counting", "things")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_long_work_is_announced_and_goes_on_in_lines(slow, capsys):
    assert list(track([1, 2, 3], "Counting", "things")) == [1, 2, 3]
    announced, *_, last = capsys.readouterr().err.splitlines()
    assert announced == "Counting: 0 of 3 things" and last == "Counting: 3 of 3 things in 0:00"
    with Progress("Scoring", 1000) as work:
        work.advance(250, "12 segments")
        work.advance(750, "40 segments")
    announced, quarter, whole, last = capsys.readouterr().err.splitlines()
    assert announced == "Scoring: 0%"
    assert quarter.startswith("Scoring: 25%, 12 segments, 0:00 left")
    assert whole == "Scoring: 100%, 40 segments"
    assert last == "Scoring: 100%, 40 segments in 0:00"


def test_long_work_is_announced_before_its_first_part_is_done(monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)
    with Progress("Indexing", 3844, "shards"):
        time.sleep(1)
        assert capsys.readouterr().err == "Indexing: 0 of 3,844 shards\n"


def test_lines_of_a_log_are_apart(monkeypatch, slow, capsys):
    monkeypatch.setattr(progress, "LOG_SECONDS", 3600.0)
    for _ in track(range(1000), "Counting", "things"):
        pass
    assert capsys.readouterr().err == "Counting: 0 of 1,000 things\n"


def test_the_time_left_is_that_of_the_pace_so_far():
    work = Progress("Counting", 400, "shards")
    assert work.state(0.0) == "0 of 400 shards"
    work.advance(100)
    assert work.state(60.0) == "100 of 400 shards, 3:00 left"
    work.advance(300)
    assert work.state(240.0) == "400 of 400 shards"
    endless = Progress("Indexing", unit="shards")
    endless.advance(7)
    assert endless.state(5.0) == "7 shards"


def test_work_within_work_is_not_shown_and_work_after_it_is(slow, capsys):
    with pytest.raises(ValueError, match="stop"), Progress("Outer", 2, "parts"):
        for _ in track(range(5), "Inner", "things"):
            pass
        raise ValueError("stop")
    for _ in track(range(1), "Next", "things"):
        pass
    printed = capsys.readouterr().err
    assert "Outer: 0 of 2 parts" in printed and "Inner" not in printed and "Next: 1 of 1 things" in printed


def test_a_terminal_gets_a_line_that_goes_away(monkeypatch, slow):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("Counting", 10, "shards") as work:
        work.advance(3)
        work._bar.refresh()
    written = terminal.getvalue()
    assert "Counting" in written and "of 10 shards" in written
    assert written.endswith("\x1b[2K")  # the line is cleared


def test_what_takes_long_says_how_far_it_is(slow, pattern, capsys):
    count_examples(segment_spec(MODEL, pattern, pattern_flag="train_data_pattern"))
    assert "Counting the rows: 3 of 3 shards" in capsys.readouterr().err
    next(iter(training_batches(segment_spec(MODEL, pattern, pattern_flag="train_data_pattern"), 4, seed=1)))
    assert "Indexing: 3 shards" in capsys.readouterr().err
    assert len(read_ratings(pattern).classes) == 24
    assert "Reading the ratings: 3 of 3 shards" in capsys.readouterr().err
    model = build(MODEL)
    evaluate_segments(model, MODEL, pattern)
    assert "Evaluating: 24 of 24 segments" in capsys.readouterr().err
    evaluate_videos(model, MODEL, pattern)
    assert "Evaluating: 12 of 12 videos" in capsys.readouterr().err


def test_inference_says_how_far_it_is(slow, pattern, tmp_path, capsys):
    from yt8m.scoring import infer

    infer.segments(build(MODEL), MODEL, pattern, str(tmp_path / "a.csv"), batch_size=2)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Scoring")]
    shares = [int(line.split()[2].rstrip("%,")) for line in lines]
    assert lines[0] == "Scoring segments: 0%" and lines[-1].startswith("Scoring segments: 100%, 36 segments in")
    assert len(lines) > 6 and shares == sorted(shares)


def test_the_sample_says_how_far_it_is(slow, tmp_path, capsys):
    from tests.sample.test_sample import TINY
    from yt8m.sample.sample import make_sample

    make_sample(tmp_path / "loud", TINY)
    assert "Making the sample: " in capsys.readouterr().err
    make_sample(tmp_path / "quiet", TINY, progress=False)
    assert capsys.readouterr().err == ""


def test_durations():
    assert [duration(seconds) for seconds in (0, 59.6, 3599, 7325)] == ["0:00", "1:00", "59:59", "2:02:05"]
    assert duration(np.float64(90)) == "1:30"
