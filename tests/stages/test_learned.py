"""Whose ratings a run has learned: its own shards, wherever they lie now, and those of what it began with."""

import json
import os
import shutil

import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config as configs
from yt8m.stages import learned

FLAGS = ("--model=FrameLevelLogisticModel", *commands.TINY, "--batch_size=4", "--max_steps=1")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Folder of the runs `all`, of four shards; `half`, of every second; `second`, as `half`, begun with `all`; and `videos`."""
    folder = tmp_path_factory.mktemp("world")
    rated = [
        [make_video(f"{shard}-{n}", 14 + shard, labels=[n], ratings=[(0, n, 1.0), (5, n, 0.0)], seed=n) for n in range(4)]
        for shard in range(4)
    ]
    pattern = write_frame_shards(folder, rated)
    folds, videos, began = (
        ("--folds=2", "--fold=0"),
        f"--init_checkpoint={folder / 'videos'}",
        f"--init_checkpoint={folder / 'all'}",
    )
    for name, stage, *more in (
        ("videos", "pretrain"),
        ("all", "finetune", videos),
        ("half", "finetune", *folds, videos),
        ("second", "finetune", *folds, began),
        ("videos_of_all", "pretrain", began),
    ):
        given = (*FLAGS, *more, f"--stage={stage}", f"--train_dir={folder / name}", f"--train_data_pattern={pattern}")
        assert commands.run("train", *given) is None
    return folder


def shards(folder):
    return sorted(str(path) for path in folder.glob("*.tfrecord"))


def found(world, run, paths):
    """(numbers of the paths that a run has learned, whether that is all)."""
    of_run, whole = learned.shards_of(str(world / run), paths)
    return [paths.index(path) for path in sorted(of_run)], whole


def test_what_a_run_was_trained_on_and_what_it_began_with(world):
    paths = shards(world)
    assert found(world, "all", paths) == ([0, 1, 2, 3], True)
    assert found(world, "half", paths) == ([1, 3], True)
    assert found(world, "second", paths) == ([0, 1, 2, 3], True)
    assert found(world, "videos", paths) == ([], True)
    assert found(world, "videos_of_all", paths) == ([0, 1, 2, 3], True)


def test_copies_parts_and_other_folders_are_the_same_shards(world, tmp_path):
    for number, path in enumerate(shards(world)):
        os.makedirs(tmp_path / str(number % 2), exist_ok=True)
        shutil.copy(path, tmp_path / str(number % 2))
    copies = shards(tmp_path / "0") + shards(tmp_path / "1")  # 0, 2, 1, 3
    assert found(world, "half", copies) == ([2, 3], True)
    assert found(world, "half", copies[1:3]) == ([1], True)
    with open(copies[2], "ab") as file:
        file.write(b"another")
    assert found(world, "half", copies) == ([3], True)


def test_records_of_before_say_it_by_their_fields(world, tmp_path):
    run = shutil.copytree(world / "half", tmp_path / "half")
    record = json.loads((run / configs.TRAIN_FILE).read_text())
    del record["stages"]["finetune"]["learned"]
    (run / configs.TRAIN_FILE).write_text(json.dumps(record))
    assert found(tmp_path, "half", shards(world)) == ([1, 3], True)
    record["stages"]["finetune"]["fields"]["data_pattern"] = "/gone/*"
    (run / configs.TRAIN_FILE).write_text(json.dumps(record))
    assert found(tmp_path, "half", shards(world)) == ([1, 3], True), "the paths are the files of the record"
    assert found(tmp_path, "half", shards(world)[1:]) == ([], False)
    record["stages"]["finetune"]["fields"]["init_checkpoint"] = "/gone/run"
    (run / configs.TRAIN_FILE).write_text(json.dumps(record))
    assert found(tmp_path, "half", shards(world)) == ([1, 3], False)
    del record["stages"]["finetune"]["files"]["data_pattern"], record["stages"]["finetune"]["fields"]["init_checkpoint"]
    (run / configs.TRAIN_FILE).write_text(json.dumps(record))
    assert found(tmp_path, "half", shards(world)) == ([], False), "the files are gone, and nothing tells which they were"
    (run / configs.TRAIN_FILE).unlink()
    assert found(tmp_path, "half", shards(world)) == ([], False)


def test_it_is_noted_once_and_kept_when_a_run_goes_on(world, tmp_path):
    run = shutil.copytree(world / "second", tmp_path / "second")
    path, of_run = run / configs.TRAIN_FILE, str(world / "*.tfrecord")
    before = json.loads(path.read_text())["stages"]["finetune"]["learned"]
    assert before["whole"] and len(before["files"]) == 4
    given = (*FLAGS, "--folds=2", "--fold=0", "--stage=finetune", f"--init_checkpoint={world / 'all'}", "--max_steps=2")
    assert commands.run("train", *given, f"--train_dir={run}", f"--train_data_pattern={of_run}") is None
    assert json.loads(path.read_text())["stages"]["finetune"]["learned"] == before


def test_kept_weights_have_learned_what_their_stage_had(world, tmp_path):
    run = shutil.copytree(world / "videos", tmp_path / "run")
    given = (*FLAGS, f"--train_data_pattern={world / '*.tfrecord'}", f"--train_dir={run}", "--stage=finetune")
    assert commands.run("train", *given) is None
    (kept,) = (run / "pretrain").glob("*.index")
    for checkpoint, expected in ((kept, []), (run, [0, 1, 2, 3])):
        began = f"--init_checkpoint={str(checkpoint).removesuffix('.index')}"
        again = [flag for flag in given if not flag.startswith(("--train_dir", "--stage"))]
        name = f"again-{len(expected)}"
        assert commands.run("train", *again, began, f"--train_dir={tmp_path / name}", "--stage=pretrain") is None
        assert found(tmp_path, name, shards(world)) == (expected, True)


def trained(world, run, capsys, *more):
    """(error line or None, what was printed) of a training on the world's shards."""
    pattern = ",".join(shards(world))
    error = commands.run("train", *FLAGS, "--stage=finetune", f"--train_dir={run}", f"--train_data_pattern={pattern}", *more)
    return error, capsys.readouterr().out


def test_what_judges_a_stage_and_was_learned_is_said(world, tmp_path, capsys):
    fold, half, videos = ("--folds=2", "--fold=1"), *(f"--init_checkpoint={world / name}" for name in ("half", "videos"))
    error, said = trained(world, tmp_path / "told", capsys, *fold, half)
    assert error is None and "Note: of the 2 shards of --folds=2 --fold=1, held out, what is trained or" in said
    for number, (more, count) in enumerate([(fold, 0), ((f"--eval_data_pattern={shards(world)[0]}",), 1)]):
        error, said = trained(world, tmp_path / str(number), capsys, videos, *more)
        assert error is None and said.count("says too much of it") == count


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--eval_data_pattern=/nowhere/x*", "no file matches --eval_data_pattern='/nowhere/x"),
        ("--teacher_scores=/nowhere", "/nowhere: no scores there"),
        ("--feature_sizes=16,9", "not 9"),
    ],
)
def test_a_run_is_not_deleted_for_one_that_cannot_begin(world, tmp_path, capsys, flag, message):
    run = tmp_path / "run"
    assert trained(world, run, capsys, f"--init_checkpoint={world / 'videos'}")[0] is None
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    error, _ = trained(world, run, capsys, "--start_new_model", flag)
    assert message in error and "\n" not in error
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
