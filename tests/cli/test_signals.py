"""Ctrl-C and SIGTERM: a training saves and says so, every other command ends with one line and nothing half-written."""

import os
import signal
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m.api import training as api
from yt8m.config import TrainConfig
from yt8m.stages import by_name
from yt8m.training import checkpoints, hosts, stopping

SLOW = 40_000  # steps that nobody waits for


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    rng = np.random.default_rng(0)
    videos = [make_video(f"v{i:03d}", int(rng.integers(20, 60)), labels=[i % 7]) for i in range(60)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos] * 3)


def training(pattern, folder, *more):
    return [
        "train", f"--train_data_pattern={pattern}", "--model=FrameLevelLogisticModel", "--batch_size=8", f"--train_dir={folder}",
        *commands.TINY, *more,
    ]  # fmt: skip


def lines_until(process, text):
    """What the process prints up to a line with the text."""
    printed = []
    for line in process.stdout:
        printed.append(line)
        if text in line:
            break
    return printed


def test_ctrl_c_saves_and_says_so(pattern, tmp_path):
    process = commands.start(*training(pattern, tmp_path, f"--max_steps={SLOW}"))
    printed = lines_until(process, "training step 10/")
    process.send_signal(signal.SIGINT)
    printed += process.stdout
    assert process.wait() == 130, "".join(printed)
    step = checkpoints.position(checkpoints.latest(str(tmp_path)))[0]
    assert printed[-1] == f"Stopped by Ctrl-C at step {step}, saved. The same command goes on from there.\n"
    assert any("Ctrl-C: saving, then stopping" in line for line in printed)
    assert "Traceback" not in "".join(printed) and 10 <= step < SLOW


def test_what_begins_anew_goes_on_without_that():
    for anew, said in ((True, "The same command without --start_new_model goes on"), (False, "The same command goes on")):
        stopping.begins_anew(anew)
        assert stopping.how_to_go_on() == f"{said} from there."


class SignalAt(keras.callbacks.Callback):
    """Sends its process a SIGTERM.

    Args:
        step: after so many steps of each stage; None: not.
        epoch: when this stretch between two checkpoints is saved and judged, from 0; None: not.
        host: of several the one that hears it.
    """

    def __init__(self, step=None, epoch=None, host=0):
        super().__init__()
        self.step, self.epoch, self.host = step, epoch, host

    def on_train_batch_end(self, batch, logs=None):
        self._send(batch + 1 == self.step)

    def on_epoch_end(self, epoch, logs=None):
        self._send(epoch == self.epoch)

    def _send(self, now):
        if now and hosts.place()[0] == self.host:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("moment", ["step=4", "epoch=0"])
def test_one_in_a_stages_last_steps_or_its_last_save_stops_the_folds_to_come(pattern, tmp_path, capsys, moment):
    callback = f"--callbacks=tests.cli.test_signals.SignalAt({moment})"
    given = training(pattern, tmp_path, "--max_steps=4", "--save_steps=4", "--log_steps=2", "--folds=2", "--all_folds", callback)
    assert commands.run(*given) == 143
    first, second = tmp_path / "fold_0", tmp_path / "fold_1"
    assert checkpoints.position(checkpoints.latest(str(first)))[0] == checkpoints.read_best(str(first))["judged"] == 4
    assert "Stopped by SIGTERM after fold 0, which is saved" in capsys.readouterr().out and not second.exists()
    assert commands.run(*given) is None, "nothing is to come after the last fold"
    assert checkpoints.read_best(str(second))["judged"] == 4
    assert stopping.stopped_by() == signal.SIGTERM
    assert commands.run(*given) is None, "what an earlier training heard stops no other"


def test_one_that_a_stage_heard_too_late_stops_the_next(tmp_path, monkeypatch):
    seen = []

    def stage_that_hears(stage, model, callbacks):
        seen.append(stage.stage)
        with stopping.StopOnSignal():
            os.kill(os.getpid(), signal.SIGTERM)
        return "model"

    for name in ("pretrain", "finetune"):
        monkeypatch.setitem(by_name.FUNCTIONS, name, stage_that_hears)
    stages = tuple(TrainConfig(str(tmp_path), name, "shards*", 8, 0.01, 1.0, 1000) for name in ("pretrain", "finetune"))
    result = api._run_stages(types.SimpleNamespace(train_dir=str(tmp_path), stages=stages, model=None), None, ())
    assert seen == ["pretrain"] and result.stopped and result.signal == signal.SIGTERM


@pytest.mark.slow
def test_a_second_one_stops_at_once(pattern, tmp_path):
    """Also when TensorFlow is in the middle of a stretch of steps that has no end."""
    process = commands.start(*training(pattern, tmp_path, f"--max_steps={SLOW}", f"--log_steps={SLOW}", f"--save_steps={SLOW}"))
    printed = lines_until(process, "TensorBoard")
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    printed += lines_until(process, "Once more stops at once")
    time.sleep(1)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    printed += process.stdout
    assert process.wait() == 130, "".join(printed)
    assert time.monotonic() - began < 3
    assert "Traceback" not in "".join(printed)


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in stopping.NAMES]
    with stopping.StopOnSignal() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked == signal.SIGTERM == stopping.stopped_by()
    assert [signal.getsignal(number) for number in stopping.NAMES] == before
    assert signal.set_wakeup_fd(-1) == -1


SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background, which ignores it
from yt8m import files
from yt8m.cli import app
from yt8m.{room} import {module}

def slow(*args, **kwargs):
    with files.replacing({output!r}) as file:
        file.write(b"half")
        file.flush()
        print("writing", flush=True)
        while True:  # a signal that comes just before a long sleep would not wake it
            time.sleep(0.01)

{module}.{function} = slow
app.run({command!r}, sys.argv[1:], {command!r})
"""
IDS = "--segment_label_ids_file={tmp}/ids.csv"
ARGUMENTS = {
    "inference": ["--segment_labels", "--train_dir={trained}", "--input_data_pattern={pattern}", "--output_file={tmp}/x", IDS],
    "eval": ["--run_once", "--train_dir={trained}", "--eval_data_pattern={pattern}"],
    "export": ["--formats=saved_model", "--train_dir={trained}", "--output_dir={tmp}/export", IDS],
    "sample": ["--output_dir={tmp}/sample"],
}
CASES = (
    ("inference", "scoring.infer.rank_segments", signal.SIGTERM, "SIGTERM"),
    ("inference", "scoring.infer.rank_segments", signal.SIGINT, "Ctrl-C"),
    ("eval", "stages.evaluate.evaluate_videos", signal.SIGTERM, "SIGTERM"),
    ("export", "export.export.export", signal.SIGTERM, "SIGTERM"),
    ("sample", "sample.sample.make_sample", signal.SIGTERM, "SIGTERM"),
)


@pytest.fixture(scope="module")
def trained(pattern, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert commands.run(*training(pattern, folder, "--max_steps=2")) is None
    return folder


def each_command():
    """CASES, of which one is quick enough for every run."""
    for case in CASES:
        name = f"{case[0]} {case[3]}"
        yield pytest.param(*case, id=name, marks=[] if name == "inference SIGTERM" else pytest.mark.slow)


@pytest.mark.parametrize("command, stubbed, number, by", each_command())
def test_other_commands_end_with_one_line(pattern, trained, tmp_path, command, stubbed, number, by):
    (tmp_path / "ids.csv").write_text("Index\n1\n2\n")
    names = {"pattern": pattern, "trained": trained, "tmp": tmp_path}
    arguments = [argument.format(**names) for argument in ARGUMENTS[command]]
    before = sorted(tmp_path.iterdir())
    room, module, function = stubbed.split(".")
    script = SCRIPT.format(room=room, module=module, function=function, output=str(tmp_path / "out"), command=command)
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=commands.ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    printed = lines_until(process, "writing")
    process.send_signal(number)
    rest = process.stdout.read()
    assert process.wait(timeout=30) == 128 + number, "".join(printed) + rest
    assert rest == f"{command}: stopped by {by}. Nothing is half-written.\n"
    assert sorted(tmp_path.iterdir()) == before
