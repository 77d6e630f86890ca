"""What the commands say to run next runs as it is printed, through the doors and through `yt8m`."""

import os
import re
import subprocess
import sys
import threading

import pytest

import yt8m
from tests.commands import ROOT
from tests.testing import make_video, write_frame_shards
from yt8m import commands

SMALL = ("--model=AttentionModel", "--max_steps=2", "--hyperparameters=hidden_size=8", "--batch_size=8")


@pytest.fixture
def shell(tmp_path):
    """Function (line) -> what it prints, run by a shell in a folder with a space in its name, where `yt8m` is this checkout's."""
    folder, programs = tmp_path / "a folder", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for name, module in (("yt8m", "-m yt8m.cli.app"), ("python", ""), ("tensorboard", "-m tensorboard.main")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{programs}:{os.environ['PATH']}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}

    def run(line):
        process = subprocess.Popen(
            ["sh", "-c", f"exec {line}"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if line.startswith("tensorboard"):
            too_late = threading.Timer(120, process.kill)
            too_late.start()
            printed = next((text for text in process.stdout if "http://" in text), "")
            too_late.cancel()
            process.terminate()
            process.wait()
            return printed
        printed = process.communicate()[0]
        assert process.returncode == 0, f"{line}\n{printed}"
        assert "..." not in "".join(next_lines(printed))
        return printed

    run.folder = folder
    return run


def next_lines(printed):
    """The commands that a command's output says to run next."""
    return [line.strip() for part in re.findall(r"^Next.*:\n((?:  .+\n)+)", printed, re.MULTILINE) for line in part.splitlines()]


@pytest.mark.slow
def test_on_the_sample(shell, capsys):
    lines = next_lines(shell(" ".join([f"python {ROOT}/train.py", *SMALL, "'--train_dir=a run'"])))
    programs = [f"python {ROOT}/eval.py", f"python {ROOT}/inference.py", f"python {ROOT}/timeline.py", "tensorboard"]
    assert [line.split(" --")[0] for line in lines] == programs
    assert "ceiling" in shell(lines[0]) and "index.html" in shell(lines[2]) and "http" in shell(lines[3])
    (line,) = next_lines(shell(lines[1]))
    assert line == f"python {ROOT}/segment_eval_inference.py --train_dir='a run' --submission_file='a run/predictions.csv'"
    assert "│ predictions.csv" in shell(line)
    given = {"train_dir": str(shell.folder / "a run"), "output_file": str(shell.folder / "other file.csv")}
    capsys.readouterr()
    yt8m.inference(**given, segment_labels=True, segment_max_pred=1)
    (line,) = next_lines(capsys.readouterr().out)
    assert "│ other file.csv" in shell(line)


@pytest.mark.slow
def test_on_named_data(shell, tmp_path, capsys):
    videos = [make_video(f"v{i:02d}", 12, [i % 7], [(0, i % 7, 1.0), (5, i % 7, 0.0)]) for i in range(16)]
    pattern = write_frame_shards(tmp_path / "some data", [videos[:8], videos[8:]])
    flags = {"train_data_pattern": pattern, "train_dir": str(tmp_path / "a run"), "model": "FrameLevelLogisticModel"}
    flags |= {"feature_sizes": [16, 8], "num_classes": 7, "max_steps": 1, "batch_size": 8}

    def printed(function, **given):
        function(**given)
        return capsys.readouterr().out

    text = printed(yt8m.train, **flags)
    assert not next_lines(text) and "yt8m eval --train_dir='" in text and "as --eval_data_pattern shards that" in text
    text = printed(yt8m.train, **flags, segment_labels=True)
    assert not next_lines(text) and "yt8m eval --segment_labels" in text and "as --eval_data_pattern rated shards that" in text
    for segments in (False, True):
        text = printed(yt8m.train, **flags, segment_labels=segments, start_new_model=True, eval_data_pattern=pattern)
        evaluation, timelines = next_lines(text)
        assert evaluation.startswith("yt8m eval") and ("num_pairs" in shell(evaluation)) == segments
    assert timelines == f"yt8m timeline --train_dir='{flags['train_dir']}' --input_data_pattern='{pattern}'"
    assert "16 timelines" in shell(timelines)
    scored = {"train_dir": flags["train_dir"], "input_data_pattern": pattern, "segment_labels": True}
    text = printed(yt8m.inference, **scored)
    assert not next_lines(text) and "yt8m segment-eval --submission_file=" in text and "as --eval_data_pattern the rated" in text
    (line,) = next_lines(printed(yt8m.inference, **scored, worker_index=0, num_workers=1))
    assert "Wrote" in shell(line)


def test_commands_are_written_as_the_user_writes_them():
    assert commands.command("eval", "run_once", train_dir="a b") == "yt8m eval --run_once --train_dir='a b'"
    with commands.called_as("train.py"):
        assert commands.command("segment-eval") == "python segment_eval_inference.py"
        assert commands.command("sample", size="medium") == "yt8m sample --size=medium"
    with commands.called_as("../check out/train.py"):
        assert commands.command("export") == "python '../check out/export_model.py'"
    with commands.called_as("yt8m train"):
        assert commands.command("export") == "yt8m export"
