"""Where in a video does a topic occur? Models, training and scoring of the YouTube-8M Segments challenge.

The public names are loaded when they are first used, so that `import yt8m` and `--help` are quick; TensorFlow with them, quietly.
keras.saving.load_model knows the package's classes from then on (saving.py).
"""

import importlib

from yt8m import saving as _saving

__version__ = "0.1.0"

_PUBLIC = {
    "average_checkpoints": "yt8m.api",
    "build_model": "yt8m.models",
    "compare": "yt8m.api",
    "evaluate": "yt8m.api",
    "extract_features": "yt8m.api",
    "fuse": "yt8m.api",
    "inference": "yt8m.api",
    "load": "yt8m.api",
    "model_names": "yt8m.models",
    "rerank": "yt8m.api",
    "timeline": "yt8m.api",
    "Timeline": "yt8m.timelines.timeline",
    "train": "yt8m.api",
    "write_card": "yt8m.api",
    "write_videos": "yt8m.api",
    "UserError": "yt8m.errors",
}
_MODULES = (
    "layers",
    "losses",
    "metrics",
    "models",
    "readers",
    "recipes",
    "registry",
    "scoring",
    "segments",
    "stages",
    "training",
)
_PLAIN = ("Timeline", "UserError", "metrics", "registry", "segments")  # without Keras
_OF_MODELS = ("build_model", "layers", "losses", "model_names", "models")  # without TensorFlow, where Keras has another backend

__all__ = [*_PUBLIC, *_MODULES]


def __getattr__(name):
    if name in __all__ and name not in _PLAIN:
        _prepare_keras(name)
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"yt8m.{name}")
    raise AttributeError(f"module 'yt8m' has no attribute {name!r}")


def _prepare_keras(name):
    """Imports TensorFlow quietly where what has this name will; refuses a backend that Keras does not know."""
    backend = importlib.import_module("yt8m.backend")
    backend.check_backend()
    if name not in _OF_MODELS or backend.keras_backend()[0] == "tensorflow":
        backend.import_tensorflow()


def __dir__():
    return sorted(__all__)


_saving.register()
