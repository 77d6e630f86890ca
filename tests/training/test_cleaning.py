"""What --start_new_model removes of a train_dir, and when it refuses to."""

import os

import pytest

from yt8m import config
from yt8m.errors import UserError
from yt8m.stages import start
from yt8m.training import cleaning

FILES = (
    "model.ckpt-2.index",
    "model_flags.json",
    "finished",
    "report.json",
    "pretrain/model.ckpt-2.index",
    "context/model.ckpt-2.index",
    "iteration-1/labels-1/a.tfrecord",
    "notes.txt",
    "labels/a.tfrecord",
)


@pytest.fixture
def run(tmp_path):
    """A folder of a run, with files of the user's."""
    for name in FILES:
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text("")
    os.symlink(tmp_path / "run", tmp_path / "link")
    return tmp_path / "run"


def left(run):
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


def stage(run, **changes):
    return config.TrainConfig(str(run), "pretrain", "*", 4, 0.1, 1.0, 1000, start_new_model=True, **changes)


def test_a_run_goes_with_its_notes_and_other_files_stay(run):
    start.prepare_folder(stage(run, init_checkpoint=str(run.parent), pseudo_labels=str(run / "labels")))
    assert left(run) == ["labels/a.tfrecord", "notes.txt"]
    start.prepare_folder(stage(run, init_checkpoint=str(run)))  # there is nothing to delete
    assert cleaning.paths_of_run(run) == []


def test_folders_of_a_run_s_names_stay_where_there_is_no_run(tmp_path):
    for name in ("export", "pictures", "context", "eval"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("")
    start.prepare_folder(stage(tmp_path))
    assert len(left(tmp_path)) == 4
    (tmp_path / "context" / "model_flags.json").write_text("")  # an encoder whose training was stopped
    start.prepare_folder(stage(tmp_path))
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "flag, path",
    [
        ("init_checkpoint", "run"),
        ("init_checkpoint", "link"),
        ("init_checkpoint", "run/model.ckpt-2"),
        ("init_checkpoint", "run/pretrain/model.ckpt-2.index"),
        ("init_checkpoint", "link/pretrain"),
        ("context_checkpoint", "run/context"),
        ("segment_checkpoint", "run/context/model.ckpt-2"),
        ("pseudo_labels", "run/iteration-1/labels-1"),
        ("teacher_scores", "run/eval/../pretrain"),
    ],
)
def test_nothing_is_removed_where_what_is_needed_would_go(run, flag, path):
    path = str(run.parent / path)
    with pytest.raises(UserError, match=rf"--{flag}={path}: --start_new_model would delete it") as refused:
        start.prepare_folder(stage(run, **{flag: ("elsewhere", path) if flag == "teacher_scores" else path}))
    assert "\n" not in str(refused.value) and left(run) == sorted(FILES)
