"""Makes the part of a file, and says what became of it."""

from yt8m.errors import UserError
from yt8m.features import backbones, parts
from yt8m.features.decode import Unusable
from yt8m.features.extraction import Skipped, extract

FAILED, SKIPPED = "failed", "skipped"


class Extractor:
    """Picklable; it builds its backbone where it is called.

    Args:
        folder: of the features.
        backbone, weights_dir: as backbones.build's.
        settings: extraction.Settings.
        fingerprint: of the backbone.
        threads: that decode.
        built: the Backbone, if there is one already; it stays in this process.
    """

    def __init__(self, folder, backbone, weights_dir, settings, fingerprint, threads, built=None):
        self.folder, self.backbone, self.weights_dir = folder, backbone, weights_dir
        self.settings, self.fingerprint, self.threads, self._built = settings, fingerprint, threads, built

    def __getstate__(self):
        return {**self.__dict__, "_built": None}

    def __call__(self, item):
        """Facts of an Item whose part has been written, or (FAILED or SKIPPED, reason).

        Raises:
            UserError: the part cannot be written.
        """
        if self._built is None:
            self._built = backbones.build(self.backbone, self.weights_dir)
        try:
            source = parts.source_of(item.path, self.settings, self.fingerprint)
            frames, facts = extract(item.path, self._built, self.settings, self.threads)
        except Skipped as reason:
            return SKIPPED, str(reason)
        except Unusable as reason:
            return FAILED, str(reason)
        except FileNotFoundError:
            return FAILED, "is not there"
        except UserError:
            raise
        except Exception as error:  # of FFmpeg, of the backbone, of memory: one bad file never ends a run
            return FAILED, " ".join(f"{type(error).__name__}: {error}".split())[:300]
        parts.save(self.folder, item.id, frames, facts, source)
        return facts


def of_killed(item):
    """What is returned for an Item whose process died."""
    return FAILED, "ended the process that decoded it (damaged, or too large for the memory)"
