"""The best checkpoint of every stage: by its loss, on shards left out or on --eval_data_pattern."""

import json

import numpy as np
import pytest

from tests import commands
from tests.testing import make_segments, make_video, write_frame_shards
from yt8m import losses
from yt8m.readers.sidecars import SidecarHeader, write_sidecar
from yt8m.stages import batches, best, evaluate
from yt8m.training import checkpoints, restore
from yt8m.training.data import segment_spec, video_spec
from yt8m.training.objectives import Objective

SHARDS, CLASSES = 3, 7


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    videos = [make_video(f"v{i:02d}", 9 + i, labels=[i % 7], ratings=[(0, i % 7, 1.0), (5, (i + 1) % 7, 0.0)]) for i in range(12)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[shard::SHARDS] for shard in range(SHARDS)])


def train(data, folder, *more, steps=6):
    flags = [
        "--model=FrameLevelLogisticModel",
        "--batch_size=4",
        "--save_steps=2",
        f"--max_steps={steps}",
        "--base_learning_rate=1",
    ]
    return commands.run("train", f"--train_data_pattern={data}", f"--train_dir={folder}", *flags, *commands.TINY, *more)


def loss_of(folder, prefix, data, **spec):
    trained = restore.newest(str(folder), prefix)
    rows = video_spec(trained.config, data, **spec)
    return best.mean_loss(trained.model, Objective(losses.CrossEntropyLoss()), rows)


def values_said(printed):
    """{step: value} of the lines that judge a checkpoint."""
    lines = [line for line in printed.splitlines() if " | best: " in line]
    return {int(line.split("step ")[1].split()[0]): float(line.split("loss: ")[1].split()[0]) for line in lines}


@pytest.mark.parametrize("flags", [["--folds=3", "--fold=1"], ["--keep_best", "--eval_data_pattern=DATA"]])
def test_pretraining_keeps_the_checkpoint_with_the_lowest_loss(data, tmp_path, capsys, flags):
    assert train(data, tmp_path, *(flag.replace("DATA", data) for flag in flags)) is None
    said = values_said(capsys.readouterr().out)
    assert sorted(said) == [2, 4, 6]
    kept = checkpoints.read_best(str(tmp_path))
    assert (kept["step"], kept["metric"]) == (min(said, key=said.get), "loss")
    spec = {"fold": (1, 3), "held_out": True} if "--folds=3" in flags else {}
    assert loss_of(tmp_path, None, data, **spec) == pytest.approx(kept["value"], rel=1e-6)
    assert checkpoints.chosen(str(tmp_path)).endswith(f"best/model.ckpt-{kept['step']}")


@pytest.mark.parametrize("flag, name", [("--stage=pretrain", "evaluate_videos"), ("--segment_labels", "evaluate_segments")])
def test_a_checkpoint_is_evaluated_once(data, tmp_path, monkeypatch, capsys, flag, name):
    """What is printed of --eval_data_pattern is what judges, of one evaluation."""
    seen, metric = [], "map"
    measure = getattr(evaluate, name)
    monkeypatch.setattr(evaluate, name, lambda *given, **named: seen.append(measure(*given, **named)) or seen[-1])
    flags = (flag, "--keep_best", f"--eval_data_pattern={data}", f"--best_metric={metric}")
    assert train(data, tmp_path, *flags) is None
    assert len(seen) == 3  # steps 2, 4 and 6
    assert len({metrics[metric] for metrics in seen}) > 1  # of different weights
    assert checkpoints.read_best(str(tmp_path))["value"] == max(metrics[metric] for metrics in seen)
    printed = [float(line.split("map: ")[1].split()[0]) for line in capsys.readouterr().out.splitlines() if "eval step" in line]
    assert printed == pytest.approx([metrics[metric] for metrics in seen], abs=6e-4)


def test_the_next_stage_starts_from_the_best(data, tmp_path, capsys):
    """The second half of the pre-training makes it worse: its rate is much too high."""
    folds = ("--folds=3", "--stage=pretrain")
    assert train(data, tmp_path, *folds, "--base_learning_rate=0.1", steps=2) is None
    assert train(data, tmp_path, *folds, "--base_learning_rate=1000", steps=6) is None
    assert checkpoints.read_best(str(tmp_path))["step"] == 2
    pretrained = [np.array(weight) for weight in restore.newest(str(tmp_path)).model.weights]
    capsys.readouterr()
    assert train(data, tmp_path, "--stage=finetune", "--base_learning_rate=1e-30", steps=2) is None
    assert "starting from " + str(tmp_path / "best" / "model.ckpt-2") in capsys.readouterr().out
    assert checkpoints.position(checkpoints.latest(str(tmp_path))) == (8, "finetune", 2)
    assert checkpoints.chosen(str(tmp_path)).endswith("model.ckpt-8")  # not the best of pre-training
    for ours, theirs in zip(restore.newest(str(tmp_path)).model.weights, pretrained, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (tmp_path / "pretrain" / "model.ckpt-2.index").exists()


def test_a_stage_that_is_judged_after_a_judged_one_begins_anew(data, tmp_path):
    assert train(data, tmp_path, "--folds=3", "--stage=pretrain", steps=4) is None
    assert train(data, tmp_path, "--folds=3", "--stage=finetune", steps=4) is None
    kept = checkpoints.read_best(str(tmp_path))
    assert kept["metric"] == "map" and kept["step"] > 4
    assert checkpoints.position(checkpoints.chosen(str(tmp_path)))[1] == "finetune"


@pytest.mark.parametrize("metric", ["loss", "auc"])
def test_fine_tuning_by_either(data, tmp_path, metric):
    assert train(data, tmp_path, "--segment_labels", "--folds=3", f"--best_metric={metric}") is None
    kept = checkpoints.read_best(str(tmp_path))
    trained = restore.newest(str(tmp_path))
    assert kept["metric"] == metric
    if metric == "loss":
        rows = segment_spec(trained.config, data, fold=(0, 3), held_out=True)
        loss = best.mean_loss(trained.model, Objective(losses.CrossEntropyLoss()), rows)
        assert loss == pytest.approx(kept["value"], rel=1e-6)


def test_an_m_step_by_the_pseudo_labels_that_it_leaves_out(data, tmp_path):
    for shard in range(SHARDS):
        names = [f"v{i:02d}" for i in range(12)][shard::SHARDS]
        header = SidecarHeader(f"validate{shard:04d}.tfrecord", 4, CLASSES, dense=True)
        write_sidecar(tmp_path / "labels", header, [(name, make_segments([(0, 2, 1.0), (5, 3, 1.0)])) for name in names])
    flags = ("--stage=mstep", f"--pseudo_labels={tmp_path / 'labels'}")
    assert train(data, tmp_path / "run", *flags, "--folds=3", steps=4) is None
    assert checkpoints.read_best(str(tmp_path / "run"))["metric"] == "loss"
    assert train(data, tmp_path / "rated", *flags, "--keep_best", f"--eval_data_pattern={data}", steps=4) is None
    assert checkpoints.read_best(str(tmp_path / "rated"))["metric"] == "map"
    assert "--best_metric=map: --stage=mstep is judged by loss" in train(
        data, tmp_path / "x", *flags, "--folds=3", "--best_metric=map"
    )


def test_the_loss_is_a_mean_over_the_rows_not_the_batches(data, tmp_path):
    assert train(data, tmp_path, steps=1) is None
    trained = restore.newest(str(tmp_path))
    spec, objective = video_spec(trained.config, data), Objective(losses.CrossEntropyLoss())
    values = [best.mean_loss(trained.model, objective, spec, batch_size) for batch_size in (1, 5, 12)]
    np.testing.assert_allclose(values, values[0], rtol=1e-6)


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--keep_best"], "--keep_best: nothing to judge on"),
        (["--folds=3", "--best_metric=auc"], "--best_metric=auc: --stage=pretrain is judged by loss or map or gap"),
        (["--segment_labels", "--folds=3", "--best_metric=gap"], "--best_metric=gap: --stage=finetune is judged by"),
    ],
)
def test_what_cannot_be_judged_is_one_line(data, tmp_path, flags, words):
    line = train(data, tmp_path / "run", *flags)
    assert words in line and "\n" not in line and not (tmp_path / "run").exists()


def test_a_stop_between_two_checkpoints_is_not_judged(data, tmp_path, capsys):
    """The rate is much too high: the sooner, the better, were what SIGTERM made the run save a choice."""
    flags = ("--folds=3", "--log_steps=1", "--save_steps=3", "--base_learning_rate=10")
    assert train(data, tmp_path / "whole", *flags, steps=8) is None
    whole = values_said(capsys.readouterr().out)
    late = "--callbacks=tests.cli.test_signals.SignalAt(step=1)"
    assert train(data, tmp_path / "stopped", *flags, late, steps=8) == 143
    assert train(data, tmp_path / "stopped", *flags, late, steps=8) is None
    assert values_said(capsys.readouterr().out) == whole and sorted(whole) == [3, 6, 8]
    notes = [(tmp_path / run / "best" / "best.json").read_text() for run in ("whole", "stopped")]
    assert notes[0] == notes[1]


def test_the_end_of_data_too_large_to_count_is_judged(data, tmp_path, monkeypatch):
    """Also where the run is killed just before."""
    monkeypatch.setattr(batches, "COUNT_BYTES", 0)
    flags = ["--model=FrameLevelLogisticModel", "--batch_size=3", "--save_steps=2", "--num_epochs=1", "--folds=3", *commands.TINY]
    note = tmp_path / "best" / "best.json"
    for _ in range(2):
        assert commands.run("train", f"--train_data_pattern={data}", f"--train_dir={tmp_path}", *flags) is None
        assert json.loads(note.read_text())["judged"] == 3  # 8 rows
        note.write_text(json.dumps({**json.loads(note.read_text()), "judged": 2}))


@pytest.mark.parametrize("metric, flags", [("map", ["--folds=3"]), ("auc", ["--keep_best", "--eval_data_pattern=DATA"])])
def test_a_metric_that_is_not_defined_judges_nothing(tmp_path, metric, flags):
    """Nobody found a class in the segments that judge."""
    videos = [make_video(f"v{i:02d}", 9, labels=[i % 7], ratings=[(0, i % 7, float(i % 3 > 0))]) for i in range(12)]
    pattern = write_frame_shards(tmp_path, [videos[shard::SHARDS] for shard in range(SHARDS)])
    flags = [flag.replace("DATA", pattern.replace("*", "0000")) for flag in flags]
    line = train(pattern, tmp_path / "run", "--segment_labels", f"--best_metric={metric}", *flags)
    where = "fold 0 of 3" if metric == "map" else "--eval_data_pattern"
    assert f"--best_metric={metric}: nan on {where} at step 2" in line and "Give --best_metric=loss or " in line
    assert "\n" not in line
    assert train(pattern, tmp_path / "run", "--segment_labels", "--best_metric=loss", "--start_new_model", *flags) is None


def test_what_an_earlier_version_kept_by_nan_is_no_best(data, tmp_path):
    assert train(data, tmp_path, "--folds=3") is None
    note = tmp_path / "best" / "best.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "value": float("nan")}))
    assert checkpoints.chosen(str(tmp_path)) == checkpoints.latest(str(tmp_path))
    assert train(data, tmp_path, "--folds=3", steps=8) is None
    kept = checkpoints.read_best(str(tmp_path))
    assert kept["value"] > 0 and kept["step"] >= 6


def test_a_killed_run_judges_what_it_saved(data, tmp_path):
    assert train(data, tmp_path, "--folds=3") is None
    note = tmp_path / "best" / "best.json"
    kept = json.loads(note.read_text())
    note.write_text(json.dumps({**kept, "judged": 4}))
    assert train(data, tmp_path, "--folds=3") is None
    assert json.loads(note.read_text()) == kept
