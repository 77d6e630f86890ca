"""Batches whose labels come from elsewhere: sidecars, teachers' scores; folds; blends."""

import dataclasses

import numpy as np
import pytest

from tests.testing import FEATURE_NAMES, FEATURE_SIZES, make_segments, make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.readers import datasets
from yt8m.readers.sidecars import SidecarHeader, write_sidecar
from yt8m.readers.stores import StoreConfig, create_store

CLASSES = 6
LENGTHS = {"a": 12, "b": 5, "c": 21, "d": 9, "e": 7}
PSEUDO = {"a": [(0, 1, 1.0), (10, 2, 1.0)], "c": [(5, 1, 1.0), (5, 4, 1.0)], "d": [(0, 0, 1.0)]}


@pytest.fixture
def pattern(tmp_path):
    videos = {
        name: make_video(name, length, labels=[ord(name) % CLASSES], ratings=[(0, 3, 1.0), (5, 2, 0.0)] if name in "ac" else ())
        for name, length in LENGTHS.items()
    }
    return write_frame_shards(tmp_path / "data", [[videos["a"], videos["b"]], [videos["c"], videos["d"]], [videos["e"]]])


@pytest.fixture
def sidecars(pattern, tmp_path):
    return write_sidecars(tmp_path / "sidecars")


def write_sidecars(folder, dense=True, **changes):
    for number, names in enumerate(("ab", "cd", "e")):
        header = SidecarHeader(f"validate{number:04d}.tfrecord", len(names), CLASSES, dense=dense)
        annotations = [(name, make_segments(PSEUDO.get(name, ()))) for name in names]
        write_sidecar(folder, dataclasses.replace(header, **changes), annotations)
    return str(folder)


def spec(pattern, **changes):
    return datasets.DataSpec(pattern, FEATURE_NAMES, FEATURE_SIZES, num_classes=CLASSES, segment_labels=True, **changes)


def rows(spec, batch_size=3):
    """{(id, start): (labels, weights)} of an epoch."""
    found = {}
    for batch in datasets.evaluation_batches(spec, batch_size, num_parallel=1):
        batch = {key: value.numpy() for key, value in batch.items()}
        videos = batch.get("segment_rows", np.arange(len(batch["ids"])))
        for row, video in enumerate(videos):
            key = batch["ids"][video].decode(), int(batch["start_times"][row])
            assert key not in found
            found[key] = batch["labels"][row], batch["label_weights"][row]
    return found


@pytest.mark.parametrize("whole_videos", (False, True))
def test_every_segment_with_the_labels_of_a_sidecar(pattern, sidecars, whole_videos):
    asked = spec(pattern, annotations=sidecars, all_segments=True, whole_videos=whole_videos)
    found = rows(asked)
    assert set(found) == {(name, start) for name, length in LENGTHS.items() for start in range(0, length, 5)}
    for (name, start), (labels, weights) in found.items():
        expected = np.zeros(CLASSES)
        for begin, label, score in PSEUDO.get(name, ()):
            if begin == start:
                expected[label] = score
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_array_equal(weights, 1)
    assert datasets.count_examples(asked) == (len(LENGTHS) if whole_videos else len(found))


def test_chosen_segments_of_a_sidecar_stand_in_for_ratings(pattern, tmp_path):
    found = rows(spec(pattern, annotations=write_sidecars(tmp_path / "chosen", dense=False)))
    assert set(found) == {(name, start) for name, pairs in PSEUDO.items() for start, _, _ in pairs}
    labels, weights = found["c", 5]
    np.testing.assert_array_equal(labels, [0, 1, 0, 0, 1, 0])
    np.testing.assert_array_equal(weights, labels)


def test_all_segments_with_ratings_where_there_are(pattern):
    found = rows(spec(pattern, all_segments=True))
    assert len(found) == 3 + 1 + 5 + 2 + 2
    np.testing.assert_array_equal(found["a", 5][1], [0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(found["a", 0][0], [0, 0, 0, 1, 0, 0])
    assert not found["b", 0][1].any()


@pytest.mark.parametrize(
    "changes, message",
    (
        ({"num_classes": 7}, "num_classes"),
        ({"label_ids": (0, 1, 2, 4)}, "about 4 classes"),
        ({"dense": False}, "--stage=finetune"),
    ),
)
def test_sidecars_that_do_not_fit_are_refused(pattern, tmp_path, changes, message):
    folder = write_sidecars(tmp_path / "wrong", **changes)
    with pytest.raises(UserError, match=message):
        datasets.count_examples(spec(pattern, annotations=folder, all_segments=True))


def test_sidecars_of_other_shards_are_refused(pattern, sidecars, tmp_path):
    other = write_frame_shards(tmp_path / "other", [[make_video("a"), make_video("x")]])
    with pytest.raises(UserError, match="'x'"):
        datasets.count_examples(spec(other, annotations=sidecars, all_segments=True))
    third = write_frame_shards(tmp_path / "third", [[make_video("a")]])
    with pytest.raises(UserError, match="2 records"):
        datasets.count_examples(spec(third, annotations=sidecars, all_segments=True))
    fourth = write_frame_shards(tmp_path / "fourth", [[make_video("a")]], prefix="test")
    with pytest.raises(UserError, match="no sidecar"):
        datasets.count_examples(spec(fourth, annotations=sidecars, all_segments=True))


def test_folds_take_whole_shards_and_every_row_once(pattern):
    everything = set(rows(spec(pattern, all_segments=True)))
    held_out = [set(rows(spec(pattern, all_segments=True, fold=(k, 3), held_out=True))) for k in range(3)]
    assert [{name for name, _ in part} for part in held_out] == [{"a", "b"}, {"c", "d"}, {"e"}]
    for k in range(3):
        assert set(rows(spec(pattern, all_segments=True, fold=(k, 3)))) == everything - held_out[k]
    with pytest.raises(UserError, match="--folds=3 or fewer"):
        datasets.shards(spec(pattern, fold=(0, 4)))
    with pytest.raises(UserError, match="--fold=3"):
        datasets.shards(spec(pattern, fold=(3, 3)))


def write_store(folder, label_ids, seed, kind="segments"):
    """Scores of every segment (or video) of LENGTHS; returns (folder, {(id, start): scores})."""
    store, rng, scores = create_store(folder, StoreConfig(kind, label_ids)), np.random.default_rng(seed), {}
    for number, names in enumerate(("ab", "cd", "e")):
        with store.writer(f"validate{number:04d}.tfrecord") as shard:
            for name in names:
                starts = np.arange(0, LENGTHS[name], 5) if kind == "segments" else None
                values = np.rint(rng.random((1 if starts is None else len(starts), len(label_ids))) * 9999) / 9999
                shard.add([name] * len(values), starts, values)
                scores |= {(name, start): value for start, value in zip([0] if starts is None else starts.tolist(), values)}
    return str(folder), scores


@pytest.mark.parametrize("whole_videos", (False, True))
def test_soft_labels_are_the_mean_of_the_teachers(pattern, tmp_path, whole_videos):
    one, first = write_store(tmp_path / "one", (4, 0, 2), 1)
    two, second = write_store(tmp_path / "two", (2, 4, 5), 2)
    asked = spec(pattern, all_segments=True, teachers=(one, two), whole_videos=whole_videos)
    seen = 0
    for batch in datasets.training_batches(asked, 2, seed=3, num_epochs=1, num_parallel=1):
        batch = {key: value.numpy() for key, value in batch.items()}
        videos = batch.get("segment_rows", np.arange(len(batch["ids"])))
        for row, video in enumerate(videos):
            key = batch["ids"][video].decode(), int(batch["start_times"][row])
            expected = np.zeros(CLASSES)
            expected[2] = (first[key][2] + second[key][0]) / 2
            expected[4] = (first[key][0] + second[key][1]) / 2
            np.testing.assert_allclose(batch["soft_labels"][row], expected, atol=1e-6)
            np.testing.assert_array_equal(batch["soft_weights"][row], [0, 0, 1, 0, 1, 0])
            seen += 1
    assert seen == 13


def test_soft_labels_of_videos(pattern, tmp_path):
    folder, scores = write_store(tmp_path / "store", (1, 3), 1, kind="videos")
    asked = dataclasses.replace(spec(pattern), segment_labels=False, teachers=(folder,))
    batch = next(iter(datasets.evaluation_batches(asked, 10, num_parallel=1)))
    for name, soft in zip(batch["ids"].numpy(), batch["soft_labels"].numpy()):
        np.testing.assert_allclose(soft[[1, 3]], scores[name.decode(), 0], atol=1e-6)
        assert not soft[[0, 2, 4, 5]].any()
    with pytest.raises(Exception, match="scores of videos"):
        list(datasets.evaluation_batches(spec(pattern, teachers=(folder,)), 10, num_parallel=1))


def test_labels_of_the_videos_come_along(pattern):
    for batch in datasets.evaluation_batches(spec(pattern, video_labels=True), 4, num_parallel=1):
        for name, labels in zip(batch["ids"].numpy(), batch["video_labels"].numpy()):
            assert np.flatnonzero(labels).tolist() == [name[0] % CLASSES]


def test_positive_ratings_join_the_labels_of_the_videos(pattern):
    """v and its class ord(v) % 6; class 3 is rated positive in a and c, class 2 negative."""
    for batch in datasets.evaluation_batches(spec(pattern, video_labels=True, positive_ratings=True), 4, num_parallel=1):
        for name, labels in zip(batch["ids"].numpy(), batch["video_labels"].numpy()):
            assert set(np.flatnonzero(labels)) == {name[0] % CLASSES, 3}


@pytest.mark.parametrize("whole_videos", (False, True))
def test_blended_batches(pattern, tmp_path, whole_videos):
    rated = spec(pattern, whole_videos=whole_videos)
    pseudo = dataclasses.replace(rated, annotations=write_sidecars(tmp_path / "chosen", dense=False))
    first = datasets.training_batches(rated, 1, 1, num_epochs=2, num_parallel=1)
    second = datasets.training_batches(pseudo, 2, 1, num_parallel=1)
    count = 0
    for ours, a, b in zip(datasets.blended(first, second), first, second):
        count += 1
        ours, a, b = ({key: value.numpy() for key, value in batch.items()} for batch in (ours, a, b))
        np.testing.assert_array_equal(ours["ids"], np.concatenate([a["ids"], b["ids"]]))
        np.testing.assert_array_equal(ours["labels"], np.concatenate([a["labels"], b["labels"]]))
        np.testing.assert_array_equal(ours["num_frames"], np.concatenate([a["num_frames"], b["num_frames"]]))
        np.testing.assert_array_equal(ours["frames"][1:, : b["frames"].shape[1]], b["frames"])
        if whole_videos:
            np.testing.assert_array_equal(ours["segment_rows"], np.concatenate([a["segment_rows"], b["segment_rows"] + 1]))
    assert count == (4 if whole_videos else 8)
