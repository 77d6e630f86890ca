"""`yt8m rerank`: against everything computed at once, and what it refuses."""

import json
import os
import shutil

import numpy as np
import pytest

from tests import commands
from tests.testing import FEATURE_SIZES, make_segments, write_frame_shards
from yt8m import UserError, api
from yt8m.ensembles import fused, fusion
from yt8m.flags import reranking as flags
from yt8m.readers.index import open_shard
from yt8m.readers.patterns import match_files
from yt8m.readers.records import Segments, Video, decode_video
from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.reranking import class_trees, fitting, rankers, score_features, stored
from yt8m.reranking.references import Descriptors, Neighbourhood, RatedReferences, References, unit
from yt8m.scoring.submission import read_submission
from yt8m.segments import dequantise

LABELS, SEGMENTS, FRAMES = (30, 4, 17), 8, 38  # the last segment of a video has three frames
SIZES = {"feature_sizes": FEATURE_SIZES}


class Part:
    """Shards of rated videos, and what random models say of them.

    A segment has the classes that `there` says, each with a direction in its frames; every segment is rated for one class.

    Attributes:
        videos: str [V]; there: bool [N, C]; means: float32 [N, D]; classes, labels: [N] of the rated pairs, a row each.
        scores: float [N, C]; video_scores: [V, C]; pattern, folder, video_folder: where it all is.
    """

    def __init__(self, folder, name, num_videos, seed):
        rng = np.random.default_rng(seed)
        directions = np.random.default_rng(0).normal(size=(len(LABELS), sum(FEATURE_SIZES)))
        self.videos = [f"{name}{v:03d}" for v in range(num_videos)]
        count = num_videos * SEGMENTS
        self.there, self.classes = rng.random((count, len(LABELS))) < 0.4, rng.integers(0, len(LABELS), count)
        self.labels = self.there[np.arange(count), self.classes].astype(np.float32)
        records, means = [], []
        for v, video in enumerate(self.videos):
            rows = v * SEGMENTS + np.arange(FRAMES) // 5
            signal = 128 + 12 * self.there[rows] @ directions + rng.normal(size=(FRAMES, sum(FEATURE_SIZES))) * 25
            frames = np.clip(signal, 0, 255).astype(np.uint8)
            means += [dequantise(frames[s : s + 5]).mean(axis=0) for s in range(0, FRAMES, 5)]
            mine = slice(v * SEGMENTS, (v + 1) * SEGMENTS)
            ratings = [(5 * s, LABELS[c], y) for s, (c, y) in enumerate(zip(self.classes[mine], self.labels[mine]))]
            rgb, audio = np.split(frames, [FEATURE_SIZES[0]], axis=1)
            records.append(Video(video, {"rgb": rgb, "audio": audio}, np.array([30]), make_segments(ratings)))
        self.means = np.array(means, np.float32)
        half = num_videos // 2
        self.pattern = write_frame_shards(folder, [records[:half], records[half:]], name)
        self.scores, self.video_scores = rng.random((count, len(LABELS))), rng.random((num_videos, len(LABELS)))
        self.folder, self.video_folder = str(folder / f"{name}_segments"), str(folder / f"{name}_videos")
        self._write(self.folder, name, "segments", half)
        self._write(self.video_folder, name, "videos", half)

    def _write(self, folder, name, kind, half):
        store = create_store(folder, StoreConfig(kind, LABELS))
        for number, videos in enumerate((slice(half), slice(half, None))):
            ids = np.array(self.videos[videos])
            with store.writer(f"{name}{number:04d}.tfrecord") as shard:
                if kind == "videos":
                    shard.add(ids, None, self.video_scores[videos])
                else:
                    starts = np.tile(np.arange(SEGMENTS) * 5, len(ids))
                    scores = self.scores.reshape(-1, SEGMENTS, len(LABELS))[videos].reshape(-1, len(LABELS))
                    shard.add(np.repeat(ids, SEGMENTS), starts, scores)

    def names(self):
        return [f"{video}:{5 * s}" for video in self.videos for s in range(SEGMENTS)]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return Part(folder, "fit", 30, 1), Part(folder, "test", 12, 2)


@pytest.fixture
def given(parts):
    """What is named in each call."""
    fit, test = parts
    rated = {"references": fit.pattern, "fit_on": fit.pattern, "fit_scores": fit.folder}
    return {**rated, "scores": test.folder, "data_pattern": test.pattern, **SIZES}


def stored_logits(probabilities):
    return fusion.logits(np.rint(np.float32(probabilities) * np.float32(9999)) / np.float32(9999), "uint16")


def all_features(fit, part, with_videos):
    """float32 [N, C, 20] of a part, everything at once."""
    x = stored_logits(part.scores)
    firsts = np.arange(0, len(x), SEGMENTS)
    linked = np.arange(1, len(x)) % SEGMENTS != 0
    of_videos = stored_logits(part.video_scores) if with_videos else x.reshape(-1, SEGMENTS, len(LABELS)).mean(axis=1)
    videos = np.repeat(score_features.of_videos(of_videos), SEGMENTS, axis=0)
    center, cut = fit.means.mean(axis=0), FEATURE_SIZES[0]

    def described(means):
        return Descriptors(unit(means[:, :cut], center[:cut]), unit(means[:, cut:], center[cut:]))

    rated = np.repeat(fit.videos, SEGMENTS), fit.classes, fit.labels
    references = References(described(fit.means), *rated, len(LABELS))
    ids = np.repeat(part.videos, SEGMENTS)
    near = [references.features(described(part.means), ids, np.full(len(x), c)) for c in range(len(LABELS))]
    return np.concatenate([score_features.of_segments(x, firsts, linked), videos, np.stack(near, axis=1)], axis=-1)


def expected_logits(fit, test, method="logistic", with_videos=False):
    """float32 [N, C] of all pairs of the test part."""
    rated = all_features(fit, fit, with_videos)[np.arange(len(fit.classes)), fit.classes]
    rank = rankers.fit(method, rated, fit.labels, fit.classes)
    features = all_features(fit, test, with_videos)
    return rank(features.reshape(-1, features.shape[-1])).reshape(features.shape[:2])


class OtherScores:
    """A Part as another model scores it."""

    def __init__(self, part, folder, name, seed):
        self.__dict__.update(part.__dict__)
        rng = np.random.default_rng(seed)
        self.scores, self.folder = rng.random(part.scores.shape), str(folder)
        part.__class__._write(self, self.folder, name, "segments", len(part.videos) // 2)


@pytest.mark.parametrize("with_videos", [False, True])
def test_scores_are_those_of_everything_at_once(parts, given, tmp_path, monkeypatch, with_videos):
    """Whatever is read at a time; written as a store, as lists, and by the command."""
    monkeypatch.setattr(fused, "ROWS_AT_A_TIME", 3 * SEGMENTS)
    fit, test = parts
    if with_videos:
        given |= {"fit_video_scores": fit.video_folder, "video_scores": test.video_folder}
    output = {"scores_output": tmp_path / "new", "output_file": tmp_path / "out.csv"}
    assert api.rerank(**given, **output) is None
    expected = expected_logits(fit, test, with_videos=with_videos)
    store = open_store(tmp_path / "new")
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-expected)), atol=2e-4)
    for (label, listed), column in zip(read_submission(tmp_path / "out.csv"), expected.T):
        assert label in LABELS and sorted(listed.tolist()) == sorted(test.names())
        assert np.diff(column[[test.names().index(name) for name in listed.tolist()]]).max() < 1e-3
    arguments = [f"--{name}={value}" for name, value in given.items() if name != "feature_sizes"]
    again = tmp_path / "again.csv"
    assert commands.run("rerank", *arguments, "--feature_sizes=16,8", f"--output_file={again}") is None
    assert again.read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_what_is_no_candidate_follows_in_the_order_before(parts, given, tmp_path):
    fit, test = parts
    output = {"scores_output": tmp_path / "new", "output_file": tmp_path / "out.csv"}
    api.rerank(**given, **output, candidates=10)
    expected, before = expected_logits(fit, test), np.rint(np.float32(test.scores) * np.float32(9999))
    store = open_store(tmp_path / "new")
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    for c, (_, listed) in enumerate(read_submission(tmp_path / "out.csv")):
        order = [test.names().index(name) for name in listed.tolist()]
        base = np.argsort(-before[:, c], kind="stable")
        assert sorted(order[:10]) == sorted(base[:10].tolist()) and order[10:] == base[10:].tolist()
        assert np.diff(expected[order[:10], c]).max() < 1e-3
        assert found[base[:10], c].min() >= 0.5 > found[base[10:], c].max()
        np.testing.assert_allclose(found[base[10:], c], before[base[10:], c] / 9999 / 2, atol=1e-4)


def test_several_members_are_ranked_each_and_the_mean_is_taken(parts, given, tmp_path, monkeypatch):
    monkeypatch.setattr(fused, "ROWS_AT_A_TIME", 3 * SEGMENTS)
    others = [OtherScores(part, tmp_path / name, name, seed) for part, name, seed in zip(parts, ("fit", "test"), (5, 6))]
    members = {name: [both[0].folder, both[1].folder] for name, both in zip(("fit_scores", "scores"), zip(parts, others))}
    given |= {**members, "eval_data_pattern": parts[1].pattern}
    report = api.rerank(**given, scores_output=tmp_path / "new", output_file=tmp_path / "out.csv")
    expected = np.mean([expected_logits(*both) for both in (parts, others)], axis=0)
    store = open_store(tmp_path / "new")
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-expected)), atol=2e-4)
    assert [row.name.split(": ")[-1] for row in report.rows][2:] == ["segments' scores", "re-ranked"] * 2
    alone = api.rerank(**{**given, "scores": others[1].folder, "fit_scores": others[0].folder})
    assert report.rows[5].figures.map == alone.rows[1].figures.map and report.rows[4].figures.map == alone.rows[0].figures.map
    assert abs(report.full_lists - report.rows[1].figures.map) < 1e-6


def test_candidates_of_several_are_the_best_by_their_mean(parts, given, tmp_path):
    others = [OtherScores(part, tmp_path / name, name, seed) for part, name, seed in zip(parts, ("fit", "test"), (5, 6))]
    given |= {"fit_scores": [parts[0].folder, others[0].folder], "scores": [parts[1].folder, others[1].folder]}
    api.rerank(**given, scores_output=tmp_path / "new", candidates=10)
    mean = np.mean([stored_logits(part.scores) for part in (parts[1], others[1])], axis=0)
    store = open_store(tmp_path / "new")
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    for of_class, before in zip(found.T, mean.T):
        assert sorted(np.flatnonzero(of_class >= 0.5)) == sorted(np.argsort(-before, kind="stable")[:10])


def test_a_store_is_not_gone_on_with_when_other_shards_are_ranked(given, tmp_path):
    given |= {"scores": shutil.copytree(given["scores"], tmp_path / "scores"), "candidates": 50}
    late = list((tmp_path / "scores").glob("test0001*"))
    for path in late:
        path.rename(tmp_path / path.name)
    for _ in range(2):
        api.rerank(**given, scores_output=tmp_path / "new")
    for path in late:
        (tmp_path / path.name).rename(path)
    with pytest.raises(UserError, match=r"new holds the scores of another run: its run.files.scores"):
        api.rerank(**given, scores_output=tmp_path / "new")
    fewer = match_files(given["references"])[0]
    with pytest.raises(UserError, match=r"its run.rerank.references is"):
        api.rerank(**{**given, "references": fewer, "fit_on": fewer}, scores_output=tmp_path / "new")


def test_members_that_do_not_go_together(parts, given, tmp_path):
    fit, test = parts
    other = OtherScores(test, tmp_path / "test", "test", 6)
    swapped = str(tmp_path / "swapped")
    store = create_store(swapped, StoreConfig("segments", LABELS))
    for number, shard in enumerate(open_store(test.folder).shards()):
        stored = open_store(test.folder).read(shard)
        with store.writer(shard) as writer:
            writer.add(stored.ids[::-1] if number else stored.ids, stored.starts, stored.scores())
    for change, message in [
        ({"scores": [test.folder, other.folder]}, "1 stores for 2 of --scores. Give one each"),
        ({"scores": [test.folder, test.folder], "fit_scores": [fit.folder, fit.folder]}, "a store is named twice"),
        ({"scores": [test.folder, fit.folder], "fit_scores": [fit.folder, test.folder]}, "no complete shard"),
        ({"scores": [test.folder, swapped], "fit_scores": [fit.folder, str(tmp_path / "again")]}, "row 1"),
    ]:
        if "again" in str(change):
            OtherScores(fit, tmp_path / "again", "fit", 7)
        with pytest.raises(UserError, match=message) as error:
            api.rerank(**{**given, **change}, output_file=tmp_path / "out.csv")
        assert "\n" not in str(error.value) and not os.path.exists(tmp_path / "out.csv")


def test_a_store_of_floats_keeps_the_order_of_the_candidates(parts, given, tmp_path):
    """They are finest near 0: with 1/2 between candidates and others a class would have at most a thousand steps."""
    scored = {}
    for name in ("scores", "fit_scores"):
        old, scored[name] = open_store(given[name]), str(tmp_path / name)
        new = create_store(scored[name], StoreConfig("segments", LABELS, "float16"))
        for shard in old.shards():
            part = old.read(shard)
            with new.writer(shard) as writer:
                writer.add(np.asarray(part.ids), np.asarray(part.starts), part.scores() * 0.02)
    output = {"scores_output": tmp_path / "new", "output_file": tmp_path / "out.csv"}
    api.rerank(**{**given, **scored}, **output, candidates=25, video_maximum=1)
    store, names = open_store(tmp_path / "new"), parts[1].names()
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    for c, (_, listed) in enumerate(read_submission(tmp_path / "out.csv")):
        order = [names.index(name) for name in listed.tolist()]
        best = found[order[:25], c]
        assert best.min() >= 1 / 64 > found[order[25], c] and (np.diff(best) <= 0).all()
        steps, of_halves = (len(np.unique(np.float16(values))) for values in (best, 0.5 + 0.5 * (best - 1 / 64) / (63 / 64)))
        assert steps > 1.5 * of_halves


@pytest.mark.parametrize("name", ["output_file", "scores_output", "report_output"])
def test_outputs_that_cannot_be_written_are_refused_before_anything_is_fitted(given, parts, monkeypatch, name):
    monkeypatch.setattr("yt8m.reranking.command.fit", lambda *args: pytest.fail("fitted"))
    outputs = {"eval_data_pattern": parts[1].pattern, name: "/proc/nowhere/x"}
    with pytest.raises(UserError, match=rf"--{name}=/proc/nowhere/x: .*Name a place in a folder that can be written"):
        api.rerank(**given, **outputs)


def test_a_store_of_another_run_is_refused_before_anything_is_fitted(given, tmp_path, monkeypatch):
    api.rerank(**given, candidates=10, scores_output=tmp_path / "new")
    monkeypatch.setattr("yt8m.reranking.command.fit", lambda *args: pytest.fail("fitted"))
    with pytest.raises(UserError, match="holds the scores of another run"):
        api.rerank(**given, candidates=11, scores_output=tmp_path / "new")


def test_what_is_about_a_submission_needs_one(given, tmp_path):
    with pytest.raises(UserError, match="--segment_max_pred=7 is about what is written to --output_file"):
        api.rerank(**given, scores_output=tmp_path / "new", segment_max_pred=7)
    assert not os.path.exists(tmp_path / "new")


def test_the_videos_maximum_multiplies_what_is_fitted(parts, given, tmp_path):
    fit, test = parts
    api.rerank(**given, scores_output=tmp_path / "new", video_maximum=2)
    p = 1 / (1 + np.exp(-expected_logits(fit, test)))
    most = (1 / (1 + np.exp(-stored_logits(test.scores)))).reshape(-1, SEGMENTS, len(LABELS)).max(axis=1)
    store = open_store(tmp_path / "new")
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    np.testing.assert_allclose(found, p * np.repeat(most, SEGMENTS, axis=0) ** 2, atol=2e-4)
    with pytest.raises(UserError, match=r"--video_maximum=-1.0: must not be below 0"):
        api.rerank(**given, video_maximum=-1, output_file=tmp_path / "out.csv")


def test_ranks_before_and_after_are_averaged(parts, given, tmp_path):
    """Of candidates; lists, store and report have the same order."""
    fit, test = parts
    output = {"scores_output": tmp_path / "new", "output_file": tmp_path / "out.csv", "eval_data_pattern": test.pattern}
    report = api.rerank(**given, **output, candidates=20, rank_average=0.25)
    assert abs(report.full_lists - report.rows[1].figures.map) < 1e-6
    expected, before = expected_logits(fit, test), stored_logits(test.scores)
    store = open_store(tmp_path / "new")
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    for c in range(len(LABELS)):
        chosen = np.argsort(-before[:, c], kind="stable")[:20]
        new = np.argsort(np.argsort(-expected[chosen, c]))
        points = 0.25 * np.arange(20) + 0.75 * new  # of the chosen ones, the best by the score before first
        np.testing.assert_allclose(found[chosen, c], 0.5 + 0.5 * (1 - (points + 0.5) / 20), atol=2e-4)
        assert np.delete(found[:, c], chosen).max() < 0.5


@pytest.mark.parametrize("with_videos", [False, True])
def test_candidates_of_the_best_videos(parts, given, tmp_path, monkeypatch, with_videos):
    """All their segments, whatever their own scores, and as few videos as have so many."""
    monkeypatch.setattr(fused, "ROWS_AT_A_TIME", 3 * SEGMENTS)
    fit, test = parts
    if with_videos:
        given |= {"fit_video_scores": fit.video_folder, "video_scores": test.video_folder}
    by_videos = {"candidates": 2 * SEGMENTS + 1, "candidates_by": "videos"}
    api.rerank(**given, **by_videos, scores_output=tmp_path / "new", output_file=tmp_path / "out.csv")
    expected, before = expected_logits(fit, test, with_videos=with_videos), stored_logits(test.scores)
    of_videos = stored_logits(test.video_scores) if with_videos else before.reshape(-1, SEGMENTS, len(LABELS)).mean(axis=1)
    store, listed = open_store(tmp_path / "new"), dict(read_submission(tmp_path / "out.csv"))
    found, names = np.concatenate([store.read(shard).scores() for shard in store.shards()]), np.array(test.names())
    for c, label in enumerate(LABELS):
        best = np.argsort(-of_videos[:, c], kind="stable")[:3]
        chosen = np.isin(np.arange(len(found)) // SEGMENTS, best)
        np.testing.assert_allclose(found[chosen, c], 0.5 + 0.5 / (1 + np.exp(-expected[chosen, c])), atol=2e-4)
        np.testing.assert_allclose(found[~chosen, c], 0.5 / (1 + np.exp(-before[~chosen, c])), atol=2e-4)
        assert set(listed[label][: chosen.sum()]) == set(names[chosen])


def test_trees_of_classes_see_frames_and_the_scores_of_related_classes_in_the_fit_as_later(parts, given, tmp_path, monkeypatch):
    fit, test = parts
    seen = []

    def fake(features, labels, classes, videos, pairs, rated, **options):
        seen.append((classes, videos, pairs, rated))
        ranker = class_trees.ClassTrees({}, None, 0)
        ranker.__class__ = Said
        return ranker

    class Said(class_trees.ClassTrees):
        def __call__(self, features, pairs):
            bytes_seen = pairs.windows.sum(axis=1).mean(axis=1)[pairs.places] / 1000
            return (pairs.related @ [1.0, 0.5, 0.25] + bytes_seen).astype(np.float32)

    monkeypatch.setattr(class_trees, "fit", fake)
    given["fit_on"] = rated_less(fit, tmp_path)
    options = {"method": "class_trees", "method_options": {"related": 2, "expansion": 1}}
    api.rerank(**given, **options, scores_output=tmp_path / "new")
    ((classes, videos, pairs, rated),) = seen
    x, row_of = stored_logits(fit.scores), {name: row for row, name in enumerate(fit.names())}
    order = np.argsort(-np.corrcoef(x.T), axis=1)  # each class itself is first
    kept = np.array([v * SEGMENTS + s for v in range(len(fit.videos)) for s in range(2)])
    assert rated.sum() == len(kept) < len(classes)
    np.testing.assert_array_equal(classes[rated], fit.classes[kept])
    known = {video: {0, *fit.classes[v * SEGMENTS : v * SEGMENTS + 2]} for v, video in enumerate(fit.videos)}
    assert not any(c in known[video] for c, video in zip(classes[~rated].tolist(), videos[~rated].tolist()))
    frames = list(windows_of_part(fit, 1))
    for n, (video, c) in enumerate(zip(videos.tolist(), classes.tolist())):
        ways = [row_of[f"{video}:{start}"] for start in (0, 5)]
        row = next(row for row in ways if np.allclose(pairs.related[n], x[row, order[c]], rtol=1e-5))
        assert rated[n] <= (row == kept[min(n, len(kept) - 1)])
        np.testing.assert_array_equal(pairs.windows[pairs.places[n]].sum(axis=0), frames[row].sum(axis=0))
    store, x = open_store(tmp_path / "new"), stored_logits(test.scores)
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    bytes_seen = np.array([window.sum(axis=0).mean() / 1000 for window in windows_of_part(test, 1)])
    expected = x[:, order] @ [1.0, 0.5, 0.25] + bytes_seen[:, None]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-expected)), atol=2e-4)


def rated_less(part, folder):
    """Shards of a part with the ratings of each video's first two segments alone; all are labelled 30."""
    shards = []
    for path in match_files(part.pattern):
        videos = videos_of(path)
        shards.append(
            [Video(of.id, of.frames, of.labels, Segments(*(a[:2] for a in vars(of.segments).values()))) for of in videos]
        )
    return write_frame_shards(folder, shards, "fit")


def windows_of_part(part, expansion):
    """Frames of a part's segments and some beside them, as far as the video has them, [W, D] each."""
    for video in (video for path in match_files(part.pattern) for video in videos_of(path)):
        frames = np.concatenate(list(video.frames.values()), axis=1)
        for start in range(0, FRAMES, 5):
            yield frames[max(start - expansion, 0) : start + 5 + expansion].astype(int)


def videos_of(path):
    """The Videos of a shard."""
    shard = open_shard(path)
    return [decode_video(shard.record(number), ("rgb", "audio"), FEATURE_SIZES) for number in range(len(shard))]


def test_flags_change_the_neighbourhood(parts, given, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(fitting, "RatedReferences", lambda *given: seen.append(given[-1]) or RatedReferences(*given))
    given |= {"nearest_references": 3, "top_references": 2, "vote_temperature": 0.5}
    api.rerank(**given, output_file=tmp_path / "out.csv")
    assert seen == [Neighbourhood(3, 2, 0.5)]


@pytest.mark.parametrize("method", [*flags.METHODS[:-1], pytest.param("localizer", marks=pytest.mark.slow)])
def test_references_tell_classes_apart_that_the_scores_do_not(parts, given, tmp_path, capsys, method):
    options = {
        "logistic": {},
        "trees": {"num_trees": 20},
        "attention": {"epochs": 2, "num_models": 1, "width": 8, "hidden": 8, "batch_size": 64},
        "class_trees": {"num_fits": 2, "learning_rate": 0.1, "patience": 10},
        "localizer": {"epochs": 2, "parts": 2, "units": 8, "embedding": 4},
    }[method]
    given |= {"method": method, "method_options": options}
    report = api.rerank(**given, eval_data_pattern=parts[1].pattern, report_output=tmp_path / "report.json")
    before, after = (row.figures.map for row in report.rows)
    assert after > before + 0.15
    printed = capsys.readouterr().out
    assert f"Fitted {method} on 240 rated pairs" in printed and "240 references" in printed
    assert json.loads((tmp_path / "report.json").read_text())["rows"][1]["map"] == after


def test_the_report_is_of_what_is_written(parts, given, tmp_path, capsys):
    """Also of pairs that are no candidates; the lists hold all segments, so that their MAP is the pairs'."""
    output = {"output_file": tmp_path / "out.csv", "eval_data_pattern": parts[1].pattern}
    report = api.rerank(**given, **output, candidates=10)
    assert abs(report.full_lists - report.rows[1].figures.map) < 1e-6 and not report.warning
    same = {"scores": parts[0].folder, "data_pattern": parts[0].pattern, "eval_data_pattern": parts[0].pattern}
    assert "elsewhere expect less" in api.rerank(**given | same).warning


def test_a_part_of_the_classes(parts, given, tmp_path):
    (tmp_path / "ids.csv").write_text("Index\n17\n30\n")
    api.rerank(**given, segment_label_ids_file=tmp_path / "ids.csv", scores_output=tmp_path / "new")
    assert open_store(tmp_path / "new").config.label_ids == (17, 30)


def test_flags_offer_what_there_is():
    assert flags.METHODS == rankers.METHODS
    assert flags.CHOICES == stored.CANDIDATES_BY


def test_without_scikit_learn(given, tmp_path, monkeypatch):
    monkeypatch.setattr(rankers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'yt8m\[rerank\]'"):
        api.rerank(**given, output_file=tmp_path / "out.csv")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scores": ""}, "--scores is missing"),
        ({"data_pattern": ""}, "--data_pattern is missing"),
        ({"references": ""}, "--references is missing"),
        ({"fit_on": ""}, "--fit_on is missing"),
        ({"fit_scores": ""}, "--fit_scores is missing"),
        ({"video_scores": "x"}, "--video_scores without --fit_video_scores"),
        ({"fit_video_scores": "x"}, "--fit_video_scores without --video_scores"),
        ({"candidates": 0}, "--candidates=0: must be above 0"),
        ({"rank_average": 1.5}, "--rank_average=1.5: the share of the rank before must not be above 1"),
        ({"rank_average": -1}, "--rank_average=-1.0: must not be below 0"),
        ({"embedding_dir": "nowhere"}, "no model_flags.json there"),
        ({"method": "forest"}, "--method=forest: use one of logistic, trees"),
        ({"candidates_by": "class"}, "--candidates_by=class: use one of segments, videos"),
        ({"report_output": "x"}, "--report_output needs --eval_data_pattern"),
        ({"output_file": ""}, "nothing to make"),
        ({"feature_names": "rgb", "feature_sizes": "16"}, "--feature_names=rgb: segments are compared by two features"),
        ({"feature_sizes": "16"}, "--feature_sizes=16: segments are compared by two features"),
        ({"feature_sizes": "16,9"}, "has 8 bytes a frame in `audio`, not 9"),
        ({"feature_names": "rgb,sound"}, "has no feature `sound`"),
        ({"references": "nowhere*"}, "no file matches --references='nowhere"),
        ({"data_pattern": "nowhere*"}, "no file matches --data_pattern='nowhere"),
    ],
)
def test_bad_flags(given, tmp_path, change, message):
    with pytest.raises(UserError, match=message) as error:
        api.rerank(**{**given, "output_file": tmp_path / "out.csv", **change})
    assert "\n" not in str(error.value) and os.listdir(tmp_path) == []


def test_stores_and_shards_that_do_not_go_together(parts, given, tmp_path):
    fit, test = parts
    few, long = str(tmp_path / "few"), str(tmp_path / "long")
    for folder, config, videos, starts in (
        (few, StoreConfig("segments", LABELS[:2]), fit.videos, 0),
        (long, StoreConfig("segments", LABELS, segment_size=10), test.videos, 0),
    ):
        with create_store(folder, config).writer("test0000.tfrecord") as shard:
            shard.add(np.array(videos[:1]), np.array([starts]), np.full((1, len(config.label_ids)), 0.5))
    late = str(tmp_path / "late")
    with create_store(late, StoreConfig("segments", LABELS)).writer("test0000.tfrecord") as shard:
        shard.add(np.array(test.videos[:1]), np.array([500]), np.full((1, 3), 0.5))
    strange = str(tmp_path / "strange")
    with create_store(strange, StoreConfig("segments", LABELS)).writer("test0000.tfrecord") as shard:
        shard.add(np.array(["nobody"]), np.array([0]), np.full((1, 3), 0.5))
    empty = str(tmp_path / "empty")
    with create_store(empty, StoreConfig("segments", LABELS)).writer("test0000.tfrecord"):
        pass
    unrated = write_frame_shards(tmp_path, [[Video("unrated", {"rgb": np.zeros((5, 16), np.uint8)}, np.array([1]))]], "unrated")
    (tmp_path / "ids.csv").write_text("Index\n30\n5\n")
    for change, message in [
        ({"scores": test.video_folder}, "--scores=.* holds scores of videos"),
        ({"fit_scores": fit.video_folder}, "--fit_scores=.* holds scores of videos.*--fit_video_scores"),
        ({"video_scores": test.folder, "fit_video_scores": fit.video_folder}, "--video_scores=.* holds scores of segments"),
        ({"video_scores": test.video_folder, "fit_video_scores": fit.folder}, "--fit_video_scores=.* holds scores of segments"),
        ({"video_scores": fit.video_folder, "fit_video_scores": fit.video_folder}, "--video_scores=.*: no scores of"),
        ({"fit_scores": few}, "few: no scores of 1 of the 3 classes"),
        ({"segment_label_ids_file": tmp_path / "ids.csv"}, "no scores of 1 of the 2 classes"),
        ({"scores": long}, "segments of 10 s, ratings are of 5 s"),
        ({"fit_scores": test.folder}, "--fit_on: 240 rated segments are not in"),
        ({"data_pattern": fit.pattern}, "no file test0000.tfrecord, a shard of the store of scores"),
        ({"references": unrated}, "--references='.*': no rating of the 3 classes"),
        ({"fit_on": unrated}, "--fit_on='.*': no rating of the 3 classes"),
        ({"eval_data_pattern": fit.pattern}, "--eval_data_pattern: .* rated segments are not in"),
        ({"scores": late}, "has 38 frames, none in the segment at 500 s"),
        ({"scores": empty}, "empty: no segment in its shards"),
        ({"scores": strange}, "video nobody is not in"),
        ({"scores_output": fit.folder}, "is read from"),
    ]:
        with pytest.raises(UserError, match=message) as error:
            api.rerank(**{**given, "output_file": tmp_path / "out.csv", **change})
        assert "\n" not in str(error.value)
        assert not os.path.exists(tmp_path / "out.csv")


def test_ratings_of_one_kind(parts, given, tmp_path):
    fit, _ = parts
    frames = {"rgb": np.zeros((FRAMES, 16), np.uint8), "audio": np.zeros((FRAMES, 8), np.uint8)}
    rated = Video(fit.videos[0], frames, np.array([30]), make_segments([(0, 30, 1.0), (5, 30, 1.0)]))
    pattern = write_frame_shards(tmp_path, [[rated]], "sure")
    with pytest.raises(UserError, match="2 ratings, 2 of them positive"):
        api.rerank(**{**given, "fit_on": pattern}, scores_output=tmp_path / "new")
    assert not os.path.exists(tmp_path / "new")
