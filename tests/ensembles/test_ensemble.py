"""Ensembles of stores and of submissions against plain NumPy and SciPy, and what happens to bad ones."""

import json
import os

import numpy as np
import pytest
from scipy import optimize
from scipy.stats import rankdata

from tests import commands
from tests.testing import make_segments
from yt8m.cli.ensemble import COMMAND
from yt8m.ensembles import lists as ensemble_lists
from yt8m.ensembles import stores as ensemble_stores
from yt8m.ensembles import weights as ensemble_weights
from yt8m.errors import UserError
from yt8m.metrics import Ratings, segment_average_precisions, segment_metrics_from_pairs
from yt8m.readers.records import Video, encode_video, write_shard
from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.scoring.submission import read_submission, write_submission

LABELS = (30, 4, 17)
VIDEOS = [["abcd", "efgh", "ijkl"], ["mnop"], ["qrst", "uvwx"]]  # a list a shard
SEGMENTS = 40  # of a video


def shard_name(number):
    return f"test{number:04d}.tfrecord"


def segments_of(number):
    ids = np.repeat(VIDEOS[number], SEGMENTS)
    return ids, np.tile(np.arange(SEGMENTS) * 5, len(VIDEOS[number]))


NAMES = [f"{v}:{s}" for n in range(len(VIDEOS)) for v, s in zip(*segments_of(n))]


def write_store(folder, scores, labels=LABELS, dtype="uint16", run=None, kind="segments"):
    """A store of the rows in NAMES (of their videos), scores [N, C]."""
    store = create_store(folder, StoreConfig(kind, labels, dtype, run=run or {"model": folder.name}))
    begin = 0
    for number, videos in enumerate(VIDEOS):
        ids, starts = segments_of(number) if kind == "segments" else (np.array(videos), None)
        with store.writer(shard_name(number)) as shard:
            shard.add(ids, starts, scores[begin : begin + len(ids)])
        begin += len(ids)
    return str(folder)


def draw(seed, levels=None, num_rows=240):
    rng = np.random.default_rng(seed)
    if levels:
        return rng.integers(0, levels, (num_rows, len(LABELS))) / 9999
    return rng.random((num_rows, len(LABELS))) ** 3


def stored(scores):
    return np.rint(np.float32(scores) * np.float32(9999))


def read(path):
    return {c: segments.tolist() for c, segments in read_submission(path)}


def expected_lists(scores, n, labels=LABELS):
    """By falling score, ties in the order of the rows."""
    return {
        label: [NAMES[i] for i in np.argsort(-column, kind="stable")[:n]] for label, column in zip(labels, np.asarray(scores).T)
    }


def run(*arguments):
    COMMAND.run([str(argument) for argument in arguments], "yt8m ensemble")


@pytest.fixture
def three(tmp_path):
    """Three stores, mostly ties, and what they hold."""
    scores = [draw(seed, levels=4) for seed in range(3)]
    return [write_store(tmp_path / f"run{k}", own) for k, own in enumerate(scores)], [stored(own) for own in scores]


# ---------------------------------------------------------------- mean


@pytest.mark.parametrize("weights", [None, (1, 2, 1), (0.3, 0, 0.1)])
def test_mean_is_numpys(tmp_path, three, weights):
    folders, values = three
    given = [] if weights is None else ["--weights=" + ",".join(map(str, weights))]
    run(*folders, f"--output_file={tmp_path}/out.csv", "--max_pred=90", f"--scores_output={tmp_path}/mean", *given)
    mean = np.average(values, axis=0, weights=weights)
    assert read(tmp_path / "out.csv") == expected_lists(np.round(mean, 9), 90)
    store = open_store(tmp_path / "mean")
    assert (store.config.kind, store.config.label_ids, store.config.dtype) == ("segments", LABELS, "uint16")
    assert store.config.run["ensemble"] == [{"model": f"run{k}"} for k in range(3)]
    found = [store.read(shard) for shard in store.shards()]
    np.testing.assert_allclose(np.concatenate([part.values for part in found]), mean, atol=0.5 + 1e-3)
    assert [f"{v}:{s}" for part in found for v, s in zip(part.ids, part.starts)] == NAMES


def test_equal_sums_are_ties(tmp_path):
    """Sums of seven that are equal as integers; as sums of float32 probabilities many would differ in the last bit."""
    values = np.stack([draw(k, levels=60) for k in range(7)])
    folders = [write_store(tmp_path / f"run{k}", own) for k, own in enumerate(values)]
    run(*folders, f"--output_file={tmp_path}/out.csv")
    assert read(tmp_path / "out.csv") == expected_lists(stored(values).sum(axis=0), len(NAMES))


def test_uint16_and_float16_members_mix(tmp_path):
    scores = [draw(1), draw(2)]
    folders = [write_store(tmp_path / dtype, own, dtype=dtype) for dtype, own in zip(("float16", "uint16"), scores)]
    run(*folders, f"--scores_output={tmp_path}/mean", "--weights=1,3")
    store = open_store(tmp_path / "mean")
    assert store.config.dtype == "float16"
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    np.testing.assert_allclose(found, (scores[0] + 3 * scores[1]) / 4, atol=1e-3)


def test_classes_in_another_order_and_a_choice_of_them(tmp_path):
    scores = [draw(1), draw(2)]
    folders = [write_store(tmp_path / "a", scores[0]), write_store(tmp_path / "b", scores[1][:, [2, 0, 1]], labels=(17, 30, 4))]
    run(*folders, f"--output_file={tmp_path}/out.csv")
    mean = stored(scores[0]) + stored(scores[1])
    assert read(tmp_path / "out.csv") == expected_lists(mean, len(NAMES))
    (tmp_path / "ids.csv").write_text("Index\n17\n30\n")
    run(*folders, f"--output_file={tmp_path}/out.csv", f"--segment_label_ids_file={tmp_path}/ids.csv", "--max_pred=7")
    assert read(tmp_path / "out.csv") == expected_lists(mean[:, [2, 0]], 7, (17, 30))
    assert list(read(tmp_path / "out.csv")) == [17, 30]


def test_one_store_is_written_as_it_is(tmp_path, three):
    run(three[0][1], f"--output_file={tmp_path}/out.csv", "--max_pred=50")
    assert read(tmp_path / "out.csv") == expected_lists(three[1][1], 50)


def test_more_rows_than_are_read_at_a_time(tmp_path, three, monkeypatch):
    run(*three[0], f"--output_file={tmp_path}/whole.csv", f"--scores_output={tmp_path}/whole")
    monkeypatch.setattr(ensemble_stores, "ROWS_AT_A_TIME", 7)
    run(*three[0], f"--output_file={tmp_path}/parts.csv", f"--scores_output={tmp_path}/parts")
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "parts.csv").read_bytes()
    for shard in open_store(tmp_path / "whole").shards():
        whole, parts = (open_store(tmp_path / name).read(shard).values for name in ("whole", "parts"))
        np.testing.assert_array_equal(whole, parts)


def test_a_mean_that_is_partly_there_is_completed(tmp_path, three):
    run(*three[0], f"--scores_output={tmp_path}/mean")
    before = (tmp_path / "mean" / f"{shard_name(1)}.scores.npy").read_bytes()
    untouched = (tmp_path / "mean" / f"{shard_name(0)}.scores.npy").stat().st_mtime_ns
    os.remove(tmp_path / "mean" / f"{shard_name(1)}.segments.csv")
    run(*three[0], f"--scores_output={tmp_path}/mean")
    assert (tmp_path / "mean" / f"{shard_name(1)}.scores.npy").read_bytes() == before
    assert (tmp_path / "mean" / f"{shard_name(0)}.scores.npy").stat().st_mtime_ns == untouched
    with pytest.raises(UserError, match=r"scores of another run: its run.weights\[0\]"):
        run(*three[0], f"--scores_output={tmp_path}/mean", "--weights=2,1,1")


def test_scores_of_videos_give_a_store_of_videos(tmp_path):
    count = sum(map(len, VIDEOS))
    scores = [draw(k, num_rows=count) for k in range(2)]
    folders = [write_store(tmp_path / f"run{k}", own, kind="videos") for k, own in enumerate(scores)]
    run(*folders, f"--scores_output={tmp_path}/mean")
    store = open_store(tmp_path / "mean")
    assert store.config.kind == "videos"
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    np.testing.assert_allclose(found, np.mean(scores, axis=0), atol=1e-4)
    with pytest.raises(UserError, match="scores of videos"):
        run(*folders, f"--output_file={tmp_path}/out.csv")


# ---------------------------------------------------------------- ranks


@pytest.mark.parametrize("dtype, levels", [("uint16", 4), ("uint16", None), ("float16", 4), ("float16", None)])
@pytest.mark.parametrize("weights", [None, (1, 5, 2)])
def test_ranks_are_scipys(tmp_path, dtype, levels, weights):
    scores = [draw(seed, levels) for seed in range(3)]
    folders = [write_store(tmp_path / f"run{k}", own, dtype=dtype) for k, own in enumerate(scores)]
    given = [] if weights is None else ["--weights=" + ",".join(map(str, weights))]
    run(*folders, "--method=rank", f"--output_file={tmp_path}/out.csv", *given)
    values = [np.float16(own) if dtype == "float16" else stored(own) for own in scores]
    ranks = [(rankdata(np.float64(own), axis=0) - len(own)) / (len(own) - 1) for own in values]
    mean = np.average(ranks, axis=0, weights=weights)
    assert read(tmp_path / "out.csv") == expected_lists(np.round(mean, 12), len(NAMES))

    members = ensemble_stores.Members(folders)
    measure = ensemble_stores.Ranks(members)
    given = np.ones((3, 1)) if weights is None else np.array(weights, float)[:, None]
    found = [s for _, _, s in ensemble_stores.averaged_blocks(members, measure, np.repeat(given, 3, axis=1))]
    np.testing.assert_allclose(np.concatenate(found), mean, rtol=2e-7, atol=1e-9)


def test_a_float16_that_rounding_put_below_zero_ranks_as_zero(tmp_path):
    scores = draw(0)
    scores[5], scores[6], scores[7] = -1e-6, -0.0, 0.0
    members = ensemble_stores.Members([write_store(tmp_path / "a", scores, dtype="float16")])
    blocks = ensemble_stores.averaged_blocks(members, ensemble_stores.Ranks(members), np.ones((1, len(LABELS))))
    found = np.concatenate([scores for _, _, scores in blocks])
    expected = (rankdata(np.float64(np.maximum(np.float16(scores), 0)), axis=0) - len(NAMES)) / (len(NAMES) - 1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_ranks_of_one_row():
    counts = np.array([[0, 1, 0]], np.uint32)
    assert ensemble_stores._twice_the_rows_above(counts, 1).tolist() == [0, 0, 0]


def brute_force_lists(lists, weights, n):
    size, points, seen = max(map(len, lists)), {}, []
    for weight, own in zip(weights, lists):
        for r, segment in enumerate(own):
            if segment not in seen:
                seen.append(segment)
            if own.index(segment) == r:
                points[segment] = points.get(segment, 0) + weight * (1 - r / size)
    ranked = sorted(seen, key=lambda segment: -round(points[segment], 9))
    return [segment for segment in ranked if points[segment] > 0][:n]


@pytest.fixture
def submissions(tmp_path):
    """Three submissions: their classes in different orders, lists of different lengths, a class missing, one empty."""
    rng = np.random.default_rng(3)
    lists = [
        {label: rng.permutation(NAMES)[: rng.integers(5, 220)].tolist() for label in rng.permutation(LABELS).tolist()}
        for _ in range(3)
    ]
    del lists[1][4]
    lists[2][17] = []
    for k, own in enumerate(lists):
        write_submission(tmp_path / f"{k}.csv", list(own), own.values())
    return [str(tmp_path / f"{k}.csv") for k in range(3)], lists


@pytest.mark.parametrize("weights", [None, (1, 2, 1), (0, 1, 3)])
def test_rank_average_of_submissions(tmp_path, submissions, weights, capsys):
    paths, lists = submissions
    given = [] if weights is None else ["--weights=" + ",".join(map(str, weights))]
    run(*paths, f"--output_file={tmp_path}/out.csv", "--max_pred=140", *given)
    expected = {label: brute_force_lists([own.get(label, []) for own in lists], weights or (1, 1, 1), 140) for label in LABELS}
    assert read(tmp_path / "out.csv") == expected
    assert list(read(tmp_path / "out.csv")) == list(lists[0])
    assert f"{paths[1]} lists nothing for 1 of 3 classes" in capsys.readouterr().out


def test_a_repeated_segment_counts_once():
    lists = [np.array(["a:0", "b:0", "a:0"]), np.array(["b:0"])]
    assert ensemble_lists.rank_average(lists, (1, 1), 9).tolist() == brute_force_lists([x.tolist() for x in lists], (1, 1), 9)
    assert ensemble_lists.rank_average(lists, (1, 1), 9).tolist() == ["b:0", "a:0"]


# ---------------------------------------------------------------- fitted weights


def planted(seed, num_members=3, num_classes=2, n=400):
    """Ratings of classes; in class c member c % K knows them, the others say noise."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(num_classes), n)
    labels = rng.integers(0, 2, len(classes))
    probabilities = rng.uniform(0.05, 0.95, (len(classes), num_members))
    knows = np.where(labels > 0, rng.uniform(0.6, 0.95, len(labels)), rng.uniform(0.05, 0.4, len(labels)))
    probabilities[np.arange(len(classes)), classes % num_members] = knows
    order = rng.permutation(len(classes))
    return probabilities[order], labels[order], classes[order]


def test_fitted_weights_find_the_good_member():
    probabilities, labels, classes = planted(0)
    weights = ensemble_weights.fit(probabilities, labels, classes, 3, prior=0)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert weights[0, 0] > 0.99 and weights[1, 1] > 0.99
    np.testing.assert_allclose(weights[:, 2], 1 / 3)  # a class without ratings


@pytest.mark.parametrize("prior", [0, 5, 30])
@pytest.mark.parametrize("seed", range(3))
def test_fitted_weights_are_the_minimum(seed, prior):
    """Against SciPy's constrained minimiser; few, alike and correlated members, which is the slow case."""
    rng = np.random.default_rng(seed)
    n, k = 60, 5
    labels = rng.integers(0, 2, n)
    shared = np.where(labels > 0, 0.6, -0.6) + rng.normal(size=n)
    probabilities = 1 / (1 + np.exp(-(shared[:, None] + rng.normal(size=(n, k)) * np.linspace(0.3, 1.5, k))))
    likelihoods = ensemble_weights.likelihoods_of(probabilities, labels)

    def objective(weights):
        return (-np.log(likelihoods @ weights).sum() - prior / k * np.log(weights).sum()) / (n + prior)

    found = ensemble_weights.fit(probabilities, labels, np.zeros(n, int), 1, prior, tolerance=1e-7, max_iterations=100_000)[:, 0]
    best = optimize.minimize(
        objective,
        np.full(k, 1 / k),
        method="SLSQP",
        bounds=[(1e-9, 1)] * k,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert best.success
    assert objective(np.maximum(found, 1e-300)) <= best.fun + 2e-7
    if prior:
        np.testing.assert_allclose(found, best.x, atol=2e-3)


def test_the_prior_pulls_to_equal_weights():
    probabilities, labels, classes = planted(1)
    spread = [np.ptp(ensemble_weights.fit(probabilities, labels, classes, 2, prior)[:, 0]) for prior in (0, 30, 300, 1e9)]
    assert spread == sorted(spread, reverse=True) and spread[0] > 0.9 and spread[-1] < 1e-3


def test_scores_of_zero_and_one_do_not_break_the_fit():
    probabilities = np.array([[0, 1, 0.5], [1, 0, 0.5], [0, 0, 0.5]])
    weights = ensemble_weights.fit(probabilities, np.array([1, 0, 1]), np.zeros(3, int), 1)
    assert np.isfinite(weights).all() and weights[1, 0] > weights[0, 0]


RATED = [(0, 30, 1), (5, 30, 0), (10, 30, 1), (15, 30, 0), (20, 4, 1), (25, 4, 0), (30, 4, 0), (35, 17, 0), (40, 999, 1)]


def write_ratings(folder, prefix="validate", seed=0):
    """Rated shards of the videos in VIDEOS; classes 30 and 4 have positives, 17 has none, 999 is no class of the stores."""
    rng = np.random.default_rng(seed)
    for number, videos in enumerate(VIDEOS):
        records = []
        for video in videos:
            seen = rng.random(len(RATED)) < 0.8
            ratings = [(start, label, score if label == 999 else score * own) for (start, label, score), own in zip(RATED, seen)]
            records.append(encode_video(Video(video, {}, np.array([30]), make_segments(ratings))))
        write_shard(folder / f"{prefix}{number:04d}.tfrecord", records)
    return str(folder / f"{prefix}*.tfrecord")


def pairs_of(pattern):
    """(names, label ids, scores) of the ratings of LABELS."""
    from yt8m.readers.datasets import read_ratings

    rated = read_ratings(pattern)
    kept = np.isin(rated.labels, LABELS)
    names = np.array([f"{v}:{s}" for v, s in zip(rated.video_ids, rated.start_times)])
    return names[kept], rated.labels[kept], rated.scores[kept]


def figures_of(scores, pattern):
    """MAP and AUC by hand: scores [N, C] of NAMES."""
    names, labels, ratings = pairs_of(pattern)
    rows = np.array([NAMES.index(name) for name in names])
    classes = np.array([LABELS.index(label) for label in labels])
    metrics = segment_metrics_from_pairs(classes, np.asarray(scores, np.float64)[rows, classes], ratings, len(LABELS))
    return metrics["map"], metrics["auc"]


def assert_figures(found, scores, pattern):
    np.testing.assert_allclose((found["map"], found["auc"]), figures_of(scores, pattern), atol=1e-12)


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("method", ["mean", "rank"])
def test_report_holds_what_separate_ensembles_have(tmp_path, method, levels):
    pattern = write_ratings(tmp_path)
    scores = [draw(seed, levels) for seed in range(3)]
    folders = [write_store(tmp_path / f"run{k}", own) for k, own in enumerate(scores)]
    run(*folders, f"--method={method}", "--weights=2,1,1", f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    values = [rankdata(stored(own), axis=0) if method == "rank" else stored(own) for own in scores]
    weights = (2, 1, 1)
    assert_figures(report["ensemble"], np.average(values, axis=0, weights=weights), pattern)
    assert [member["name"] for member in report["members"]] == ["run0", "run1", "run2"]
    assert [member["weight"] for member in report["members"]] == [0.5, 0.25, 0.25]
    for k, member in enumerate(report["members"]):
        assert_figures(member, values[k], pattern)
        others = [i for i in range(3) if i != k]
        rest = np.average([values[i] for i in others], axis=0, weights=[weights[i] for i in others])
        assert_figures(member["without"], rest, pattern)
        assert member["gain"] == pytest.approx(report["ensemble"]["map"] - member["without"]["map"])
    assert report["warning"] == "" and 0 < report["chance"] < 1


def test_without_the_only_member_that_weighs_there_is_nothing(tmp_path, three, capsys):
    pattern = write_ratings(tmp_path)
    run(*three[0][:2], "--weights=1,0", f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json")
    members = json.loads((tmp_path / "r.json").read_text())["members"]
    assert members[0]["without"] is None and members[0]["gain"] is None and members[1]["gain"] == 0
    run(three[0][0], f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json")
    assert json.loads((tmp_path / "r.json").read_text())["members"][0]["without"] is None
    assert "random order" in capsys.readouterr().out


def knowing(pattern, label, seed):
    """Scores that know the ratings of one class and guess the others."""
    scores = draw(seed)
    for name, own, rating in zip(*pairs_of(pattern)):
        if own == label:
            scores[NAMES.index(name), LABELS.index(label)] = 0.8 if rating else 0.2
    return scores


def test_fit_write_read_and_use(tmp_path, capsys):
    pattern = write_ratings(tmp_path)
    scores = [knowing(pattern, label, k) for k, label in enumerate((30, 4))]
    folders = [write_store(tmp_path / f"run{k}", own, run={"members": [k], "skip": 0}) for k, own in enumerate(scores)]
    skipping = [write_store(tmp_path / f"skip{k}", own, run={"members": [k], "skip": 6}) for k, own in enumerate(scores)]
    fit = [*folders, f"--fit_on={pattern}", "--fit_prior=2"]
    run(*fit, f"--weights_output={tmp_path}/w.json", f"--output_file={tmp_path}/fitted.csv")
    assert "Fitted the weights of 3 classes on 48 rated pairs" in capsys.readouterr().out
    weights = ensemble_weights.read(f"{tmp_path}/w.json", LABELS)
    assert weights[0, 0] > 0.75 and weights[1, 1] > 0.75
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-5)
    run(*skipping, f"--weights={tmp_path}/w.json", f"--output_file={tmp_path}/used.csv")
    assert "Note" not in capsys.readouterr().out
    assert read(tmp_path / "used.csv") == read(tmp_path / "fitted.csv")
    values = [np.concatenate([open_store(f).read(s).values for s in open_store(f).shards()]) for f in folders]
    mean = np.float32(sum(w * v for w, v in zip(weights, values)) / weights.sum(axis=0) / 9999)
    assert read(tmp_path / "used.csv") == expected_lists(mean, len(NAMES))

    with pytest.raises(UserError, match="member 1 here was member 2"):
        run(*skipping[::-1], f"--weights={tmp_path}/w.json", f"--output_file={tmp_path}/used.csv")
    with pytest.raises(UserError, match="weights of 2 members, not of 1"):
        run(folders[0], f"--weights={tmp_path}/w.json", f"--output_file={tmp_path}/used.csv")
    other = write_store(tmp_path / "other", draw(9), run={"members": [9]})
    run(folders[0], other, f"--weights={tmp_path}/w.json", f"--output_file={tmp_path}/used.csv")
    assert "member 2 in" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"no weights for 1 of 2 classes \(5, \.\.\.\)"):
        ensemble_weights.read(f"{tmp_path}/w.json", [30, 5])


def test_leave_one_out_fits_anew_and_says_when_it_flatters(tmp_path, capsys):
    pattern = write_ratings(tmp_path)
    scores = [knowing(pattern, 30, 0), draw(1), knowing(pattern, 4, 2)]
    folders = [write_store(tmp_path / f"run{k}", own) for k, own in enumerate(scores)]
    one = str(tmp_path / "validate0001.tfrecord")
    judged = [f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json"]
    run(*folders, f"--fit_on={one}", *judged)
    report = json.loads((tmp_path / "r.json").read_text())
    assert "fitted on 1 of these 3 shards" in report["warning"]
    assert "fitted on 1 of these 3 shards" in capsys.readouterr().out
    for k in range(3):
        rest = [folder for i, folder in enumerate(folders) if i != k]
        run(*rest, f"--fit_on={one}", f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/rest.json")
        separate = json.loads((tmp_path / "rest.json").read_text())["ensemble"]
        assert report["members"][k]["without"] == pytest.approx(separate, abs=1e-9)


def test_report_of_submissions(tmp_path, submissions):
    paths, lists = submissions
    pattern = write_ratings(tmp_path)
    names, labels, scores = pairs_of(pattern)
    ratings = Ratings(np.append(names, "abcd:40"), np.append(labels, 999), np.append(scores, 1))
    n = 150

    def separate(members):
        ranked = {c: brute_force_lists([m.get(c, []) for m in members], [1] * len(members), n) for c in LABELS}
        return segment_average_precisions(ranked, ratings, n).mean

    run(*paths, f"--max_pred={n}", f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["ensemble"] == {"map": pytest.approx(separate(lists)), "auc": None}
    for k, member in enumerate(report["members"]):
        assert member["map"] == pytest.approx(separate([lists[k]]))
        assert member["without"]["map"] == pytest.approx(separate([own for i, own in enumerate(lists) if i != k]))


def test_report_of_submissions_of_chosen_classes(tmp_path, submissions):
    pattern = write_ratings(tmp_path)
    (tmp_path / "ids.csv").write_text("30\n")
    run(
        *submissions[0],
        f"--segment_label_ids_file={tmp_path}/ids.csv",
        f"--eval_data_pattern={pattern}",
        f"--report_output={tmp_path}/r.json",
    )
    names, labels, scores = pairs_of(pattern)
    own = labels == 30
    ranked = {30: brute_force_lists([lists[30] for lists in submissions[1]], (1, 1, 1), 10**5)}
    expected = segment_average_precisions(ranked, Ratings(names[own], labels[own], scores[own])).mean
    assert json.loads((tmp_path / "r.json").read_text())["ensemble"]["map"] == pytest.approx(expected)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--weights=1,2"], "2 weights for 3 members"),
        (["--weights=1,-2,1"], "negative"),
        (["--weights=1,nan,1"], "no number"),
        (["--weights=1,two,1"], "expected numbers"),
        (["--weights=0,0,0"], "all weights are 0"),
        (["--weights=none.json"], r"none\.json: cannot be read"),
        (["--method=median"], "use one of mean, rank"),
        (["--max_pred=0"], "--max_pred=0"),
        (["--max_pred=many"], "invalid int value"),
        (["--fit_prior=-1"], "--fit_prior=-1.0"),
        (["--method=rank", "--scores_output=x"], "--scores_output is for probabilities"),
        (["--method=rank", "--fit_on=x"], "--fit_on is for probabilities"),
        (["--fit_on=x", "--weights=1,1,1"], "Leave one of them out"),
        (["--weights_output=x"], "--weights_output needs --fit_on"),
        (["--report_output=x"], "--report_output needs --eval_data_pattern"),
        (["--fit_on=nowhere*"], "no file matches --fit_on='nowhere"),
    ],
)
def test_bad_flags(tmp_path, three, flags, message):
    with pytest.raises(UserError, match=message) as error:
        run(*three[0], f"--output_file={tmp_path}/out.csv", *flags)
    assert "\n" not in str(error.value)
    assert not os.path.exists(tmp_path / "out.csv")


def test_bad_members(tmp_path, three):
    folders, _ = three
    output = f"--output_file={tmp_path}/out.csv"
    (tmp_path / "a.csv").write_text("30,abcd:0\n")
    (tmp_path / "empty").mkdir()
    count = sum(map(len, VIDEOS))
    videos = write_store(tmp_path / "videos", draw(1, num_rows=count), kind="videos")
    for members, message in [
        (["missing", folders[0]], "missing does not exist"),
        ([folders[0], f"{tmp_path}/a.csv"], "Name members of one kind"),
        ([folders[0], f"{folders[0]}/"], "is named twice"),
        ([folders[0], f"{tmp_path}/empty"], "empty: no scores there"),
        ([folders[0], videos], "kind: segments in .*run0, videos in .*videos"),
        ([f"{tmp_path}/a.csv", "--method=mean"], "--method=mean needs scores"),
        ([f"{tmp_path}/a.csv", "--scores_output=x"], "--scores_output needs scores"),
        ([f"{tmp_path}/a.csv", "--fit_on=x"], "--fit_on needs scores"),
        ([f"{tmp_path}/a.csv", f"--output_file={tmp_path}/a.csv"], "is a member of the ensemble"),
        ([folders[0], f"--scores_output={folders[0]}"], "is a member of the ensemble"),
    ]:
        with pytest.raises(UserError, match=message):
            run(output, *members)
    with pytest.raises(UserError, match="nothing to make"):
        run(*folders)
    assert not os.path.exists(tmp_path / "out.csv")
    assert (tmp_path / "a.csv").read_text() == "30,abcd:0\n"


def test_stores_of_other_rows_shards_or_classes(tmp_path, three):
    first = three[0][0]

    def refused(folder, message):
        with pytest.raises(UserError, match=message):
            run(first, folder, f"--output_file={tmp_path}/out.csv", f"--scores_output={tmp_path}/mean")
        assert not os.path.exists(tmp_path / "out.csv")

    fewer = write_store(tmp_path / "fewer", draw(1))
    os.remove(tmp_path / "fewer" / f"{shard_name(1)}.segments.csv")
    refused(fewer, r"fewer has no complete shard test0001\.tfrecord, .*run0 has")
    refused(write_store(tmp_path / "classes", draw(1)[:, :2], labels=LABELS[:2]), r"no scores of 1 of the 3 classes \(17,")

    store = create_store(tmp_path / "rows", StoreConfig("segments", LABELS))
    for number in range(len(VIDEOS)):
        ids, starts = segments_of(number)
        kept = np.arange(len(ids)) != (3 if number == 1 else -1)
        with store.writer(shard_name(number)) as shard:
            shard.add(ids[kept], starts[kept], draw(1)[: kept.sum()])
    refused(str(tmp_path / "rows"), r"shard test0001\.tfrecord, row 4: .*run0 has mnop:15, .*rows has mnop:20")
    assert [name for name in os.listdir(tmp_path / "mean") if "partial" in name] == []


@pytest.mark.parametrize("dtype, bad", [("uint16", 10_000), ("float16", np.nan), ("float16", np.inf), ("float16", -0.5)])
@pytest.mark.parametrize("method", ["mean", "rank"])
def test_a_score_that_is_no_probability_is_named(tmp_path, dtype, bad, method):
    folder = write_store(tmp_path / "bad", draw(1), dtype=dtype)
    values = np.load(f"{folder}/{shard_name(1)}.scores.npy")
    values[3, 2] = bad
    np.save(f"{folder}/{shard_name(1)}.scores.npy", values)
    with pytest.raises(UserError, match=r"bad, shard test0001\.tfrecord: a score of mnop:15 is"):
        run(folder, f"--method={method}", f"--output_file={tmp_path}/out.csv")
    assert not os.path.exists(tmp_path / "out.csv")


def test_rated_segments_that_were_not_scored_are_named(tmp_path, three):
    pattern = write_ratings(tmp_path)
    write_shard(
        tmp_path / "validate0009.tfrecord",
        [encode_video(Video("zzzz", {}, np.array([30]), make_segments([(0, 30, 1), (5, 30, 0), (5, 4, 0)])))],
    )
    for flag in ("fit_on", "eval_data_pattern"):
        with pytest.raises(UserError, match=rf"--{flag}: 2 of 50 rated segments are not in the stores \(zzzz:0, \.\.\.\)"):
            run(*three[0], f"--{flag}={pattern}", f"--output_file={tmp_path}/out.csv")
    (tmp_path / "ids.csv").write_text("17\n")
    other = tmp_path / "other"
    write_shard(other / "validate0000.tfrecord", [encode_video(Video("zzzz", {}, np.array([3]), make_segments([(0, 999, 1)])))])
    with pytest.raises(UserError, match="no rating of the 3 classes"):
        run(*three[0], f"--fit_on={other}/*", f"--output_file={tmp_path}/out.csv")


@pytest.mark.parametrize(
    "text, message",
    [
        ("no json", "no file of --weights_output"),
        ('{"version": 1, "members": [], "weights": []}', "no file of --weights_output"),
        ('{"version": 1, "members": [{"run": 1}], "weights": {"30": [1, 2]}}', "not one a member"),
        ('{"version": 1, "members": [{"run": 1}], "weights": {"30": [0]}}', "all weights are 0"),
        ('{"version": 1, "members": [{"run": 1}], "weights": {"30": [-1]}}', "negative"),
    ],
)
def test_bad_weight_files(tmp_path, text, message):
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(UserError, match=message):
        ensemble_weights.read(str(tmp_path / "w.json"), [30])


def test_bad_submissions(tmp_path):
    (tmp_path / "a.csv").write_text("30,abcd:0\n4,abcd:0\n")
    (tmp_path / "b.csv").write_text("30,abcd:0\n4,abcd\n")
    (tmp_path / "none.csv").write_text("Class,Segments\n")
    (tmp_path / "ids.csv").write_text("5\n")
    output = f"--output_file={tmp_path}/out.csv"
    with pytest.raises(UserError, match=r"b\.csv, line 2: 'abcd' is not a segment"):
        run(tmp_path / "a.csv", tmp_path / "b.csv", output)
    with pytest.raises(UserError, match=r"class 5 is in none of the files"):
        run(tmp_path / "a.csv", output, f"--segment_label_ids_file={tmp_path}/ids.csv")
    with pytest.raises(UserError, match="name no class"):
        run(tmp_path / "none.csv", output)
    assert not os.path.exists(tmp_path / "out.csv")


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
    ended = commands.run("ensemble", "nowhere", "--output_file=x.csv")
    assert ended.startswith("yt8m ensemble: error: nowhere does not exist.")
    assert commands.run("ensemble", "--help") == 0
    assert "--fit_on" in capsys.readouterr().out
