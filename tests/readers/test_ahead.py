"""Remote shards (file:// stands for them) are read before they are asked for, and not all are held."""

import time

import pytest

from tests.readers.reading import arrays, assert_equal, spec_of
from tests.testing import make_video, write_frame_shards
from yt8m.readers import ahead, index
from yt8m.readers.batches import count_examples, evaluation_batches, training_batches
from yt8m.readers.recent import RecentlyUsed

SHARDS = 30


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    shards = [[make_video(f"{shard:02d}-{number}", 3, [1]) for number in range(3)] for shard in range(SHARDS)]
    return write_frame_shards(tmp_path_factory.mktemp("remote"), shards)


@pytest.fixture
def remote(pattern, monkeypatch):
    """What is held of remote shards, for 8 of them; and which were read."""
    read = []

    def shard(key):
        read.append(key[0])
        return index.RemoteShard(key[0])

    held = RecentlyUsed(shard, 8)
    monkeypatch.setattr(index, "_REMOTE", held)
    return f"file://{pattern}", held, read


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_next_group_is_begun_while_one_is_read(pattern, remote):
    name, held, read = remote
    batches = iter(training_batches(spec_of(name), 1, 1, num_epochs=1, num_parallel=1, shuffle_shards=4))
    first = [next(batches) for _ in range(3)]
    wait_until(lambda: len(read) == 8)  # the group's, and those of the next; 12 rows of 30 shards have not all been given
    assert len(set(read)) == 8 and len(first) == 3
    rest = list(batches)
    wait_until(lambda: not ahead._threads._work_queue.qsize())
    assert len(held.keys()) <= 8 and len(rest) == 3 * SHARDS - 3 and len(set(read)) == SHARDS
    local = arrays(training_batches(spec_of(pattern), 1, 1, num_epochs=1, shuffle_shards=4))
    assert_equal(local, [{key: value.numpy() for key, value in batch.items()} for batch in (*first, *rest)])


def test_shard_after_shard(pattern, remote):
    name, held, read = remote
    batches = iter(evaluation_batches(spec_of(name), 3, num_parallel=1))
    next(batches)
    wait_until(lambda: len(read) > 1)
    assert len(read) < SHARDS / 2
    assert len(list(batches)) == SHARDS - 1
    assert len(held.keys()) <= 8 and len(read) == len(set(read)) == SHARDS


def test_what_is_not_read_is_not_opened(remote):
    """Rows are counted, or passed over by a run that goes on, by the index alone."""
    name, _, read = remote
    assert count_examples(spec_of(name)) == 3 * SHARDS
    next(iter(training_batches(spec_of(name), 10, 1, start_step=8, num_epochs=1, num_parallel=1, shuffle_shards=4)))
    wait_until(lambda: not ahead._threads._work_queue.qsize())
    assert 0 < len(set(read)) <= 8


def test_what_is_wrong_is_said_when_the_shard_is_asked_for(tmp_path):
    (tmp_path / "a.tfrecord").write_text("no shard, but text")
    ahead.open_ahead([f"file://{tmp_path}/a.tfrecord", str(tmp_path / "local")])
    with pytest.raises(index.UserError, match="no TFRecord file"):
        index.open_shard(f"file://{tmp_path}/a.tfrecord")
