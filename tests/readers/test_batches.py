"""Batches: every row once, an order that is a function of the seed, parts for workers, blends."""

import dataclasses

import numpy as np
import pytest

from tests.readers.annotated import spec, write_sidecars
from tests.readers.reading import arrays, assert_equal, ids, spec_of
from yt8m.errors import UserError
from yt8m.readers.batches import blended, count_examples, evaluation_batches, training_batches
from yt8m.readers.spec import RatedSegments, VideosWithSegments


def test_evaluation_is_every_row_once_in_file_order(many):
    batches = arrays(evaluation_batches(spec_of(many), 5))
    assert ids(batches) == [f"v{i:03d}" for i in range(23)]
    assert [len(batch["ids"]) for batch in batches] == [5, 5, 5, 5, 3]
    assert count_examples(spec_of(many)) == 23


@pytest.mark.parametrize("shuffle_shards", [1, 2, 16])
def test_every_row_once_an_epoch(many, shuffle_shards):
    batches = arrays(training_batches(spec_of(many), 4, 1, num_epochs=3, shuffle_shards=shuffle_shards))
    assert [len(batch["ids"]) for batch in batches] == [4] * 17 + [1]
    epochs = np.array(ids(batches)).reshape(3, 23)
    for epoch in epochs:
        assert sorted(epoch) == [f"v{i:03d}" for i in range(23)]
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_seed_determines_the_order(many):
    def order(seed, num_parallel=2):
        return arrays(training_batches(spec_of(many), 4, seed, num_epochs=2, num_parallel=num_parallel))

    assert_equal(order(1), order(1, num_parallel=1))
    assert ids(order(1)) != ids(order(2)) and sorted(ids(order(1))) == sorted(ids(order(2)))


def test_rows_of_a_group_of_shards_are_mixed(many):
    shards = np.array([int(id[1:]) > 7 for id in ids(arrays(training_batches(spec_of(many), 4, 1, num_epochs=1)))])
    assert np.abs(np.diff(shards.astype(int))).sum() > 3


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("start_step", [1, 4, 5, 6, 11, 17, 18, 40])
def test_resume_gives_the_same_batches(many, rated, segments, start_step):
    spec = spec_of(rated[1], kind=RatedSegments) if segments else spec_of(many)
    size, epochs = (2, 12) if segments else (4, 3)

    def run(start):
        return arrays(training_batches(spec, size, 7, start, epochs, shuffle_shards=2))

    assert_equal(run(start_step), run(0)[start_step:])


def test_resume_far_into_an_endless_run(many):
    def run(start, count):
        return arrays(training_batches(spec_of(many), 5, 3, start_step=start).take(count))

    assert_equal(run(23, 6), run(0, 29)[23:])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_workers_join_to_the_whole_batch(many, count):
    for make in (lambda worker: training_batches(spec_of(many, pad_frames=True), 6, 1, num_epochs=1, worker=worker),
                 lambda worker: evaluation_batches(spec_of(many, pad_frames=True), 6, worker)):  # fmt: skip
        whole, parts = arrays(make((0, 1))), [arrays(make((i, count))) for i in range(count)]
        for step, batch in enumerate(whole):
            for key in batch:
                for i in range(count):
                    np.testing.assert_array_equal(parts[i][step][key], batch[key][i::count])


def test_a_worker_may_get_an_empty_last_batch(many):
    for batches in (spec_of(many), spec_of(many, as_video_features=True)):
        last = arrays(evaluation_batches(batches, 22, worker=(1, 2)))[-1]
        assert len(last["ids"]) == 0 and last["labels"].shape == (0, 10)


def test_remote_paths_give_the_same(many):
    remote = spec_of(f"file://{many}")
    assert_equal(arrays(evaluation_batches(remote, 5)), arrays(evaluation_batches(spec_of(many), 5)))
    assert count_examples(remote) == 23


@pytest.mark.parametrize("kind", (RatedSegments, VideosWithSegments))
def test_blended_batches(pattern, tmp_path, kind):
    rated = spec(pattern, kind)
    pseudo = dataclasses.replace(rated, annotations=write_sidecars(tmp_path / "chosen", dense=False))
    first = training_batches(rated, 1, 1, num_epochs=2, num_parallel=1)
    second = training_batches(pseudo, 2, 1, num_parallel=1)
    count = 0
    for ours, a, b in zip(blended(first, second), first, second):
        count += 1
        ours, a, b = ({key: value.numpy() for key, value in batch.items()} for batch in (ours, a, b))
        np.testing.assert_array_equal(ours["ids"], np.concatenate([a["ids"], b["ids"]]))
        np.testing.assert_array_equal(ours["labels"], np.concatenate([a["labels"], b["labels"]]))
        np.testing.assert_array_equal(ours["num_frames"], np.concatenate([a["num_frames"], b["num_frames"]]))
        np.testing.assert_array_equal(ours["frames"][1:, : b["frames"].shape[1]], b["frames"])
        if kind is VideosWithSegments:
            np.testing.assert_array_equal(ours["segment_rows"], np.concatenate([a["segment_rows"], b["segment_rows"] + 1]))
    assert count == (4 if kind is VideosWithSegments else 8)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_bad_batch_size(many, batch_size):
    with pytest.raises(UserError, match=f"--batch_size={batch_size}: expected 1 or more"):
        training_batches(spec_of(many), batch_size, 1)
    with pytest.raises(UserError, match=f"--batch_size={batch_size}: expected 1 or more"):
        evaluation_batches(spec_of(many), batch_size)


def test_bad_seed(many):
    with pytest.raises(UserError, match="--seed=-1: expected 0 or more"):
        training_batches(spec_of(many), 2, seed=-1)
