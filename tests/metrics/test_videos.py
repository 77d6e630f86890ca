"""The metrics of videos, batch by batch: equal to the functions on all rows, in memory that does not grow with the classes."""

import tracemalloc

import numpy as np
import pytest

from tests.metrics.test_ranking import draw
from yt8m import files, metrics
from yt8m.errors import UserError
from yt8m.metrics.score_columns import ScoreColumns

KEYS = [
    "hit_at_one",
    "perr",
    "map",
    "gap",
    "loss",
    "precision",
    "recall",
    "num_videos",
    "num_classes_without_positives",
    "class_average_precisions",
    "class_positives",
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache folder, new and empty."""
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path))
    return tmp_path


def collect(predictions, labels, batch, **options):
    """VideoMetrics of all rows, so many at a time; the loss of a batch is the number of its first row."""
    collected = metrics.VideoMetrics(predictions.shape[1], **options)
    for first in range(0, len(predictions), batch):
        given = predictions[first : first + batch].copy()
        collected.update(given, labels[first : first + batch], loss=first)
        given[:] = -1  # what a caller does to its arrays later must not matter
    return collected


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("map_top_k", [None, 3, 30])
@pytest.mark.parametrize("batch", [1, 17, 200])
@pytest.mark.parametrize("memory", [1, 5000, 2**30])
def test_batches_give_exactly_what_the_functions_give(levels, map_top_k, batch, memory):
    predictions, labels = draw((101, 70), seed=8, levels=levels, share=0.05)
    labels[:, 66:] = 0
    result = collect(predictions, labels, batch, top_k=5, map_top_k=map_top_k, threshold=0.4, memory=memory).result()
    assert list(result) == KEYS
    assert result["hit_at_one"] == metrics.hit_at_one(predictions, labels)
    assert result["perr"] == metrics.perr(predictions, labels)
    assert result["map"] == metrics.mean_average_precision(predictions, labels, map_top_k)
    assert result["gap"] == metrics.global_average_precision(predictions, labels, 5)
    assert (result["precision"], result["recall"]) == metrics.precision_recall(predictions, labels, 0.4)
    assert result["num_videos"] == 101
    assert result["num_classes_without_positives"] == np.count_nonzero(labels.sum(0) == 0)
    assert result["loss"] == pytest.approx(np.mean([i // batch * batch for i in range(101)]))
    np.testing.assert_array_equal(result["class_positives"], labels.sum(0))
    of_classes = metrics.class_average_precisions(predictions, labels, map_top_k)
    np.testing.assert_array_equal(result["class_average_precisions"], of_classes)


def test_results_between_batches_are_those_so_far():
    predictions, labels = draw((60, 12), seed=3, levels=5)
    collected = metrics.VideoMetrics(12, memory=500)
    for first in range(0, 60, 20):
        collected.update(predictions[first : first + 20], labels[first : first + 20])
        so_far = slice(0, first + 20)
        assert collected.result()["map"] == metrics.mean_average_precision(predictions[so_far], labels[so_far])


def test_the_memory_does_not_grow_with_the_predictions(cache):
    """36 MB of predictions: the peak stays below the 1 MB that may be held, as much for reading, and what GAP needs a video."""
    predictions, labels = draw((30_000, 300), seed=0, share=0.01)
    tracemalloc.start()
    collected = collect(predictions, labels, 128, top_k=1, memory=2**20)
    assert not list((cache / "evaluation").iterdir()), "the file has no name"
    result = collected.result()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20 < predictions.nbytes / 4
    assert result["map"] == metrics.mean_average_precision(predictions, labels)


def test_columns_of_several_types_are_what_they_would_be_side_by_side():
    rng = np.random.default_rng(1)
    batches = [rng.random((9, 150)).astype(dtype) for dtype in (np.float32, np.float64, np.float32)]
    for memory in (1, 9 * 150 * 4, 2**20):
        columns = ScoreColumns(150, memory)
        for batch in (*batches, batches[0][:0]):
            columns.append(batch)
        np.testing.assert_array_equal(np.concatenate(list(columns.blocks())), np.concatenate(batches).T)


def test_a_full_disk_is_a_user_error(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    columns = ScoreColumns(3, memory=1)
    columns.append(np.zeros((1, 3), np.float32))
    monkeypatch.setattr(files.np, "ascontiguousarray", full)
    with pytest.raises(UserError, match=r"scores of all videos.*YT8M_CACHE.*No space left"):
        columns.append(np.zeros((1, 3), np.float32))


def test_no_batches_and_no_loss_are_nan():
    empty = metrics.VideoMetrics(4).result()
    assert list(empty) == KEYS
    assert all(np.isnan(empty[key]) for key in KEYS[:7])
    assert (empty["num_videos"], empty["num_classes_without_positives"]) == (0, 4)
    collected = metrics.VideoMetrics(4)
    collected.update(*draw((3, 4), seed=0))
    assert np.isnan(collected.result()["loss"])


def test_several_losses_have_their_names():
    collected = metrics.VideoMetrics(4)
    collected.update(*draw((3, 4), seed=0), loss=1.0, log_loss=0.5)
    collected.update(*draw((1, 4), seed=1), loss=2.0, log_loss=0.1)
    result = collected.result()
    assert (result["loss"], result["log_loss"]) == (1.25, 0.4)
