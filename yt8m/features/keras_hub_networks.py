"""The backbone `keras_hub:PRESET`: an image backbone of KerasHub with its preset's preprocessing."""

import os

import numpy as np

from yt8m.errors import UserError
from yt8m.features.backbones import notice, split_options
from yt8m.features.keras_networks import weights_digest
from yt8m.features.networks import ImageNetwork, size_option, take_options
from yt8m.registry import register


@register("backbone", "keras_hub")
class KerasHubNetwork(ImageNetwork):
    """See the module.

    Args:
        rest: "PRESET[,size=PIXELS]"; the preset is a name, which KerasHub downloads when it has not got it, or a folder. A size
            is needed only where the preset's converter has none.
        weights_dir: folder that may hold VGGish's files.

    Raises:
        UserError: KerasHub is not installed, or the preset cannot be had, or is none of pictures.
    """

    def __init__(self, rest="", weights_dir=None):
        text = f"keras_hub:{rest}"
        try:
            import keras_hub
        except ImportError as error:
            raise UserError(f"--backbone={text} needs KerasHub ({error}). Install it: pip install keras-hub") from error
        preset, options = split_options(os.path.expanduser(rest))
        take_options(text, options, ("size",))
        notice(f"{text}: KerasHub takes the preset from a folder or its cache, and downloads it if it is in neither.")
        try:
            self._network = keras_hub.models.Backbone.from_preset(preset)
            self._convert = keras_hub.layers.ImageConverter.from_preset(preset)
        except Exception as error:
            line = " ".join(str(error).split())[:200]
            raise UserError(f"--backbone={text}: the preset cannot be had ({line}). Name another, or a folder of one.") from error
        height, width = self._convert.image_size or (size_option(text, options, 224),) * 2
        files = {"preset": weights_digest(self._network)}
        super().__init__(
            f"keras_hub:{os.path.basename(preset.rstrip(os.sep)) if os.path.isdir(preset) else preset}",
            {"height": str(height), "width": str(width)},
            files,
            height,
            width,
            weights_dir,
        )
        self.measure()

    def outputs(self, pictures):
        outputs = self._network(self._convert(pictures.astype(np.float32)), training=False)
        if isinstance(outputs, dict):
            raise UserError(
                f"--backbone={self.fingerprint()['name']}: several outputs, {', '.join(outputs)}. Name a preset of one."
            )
        return np.asarray(outputs)
