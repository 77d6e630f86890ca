"""What evaluation says, against what follows from the predictions by definition."""

import csv
import dataclasses
import os
import shutil

import numpy as np
import pytest

import yt8m
from tests.testing import make_video, write_frame_shards
from yt8m import config as configs
from yt8m import metrics
from yt8m.errors import UserError
from yt8m.readers import batches
from yt8m.stages import evaluate
from yt8m.training import restore
from yt8m.training.data import segment_spec, video_spec
from yt8m.training.predict import make_predict

CLASSES = 7
SIZES = {"rgb": 16, "audio": 8}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Pattern of rated shards; class 6 has no positive."""
    rng = np.random.default_rng(0)
    videos = [
        make_video(f"v{i:02d}", 12, labels=(i % 6, 0), ratings=[(5 * (i % 2), i % 6, float(i % 3 > 0)), (5, 6, 0.0)], seed=i)
        for i in rng.permutation(24)
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:10], videos[10:]])


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    """Folder of a model that was fine-tuned with eq. 2 of paper 002."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    common = {"feature_names": tuple(SIZES), "feature_sizes": tuple(SIZES.values()), "num_classes": CLASSES, "batch_size": 8}
    common |= {"train_data_pattern": shards, "train_dir": folder, "base_learning_rate": 0.1}
    yt8m.train(model="FrameLevelLogisticModel", max_steps=8, **common)
    yt8m.train(stage="finetune", label_loss="SampledNegativeLoss", max_steps=8, **common)
    return folder


def rows(spec, model, *keys):
    """What the model predicts of every row, and these entries of the batches; one below the other."""
    predict = make_predict(model)
    parts = [(predict(batch), *(batch[key].numpy() for key in keys)) for batch in batches.evaluation_batches(spec, 5)]
    return [np.concatenate(part) for part in zip(*parts)]


def entropy(p, y, epsilon=1e-7):
    return -(y * np.log(p + epsilon) + (1 - y) * np.log(1 - p + epsilon))


def test_whole_videos(shards, run):
    trained = restore.newest(str(run))
    predictions, labels = rows(video_spec(trained.config, shards), trained.model, "labels")
    threshold = float(np.median(predictions))
    result = yt8m.evaluate(train_dir=run, eval_data_pattern=shards, run_once=True, threshold=threshold, batch_size=7)
    predicted, true = predictions > threshold, labels > 0
    assert result["precision"] == pytest.approx((predicted & true).sum() / predicted.sum())
    assert result["recall"] == pytest.approx((predicted & true).sum() / true.sum())
    assert 0 < result["precision"] < 1 and 0 < result["recall"] < 1
    assert result["log_loss"] == pytest.approx(entropy(predictions, labels).mean(), rel=1e-5)
    assert result["log_loss_sum"] == pytest.approx(CLASSES * result["log_loss"])
    assert "loss" not in result, "eq. 2 is of segments alone"
    asked = yt8m.evaluate(train_dir=run, eval_data_pattern=shards, run_once=True, label_loss="CrossEntropyLoss")
    assert asked["loss"] == pytest.approx(CLASSES * entropy(predictions, labels, 1e-5).mean(), rel=1e-5)
    with pytest.raises(UserError, match=r"--label_loss=SampledNegativeLoss: is for rated segments"):
        yt8m.evaluate(train_dir=run, eval_data_pattern=shards, label_loss="SampledNegativeLoss")
    assert result["map"] == metrics.mean_average_precision(predictions, labels)
    np.testing.assert_array_equal(result["class_positives"], true.sum(0))


def test_the_starters_map_counts_the_first_predictions_only(shards, run):
    trained = restore.newest(str(run))
    predictions, labels = rows(video_spec(trained.config, shards), trained.model, "labels")
    named = {"train_dir": run, "eval_data_pattern": shards, "run_once": True}
    assert yt8m.evaluate(**named, map_top_k=2)["map"] == metrics.mean_average_precision(predictions, labels, 2)
    assert metrics.mean_average_precision(predictions, labels, 2) != metrics.mean_average_precision(predictions, labels)


def test_rated_segments(shards, run):
    trained = restore.newest(str(run))
    spec = segment_spec(trained.config, shards, video_labels=True)
    predictions, labels, weights, of_videos = rows(spec, trained.model, "labels", "label_weights", "video_labels")
    p, y, rated = predictions, labels, weights > 0
    threshold = float(np.median(p[rated]))
    result = yt8m.evaluate(train_dir=run, eval_data_pattern=shards, segment_labels=True, threshold=threshold)
    predicted, true = p[rated] > threshold, y[rated] > 0
    assert result["precision"] == pytest.approx((predicted & true).sum() / predicted.sum())
    assert result["recall"] == pytest.approx((predicted & true).sum() / true.sum())
    assert result["log_loss"] == pytest.approx(entropy(p, y)[rated].mean(), rel=1e-5)
    outside = (of_videos == 0) & (y == 0)  # eq. 2 of paper 002
    known = -(1.5 * y * np.log(p + 1e-7) + (1 - y) * np.log(1 - p + 1e-7)) * rated
    mined = -(np.log(1 - p + 1e-7) * outside).sum(1) / outside.sum(1) / 2
    assert result["loss"] == pytest.approx((known.sum(1) + mined * rated.sum(1)).mean(), rel=1e-4)
    np.testing.assert_array_equal(result["class_positives"], (y * rated > 0).sum(0))


@pytest.mark.parametrize("segments", [False, True])
def test_each_class_in_a_file(shards, run, tmp_path, segments, capsys):
    (tmp_path / "vocabulary.csv").write_text('Index,Name\n0,"Go, the game"\n2,Ünit\n')
    named = {"train_dir": run, "eval_data_pattern": shards, "run_once": True, "segment_labels": segments}
    named |= {"per_class_output": tmp_path / "out" / "classes.csv", "vocabulary_file": tmp_path / "vocabulary.csv"}
    result = yt8m.evaluate(**named)
    assert str(named["per_class_output"]) in capsys.readouterr().out
    with open(named["per_class_output"], encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["Class", "Name", "AP", "Positives"]
    assert [(int(line[0]), line[1]) for line in lines[:3]] == [(0, "Go, the game"), (1, ""), (2, "Ünit")]
    assert [int(line[3]) for line in lines] == result["class_positives"].tolist()
    assert lines[6][2:] == ["", "0"]
    assert np.mean([float(line[2]) for line in lines if line[2]]) == pytest.approx(result["map"], abs=1e-6)


def test_outputs_are_checked_before_anything_is_evaluated(shards, run, tmp_path, monkeypatch):
    monkeypatch.setattr(restore, "newest", lambda *_: pytest.fail("restored"))
    (tmp_path / "file").touch()
    for name in ("per_class_output", "thresholds_output"):
        for path, words in ((tmp_path / "file" / "x.csv", "Not a directory"), (tmp_path, "is a folder")):
            with pytest.raises(yt8m.UserError, match=rf"^--{name}={path}: {words}") as refused:
                yt8m.evaluate(train_dir=run, eval_data_pattern=shards, segment_labels=True, run_once=True, **{name: path})
            assert "\n" not in str(refused.value)
    with pytest.raises(yt8m.UserError, match="--thresholds_output comes from rated segments"):
        yt8m.evaluate(train_dir=run, eval_data_pattern=shards, thresholds_output=tmp_path / "new" / "x.csv")
    assert os.listdir(tmp_path) == ["file"]


def test_a_model_of_some_classes_writes_their_label_ids(shards, tmp_path):
    (tmp_path / "ids.csv").write_text("5\n2\n")
    named = {"feature_names": tuple(SIZES), "feature_sizes": tuple(SIZES.values()), "num_classes": CLASSES, "batch_size": 8}
    named |= {"segment_classes_only": True, "segment_label_ids_file": tmp_path / "ids.csv", "max_steps": 1}
    folder = tmp_path / "run"
    yt8m.train(model="FrameLevelLogisticModel", train_data_pattern=shards, train_dir=folder, **named)
    path = tmp_path / "classes.csv"
    yt8m.evaluate(train_dir=folder, eval_data_pattern=shards, run_once=True, per_class_output=path)
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["Class", "5", "2"]


def test_evaluation_in_training_measures_the_same(shards, run):
    trained = restore.newest(str(run))
    ours = evaluate.evaluate_segments(trained.model, trained.config, shards)
    assert evaluate.scalars(ours) == evaluate.scalars(yt8m.evaluate(train_dir=run, eval_data_pattern=shards, segment_labels=True))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 1.5}, "--threshold=1.5"),
        ({"map_top_k": 0}, "--map_top_k=0"),
        ({"map_top_k": 20, "segment_labels": True}, "--segment_labels"),
        ({"id_feature": "video_id"}, "--id_feature=video_id: the model in .* has id"),
        ({"segment_label_ids_file": "ids.csv", "segment_labels": True}, "unknown flag 'segment_label_ids_file'"),
        ({"vocabulary_file": "v.csv"}, "--per_class_output"),
        ({"vocabulary_file": "v.csv", "per_class_output": "c.csv"}, "v.csv"),
    ],
)
def test_bad_flags(shards, run, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(yt8m.UserError, match=words):
        yt8m.evaluate(train_dir=run, eval_data_pattern=shards, run_once=True, **options)


def test_another_loss_than_the_trained_one_has_its_own_options(shards, run, tmp_path):
    config = configs.read_model_config(str(run))
    shutil.copytree(run, tmp_path / "run")
    options = {"positive_weight": 2.0}
    configs.write_model_config(str(tmp_path / "run"), dataclasses.replace(config, loss_options=options))
    named = {"eval_data_pattern": shards, "segment_labels": True, "run_once": True}
    plain = yt8m.evaluate(train_dir=run, label_loss="CrossEntropyLoss", **named)
    other = yt8m.evaluate(train_dir=tmp_path / "run", label_loss="CrossEntropyLoss", **named)
    assert other["loss"] == plain["loss"]
    named["train_dir"] = tmp_path / "run"
    own = yt8m.evaluate(label_loss="SampledNegativeLoss", **named)["loss"]
    assert own == yt8m.evaluate(**named)["loss"] != yt8m.evaluate(**{**named, "train_dir": run})["loss"]


def test_flags_of_the_starter_that_do_nothing_are_said(shards, run, capsys):
    yt8m.evaluate(train_dir=run, eval_data_pattern=shards, segment_labels=True, run_once=True, top_k=20, num_readers=8)
    said = capsys.readouterr().out
    assert "--top_k=20: without effect, since of segments all rated ones count." in said
    assert "--num_readers=8: without effect, since evaluation reads one batch at a time." in said
    yt8m.evaluate(train_dir=run, eval_data_pattern=shards, run_once=True, top_k=20)
    assert "without effect" not in capsys.readouterr().out
