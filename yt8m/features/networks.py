"""What the backbones of any image network have in common: pictures of a size, batches, and a sound beside them."""

import hashlib

import numpy as np
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.features import sketch
from yt8m.features.backbones import Backbone
from yt8m.features.batching import in_batches
from yt8m.features.log_mel import PATCH
from yt8m.features.weights import AUDIO_PARTS, check_folder, part, verify
from yt8m.segments import quantise


class ImageNetwork(Backbone):
    """A network of pictures whose outputs need whitening; VGGish for the sound if its files are there, else the sketch's.

    Args:
        name: of the backbone, with the colon and the network's own.
        options: {name: text} that change the outputs.
        files: {name: sha256} of what the network was read from.
        height, width: of its pictures.
        weights_dir: folder that may hold VGGish's files, or None.

    Subclasses implement `outputs`, and call `measure` when they are ready.
    """

    NEEDS_WHITENING = True

    def __init__(self, name, options, files, height, width, weights_dir):
        self._height, self._width = height, width
        self._audio, self._silence, sound, sound_files = sound_beside(weights_dir)
        self._fingerprint = {"name": name, "options": {**options, "sound": sound}, "files": {**files, **sound_files}}

    def measure(self):
        """Finds out how many values a picture has, for SIZES.

        Raises:
            UserError: the outputs of two pictures are not two.
        """
        outputs = self.video([np.zeros((self._height, self._width, 3), np.uint8)] * 2)
        self.SIZES = {"rgb": outputs.shape[-1], "audio": len(self._silence)}

    def outputs(self, pictures):
        """uint8 [n, height, width, 3] -> float [n, D], or [n, ..., D], of which the mean is taken."""
        raise NotImplementedError

    def prepare(self, frame):
        return resized(frame, self._height, self._width)

    def video(self, prepared):
        return in_batches(lambda pictures: pooled(self.outputs(np.stack(pictures)), len(pictures), self), prepared)

    def audio(self, samples):
        return self._audio(samples)

    def silence(self):
        return self._silence.copy()

    def fingerprint(self):
        return self._fingerprint


def resized(frame, height, width):
    """A picture, RGB uint8 [H, W, 3], in another size: bilinear with antialiasing, whatever its proportions: uint8."""
    values = tf.image.resize(frame, (height, width), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8).numpy()


def pooled(outputs, count, backbone):
    """Outputs [n, ..., D] as float32 [n, D]: means over what is between (rows and columns, or tokens)."""
    outputs = np.asarray(outputs)
    if outputs.ndim < 2 or len(outputs) != count or outputs.dtype.kind != "f":
        shape, name = list(outputs.shape), backbone.fingerprint()["name"]
        raise UserError(
            f"--backbone={name}: {outputs.dtype} {shape} comes out for {count} pictures, expected floats [{count}, ..., D]."
        )
    return outputs.astype(np.float32).reshape(count, -1, outputs.shape[-1]).mean(axis=1)


def sound_beside(weights_dir):
    """(function of samples, bytes of silence, "vggish" or "sketch", {name: sha256}) for a network of pictures."""
    if weights_dir:
        check_folder(weights_dir)
    if not weights_dir or any(part(weights_dir, name) is None for name in AUDIO_PARTS):
        return sketch.sound_features, sketch.silence(), "sketch", {}
    from yt8m.features.vggish import Vggish

    verify([file for name in AUDIO_PARTS for file in part(weights_dir, name)])
    network = Vggish(weights_dir)
    silence = quantise(network(np.zeros((1, PATCH), np.float32)))[0]
    return network, silence, "vggish", {file.name: file.digests[0]["sha256"] for file in network.files}


def file_digest(path):
    """SHA-256, hexadecimal, of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()


def take_options(text, options, known):
    """Checks that only known options are given.

    Args:
        text: what --backbone was given, for messages.
        options: {name: text}.
        known: names.

    Raises:
        UserError: another is given.
    """
    for name in options:
        if name not in known:
            raise UserError(f"--backbone={text}: unknown option {name!r}. Use {', '.join(known)}.")


def size_option(text, options, default):
    """The option `size` as a whole number of pixels, or the default.

    Raises:
        UserError: it is none from 8 to 2048.
    """
    size = options.get("size", str(default))
    if not size.isdecimal() or not 8 <= int(size) <= 2048:
        raise UserError(f"--backbone={text}: size={size} is no number of pixels from 8 to 2048. Use size={default}.")
    return int(size)
