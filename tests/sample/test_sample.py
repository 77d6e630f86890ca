"""The built-in sample: native formats, the statistics it is calibrated to, and a cache that never holds a part of one."""

import csv
import dataclasses
import filecmp
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from yt8m import files
from yt8m.errors import UserError
from yt8m.sample import generator, oracle
from yt8m.sample import sample as samples
from yt8m.sample.generator import Settings, World, make_video
from yt8m.segments import dequantise

TINY = Settings(
    num_train_videos=130, num_rated_videos=6, num_held_out_videos=16, num_test_videos=14, num_classes=20, num_segment_classes=6,
    mean_frames=20,
)  # fmt: skip
CONTEXT = {"id": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.VarLenFeature(tf.int64)}
RATINGS = {
    "segment_start_times": tf.io.VarLenFeature(tf.int64),
    "segment_end_times": tf.io.VarLenFeature(tf.int64),
    "segment_labels": tf.io.VarLenFeature(tf.int64),
    "segment_scores": tf.io.VarLenFeature(tf.float32),
}
FRAMES = {"rgb": tf.io.FixedLenSequenceFeature([], tf.string), "audio": tf.io.FixedLenSequenceFeature([], tf.string)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return samples.make_sample(tmp_path_factory.mktemp("sample") / "tiny", TINY, progress=False)


@pytest.fixture(scope="module")
def world():
    return World(Settings())


@pytest.fixture
def tiny_sizes(monkeypatch):
    monkeypatch.setattr(samples, "SIZES", {"small": TINY})


def raw_records(pattern):
    return [record.numpy() for path in sorted(tf.io.gfile.glob(pattern)) for record in tf.data.TFRecordDataset(path)]


def dense(sparse):
    return tf.sparse.to_dense(sparse).numpy().tolist()


def parse_frame_level(record):
    context, frames = tf.io.parse_single_sequence_example(record, {**CONTEXT, **RATINGS}, FRAMES)
    values = {name: dense(context[name]) for name in ("labels", *RATINGS)}
    decoded = {name: tf.io.decode_raw(frames[name], tf.uint8).numpy() for name in FRAMES}
    return {"id": context["id"].numpy().decode(), **values, **decoded}


def ratings_of(pattern):
    """(video id, start, class, score) of every rating."""
    found = []
    for record in raw_records(pattern):
        context, _ = tf.io.parse_single_sequence_example(record, {**CONTEXT, **RATINGS})
        columns = [dense(context[name]) for name in ("segment_start_times", "segment_labels", "segment_scores")]
        found += [(context["id"].numpy().decode(), *row) for row in zip(*columns)]
    return found


def segment_ids(sample):
    return [int(line) for line in Path(sample.segment_label_ids_file).read_text().split()[1:]]


# ---------------------------------------------------------------- files


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tiny, tmp_path):
    few = dataclasses.replace(TINY, num_train_videos=3)
    first, second, other = (
        samples.make_sample(tmp_path / name, settings, progress=False)
        for name, settings in (("a", few), ("b", few), ("c", dataclasses.replace(few, seed=2)))
    )
    files = [*json.loads((tmp_path / "a" / "sample.json").read_text())["files"], "sample.json"]
    assert len(files) > 10
    assert filecmp.cmpfiles(first.folder, second.folder, files, shallow=False) == (files, [], [])
    shard = "frame_level/train0000.tfrecord"
    assert not filecmp.cmp(Path(first.folder, shard), Path(other.folder, shard), shallow=False)


def test_frame_level_records_parse_with_the_native_specs(tiny):
    videos = [parse_frame_level(record) for record in raw_records(tiny.train_pattern)]
    assert len(videos) == TINY.num_train_videos
    assert len(tf.io.gfile.glob(tiny.train_pattern)) == 2
    for video in videos:
        assert len(video["id"]) == 4
        assert video["rgb"].shape[1] == 1024 and video["audio"].shape == (len(video["rgb"]), 128)
        assert video["labels"] and max(video["labels"]) < TINY.num_classes and len(set(video["labels"])) == len(video["labels"])
        assert not video["segment_labels"]
    assert len({len(video["rgb"]) for video in videos}) > 5


def test_ids_are_four_characters_and_unique(tiny):
    patterns = (tiny.train_pattern, tiny.rated_pattern, tiny.held_out_pattern, tiny.test_pattern)
    ids = [parse_frame_level(record)["id"] for pattern in patterns for record in raw_records(pattern)]
    assert len(set(ids)) == len(ids) == 166
    assert len({generator.video_id(number) for number in range(100_000)}) == 100_000


@pytest.mark.parametrize("split", ["rated", "held_out"])
def test_ratings_are_five_whole_segments_of_labels_a_video(tiny, split):
    ids = segment_ids(tiny)
    for record in raw_records(getattr(tiny, f"{split}_pattern")):
        video = parse_frame_level(record)
        starts, classes = np.array(video["segment_start_times"]), video["segment_labels"]
        assert len(starts) == len(set(zip(starts.tolist(), classes))) == 5
        assert (starts % 5 == 0).all() and starts.min() >= 0
        assert video["segment_end_times"] == (starts + 5).tolist() and max(video["segment_end_times"]) <= len(video["rgb"])
        assert set(classes) <= set(ids) & set(video["labels"])
        assert set(video["segment_scores"]) <= {0.0, 1.0}


def test_test_shards_have_neither_labels_nor_ratings_and_the_ratings_are_apart(tiny):
    ids = set()
    for record in raw_records(tiny.test_pattern):
        context = tf.train.SequenceExample.FromString(record).context.feature
        assert not any(name.startswith("segment") for name in context)
        assert not context["labels"].int64_list.value
        ids.add(context["id"].bytes_list.value[0].decode())
    rated = ratings_of(tiny.test_ratings_pattern)
    assert {video for video, *_ in rated} == ids and len(rated) == 5 * TINY.num_test_videos
    assert all(
        not tf.train.SequenceExample.FromString(r).feature_lists.feature_list for r in raw_records(tiny.test_ratings_pattern)
    )


@pytest.mark.parametrize("frames, means", [("train", "video_train"), ("held_out", "video_validate")])
def test_video_level_records_are_means_of_the_dequantised_frames(tiny, frames, means):
    spec = {
        **CONTEXT,
        "mean_rgb": tf.io.FixedLenFeature([1024], tf.float32),
        "mean_audio": tf.io.FixedLenFeature([128], tf.float32),
    }
    pairs = zip(raw_records(getattr(tiny, f"{frames}_pattern")), raw_records(getattr(tiny, f"{means}_pattern")), strict=True)
    for record, mean_record in itertools.islice(pairs, 20):
        video, mean = parse_frame_level(record), tf.io.parse_single_example(mean_record, spec)
        assert mean["id"].numpy().decode() == video["id"] and dense(mean["labels"]) == video["labels"]
        for name in ("rgb", "audio"):
            np.testing.assert_allclose(mean[f"mean_{name}"], (video[name] * (4 / 255) - 2 + 4 / 512).mean(axis=0), atol=1e-5)


def test_segment_classes_are_scattered_label_ids_and_the_vocabulary_names_every_class():
    world = World(Settings())
    ids = world.segment_classes
    assert len(set(ids.tolist())) == 22 and ids.max() < 54
    assert (np.diff(np.sort(ids)) > 1).sum() > 3
    assert (np.diff(ids) < 0).any()  # nobody may rely on their order


def test_the_vocabulary_has_the_real_columns_and_the_train_counts(tiny):
    with open(tiny.vocabulary_file, newline="") as file:
        rows = list(csv.DictReader(file))
    header = "Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,Vertical1,Vertical2,Vertical3,WikiDescription"
    assert ",".join(rows[0]) == header
    labels = [label for record in raw_records(tiny.train_pattern) for label in parse_frame_level(record)["labels"]]
    counts = np.bincount(labels, minlength=TINY.num_classes).tolist()
    assert [(int(row["Index"]), int(row["TrainVideoCount"])) for row in rows] == list(enumerate(counts))
    assert len({row["Name"] for row in rows}) == TINY.num_classes and all(row["Name"] for row in rows)


def test_every_class_of_the_largest_size_has_a_name_of_its_own():
    settings = dataclasses.replace(samples.SIZES["large"], visual_dims=2, audio_dims=2)
    assert len(set(World(settings).names)) == 3862


# ---------------------------------------------------------------- chance and oracle


def brute_force_maps(ratings, scores, ids):
    """(chance MAP, MAP of scores[video][segment, column]) by counting pairs."""
    chances, precisions = [], []
    for column, label in enumerate(ids):
        rated = [(scores[video][start // 5, column], score) for video, start, c, score in ratings if c == label]
        positives = [value for value, score in rated if score]
        if positives:
            chances.append(len(positives) / len(rated))
            at = [sum(p >= value for p in positives) / sum(v >= value for v, _ in rated) for value in positives]
            precisions.append(np.mean(at))
    return np.mean(chances), np.mean(precisions)


@pytest.mark.parametrize("split", ["held_out", "test"])
def test_chance_and_oracle_are_what_counting_gives(tiny, split):
    ratings = ratings_of(tiny.held_out_pattern if split == "held_out" else tiny.test_ratings_pattern)
    chance, oracle = brute_force_maps(ratings, np.load(tiny.oracle_file), segment_ids(tiny))
    assert getattr(tiny, f"{split}_chance_map") == pytest.approx(chance, abs=1e-9)
    assert getattr(tiny, f"{split}_oracle_map") == pytest.approx(oracle, abs=1e-9)
    assert oracle > chance


def test_truth_is_what_the_seconds_show_and_ratings_follow_it_but_for_rare_errors(tiny):
    world, ids, truth = World(TINY), segment_ids(tiny), np.load(tiny.truth_file)
    assert len(truth.files) == TINY.num_held_out_videos + TINY.num_test_videos
    for index in range(TINY.num_held_out_videos):
        video = make_video(world, "held_out", index)
        shown = [
            world.above[e] if e >= 0 and v < 2 else np.zeros(TINY.num_classes, bool)
            for e, v in zip(video.entities, video.variants)
        ]
        segments = [shown[start : start + 5] for start in range(0, len(shown), 5)]
        expected = [[sum(second[c] for second in segment) > len(segment) / 2 for c in ids] for segment in segments]
        np.testing.assert_array_equal(truth[video.id], expected)
    ratings = ratings_of(tiny.held_out_pattern) + ratings_of(tiny.test_ratings_pattern)
    errors = [truth[video][start // 5, ids.index(c)] != score for video, start, c, score in ratings]
    assert 0 < np.mean(errors) < 0.12


def test_the_oracle_finds_the_truth_from_the_frames(world):
    videos = [make_video(world, "held_out", index) for index in range(40)]
    found = np.concatenate(oracle.Oracle(world).segments([video.frames for video in videos]))
    there = np.concatenate([video.there for video in videos])
    assert found.shape == there.shape
    assert (found[there] > 0.5).mean() > 0.97 and (there[found > 0.5]).mean() > 0.97


def test_the_oracle_reads_silent_videos_by_sight_alone():
    world = World(Settings(silent=1.0, audio_share=0.0))
    videos = [make_video(world, "held_out", index) for index in range(15)]
    found = np.concatenate(oracle.Oracle(world).segments([video.frames for video in videos]))
    there = np.concatenate([video.there for video in videos])
    assert (found[there] > 0.5).mean() > 0.97 and (there[found > 0.5]).mean() > 0.97


def test_forward_backward_is_the_sum_over_all_paths():
    rng = np.random.default_rng(0)
    scenes, length, states, stay = 2, 4, 3, 0.8
    emissions, priors = rng.normal(size=(scenes, length, states)), np.log(rng.dirichlet(np.ones(states), scenes))
    expected = np.zeros((length, states))
    for scene, path in itertools.product(range(scenes), itertools.product(range(states), repeat=length)):
        prior = np.exp(priors[scene])
        weight = prior[path[0]] * np.exp(sum(emissions[scene, t, path[t]] for t in range(length)))
        for before, after in itertools.pairwise(path):
            weight *= stay * (before == after) + (1 - stay) * prior[after]
        expected[np.arange(length), path] += weight
    posterior = oracle._forward_backward(emissions, priors, stay)
    np.testing.assert_allclose(posterior, expected / expected.sum(axis=1, keepdims=True), rtol=1e-9)


# ---------------------------------------------------------------- statistics


def correlations(frames):
    """Mean over pairs of different frames, and over neighbours, of f.g / mean |f|^2."""
    products = frames @ frames.T
    count = len(frames)
    energy = np.trace(products) / count
    return (products.sum() - np.trace(products)) / (count * (count - 1)) / energy, np.trace(products, 1) / (count - 1) / energy


def test_energies_and_correlations_are_those_of_the_real_frames(world):
    videos = [make_video(world, "train", index).frames for index in range(200)]
    videos = [frames for frames in videos if len(frames) > 1 and (frames[1:, 1024:] != frames[0, 1024:]).any()]
    for part, energy, within in ((slice(0, 1024), 920, 0.23), (slice(1024, 1152), 189, 0.32)):
        values = [dequantise(frames[:, part]) for frames in videos]
        assert np.mean([(v**2).sum(axis=1).mean() for v in values]) == pytest.approx(energy, rel=0.06)
        assert np.mean([correlations(v)[0] for v in values]) == pytest.approx(within, abs=0.03)
        if part.start:
            assert np.mean([correlations(v)[1] for v in values]) == pytest.approx(0.50, abs=0.04)
    audio = np.concatenate([frames[:, 1024:] for frames in videos])
    assert (audio == 0).mean() == pytest.approx(0.09, abs=0.015) and (audio == 255).mean() == pytest.approx(0.09, abs=0.015)


def test_lengths_labels_and_ratings_are_like_the_real_ones(world):
    train = [make_video(world, "train", index) for index in range(300)]
    lengths = np.array([len(video.frames) for video in train])
    assert lengths.mean() == pytest.approx(50, abs=2) and lengths[249] == 1
    assert (lengths == 65).mean() == pytest.approx(0.3, abs=0.08)  # 30% have exactly the most frames
    assert np.mean([len(video.labels) for video in train]) == pytest.approx(3.0, abs=0.4)
    held_out = [make_video(world, "held_out", index) for index in range(300)]
    shares = np.mean([score for video in held_out for *_, score in video.ratings])
    assert shares == pytest.approx(0.56, abs=0.05)


def test_video_labels_miss_classes_and_name_some_that_never_occur(world):
    occurring, labelled, both = 0, 0, 0
    for index in range(300):
        video = make_video(world, "train", index)
        shown = video.entities[(video.entities >= 0) & (video.variants < 2)]
        occurs = set(np.flatnonzero(world.above[shown].any(axis=0)))
        occurring, labelled, both = occurring + len(occurs), labelled + len(video.labels), both + len(occurs & set(video.labels))
    assert 0.8 < both / occurring < 0.95
    assert 0.5 < both / labelled < 0.9


def test_a_silent_video_has_one_constant_vector():
    world = World(Settings(silent=1.0))
    audio = np.concatenate([make_video(world, "train", index).frames[:, 1024:] for index in range(3)])
    assert (audio == audio[0]).all()


# ---------------------------------------------------------------- cache


def test_ensure_sample_makes_once_says_so_and_reuses(tiny_sizes, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path))
    first = samples.ensure_sample()
    assert first.folder in capsys.readouterr().out and Path(first.folder).parent == tmp_path
    monkeypatch.setattr(samples, "_build", None)
    assert samples.ensure_sample("small") == first
    assert capsys.readouterr().out == ""
    assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_build_is_never_taken_for_a_sample(tiny_sizes, tmp_path, monkeypatch):
    with monkeypatch.context() as killed:

        def die(*_):
            raise KeyboardInterrupt

        killed.setattr(samples, "_write_manifest", die)
        killed.setattr(shutil, "rmtree", lambda *_, **__: None)  # as nothing is cleaned up after a kill
        with pytest.raises(KeyboardInterrupt):
            samples.ensure_sample("small", tmp_path)
    (left,) = tmp_path.iterdir()
    assert any(left.rglob("*.tfrecord"))
    with pytest.raises(UserError, match="no manifest"):
        samples.read_sample(left)
    monkeypatch.setattr(files, "_tidied", set())  # as in a new process
    made = samples.ensure_sample("small", tmp_path)
    assert list(tmp_path.iterdir()) == [Path(made.folder)]  # what a killed process left is gone


def test_the_same_command_again_finds_its_sample(tiny, capsys):
    """A process may be killed between the end of its work and its own."""
    before = {path: path.stat().st_mtime_ns for path in Path(tiny.folder).rglob("*")}
    assert samples.make_sample(tiny.folder, TINY, tiny.size) == tiny
    assert "made with the same settings" in capsys.readouterr().out
    with pytest.raises(UserError, match="is there already"):
        samples.make_sample(tiny.folder, dataclasses.replace(TINY, seed=TINY.seed + 1))
    assert {path: path.stat().st_mtime_ns for path in Path(tiny.folder).rglob("*")} == before


def test_a_failing_build_leaves_nothing(tiny_sizes, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "_write_manifest", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        samples.ensure_sample("small", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_second_process_uses_the_sample_that_was_there_first(tiny, tiny_sizes, tmp_path, monkeypatch):
    real = samples._build

    def build_while_another_finishes(folder, *arguments):
        real(folder, *arguments)
        final = folder.parent / folder.name.split(".")[1]
        shutil.copytree(tiny.folder, final)
        (final / "first").touch()

    monkeypatch.setattr(samples, "_build", build_while_another_finishes)
    made = samples.ensure_sample("small", tmp_path)
    assert (Path(made.folder) / "first").exists()
    assert list(tmp_path.iterdir()) == [Path(made.folder)]


def test_a_damaged_sample_is_made_again(tiny_sizes, tmp_path):
    made = samples.ensure_sample("small", tmp_path)
    Path(made.truth_file).unlink()
    with pytest.raises(UserError, match=r"truth\.npz"):
        samples.read_sample(made.folder)
    assert samples.ensure_sample("small", tmp_path) == made
    assert Path(made.truth_file).exists() and list(tmp_path.iterdir()) == [Path(made.folder)]


def test_a_sample_of_another_version_is_refused(tiny, tmp_path):
    (tmp_path / "sample.json").write_text(Path(tiny.folder, "sample.json").read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(UserError, match="version 0, not 1"):
        samples.read_sample(tmp_path)


def test_a_moved_sample_still_reads(tiny, tmp_path):
    moved = samples.read_sample(shutil.copytree(tiny.folder, tmp_path / "moved"))
    assert tf.io.gfile.glob(moved.train_pattern) and moved.train_pattern.startswith(str(tmp_path))


# ---------------------------------------------------------------- command line


def test_the_command_makes_a_sample_of_the_given_numbers(tmp_path, capsys):
    flags = ["--num_train_videos=2", "--num_validate_videos=5", "--num_test_videos=2", "--num_classes=12",
             "--num_segment_classes=3", "--mean_frames=20", "--seed=7", f"--output_dir={tmp_path / 'own'}"]  # fmt: skip
    assert commands.run("sample", *flags) is None
    made = samples.read_sample(tmp_path / "own")
    assert made.size == "custom" and made.num_classes == 12
    counts = [len(raw_records(p)) for p in (made.train_pattern, made.rated_pattern, made.held_out_pattern, made.test_pattern)]
    assert counts == [2, 3, 2, 2]
    assert made.train_pattern in capsys.readouterr().out
    assert commands.run("sample", *flags) is None  # the same again
    assert "there already" in commands.run("sample", *flags, "--seed=8")


@pytest.mark.parametrize(
    "flags, line",
    [
        (["--size=tiny"], "--size=tiny: use one of small, medium, large."),
        (["--num_classes=3"], "--num_classes=3: use 6 or more."),
        (["--num_segment_classes=40"], "--num_segment_classes=40: use at most half of num_classes, 54."),
        (["--num_train_videos=0"], "--num_train_videos=0: use 1 or more."),
        (["--num_validate_videos=1"], "--num_validate_videos=1: use 2 or more"),
        (["--mean_frames=300"], "--mean_frames=300: use at most 230"),
        (["--mean_frames=many"], "--mean_frames=many"),
        (["--seed=-1"], "--seed=-1: use 0 or more."),
        (["--seed=3"], "--output_dir is not given"),
        (["small"], "small: not a flag."),
    ],
)
def test_nonsense_is_refused_in_one_line(flags, line):
    refused = commands.run("sample", *flags)
    assert line in refused and "\n" not in refused


def test_an_unknown_size_is_a_user_error():
    with pytest.raises(UserError, match="size='huge'"):
        samples.ensure_sample("huge")
