"""Model bundles: a run's model in one .tgz, for another machine (the starter's --output_model_tgz and --input_model_tgz)."""

import contextlib
import gzip
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import zlib

import tensorflow as tf

from yt8m import config
from yt8m.errors import UserError
from yt8m.features.origin import WHITENING
from yt8m.files import move_files, replacing, temporary_folder, write_text
from yt8m.folders import cache_folder
from yt8m.training import checkpoints, keras_files

MARK = "extracted_bundle"  # lists the files of a bundle in the folder that it was extracted to
MAX_BYTES, MAX_FILES = 16 << 30, 1000  # that a bundle may extract to
_STATE = "checkpoint"  # TensorFlow's file that names a folder's newest checkpoint
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")


def write(path, train_dir, prefix):
    """Writes a bundle: model_flags.json, a checkpoint of the same name with the weights alone, without optimizer slots, and
    whitening.npz where the run's features have one.

    Where the run kept averages of its weights (--ema_momentum), these are the bundle's weights. The same run gives the same
    bytes.

    Args:
        path: .tgz to write.
        train_dir: folder of the run.
        prefix: the checkpoint.

    Raises:
        UserError: the folder holds no run, or the file cannot be written.
    """
    config.read_model_config(train_dir)
    if keras_files.is_keras_file(prefix):
        raise UserError(f"--output_model_tgz={path}: {prefix} is no checkpoint, of which bundles are. Name the train_dir itself.")
    path = os.path.abspath(os.path.expanduser(path))
    with tempfile.TemporaryDirectory() as folder, replacing(path, what=f"--output_model_tgz={path}") as file:
        shutil.copyfile(os.path.join(train_dir, config.MODEL_FILE), os.path.join(folder, config.MODEL_FILE))
        if os.path.isfile(os.path.join(train_dir, WHITENING)):
            shutil.copyfile(os.path.join(train_dir, WHITENING), os.path.join(folder, WHITENING))
        name = os.path.basename(prefix)
        _write_weights(prefix, os.path.join(folder, name))
        write_text(os.path.join(folder, _STATE), f'model_checkpoint_path: "{name}"\n')
        _pack(file, folder)


def _write_weights(prefix, target):
    """Writes the weights and the position of a checkpoint as one that checkpoints.load_weights and position read."""
    reader = tf.train.load_checkpoint(prefix)
    state = {"model": {}, "average": {}, "step": None, "stage": None, "stage_step": None}
    for key in reader.get_variable_to_shape_map():
        group, _, path = key.removesuffix(_VALUE).partition("/")
        if key.endswith(_VALUE) and group in state:
            variable = tf.Variable(reader.get_tensor(key))
            if path:
                state[group][_unescaped(path)] = variable
            else:
                state[group] = variable
    state["model"] |= state.pop("average")
    checkpoint = tf.train.Checkpoint(**state)
    checkpoint.save_counter.assign(1)  # whoever restores the whole of a checkpoint looks for it, and write() makes none
    checkpoint.write(target)


def _unescaped(path):
    """A dictionary's key as TensorFlow escapes it in a checkpoint (. as .., / as .S), as it was."""
    return re.sub(r"\.([.S])", lambda match: "/" if match[1] == "S" else ".", path)


def _pack(file, folder):
    """Writes the files of a folder to an open file, as a .tgz without times and owners."""
    with (
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar,  # sizes without extension headers
    ):
        for name in sorted(os.listdir(folder)):
            member = tarfile.TarInfo(name)
            member.size = os.path.getsize(os.path.join(folder, name))
            with open(os.path.join(folder, name), "rb") as content:
                tar.addfile(member, content)


def folder_of(path, folder=None):
    """The folder of a bundle's model, from which it is restored like any train_dir.

    Args:
        path: a .tgz that write() wrote.
        folder: to extract it to, as extract's; None or "": one of the bundle's own in the cache folder, `model-<first 16
            hexadecimal digits of the .tgz's SHA-256>`. There it is extracted once, however many processes ask for it.

    Returns:
        The folder.

    Raises:
        UserError: as extract.
    """
    return extract(path, folder) if folder else _cached(path)


def _cached(path):
    """The bundle's own folder in the cache, where it is extracted unless all of it is there.

    The mark comes last, so that a folder without it is half-extracted. Several processes at once put the same bytes in the place
    of the same names, and each reads only what it has put or found there whole. Other files in the folder are left alone.
    """
    with _opened(path) as (file, path):
        folder = str(cache_folder(f"model-{_digest(file)}"))
        if not _is_complete(path, folder):
            with _unpacked(file, path, folder, folder) as unfinished:
                names = _in_order(unfinished)
                write_text(os.path.join(unfinished, MARK), "\n".join(names) + "\n")
                move_files(unfinished, folder, [*names, MARK])
    return folder


def _is_complete(path, folder):
    """Whether a folder holds all of the bundle that was extracted there, and it is a model."""
    names = _marked(folder)
    if not names or not all(os.path.isfile(os.path.join(folder, name)) for name in names):
        return False
    try:
        _check_complete(path, folder)
    except UserError:
        return False
    return True


def extract(path, folder, max_bytes=MAX_BYTES, max_files=MAX_FILES):
    """Extracts a bundle into a folder, from which it is then restored like any train_dir.

    The bundle may come from a stranger: it may hold plain files only, by plain names, none twice, and no more than it says.
    Nothing appears in the folder before all of it was read and found to be a model.

    Args:
        path: a .tgz that write() wrote.
        folder: is made. Of an earlier bundle that was extracted there, the files are replaced and others left alone; any other
            folder that is not empty is refused.
        max_bytes, max_files: what the extracted files may amount to.

    Returns:
        The folder.

    Raises:
        UserError: no such file, no bundle, a damaged or dangerous one, or a folder with other files in it.
    """
    folder = os.path.abspath(os.path.expanduser(folder))
    with _opened(path) as (file, path):
        _check_replaceable(folder)
        with _unpacked(file, path, folder, f"--untar_model_dir={folder}", max_bytes, max_files) as unfinished:
            _move(unfinished, folder)
    return folder


@contextlib.contextmanager
def _opened(path):
    """(open file, path) of a .tgz that is there; it stays the same file when another takes its place."""
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise UserError(f"--input_model_tgz={path}: no such file. Name a .tgz that inference.py --output_model_tgz wrote.")
    with open(path, "rb") as file:
        yield file, path


def _digest(file):
    """The first 16 hexadecimal digits of an open file's SHA-256; it is then at its beginning again."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _unpacked(file, path, folder, what, max_bytes=MAX_BYTES, max_files=MAX_FILES):
    """A temporary folder beside `folder` with a bundle's files, which are a model; it is removed when the block ends.

    Args:
        file, path: of the .tgz.
        folder: where they are to be moved.
        what: what messages call it.
        max_bytes, max_files: as extract's.
    """
    with temporary_folder(folder, what) as unfinished:
        try:
            _unpack(file, path, unfinished, max_bytes, max_files)
        except _Refused as error:
            raise UserError(f"--input_model_tgz={path}: {error}, as bundles have. Do not use this archive.") from error
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"--input_model_tgz={path}: damaged, or no .tgz ({error}). Copy or write it again.") from error
        _check_complete(path, unfinished)
        yield unfinished


def _check_replaceable(folder):
    """Refuses a folder that holds anything but an earlier extracted bundle."""
    if not os.path.lexists(folder):
        return
    if os.path.islink(folder) or not os.path.isdir(folder):
        raise UserError(f"--untar_model_dir={folder}: not a folder. Name a new one.")
    if os.listdir(folder) and not os.path.exists(os.path.join(folder, MARK)):
        raise UserError(f"--untar_model_dir={folder}: holds other files than an extracted bundle. Name a new or an empty folder.")


def _move(unfinished, folder):
    """Moves extracted files to their folder, in place of an earlier bundle's."""
    names = _in_order(unfinished)
    for name in reversed(_marked(folder)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
    write_text(os.path.join(folder, MARK), "\n".join(names) + "\n")
    move_files(unfinished, folder, names)


def _in_order(folder):
    """Names of extracted files; TensorFlow's state file is the last."""
    return sorted({*os.listdir(folder)} - {MARK}, key=lambda name: (name == _STATE, name))


def _marked(folder):
    """Names of the files of a bundle that was extracted to a folder; [] where none was."""
    try:
        with open(os.path.join(folder, MARK), encoding="utf-8", errors="replace") as file:
            return [name for name in file.read().split("\n") if _PLAIN_NAME.fullmatch(name)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unpack(file, path, folder, max_bytes, max_files):
    """Writes the members of an archive; refuses it before it writes one that is no plain file with a plain name."""
    with gzip.open(file) as zipped:
        stream = _Capped(zipped, path, max_bytes + 1024 * max_files + (1 << 20))  # headers and padding; the archive's end
        _unpack_stream(stream, path, folder, max_bytes, max_files)
        while stream.read(1 << 20):  # to the end of the file, where gzip compares its checksum
            pass


def _unpack_stream(stream, path, folder, max_bytes, max_files):
    data_filter = getattr(tarfile, "data_filter", lambda member, _: member)  # Python 3.10.12, 3.11.4, 3.12
    seen, total = set(), 0
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
        for member in tar:
            total += member.size
            plain = member.isreg() and not member.issparse() and member.size >= 0 and _PLAIN_NAME.fullmatch(member.name)
            if not plain or member.name in seen:
                raise _Refused(f"member {member.name[:100]!r} is not a plain file of its own in the archive's top folder")
            if total > max_bytes or len(seen) >= max_files:
                raise UserError(
                    f"--input_model_tgz={path}: extracts to more than {max_bytes:,} bytes or {max_files:,} files, too many for a "
                    "model. Do not use this archive."
                )
            seen.add(member.name)
            data_filter(member, folder)
            with open(os.path.join(folder, member.name), "xb") as file:
                shutil.copyfileobj(tar.extractfile(member), file, 1 << 20)


class _Refused(Exception):
    """What an archive has that no bundle has."""


class _Member(tarfile.TarInfo):
    """A member of a bundle: refused by its header, before tarfile reads what an extension header announces into memory."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        member = super().frombuf(buf, encoding, errors)
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise _Refused(f"member {member.name[:100]!r} is not a plain file of its own in the archive's top folder")
        return member


class _Capped:
    """A stream that gives no more than so many bytes; one with more is refused with a UserError."""

    def __init__(self, stream, path, max_bytes):
        self._stream, self._path, self._left = stream, path, max_bytes

    def read(self, size):
        content = self._stream.read(min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise UserError(f"--input_model_tgz={self._path}: unpacks to more than a model has. Do not use this archive.")
        return content


def _check_complete(path, folder):
    """Refuses an archive of something else than a model."""
    wanted = f"--input_model_tgz={path}: not a bundle that inference.py --output_model_tgz wrote"
    try:
        config.read_model_config(folder)
        named = tf.train.latest_checkpoint(folder)
        if named is None or os.path.dirname(os.path.abspath(named)) != folder:
            raise UserError(f"its `{_STATE}` names no checkpoint in it")
        checkpoints.latest(folder)
    except (UserError, ValueError) as error:
        reason = str(error).replace(folder + os.sep, "").replace(folder, "the archive")
        raise UserError(f"{wanted} ({reason.rstrip('.')}).") from error
