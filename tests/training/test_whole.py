"""A damaged or missing checkpoint never restarts a run: the newest whole one counts, and without one nothing is trained."""

import fcntl
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.training import checkpoints, restore, whole

STEPS = 8  # checkpoints at 4, 6 and 8
NEWEST = f"model.ckpt-{STEPS}"
DATA = ".data-00000-of-00001"


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    videos = [make_video(f"v{i:02d}", 9, labels=[i % 7], ratings=[(0, i % 7, 1.0), (0, (i + 1) % 7, 0.0)]) for i in range(20)]
    pattern = write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:10], videos[10:]])
    return [
        f"--train_data_pattern={pattern}", "--model=FrameLevelLogisticModel", "--batch_size=4", "--save_steps=2", "--log_steps=2",
        *commands.TINY,
    ]  # fmt: skip


def train(arguments, folder, steps=STEPS, *more):
    return commands.run("train", *arguments, f"--train_dir={folder}", f"--max_steps={steps}", *more)


@pytest.fixture(scope="module")
def trained(arguments, tmp_path_factory):
    """Folders of a run, after a stage of STEPS and after one that was trained twice as long."""
    folder = tmp_path_factory.mktemp("runs")
    assert train(arguments, folder / "short") is None
    shutil.copytree(folder / "short", folder / "long")
    assert train(arguments, folder / "long", 2 * STEPS) is None
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return pathlib.Path(shutil.copytree(trained / "short", tmp_path / "run"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "no index": lambda run: (run / f"{NEWEST}.index").unlink(),
    "cut index": lambda run: cut(run / f"{NEWEST}.index"),
    "flipped index": lambda run: flip(run / f"{NEWEST}.index"),
    "empty index": lambda run: (run / f"{NEWEST}.index").write_bytes(b""),
    "no data": lambda run: (run / (NEWEST + DATA)).unlink(),
    "cut data": lambda run: cut(run / (NEWEST + DATA)),
    "flipped data": lambda run: flip(run / (NEWEST + DATA)),
    "no position": lambda run: tf.train.Checkpoint(a=tf.Variable(1.0)).write(str(run / NEWEST)),
}


def weights(folder):
    return [np.array(weight) for weight in restore.newest(str(folder)).model.weights]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_the_newest_whole_checkpoint_is_the_runs_state(arguments, trained, run, damage, capsys):
    damage(run)
    assert commands.run("eval", f"--train_dir={run}", arguments[0].replace("train_data", "eval_data"), "--run_once") is None
    printed = capsys.readouterr().out
    assert f"model.ckpt-6 is the newest whole checkpoint; passed over: {NEWEST}: " in printed
    assert printed.count("passed over") == 1
    assert train(arguments, run, 2 * STEPS) is None
    assert "from step 6" in capsys.readouterr().out
    for ours, theirs in zip(weights(run), weights(trained / "long"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    kept = sorted(path.name for path in run.glob("model.ckpt-*.index"))
    assert kept == sorted(f"model.ckpt-{step}.index" for step in (12, 14, 16))
    assert len(list(run.glob("model.ckpt-*"))) == 6


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"hello", b'model_checkpoint_path: "/nowhere/model.ckpt-99"\n'])
def test_what_tensorflows_list_says_does_not_count(arguments, run, content, capsys):
    (run / "checkpoint").unlink()
    if content is not None:
        (run / "checkpoint").write_bytes(content)
    assert train(arguments, run, STEPS + 2) is None
    printed = capsys.readouterr().out
    assert f"from step {STEPS}" in printed and "passed over" not in printed
    assert sorted(path.name for path in run.glob("*.index")) == ["model.ckpt-10.index", "model.ckpt-6.index", f"{NEWEST}.index"]


def test_finetuning_goes_on_from_the_pretrained_model_without_tensorflows_list(arguments, run, capsys):
    (run / "checkpoint").unlink()
    assert train(arguments, run, 2, "--segment_labels") is None
    assert f"finetune: starting from {run}/{NEWEST}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "finetune", "eval", "inference", "export_model"])
@pytest.mark.parametrize("left", ["damaged", "list alone"])
def test_remnants_without_a_whole_checkpoint_are_refused(arguments, run, tmp_path, command, left):
    for path in run.glob("model.ckpt-*"):
        if left == "list alone":
            path.unlink()
        elif path.suffix == ".index":
            cut(path)
    before = sorted(run.iterdir())
    if command in ("train", "finetune"):
        line = train(arguments, run, STEPS, *(["--segment_labels"] if command == "finetune" else []))
    else:
        line = commands.run(command, f"--train_dir={run}", *(["--run_once"] if command == "eval" else []))
    assert "none of its checkpoints is whole" in line and "--start_new_model" in line and "\n" not in line
    assert sorted(run.iterdir()) == before
    if command == "train":
        assert train(arguments, run, 2, "--start_new_model") is None


def test_a_checkpoint_that_is_named_is_checked(run):
    cut(run / (NEWEST + DATA))
    with pytest.raises(UserError, match="not whole") as error:
        checkpoints.find(str(run / NEWEST), "--checkpoint")
    assert "--checkpoint=" in str(error.value)


def test_a_checkpoint_is_read_once(run, monkeypatch):
    reads = []
    load = tf.train.load_checkpoint
    monkeypatch.setattr(tf.train, "load_checkpoint", lambda prefix: reads.append(prefix) or load(prefix))
    for _ in range(3):
        assert checkpoints.latest(str(run)) == str(run / NEWEST)
    assert reads.count(str(run / NEWEST)) == 2  # its place in the order, and the whole of it
    assert len(reads) == 4


def test_a_later_stage_is_newer_whatever_its_steps(arguments, trained, run):
    """From --init_checkpoint steps count anew."""
    assert train(arguments, run, 2, "--segment_labels", f"--init_checkpoint={trained / 'long'}") is None
    assert checkpoints.position(checkpoints.latest(str(run)))[:2] == (2, "finetune")


@pytest.fixture(scope="module")
def with_best(arguments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("best") / "run"
    assert train(arguments, folder, 4, "--segment_labels", "--folds=2") is None
    return folder


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "[" * 5000,
        '{"checkpoint": 3}',
        "\x00",
        '{"checkpoint": "../model.ckpt-4", "step": 4, "metric": "map", "value": 1, "judged": 4}',
    ],
)
def test_a_damaged_note_of_the_best_is_one_line(with_best, tmp_path, content):
    run = pathlib.Path(shutil.copytree(with_best, tmp_path / "run"))
    (run / "best" / "best.json").write_text(content)
    line = commands.run("eval", f"--train_dir={run}", "--run_once")
    assert "best.json: damaged" in line and "delete it" in line and "\n" not in line


def test_a_damaged_best_checkpoint_gives_way_to_the_newest(with_best, tmp_path, capsys):
    run = pathlib.Path(shutil.copytree(with_best, tmp_path / "run"))
    for path in (run / "best").glob("*.index"):
        cut(path)
    assert checkpoints.chosen(str(run)) == str(run / "model.ckpt-4")
    assert "is not whole" in capsys.readouterr().out
    for path in run.glob("model.ckpt-*"):
        path.unlink()
    (run / "checkpoint").unlink()
    with pytest.raises(UserError, match="not whole"):
        checkpoints.chosen(str(run))


def test_the_next_training_removes_what_a_killed_one_left(arguments, run):
    (run / "model.ckpt-9_temp").mkdir()
    (run / "model.ckpt-9_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"x")
    (run / "best").mkdir()
    mine = (".model_flags.json.0123abcd.partial", "model.ckpt-9.index.tempstate123", "best/.best.json.0123abcd.partial")
    theirs = run / ".predictions.csv.0123abcd.partial"
    old = run / ".scores.0123abcd.partial"
    for path in (*(run / name for name in mine), theirs, old):
        path.write_bytes(b"x")
    assert whole.newest(str(run)) == str(run / NEWEST)
    assert (run / mine[0]).exists()
    with open(theirs) as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as an inference that is writing it does
        assert train(arguments, run, STEPS + 2) is None
    assert theirs.exists() and not old.exists()
    assert not any((run / name).exists() for name in (*mine, "model.ckpt-9_temp"))


def test_a_checkpoint_that_cannot_be_written_leaves_nothing_unfinished(run):
    class Manager:
        def save(self, checkpoint_number):
            (run / "checkpoint.tmp0123").write_bytes(b"x")
            (run / f"model.ckpt-{checkpoint_number}_temp").mkdir()
            raise tf.errors.ResourceExhaustedError(None, None, "model.ckpt: No space left on device")

    before = sorted(os.listdir(run))
    saving = checkpoints.Checkpoints.__new__(checkpoints.Checkpoints)
    saving.train_dir, saving.step, saving._manager = str(run), tf.Variable(9), Manager()
    with pytest.raises(UserError, match=r"no checkpoint can be written \(No space left on device\)"):
        saving.save()
    assert sorted(os.listdir(run)) == before
