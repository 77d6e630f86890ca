"""Whole files and folders: what is there at the end, what is left when something fails, and what is said."""

import errno
import os
import stat
import subprocess
import sys
import time

import pytest

from tests.commands import ROOT
from yt8m import files
from yt8m.errors import UserError


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.bin"
    with files.replacing(path) as file:
        file.write(b"1")
        assert not path.exists() and len(os.listdir(path.parent)) == 1
    assert path.read_bytes() == b"1" and os.listdir(path.parent) == ["a.bin"]


def test_text_is_written_as_it_is(tmp_path):
    files.write_text(tmp_path / "a.txt", "é\r\n\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n\n".encode()


def test_an_error_leaves_the_earlier_file_and_passes_unchanged(tmp_path):
    files.write_text(tmp_path / "a", "old")
    for error in (KeyError("x"), KeyboardInterrupt(), OSError("no errno"), FileNotFoundError(errno.ENOENT, "gone", "/elsewhere")):
        with pytest.raises(type(error)) as raised, files.replacing(tmp_path / "a", "w") as file:
            file.write("new")
            raise error
        assert raised.value is error
    assert (tmp_path / "a").read_text() == "old" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("what", [None, "--output_file=x"])
def test_what_cannot_be_written_is_named(tmp_path, what):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    for path, remedy in ((tmp_path / "file" / "a", "Free some space, or name a place"), (tmp_path / "folder", "Name a file")):
        with pytest.raises(UserError, match=f"^{what or path}: cannot be written [(].+[)]. {remedy}"):
            files.write_text(path, "x", what)
    with pytest.raises(UserError, match="cannot be written"), files.replacing_folder(tmp_path / "file" / "a", what):
        pytest.fail("the block ran")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_full_disk_is_named_wherever_it_shows(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    for context in (files.replacing_path, files.replacing, files.temporary_folder, files.replacing_folder):
        with pytest.raises(UserError, match=r"a: cannot be written \(No space left on device\)"), context(tmp_path / "a"):
            raise full
    assert os.listdir(tmp_path) == []


def test_rights_are_those_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "a", "")
        with files.replacing_folder(tmp_path / "b"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o640
    assert stat.S_IMODE(os.stat(tmp_path / "b").st_mode) == 0o750


def test_a_folder_takes_the_place_of_an_earlier_one(tmp_path):
    for content in ("1", "2"):
        with files.replacing_folder(tmp_path / "a") as new:
            files.write_text(os.path.join(new, content), "")
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == ["2"]
    with pytest.raises(ZeroDivisionError), files.replacing_folder(tmp_path / "a") as new:
        files.write_text(os.path.join(new, "3"), str(1 / 0))
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == ["2"]


def test_an_earlier_folder_stays_until_another_is_in_its_place(tmp_path, monkeypatch):
    (tmp_path / "a" / "old").mkdir(parents=True)
    remove, rename = files.shutil.rmtree, os.rename

    def removed(path, **options):
        assert os.path.isdir(tmp_path / "a")
        remove(path, **options)

    def failed(source, target):
        if source.endswith(".partial") and not os.path.exists(target):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(files.shutil, "rmtree", removed)
    monkeypatch.setattr(files.os, "rename", failed)
    with pytest.raises(UserError, match=r"a: cannot be written \(Input/output error\)"), files.replacing_folder(tmp_path / "a"):
        pass
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == ["old"]
    monkeypatch.setattr(files.os, "rename", rename)
    with files.replacing_folder(tmp_path / "a"):
        pass
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == []


KILLED = """
import os, sys
from yt8m import files
rename = os.rename
def killed(source, target):
    if source.endswith(".partial") and not os.path.exists(target):
        if sys.argv[2] == "after":
            rename(source, target)
        os._exit(9)
    rename(source, target)
os.rename = killed
with files.replacing_folder(sys.argv[1] + "/a") as folder:
    open(folder + "/new", "w").close()
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_and_after_a_folder_takes_the_place_of_another(tmp_path, when):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], cwd=ROOT).returncode == 9
    files.remove_abandoned(tmp_path)
    (left,) = os.listdir(tmp_path)
    if when == "after":
        assert left == "a" and os.listdir(tmp_path / left) == ["new"]
        return
    assert files.is_temporary(left) and os.listdir(tmp_path / left) == ["old"]
    (tmp_path / "a").mkdir()
    files.remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == ["a"]


def test_links_stay_and_lead_to_what_is_written(tmp_path):
    (tmp_path / "disk" / "folder" / "old").mkdir(parents=True)
    (tmp_path / "disk" / "file").write_text("old")
    for name in ("file", "folder", "none"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    files.write_text(tmp_path / "file", "new")
    files.write_text(tmp_path / "none", "new")
    with files.replacing_folder(tmp_path / "folder"):
        pass
    assert all((tmp_path / name).is_symlink() for name in ("file", "folder", "none"))
    assert (tmp_path / "disk" / "file").read_text() == (tmp_path / "disk" / "none").read_text() == "new"
    assert sorted(os.listdir(tmp_path / "disk")) == ["file", "folder", "none"] and os.listdir(tmp_path / "folder") == []


def test_a_pipe_or_a_device_is_refused_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "null"):
        with pytest.raises(UserError, match=f"{name}: cannot be written .*a folder, a pipe or a device.*Name a file.$"):
            files.write_text(tmp_path / name, "x")
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "null").is_char_device()


@pytest.mark.parametrize("path", ["gs://bucket/x", "gs:/bucket/x", "file:///x", "{here}/gs:/bucket/x"])
def test_another_place_than_a_disk_is_refused(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    path = path.format(here=tmp_path)
    for context in (files.replacing_path, files.replacing, files.temporary_folder, files.replacing_folder):
        for what in (None, "--output_file=x"):
            with pytest.raises(UserError, match=f"^{what or path}: outputs go to this machine's disks only. Name a local path"):
                with context(path, what=what):
                    pytest.fail("the block ran")
    assert os.listdir(tmp_path) == []
    (tmp_path / "talk:").mkdir()
    files.write_text("talk:/a:b", "")
    files.write_text(tmp_path / "talk:" / "c", "")
    assert len(os.listdir("talk:")) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_a_folder_of_another_process_stays_where_it_is_to_be_kept(tmp_path, kept):
    with files.replacing_folder(tmp_path / "a", keep=lambda path: kept and os.listdir(path) == ["theirs"]) as new:
        files.write_text(os.path.join(new, "ours"), "")
        files.write_text(tmp_path / "a" / "theirs", "")
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == ["theirs" if kept else "ours"]


HOLD = """
import sys, time
from yt8m import files
with files.replacing(sys.argv[1] + "/held"), files.temporary_folder(sys.argv[1] + "/folder") as folder:
    open(folder + "/inside", "w").close()
    print(flush=True)
    time.sleep(100)
"""


def test_what_killed_processes_left_goes_and_what_others_write_stays(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()
    held = sorted(os.listdir(tmp_path))
    others = ["a.partial", ".a.partial", ".a.0123abcd.part", "b.0123abcd.partial"]
    for name in others:
        (tmp_path / name).touch()
    files.write_text(tmp_path / "ours", "")
    files.remove_abandoned(tmp_path)
    assert len(held) == 2 and sorted(os.listdir(tmp_path)) == sorted([*held, *others, "ours"])
    process.kill()
    process.wait()
    assert set(held) < set(os.listdir(tmp_path))
    files.remove_abandoned(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "ours"])


def _write_folder(path, text):
    with files.replacing_folder(path):
        pass


def test_the_first_write_to_a_folder_removes_what_was_left_there(tmp_path):
    for write in (files.write_text, _write_folder):
        folder = tmp_path / write.__name__
        folder.mkdir()
        left = folder / ".a.csv.0123abcd.partial"
        left.touch()
        write(folder / "b.csv", "")
        assert not left.exists()


def test_without_locks_what_is_a_day_old_goes(tmp_path, monkeypatch):
    def flock(descriptor, kind):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    old, young = (files.temporary_name(tmp_path / "a") for _ in range(2))
    for folder in (old, young):
        os.mkdir(folder)
    os.utime(old, (time.time() - 100_000,) * 2)
    with files.temporary_folder(tmp_path / "a"):
        pass
    assert os.listdir(tmp_path) == [os.path.basename(young)]


def test_a_link_of_a_temporary_name_stays(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / ".a.0123abcd.partial").symlink_to(tmp_path / "file")
    files.remove_abandoned(tmp_path)
    assert len(os.listdir(tmp_path)) == 2


def test_files_are_moved_in_their_order(tmp_path):
    for name in ("a", "b"):
        files.write_text(tmp_path / "from" / name, name)
    with pytest.raises(UserError, match="to/c: cannot be written"):
        files.move_files(tmp_path / "from", tmp_path / "to", ["b", "c", "a"])
    assert os.listdir(tmp_path / "to") == ["b"] and os.listdir(tmp_path / "from") == ["a"]


def test_a_temporary_name_is_hidden_and_nobody_elses(tmp_path):
    names = {files.temporary_name(tmp_path / "a.csv") for _ in range(100)}
    assert len(names) == 100 and all(os.path.dirname(name) == str(tmp_path) for name in names)
    assert all(files.is_temporary(name) and os.path.basename(name).startswith(".a.csv.") for name in names)
    assert not files.is_temporary("a.csv") and not files.is_temporary(".a.csv")
