"""Whole files and folders: written under a temporary name beside their place, and renamed when they are complete.

A process holds a lock (flock) on what it has under a temporary name, and the lock ends with the process. So what killed
processes left is told from what others write just now, and goes: when a process first writes to a folder.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time

import numpy as np

from yt8m.errors import UserError

_SUFFIX, _EARLIER = ".partial", ".earlier"  # what is being written; a folder that another takes the place of
_TEMPORARY = re.compile(rf"\.(.+)\.[0-9a-f]{{8}}({re.escape(_SUFFIX)}|{re.escape(_EARLIER)})")
_REMOTE = re.compile(r"(^|/)[a-z][a-z0-9]*:/")  # gs://bucket/x, also as os.path.abspath leaves it: /here/gs:/bucket/x
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DAY = 86_400
_tidied = set()  # folders that this process has written to


def temporary_name(path, suffix=_SUFFIX):
    """A name that nobody else uses, in the same folder as `path`; hidden, so that no pattern for `path` matches it."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f".{name}.{secrets.token_hex(4)}{suffix}")


def is_temporary(path):
    """Whether a path has a name of temporary_name's."""
    return _TEMPORARY.fullmatch(os.path.basename(path)) is not None


def check_local(path, what=None):
    """Refuses an output in another place than on this machine's disks.

    Args:
        path: of a file or folder.
        what: what messages call it; None: its path.

    Raises:
        UserError: it is the address of a bucket or the like.
    """
    path = os.fspath(path)
    match = _REMOTE.search(path)
    if "://" in path or (match and not os.path.isdir(path[: match.end()])):
        raise UserError(f"{what or path}: outputs go to this machine's disks only. Name a local path, and copy what is written.")


def check_writable(path, what):
    """Refuses an output whose folder cannot be made or written to, before work begins whose result it would be.

    It makes nothing: of a folder that is not there, the nearest one above it must be one to write to.

    Args:
        path: of a file or folder to be written.
        what: what messages call it.

    Raises:
        UserError: it is remote, or its folder cannot be made or written to.
    """
    check_local(path, what)
    folder = os.path.dirname(os.path.realpath(path))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{what}: {error.strerror}. Name a place in a folder that can be written.") from error


def remove_abandoned(folder):
    """Removes the temporary files and folders in a folder that no living process holds.

    Where the file system knows no locks, those that have not changed for a day. A folder that was moved away for another stays as
    long as no other is in its place.
    """
    for entry in os.scandir(folder):
        match = _TEMPORARY.fullmatch(entry.name)
        if match and not entry.is_symlink() and (match[2] == _SUFFIX or os.path.exists(os.path.join(folder, match[1]))):
            with contextlib.suppress(OSError):
                _remove_if_abandoned(entry)


@contextlib.contextmanager
def replacing_path(path, what=None):
    """A temporary path for another library to write a file to; it takes the place of `path` when the block ends without an error.

    Args:
        path: the file; its folder is made. Of a link the file that it leads to.
        what: what messages call it; None: its path.

    Yields:
        str, the temporary path. Nothing is left of it when the block fails.

    Raises:
        UserError: the file cannot be written, or something else is there. Other errors of the block pass unchanged.
    """
    what = what or path
    check_local(path, what)
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{what}: cannot be written (it is a folder, a pipe or a device). Name a file.")
    path = os.path.realpath(path)
    with _explained(what):
        temporary, lock = _held(path, _make_file)
    try:
        with _explained(what, temporary):
            yield temporary
            os.replace(temporary, path)
    finally:
        os.close(lock)
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
    """A new folder beside `path`, which is removed when the block ends.

    Args and raises: as replacing_path.

    Yields:
        str, the new folder.
    """
    what = what or path
    check_local(path, what)
    with _explained(what):
        temporary, lock = _held(path, os.mkdir)
    try:
        with _explained(what, temporary):
            yield temporary
    finally:
        os.close(lock)
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def replacing_folder(path, what=None, keep=None):
    """A new folder that takes the place of `path`, and of all that is in it, when the block ends without an error.

    Args and raises: as replacing_path.
        keep: function of the folder's path, asked when one is there by then: whether that one stays, and the new one goes.

    Yields:
        str, the new folder.
    """
    what = what or path
    check_local(path, what)
    path = os.path.realpath(path)
    with temporary_folder(path, what) as temporary:
        yield temporary
        with _explained(what):
            _take_place(temporary, path, keep)


class ScratchFile:
    """A file without a name for arrays that a process does not hold in memory; however the process ends, nothing is left of it.

    Args:
        folder: where; it is made.
        what: what messages call it.

    Attributes:
        size: bytes so far.

    Raises:
        UserError: it cannot be written, here and in append.
    """

    def __init__(self, folder, what):
        self.size, self._what = 0, what
        with _explained(what):
            os.makedirs(folder, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open as long as this object lives)

    def append(self, array):
        """Writes an array behind what is there."""
        with _explained(self._what):
            self._file.seek(self.size)
            self._file.write(np.ascontiguousarray(array).data)
            self._file.flush()
        self.size += array.nbytes

    def read(self, offset, shape, dtype):
        """The array of this shape and type that begins at a byte."""
        array = np.empty(shape, dtype)
        self._file.seek(offset)
        if self._file.readinto(array.data) != array.nbytes:
            raise UserError(f"{self._what}: could not be read back. Is the disk sound?")
        return array


def copy_file(path, folder):
    """Copies a file into a folder, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    with replacing_path(os.path.join(folder, os.path.basename(path))) as temporary:
        shutil.copy(path, temporary)


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
        if (keep and keep(path)) or _exchanged(temporary, path):
            return
    raise FileExistsError(errno.EEXIST, "another process writes it", str(path))


def _exchanged(temporary, path):
    """Renames a folder to the path of another, which goes when it is there; False: another process was faster."""
    earlier = temporary_name(path, _EARLIER)
    try:
        os.rename(path, earlier)
        os.rename(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.rename(earlier, path)
        if getattr(error, "errno", None) not in (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    finally:
        if os.path.isdir(path):
            shutil.rmtree(earlier, ignore_errors=True)
    return True


def _held(path, make):
    """A new file or folder for `path` under a temporary name, and an open descriptor that holds a lock on it.

    The first time in a folder, what killed processes left there goes.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    if folder not in _tidied:
        _tidied.add(folder)
        remove_abandoned(folder)
    while True:
        temporary = temporary_name(path)
        make(temporary)
        with contextlib.suppress(FileNotFoundError):  # another process took it for abandoned before there was a lock
            lock = os.open(temporary, os.O_RDONLY)
            if _locked(lock, fcntl.LOCK_SH) is not False and os.path.exists(temporary):
                return temporary, lock
            os.close(lock)


def _make_file(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _remove_if_abandoned(entry):
    """Removes a temporary file or folder, an os.DirEntry, if nobody holds it."""
    is_folder = entry.is_dir(follow_symlinks=False)
    lock = os.open(entry.path, os.O_NONBLOCK | os.O_NOFOLLOW | (os.O_RDONLY if is_folder else os.O_RDWR))
    try:
        locked = _locked(lock, fcntl.LOCK_EX)
        if locked or (locked is None and time.time() - entry.stat().st_mtime > _DAY):
            shutil.rmtree(entry.path) if is_folder else os.remove(entry.path)
    finally:
        os.close(lock)


def _locked(descriptor, kind):
    """Takes a lock; False: another process has it; None: the file system knows no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextlib.contextmanager
def _explained(what, temporary=None):
    """Makes a UserError of a failure to write.

    With `temporary` only of an OSError that comes from writing there, and of any that says that a disk is full. A UserError about
    a file in a temporary folder names the place that the file would have had.
    """
    try:
        yield
    except UserError as error:
        if not temporary or temporary not in str(error):
            raise
        folder, name = os.path.split(temporary)
        final = os.path.join(folder, _TEMPORARY.fullmatch(name)[1])
        raise UserError(str(error).replace(temporary, final)) from error
    except Exception as error:
        full = full_disk(error)
        if not full and not isinstance(error, OSError):
            raise
        places = [str(place) for place in (getattr(error, "filename2", None), getattr(error, "filename", None)) if place]
        elsewhere = temporary and not any(place.startswith(temporary) for place in places)
        if elsewhere and not full:
            raise
        where, reason = (places[0] if places and elsewhere else what), full or error.strerror
        raise UserError(f"{where}: cannot be written ({reason}). Free some space, or name a place to write to.") from error


def full_disk(error):
    """What an exception, of Python or of TensorFlow, says of a full disk, such as "No space left on device"; else None."""
    while error is not None:
        for code in _FULL:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return os.strerror(code)
        error = error.__cause__ or error.__context__
    return None
