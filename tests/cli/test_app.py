"""The command line itself: what it lists, how quick it is, what it says of what it does not know."""

import io
import os
import pathlib
import subprocess
import sys
import types

import pytest

import yt8m
from tests.commands import DOORS, ROOT
from yt8m.cli import app


def outcome(*arguments):
    """What `yt8m ARGUMENTS` exits with."""
    with pytest.raises(SystemExit) as end:
        app.main(arguments)
    return end.value.code


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_the_overview_lists_every_command_with_a_line(arguments, capsys):
    assert outcome(*arguments) == 0
    printed = capsys.readouterr().out
    for title, commands in app.GROUPS.items():
        assert f"{title}:" in printed
        for name in commands:
            line = next(line for line in printed.splitlines() if line.startswith(f"  {name} "))
            assert len(line) < 132 and len(line.split()) > 3


def test_version(capsys):
    assert outcome("--version") == 0
    assert capsys.readouterr().out == f"yt8m {yt8m.__version__}\n"


def test_an_unknown_command_lists_the_known():
    line = outcome("tran")
    assert "tran" in line and "train" in line and "\n" not in line


def test_text_that_the_terminal_cannot_show_ends_no_command(monkeypatch):
    """A file's name that is no UTF-8."""
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="utf-8"))
    command = types.SimpleNamespace(run=lambda arguments, program: print("caf\udce9.mp4", flush=True))
    monkeypatch.setattr("yt8m.cli.sample.COMMAND", command)
    app.run("sample", [])
    assert shown.getvalue() == rb"caf\udce9.mp4" + os.linesep.encode()


@pytest.mark.parametrize("name", app.COMMANDS)
def test_help_of_every_command(name, capsys):
    assert outcome(name, "--help") == 0
    printed = capsys.readouterr().out
    assert f"  yt8m {name}" in printed
    assert max(map(len, printed.splitlines())) <= 132


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_is_in_the_readme(name):
    assert f"| `yt8m {name}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("door", sorted(path.name for path in ROOT.glob("*.py") if path.name != "setup.py"))
def test_doors(door):
    """A docstring with usage, one call; --help speaks of the door."""
    source = pathlib.Path(ROOT / door).read_text()
    assert len(source.splitlines()) < 25
    name = door.removesuffix(".py")
    assert f'app.run("{DOORS.get(name, name)}")' in source
    done = subprocess.run([sys.executable, ROOT / door, "--help"], capture_output=True, text=True, check=True)
    assert f"  python {door} " in done.stdout and "yt8m train" not in done.stdout


def processor_seconds_of_children():
    """Of the processes that this one has started and waited for."""
    times = os.times()
    return times.children_user + times.children_system


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("train", "--help"), "--train_data_pattern"),
        (("train", "--no_such_flag=1"), "no_such_flag"),
        (("train", "--batch_size=many"), "--batch_size=many"),
        (("train", "--recipe=none"), "multi_attention_moe_8"),
        (("eval", "segments"), "segments: not a flag"),
        ((), "segment-eval"),
    ],
)
def test_help_and_flag_errors_come_within_a_second(arguments, words):
    """A second of processor, the best of three, since the machine may be busy."""
    seconds = []
    for _ in range(3):
        start = processor_seconds_of_children()
        done = subprocess.run(
            [sys.executable, "-c", "from yt8m.cli.app import main; main()", *arguments], capture_output=True, text=True, cwd=ROOT
        )
        seconds.append(processor_seconds_of_children() - start)
    assert words in done.stdout + done.stderr
    assert 0 < min(seconds) < 1


@pytest.mark.parametrize("arguments", ["train --help", "--help", "beam --help"])
def test_help_that_is_not_read_to_its_end(arguments):
    """As `| head -1` does it, but that the reader is gone before the first line."""
    code = f"import sys; sys.stdin.read(); from yt8m.cli.app import main; main({arguments.split()})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    )
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == b"" and process.wait() == 0
    process.stderr.close()


def test_import_of_the_package_takes_a_tenth_of_a_second():
    code = "import time; start = time.process_time(); import yt8m; print(time.process_time() - start)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.1


def test_a_flag_file_of_the_package_is_read_from_anywhere(tmp_path, monkeypatch):
    from tests.commands import given

    monkeypatch.chdir(tmp_path)
    assert given("train", "--flagfile=configs/gru.flags") == given("train", "--recipe=gru")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "gru.flags").write_text("--model=CnnModel\n")
    assert given("train", "--flagfile=configs/gru.flags") == {"model": "CnnModel"}
