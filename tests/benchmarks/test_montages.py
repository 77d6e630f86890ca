"""Montages: deterministic, in native formats, without leaks; and the statistics that are printed of them."""

import dataclasses
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.readers.records import decode_context, decode_video, encode_video_features, write_shard
from yt8m.segments import dequantise

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))
import montage
import montage_attention
import montage_files
import montage_measures
import montage_ratings
import montage_rows
import montage_statistics
import montages

CLASSES = (3, 7, 8, 11, 0, 1)  # four of them are segment classes
TINY = montages.Settings(
    num_train_videos=6, num_rated_videos=4, num_held_out_videos=4, num_test_videos=5, shares=(0.25, 0.25, 0.25, 0.25),
    num_classes=6, num_segment_classes=4, lengths=(30, 32, 34, 38, 41), neighbours=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Video-level shards of 240 made-up videos with one to three classes each, every sixth of them with none of CLASSES."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    looks = rng.normal(0, 0.4, (len(CLASSES), 1152))
    for shard in range(2):
        records = []
        for video in range(120):
            classes = rng.permutation(len(CLASSES))[: rng.integers(1, 4)]
            mean = looks[classes].mean(axis=0) + rng.normal(0, 0.3, 1152)
            features = {"mean_rgb": mean[:1024], "mean_audio": mean[1024:]}
            labels = np.array(CLASSES)[classes] if video % 6 else np.array([12])
            records.append(encode_video_features(f"{shard}{video:03d}", labels, features))
        write_shard(folder / f"validate{shard:04d}.tfrecord", records)
    return folder


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    return montage_files.ensure_montages(tmp_path_factory.mktemp("work"), data, TINY)


@pytest.fixture(scope="module")
def world(data):
    return montage_files.make_world(TINY, montage_files.read_sources(data))


def records(pattern):
    return [r for path in sorted(tf.io.gfile.glob(pattern)) for r in tf.data.TFRecordDataset(path).as_numpy_iterator()]


def test_a_montage_depends_on_settings_split_and_index_alone(data, world):
    again = montage_files.make_world(TINY, montage_files.read_sources(data))
    for split, index in (("train", 3), ("test", 0)):
        one, other = montages.make_montage(world, split, index), montages.make_montage(again, split, index)
        assert one.id == other.id and one.ratings == other.ratings
        np.testing.assert_array_equal(one.frames, other.frames)
    another = montage_files.make_world(dataclasses.replace(TINY, seed=2), montage_files.read_sources(data))
    assert montages.make_montage(another, "test", 0).frames.tobytes() != one.frames.tobytes()


def test_no_source_is_in_two_parts(made, world):
    """Neither as what is shown nor as background."""
    truth, first = made.truth(), 0
    parts = []
    for split in montages.SPLITS:
        ids = [montages.video_id(first + index) for index in range(TINY.num_videos(split))]
        first += TINY.num_videos(split)
        used = set().union(*({int(truth[id]["background"]), *truth[id]["sources"].tolist()} for id in ids)) - {-1}
        assert {int(world.parts[source]) for source in used} == {montages.SPLITS.index(split)}
        parts.append(used)
    assert sum(map(len, parts)) == len(set().union(*parts))


def test_the_part_of_a_source_is_that_of_its_id_whatever_else_is_there(world):
    shares = (0.5, 0.2, 0.1, 0.2)
    parts = [montages.part_of(f"{n:04d}", shares) for n in range(4000)]
    np.testing.assert_allclose(np.bincount(parts) / 4000, shares, atol=0.03)
    assert [montages.part_of(id, TINY.shares) for id in world.ids] == world.parts.tolist()


def test_rated_classes_are_segment_classes_and_labels_are_renumbered(world):
    assert sorted(world.label_ids.tolist()) == sorted(CLASSES)
    assert set(world.label_ids[world.segment_classes].tolist()) == {3, 7, 8, 11}


def test_records_are_native_and_say_what_the_truth_says(made):
    truth = made.truth()
    for record in records(made.rated_pattern):
        video = decode_video(record, ("rgb", "audio"), (1024, 128))
        known = truth[video.id]
        assert len(video.frames["rgb"]) == len(known["seconds"]) and 30 <= len(known["seconds"]) <= 41
        assert len(video.segments.start_times) == 5 and set(video.segments.labels.tolist()) <= set(made.segment_classes)
        assert set(video.segments.labels.tolist()) <= set(video.labels.tolist())
        for segment, there in enumerate(known["there"]):
            seconds = known["seconds"][5 * segment : 5 * segment + 5]
            np.testing.assert_array_equal(there, 2 * seconds.sum(axis=0, dtype=int) > len(seconds))


def test_test_shards_tell_neither_labels_nor_ratings(made):
    videos = [decode_video(record, ("rgb", "audio"), (1024, 128)) for record in records(made.test_pattern)]
    assert len(videos) == 5 and all(not len(video.labels) and video.segments is None for video in videos)
    rated = [decode_context(record) for record in records(made.test_ratings_pattern)]
    assert [video.id for video in rated] == [video.id for video in videos]
    assert all(len(video.segments.labels) == 5 for video in rated)


def test_every_whole_segment_rated_as_the_truth_has_it(data, tmp_path):
    never_wrong = dataclasses.replace(TINY, rater_error=0.0)
    made = montage_files.ensure_montages(tmp_path, data, never_wrong)
    pattern = montage_ratings.ensure_every_segment_rated(made)
    truth, columns = made.truth(), {label: column for column, label in enumerate(made.segment_classes)}
    pairs = list(zip(records(made.rated_pattern), records(pattern), strict=True))
    assert len(pairs) == TINY.num_rated_videos
    for five, every in pairs:
        five, every = (decode_video(record, ("rgb", "audio"), (1024, 128)) for record in (five, every))
        np.testing.assert_array_equal(every.frames["rgb"], five.frames["rgb"])
        count = len(five.frames["rgb"]) // 5
        rated = {(start, label): score for start, label, score in zip(*_ratings(every))}
        assert set(rated) == {(5 * row, label) for row in range(count) for label in five.segments.labels.tolist()}
        assert all(rated[start, label] == truth[five.id]["there"][start // 5, columns[label]] for start, label in rated)
        assert all(rated[start, label] == score for start, label, score in zip(*_ratings(five)))


def _ratings(video):
    return (array.tolist() for array in (video.segments.start_times, video.segments.labels, video.segments.scores))


def test_made_montages_are_found_again(made, data, capsys):
    assert montage_files.ensure_montages(pathlib.Path(made.folder).parent, data, TINY) == made
    assert capsys.readouterr().out == ""


def test_noise_has_the_energy_and_the_correlation_that_are_asked_for(world):
    still = dataclasses.replace(TINY, background=0.0, scene=0.0, cutaway=0.0, background_only=0.0, silent=0.0)
    world = montages.World(still, montages.Sources(world.ids, labels_of(world), world.means * 0.01), range(12))
    frames = montages._frames(world, np.random.default_rng(0), 0, np.array([0]), 0, np.zeros(300, int))
    noise = dequantise(frames)[:, :1024]
    noise -= noise.mean(axis=0)
    assert noise.var() == pytest.approx(0.9, rel=0.1)
    lag = (noise[1:] * noise[:-1]).mean() / noise.var()
    assert lag == pytest.approx(still.lasting * still.stay, abs=0.03)


def test_fillers_have_none_of_the_classes_and_are_as_many_as_asked_for(world):
    videos = [montages.make_montage(world, "train", index) for index in range(6)]
    for video in videos:
        shown = set(video.sources[video.variants[video.filler]].tolist())
        assert shown and not world.has[sorted(shown)].any() and shown <= set(world.fillers[0].tolist())
    assert np.concatenate([video.filler for video in videos]).mean() == pytest.approx(TINY.filler, abs=0.15)


def test_records_without_fillers_are_refused_in_one_line(world):
    labels = [[int(world.label_ids[0])]] * len(world.ids)
    with pytest.raises(UserError, match=r"--data: .* train"):
        montages.World(TINY, montages.Sources(world.ids, labels, world.means), range(12))


def test_a_scene_lasts_and_another_follows(world):
    scenes = montages._scenes(world, np.random.default_rng(0), 0, 200)
    changes = np.flatnonzero((scenes[1:] != scenes[:-1]).any(axis=1))
    assert scenes.shape == (200, 1152) and np.diff(changes).min() >= 2 and np.diff(changes).max() <= 12 and len(changes) > 10


def test_what_attention_is_measured_by():
    filler = np.array([False, False, True, True])
    seconds = np.array([[1], [0], [1], [0]], bool)
    told = np.array([0.5, 0.5, 0.0, 0.0])[:, None, None]  # [T, F, M]
    found = montage_attention.of_montage(told, np.ones((1, 1)), filler, seconds, [0])
    assert found["frames"] == pytest.approx(0.5) and found["on_fillers"] == 0 and found["filler_auc"] == 1
    assert found["class_auc"] == 0.5 and found["between_sets"] is None
    even = np.full((4, 1, 2), 0.25)
    even[:, 0] += np.array([[0.01, 0.01, -0.01, -0.01], [0.1, -0.1, 0, 0]]).T
    found = montage_attention.of_montage(even, np.array([[0.1], [0.9]]), filler, seconds, [0])
    assert found["class_auc"] == 1 and found["on_fillers"] == pytest.approx(0.98)


def labels_of(world):
    return [world.label_ids[has] for has in world.has]


def test_smoothing_is_a_mean_of_three_and_of_two_at_the_ends():
    scores = np.array([[1.0], [4.0], [7.0], [0.0]], np.float32)
    np.testing.assert_allclose(montage_measures.smoothed(scores)[:, 0], [2.5, 4.0, 11 / 3, 3.5])
    np.testing.assert_allclose(montage_measures.smoothed(scores[:1]), scores[:1])


def test_the_truth_scores_best(made):
    part = montage_measures.part_of(made, "test")
    there = part.there.astype(np.float32)
    assert part.map_of_all(there) == 1
    found = montage_measures.localization_of(part, part, *[montage_measures.of_segments(part, there)] * 2)
    assert found["iou"] > 0.8 and found["pointing"] > 0.9 and found["ap@0.3"] > 0.9  # a segment may begin before its class does
    assert montage_measures.diagnosis(part, there)["within"] <= 1


def test_statistics_of_frames_whose_correlations_are_known():
    frames = np.repeat(np.eye(4, dtype=np.float32), 2, axis=0)  # pairs of equal frames, orthogonal to the others
    mean, *lags = montage_statistics._correlations(frames)
    assert mean == pytest.approx(4 * 2 / (8 * 7)) and lags[:2] == [pytest.approx(4 / 7), 0]


def test_cosines_of_montages_with_equal_labels():
    means = np.array([[1.0, 0], [1, 0], [0, 1]])
    found = montage_statistics.cosines(means, [(1,), (1,), (2,)])
    assert found == {"cosine of random montages rgb": pytest.approx(1 / 3), "cosine of equal labels rgb": 1}


def test_every_row_that_is_compared_is_one_that_a_group_trains():
    comparisons = montage.comparisons_of(montage.GROUPS)
    assert {name for name, _, _ in comparisons} and all(isinstance(goal, str) for _, _, goal in comparisons)


def test_the_table_pairs_by_seed_and_asks_for_two_standard_errors():
    records = {}
    for seed, (base, ours) in enumerate([(0.70, 0.72), (0.71, 0.74), (0.69, 0.71)], start=1):
        for name, value in (("base", base), ("ours", ours)):
            measures = dict.fromkeys(montage.MEASURES, value)
            records[name, seed] = {"row": name, "seed": seed, "group": "g", **measures}
    rows = montage.rows_of(records, [("ours", "base", "above (000)"), ("missing", "base", "")], (1, 2, 3))
    assert [row["name"] for row in rows] == ["base", "ours"]
    assert rows[1]["gain"] == pytest.approx(0.07 / 3) and rows[1]["met"] and rows[1]["seeds"] == [0.72, 0.74, 0.71]
    reached = montage.report.reached
    assert reached("above", [0.01, -0.01, 0.02]) is False and reached("not below", [0.01, -0.01, 0.02])


@pytest.mark.parametrize("key", montage_rows.MODELS)
def test_models_have_the_arguments_that_they_are_given(key):
    from yt8m import models

    name, values = montage_rows.MODELS[key]
    models.check_hyperparameters(name, values)
