"""Runs the commands as a user does, in this process or in one of their own."""

import importlib
import os
import pathlib
import subprocess
import sys

from yt8m.cli import app

ROOT = pathlib.Path(__file__).parent.parent
TINY = ("--feature_names=rgb,audio", "--feature_sizes=16,8", "--num_classes=7")
# Those whose name is not the command's.
DOORS = {"segment_eval_inference": "segment-eval", "export_model": "export", "extract_features": "features"}


def given(name, *arguments):
    """{flag: value} that a command's arguments give."""
    command = importlib.import_module(f"yt8m.cli.{app.COMMANDS[DOORS.get(name, name)]}").COMMAND
    return command.parse([str(argument) for argument in arguments])


def run(name, *arguments):
    """Runs `NAME.py ARGUMENTS` in this process, or `yt8m NAME ARGUMENTS` where there is no such door.

    Returns:
        What it exits with: None when it ends well, else the status or the error line.
    """
    program = f"{name}.py" if (ROOT / f"{name}.py").exists() else f"yt8m {name}"
    try:
        app.run(DOORS.get(name, name), [str(argument) for argument in arguments], program)
    except SystemExit as end:
        return end.code
    return None


def start(name, *arguments, **environment):
    """Starts `python NAME.py ARGUMENTS` as a process; stdout and stderr together are its stdout."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / f"{name}.py"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )
