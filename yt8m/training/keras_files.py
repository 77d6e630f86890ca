"""Weights as Keras writes them, beside model_flags.json: what `yt8m export --formats=keras` makes, and what model hubs have."""

import json
import os
import re
import zipfile

from yt8m.errors import UserError

NAMES = ("model.keras", "model.weights.h5")  # the second: as Keras's own folders and hub repositories have it
_REPORT = "export.json"  # of export.export, which knows the checkpoint


def is_keras_file(path):
    """Whether a checkpoint's name is that of a file of Keras's."""
    return path.endswith((".keras", ".weights.h5"))


def keras_file_in(folder):
    """Path of the weights that Keras wrote in a folder, or None."""
    paths = (os.path.join(folder, name) for name in NAMES)
    return next((path for path in paths if os.path.isfile(path)), None)


def load_weights(model, path):
    """Reads a model's weights; nothing that the file says is run.

    Args:
        model: built Keras model.
        path: .keras or .weights.h5.

    Raises:
        UserError: no such file, a damaged one, or one of another model.
    """
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{path}: no weights of this {type(model).__name__} ({reason}). Export it again beside the model_flags.json that it "
            "goes with."
        ) from error


def step_of(path):
    """Step of the checkpoint that such a file was exported from; 0 where that is not known."""
    try:
        with open(os.path.join(os.path.dirname(path), _REPORT), encoding="utf-8") as file:
            name = json.load(file)["checkpoint"]
        return int(re.fullmatch(r"model\.ckpt-(\d{1,18})", name)[1])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
