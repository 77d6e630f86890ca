"""Shards that several of the readers' tests read."""

import pytest

from tests.readers.annotated import CLASSES, LENGTHS, write_sidecars
from tests.testing import make_video, write_frame_shards


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """23 videos in 5 shards, one of them empty."""
    shards, number = [], 0
    for count in (7, 1, 0, 9, 6):
        shards.append([make_video(f"v{number + i:03d}", 1 + (number + i) % 4, [i % 10]) for i in range(count)])
        number += count
    return write_frame_shards(tmp_path_factory.mktemp("many"), shards)


@pytest.fixture
def rated(tmp_path):
    """Starts with several classes, at, past and up to the end, and videos without ratings."""
    videos = [
        make_video("aaaa", 20, [1, 2], [(10, 1, 1.0), (0, 2, 1.0), (10, 2, 0.0), (15, 8, 1.0)]),
        make_video("bbbb", 9, [1]),
        make_video("cccc", 12, [1], [(10, 1, 1.0), (12, 1, 1.0), (90, 1, 0.0), (5, 7, 0.0)]),
    ]
    return videos, write_frame_shards(tmp_path, [videos[:2], videos[2:]])


@pytest.fixture
def pattern(tmp_path):
    videos = {
        name: make_video(name, length, labels=[ord(name) % CLASSES], ratings=[(0, 3, 1.0), (5, 2, 0.0)] if name in "ac" else ())
        for name, length in LENGTHS.items()
    }
    return write_frame_shards(tmp_path / "data", [[videos["a"], videos["b"]], [videos["c"], videos["d"]], [videos["e"]]])


@pytest.fixture
def sidecars(pattern, tmp_path):
    return write_sidecars(tmp_path / "sidecars")
