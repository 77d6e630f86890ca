"""What is removed from a run's folder: all of the run, or what killed processes left of it."""

import glob
import os
import shutil

from yt8m import config
from yt8m.features.origin import WHITENING
from yt8m.files import remove_abandoned
from yt8m.training.checkpoints import BEST
from yt8m.training.whole import NAME, STATE, remove_unfinished


def remove_run(train_dir):
    """Deletes checkpoints, model_flags.json and TensorBoard files of a run; other files stay."""
    names = [
        f"{NAME}-*",
        STATE,
        config.MODEL_FILE,
        config.TRAIN_FILE,
        WHITENING,
        "events.out.tfevents.*",
        *config.STAGES,
        BEST,
        "eval",
        "pictures",
        "context",
        "segment",
        "export",
        "initial",
        "iteration-*",
        "em",
        "em.json",
        "em_report.json",
    ]
    for path in [path for name in names for path in glob.glob(os.path.join(glob.escape(train_dir), name))]:
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def remove_leftovers(train_dir):
    """Removes what killed processes left of a run's files. Only for the training that the folder belongs to."""
    for folder in (train_dir, *(os.path.join(train_dir, name) for name in (*config.STAGES, BEST))):
        remove_unfinished(folder)
        if os.path.isdir(folder):
            remove_abandoned(folder)
