"""Values out of range, refused by the name of their flag."""

import math
import os

from yt8m import files
from yt8m.errors import UserError

SEEDS = 2**32 - 2**16  # below what numpy takes, with room for what is added for each host


def positive(given, *names):
    """Refuses counts below 1, and rates that are not above 0 or not finite.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        if name in given and not 0 < given[name] < math.inf:
            raise UserError(f"--{name}={given[name]}: must be above 0{_finite(given[name])}.")


def not_negative(given, *names):
    """Refuses values below 0, and those that are not finite.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        if name in given and not 0 <= given[name] < math.inf:
            raise UserError(f"--{name}={given[name]}: must not be below 0{_finite(given[name])}.")


def _finite(value):
    return "" if math.isfinite(value) else ", and a finite number"


def file(given, *names):
    """Refuses a folder, a pipe or a device where a file is to be written.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        path = os.path.expanduser(given.get(name) or "")
        if path.endswith(os.sep) or os.path.isdir(path):
            raise UserError(f"--{name}={given[name]}: is a folder. Name a file.")
        if os.path.exists(path) and not os.path.isfile(path):
            raise UserError(f"--{name}={given[name]}: is a pipe or a device. Name a file.")


def writable(given, *names):
    """Refuses outputs whose folders cannot be written to, before the work begins that they are of.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        if given.get(name):
            files.check_writable(os.path.expanduser(given[name]), f"--{name}={given[name]}")


def writable_folder(given, *names):
    """Refuses folders to which no files can be written, there already or to be made, before the work begins that they are of.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        if given.get(name):
            files.check_writable(os.path.join(os.path.expanduser(given[name]), "file"), f"--{name}={given[name]}")


def training(given):
    """Refuses values of training flags that are out of their range.

    Raises:
        UserError: names the flag and its value.
    """
    positive(
        given,
        "batch_size",
        "max_steps",
        "num_epochs",
        "base_learning_rate",
        "learning_rate_decay",
        "learning_rate_decay_examples",
        "save_steps",
        "export_model_steps",
        "keep_checkpoints",
        "log_steps",
        "num_readers",
        "em_iterations",
        "optimizer_epsilon",
    )
    not_negative(
        given,
        "devices",
        "clip_gradient_norm",
        "regularization_penalty",
        "segment_class_weight",
        "unrated_as_negatives",
        "weight_decay",
        "ema_momentum",
        "folds",
        "fold",
        "start_time_weight",
    )
    for name in ("warmup_fraction", "final_learning_rate_fraction", "distillation_weight", "class_balanced_sampling"):
        if not 0 <= given.get(name, 0) <= 1:
            raise UserError(f"--{name}={given[name]}: must be between 0 and 1.")
    for name in ("pseudo_share", "em_threshold"):
        if not 0 < given.get(name, 0.5) < 1:
            raise UserError(f"--{name}={given[name]}: must be between 0 and 1.")
    if given.get("ema_momentum", 0) >= 1:
        raise UserError(f"--ema_momentum={given['ema_momentum']}: must be below 1, e.g. 0.999.")
    if not 0 <= given.get("seed", 0) < SEEDS:
        raise UserError(f"--seed={given['seed']}: must be from 0 to {SEEDS - 1}.")
