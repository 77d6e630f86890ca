"""Whole files and folders: written under a temporary name beside their place, and renamed when they are complete."""

import contextlib
import errno
import os
import secrets
import shutil
import time

from yt8m.errors import UserError

_SUFFIX = ".partial"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DAY = 86_400


def temporary_name(path):
    """A name that nobody else uses, in the same folder as `path`; hidden, so that no pattern for `path` matches it."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f".{name}.{secrets.token_hex(4)}{_SUFFIX}")


def is_temporary(path):
    """Whether a path has a name of temporary_name's."""
    name = os.path.basename(path)
    return name.startswith(".") and name.endswith(_SUFFIX)


@contextlib.contextmanager
def replacing_path(path, what=None):
    """A temporary path for another library to write a file to; it takes the place of `path` when the block ends without an error.

    Args:
        path: the file; its folder is made.
        what: what messages call it; None: its path.

    Yields:
        str, the temporary path. Nothing is left of it when the block fails.

    Raises:
        UserError: the file cannot be written. Other errors of the block pass unchanged.
    """
    what, temporary = what or path, temporary_name(path)
    with _explained(what):
        os.makedirs(os.path.dirname(temporary), exist_ok=True)
    try:
        with _explained(what, temporary):
            yield temporary
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)


@contextlib.contextmanager
def replacing(path, mode="wb", what=None):
    """An open new file that takes the place of `path` when the block ends without an error.

    Args and raises: as replacing_path; mode "wb", or "w" for UTF-8 with the line ends as they are written.

    Yields:
        the file.
    """
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with replacing_path(path, what) as temporary, open(temporary, mode, **text) as file:
        yield file


def write_text(path, text, what=None):
    """Writes a text file, as replacing does."""
    with replacing(path, "w", what) as file:
        file.write(text)


@contextlib.contextmanager
def temporary_folder(path, what=None):
    """A new folder beside `path`, which is removed when the block ends. What killed processes left there a day ago goes, too.

    Args and raises: as replacing_path.

    Yields:
        str, the new folder.
    """
    what, temporary = what or path, temporary_name(path)
    with _explained(what):
        os.makedirs(os.path.dirname(temporary), exist_ok=True)
        _remove_abandoned(path)
        os.mkdir(temporary)
    try:
        with _explained(what, temporary):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def replacing_folder(path, what=None, keep=None):
    """A new folder that takes the place of `path`, and of all that is in it, when the block ends without an error.

    Args and raises: as replacing_path.
        keep: function of `path`, asked when a folder is there by then: whether that one stays, and the new one goes.

    Yields:
        str, the new folder.
    """
    with temporary_folder(path, what) as temporary:
        yield temporary
        with _explained(what or path):
            _take_place(temporary, path, keep)


def copy_file(path, folder):
    """Copies a file into a folder, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    with replacing_path(os.path.join(folder, os.path.basename(path))) as temporary:
        shutil.copy(path, temporary)


def remove_partials(folder, names):
    """Removes what killed processes left of these files and folders, and of any other that has not changed for a day."""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            mine = name[1:].rsplit(".", 2)[0] in names
            if is_temporary(name) and (mine or time.time() - os.stat(path).st_mtime > _DAY):
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def move_files(source, folder, names):
    """Moves the files of these names from a temporary folder into another on the same disk, in this order.

    Raises:
        UserError: one cannot be moved.
    """
    for name in names:
        with _explained(os.path.join(folder, name)):
            os.makedirs(folder, exist_ok=True)
            os.replace(os.path.join(source, name), os.path.join(folder, name))


def _take_place(temporary, path, keep):
    """Renames a folder to `path`; several processes may do so at once."""
    for _ in range(3):
        try:
            os.rename(temporary, path)
        except OSError:
            if not os.path.isdir(path):
                raise
        else:
            return
        if keep and keep(path):
            return
        earlier = temporary_name(path)
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, earlier)
        shutil.rmtree(earlier, ignore_errors=True)
    raise FileExistsError(errno.EEXIST, "another process writes it", str(path))


def _remove_abandoned(path):
    """Removes temporary folders of `path` that have not changed for a day."""
    folder, name = os.path.split(os.path.abspath(path))
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):
            if entry.name.startswith(f".{name}.") and is_temporary(entry.name) and time.time() - entry.stat().st_mtime > _DAY:
                shutil.rmtree(entry.path, ignore_errors=True)


@contextlib.contextmanager
def _explained(what, temporary=None):
    """Makes a UserError of an OSError; with `temporary` only of one that comes from writing there, not of the block's others."""
    try:
        yield
    except OSError as error:
        full = error.filename is None and error.errno in _FULL
        if temporary and not full and not str(error.filename).startswith(temporary):
            raise
        raise UserError(f"{what}: cannot be written ({error.strerror}). Free some space, or name a place to write to.") from error
