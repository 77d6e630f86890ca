"""Batches shard by shard: every row once, in order, none across shards."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import FEATURE_NAMES, FEATURE_SIZES, make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.readers import patterns
from yt8m.readers.batches import evaluation_batches
from yt8m.readers.shard_batches import shard_batches
from yt8m.readers.spec import WholeVideos

SHARDS = [[], ["a", "b", "c", "d", "e"], [], [], ["f"], ["g", "h", "i", "j"], []]


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    shards = [[make_video(name, 5 + 3 * number) for name in names] for number, names in enumerate(SHARDS)]
    return WholeVideos(write_frame_shards(tmp_path_factory.mktemp("shards"), shards), FEATURE_NAMES, FEATURE_SIZES)


@pytest.mark.parametrize("num_parallel", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_every_row_once_and_none_across_shards(spec, batch_size, num_parallel):
    files = patterns.match_files(spec.pattern)
    found = []
    for path, batches in shard_batches(spec, files, batch_size, num_parallel):
        found.append((path, [[name.decode() for name in batch["ids"].numpy()] for batch in batches]))
    assert [path for path, _ in found] == files
    cut = [[names[i : i + batch_size] for i in range(0, len(names), batch_size)] for names in SHARDS]
    assert [batches for _, batches in found] == cut


def test_batches_are_those_of_the_shard_alone(spec):
    files = patterns.match_files(spec.pattern)
    (alone,) = evaluation_batches(dataclasses.replace(spec, pattern=files[5]), 10)
    (together,) = [batch for path, batches in shard_batches(spec, files, 10) for batch in batches if path == files[5]]
    assert set(alone) == set(together)
    for key in alone:
        np.testing.assert_array_equal(alone[key], together[key])


def test_no_shards(spec):
    assert list(shard_batches(spec, [], 4)) == []


def test_what_is_wrong_with_a_shard_comes_when_it_is_read(spec, tmp_path):
    files = [*patterns.match_files(spec.pattern)[4:6], str(tmp_path / "broken")]
    (tmp_path / "broken").write_text("no shard")
    batches = shard_batches(spec, files, 2)
    for _ in range(2):
        list(next(batches)[1])
    with pytest.raises((tf.errors.OpError, UserError), match="broken"):
        next(batches)
