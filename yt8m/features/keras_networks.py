"""The backbone `keras:NAME`: a network of keras.applications up to its last pooling, with its own size and preprocessing."""

import hashlib
import os
import types

import keras
import numpy as np
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.features.backbones import notice, split_options
from yt8m.features.networks import ImageNetwork, file_digest, size_option, take_options
from yt8m.registry import register

_SIZES = {
    **dict.fromkeys(("InceptionV3", "InceptionResNetV2", "Xception"), 299),
    "NASNetLarge": 331,
    **dict(zip((f"EfficientNetB{number}" for number in range(8)), (224, 240, 260, 300, 380, 456, 528, 600), strict=True)),
    **dict(zip((f"EfficientNetV2B{number}" for number in range(4)), (224, 240, 260, 300), strict=True)),
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
}
_SIZE = 224  # of the others


@register("backbone", "keras")
class KerasNetwork(ImageNetwork):
    """See the module.

    Args:
        rest: "NAME[,weights=imagenet|none|FILE][,size=PIXELS]". imagenet, the default: those that Keras keeps in
            ~/.keras/models, and downloads when they are not there, which is said first. none: random ones, always the same.
        weights_dir: folder that may hold VGGish's files.

    Raises:
        UserError: an unknown name or option, or weights that are missing, wrong or cannot be downloaded.
    """

    def __init__(self, rest="", weights_dir=None):
        text = f"keras:{rest}"
        name, options = split_options(rest)
        take_options(text, options, ("weights", "size"))
        module = applications().get(name)
        if module is None:
            raise UserError(f"--backbone={text}: unknown network {name!r}. Use one of {', '.join(sorted(applications()))}.")
        size = size_option(text, options, _SIZES.get(name, _SIZE))
        weights = os.path.expanduser(options.get("weights", "imagenet"))
        self._preprocess = module.preprocess_input
        network, files = build(text, name, weights, size)
        self._run = tf.function(lambda pictures: network(pictures, training=False), reduce_retracing=True)
        kind = weights if weights in ("imagenet", "none") else "file"
        super().__init__(f"keras:{name}", {"size": str(size), "weights": kind}, files, size, size, weights_dir)
        self.measure()

    def outputs(self, pictures):
        return self._run(self._preprocess(pictures.astype(np.float32), data_format="channels_last")).numpy()


def applications():
    """{name of a network of keras.applications: its module}."""
    modules = [value for value in vars(keras.applications).values() if isinstance(value, types.ModuleType)]
    modules = [module for module in modules if hasattr(module, "preprocess_input")]
    networks = {
        name: module for module in modules for name in vars(module) if hasattr(keras.applications, name) and name[0].isupper()
    }
    top = vars(keras.applications)
    mobile = {name: keras.applications.mobilenet_v3 for name in ("MobileNetV3Large", "MobileNetV3Small") if name in top}
    return {**networks, **mobile}


def build(text, name, weights, size):
    """(a network of keras.applications, {name: sha256} of its weights).

    Args:
        text: what --backbone was given, for messages.
        name: of the network.
        weights: "imagenet", "none" or a path.
        size: of its pictures.

    Raises:
        UserError: the weights are missing, wrong or cannot be downloaded, or the size does not do.
    """
    make, settings = getattr(keras.applications, name), {"include_top": False, "pooling": "avg", "input_shape": (size, size, 3)}
    if weights == "imagenet":
        folder = os.path.join(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"), "models")
        notice(f"{text}: its ImageNet weights are taken from {folder}; Keras downloads them if they are not there.")
        try:
            network = make(weights="imagenet", **settings)
        except Exception as error:
            raise UserError(
                f"--backbone={text}: no ImageNet weights in {folder}, and they cannot be downloaded ({_line(error)}). "
                "Put the file there, or name one with weights=FILE."
            ) from error
        return network, {"imagenet": weights_digest(network)}
    if weights != "none" and not os.path.isfile(weights):
        raise UserError(f"--backbone={text}: no file {weights}. Name a file of weights, or use weights=imagenet or weights=none.")
    try:
        network = make(weights=None, **settings)
    except ValueError as error:
        raise UserError(f"--backbone={text}: {_line(error)}. Leave out size.") from error
    if weights == "none":
        _set_random(network)
        return network, {"random": weights_digest(network)}
    try:
        network.load_weights(weights)
    except Exception as error:
        raise UserError(
            f"--backbone={text}: {weights} holds no weights of {name} without its top ({_line(error)}). Name another file."
        ) from error
    return network, {os.path.basename(weights): file_digest(weights)}


def weights_digest(network):
    """SHA-256, hexadecimal, of a network's weights."""
    digest = hashlib.sha256()
    for values in network.get_weights():
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _set_random(network):
    """He-normal kernels, the same in every process; those of depthwise convolutions are [rows, columns, channels, 1]."""
    random = np.random.default_rng(0)
    for variable in network.trainable_variables:
        if len(variable.shape) > 1:
            inputs = variable.shape[:2] if len(variable.shape) == 4 and variable.shape[-1] == 1 else variable.shape[:-1]
            variable.assign(random.standard_normal(variable.shape, np.float32) * np.float32(np.sqrt(2 / np.prod(inputs))))


def _line(error):
    return " ".join(str(error).split())[:200].rstrip(".")
