"""The backbone `onnx:FILE`: an image network as an ONNX file."""

import os

import numpy as np

from yt8m.errors import UserError
from yt8m.features.backbones import split_options
from yt8m.features.networks import ImageNetwork, file_digest, size_option, take_options
from yt8m.registry import register

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
# Option `pixels` -> what is subtracted from red, green and blue in 0..255, and what then divides them.
PIXELS = {
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),  # torchvision's networks
    "clip": ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)),
    "unit": ((0, 0, 0), (255, 255, 255)),  # 0..1
    "signed": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),  # -1..1
    "bytes": ((0, 0, 0), (1, 1, 1)),  # 0..255
}


@register("backbone", "onnx")
class OnnxNetwork(ImageNetwork):
    """See the module.

    Args:
        rest: "FILE[,pixels=imagenet|clip|unit|signed|bytes][,size=PIXELS][,output=NAME]". Pixels as the network was trained on:
            imagenet unless it is said, bytes where the input is uint8. A size is needed only where the file has none; of several
            outputs the first is taken.
        weights_dir: folder that may hold VGGish's files.

    Raises:
        UserError: onnxruntime is not installed, or the file is missing, damaged, or none of pictures.
    """

    def __init__(self, rest="", weights_dir=None):
        self._text = text = f"onnx:{rest}"
        path, options = split_options(os.path.expanduser(rest))
        take_options(text, options, ("pixels", "size", "output"))
        self._session = open_session(text, path)
        self._input, self._type, self._channels_first, size, self._batch = _image_input(text, self._session)
        self._output = _output_name(text, self._session, options)
        height, width = (length or size_option(text, options, 224) for length in size)
        pixels = self._pixels(options)
        self._offset, self._scale = (np.array(values, np.float32) for values in PIXELS[pixels])
        settings = {"height": str(height), "width": str(width), "pixels": pixels, "output": self._output}
        name = os.path.basename(path)
        super().__init__(f"onnx:{name}", settings, {name: file_digest(path)}, height, width, weights_dir)
        self.measure()

    def _pixels(self, options):
        pixels = options.get("pixels", "bytes" if self._type is np.uint8 else "imagenet")
        if pixels not in PIXELS or (self._type is np.uint8 and pixels != "bytes"):
            choices = "bytes: the input is uint8" if self._type is np.uint8 else f"one of {', '.join(PIXELS)}"
            raise UserError(f"--backbone={self._text}: pixels={pixels}: use {choices}.")
        return pixels

    def outputs(self, pictures):
        values = ((pictures - self._offset) / self._scale).astype(self._type)
        if self._channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        step = self._batch or len(values)
        try:
            return np.concatenate([self._run(values[first : first + step], step) for first in range(0, len(values), step)])
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"--backbone={self._text}: the network fails ({_line(error)}). Name another file.") from error

    def _run(self, values, step):
        """The outputs of at most `step` pictures; a network of a fixed batch gets zeros behind them."""
        padded = np.concatenate([values, np.zeros((step - len(values), *values.shape[1:]), values.dtype)])
        outputs = self._session.run([self._output], {self._input: padded})[0]
        if outputs.ndim < 2 or len(outputs) != step:
            raise UserError(
                f"--backbone={self._text}: output {self._output} has shape {list(outputs.shape)}, expected [{step}, ..., D]."
            )
        if outputs.ndim == 4 and self._channels_first:
            outputs = outputs.transpose(0, 2, 3, 1)
        return outputs[: len(values)]


def open_session(text, path):
    """An onnxruntime.InferenceSession.

    Raises:
        UserError: onnxruntime is not installed, or the file is missing or damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"--backbone={text} needs onnxruntime. Install it: pip install 'yt8m[onnx]'") from error
    if not os.path.isfile(path):
        raise UserError(f"--backbone={text}: no file {path}. Name an ONNX file of an image network.")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # what fails is raised, too
    try:
        return onnxruntime.InferenceSession(path, settings, providers=onnxruntime.get_available_providers())
    except Exception as error:
        raise UserError(f"--backbone={text}: it is damaged, or no ONNX file ({_line(error)}). Name another.") from error


def _image_input(text, session):
    """(name, NumPy type, whether channels come first, (height, width) with None for any, batch or None for any)."""
    inputs = session.get_inputs()
    shapes = ", ".join(f"{value.name} {value.type} {value.shape}" for value in inputs)
    wanted = f"--backbone={text}: inputs {shapes}; expected one, of pictures [n, 3, H, W] or [n, H, W, 3]. Name another file."
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
        raise UserError(wanted)
    batch, *rest = (length if isinstance(length, int) and length > 0 else None for length in inputs[0].shape)
    if (rest[0] == 3) == (rest[2] == 3):
        raise UserError(wanted)
    first = rest[0] == 3
    return inputs[0].name, _TYPES[inputs[0].type], first, tuple(rest[1:] if first else rest[:2]), batch


def _output_name(text, session, options):
    names = [value.name for value in session.get_outputs()]
    name = options.get("output", names[0])
    if name not in names:
        raise UserError(f"--backbone={text}: no output {name!r}. Use one of {', '.join(names)}.")
    return name


def _line(error):
    return " ".join(str(error).split())[:200].rstrip(".")
