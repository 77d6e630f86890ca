"""What is removed from a run's folder: all of the run, or what killed processes left of it."""

import glob
import os
import shutil

from yt8m import config
from yt8m.errors import UserError
from yt8m.features.origin import WHITENING
from yt8m.files import remove_abandoned
from yt8m.training.checkpoints import BEST
from yt8m.training.whole import NAME, STATE, remove_unfinished

_MARKS = (f"{NAME}-*", "em.json", config.TRAIN_FILE, config.MODEL_FILE)  # a folder with none of these has no run
_RUNS = ("context", "segment", "initial")  # runs in a run: encoders, EM's first model
# Files and folders of a run, as globs.
_OF_RUN = (
    STATE,
    WHITENING,
    "events.out.tfevents.*",
    *config.STAGES,
    BEST,
    "eval",
    "pictures",
    *_RUNS,
    "export",
    "iteration-*",
    "em",
    "em_report.json",
    "report.json",
    "finished",
    *_MARKS,
)


def paths_of_run(train_dir):
    """What remove_run deletes, paths of files and folders: checkpoints, what is noted of the run, TensorBoard files.

    Nothing of a folder that has no run.
    """
    folder = glob.escape(train_dir)
    parts = (folder, *(os.path.join(folder, name) for name in _RUNS))
    if not any(glob.glob(os.path.join(part, name)) for part in parts for name in _MARKS):
        return []
    return [path for name in _OF_RUN for path in glob.glob(os.path.join(folder, name))]


def remove_run(train_dir):
    """Deletes the files of a run; other files stay."""
    for path in paths_of_run(train_dir):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def check_removal(train_dir, needed):
    """Refuses to delete a run's files where some of them are needed afterwards.

    Args:
        train_dir: folder of the run.
        needed: (flag, path) of each checkpoint and folder that the training in its place takes.

    Raises:
        UserError: a path is the train_dir, or would be deleted with the run.
    """
    removed = [os.path.realpath(path) for path in paths_of_run(train_dir)]
    for flag, path in needed:
        own = os.path.realpath(os.path.expanduser(path))
        if removed and any(name == os.path.realpath(train_dir) or _is_in(name, removed) for name in (own, f"{own}.index")):
            raise UserError(
                f"--{flag}={path}: --start_new_model would delete it with the run in --train_dir={train_dir}. Name another "
                "--train_dir, or leave --start_new_model out."
            )


def _is_in(path, others):
    """Whether a path is one of the others, or below one of them."""
    return any(os.path.commonpath((path, other)) == other for other in others)


def remove_leftovers(train_dir):
    """Removes what killed processes left of a run's files. Only for the training that the folder belongs to."""
    for folder in (train_dir, *(os.path.join(train_dir, name) for name in (*config.STAGES, BEST))):
        remove_unfinished(folder)
        if os.path.isdir(folder):
            remove_abandoned(folder)
