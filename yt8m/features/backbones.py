"""Backbones: what turns pictures and sound into numbers. A registry, as the models have one.

A backbone is a class with @register("backbone", NAME) in a module of its own, which MODULES names, so that it is imported only
when it is asked for.
"""

import importlib
import multiprocessing
import os
import sys

from yt8m import registry
from yt8m.backend import check_backend
from yt8m.errors import UserError

# Name -> module of yt8m.features that registers it.
MODULES = {
    "keras": "keras_networks",
    "keras_hub": "keras_hub_networks",
    "onnx": "onnx_networks",
    "sketch": "sketch",
    "yt8m": "youtube8m",
}


class Backbone:
    """From pictures and a waveform to float features, which are quantised by their caller.

    A class is called with (rest, weights_dir): the text behind the colon of --backbone=NAME:REST ("" without one), which
    `split_options` divides, and the folder of --weights_dir or None. It raises a UserError for options or files that are wrong.

    Attributes:
        SIZES: {"rgb": dimensions of a picture, "audio": of a second of sound}, of the class or of the instance.
        NEEDS_WHITENING: the values that video() returns are of any scale: extraction first looks at up to 20,000 frames of all
            videos and fits yt8m.features.whitening to them, and SIZES["rgb"] is what it leaves of them. It then calls
            whitening.fit(float [n, D]) -> an object with size, apply(float [n, D]) -> float32 [n, size] and save(path), which
            whitening.load(path) reads.
    """

    SIZES = {"rgb": 1024, "audio": 128}
    NEEDS_WHITENING = False

    def prepare(self, frame):
        """A picture, RGB uint8 [H, W, 3] of any size, as the small array that is kept until its batch is full."""
        raise NotImplementedError

    def video(self, prepared):
        """A list of n prepared pictures -> float32 [n, D], whitened if the backbone has a whitening of its own."""
        raise NotImplementedError

    def audio(self, samples):
        """float32 [n, 15600] in [-1, 1] at 16 kHz -> float32 [n, D]."""
        raise NotImplementedError

    def silence(self):
        """uint8 [D of audio], the bytes of a second without sound."""
        raise NotImplementedError

    def fingerprint(self):
        """{"name": ..., "options": {...}, "files": {name: sha256}}; features of equal fingerprints can be compared."""
        raise NotImplementedError


def build(text, weights_dir=None):
    """The backbone of --backbone=NAME or --backbone=NAME:REST.

    Raises:
        UserError: no such backbone, bad options, or weight files that are missing or wrong.
    """
    name, _, rest = text.partition(":")
    if name not in MODULES:
        raise UserError(f"--backbone={text}: unknown. Use one of {', '.join(sorted(MODULES))}.")
    if name != "sketch":
        check_backend(f"--backbone={name}")
    importlib.import_module(f"yt8m.features.{MODULES[name]}")
    return registry.get("backbone", name)(rest, os.path.expanduser(weights_dir) if weights_dir else None)


def located(text):
    """The text of --backbone with the paths in it absolute."""
    name, colon, rest = text.partition(":")
    parts = rest.split(",")
    for number, part in enumerate(parts):
        option, equals, value = part.rpartition("=")
        path = os.path.expanduser(value)
        if (option == "weights" or (number == 0 and name in ("keras_hub", "onnx"))) and os.path.exists(path):
            parts[number] = f"{option}{equals}{os.path.abspath(path)}"
    return f"{name}{colon}{','.join(parts)}"


def notice(text):
    """Says something on standard error; nothing in the processes that share the work, which build the same backbone."""
    if multiprocessing.parent_process() is None:
        print(text, file=sys.stderr, flush=True)


def split_options(text):
    """("NAME", {"weights": "none"}) of "NAME,weights=none".

    Raises:
        UserError: an option that is not name=value.
    """
    name, *options = text.split(",")
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise UserError(f"--backbone=...:{text}: {wrong[0]!r} is not name=value. Write NAME,name=value,...")
    return name, dict(option.split("=", 1) for option in options)
