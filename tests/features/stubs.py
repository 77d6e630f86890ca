"""A backbone that says which picture it was shown and how loud it was, and a function that kills its process."""

import os
import signal
import time

import numpy as np

from yt8m.features.backbones import Backbone
from yt8m.features.extraction import RAW, Settings, extract


class Probe(Backbone):
    """Features: the number that a picture shows (as what is not whitened it stays a float); the root mean square of a second."""

    NEEDS_WHITENING = True
    SIZES = {"rgb": 1, "audio": 1}

    def prepare(self, frame):
        from tests.features.clips import number_of

        return number_of(frame)

    def video(self, prepared):
        return np.array(prepared, np.float32)[:, None]

    def audio(self, samples):
        return np.sqrt((samples**2).mean(1, keepdims=True))

    def silence(self):
        return np.array([127], np.uint8)

    def fingerprint(self):
        return {"name": "probe", "options": {}, "files": {}}


def shown(path, **settings):
    """(numbers of the pictures that stand for the seconds, loudness of each second or None in silence, Facts) of a clip."""
    frames, facts = extract(str(path), Probe(), Settings(**settings))
    loudness = [None if byte == 127 else round((byte / 63.75 - 2), 1) for byte in frames["audio"].ravel().tolist()]
    return frames[RAW].view("<f4").ravel().astype(int).tolist(), loudness, facts


def kill_three(item):
    """The double of an item; 3 ends its process as the system does when memory is short."""
    if item == 3:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * item


def fail_three(item):
    if item == 3:
        raise ValueError("three")
    return 2 * item
