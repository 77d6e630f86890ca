"""EM (Algorithm 1 of paper 004): its labels, its report, and that a killed run ends as an uninterrupted one."""

import json
import os
import random
import shutil
import time

import numpy as np
import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config
from yt8m.errors import UserError
from yt8m.readers.sidecars import open_sidecar
from yt8m.stages import em, em_files, estep, evaluate
from yt8m.training import restore

CLASSES = 5
FLAGS = (
    *commands.TINY[:2],
    f"--num_classes={CLASSES}",
    "--stage=em",
    "--model=FrameLevelLogisticModel",
    "--em_models=FrameLevelLogisticModel,TransformerModel(num_blocks=1,feed_forward_size=8,batch_size=4)",
    "--em_iterations=2",
    "--em_threshold=0.5",
    "--folds=3",
    "--fold=1",
    "--base_learning_rate=0.05",
    "--max_steps=6",
    "--save_steps=3",
    "--batch_size=8",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Videos in which class c makes the frames of its segments brighter in two dimensions."""
    folder, rng = tmp_path_factory.mktemp("em"), np.random.default_rng(0)

    def video(name, rated):
        length = int(rng.integers(10, 22))
        labels = rng.choice(CLASSES, 2, replace=False)
        plain = make_video(name, length, labels=labels)
        truth = rng.choice(labels, -(-length // 5))
        for segment, label in enumerate(truth):
            plain.frames["rgb"][segment * 5 : segment * 5 + 5, 3 * label : 3 * label + 3] = 255
        if not rated:
            return plain
        ratings = [(5 * segment, label, float(truth[segment] == label)) for segment in range(2) for label in labels]
        return make_video_with(plain, ratings)

    unrated = [[video(f"u{shard}{number}", False) for number in range(12)] for shard in range(2)]
    rated = [[video(f"r{shard}{number}", True) for number in range(10)] for shard in range(3)]
    return write_frame_shards(folder / "train", unrated, "train"), write_frame_shards(folder / "rated", rated)


def make_video_with(video, ratings):
    from dataclasses import replace

    from tests.testing import make_segments

    return replace(video, segments=make_segments(ratings))


def arguments(data, folder):
    return (*FLAGS, f"--train_data_pattern={data[0]}", f"--rated_data_pattern={data[1]}", f"--train_dir={folder}")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("runs") / "whole")
    assert commands.run("train", *arguments(data, folder)) is None
    return folder


def read(folder, *names):
    with open(os.path.join(folder, *names), encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.slow
def test_report_and_chosen_model(data, finished):
    rows = read(finished, em_files.REPORT)
    assert [(row["iteration"], row["name"], row["model"]) for row in rows] == [
        (0, "F", "FrameLevelLogisticModel"),
        *((i, name, model) for i in (1, 2) for name, model in (("F1", "FrameLevelLogisticModel"), ("F2", "TransformerModel"))),
    ]
    for first, second in (rows[1:3], rows[3:5]):
        assert [first["kept"], second["kept"]].count(True) == 1
        assert max(first["map"], second["map"]) == (first if first["kept"] else second)["map"]
        assert first["num_labels"] <= second["num_labels"] and first["bytes"] > 0
    kept = rows[3] if rows[3]["kept"] else rows[4]
    trained = restore.newest(finished)
    assert trained.config.model == kept["model"]
    again = evaluate.evaluate_segments(trained.model, trained.config, data[1], fold=(1, 3))
    assert again["map"] == pytest.approx(kept["map"], abs=1e-6)


def test_pseudo_labels_are_those_of_the_equations(data, finished):
    """Against F's predictions, segment by segment: eq. 18 and 19."""
    from yt8m.readers.index import open_shard
    from yt8m.readers.records import decode_video

    trained = restore.newest(os.path.join(finished, "initial"))
    counts = [0, 0]
    for shard in range(2):
        path = data[0].replace("*", f"{shard:04d}")
        records = open_shard(path)
        sidecars = [open_sidecar(os.path.join(finished, "iteration-1", f"labels-{number}"), path) for number in (1, 2)]
        for number in range(len(records)):
            video = decode_video(records.record(number), ("rgb", "audio"), (16, 8))
            frames = np.concatenate([video.frames["rgb"], video.frames["audio"]], axis=1)
            expected, starts = (set(), set()), np.arange(0, len(frames), 5)
            padded = np.concatenate([frames, np.zeros((5, frames.shape[1]), np.uint8)])
            windows = {"frames": padded[starts[:, None] + np.arange(5)], "num_frames": np.minimum(5, len(frames) - starts)}
            for start, predictions in zip(starts.tolist(), np.array(trained.model(windows))):
                for label in np.flatnonzero(predictions > 0.5):
                    expected[1].add((start, int(label)))
                    if label in video.labels:
                        expected[0].add((start, int(label)))
            for which, sidecar in enumerate(sidecars):
                assert sidecar.header.dense
                segments = sidecar.segments(number)
                labels = set() if segments is None else set(zip(segments.start_times.tolist(), segments.labels.tolist()))
                assert labels == expected[which]
                counts[which] += len(labels)
    assert 0 < counts[0] <= counts[1]
    assert [row["num_labels"] for row in read(finished, em_files.REPORT)[1:3]] == counts


def test_finished_steps_are_not_done_again(data, finished, capsys):
    folder = os.path.join(finished, "iteration-1")
    before = {name: os.path.getmtime(os.path.join(folder, name)) for name in os.listdir(folder)}
    assert commands.run("train", *arguments(data, finished)) is None
    output = capsys.readouterr().out
    assert "training step" not in output and "E-step" not in output
    for name, time_of in before.items():
        assert os.path.getmtime(os.path.join(folder, name)) == time_of


def test_a_process_that_was_moved_goes_on(data, finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "moved")
    assert commands.run("train", *arguments(data, tmp_path / "moved")) is None
    output = capsys.readouterr().out
    assert "training step" not in output and "E-step" not in output


def test_candidates_have_their_folders_from_the_start():
    plan = em.make_plan("run", "videos*", "rated*", lambda *folders: folders, iterations=2, folds=3)
    assert plan.initial == ("F", "run/initial", "")
    assert plan.candidates == tuple(
        tuple((f"F{n}", f"run/iteration-{i}/F{n}", f"run/iteration-{i}/labels-{n}") for n in (1, 2)) for i in (1, 2)
    )
    assert (plan.threshold, plan.folds, plan.fold) == (0.9, 3, 0)


def test_another_plan_or_another_models_labels_are_refused(data, finished, tmp_path):
    assert "threshold" in commands.run("train", *arguments(data, finished), "--em_threshold=0.6")
    plan = em.Plan("x", *data, None, ())
    header_of = open_sidecar(os.path.join(finished, "iteration-1", "labels-1"), data[0].replace("*", "0000")).header
    with pytest.raises(UserError, match="Delete it"):
        estep.is_annotated(os.path.join(finished, "iteration-1", "labels-1"), data[0].replace("*", "0000"), {"run": "another"})
    assert header_of.source["prior"] and plan.threshold == 0.9


@pytest.mark.parametrize(
    "changes, words",
    (
        (["--em_models=AttentionModel"], "two"),
        (["--em_models=AttentionModel(hidden=3),AttentionModel"], "hidden"),
        (["--em_models=LogisticModel,AttentionModel"], "LogisticModel"),
        (["--em_models=AttentionModel(,AttentionModel"], "em_models"),
        (["--em_threshold=1.5"], "em_threshold"),
        (["--folds=9"], "--folds=3 or fewer"),
        (["--fold=3"], "fold"),
        (["--rated_data_pattern=nowhere*"], "nowhere"),
    ),
)
def test_bad_flags_are_one_line(data, tmp_path, changes, words):
    line = commands.run("train", *arguments(data, tmp_path / "run"), *changes)
    assert isinstance(line, str) and words in line and "\n" not in line
    assert not (tmp_path / "run" / "initial").exists()


def test_a_signal_in_a_stages_last_steps_stops_what_is_to_come(data, tmp_path, capsys):
    given = (*arguments(data, tmp_path / "run"), "--callbacks=tests.cli.test_signals.SignalAt(step=6)")
    for stage in ("pretrain", "finetune"):
        assert commands.run("train", *given) == 143
        assert f"Stopped by SIGTERM after {stage}, which is saved" in capsys.readouterr().out
    assert not (tmp_path / "run" / "iteration-1").exists()
    assert not (tmp_path / "run" / "initial" / em_files.RESULT).exists()


def test_no_label_above_the_threshold_is_said(data, tmp_path):
    line = commands.run("train", *arguments(data, tmp_path / "run"), "--em_threshold=0.999999")
    assert "--em_threshold" in line


STEPS = (
    "initial pretrain",
    "initial finetune",
    "E-step",
    *(f"iteration-1/{name} {stage}" for name in ("F1", "F2") for stage in ("mstep", "finetune")),
)


def step_of(line, folder):
    """(the step that a line of the output begins, or None; the folder that is worked in from then on)."""
    word, _, rest = line.partition(":")
    if word == "E-step":
        return word, folder
    if word == "initial" or word.startswith("iteration-"):
        return None, word
    return (f"{folder} {word}" if word in config.STAGES and " parameters" in rest else None), folder


def kill_in_each_step(data, folder):
    """Starts the process again and again; in each step it is killed once, at a random moment. Returns the steps killed."""
    killed, rng = set(), random.Random(7)
    while True:
        process, at = commands.start("train", *arguments(data, folder), "--em_iterations=1", PYTHONUNBUFFERED="1"), ""
        for line in process.stdout:
            step, at = step_of(line, at)
            if step and step not in killed:
                time.sleep(rng.random() * 0.8)
                if process.poll() is None:
                    process.kill()
                    killed.add(step)
                break
        else:
            assert process.wait() == 0
            return killed
        process.communicate()


@pytest.mark.slow
def test_killed_at_a_random_moment_of_every_step(data, finished, tmp_path):
    folder = str(tmp_path / "killed")
    assert len(kill_in_each_step(data, folder) & set(STEPS)) >= len(STEPS) - 2  # a step may be over before it is killed
    for name in ("initial", "iteration-1/F1", "iteration-1/F2"):
        assert read(folder, name, em_files.RESULT) == read(finished, name, em_files.RESULT)
        weights, expected = (
            {weight.path: np.array(weight) for weight in restore.newest(os.path.join(run, name)).model.weights}
            for run in (folder, finished)
        )
        assert weights.keys() == expected.keys()
        for path, value in expected.items():
            np.testing.assert_array_equal(weights[path], value, err_msg=f"{name} {path}")
    for labels in ("labels-1", "labels-2"):
        for shard in ("train0000.tfrecord", "train0001.tfrecord"):
            ours, theirs = (os.path.join(run, "iteration-1", labels, shard) for run in (folder, finished))
            with open(ours, "rb") as file, open(theirs, "rb") as other:
                assert file.read() == other.read()
