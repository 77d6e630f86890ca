"""The commands as functions: the same results, and errors that can be caught."""

import os
import pathlib
import shutil

import numpy as np
import pytest

import yt8m
from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import api
from yt8m.training import restore

TINY = {"feature_names": ("rgb", "audio"), "feature_sizes": [16, 8], "num_classes": 7, "max_steps": 3, "batch_size": 4}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Pattern of rated frame-level shards."""
    videos = [make_video(f"v{i:03d}", 12, labels=(i % 7,), ratings=[(5, 1, 1.0), (5, 2, 0.0)]) for i in range(12)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:7], videos[7:]])


@pytest.fixture(scope="module")
def ids(tmp_path_factory):
    path = tmp_path_factory.mktemp("ids") / "ids.csv"
    path.write_text("Index\n1\n2\n")
    return path


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory):
    """The result of a small training."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    options = {"hidden_size": 8, "reduced_sizes": (4, 2)}
    return yt8m.train(model="AttentionModel", train_data_pattern=shards, train_dir=folder, hyperparameters=options, **TINY)


def test_training_is_the_commands(shards, trained, tmp_path):
    arguments = (*commands.TINY, "--max_steps=3", "--batch_size=4", "--hyperparameters=hidden_size=8,reduced_sizes=(4,2)")
    folder = f"--train_dir={tmp_path / 'run'}"
    assert commands.run("train", "--model=AttentionModel", f"--train_data_pattern={shards}", folder, *arguments) is None
    other = restore.newest(str(tmp_path / "run"))
    assert other.config == trained.config and not trained.stopped
    for ours, theirs in zip(trained.model.weights, other.model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_evaluation_returns_the_metrics(shards, trained, capsys):
    metrics = yt8m.evaluate(train_dir=trained.train_dir, eval_data_pattern=shards, segment_labels=True)
    assert metrics["num_pairs"] == 24 and 0 <= metrics["map"] <= 1
    printed = capsys.readouterr().out
    arguments = (f"--train_dir={trained.train_dir}", f"--eval_data_pattern={shards}", "--segment_labels")
    assert commands.run("eval", *arguments) is None
    assert capsys.readouterr().out == printed
    assert "gap" in yt8m.evaluate(train_dir=trained.train_dir, eval_data_pattern=shards, run_once=True)


def test_inference_returns_what_it_wrote(shards, trained, ids, tmp_path):
    named = {"input_data_pattern": shards, "segment_labels": True, "segment_label_ids_file": ids}
    path = yt8m.inference(train_dir=trained.train_dir, output_file=tmp_path / "ours.csv", **named)
    assert path == str(tmp_path / "ours.csv")
    arguments = [f"--{name}={value}" for name, value in named.items()]
    theirs = tmp_path / "theirs.csv"
    assert commands.run("inference", f"--train_dir={trained.train_dir}", f"--output_file={theirs}", *arguments) is None
    assert (tmp_path / "ours.csv").read_bytes() == theirs.read_bytes()
    ensemble = {"train_dir": [trained.train_dir] * 2, "weights": [1, 3]}
    assert yt8m.inference(**ensemble, output_file=tmp_path / "both.csv", **named) == str(tmp_path / "both.csv")
    assert (tmp_path / "both.csv").read_bytes() == theirs.read_bytes()
    store = yt8m.inference(train_dir=trained.train_dir, output_file="", scores_output=tmp_path / "scores", **named)
    assert store == str(tmp_path / "scores")
    part = yt8m.inference(train_dir=trained.train_dir, output_file=theirs, worker_index=0, num_workers=2, **named)
    assert part.startswith(str(tmp_path)) and part != str(theirs)


@pytest.mark.parametrize(
    "function, values, words",
    [
        (yt8m.train, {"modle": "AttentionModel"}, "did you mean model"),
        (yt8m.train, {"model": "NoModel"}, "MultiAttentionModel"),
        (yt8m.train, {"max_steps": 0}, "--max_steps=0: must be above 0"),
        (yt8m.train, {"hyperparameters": {"depth": 3}}, "depth"),
        (yt8m.train, {"stage": "finetune"}, "--init_checkpoint"),
        (yt8m.evaluate, {"train_dir": "nowhere"}, "nowhere"),
        (yt8m.evaluate, {"hyperparameters": {}}, "unknown flag 'hyperparameters'"),
        (yt8m.inference, {"train_dir": "nowhere"}, "nowhere"),
        (yt8m.inference, {"train_dir": "nowhere", "segment_shifts": 1}, "--segment_labels"),
    ],
)
def test_bad_input_raises_and_never_exits(function, values, words, shards, tmp_path):
    if function is yt8m.train:
        values = {"model": "AttentionModel", "train_data_pattern": shards, "train_dir": tmp_path / "run", **TINY, **values}
    with pytest.raises(yt8m.UserError) as refused:
        function(**values)
    assert words in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_bad_data_is_a_user_error(trained, tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("v000", 12, ratings=[(5, 1, 1.0)], features={"rgb": 16})]])
    for call in (
        lambda: yt8m.train(model="AttentionModel", train_data_pattern=pattern, train_dir=tmp_path / "run", **TINY),
        lambda: yt8m.evaluate(train_dir=trained.train_dir, eval_data_pattern=pattern, run_once=True),
        lambda: yt8m.inference(train_dir=trained.train_dir, input_data_pattern=pattern, output_file=tmp_path / "out.csv"),
    ):
        with pytest.raises(yt8m.UserError, match="has no feature `audio`"):
            call()


def test_no_data_is_a_user_error(trained):
    for function in (yt8m.evaluate, yt8m.inference):
        with pytest.raises(yt8m.UserError, match="_data_pattern is not given"):
            function(train_dir=trained.train_dir)


def test_features_of_another_backbone_are_refused_by_all_that_judge(shards, trained, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(os.path.dirname(shards), folder)
    (folder / "features.json").write_text('{"backbone": {"name": "onnx:a.onnx", "options": {}, "files": {}}}')
    run, pattern, out = trained.train_dir, f"{folder}/*.tfrecord", tmp_path / "out"
    for flag, call in (
        ("eval", lambda: yt8m.evaluate(train_dir=run, eval_data_pattern=pattern)),
        ("eval", lambda: yt8m.write_card(train_dir=run, eval_data_pattern=pattern, output_file=out)),
        ("eval", lambda: yt8m.compare([run, run], pattern, names="a,b", output_dir=out)),
        ("eval", lambda: api.export_model(train_dir=run, eval_data_pattern=pattern, output_dir=out)),
        ("calibration", lambda: api.export_model(train_dir=run, calibration_data_pattern=pattern, output_dir=out)),
    ):
        with pytest.raises(yt8m.UserError, match=rf"^--{flag}_data_pattern=.* has features of onnx:a.onnx, .* was trained on"):
            call()
    assert os.listdir(tmp_path) == ["other"]


def test_paths_and_texts_are_read_as_elsewhere(shards, trained, tmp_path):
    run = pathlib.Path(trained.train_dir)
    shutil.copytree(run, tmp_path / "b")
    texts = {"whole_videos": "false", "top_classes": "3", "resamples": "20", "batch_size": "8", "vocabulary_file": None}
    compared = yt8m.compare([run, tmp_path / "b"], pathlib.Path(shards), tmp_path / "out", names=["x", "y"], **texts)
    assert compared.runs[0].judged.resampled.shape == (20,) and compared.runs[1].name == "y"
    names = [run.name for run in yt8m.compare(f"{run},{tmp_path / 'b'}", [shards], tmp_path / "out", resamples=2).runs]
    assert names == ["trained", "b"]
    for values, words in (
        ({"resamples": "many"}, "--resamples=many: expected a whole number"),
        ({"batch_size": 0}, "--batch_size=0: must be above 0"),
        ({"whole_videos": "perhaps"}, "--whole_videos=perhaps: expected true or false"),
        ({"train_dirs": 3}, "--train_dirs=3: expected a list"),
        ({"train_dirs": run}, "1 run: compare takes two or more"),
    ):
        with pytest.raises(yt8m.UserError, match=words):
            yt8m.compare(**{"train_dirs": [run, run], **values})
    assert yt8m.load(run, checkpoint=run / "model.ckpt-3").step == 3
