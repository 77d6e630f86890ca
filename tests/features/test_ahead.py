"""A thread that works ahead: bounded, its errors carried over, gone when nobody takes its values."""

import contextlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.commands import ROOT
from tests.features.clips import tone, write_clip
from tests.features.stubs import Probe
from yt8m.features import backbones, extraction
from yt8m.features.ahead import made_ahead
from yt8m.features.extraction import Settings, extract


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_values_come_in_their_order_and_never_more_than_so_many_wait():
    put_so_far, most = [], 0

    def make(put):
        for number in range(50):
            put(number)
            put_so_far.append(number)

    taken = []
    for number in made_ahead(make, 3):
        time.sleep(0.002)
        taken.append(number)
        most = max(most, len(put_so_far) - len(taken))
    assert taken == list(range(50)) and 1 <= most <= 4 and not threads()


def test_the_thread_works_while_values_are_used():
    made, went_on = threading.Event(), []

    def make(put):
        put(1)
        made.set()
        put(2)

    for _ in made_ahead(make, 1):
        went_on.append(made.wait(10))
    assert went_on == [True, True]


def test_an_error_comes_behind_the_values_before_it():
    def make(put):
        put(1)
        raise KeyError("broken")

    values = made_ahead(make, 5)
    assert next(values) == 1
    with pytest.raises(KeyError, match="broken"):
        next(values)
    assert not threads()


def test_who_stops_taking_ends_the_thread():
    caught = []

    def make(put):
        while not caught:
            try:
                put(0)
            except Exception as error:
                caught.append(error)

    with contextlib.closing(made_ahead(make, 2)) as values:
        next(values)
        assert len(threads()) == 1
    assert not threads() and not caught


# ---------------------------------------------------------------- in the extraction


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """75 seconds: more than two batches of pictures and of sound."""
    return str(write_clip(tmp_path_factory.mktemp("clip") / "clip.mkv", np.arange(150) / 2, tone(75)))


@pytest.mark.parametrize("backbone", [Probe(), backbones.build("sketch")], ids=["probe", "sketch"])
def test_the_bytes_are_those_of_decoding_in_turn(clip, backbone, monkeypatch):
    frames, facts = extract(clip, backbone, Settings())

    def in_turn(make, size):
        values = []
        make(values.append)
        yield from values

    monkeypatch.setattr(extraction, "made_ahead", in_turn)
    expected, expected_facts = extract(clip, backbone, Settings())
    assert facts == expected_facts and facts.frames == 75
    for name in expected:
        np.testing.assert_array_equal(frames[name], expected[name])


def test_errors_on_either_side_are_raised_and_leave_no_thread(clip, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("broken")

    for name in ("prepare", "video", "audio"):
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="broken"):
            patch.setattr(Probe, name, fail)
            extract(clip, Probe(), Settings())
        assert not threads()


def test_decoding_waits_for_a_slow_network(clip, monkeypatch):
    """No more pictures wait than two batches, the one being put and the one in the network's hands."""
    prepared, used, most = [], [], []
    monkeypatch.setattr(Probe, "prepare", lambda self, frame: prepared.append(0) or 0)

    def video(self, pictures):
        time.sleep(0.3)
        used.extend(pictures)
        most.append(len(prepared) - len(used))
        return np.zeros((len(pictures), 1), np.float32)

    monkeypatch.setattr(Probe, "video", video)
    monkeypatch.setattr(extraction, "BATCH", 4)
    extract(clip, Probe(), Settings())
    assert len(used) == 76 and max(most) <= 2 * 4 + 4 + 1


def test_ctrl_c_ends_the_process(clip):
    """While the network computes and the thread waits to put its next picture."""
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from yt8m.features import extraction, sketch\n"
        "def video(*arguments):\n"
        "    print('working', flush=True)\n"
        "    while True:\n"  # a signal that comes just before a long sleep would not wake it
        "        time.sleep(0.01)\n"
        "sketch.Sketch.video = video\n"
        "extraction.extract(sys.argv[1], sketch.Sketch(), extraction.Settings())\n"
    )
    command = [sys.executable, "-c", code, clip]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
    assert process.returncode in (1, -signal.SIGINT)
