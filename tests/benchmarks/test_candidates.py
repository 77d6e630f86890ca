"""MAP of lists of candidates: what is cut off and what no list has counts as missed."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))
import candidates
import cut_lists

from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.scoring.candidates import CandidateRules, ProposedVideos

SEGMENTS = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.9]])  # two of each of two videos
VIDEOS = np.array([[0.2, 0.9], [0.8, 0.1]])
TRUTH = np.array([[0, 0], [1, 0], [0, 1], [1, 0]], bool)


@pytest.fixture
def stores(tmp_path):
    """(ScoreStore of the segments, folder of the videos' scores)."""
    for kind, ids, starts, scores in (("segments", list("aabb"), [0, 5, 0, 5], SEGMENTS), ("videos", list("ab"), None, VIDEOS)):
        store = create_store(str(tmp_path / kind), StoreConfig(kind, (3, 8)))
        with store.writer("test0000.tfrecord") as shard:
            shard.add(np.array(ids), starts and np.array(starts), scores)
    return open_store(str(tmp_path / "segments")), str(tmp_path / "videos")


def test_what_a_list_has_no_place_for_is_missed(stores):
    whole = np.mean([(1 / 2 + 2 / 4) / 2, 1 / 2])  # class 3: rows 0 1 2 3, class 8: rows 3 2 1 0
    assert cut_lists.precisions_of_lists(stores[0], TRUTH, 4).mean() == pytest.approx(whole)
    assert cut_lists.precisions_of_lists(stores[0], TRUTH, 2) == pytest.approx([(1 / 2) / 2, 1 / 2])


def test_other_videos_segments_are_missed_unless_the_lists_are_filled(stores):
    def judged(fill):
        proposed = ProposedVideos(CandidateRules(videos=1), stores[1], stores[1] if fill else "")
        return cut_lists.precisions_of_lists(stores[0], TRUTH, 4, proposed)

    assert judged(fill=False) == pytest.approx([(1 / 2) / 2, 0])  # class 3: rows 2 3; class 8: rows 1 0
    assert judged(fill=True) == pytest.approx([(1 / 2 + 2 / 4) / 2, 1 / 3])  # then 0 1; then 2 3


def test_a_row_of_each_base_beside_its_own_lists():
    def classes(value):
        return np.array([value + 0.3, np.nan, value - 0.3])

    seeds = [
        {"attention": {"": classes(0.4 + 0.01 * seed), "some": classes(0.5 + 0.01 * seed), "other": np.array([0.8, np.nan, 0.0])}}
        for seed in (1, 2, 3)
    ]
    base, some, other = candidates.table(seeds)
    assert base["name"] == "attention" and some["gain"] == pytest.approx(0.1) and some["met"]
    assert other["baseline"] == "attention" and other["gain"] == pytest.approx(-0.02) and not other["met"]
    assert some["worse"] == 0 and other["worse"] == pytest.approx(0.5)
