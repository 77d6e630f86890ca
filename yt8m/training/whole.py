"""Which checkpoints are whole: all files are there, every tensor has the checksum that was written, and they have a position."""

import functools
import glob
import os
import re
import shutil

import tensorflow as tf

from yt8m import config
from yt8m.errors import UserError
from yt8m.files import write_text

NAME = "model.ckpt"
STATE = "checkpoint"  # TensorFlow's list of a folder's checkpoints; ours is what is in the folder
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_FILE = re.compile(rf"({re.escape(NAME)}-(\d+))\.(?:index|data-\d+-of-\d+)")
_POSITION = ("step", "stage", "stage_step")
_READING = (tf.errors.OpError, ValueError, RuntimeError, IndexError, KeyError, TypeError, MemoryError)  # what TensorFlow raises
_said = set()


def position(prefix):
    """(step, stage name, stage_step) of a checkpoint."""
    return _position(tf.train.load_checkpoint(prefix))


def _position(reader):
    step, stage, stage_step = (int(reader.get_tensor(name + VALUE)) for name in _POSITION)
    if not 0 <= stage < len(config.STAGES):
        raise ValueError(f"stage {stage}")
    return step, config.STAGES[stage], stage_step


def fault(prefix):
    """What a checkpoint lacks to be whole, in a few words; None: nothing. It is read once while its files stay as they are."""
    return _fault(prefix, _files(prefix))


def of_latest_stage(train_dir):
    """Prefixes of the whole checkpoints of a run's latest stage, the newest last."""
    prefixes = [prefix for prefix in _in_order(train_dir) if fault(prefix) is None]
    return [prefix for prefix in prefixes if position(prefix)[1] == position(prefixes[-1])[1]]


def newest(train_dir):
    """Prefix of the newest whole checkpoint of a run: of its latest stage the one with the most steps; None: it has none so far.

    What TensorFlow's `checkpoint` says does not count. Newer ones that are passed over are said in one line, once.

    Raises:
        UserError: something is left of the run's checkpoints, but none is whole.
    """
    passed = {}
    for prefix in reversed(_in_order(train_dir)):
        reason = fault(prefix)
        if reason is None:
            return _say_passed(prefix, passed)
        passed[prefix] = reason
    if not passed and not _traces(train_dir):
        return None
    reasons = _listed(passed) or f"{' and '.join(_traces(train_dir))} without any {NAME}-<step>"
    raise UserError(
        f"{train_dir}: none of its checkpoints is whole ({reasons}). Copy them there again, name another --train_dir, or throw "
        "the run away with train.py --start_new_model."
    )


def list_for_tensorflow(train_dir):
    """Writes `checkpoint` anew from what is there, so that CheckpointManager deletes the damaged first and then the oldest."""
    names = [os.path.basename(prefix) for prefix in _in_order(train_dir)]
    whole = [name for name in reversed(names) if fault(os.path.join(train_dir, name)) is None][:1]
    if whole:
        last = names.index(whole[0])
        names = names[last + 1 :] + names[: last + 1]
        lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in names)]
        lines += [f"all_model_checkpoint_timestamps: {number}.0" for number in range(1, len(names) + 1)]  # 0 is kept for good
        write_text(os.path.join(train_dir, STATE), "\n".join(lines) + "\n")


def _in_order(train_dir):
    """Prefixes of all checkpoints of which there is a file, the newest last.

    Steps count on from stage to stage, but anew where a stage starts from --init_checkpoint: the stage comes first. What does
    not say its stage counts as of the run's.
    """
    names = os.listdir(train_dir) if os.path.isdir(train_dir) else []
    steps = {match[1]: int(match[2]) for match in map(_FILE.fullmatch, names) if match}
    prefixes = {os.path.join(train_dir, name): step for name, step in steps.items()}
    stages = {prefix: _stage(prefix, _files(prefix)) for prefix in prefixes}
    last = max((stage for stage in stages.values() if stage is not None), default=0)
    return sorted(prefixes, key=lambda prefix: (last if stages[prefix] is None else stages[prefix], prefixes[prefix]))


def _traces(train_dir):
    """What shows that a run had checkpoints."""
    kept = [os.path.join(stage, f"{NAME}-*") for stage in config.STAGES]
    return [name for name in (STATE, *kept) if glob.glob(os.path.join(glob.escape(train_dir), name))]


def _files(prefix):
    """((path, size, time of change), ...) of a checkpoint's files."""
    folder, name = os.path.split(prefix)
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), f"{name}.data-*-of-*"))) + [prefix + ".index"]
    files = []
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError:
            continue
        files.append((path, stat.st_size, stat.st_mtime_ns))
    return tuple(files)


@functools.lru_cache(maxsize=1024)
def _stage(prefix, files):
    """Index of a checkpoint's stage, None where it does not say."""
    try:
        return config.STAGES.index(position(prefix)[1])
    except _READING:
        return None


@functools.lru_cache(maxsize=1024)
def _fault(prefix, files):
    paths = [path for path, *_ in files]
    if not paths:
        return "not there"
    if prefix + ".index" not in paths:
        return "its .index is missing"
    data = [path for path in paths if ".data-" in path[len(prefix) :]]
    if not data or len(data) < int(data[0].rsplit("-", 1)[1]):
        return "its .data is missing"
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = reader.get_variable_to_shape_map()
        if not {name + VALUE for name in _POSITION} <= names.keys():
            return "it has no position: train.py did not write it"
        for name in names:
            reader.get_tensor(name)
        _position(reader)
    except _READING as error:
        return f"damaged: {_short(error, os.path.dirname(prefix))}"
    return None


def _short(error, folder):
    lines = str(error).replace(folder + os.sep, "").splitlines() or [type(error).__name__]
    return lines[0][:100].rstrip()


def _listed(faults):
    return "; ".join(f"{os.path.basename(prefix)}: {reason}" for prefix, reason in faults.items())


def _say_passed(prefix, passed):
    """Says once which checkpoints newer than `prefix` were passed over; returns the prefix."""
    line = f"{prefix} is the newest whole checkpoint; passed over: {_listed(passed)}."
    if passed and line not in _said:
        _said.add(line)
        print(line, flush=True)
    return prefix


def remove_unfinished(folder):
    """Removes what TensorFlow leaves in a folder of checkpoints that it could not write, or was killed over."""
    for name in (f"{NAME}-*_temp*", f"{NAME}-*.tempstate*", f"{STATE}.tmp*"):
        for path in glob.glob(os.path.join(glob.escape(folder), name)):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
