"""Frames of a video or sound file as a trained model takes them: made with the backbone and the whitening of its own features."""

import os

import numpy as np

from yt8m.config import MAX_FRAMES
from yt8m.errors import UserError
from yt8m.features import backbones, origin, whitening
from yt8m.features.decode import Unusable
from yt8m.features.extraction import RAW, Settings, extract, floats
from yt8m.features.outputs import sha256
from yt8m.features.processes import threads_of
from yt8m.segments import quantise

# The whole of a file; of one without sound every second is silence, of one without pictures all are black.
SETTINGS = Settings(max_frames=MAX_FRAMES, missing_audio="silence", missing_video="black")
_DOWNLOADED = "keras_hub"  # what a name that came with a model would fetch from anywhere


class FileFeatures:
    """Makes frames of files.

    Args:
        trained: origin of the features that the model was trained on, as its ModelConfig.backbone.
        folder: of the model; holds whitening.npz where the backbone needs one.
        flag, weights_dir: what --backbone and --weights_dir are in place of what they were for the model's features; None: that.

    Attributes:
        backbone: the Backbone.
        flag, weights_dir: as they are now.
        whitening_file: path, or None: it needs none.

    Raises:
        UserError: it is not known what made the features, or it cannot be had, or is not the same any more.
    """

    def __init__(self, trained, folder, flag=None, weights_dir=None):
        self.flag = flag or _flag_of(trained)
        self.weights_dir = weights_dir or (trained or {}).get("weights_dir")
        self.backbone = backbones.build(self.flag, self.weights_dir)
        made = {**self.backbone.fingerprint(), "whitening": (trained or {}).get("whitening")}
        origin.check(trained, made, f"--backbone={self.flag}", "the model was trained on")
        self.whitening_file, self._whitening = None, None
        if self.backbone.NEEDS_WHITENING:
            self.whitening_file = os.path.join(folder, origin.WHITENING)
            self._whitening = _whitening(self.whitening_file, trained, self.backbone)

    def frames(self, path, names):
        """The frames of a file.

        Args:
            path: of the file.
            names: of the features, in their order.

        Returns:
            (uint8 [T, D], extraction.Facts)

        Raises:
            UserError: the file gives no features, or the model takes others.
        """
        others = [name for name in names if name not in ("rgb", "audio")]
        if others:
            raise UserError(f"{path}: the model takes {', '.join(others)}, and files give rgb and audio. Give frames.")
        try:
            features, facts = extract(path, self.backbone, SETTINGS, threads_of(1))
        except Unusable as error:
            raise UserError(f"{path}: {error}. Give a video or sound file.") from error
        if RAW in features:
            features["rgb"] = quantise(self._whitening.apply(floats(features[RAW])))
        return np.concatenate([features[name] for name in names], axis=1), facts


def keep_whitening(trained, pattern, folder):
    """Copies the whitening of the features that a run is trained on to the run's folder.

    Args:
        trained: origin of the features, or None.
        pattern: of the shards.
        folder: of the run.

    Raises:
        UserError: the folder cannot be written.
    """
    for source in origin.folders_of(pattern):
        path, target = os.path.join(source, origin.WHITENING), os.path.join(folder, origin.WHITENING)
        if trained and os.path.isfile(path) and sha256(path) == trained.get("whitening"):
            if not os.path.isfile(target) or sha256(target) != trained["whitening"]:
                whitening.load(path).save(target)
            return


def _flag_of(trained):
    """--backbone of the features that a model was trained on."""
    if trained is None:
        return origin.YOUTUBE_8M
    flag = trained.get("flag")
    if not flag:
        what = (
            f"features that are no backbone's of this package ({trained['name']})" if trained.get("name") else "features unknown"
        )
        raise UserError(f"the model was trained on {what}: it takes frames, not files. Give frames, or name a --backbone.")
    name, _, rest = flag.partition(":")
    if name == _DOWNLOADED and not os.path.isdir(rest.split(",")[0]):
        raise UserError(
            f"the model's features are of {flag}, which would be downloaded by a name that came with the model. Name it "
            f"yourself if you trust it: --backbone={flag}."
        )
    return flag


def _whitening(path, trained, backbone):
    if not os.path.isfile(path):
        raise UserError(f"{path}: not there, and the model's backbone needs it. Copy it from the folder of the model's features.")
    if (trained or {}).get("whitening") not in (None, sha256(path)):
        raise UserError(f"{path}: not the whitening of the features that the model was trained on. Copy theirs there.")
    return whitening.load(path, backbone.fingerprint())
