"""The benchmark on AudioSet: what it runs, what it keeps and does not run again, and that its flag files build."""

import importlib.util
import json
import pathlib
import re
import shlex
import sys

import numpy as np
import pytest

from tests import commands
from tests.test_configs import AUDIOSET, header, model_config, parse
from tests.testing import make_video, write_frame_shards
from yt8m import models
from yt8m.recipes.stages import stage_config

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"
CLIPS = 6  # a shard


@pytest.fixture(scope="module")
def bench():
    """The benchmark's module."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("audioset_benchmark", FOLDER / "audioset.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("audioset_benchmark", "audioset_rows", "report"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Paths of 8 shards as AudioSet's, of 6 clips each."""
    folder = tmp_path_factory.mktemp("audioset")
    clip = {"num_frames": 10, "features": {"audio_embedding": 128}}
    videos = [[make_video(f"{s}{i}", labels=[(s + i) % 3, 20 + i % 2], **clip) for i in range(CLIPS)] for s in range(8)]
    write_frame_shards(folder, videos, prefix="bal_train", id_feature="video_id")
    return [str(path) for path in sorted(folder.glob("*"))]


def stub(module, monkeypatch, rows):
    """Rows whose training gives what they guess, a constant a row; returns what was trained."""
    trained, labels = [], np.arange(40).reshape(8, 5) % 3 == 0

    def train(self, row, fold, seed, place):
        trained.append((next(name for name, kept in rows.items() if kept is row), fold.name, seed))
        np.save(self.folder / f"labels-{fold.name}-{fold.scores}", labels)
        return np.where(labels, 0.6, 0.4).astype("float32") * row.flags["right"] + np.linspace(0, 0.1, 8)[:, None], 100

    monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(module.Bench, "train", train)
    return trained


def test_what_was_run_is_not_run_again_and_means_are_of_members(bench, shards, monkeypatch, tmp_path):
    Row = type(bench.ROWS["audioset"])
    rows = {"good": Row({"right": 1}), "bad": Row({"right": -1}, baseline="good", goal="above")}
    rows["both"] = Row(members=("good", "bad"))
    rows["student"] = Row({"right": 1}, teachers=("bad",), baseline="bad", goal="above")
    trained, folds = stub(bench, monkeypatch, rows), [bench.Fold(number, shards) for number in (0, 1)]
    monkeypatch.setattr(bench.report, "version_of_code", lambda: "abc")
    for _ in range(2):
        runs = bench.Bench(tmp_path)
        for fold in folds:
            for name in ("student", "both"):
                runs.run(name, fold, 1)
    assert trained == [(name, f"fold{fold}", 1) for fold in (0, 1) for name in ("bad", "student", "good")]
    mean, good, bad = (np.load(runs.place(name, folds[1], 1) / "scores.npy") for name in ("both", "good", "bad"))
    np.testing.assert_allclose(mean, (good + bad) / 2)
    table = {row["name"]: row for row in bench.rows_of(runs, list(rows), folds, [1])}
    assert table["good"]["value"] == 1.0 and table["good"]["auc"] == 1.0 and table["both"]["parameters"] == 200
    assert table["bad"]["met"] is False and table["bad"]["gain"] < 0 and len(table["bad"]["maps"]) == 2
    assert table["student"]["met"] is True
    monkeypatch.setattr(bench.report, "version_of_code", lambda: "abd")
    bench.Bench(tmp_path).run("good", folds[0], 1)
    assert trained[-1] == ("good", "fold0", 1) and len(trained) == 7, "another version of the code runs anew"


def test_the_goal_is_met_beyond_two_standard_errors_only(bench, shards, monkeypatch, tmp_path):
    rows, folds = {"audioset": type(bench.ROWS["audioset"])()}, [bench.Fold(number, shards) for number in (0, 1)]
    monkeypatch.setattr(bench, "ROWS", rows)
    for maps, met in (((0.36, 0.37), True), ((0.34, 0.38), False), ((0.3, 0.31), False)):
        runs = bench.Bench(tmp_path)
        for fold, value in zip(folds, maps):
            kept = dict.fromkeys(("auc", "d_prime", "gap", "seconds", "parameters"), 1)
            runs.results.append({"row": "audioset", **fold.facts, "seed": 1, "map": value, **kept})
        assert bench.rows_of(runs, ["audioset"], folds, [1])[0]["met"] is met


def test_a_fold_is_what_training_does_not_see(bench, shards):
    folds = [bench.Fold(number, shards) for number in range(8)]
    assert [fold.judged for fold in folds] == shards
    assert all(sorted([*fold.train.split(","), fold.judged]) == shards for fold in folds)
    whole = bench.Fold(None, shards, "DIR/eval*")
    assert (whole.train, whole.judged, whole.scores) == (",".join(shards), "DIR/eval*", "scores-eval.npy")


def test_a_row_is_trained_and_judged(bench, shards, monkeypatch, tmp_path):
    monkeypatch.setattr(bench.report, "version_of_code", lambda: "abc")
    runs, fold = bench.Bench(tmp_path, {"max_steps": 2, "batch_size": 8}), bench.Fold(3, shards)
    runs.run("FrameLevelLogisticModel", fold, 1)
    kept = json.loads((tmp_path / "results.jsonl").read_text())
    assert kept["parameters"] == 129 * 527 and kept["judged"] == "bal_train0003.tfrecord" and 0 < kept["map"] <= 1
    assert runs.labels(fold).sum() == 2 * CLIPS and not (runs.place("FrameLevelLogisticModel", fold, 1) / "run").exists()


def test_every_row_is_one_that_can_be_run(bench):
    """Its flags are known, its hyper-parameters the model's, and what it names are rows that are compared before it."""
    assert set(bench.TABLE) <= set(bench.ROWS) - set(bench.CANDIDATES)
    for row in bench.ROWS.values():
        assert {row.baseline, *row.members, *row.teachers} - {""} <= set(bench.ROWS)
        if row.members:
            continue
        flags = [f"--{name}={value}" for name, value in row.flags.items() if not isinstance(value, dict)]
        given = parse(row.recipe, *flags)
        options = row.flags.get("hyperparameters", {})
        given["hyperparameters"] = options if "model" in row.flags else {**given["hyperparameters"], **options}
        given |= {name: value for name, value in row.flags.items() if name == "loss_options"}
        config = model_config(given)
        models.check_hyperparameters(config.model, config.hyperparameters)
        stage = stage_config(given, "pretrain", config.model, None, "dir", "*")
        assert (stage.default_loss, stage.weight_decay) == ("CrossEntropyLoss", 0) or config.label_loss == "CrossEntropyLoss"


@pytest.mark.parametrize("name", AUDIOSET)
def test_a_flag_file_says_how_it_is_run(name):
    text = "\n".join(header(name))
    assert all(f"# {part}: " in text for part in ("Published", "Data", "Chosen by"))
    arguments = re.search(r"python train\.py --flagfile=configs/(\w+)\.flags (.*)", text)
    assert arguments[1] == name and "bal_train" in arguments[2]
    given = commands.given("train", *shlex.split(arguments[2]))
    assert set(given) == {"train_data_pattern", "train_dir"}
    given = parse(name)
    assert (given["id_feature"], given["num_classes"], model_config(given).feature_sizes) == ("video_id", 527, (128,))
