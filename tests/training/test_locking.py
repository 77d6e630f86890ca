"""One training at a time in a train_dir."""

import errno
import os
import subprocess
import sys

import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.training import locking

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """A process that trains in tmp_path / "run", as far as others can see."""
    (tmp_path / "run").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run" / locking.LOCK)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_training_waits_for_the_end_of_the_first(other, tmp_path):
    data = write_frame_shards(tmp_path, [[make_video(f"v{i}", 9, labels=[i % 7]) for i in range(8)]])
    flags = (*commands.TINY, "--model=FrameLevelLogisticModel", "--batch_size=4", "--max_steps=2")
    train = ("train", f"--train_data_pattern={data}", f"--train_dir={tmp_path / 'run'}", *flags)
    line = commands.run(*train)
    assert f"--train_dir={tmp_path / 'run'}: another training writes to it" in line and "\n" not in line
    assert os.listdir(tmp_path / "run") == [locking.LOCK]
    assert commands.run(*train[:2], f"--train_dir={tmp_path / 'elsewhere'}", *flags) is None
    other.kill()
    other.wait()
    assert commands.run(*train) is None
    assert locking.LOCK not in os.listdir(tmp_path / "run")


def test_a_folder_that_stays_empty_goes_again(tmp_path):
    with locking.only_training(tmp_path / "a" / "run"):
        assert (tmp_path / "a" / "run" / locking.LOCK).exists()
        with pytest.raises(UserError, match="another training"), locking.only_training(tmp_path / "a" / "run"):
            pass
        with locking.only_training(tmp_path / "a" / "run" / "context"):
            pass
    assert os.listdir(tmp_path) == []


def test_one_that_was_removed_meanwhile_holds_no_lock(tmp_path):
    """Who deletes the folder of a training that goes on may begin another there, whose lock stays when the first ends."""
    with locking.only_training(tmp_path):
        (tmp_path / locking.LOCK).unlink()
        with locking.only_training(tmp_path / "."):
            pass
        (tmp_path / locking.LOCK).write_text("another's")
    assert (tmp_path / locking.LOCK).exists()


def test_without_locks_it_goes_on(tmp_path, monkeypatch):
    def unknown(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking.fcntl, "flock", unknown)
    with locking.only_training(tmp_path), locking.only_training(tmp_path):
        assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("not a folder")
    with locking.only_training(tmp_path / "file" / "run"):
        pass
