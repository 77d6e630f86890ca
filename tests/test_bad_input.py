"""Every bad input gets one line that names the value and says what to do, exit status 1, and nothing half-written."""

import os
import shutil

import numpy as np
import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards, write_video_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Patterns of good shards: frame level (rated) and video level."""
    folder = tmp_path_factory.mktemp("shards")
    videos = [make_video(f"v{i:03d}", 12, labels=(i % 7,), ratings=[(5, 1, 1.0), (5, 2, 0.0)]) for i in range(12)]
    rows = [(f"v{i:03d}", [i % 7], {"mean_rgb": np.ones(16), "mean_audio": np.ones(8)}) for i in range(12)]
    return {"frame": write_frame_shards(folder, [videos], "frame"), "video": write_video_shards(folder, [rows], "video")}


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory):
    """The train_dir of a small trained model."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    assert train(shards["frame"], folder) is None
    return folder


def train(pattern, folder, *more, model="FrameLevelLogisticModel"):
    return commands.run(
        "train",
        f"--train_data_pattern={pattern}",
        f"--train_dir={folder}",
        f"--model={model}",
        "--batch_size=4",
        "--max_steps=2",
        *commands.TINY,
        *more,
    )


def check(line, *parts):
    """One line that holds all parts; sys.exit of a string is exit status 1."""
    assert isinstance(line, str), line
    assert len(line.splitlines()) == 1
    assert "Traceback" not in line
    for part in parts:
        assert part in line


def damaged(shards, folder, damage):
    with open(shards["frame"].replace("*", "0000"), "rb") as file:
        data = bytearray(file.read())
    path = folder / "damaged0000.tfrecord"
    path.write_bytes(damage(data))
    return path


def flip(data):
    data[len(data) // 2] ^= 255
    return data


def test_no_file_matches(tmp_path):
    check(train(tmp_path / "none*.tfrecord", tmp_path / "run"), "none*.tfrecord", "train_data_pattern")


def test_truncated_shard(shards, tmp_path):
    path = damaged(shards, tmp_path, lambda data: data[:-100])
    check(train(path, tmp_path / "run"), "damaged0000.tfrecord", "truncated")


def test_corrupt_record(shards, tmp_path):
    path = damaged(shards, tmp_path, flip)
    check(train(path, tmp_path / "run"), "damaged0000.tfrecord", "corrupt")


def test_video_level_given_as_frame_level(shards, tmp_path):
    check(train(shards["video"], tmp_path / "run"), "video0000.tfrecord", "frame_features")


def test_frame_level_given_as_video_level(shards, tmp_path):
    line = train(shards["frame"], tmp_path / "run", "--feature_names=mean_rgb,mean_audio", model="LogisticModel")
    check(line, "frame0000.tfrecord", "frame_features")


def test_missing_feature(shards, tmp_path):
    line = train(shards["frame"], tmp_path / "run", "--feature_names=rgb,sound")
    check(line, "sound", "--feature_names", "audio")


def test_wrong_feature_size(shards, tmp_path):
    line = train(shards["frame"], tmp_path / "run", "--feature_sizes=15,8")
    check(line, "frame0000.tfrecord", "16", "15", "--feature_sizes")


def test_label_out_of_range(shards, tmp_path):
    line = train(shards["frame"], tmp_path / "run", "--num_classes=3")
    check(line, "frame0000.tfrecord", "--num_classes")


def test_unknown_model(shards, tmp_path):
    check(train(shards["frame"], tmp_path / "run", model="NoModel"), "NoModel", "MultiAttentionModel", "FrameLevelLogisticModel")


def test_unknown_loss(shards, tmp_path):
    check(
        train(shards["frame"], tmp_path / "run", "--label_loss=NoLoss"), "NoLoss", "CrossEntropyLoss", "HingeLoss", "SoftmaxLoss"
    )


def test_unknown_stage(shards, tmp_path):
    check(train(shards["frame"], tmp_path / "run", "--stage=guess"), "guess", "pretrain", "finetune")


def test_unknown_hyperparameter(shards, tmp_path):
    check(train(shards["frame"], tmp_path / "run", "--hyperparameters=depth=3"), "depth", "normalize")


def test_unknown_optimizer(shards, tmp_path):
    check(train(shards["frame"], tmp_path / "run", "--optimizer=Best"), "Best", "AdamOptimizer")


def test_unknown_flag(shards, tmp_path):
    check(train(shards["frame"], tmp_path / "run", "--no_such_flag=1"), "no_such_flag")


@pytest.mark.parametrize("flag", ["batch_size", "max_steps", "base_learning_rate", "num_epochs", "save_steps"])
def test_zero(shards, tmp_path, flag):
    check(train(shards["frame"], tmp_path / "run", f"--{flag}=0"), f"--{flag}=0", "above 0")


def test_finetuning_nothing(shards, tmp_path):
    check(train(shards["frame"], tmp_path / "run", "--stage=finetune"), "--init_checkpoint")


def test_init_checkpoint_that_is_not_there(shards, tmp_path):
    check(train(shards["frame"], tmp_path / "run", f"--init_checkpoint={tmp_path / 'none'}"), "none", "--init_checkpoint")


def test_init_checkpoint_of_another_model(shards, trained, tmp_path):
    line = train(shards["frame"], tmp_path / "run", f"--init_checkpoint={trained}", model="AttentionModel")
    check(line, "AttentionModel", "FrameLevelLogisticModel")
    assert not (tmp_path / "run").exists()


def test_init_checkpoint_with_other_shapes(shards, trained, tmp_path):
    flags_file = trained / "model_flags.json"
    other = tmp_path / "other"
    other.mkdir()
    for path in trained.iterdir():
        if path.is_file():
            (other / path.name).write_bytes(path.read_bytes())
    (other / "model_flags.json").write_text(flags_file.read_text().replace('"num_classes": 7', '"num_classes": 9'))
    check(
        train(shards["frame"], tmp_path / "run", f"--init_checkpoint={other}", "--num_classes=9"), "checkpoint of another model"
    )


def test_train_dir_of_another_model(shards, trained):
    check(train(shards["frame"], trained, model="AttentionModel"), "AttentionModel", "--start_new_model")


def test_a_run_is_not_deleted_that_the_new_one_starts_from(shards, trained, tmp_path):
    """Nor where EM's folder is emptied, whose first model is in a folder of its own."""
    process = tmp_path / "process"
    shutil.copytree(trained, process / "initial")
    rated = write_frame_shards(tmp_path, [[make_video(f"v{n}", 12, labels=[n], ratings=[(0, n, 1.0)])] for n in range(2)])
    em = ("--stage=em", f"--rated_data_pattern={rated}", "--folds=2")
    for folder, start, more in ((trained, trained, ()), (process, process / "initial", em)):
        before = sorted(folder.rglob("*"))
        line = train(shards["frame"], folder, f"--init_checkpoint={start}", "--start_new_model", *more)
        check(line, f"--init_checkpoint={start}: --start_new_model would delete it", f"--train_dir={folder}")
        assert sorted(folder.rglob("*")) == before


def test_a_flag_file_that_is_no_text(tmp_path):
    (tmp_path / "a.flags").write_bytes(b"\x80\x04model")
    check(commands.run("train", f"--flagfile={tmp_path / 'a.flags'}"), "a.flags: no text", "Name a file with a flag a line")


def test_output_folder_that_cannot_be_written(shards, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    check(train(shards["frame"], blocked / "run"), str(blocked))


def test_segments_without_ratings(tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("v000", 12)]])
    check(train(pattern, tmp_path / "run", "--segment_labels"), "rated segment")


@pytest.mark.parametrize("command", ["eval", "inference"])
def test_train_dir_without_a_run(command, tmp_path):
    check(commands.run(command, f"--train_dir={tmp_path}"), str(tmp_path), "train.py")


@pytest.mark.parametrize("command", ["eval", "inference"])
def test_no_data_named_for_a_run_on_named_data(command, trained):
    check(commands.run(command, f"--train_dir={trained}"), "_data_pattern")


def test_eval_of_another_model(shards, trained):
    line = commands.run("eval", f"--train_dir={trained}", f"--eval_data_pattern={shards['frame']}", "--model=AttentionModel")
    check(line, "AttentionModel", "FrameLevelLogisticModel")


def test_inference_into_a_folder_that_cannot_be_written(shards, trained, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    for more in ([], ["--segment_labels", f"--segment_label_ids_file={ids_file(tmp_path, [1, 2])}"]):
        line = commands.run(
            "inference",
            f"--train_dir={trained}",
            f"--input_data_pattern={shards['frame']}",
            f"--output_file={blocked / 'out.csv'}",
            *more,
        )
        check(line, "out.csv")
        assert "segments in" not in capsys.readouterr().out  # nothing was scored in vain


def test_segment_label_ids_beyond_the_model(shards, trained, tmp_path):
    line = commands.run(
        "inference",
        f"--train_dir={trained}",
        f"--input_data_pattern={shards['frame']}",
        "--segment_labels",
        f"--output_file={tmp_path / 'out.csv'}",
        f"--segment_label_ids_file={ids_file(tmp_path, [1, 99])}",
    )
    check(line, "99", "--segment_label_ids_file")
    assert not (tmp_path / "out.csv").exists()


def test_bad_submission_line(shards, tmp_path):
    path = tmp_path / "submission.csv"
    path.write_text("Class,Segments\n1,v000:5\ntwo,v000:5\n")
    check(
        commands.run("segment_eval_inference", f"--submission_file={path}", f"--eval_data_pattern={shards['frame']}"),
        "line 3",
        "two",
    )


def test_full_disk(shards, trained):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    line = commands.run(
        "inference", f"--train_dir={trained}", f"--input_data_pattern={shards['frame']}", "--output_file=/dev/full/x"
    )
    check(line, "/dev/full")


def ids_file(folder, ids):
    path = folder / "ids.csv"
    path.write_text("Index\n" + "\n".join(map(str, ids)) + "\n")
    return path
