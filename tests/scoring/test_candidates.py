"""Ranking in two steps: what the filters leave, how it is ranked, and how lists are filled."""

import numpy as np
import pytest

from tests.ensembles.rows import LABELS, NAMES, SEGMENTS, VIDEOS, draw, expected_lists, read, shard_name, write_store
from yt8m.api.scoring import check, proposed_videos
from yt8m.errors import UserError
from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.scoring.candidates import CandidateRules, ProposedVideos, candidate_ranking, logarithms
from yt8m.scoring.submission import write_submission

IDS = [video for of_shard in VIDEOS for video in of_shard]
OTHERS = (99, 17, 4, 30)  # the store of videos has a class more, and another order


@pytest.fixture
def scored(tmp_path):
    """A store of segments, one of videos in shards of other names, and the scores: [N, C] of LABELS, [V, 4] of OTHERS."""
    segments, videos = draw(5), np.round(np.random.default_rng(6).random((len(IDS), 4)), 1)
    store = open_store(write_store(tmp_path / "segments", segments))
    other = create_store(tmp_path / "videos", StoreConfig("videos", OTHERS))
    for name, part in (("a", slice(3, None)), ("b", slice(0, 3))):
        with other.writer(name) as shard:
            shard.add(np.array(IDS[part]), None, videos[part])
    return store, str(tmp_path / "videos"), np.rint(segments * 9999) / 9999, np.float32(np.rint(videos * 9999) / 9999)


def ranked(scored, rules, max_pred=240, fill=False):
    """{label: segments} as inference writes them."""
    store, folder, _, _ = scored
    proposed = ProposedVideos(rules, folder, folder if fill else "")
    ranking = candidate_ranking(store, store.shards(), LABELS, proposed, max_pred)
    for shard in store.shards():
        stored = store.read(shard)
        ranking.add(stored.ids, stored.starts, logarithms(stored.scores()))
    path = store.folder + ".csv"
    write_submission(path, LABELS, ranking.names(), max_pred)
    return read(path)


def by_hand(scored, keep, exponent=0.0):
    """The same by a loop: keep(video number, label) says whether a video is a candidate."""
    _, _, segments, videos = scored
    lists = {}
    for c, label in enumerate(LABELS):
        v = np.maximum(np.repeat(videos[:, OTHERS.index(label)].astype(np.float64), SEGMENTS), 1e-8)
        score = exponent * np.log(v) + (1 - exponent) * np.log(np.maximum(segments[:, c], 1e-8))
        rows = [i for i in np.argsort(-np.round(score, 5), kind="stable") if keep(i // SEGMENTS, label)]
        lists[label] = [NAMES[i] for i in rows]
    return lists


def order(videos, label):
    """Videos by falling score for a class, ties in their order."""
    return np.argsort(-videos[:, OTHERS.index(label)], kind="stable").tolist()


def test_without_filters_the_ranking_is_the_segments(scored):
    assert ranked(scored, CandidateRules()) == expected_lists(scored[2], len(NAMES))
    assert ranked(scored, CandidateRules(), max_pred=50) == expected_lists(scored[2], 50)


def test_exponents(scored):
    everything = by_hand(scored, lambda video, label: True, exponent=0.3)
    assert ranked(scored, CandidateRules(exponent=0.3)) == everything
    videos_alone = ranked(scored, CandidateRules(exponent=1.0))
    for label, segments in videos_alone.items():
        v = scored[3][:, OTHERS.index(label)]
        listed = [v[IDS.index(segment.split(":")[0])] for segment in segments]
        assert listed == sorted(listed, reverse=True)


def test_classes_among_the_videos_best(scored):
    videos = scored[3]
    for k in (1, 2, 3):
        best = [np.argsort(-row, kind="stable")[:k].tolist() for row in videos]
        expected = by_hand(scored, lambda video, label, best=best: OTHERS.index(label) in best[video])
        assert ranked(scored, CandidateRules(classes=k)) == expected


def test_scores_at_least(scored):
    expected = by_hand(scored, lambda video, label: scored[3][video, OTHERS.index(label)] >= np.float32(0.4))
    assert ranked(scored, CandidateRules(least_score=0.4)) == expected


def test_videos_among_the_classes_best(scored):
    for n in (1, 2, 4, 100):
        expected = by_hand(scored, lambda video, label, n=n: video in order(scored[3], label)[:n])
        assert ranked(scored, CandidateRules(videos=n)) == expected


def test_the_best_videos_until_there_are_segments_enough(scored):
    for n, count in ((1, 1), (SEGMENTS, 1), (SEGMENTS + 1, 2), (3 * SEGMENTS - 1, 3), (10**6, len(IDS))):
        expected = by_hand(scored, lambda video, label, count=count: video in order(scored[3], label)[:count])
        assert ranked(scored, CandidateRules(segments=n)) == expected


def test_filters_together(scored):
    videos = scored[3]

    def keep(video, label):
        allowed = [v for v in order(videos, label) if OTHERS.index(label) in np.argsort(-videos[v], kind="stable")[:2]]
        return video in allowed[:2]

    assert ranked(scored, CandidateRules(classes=2, videos=2, exponent=0.05)) == by_hand(scored, keep, exponent=0.05)


@pytest.mark.parametrize("max_pred", [len(NAMES), 70, 30])
def test_filling_neither_reorders_nor_repeats(scored, max_pred):
    rules = CandidateRules(videos=1, exponent=0.05)
    short, filled = ranked(scored, rules, max_pred), ranked(scored, rules, max_pred, fill=True)
    for label in LABELS:
        assert filled[label][: len(short[label])] == short[label]
        assert len(set(filled[label])) == len(filled[label]) == min(max_pred, len(NAMES))
        rest = [NAMES[v * SEGMENTS + s] for v in order(scored[3], label) for s in range(SEGMENTS)]
        assert (
            filled[label][len(short[label]) :]
            == [name for name in rest if name not in short[label]][: max_pred - len(short[label])]
        )


def test_a_video_without_a_score_is_named(scored, tmp_path):
    store = scored[0]
    other = create_store(tmp_path / "few", StoreConfig("videos", OTHERS))
    with other.writer(shard_name(0)) as shard:
        shard.add(np.array(IDS[:2]), None, scored[3][:2])
    with pytest.raises(UserError, match=r"few: no scores of 4 of 6 videos \(ijkl"):
        ranked((store, str(tmp_path / "few"), *scored[2:]), CandidateRules(videos=1))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"candidate_classes": -1}, "--candidate_classes=-1"),
        ({"candidate_score": 1.5}, "--candidate_score=1.5"),
        ({"video_exponent": -0.1}, "--video_exponent=-0.1"),
    ],
)
def test_rules_out_of_range(given, message):
    with pytest.raises(UserError, match=message):
        proposed_videos({"video_scores": "x", **given})


def test_flags_of_inference_that_do_not_go_together():
    for given, message in [
        ({"candidate_videos": 3}, "--candidate_videos is for the scores of whole videos"),
        ({"video_scores": "x"}, "Give --segment_labels"),
        ({"video_scores": "x", "segment_labels": True}, "Give --scores_output"),
        ({"video_scores": "x", "segment_labels": True, "worker_index": 0, "num_workers": 2}, "by one worker"),
        ({"video_scores": "x", "segment_labels": True, "scores_output": "y"}, "--video_scores=x proposes nothing without one of"),
    ]:
        with pytest.raises(UserError, match=message):
            check(given)
