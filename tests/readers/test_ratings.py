"""The ratings of shards, without their frames."""

import dataclasses

import numpy as np

from tests.testing import write_frame_shards
from yt8m.readers.ratings import read_ratings


def test_read_ratings_needs_no_frames(rated, tmp_path):
    videos, pattern = rated
    ratings = read_ratings(pattern)
    starts = [10, 0, 10, 15, 10, 12, 90, 5]
    assert ratings.segment_ids.tolist() == [f"{id}:{start}" for id, start in zip(["aaaa"] * 4 + ["cccc"] * 4, starts)]
    np.testing.assert_array_equal(ratings.classes, [1, 2, 2, 8, 1, 1, 1, 7])
    np.testing.assert_array_equal(ratings.scores, [1, 1, 0, 1, 1, 1, 0, 0])
    bare = write_frame_shards(tmp_path / "bare", [[dataclasses.replace(video, frames={}) for video in videos]])
    np.testing.assert_array_equal(read_ratings(bare).classes, ratings.classes)
