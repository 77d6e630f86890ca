"""The command `yt8m`, and the doors of the same commands that the starter's users know (python train.py, ...)."""

import contextlib
import importlib
import os
import signal
import sys
import threading

import yt8m
from yt8m.cli.command import HELP
from yt8m.commands import called_as
from yt8m.errors import UserError

# Title -> {command: its module in yt8m.cli}, as `yt8m --help` lists them; the line beside a command begins its module.
GROUPS = {
    "Learn": {"train": "train", "average": "average", "pseudo-labels": "pseudo_labels"},
    "Score": {"eval": "eval", "inference": "inference", "segment-eval": "segment_eval"},
    "Look": {"timeline": "timeline", "compare": "compare"},
    "Combine and scale": {"ensemble": "ensemble", "fuse": "fuse", "rerank": "rerank", "beam": "beam"},
    "Use elsewhere": {"export": "export", "card": "card"},
    "Data": {"features": "features", "sample": "sample", "weights": "weights"},
}
COMMANDS = {name: module for group in GROUPS.values() for name, module in group.items()}


def main(argv=None):
    """The entry point `yt8m COMMAND ...`; argv: arguments without the program; None: the process's."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if not arguments or arguments[0] in HELP:
        show(overview())
    if arguments[0] == "--version":
        show(f"yt8m {yt8m.__version__}")
    if arguments[0] not in COMMANDS:
        sys.exit(f"yt8m: error: {arguments[0]}: unknown command. Use one of {', '.join(COMMANDS)}.")
    run(arguments[0], arguments[1:], f"yt8m {arguments[0]}")


def run(name, arguments=None, program=None):
    """Runs a command; an error of the user's is one line and exit status 1.

    Args:
        name: of the command.
        arguments: those after its name; None: the process's.
        program: what the user calls it; None: the process's program, a door.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    typed = program or sys.argv[0]
    program = program or os.path.basename(typed)
    command = importlib.import_module(f"yt8m.cli.{COMMANDS[name]}").COMMAND
    if HELP & set(arguments):
        shown = f"python {program}" if program.endswith(".py") else program
        show(command.help(shown).replace(f"yt8m {name}", shown))
    try:
        with called_as(typed), ended_by_sigterm():
            status = command.run(arguments, program)
    except (UserError, OSError) as error:
        sys.exit(one_line(program, error))
    except (KeyboardInterrupt, Terminated) as error:
        by, status = ("SIGTERM", 143) if isinstance(error, Terminated) else ("Ctrl-C", 130)
        print(f"{program}: stopped by {by}. Nothing is half-written.", file=sys.stderr, flush=True)
        sys.exit(status)
    except Exception as error:
        line = known_failure(error)
        if line is None:
            raise
        sys.exit(one_line(program, line))
    if status:
        sys.exit(status)


def show(text):
    """Prints a text and ends the process; a reader that has read enough (`| head`) is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more when it ends
    sys.exit(0)


class Terminated(BaseException):
    """SIGTERM came: what was being written is removed on the way out, as with KeyboardInterrupt."""


@contextlib.contextmanager
def ended_by_sigterm():
    """Within it, SIGTERM raises Terminated; a second one ends the process at once. A training hears them itself meanwhile."""

    def terminate(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def overview():
    """What `yt8m --help` says: the commands in groups, a line each."""
    lines = [yt8m.__doc__.splitlines()[0], "", "  yt8m COMMAND --flag=value ...        yt8m COMMAND --help", ""]
    for title, commands in GROUPS.items():
        lines.append(f"{title}:")
        for name, module in commands.items():
            doc = importlib.import_module(f"yt8m.cli.{module}").__doc__
            lines.append(f"  {name:<15}{doc.splitlines()[0]}")
        lines.append("")
    return "\n".join([*lines, "Other: yt8m --version"])


def one_line(program, error):
    """`program: error: ...` on one line."""
    if isinstance(error, OSError) and error.filename:
        error = f"{error.filename}: {error.strerror}. Check the path, its permissions and the free space."
    return f"{program}: error: " + " ".join(str(error).split())


def known_failure(error):
    """The line for a UserError or a file system's failure that TensorFlow wrapped in an error of its own, else None."""
    from yt8m.readers.failures import user_error_from

    line = user_error_from(error)
    if line is not None:
        return line
    text = str(error)
    for sign, what in (
        ("No space left on device", "the disk is full"),
        ("Permission denied", "permission denied"),
        ("Read-only file system", "the file system is read-only"),
    ):
        if sign in text:
            return f"{what}: {text.splitlines()[0][:300]}"
    return None


if __name__ == "__main__":
    main()
