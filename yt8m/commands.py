"""How the user calls the commands: `python eval.py ...` who came through a door, else `yt8m eval ...`."""

import contextlib
import contextvars
import os
import shlex

DOORS = {
    "train": "train.py",
    "eval": "eval.py",
    "inference": "inference.py",
    "segment-eval": "segment_eval_inference.py",
    "export": "export_model.py",
    "features": "extract_features.py",
    "timeline": "timeline.py",
}
_folder = contextvars.ContextVar("folder of the doors", default=None)  # None: through yt8m, or from Python


@contextlib.contextmanager
def called_as(program):
    """Within it, commands are written as the user wrote this one: "DIR/train.py" or "yt8m train"."""
    token = _folder.set(os.path.dirname(program) if program.endswith(".py") else None)
    try:
        yield
    finally:
        _folder.reset(token)


def command(name, *switches, **values):
    """A command's line, to be copied into a shell.

    Args:
        name: of the command, as in `yt8m NAME`.
        switches: flags without a value.
        values: {flag: value}.
    """
    folder, program = _folder.get(), f"yt8m {name}"
    if folder is not None and name in DOORS:
        program = f"python {shlex.quote(os.path.join(folder, DOORS[name]))}"
    flags = [*(f"--{switch}" for switch in switches), *(f"--{flag}={shlex.quote(str(values[flag]))}" for flag in values)]
    return " ".join([program, *flags])


def show_next(*lines, when="Next"):
    """Prints commands that run as they are printed."""
    print("\n  ".join([f"{when}:", *lines]), flush=True)
