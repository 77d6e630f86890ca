"""Memory of batches: aligned, and used again when nobody refers to it."""

import gc

import numpy as np
import pytest

from yt8m.readers import memory


@pytest.fixture(autouse=True)
def none_free(monkeypatch):
    monkeypatch.setattr(memory, "_free", {})


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(), (0, 3), (3, 5), (300, 1152)])
def test_zeros_at_an_aligned_address(shape):
    for kind in (np.uint8, np.float32):
        array = memory.aligned_zeros(shape, kind)
        assert array.shape == shape and array.dtype == kind and not array.any()
        assert not array.size or address(array) % 64 == 0
        assert array.flags.c_contiguous and array.flags.writeable


def test_memory_is_used_again_when_the_last_view_is_gone():
    array = memory.aligned_empty((300, 1000), np.uint8)
    place, view = address(array), array[10:20].view(np.uint16)[:, 3:]
    del array
    other = memory.aligned_empty((300, 1000), np.uint8)
    assert address(other) != place
    view[:] = 7
    del view
    gc.collect()
    again = memory.aligned_zeros((299, 1000), np.uint8)
    assert address(again) == place and not again.any()
    assert not memory._free


def test_no_more_memory_waits_than_is_said(monkeypatch):
    monkeypatch.setattr(memory, "_MOST_FREE", 250_000)
    arrays = [memory.aligned_empty((100_000,), np.uint8) for _ in range(4)]
    del arrays
    assert len(memory._free) == 2
    assert memory._taken(40_000) is None and memory._taken(100_001) is None
    assert memory._taken(60_000).nbytes == 100_000


def test_tensors_keep_what_they_were_given():
    """Of datasets, whose batches live on while others are read."""
    import tensorflow as tf

    def batch(number):
        array = memory.aligned_empty((100, 1000), np.int32)
        array[:] = number
        return array

    dataset = tf.data.Dataset.range(40).map(lambda n: tf.numpy_function(batch, [n], tf.int32), num_parallel_calls=2)
    tensors = list(dataset)
    assert [set(np.unique(tensor)) for tensor in tensors] == [{number} for number in range(40)]
