"""Keras layers of the models, one a file, written with keras.ops only."""

import importlib
import pkgutil

from yt8m.layers.sparsemax import masked_softmax, sparsemax  # the functions take the place of the module of that name

__all__ = ["masked_softmax", "sparsemax"]

# Importing a file registers its layers; each is also here under its own name.
for _file in pkgutil.iter_modules(__path__):
    _module = importlib.import_module(f"{__name__}.{_file.name}")
    for _name, _thing in vars(_module).items():
        if isinstance(_thing, type) and _thing.__module__ == _module.__name__ and not _name.startswith("_"):
            globals()[_name] = _thing
            __all__.append(_name)
