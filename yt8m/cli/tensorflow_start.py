"""TensorFlow without the notes that it prints on every start."""

import importlib
import os
import sys
import tempfile


def import_tensorflow():
    """Imports TensorFlow quietly, unless the user chose a TF_CPP_MIN_LOG_LEVEL; what it wrote is shown if it fails."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
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
