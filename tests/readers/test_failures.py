"""A UserError comes through TensorFlow as the object that it is."""

import numpy as np
import pytest
import tensorflow as tf

from tests.readers.reading import arrays, ids, spec_of
from tests.testing import make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.readers import failures, loading
from yt8m.readers.batches import evaluation_batches, training_batches


def failing_dataset(error, num_parallel=1, after=2):
    """Batches of two references; loading the one after the first `after` raises."""

    def references():
        for number in range(after):
            yield np.full((2, 3), number, np.int64)
        raise error

    return loading.loaded(spec_of("x"), [], references, num_parallel)


def raised_by(action):
    with pytest.raises(UserError) as caught, failures.errors_as_user_errors():
        action()
    return caught.value


@pytest.fixture
def no_files(monkeypatch):
    """Batches hold the shard's number as their id, and are read from nowhere."""

    def decoded(rows):
        labels = np.zeros((len(rows), 10), np.float32)
        frames = np.zeros((len(rows), 1, 24), np.uint8)
        return {"ids": rows[:, 0].astype("S"), "frames": frames, "num_frames": np.ones(len(rows), np.int32), "labels": labels}

    monkeypatch.setattr(loading, "decoder", lambda spec, files, keep: decoded)


@pytest.mark.parametrize("num_parallel", [1, 3])
@pytest.mark.parametrize(
    "make", [evaluation_batches, lambda *arguments, **options: training_batches(*arguments, seed=1, **options)]
)
def test_an_error_of_loading_is_the_object_that_was_raised(many, monkeypatch, make, num_parallel):
    error = UserError("a line")

    def decoded(rows):
        raise error

    monkeypatch.setattr(loading, "decoder", lambda spec, files, keep: decoded)
    assert raised_by(lambda: list(make(spec_of(many), 4, num_parallel=num_parallel))) is error
    with pytest.raises(tf.errors.OpError, match="UserError: a line"):  # without errors_as_user_errors the line can be read
        list(make(spec_of(many), 4, num_parallel=num_parallel))


@pytest.mark.parametrize("num_parallel", [1, 3])
def test_an_error_of_the_references_is_the_object_that_was_raised(no_files, num_parallel):
    error = UserError("a line")
    assert raised_by(lambda: list(failing_dataset(error, num_parallel))) is error


def test_each_dataset_has_its_own_error(no_files):
    errors = [UserError("the same line") for _ in range(3)]
    iterators = [iter(failing_dataset(error, num_parallel=2)) for error in errors]
    for _ in range(2):
        for iterator in iterators:
            next(iterator)
    arrived = []
    for iterator in iterators[::-1]:
        with pytest.raises(tf.errors.OpError) as caught:
            next(iterator)
        arrived.append(caught.value)
    assert [failures.user_error_from(error) for error in arrived] == errors[::-1]
    assert failures.user_error_from(arrived[0]) is errors[2]  # asked for again


def test_each_iteration_has_its_own_error(no_files):
    lines = iter(["first", "second"])

    def references():
        yield np.zeros((2, 3), np.int64)
        raise UserError(next(lines))

    dataset = loading.loaded(spec_of("x"), [], references, 1)
    assert [str(raised_by(lambda: list(dataset))) for _ in range(2)] == ["first", "second"]


def test_an_error_does_not_come_back(tmp_path):
    """After the shard is mended it is read; an error of something else, then, is not taken for the one of before."""
    pattern = write_frame_shards(tmp_path, [[make_video("aaaa", labels=[10])]])
    dataset = evaluation_batches(spec_of(pattern), 2)
    assert "has label 10" in str(raised_by(lambda: list(dataset)))
    write_frame_shards(tmp_path, [[make_video("bbbb", num_frames=7, labels=[9])]])
    assert ids(arrays(dataset)) == ["bbbb"]
    broken = dataset.map(lambda batch: tf.debugging.check_numerics(tf.cast(batch["labels"], tf.float32) / 0.0, "not finite"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="not finite") as caught, failures.errors_as_user_errors():
        list(broken)
    assert failures.user_error_from(caught.value) is None


def test_through_distributed_datasets_and_compiled_steps(no_files):
    error, strategy = UserError("a line"), tf.distribute.MirroredStrategy(["CPU:0"])
    other = iter(failing_dataset(UserError("another"), after=0))
    iterator = iter(strategy.distribute_datasets_from_function(lambda context: failing_dataset(error).prefetch(1)))

    @tf.function
    def steps():
        for _ in tf.range(5):
            batch = next(iterator)
            strategy.run(lambda batch: tf.reduce_sum(batch["labels"]), args=(batch,))

    assert str(raised_by(lambda: next(other))) == "another"
    assert raised_by(steps) is error


def test_user_error_from_other_errors():
    assert failures.user_error_from(KeyError("x")) is None
    assert str(failures.user_error_from(UserError("a line"))) == "a line"
    with pytest.raises(KeyError), failures.errors_as_user_errors():
        raise KeyError("x")


def test_the_cause_of_another_error(no_files):
    error = UserError("a line")

    def read():
        try:
            list(failing_dataset(error))
        except tf.errors.OpError as failure:
            raise RuntimeError("the run ended") from failure

    assert raised_by(read) is error


def test_errors_that_nobody_asks_for_are_forgotten(no_files):
    for _ in range(100):
        with pytest.raises(UserError), failures.keeping_user_errors():
            raise UserError("a line")
    assert len(failures._kept) < 100
    error = UserError("a line")
    assert raised_by(lambda: list(failing_dataset(error))) is error
