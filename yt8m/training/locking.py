"""One training at a time in a train_dir: a lock (flock) on a file there, which ends with the process that holds it."""

import contextlib
import fcntl
import os

from yt8m.errors import UserError
from yt8m.training import hosts

LOCK = ".training.lock"


@contextlib.contextmanager
def only_training(train_dir):
    """Within it no other training begins in a train_dir; of several hosts the chief holds the lock for all.

    The file goes when the block ends; one that a killed training left holds nobody up. Where no file can be made, or the file
    system knows no locks, nothing is held.

    Args:
        train_dir: folder; it is made, and goes again when it is empty at the end.

    Raises:
        UserError: another training is in its block.
    """
    path, made, lock, taken = os.path.join(train_dir, LOCK), [], None, False
    if hosts.is_chief() and "://" not in str(train_dir):
        made = _make_folder(train_dir)
        try:
            lock = _held(path)
        except BlockingIOError:
            taken = True
    try:
        if hosts.agree(0, taken)[1]:
            raise UserError(f"--train_dir={train_dir}: another training writes to it. Wait for it, or name another folder.")
        yield
    finally:
        if lock is not None:
            _remove(path, lock)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _make_folder(folder):
    """Makes a folder where that is possible; returns those that were missing for it, the outermost first."""
    missing, path = [], os.path.abspath(folder)
    while not os.path.lexists(path):
        missing.insert(0, path)
        path = os.path.dirname(path)
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
    return missing


def _held(path):
    """An open descriptor of a file that holds the lock on it; None where there can be none.

    Raises:
        BlockingIOError: another has the lock.
    """
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise
        except OSError:
            _remove(path, lock)
            return None
        if _leads_to(path, lock):
            return lock
        os.close(lock)  # whoever had the lock has removed the file since it was opened


def _remove(path, lock):
    """Removes a file that is open, where it is still the one that the path leads to."""
    if _leads_to(path, lock):
        with contextlib.suppress(OSError):
            os.unlink(path)
    os.close(lock)


def _leads_to(path, descriptor):
    """Whether a path leads to the file that is open."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False
