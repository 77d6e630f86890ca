"""Runs the commands as a user does, in this process or in one of their own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

from yt8m import flags

ROOT = pathlib.Path(__file__).parent.parent
TINY = ("--feature_names=rgb,audio", "--feature_sizes=16,8", "--num_classes=7")


def load(name):
    """A command's module."""
    spec = importlib.util.spec_from_file_location(f"command_{name}", ROOT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *arguments):
    """Runs `NAME.py ARGUMENTS` in this process.

    Returns:
        What it exits with: None when it ends well, else the status or the error line.
    """
    module = load(name)
    try:
        flags.run(module.main, module.__doc__, module.FLAGS, [f"{name}.py", *map(str, arguments)])
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
