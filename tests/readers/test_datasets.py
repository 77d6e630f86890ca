"""Batches: what a row holds, every row once, an order that is a function of the seed, errors in one line."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import FEATURE_NAMES, FEATURE_SIZES, make_video, write_frame_shards, write_video_shards
from yt8m.errors import UserError
from yt8m.readers import datasets
from yt8m.readers.datasets import DataSpec
from yt8m.readers.records import write_shard


def spec_of(pattern, **changes):
    fields = {"pattern": pattern, "feature_names": FEATURE_NAMES, "feature_sizes": FEATURE_SIZES, "num_classes": 10}
    return DataSpec(**{**fields, **changes})


def arrays(dataset):
    return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]


def ids(batches):
    return [id.decode() for batch in batches for id in batch["ids"]]


def bytes_of(video):
    return np.concatenate([video.frames[name] for name in FEATURE_NAMES], axis=1)


def assert_equal(batches, others):
    assert len(batches) == len(others)
    for one, other in zip(batches, others):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def read_error(pattern, **changes):
    """The line of the UserError that reading it ends in."""
    with pytest.raises(UserError) as caught:
        with datasets.errors_as_user_errors():
            for _ in datasets.evaluation_batches(spec_of(pattern, **changes), 4):
                pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """23 videos in 5 shards, one of them empty."""
    shards, number = [], 0
    for count in (7, 1, 0, 9, 6):
        shards.append([make_video(f"v{number + i:03d}", 1 + (number + i) % 4, [i % 10]) for i in range(count)])
        number += count
    return write_frame_shards(tmp_path_factory.mktemp("many"), shards)


# ---------------------------------------------------------------- what a row holds


def test_frame_level_batch(tmp_path):
    videos = [make_video("one", 1, [3]), make_video("long", 301, [0, 9]), make_video("none", 4, [])]
    dataset = datasets.evaluation_batches(spec_of(write_frame_shards(tmp_path, [videos])), 8)
    (batch,) = arrays(dataset)
    assert batch["frames"].shape == (3, 300, 24) and batch["frames"].dtype == np.uint8
    np.testing.assert_array_equal(batch["num_frames"], [1, 300, 4])
    for row, video in zip(batch["frames"], videos):
        frames = bytes_of(video)[:300]
        np.testing.assert_array_equal(row[: len(frames)], frames)
        assert not row[len(frames) :].any()
    np.testing.assert_array_equal(batch["labels"].nonzero(), [[0, 1, 1], [3, 0, 9]])
    assert (batch["label_weights"] == 1).all() and ids([batch]) == ["one", "long", "none"]
    assert dataset.element_spec == {
        "ids": tf.TensorSpec([None], tf.string),
        "frames": tf.TensorSpec([None, None, 24], tf.uint8),
        "num_frames": tf.TensorSpec([None], tf.int32),
        "labels": tf.TensorSpec([None, 10], tf.float32),
        "label_weights": tf.TensorSpec([None, 10], tf.float32),
    }


def test_padding_to_the_batch_or_to_max_frames(many):
    short, *_ = arrays(datasets.evaluation_batches(spec_of(many, max_frames=3), 2))
    assert short["frames"].shape == (2, 2, 24)
    padded = datasets.evaluation_batches(spec_of(many, max_frames=3, pad_frames=True), 2)
    assert padded.element_spec["frames"].shape[1] == 3
    assert {batch["frames"].shape[1] for batch in arrays(padded)} == {3}


def test_feature_order_follows_the_names(tmp_path):
    video = make_video("aaaa", 5)
    pattern = write_frame_shards(tmp_path, [[video]])
    (batch,) = arrays(datasets.evaluation_batches(spec_of(pattern, feature_names=["audio", "rgb"], feature_sizes=[8, 16]), 1))
    np.testing.assert_array_equal(batch["frames"][0], np.concatenate([video.frames["audio"], video.frames["rgb"]], axis=1))
    (batch,) = arrays(datasets.evaluation_batches(spec_of(pattern, feature_names=["audio"], feature_sizes=[8]), 1))
    np.testing.assert_array_equal(batch["frames"][0], video.frames["audio"])


def test_audioset_is_a_matter_of_names(tmp_path):
    video = make_video("LoTRWc9WK9Q", 10, [0, 526], features={"audio_embedding": 128})
    pattern = write_frame_shards(tmp_path, [[video]], id_feature="video_id")
    spec = DataSpec(pattern, ("audio_embedding",), (128,), num_classes=527, id_feature="video_id")
    (batch,) = arrays(datasets.evaluation_batches(spec, 4))
    np.testing.assert_array_equal(batch["frames"][0], video.frames["audio_embedding"])
    assert ids([batch]) == ["LoTRWc9WK9Q"] and batch["labels"].nonzero()[1].tolist() == [0, 526]


def test_means_for_a_video_level_model(tmp_path):
    videos = [make_video("one", 1), make_video("more", 7), make_video("long", 301)]
    dataset = datasets.evaluation_batches(spec_of(write_frame_shards(tmp_path, [videos]), as_video_features=True), 4)
    (batch,) = arrays(dataset)
    assert "frames" not in batch and dataset.element_spec["features"].shape.as_list() == [None, 24]
    for row, video in zip(batch["features"], videos):
        dequantised = bytes_of(video)[:300].astype(np.float64) * 4 / 255 - 2 + 4 / 512
        np.testing.assert_allclose(row, dequantised.mean(axis=0), atol=1e-6)


def video_level(folder, **changes):
    rng = np.random.default_rng(0)
    rows = [(f"v{i}", [i, 9][: i % 3], {"mean_rgb": rng.normal(size=16), "mean_audio": rng.normal(size=8)}) for i in range(5)]
    names = {"feature_names": ["mean_rgb", "mean_audio"], "feature_sizes": [16, 8], "frame_features": False}
    return rows, spec_of(write_video_shards(folder, [rows[:3], rows[3:]]), **{**names, **changes})


@pytest.mark.parametrize("bulk", [True, False])
def test_video_level_batch(tmp_path, monkeypatch, bulk):
    rows, spec = video_level(tmp_path)
    if not bulk:
        monkeypatch.setattr(datasets, "_parsed_in_bulk", lambda *arguments: None)
    (batch,) = arrays(datasets.evaluation_batches(spec, 5))
    wanted = [np.concatenate([features["mean_rgb"], features["mean_audio"]]) for _, _, features in rows]
    np.testing.assert_array_equal(batch["features"], np.array(wanted, np.float32))
    assert ids([batch]) == ["v0", "v1", "v2", "v3", "v4"] and batch.keys() == {"ids", "features", "labels", "label_weights"}
    np.testing.assert_array_equal(batch["labels"].nonzero(), [[1, 2, 2, 4], [1, 2, 9, 4]])
    assert (batch["label_weights"] == 1).all()


def test_columns_of_some_labels_and_only_their_videos(tmp_path):
    videos = [make_video(id, labels=labels) for id, labels in (("aa", [7, 2]), ("bb", [1]), ("cc", []), ("dd", [2]))]
    pattern = write_frame_shards(tmp_path, [videos])
    (batch,) = arrays(datasets.evaluation_batches(spec_of(pattern, label_ids=[7, 5, 2]), 4))
    np.testing.assert_array_equal(batch["labels"], [[1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 1]])
    some = spec_of(pattern, label_ids=[7, 5, 2], only_videos_with_label_ids=True)
    assert ids(arrays(datasets.evaluation_batches(some, 4))) == ["aa", "dd"] and datasets.count_examples(some) == 2
    _, spec = video_level(tmp_path / "video", label_ids=[9, 4], only_videos_with_label_ids=True)
    assert ids(arrays(datasets.evaluation_batches(spec, 4))) == ["v2", "v4"]


# ---------------------------------------------------------------- rated segments


@pytest.fixture
def rated(tmp_path):
    """Starts with several classes, at, past and up to the end, and videos without ratings."""
    videos = [
        make_video("aaaa", 20, [1, 2], [(10, 1, 1.0), (0, 2, 1.0), (10, 2, 0.0), (15, 8, 1.0)]),
        make_video("bbbb", 9, [1]),
        make_video("cccc", 12, [1], [(10, 1, 1.0), (12, 1, 1.0), (90, 1, 0.0), (5, 7, 0.0)]),
    ]
    return videos, write_frame_shards(tmp_path, [videos[:2], videos[2:]])


def test_rated_rows(rated, capsys):
    videos, pattern = rated
    dataset = datasets.evaluation_batches(spec_of(pattern, segment_labels=True), 16)
    (batch,) = arrays(dataset)
    assert ids([batch]) == ["aaaa", "aaaa", "aaaa", "cccc", "cccc"]
    np.testing.assert_array_equal(batch["start_times"], [0, 10, 15, 5, 10])
    np.testing.assert_array_equal(batch["num_frames"], [5, 5, 5, 5, 2])
    assert batch["frames"].shape == (5, 5, 24) and dataset.element_spec["frames"].shape.as_list() == [None, 5, 24]
    np.testing.assert_array_equal(batch["frames"][1], bytes_of(videos[0])[10:15])
    np.testing.assert_array_equal(batch["frames"][4, :2], bytes_of(videos[2])[10:12])
    assert not batch["frames"][4, 2:].any()
    np.testing.assert_array_equal(batch["label_weights"].nonzero(), [[0, 1, 1, 2, 3, 4], [2, 1, 2, 8, 7, 1]])
    np.testing.assert_array_equal(batch["labels"].nonzero(), [[0, 1, 2, 4], [2, 1, 8, 1]])
    assert "validate0001.tfrecord: 2 rated segment(s) start past" in capsys.readouterr().err
    assert datasets.count_examples(spec_of(pattern, segment_labels=True)) == 5
    assert capsys.readouterr().err == ""


def test_expanded_windows_are_clipped_and_moved_to_the_front(rated):
    videos, pattern = rated
    (batch,) = arrays(datasets.evaluation_batches(spec_of(pattern, segment_labels=True, segment_expansion=3), 16))
    assert batch["frames"].shape[1] == 11
    for row, count, (video, begin, end) in zip(
        batch["frames"], batch["num_frames"], [(0, 0, 8), (0, 7, 18), (0, 12, 20), (2, 2, 12), (2, 7, 12)], strict=True
    ):
        assert count == end - begin
        np.testing.assert_array_equal(row[:count], bytes_of(videos[video])[begin:end])
        assert not row[count:].any()


def test_rated_segments_beyond_max_frames_are_read(rated):
    videos, pattern = rated
    (batch,) = arrays(datasets.evaluation_batches(spec_of(pattern, segment_labels=True, max_frames=3), 16))
    np.testing.assert_array_equal(batch["frames"][2], bytes_of(videos[0])[15:20])


def test_ratings_of_other_classes_are_dropped(rated):
    _, pattern = rated
    (batch,) = arrays(datasets.evaluation_batches(spec_of(pattern, segment_labels=True, label_ids=[8, 2]), 16))
    np.testing.assert_array_equal(batch["start_times"], [0, 10, 15])
    np.testing.assert_array_equal(batch["label_weights"], [[0, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(batch["labels"], [[0, 1], [0, 0], [1, 0]])


def test_means_of_rated_segments(rated):
    videos, pattern = rated
    (batch,) = arrays(datasets.evaluation_batches(spec_of(pattern, segment_labels=True, as_video_features=True), 16))
    dequantised = bytes_of(videos[2])[10:12].astype(np.float64) * 4 / 255 - 2 + 4 / 512
    np.testing.assert_allclose(batch["features"][4], dequantised.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(batch["start_times"], [0, 10, 15, 5, 10])


def test_a_video_with_several_segments_is_parsed_once(rated, monkeypatch):
    parsed, decode = [], datasets.records.decode_video
    monkeypatch.setattr(datasets.records, "decode_video", lambda *a: parsed.append(1) or decode(*a))
    arrays(datasets.evaluation_batches(spec_of(rated[1], segment_labels=True), 16))
    assert len(parsed) == 2


def test_read_ratings_needs_no_frames(rated, tmp_path):
    videos, pattern = rated
    ratings = datasets.read_ratings(pattern)
    starts = [10, 0, 10, 15, 10, 12, 90, 5]
    assert ratings.segment_ids.tolist() == [f"{id}:{start}" for id, start in zip(["aaaa"] * 4 + ["cccc"] * 4, starts)]
    np.testing.assert_array_equal(ratings.classes, [1, 2, 2, 8, 1, 1, 1, 7])
    np.testing.assert_array_equal(ratings.scores, [1, 1, 0, 1, 1, 1, 0, 0])
    bare = write_frame_shards(tmp_path / "bare", [[dataclasses.replace(video, frames={}) for video in videos]])
    np.testing.assert_array_equal(datasets.read_ratings(bare).classes, ratings.classes)


def test_no_rated_segment_at_all(many):
    line = "no rated segment in .*: needs version-3 validate shards"
    for read in (datasets.count_examples, lambda spec: datasets.read_ratings(spec.pattern)):
        with pytest.raises(UserError, match=line):
            read(spec_of(many, segment_labels=True))
    for batches in (datasets.evaluation_batches(spec_of(many, segment_labels=True), 4),
                    datasets.training_batches(spec_of(many, segment_labels=True), 4, seed=1)):  # fmt: skip
        with pytest.raises(UserError, match=line), datasets.errors_as_user_errors():
            next(iter(batches))


# ---------------------------------------------------------------- the order


def test_evaluation_is_every_row_once_in_file_order(many):
    batches = arrays(datasets.evaluation_batches(spec_of(many), 5))
    assert ids(batches) == [f"v{i:03d}" for i in range(23)]
    assert [len(batch["ids"]) for batch in batches] == [5, 5, 5, 5, 3]
    assert datasets.count_examples(spec_of(many)) == 23


@pytest.mark.parametrize("shuffle_shards", [1, 2, 16])
def test_every_row_once_an_epoch(many, shuffle_shards):
    batches = arrays(datasets.training_batches(spec_of(many), 4, 1, num_epochs=3, shuffle_shards=shuffle_shards))
    assert [len(batch["ids"]) for batch in batches] == [4] * 17 + [1]
    epochs = np.array(ids(batches)).reshape(3, 23)
    for epoch in epochs:
        assert sorted(epoch) == [f"v{i:03d}" for i in range(23)]
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_seed_determines_the_order(many):
    def order(seed, num_parallel=2):
        return arrays(datasets.training_batches(spec_of(many), 4, seed, num_epochs=2, num_parallel=num_parallel))

    assert_equal(order(1), order(1, num_parallel=1))
    assert ids(order(1)) != ids(order(2)) and sorted(ids(order(1))) == sorted(ids(order(2)))


def test_rows_of_a_group_of_shards_are_mixed(many):
    shards = np.array([int(id[1:]) > 7 for id in ids(arrays(datasets.training_batches(spec_of(many), 4, 1, num_epochs=1)))])
    assert np.abs(np.diff(shards.astype(int))).sum() > 3


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("start_step", [1, 4, 5, 6, 11, 17, 18, 40])
def test_resume_gives_the_same_batches(many, rated, segments, start_step):
    spec = spec_of(rated[1], segment_labels=True) if segments else spec_of(many)
    size, epochs = (2, 12) if segments else (4, 3)

    def run(start):
        return arrays(datasets.training_batches(spec, size, 7, start, epochs, shuffle_shards=2))

    assert_equal(run(start_step), run(0)[start_step:])


def test_resume_far_into_an_endless_run(many):
    def run(start, count):
        return arrays(datasets.training_batches(spec_of(many), 5, 3, start_step=start).take(count))

    assert_equal(run(23, 6), run(0, 29)[23:])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_workers_join_to_the_whole_batch(many, count):
    for make in (lambda worker: datasets.training_batches(spec_of(many, pad_frames=True), 6, 1, num_epochs=1, worker=worker),
                 lambda worker: datasets.evaluation_batches(spec_of(many, pad_frames=True), 6, worker)):  # fmt: skip
        whole, parts = arrays(make((0, 1))), [arrays(make((i, count))) for i in range(count)]
        for step, batch in enumerate(whole):
            for key in batch:
                for i in range(count):
                    np.testing.assert_array_equal(parts[i][step][key], batch[key][i::count])


def test_a_worker_may_get_an_empty_last_batch(many):
    for batches in (spec_of(many), spec_of(many, as_video_features=True)):
        last = arrays(datasets.evaluation_batches(batches, 22, worker=(1, 2)))[-1]
        assert len(last["ids"]) == 0 and last["labels"].shape == (0, 10)


def test_training_starts_before_all_shards_are_read(many, monkeypatch):
    seen, index_shard = set(), datasets.index_shard
    monkeypatch.setattr(datasets, "index_shard", lambda path: seen.add(path) or index_shard(path))
    next(datasets._shuffled_rows(spec_of(many), datasets.match_files(many), 1, None, 0, shuffle_shards=2))
    assert len(seen) == 2


def test_remote_paths_give_the_same(many):
    remote = spec_of(f"file://{many}")
    assert_equal(arrays(datasets.evaluation_batches(remote, 5)), arrays(datasets.evaluation_batches(spec_of(many), 5)))
    assert datasets.count_examples(remote) == 23


# ---------------------------------------------------------------- what users get wrong


def test_files_of_several_globs(tmp_path):
    for name in ("b1", "a1", "a2"):
        (tmp_path / name).write_text("")
    assert datasets.match_files(f"{tmp_path}/b*, {tmp_path}/a*,{tmp_path}/a1") == [f"{tmp_path}/{n}" for n in ("a1", "a2", "b1")]


@pytest.mark.parametrize("pattern", ["{}/x*.tfrecord", "{}/nowhere/x", "{}/a1,{}/x*", "", ","])
def test_no_file_matches(tmp_path, pattern):
    (tmp_path / "a1").write_text("")
    with pytest.raises(UserError, match=r"no file matches --train_data_pattern='"):
        datasets.match_files(pattern.replace("{}", str(tmp_path)), "train_data_pattern")
    with pytest.raises(UserError, match=r"no file matches --eval_data_pattern='"):
        spec = spec_of(pattern.replace("{}", str(tmp_path)), pattern_flag="eval_data_pattern")
        datasets.training_batches(spec, 2, 1)


def test_errors_name_shard_and_record(tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("aaaa")], [make_video("bbbb"), make_video("cccc", labels=[10])]])
    assert read_error(pattern).startswith("shard validate0001.tfrecord, record 1: has label 10")
    assert "Use --num_classes=11" in read_error(pattern)
    assert read_error(pattern, feature_sizes=[10, 8], num_classes=11) == (
        "shard validate0000.tfrecord, record 0: has 16 bytes a frame in `rgb`, not 10. Use --feature_sizes=16,8.")  # fmt: skip
    assert "it has `audio`, `rgb`" in read_error(pattern, feature_names=["rgb", "sound"])
    assert "Set --id_feature" in read_error(pattern, id_feature="video_id")


def test_video_level_errors_name_shard_and_record(tmp_path):
    _, spec = video_level(tmp_path, num_classes=4)
    common = {"feature_names": spec.feature_names, "feature_sizes": spec.feature_sizes, "frame_features": False}
    line = read_error(spec.pattern, **common, num_classes=9)
    assert line.startswith("shard validate0000.tfrecord, record 2: has label 9")
    assert "Use --feature_sizes=16,8" in read_error(spec.pattern, **{**common, "feature_sizes": [16, 9]})
    assert "it has `mean_audio`, `mean_rgb`" in read_error(spec.pattern, **{**common, "feature_names": ["mean_rgb", "x"]})


def test_wrong_kind_of_record(tmp_path, many):
    assert "Use --frame_features." in read_error(many, frame_features=False)
    _, spec = video_level(tmp_path)
    assert "Use --noframe_features." in read_error(spec.pattern)
    assert "needs version-3 validate shards" in read_error(spec.pattern, segment_labels=True)


def test_damaged_shards(tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("aaaa"), make_video("bbbb")]])
    path = tmp_path / "validate0000.tfrecord"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert "is truncated: it ends within record 1" in read_error(pattern)
    path.write_bytes(whole[:-100] + b"\x00" * 100)
    assert "is corrupt: the checksum of record 1" in read_error(pattern)


def test_undecodable_and_empty_records(tmp_path):
    write_shard(tmp_path / "x.tfrecord", [b"garbage of any kind"])
    assert "record 0: is neither" in read_error(str(tmp_path / "x.tfrecord"))
    pattern = write_frame_shards(tmp_path / "zero", [[make_video("zero", 0)]])
    assert "record 0: has no frame" in read_error(pattern)
    pattern = write_frame_shards(tmp_path / "nothing", [[]])
    assert "the shards are empty" in read_error(pattern)


def test_no_video_with_the_labels(many, tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("aaaa", labels=[1])]])
    assert "carries one of the 1 label ids" in read_error(pattern, label_ids=[2], only_videos_with_label_ids=True)


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"feature_names": ("rgb",)}, "a size for each"),
        ({"feature_names": ("rgb", "rgb")}, "distinct names"),
        ({"feature_names": (), "feature_sizes": ()}, "a size for each"),
        ({"feature_sizes": (16, 0)}, "at least 1"),
        ({"num_classes": 0}, "--num_classes=0"),
        ({"max_frames": 0}, "--max_frames=0"),
        ({"segment_expansion": -1}, "--segment_expansion=-1"),
        ({"label_ids": [3, 10]}, "label id 10 is not below --num_classes=10"),
        ({"label_ids": [3, 3]}, "distinct"),
        ({"label_ids": []}, "one or more"),
        ({"only_videos_with_label_ids": True}, "no label ids were given"),
        ({"segment_labels": True, "frame_features": False}, "Use --frame_features"),
    ],
)
def test_bad_specs(changes, line):
    with pytest.raises(UserError, match=line):
        spec_of("x", **changes)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_bad_batch_size(many, batch_size):
    with pytest.raises(UserError, match=f"--batch_size={batch_size}: expected 1 or more"):
        datasets.training_batches(spec_of(many), batch_size, 1)
    with pytest.raises(UserError, match=f"--batch_size={batch_size}: expected 1 or more"):
        datasets.evaluation_batches(spec_of(many), batch_size)


def test_bad_seed(many):
    with pytest.raises(UserError, match="--seed=-1: expected 0 or more"):
        datasets.training_batches(spec_of(many), 2, seed=-1)


def test_user_error_from_other_errors():
    assert datasets.user_error_from(KeyError("x")) is None
    assert str(datasets.user_error_from(UserError("a line"))) == "a line"
    with pytest.raises(KeyError), datasets.errors_as_user_errors():
        raise KeyError("x")
