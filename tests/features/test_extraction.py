"""What is kept of a file's features while it is decoded."""

import tracemalloc

import numpy as np
import pytest

from tests.features.clips import write_clip
from tests.features.stubs import Probe
from yt8m.features.extraction import RAW, Settings, extract

SECONDS, SIZE = 600, 6000


class Wide(Probe):
    """Many values a picture, from -2 to 2."""

    def __init__(self, needs_whitening):
        self.NEEDS_WHITENING = needs_whitening

    def video(self, prepared):
        return np.tile(super().video(prepared) / SECONDS * 4 - 2, SIZE)


@pytest.mark.parametrize(("needs_whitening", "name", "bytes_a_value"), [(False, "rgb", 1), (True, RAW, 4)])
def test_memory_is_that_of_the_features(tmp_path, needs_whitening, name, bytes_a_value):
    """Bytes from the start, but for whitening, which takes floats; both twice while they are put in the order of seconds."""
    path = write_clip(tmp_path / "clip.mov", np.arange(SECONDS))
    tracemalloc.start()
    frames, _ = extract(str(path), Wide(needs_whitening), Settings(max_frames=SECONDS))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert frames[name].shape == (SECONDS, SIZE * bytes_a_value)
    assert most < 2 * frames[name].nbytes + 5e6
