"""Soft labels are the teachers' scores for a batch's rows."""

import shutil

import numpy as np
import pytest

from tests.readers.annotated import CLASSES, spec, write_store
from yt8m.readers.batches import evaluation_batches, training_batches
from yt8m.readers.spec import RatedSegments, VideosWithSegments, WholeVideos
from yt8m.readers.stores import open_store


@pytest.mark.parametrize("kind", (RatedSegments, VideosWithSegments))
def test_soft_labels_are_the_mean_of_the_teachers(pattern, tmp_path, kind):
    one, first = write_store(tmp_path / "one", (4, 0, 2), 1)
    two, second = write_store(tmp_path / "two", (2, 4, 5), 2)
    asked = spec(pattern, all_segments=True, teachers=(one, two), kind=kind)
    seen = 0
    for batch in training_batches(asked, 2, seed=3, num_epochs=1, num_parallel=1):
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
    asked = spec(pattern, WholeVideos, teachers=(folder,))
    batch = next(iter(evaluation_batches(asked, 10, num_parallel=1)))
    for name, soft in zip(batch["ids"].numpy(), batch["soft_labels"].numpy()):
        np.testing.assert_allclose(soft[[1, 3]], scores[name.decode(), 0], atol=1e-6)
        assert not soft[[0, 2, 4, 5]].any()
    with pytest.raises(Exception, match="scores of videos"):
        list(evaluation_batches(spec(pattern, teachers=(folder,)), 10, num_parallel=1))


@pytest.mark.parametrize("again", ((3, 1), (1, 3)))
def test_a_store_that_is_written_again(pattern, tmp_path, monkeypatch, again):
    """Also another one under the same relative name."""
    monkeypatch.chdir(tmp_path)
    asked = spec(pattern, WholeVideos, teachers=("store",))
    for folder, seed, label_ids in ((tmp_path, 1, (1, 3)), (tmp_path, 2, again), (tmp_path / "data", 3, (2, 4))):
        shutil.rmtree(folder / "store", ignore_errors=True)
        monkeypatch.chdir(folder)
        _, scores = write_store("store", label_ids, seed, kind="videos")
        batch = next(iter(evaluation_batches(asked, 10, num_parallel=1)))
        for name, soft in zip(batch["ids"].numpy(), batch["soft_labels"].numpy()):
            np.testing.assert_allclose(soft[list(label_ids)], scores[name.decode(), 0], atol=1e-6)


def test_a_shard_of_a_store_that_is_written_again(pattern, tmp_path):
    asked, shard = spec(pattern, WholeVideos, teachers=(str(tmp_path / "store"),)), "validate0000.tfrecord"
    write_store(tmp_path / "store", (1, 3), 1, kind="videos")
    next(iter(evaluation_batches(asked, 10, num_parallel=1)))
    with open_store(tmp_path / "store").writer(shard) as writer:
        writer.add(["a", "b"], None, np.array([[0, 1], [1, 0]]))
    batch = next(iter(evaluation_batches(asked, 2, num_parallel=1)))
    np.testing.assert_array_equal(batch["soft_labels"].numpy()[:, [1, 3]], [[0, 1], [1, 0]])
