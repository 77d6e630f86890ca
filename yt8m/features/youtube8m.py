"""The backbone `yt8m`: what YouTube-8M's features were made with, as far as it is public. For models trained on YouTube-8M.

Its values are similar to the dataset's, not equal: see docs/backbones.md.
"""

from yt8m.errors import UserError
from yt8m.features.backbones import Backbone, split_options
from yt8m.features.inception import Inception, resized
from yt8m.features.matrices import video_projection
from yt8m.features.vggish import SILENCE, Vggish
from yt8m.features.weights import AUDIO_PARTS, VIDEO_PARTS, needed, verify
from yt8m.registry import register


@register("backbone", "yt8m")
class YouTube8M(Backbone):
    """Inception-v3 of 2015 and VGGish, each with its published PCA and whitening.

    Args:
        rest: what follows `yt8m:`; "checksums=any" takes files that differ from the published ones, as long as shapes are right.
        weights_dir: folder of the published files.

    Raises:
        UserError: files are missing or wrong.
    """

    def __init__(self, rest="", weights_dir=None):
        options = split_options(f"yt8m,{rest}")[1] if rest else {}
        if options not in ({}, {"checksums": "any"}):
            raise UserError(f"--backbone=yt8m:{rest}: the only option is checksums=any. Use --backbone=yt8m.")
        parts = needed(weights_dir, (*VIDEO_PARTS, *AUDIO_PARTS))
        files = [file for part in parts.values() for file in part]
        if not options:
            try:
                verify(files)
            except UserError as error:
                raise UserError(f"{error} Or use it all the same: --backbone=yt8m:checksums=any.") from error
        self._network, self._projection = Inception(*parts["video network"]), video_projection(parts["video PCA"])
        self._sound = Vggish(weights_dir)
        self._fingerprint = {"name": "yt8m", "options": {}, "files": {file.name: file.digests[0]["sha256"] for file in files}}

    def prepare(self, frame):
        return resized(frame)

    def video(self, prepared):
        return self._projection.apply(self._network(prepared))

    def audio(self, samples):
        return self._sound(samples)

    def silence(self):
        return SILENCE.copy()

    def fingerprint(self):
        return self._fingerprint
