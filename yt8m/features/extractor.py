"""What becomes of a file: its frames, or why there are none. Without TensorFlow, unless the backbone has it."""

import dataclasses

from yt8m.errors import UserError
from yt8m.features import backbones
from yt8m.features.decode import Unusable
from yt8m.features.extraction import Facts, Skipped, extract, source_of


@dataclasses.dataclass(frozen=True, eq=False)
class Extracted:
    """A file's frames, as extraction.extract has them, its Facts, and what they were made of."""

    frames: dict
    facts: Facts
    source: dict


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a file gives no frames; skipped: the user wants it so."""

    reason: str
    skipped: bool = False


class Extractor:
    """Picklable; it builds its backbone where it is called.

    Args:
        backbone, weights_dir: as backbones.build's.
        settings: extraction.Settings.
        fingerprint: of the backbone.
        threads: that decode.
        built: the Backbone, if there is one already; it stays in this process.
        read: function with extraction.extract's arguments and results.
    """

    def __init__(self, backbone, weights_dir, settings, fingerprint, threads, built=None, read=None):
        self.backbone, self.weights_dir, self.settings = backbone, weights_dir, settings
        self.fingerprint, self.threads, self._built, self._read = fingerprint, threads, built, read

    def __getstate__(self):
        return {**self.__dict__, "_built": None}

    def __call__(self, item):
        """Extracted or Failure of an Item."""
        if self._built is None:
            self._built = backbones.build(self.backbone, self.weights_dir)
        try:
            source = source_of(item.path, self.settings, self.fingerprint)
            return Extracted(*(self._read or extract)(item.path, self._built, self.settings, self.threads), source)
        except Unusable as error:
            return Failure(str(error), isinstance(error, Skipped))
        except FileNotFoundError:
            return Failure("is not there")
        except UserError:
            raise
        except Exception as error:  # of FFmpeg, of the backbone, of memory: one bad file never ends a run
            return Failure(" ".join(f"{type(error).__name__}: {error}".split())[:300])


def of_killed(item):
    """The Failure of an Item whose process died."""
    return Failure("ended the process that decoded it (damaged, or too large for the memory)")
