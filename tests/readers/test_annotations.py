"""Batches whose labels come from sidecars, and those of all segments; folds."""

import gc
import weakref

import numpy as np
import pytest

from tests.readers.annotated import CLASSES, LENGTHS, PSEUDO, spec, write_sidecars
from tests.testing import make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.readers import annotations, index, pairs, patterns
from yt8m.readers.batches import count_examples, evaluation_batches
from yt8m.readers.recent import RecentlyUsed
from yt8m.readers.spec import RatedSegments, VideosWithSegments


def rows(spec, batch_size=3):
    """{(id, start): (labels, weights)} of an epoch."""
    found = {}
    for batch in evaluation_batches(spec, batch_size, num_parallel=1):
        batch = {key: value.numpy() for key, value in pairs.spread(batch, CLASSES).items()}
        videos = batch.get("segment_rows", np.arange(len(batch["ids"])))
        for row, video in enumerate(videos):
            key = batch["ids"][video].decode(), int(batch["start_times"][row])
            assert key not in found
            found[key] = batch["labels"][row], batch["label_weights"][row]
    return found


@pytest.mark.parametrize("kind", (RatedSegments, VideosWithSegments))
def test_every_segment_with_the_labels_of_a_sidecar(pattern, sidecars, kind):
    asked = spec(pattern, annotations=sidecars, all_segments=True, kind=kind)
    found = rows(asked)
    assert set(found) == {(name, start) for name, length in LENGTHS.items() for start in range(0, length, 5)}
    for (name, start), (labels, weights) in found.items():
        expected = np.zeros(CLASSES)
        for begin, label, score in PSEUDO.get(name, ()):
            if begin == start:
                expected[label] = score
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_array_equal(weights, 1)
    assert count_examples(asked) == (len(LENGTHS) if kind is VideosWithSegments else len(found))


@pytest.mark.parametrize("kind", (RatedSegments, VideosWithSegments))
def test_no_batch_of_all_segments_has_an_entry_of_rows_and_classes(pattern, sidecars, kind):
    """Of a video of 60 segments that would be 60 * 3,862 floats twice: an M-step's batch has labels as pairs."""
    for batch in evaluation_batches(spec(pattern, annotations=sidecars, all_segments=True, kind=kind), 4, num_parallel=1):
        assert all(value.shape.rank == 1 for key, value in batch.items() if key != "frames")
        assert set(pairs.KEYS) < set(batch)


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
        count_examples(spec(pattern, annotations=folder, all_segments=True))


def test_sidecars_of_other_shards_are_refused(pattern, sidecars, tmp_path):
    other = write_frame_shards(tmp_path / "other", [[make_video("a"), make_video("x")]])
    with pytest.raises(UserError, match="'x'"):
        count_examples(spec(other, annotations=sidecars, all_segments=True))
    third = write_frame_shards(tmp_path / "third", [[make_video("a")]])
    with pytest.raises(UserError, match="2 records"):
        count_examples(spec(third, annotations=sidecars, all_segments=True))
    fourth = write_frame_shards(tmp_path / "fourth", [[make_video("a")]], prefix="test")
    with pytest.raises(UserError, match="no sidecar"):
        count_examples(spec(fourth, annotations=sidecars, all_segments=True))


def test_folds_take_whole_shards_and_every_row_once(pattern):
    everything = set(rows(spec(pattern, all_segments=True)))
    held_out = [set(rows(spec(pattern, all_segments=True, fold=(k, 3), held_out=True))) for k in range(3)]
    assert [{name for name, _ in part} for part in held_out] == [{"a", "b"}, {"c", "d"}, {"e"}]
    for k in range(3):
        assert set(rows(spec(pattern, all_segments=True, fold=(k, 3)))) == everything - held_out[k]
    with pytest.raises(UserError, match="--folds=3 or fewer"):
        patterns.shards(spec(pattern, fold=(0, 4)))
    with pytest.raises(UserError, match="--fold=3"):
        patterns.shards(spec(pattern, fold=(3, 3)))


def test_labels_of_the_videos_come_along(pattern):
    for batch in evaluation_batches(spec(pattern, video_labels=True), 4, num_parallel=1):
        for name, labels in zip(batch["ids"].numpy(), batch["video_labels"].numpy()):
            assert np.flatnonzero(labels).tolist() == [name[0] % CLASSES]


def test_positive_ratings_join_the_labels_of_the_videos(pattern):
    """v and its class ord(v) % 6; class 3 is rated positive in a and c, class 2 negative."""
    for batch in evaluation_batches(spec(pattern, video_labels=True, positive_ratings=True), 4, num_parallel=1):
        for name, labels in zip(batch["ids"].numpy(), batch["video_labels"].numpy()):
            assert set(np.flatnonzero(labels)) == {name[0] % CLASSES, 3}


def test_sidecars_that_are_known_do_not_stay_open(pattern, sidecars, monkeypatch):
    """Each open file takes a descriptor, of which a process has 1,024."""
    opened = weakref.WeakSet()

    def shard(key):
        opened.add(made := index.LocalShard(key[0]))
        return made

    monkeypatch.setattr(index, "_LOCAL", RecentlyUsed(shard, 1))
    asked, files = spec(pattern, annotations=sidecars, all_segments=True), patterns.match_files(pattern)
    starts = [annotations.annotated_segments(asked, path, 0, None) for path in files]
    assert [None if found is None else found.start_times.tolist() for found in starts] == [[0, 10], [5, 5], None]
    gc.collect()
    assert len(opened) == 1
