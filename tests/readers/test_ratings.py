"""The ratings of shards, without their frames."""

import dataclasses

import numpy as np

from tests.testing import write_frame_shards
from yt8m.readers.ratings import read_ratings


def test_read_ratings_needs_no_frames(rated, tmp_path):
    videos, pattern = rated
    ratings = read_ratings(pattern)
    assert ratings.video_ids.tolist() == ["aaaa"] * 4 + ["cccc"] * 4
    np.testing.assert_array_equal(ratings.start_times, [10, 0, 10, 15, 10, 12, 90, 5])
    np.testing.assert_array_equal(ratings.labels, [1, 2, 2, 8, 1, 1, 1, 7])
    np.testing.assert_array_equal(ratings.scores, [1, 1, 0, 1, 1, 1, 0, 0])
    bare = write_frame_shards(tmp_path / "bare", [[dataclasses.replace(video, frames={}) for video in videos]])
    np.testing.assert_array_equal(read_ratings(bare).labels, ratings.labels)
