"""The commands as users of the starter code write them, and as a newcomer does."""

import csv
import re

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests import commands
from tests.testing import make_video, write_frame_shards, write_video_shards
from yt8m import config
from yt8m.readers import labels

SIZES = {"rgb": 1024, "audio": 128}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders as the starter's README has them, with a few full-size records."""
    folder = tmp_path_factory.mktemp("yt8m")
    rng = np.random.default_rng(0)
    train, validate, test, rows = [], [], [], []
    for i in range(16):
        labels = [int(label) for label in rng.choice([3, 7, 500, 3861], 2, replace=False)]
        train.append(make_video(f"tr{i:02d}", int(rng.integers(1, 20)), labels, features=SIZES))
        ratings = [(start, label, float(rng.random() < 0.5)) for start in (0, 5) for label in (3, 7)]
        validate.append(make_video(f"va{i:02d}", 12, labels, ratings, features=SIZES))
        test.append(make_video(f"te{i:02d}", int(rng.integers(1, 20)), [], features=SIZES))
        rows.append((f"vi{i:02d}", labels, {"mean_rgb": rng.normal(size=1024), "mean_audio": rng.normal(size=128)}))
    paths = {
        name: write_frame_shards(folder / name, [videos[:7], videos[7:]], name)
        for name, videos in (("train", train), ("validate", validate), ("test", test))
    }
    paths["video"] = write_video_shards(folder / "video", [rows[:7], rows[7:]], "train")
    (folder / "ids.csv").write_text("Index\n3\n7\n")
    return {**paths, "ids": folder / "ids.csv"}


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A train_dir of the starter's frame-level commands: train, then train --segment_labels."""
    folder = tmp_path_factory.mktemp("models") / "sample_model"
    common = [
        "--frame_features",
        "--model=FrameLevelLogisticModel",
        "--feature_names=rgb,audio",
        "--feature_sizes=1024,128",
        f"--train_dir={folder}",
        "--batch_size=8",
        "--num_readers=4",
    ]
    assert commands.run("train", *common, f"--train_data_pattern={data['train']}", "--start_new_model", "--max_steps=3") is None
    assert (
        commands.run("train", *common, f"--train_data_pattern={data['validate']}", "--segment_labels", "--num_epochs=1") is None
    )
    return folder


def test_eval_of_segments_prints_and_writes(data, trained, capsys):
    assert (
        commands.run(
            "eval", f"--eval_data_pattern={data['validate']}", f"--train_dir={trained}", "--segment_labels", "--run_once"
        )
        is None
    )
    printed = capsys.readouterr().out
    assert re.search(r"map\W+0\.\d+", printed) and re.search(r"num_pairs\W+64", printed)
    events = EventAccumulator(str(trained / "eval")).Reload()
    assert {"segments/map", "segments/auc"} <= set(events.Tags()["tensors"])


def test_eval_of_videos(data, trained, capsys):
    assert commands.run("eval", f"--eval_data_pattern={data['train']}", f"--train_dir={trained}", "--run_once=True") is None
    printed = capsys.readouterr().out
    for name in ("hit_at_one", "perr", "map", "gap", "loss"):
        assert re.search(rf"\b{name}\b\W+\d", printed)


def test_eval_ends_when_the_run_is_finished(data, trained, capsys):
    assert commands.run("eval", f"--eval_data_pattern={data['train']}", f"--train_dir={trained}") is None
    assert "hit_at_one" in capsys.readouterr().out


def test_submission_and_its_map(data, trained, tmp_path, capsys):
    output = tmp_path / "kaggle_solution.csv"
    assert (
        commands.run(
            "inference",
            f"--train_dir={trained}",
            f"--output_file={output}",
            f"--input_data_pattern={data['validate']}",
            "--segment_labels",
            f"--segment_label_ids_file={data['ids']}",
        )
        is None
    )
    with open(output) as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Class", "Segments"]
    assert [row[0] for row in rows[1:]] == ["3", "7"]
    segments = rows[1][1].split()
    assert len(segments) == len(set(segments)) == 16 * 3  # 12 frames are three segments
    assert {segment.split(":")[1] for segment in segments} == {"0", "5", "10"}
    capsys.readouterr()
    cache = tmp_path / "labels.csv"
    scores = []
    for _ in range(2):
        assert (
            commands.run(
                "segment_eval_inference",
                f"--eval_data_pattern={data['validate']}",
                f"--label_cache={cache}",
                f"--submission_file={output}",
                "--top_n=1000",
            )
            is None
        )
        scores.append(float(re.search(r"mAP@1000: (\S+)", capsys.readouterr().out).group(1)))
    assert cache.exists() and scores[0] == scores[1]
    assert (
        commands.run(
            "eval", f"--eval_data_pattern={data['validate']}", f"--train_dir={trained}", "--segment_labels", "--run_once"
        )
        is None
    )
    assert abs(scores[0] - float(re.search(r"map\W+(0\.\d+)", capsys.readouterr().out).group(1))) < 1e-3


def test_video_predictions(data, trained, tmp_path):
    output = tmp_path / "predictions.csv"
    assert (
        commands.run("inference", f"--train_dir={trained}", f"--output_file={output}", f"--input_data_pattern={data['test']}")
        is None
    )
    lines = output.read_text().splitlines()
    assert lines[0] == "VideoId,LabelConfidencePairs"
    assert len(lines) == 17
    pairs = lines[1].split(",")[1].split()
    assert len(pairs) == 40
    confidences = [float(value) for value in pairs[1::2]]
    assert confidences == sorted(confidences, reverse=True)


def test_the_video_level_commands(data, tmp_path, capsys):
    folder = tmp_path / "video_level_logistic_model"
    assert commands.run("train", f"--train_data_pattern={data['video']}", f"--train_dir={folder}", "--num_epochs=1") is None
    assert commands.run("eval", f"--eval_data_pattern={data['video']}", f"--train_dir={folder}", "--run_once=True") is None
    output = folder / "predictions.csv"
    assert (
        commands.run("inference", f"--output_file={output}", f"--input_data_pattern={data['video']}", f"--train_dir={folder}")
        is None
    )
    assert len(output.read_text().splitlines()) == 17
    assert '"feature_names": "mean_rgb"' in (folder / "model_flags.json").read_text()


def test_starter_flags_are_repeated_in_eval_and_inference(data, trained, tmp_path):
    repeated = [
        "--frame_features=True",
        "--model=FrameLevelLogisticModel",
        "--feature_names=rgb, audio",
        "--feature_sizes=1024, 128",
        f"--train_dir={trained}",
    ]
    assert commands.run("eval", *repeated, f"--eval_data_pattern={data['train']}", "--run_once") is None
    assert (
        commands.run("inference", *repeated, f"--input_data_pattern={data['train']}", f"--output_file={tmp_path / 'out.csv'}")
        is None
    )


def test_a_video_level_model_scores_segments(data, tmp_path, capsys):
    folder = tmp_path / "logistic"
    assert (
        commands.run(
            "train",
            "--model=LogisticModel",
            "--feature_names=mean_rgb,mean_audio",
            "--feature_sizes=1024,128",
            f"--train_data_pattern={data['video']}",
            f"--train_dir={folder}",
            "--max_steps=2",
            "--batch_size=8",
        )
        is None
    )
    assert (
        commands.run(
            "train",
            "--segment_labels",
            f"--train_data_pattern={data['validate']}",
            f"--train_dir={folder}",
            "--max_steps=2",
            "--batch_size=8",
        )
        is None
    )
    assert (
        commands.run("eval", "--segment_labels", f"--eval_data_pattern={data['validate']}", f"--train_dir={folder}", "--run_once")
        is None
    )
    assert re.search(r"num_pairs\W+64", capsys.readouterr().out)
    output = folder / "submission.csv"
    assert (
        commands.run(
            "inference",
            "--segment_labels",
            f"--input_data_pattern={data['test']}",
            f"--train_dir={folder}",
            f"--output_file={output}",
            f"--segment_label_ids_file={data['ids']}",
        )
        is None
    )
    assert len(output.read_text().splitlines()) == 3


def test_segment_classes_only(data, tmp_path, capsys):
    folder = tmp_path / "only"
    assert (
        commands.run(
            "train",
            "--model=FrameLevelLogisticModel",
            f"--train_data_pattern={data['train']}",
            f"--train_dir={folder}",
            "--segment_classes_only",
            f"--segment_label_ids_file={data['ids']}",
            "--max_steps=2",
            "--batch_size=4",
        )
        is None
    )
    assert f"{1153 * 2:,} parameters" in capsys.readouterr().out
    output = folder / "submission.csv"
    assert (
        commands.run(
            "inference",
            "--segment_labels",
            f"--input_data_pattern={data['test']}",
            f"--train_dir={folder}",
            f"--output_file={output}",
        )
        is None
    )
    assert [line.split(",")[0] for line in output.read_text().splitlines()] == ["Class", "3", "7"]


def test_classes_that_the_training_was_told(data, tmp_path, capsys):
    """--segment_label_ids_file is said once, to the training; inference knows it from the run, and asks nobody else."""
    common = ("--segment_labels", f"--train_dir={tmp_path}")
    flags = (f"--segment_label_ids_file={data['ids']}", "--model=FrameLevelLogisticModel", "--max_steps=1", "--batch_size=4")
    assert commands.run("train", *common, *flags, f"--train_data_pattern={data['validate']}") is None
    assert config.read_model_config(tmp_path).segment_class_ids == (3, 7)
    assert commands.run("train", *common, f"--train_data_pattern={data['validate']}", "--max_steps=1", "--batch_size=4") is None
    assert commands.run("inference", *common, f"--input_data_pattern={data['test']}") is None
    assert [line.split(",")[0] for line in (tmp_path / "predictions.csv").read_text().splitlines()] == ["Class", "3", "7"]
    assert "Fetching" not in capsys.readouterr().out


@pytest.mark.parametrize("classes", [5, 3862])
def test_segments_of_named_classes_without_a_file(data, tmp_path, capsys, classes):
    videos = [make_video(f"v{i}", 12, [i % 5], [(0, i % 5, 1.0), (5, i % 5, 0.0)]) for i in range(8)]
    pattern, run = write_frame_shards(tmp_path / "data", [videos]), f"--train_dir={tmp_path / 'run'}"
    flags = ("--model=FrameLevelLogisticModel", "--feature_sizes=16,8", f"--num_classes={classes}", "--max_steps=1")
    assert commands.run("train", *flags, f"--train_data_pattern={pattern}", run) is None
    assert commands.run("inference", "--segment_labels", "--segment_max_pred=10", f"--input_data_pattern={pattern}", run) is None
    written = [int(line.split(",")[0]) for line in (tmp_path / "run" / "predictions.csv").read_text().splitlines()[1:]]
    assert written == list(range(5)) if classes == 5 else written == list(labels.default_segment_label_ids(3862))
    assert "Fetching" not in capsys.readouterr().out


@pytest.mark.slow
def test_audioset(tmp_path, capsys):
    """README's line for AudioSet, with segments."""
    flags = ("--feature_names=audio_embedding", "--feature_sizes=128", "--id_feature=video_id", "--num_classes=527")
    assert " ".join(flags) in " ".join((commands.ROOT / "README.md").read_text().split())
    ratings = [[(0, i, 1.0), (5, i, 0.0), (5, 526, 1.0)] for i in range(8)]
    videos = [make_video(f"a{i:02d}", 10, [i, 526], ratings[i], {"audio_embedding": 128}) for i in range(8)]
    pattern = write_frame_shards(tmp_path / "data", [videos[:5], videos[5:]], id_feature="video_id")
    run = f"--train_dir={tmp_path / 'run'}"
    small = ("--model=AttentionModel", "--hyperparameters=hidden_size=8", "--batch_size=4")
    assert commands.run("train", *flags, *small, "--max_steps=2", f"--train_data_pattern={pattern}", run) is None
    tune = ("--segment_labels", f"--train_data_pattern={pattern}", "--max_steps=2", "--batch_size=4", run)
    assert commands.run("train", *flags, *tune) is None
    assert commands.run("eval", "--segment_labels", f"--eval_data_pattern={pattern}", run) is None
    assert re.search(r"num_pairs\W+24", capsys.readouterr().out)
    output = tmp_path / "submission.csv"
    score = ("--segment_labels", f"--input_data_pattern={pattern}", f"--output_file={output}", run)
    assert commands.run("inference", *score) is None
    assert "Fetching" not in capsys.readouterr().out
    lines = output.read_text().splitlines()
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(527))
    assert sorted(lines[1].split(",")[1].split()) == [f"a{i:02d}:{start}" for i in range(8) for start in (0, 5)]
    named = (f"--submission_file={output}", f"--eval_data_pattern={pattern}", "--id_feature=video_id")
    assert commands.run("segment_eval_inference", *named) is None


@pytest.mark.parametrize(
    "loss, precision",
    [
        ("CrossEntropyLoss", "mixed_bfloat16"),
        pytest.param("CrossEntropyLoss", "mixed_float16", marks=pytest.mark.slow),
        pytest.param("HingeLoss", "mixed_bfloat16", marks=pytest.mark.slow),
        ("SoftmaxLoss", "mixed_float16"),
    ],
)
def test_mixed_precision_and_losses(data, tmp_path, precision, loss):
    assert (
        commands.run(
            "train",
            "--model=AttentionModel",
            f"--train_data_pattern={data['train']}",
            f"--train_dir={tmp_path}",
            f"--precision={precision}",
            f"--label_loss={loss}",
            "--max_steps=2",
            "--batch_size=4",
            "--hyperparameters=hidden_size=8",
            "--video_level_classifier_model=LogisticModel",
        )
        is None
    )
    newest = tf.train.load_checkpoint(str(tmp_path))
    for name in newest.get_variable_to_shape_map():
        value = newest.get_tensor(name)
        assert not np.issubdtype(np.asarray(value).dtype, np.floating) or np.isfinite(value).all()


@pytest.mark.parametrize("command", ["train", "eval", "inference", "segment_eval_inference", "export_model"])
def test_help(command, capsys):
    assert commands.run(command, "--help") == 0
    printed = capsys.readouterr().out
    assert "_data_pattern" in printed and "Default" in printed
    assert max(map(len, printed.splitlines())) <= 132


def test_model_bundle(data, trained, tmp_path):
    """A bundle scores as the run that it was made from."""
    folder, tgz = trained, tmp_path / "model.tgz"
    common = ("--segment_labels", f"--input_data_pattern={data['test']}", f"--segment_label_ids_file={data['ids']}")
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    assert (
        commands.run("inference", *common, f"--train_dir={folder}", f"--output_file={first}", f"--output_model_tgz={tgz}") is None
    )
    bundle = (f"--input_model_tgz={tgz}", f"--untar_model_dir={tmp_path / 'bundle'}")
    assert commands.run("inference", *common, *bundle, f"--output_file={second}") is None
    assert first.read_text() == second.read_text()
    assert "Leave one out" in commands.run("inference", *common, *bundle, f"--train_dir={folder}")
    assert "Name one" in commands.run("inference", *common, f"--train_dir={folder},{folder}", f"--output_model_tgz={tgz}")
    assert commands.run("inference", *common, f"--input_model_tgz={data['ids']}").count("\n") == 0


def test_flagfile(data, tmp_path):
    path = tmp_path / "recipe.flags"
    path.write_text(
        f"# a recipe\n--model=FrameLevelLogisticModel\n--train_data_pattern={data['train']}\n--max_steps=1\n--batch_size=4\n"
    )
    assert commands.run("train", f"--flagfile={path}", f"--train_dir={tmp_path / 'run'}") is None


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    """No data, no train_dir: the sample and the default folders, in folders of the test."""
    monkeypatch.setenv("YT8M_STATE", str(tmp_path / "yt8m_model"))
    return tmp_path


@pytest.mark.slow
def test_defaults_join_up(newcomer, capsys):
    assert commands.run("train", "--model=AttentionModel", "--max_steps=3", "--hyperparameters=hidden_size=16") is None
    printed = capsys.readouterr().out
    assert "built-in sample" in printed and "chance" in printed and "ceiling" in printed
    logdir = re.search(r"tensorboard --logdir (\S+)", printed).group(1)
    assert {"train/loss", "train/learning_rate", "train/gap"} <= set(EventAccumulator(logdir).Reload().Tags()["tensors"])
    assert "attention" in EventAccumulator(f"{logdir}/pictures").Reload().Tags()["tensors"]
    assert (newcomer / "yt8m_model" / "AttentionModel" / "where.png").stat().st_size > 10_000
    assert commands.run("eval", "--segment_labels") is None
    assert "ceiling" in capsys.readouterr().out
    assert commands.run("eval") is None
    assert commands.run("inference", "--segment_labels") is None
    assert commands.run("segment_eval_inference") is None
    assert "mAP@100000" in capsys.readouterr().out
    assert commands.run("train", "--model=AttentionModel", "--max_steps=3", "--hyperparameters=hidden_size=16") is None
    assert "step 3 of 3 is there already" in capsys.readouterr().out


@pytest.mark.slow
def test_defaults_with_a_video_level_model(newcomer, capsys):
    assert commands.run("train", "--max_steps=3") is None
    assert "LogisticModel, fine-tuned" in capsys.readouterr().out
    assert commands.run("eval", "--segment_labels") is None
    assert commands.run("inference") is None
