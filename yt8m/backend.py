"""What Keras computes with, asked before it is imported; and TensorFlow without the notes that it prints on every start."""

import contextlib
import importlib
import json
import os
import sys
import tempfile

from yt8m.errors import UserError

KNOWN = ("tensorflow", "jax", "torch", "numpy", "openvino")  # to Keras
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_QUIET = {None, "2", "3"}  # values of it with which nothing is missed


def keras_backend():
    """(name of the backend that Keras has, or will take when it is imported; where that is said, for a message)."""
    if "keras" in sys.modules:
        name = sys.modules["keras"].config.backend()
        return name, f"KERAS_BACKEND={name}"
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}"
    path = os.path.join(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"), "keras.json")
    try:
        with open(path, encoding="utf-8") as file:
            name = json.load(file).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        name = "tensorflow"
    return name, f'"backend": "{name}" in {path}'


def check_backend(what=None):
    """Refuses a backend that Keras does not know, and for what needs TensorFlow's any other.

    Args:
        what: what needs TensorFlow's, e.g. "training"; None: nothing does.

    Raises:
        UserError: says where the backend is named.
    """
    name, said = keras_backend()
    if name == "tensorflow":
        return
    out = "Unset KERAS_BACKEND" if said.startswith("KERAS_BACKEND") else "Set KERAS_BACKEND=tensorflow"
    if name not in KNOWN:
        raise UserError(f"{said}: Keras knows no such backend, but {', '.join(KNOWN)}. {out}.")
    if what:
        raise UserError(f"{said}: {what} needs Keras's TensorFlow backend; with {name} only models can be built. {out}.")


@contextlib.contextmanager
def dtype_policy(name=None):
    """What Keras' layers that are made in the block compute in; after it the policy is the one before again.

    Restoring a run makes its precision the policy of all that is made later, and what is no part of the run must not have it.

    Args:
        name: of a policy; None: the one that is there.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def import_tensorflow():
    """Imports TensorFlow without its notes, unless TF_CPP_MIN_LOG_LEVEL asks for them; what it wrote is shown if it fails."""
    if os.environ.get(_LOG_LEVEL) not in _QUIET or "tensorflow" in sys.modules:
        return
    os.environ.setdefault(_LOG_LEVEL, "2")
    with tempfile.TemporaryFile() as notes:
        stderr = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            importlib.import_module("tensorflow").config.list_physical_devices("GPU")
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
