"""Smoothing and fusing of stored scores: against loops, and on scores whose best weights are known."""

import json
import os

import numpy as np
import pytest

from tests import commands
from tests.ensembles.rows import LABELS, NAMES, SEGMENTS, VIDEOS, draw, expected_lists, pairs_of, read, write_ratings, write_store
from yt8m import UserError, api
from yt8m.ensembles import fusion as fusions
from yt8m.ensembles.fused import FusedStores
from yt8m.metrics.segments import Ratings
from yt8m.readers.stores import StoreConfig, create_store, open_store

NUM_VIDEOS = sum(map(len, VIDEOS))


@pytest.fixture
def stores(tmp_path):
    """Folders of a store of segments and one of their videos, what they hold, and a pattern of ratings."""
    segments, videos = draw(1), draw(2, num_rows=NUM_VIDEOS)
    folders = write_store(tmp_path / "segments", segments), write_store(tmp_path / "videos", videos, kind="videos")
    return *folders, segments, videos, write_ratings(tmp_path)


def logit(p):
    p = np.clip(np.rint(np.float64(p) * 9999) / 9999, 5e-5, 1 - 5e-5)
    return np.log(p / (1 - p))


def smoothed_by_hand(x, w):
    """x [T, C] of a video."""
    out = np.zeros_like(x)
    for s in range(len(x)):
        weights = {s - 1: w, s: 1 - 2 * w, s + 1: w}
        there = {t: weight for t, weight in weights.items() if 0 <= t < len(x)}
        out[s] = sum(weight * x[t] for t, weight in there.items()) / sum(there.values())
    return out


def fused_by_hand(segments, videos, fusion):
    """Logits [N, C] of all rows."""
    rows = []
    for v in range(NUM_VIDEOS):
        x = logit(segments[v * SEGMENTS : (v + 1) * SEGMENTS])
        of_video = fusion.video * logit(videos[v]) + fusion.mean * x.mean(axis=0) + fusion.constant
        rows.append(fusion.segment * smoothed_by_hand(x, fusion.smoothing) + of_video)
    return np.concatenate(rows)


@pytest.mark.parametrize("w", fusions.KERNELS)
def test_smoothing_is_a_kernel_whose_ends_are_renormalised(w):
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    lengths = (4, 1, 2)
    firsts, linked = np.array([0, 4, 5]), np.array([1, 1, 1, 0, 0, 1], bool)
    found = fusions.terms_of(x, firsts, linked, None).smoothed(w)
    expected = np.concatenate([smoothed_by_hand(part, w) for part in np.split(x, np.cumsum(lengths)[:-1])])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_fit_finds_the_weights_that_made_the_ratings():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(4, 40_000)) * 2
    terms = fusions.Terms(parts[0], parts[1], np.full(40_000, 2.0), parts[2], parts[3])
    truth = fusions.Fusion(0.2, 0.9, 0.5, 0.0, -0.7)
    positive = rng.random(40_000) < 1 / (1 + np.exp(-truth.logits(terms)))
    fusion, loss = fusions.fit(terms, positive)
    assert fusion.smoothing == 0.2
    np.testing.assert_allclose(list(vars(fusion).values()), list(vars(truth).values()), atol=0.04)
    assert abs(loss - fusions.log_loss(truth.logits(terms), positive)) < 1e-3
    against = terms._replace(mean=-truth.logits(terms))  # best with a weight below 0
    assert fusions.fit(against, positive)[0].mean == 0
    with pytest.raises(UserError, match="5 ratings, 5 of them positive"):
        fusions.fit(fusions.Terms(*(part[:5] for part in terms)), np.ones(5))


def test_no_other_weights_explain_the_ratings_better():
    """The fit is the minimum under its bounds: nothing near it, and no bound that it leaves, is lower."""
    rng = np.random.default_rng(3)
    terms = fusions.Terms(*rng.normal(size=(5, 60)))._replace(num_neighbours=np.full(60, 2.0))
    positive = rng.random(60) < 0.4
    fusion, loss = fusions.fit(terms, positive)
    values = np.array(list(vars(fusion).values()))
    for _ in range(300):
        nearby = values + np.append(0, rng.normal(0, 0.05, 4))
        nearby[1:4] = np.maximum(nearby[1:4], 0)
        assert fusions.log_loss(fusions.Fusion(*nearby).logits(terms), positive) > loss - 1e-5


def test_pairs_are_those_of_the_rows(stores):
    folder, videos, scores, of_videos, pattern = stores
    names, labels, ratings = pairs_of(pattern)
    classes, labels_found, terms = FusedStores(folder, videos).pairs(Ratings(names, labels, ratings), "fit_on")
    assert [LABELS[c] for c in classes] == labels.tolist() and labels_found.tolist() == ratings.tolist()
    rows = np.array([NAMES.index(name) for name in names])
    fusion = fusions.Fusion(0.25, 1.0, 2.0, 3.0, 4.0)
    np.testing.assert_allclose(fusion.logits(terms), fused_by_hand(scores, of_videos, fusion)[rows, classes], rtol=1e-4)


def test_fused_scores_are_written_and_ranked(stores, tmp_path, capsys):
    folder, videos, scores, of_videos, pattern = stores
    paths = {"fusion_output": tmp_path / "fusion.json", "report_output": tmp_path / "report.json"}
    written = {"scores_output": tmp_path / "fused", "output_file": tmp_path / "out.csv"}
    fusion = api.fuse(scores=folder, video_scores=videos, fit_on=pattern, **paths, **written)
    expected = fused_by_hand(scores, of_videos, fusion)
    found = open_store(tmp_path / "fused")
    values = np.concatenate([found.read(shard).scores() for shard in found.shards()])
    np.testing.assert_allclose(values, 1 / (1 + np.exp(-expected)), atol=1e-4)
    for (label, listed), column in zip(read(tmp_path / "out.csv").items(), expected.T):
        assert label in LABELS and sorted(listed) == sorted(NAMES)
        assert np.diff(column[[NAMES.index(name) for name in listed]]).max() < 1e-5
    printed = capsys.readouterr().out
    assert "which video" in printed and "where in it" in printed and "elsewhere expect less" in printed
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["rows"][0]["name"], report["rows"][0]["classes_worse"]) == ("segments' scores", 0)
    fused = next(row for row in report["rows"] if row["name"] == "fused")
    assert abs(fused["map"] - report["full_lists"]) < 1e-6  # the lists hold every segment
    applied = f"--fusion={paths['fusion_output']}"
    again = tmp_path / "again.csv"
    assert commands.run("fuse", f"--scores={folder}", f"--video_scores={videos}", applied, f"--output_file={again}") is None
    assert again.read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_without_videos_and_weights_the_ranking_is_the_scores(stores, tmp_path):
    folder, _, scores, _, _ = stores
    fusions.Fusion(0.0, 1.0, 0.0, 0.0, -2.0).write(tmp_path / "same.json", {})
    api.fuse(scores=folder, fusion=tmp_path / "same.json", output_file=tmp_path / "out.csv")
    assert read(tmp_path / "out.csv") == expected_lists(np.rint(scores * 9999), len(NAMES))


def test_segments_that_do_not_follow_each_other_are_no_neighbours(tmp_path):
    store = create_store(tmp_path / "gap", StoreConfig("segments", LABELS))
    with store.writer("a.tfrecord") as shard:
        shard.add(np.array(["abcd"] * 3), np.array([0, 5, 20]), draw(0)[:3])
    (_, _, terms), *_ = FusedStores(tmp_path / "gap").blocks("a.tfrecord")
    assert terms.num_neighbours[:, 0].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(terms.smoothed(0.25)[2], terms.segment[2])


@pytest.mark.parametrize(
    "flags, message",
    [
        ({}, "give one of --fit_on"),
        ({"fit_on": "x", "fusion": "y"}, "give one of --fit_on"),
        ({"fusion": "missing.json"}, r"missing\.json: cannot be read"),
        ({"fusion": "x", "fusion_output": "y"}, "--fusion_output keeps what --fit_on finds"),
        ({"fusion": "x", "report_output": "y"}, "--report_output needs"),
        ({"fit_on": "x", "video_scores": "y", "candidate_classes": 3}, "--candidate_classes is about what is written"),
        ({"fit_on": "x", "output_file": "y", "candidate_classes": 3}, "--candidate_classes is for the scores of whole videos"),
        ({"fit_on": "nowhere*"}, "no file matches --fit_on='nowhere"),
    ],
)
def test_bad_flags(stores, tmp_path, flags, message):
    output = {"output_file": tmp_path / "out.csv"} if flags.get("fusion") == "missing.json" else {}
    with pytest.raises(UserError, match=message) as error:
        api.fuse(scores=stores[0], **flags, **output)
    assert "\n" not in str(error.value) and not os.path.exists(tmp_path / "out.csv")


def test_stores_and_files_of_other_kinds(stores, tmp_path):
    folder, videos, _, _, pattern = stores
    few = write_store(tmp_path / "few", draw(3, num_rows=NUM_VIDEOS)[:, :2], labels=LABELS[:2], kind="videos")
    (tmp_path / "bad.json").write_text('{"version": 1, "smoothing": -1, "segment": 1, "video": 0, "mean": 0, "constant": 0}')
    for given, message in [
        ({"scores": videos, "fit_on": pattern}, "holds scores of videos"),
        ({"scores": folder, "video_scores": folder, "fit_on": pattern}, "holds scores of segments"),
        ({"scores": folder, "video_scores": few, "fit_on": pattern}, "no scores of 1 of the 3 classes"),
        ({"scores": folder, "fit_on": pattern, "scores_output": folder}, "is read from"),
        ({"scores": folder, "fusion": tmp_path / "bad.json", "output_file": tmp_path / "x"}, "a weight below 0"),
        ({"fit_on": pattern}, "--scores is missing"),
    ]:
        with pytest.raises(UserError, match=message):
            api.fuse(**given)
