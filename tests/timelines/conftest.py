"""A small run with random weights, and shards."""

import pytest

from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import write_run


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The train_dir of a small attention model."""
    return write_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Pattern of rated shards: five videos, one longer than the models' max_frames, one with a label that they do not know."""
    lengths = {"v0": 23, "-v1": 5, "v/2": 61, "v3": 1, "v4": 30}
    videos = [
        make_video(name, length, labels=(3, 900) if name == "v4" else (3,), ratings=[(0, 3, 1.0), (0, 5, 0.0)])
        for name, length in lengths.items()
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:3], videos[3:]], "test")
