"""Which frames FrameSampling takes: each frame's bytes are its own index."""

import numpy as np
import pytest
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.layers.frame_sampling import FrameSampling


def numbered(num_frames, length):
    return np.tile(np.arange(length, dtype="uint8")[None, :, None], (len(num_frames), 1, 3)), np.array(num_frames, "int32")


def sampled(layer, num_frames, length, training=True):
    frames, counts = layer(*numbered(num_frames, length), training=training)
    frames, counts = np.array(frames), np.array(counts)
    assert (frames == frames[:, :, :1]).all()
    return [list(row[:n, 0]) for row, n in zip(frames, counts)], frames


def test_inference_keeps_everything():
    rows, _ = sampled(FrameSampling(4), [100, 7], 100, training=False)
    assert rows == [list(range(100)), list(range(7))]


def test_random_draws_from_the_middle_and_from_all_of_a_short_video():
    rows, frames = sampled(FrameSampling(200, skip_head=10, skip_tail=20, seed=1), [250, 31, 30, 2], 250)
    assert frames.shape == (4, 200, 3)
    assert min(rows[0]) in range(10, 20) and max(rows[0]) in range(220, 230) and len(rows[0]) == 200
    assert len(set(rows[0])) < 200
    assert set(rows[1]) == {10}
    assert min(rows[2]) < 3 and max(rows[2]) > 26
    assert set(rows[3]) == {0, 1}


def test_random_draws_differ_from_step_to_step_and_repeat_with_the_seed():
    first, second = FrameSampling(50, seed=3), FrameSampling(50, seed=3)
    one, two = sampled(first, [100], 100)[0], sampled(first, [100], 100)[0]
    assert one != two
    assert sampled(second, [100], 100)[0] == one


@pytest.mark.parametrize("known", [True, False])
def test_a_batch_that_fits_is_kept_whole(known):
    layer = FrameSampling(8, skip_head=1, skip_tail=1, seed=0)
    call = tf.function(
        lambda f, n: layer(f, n, training=True),
        input_signature=[tf.TensorSpec((None, 5 if known else None, 3), tf.uint8), tf.TensorSpec((None,), tf.int32)],
    )
    frames, counts = call(*map(tf.constant, numbered([5, 3], 5)))
    assert counts.numpy().tolist() == [5, 3]
    np.testing.assert_array_equal(frames[0, :5, 0], range(5))
    np.testing.assert_array_equal(frames[1, :3, 0], range(3))


def test_a_longer_batch_of_unknown_length_is_sampled():
    layer = FrameSampling(8, skip_head=1, skip_tail=1, seed=0)
    call = tf.function(
        lambda f, n: layer(f, n, training=True),
        input_signature=[tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((None,), tf.int32)],
    )
    frames, counts = call(*map(tf.constant, numbered([100, 3], 100)))
    assert frames.shape == (2, 8, 3) and counts.numpy().tolist() == [8, 8]
    assert set(frames[0, :, 0].numpy()) <= set(range(1, 99)) and set(frames[1, :, 0].numpy()) <= {1}


def test_no_real_frame_stays_none():
    assert sampled(FrameSampling(4), [0, 9], 20)[0][0] == []


@pytest.mark.parametrize("num_frames", [[300, 61, 50, 7], [51, 3]])
def test_every_fifth_frame(num_frames):
    rows, _ = sampled(FrameSampling(method="every"), np.minimum(num_frames, 250), min(max(num_frames), 250))
    for n, row in zip(np.minimum(num_frames, 250), rows):
        assert row == (list(range(20, n - 30, 5)) if n > 50 else list(range(n)))


@pytest.mark.parametrize("length", [60, 20])
def test_every_with_unknown_length(length):
    layer = FrameSampling(method="every", skip_head=2, skip_tail=3, stride=4)
    call = tf.function(
        lambda f, n: layer(f, n, training=True),
        input_signature=[tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((None,), tf.int32)],
    )
    frames, counts = call(*map(tf.constant, numbered([length, 4], length)))
    assert list(frames[0, : counts[0], 0].numpy()) == list(range(2, length - 3, 4))
    assert list(frames[1, : counts[1], 0].numpy()) == [0, 1, 2, 3]


@pytest.mark.parametrize("arguments", [{"method": "some"}, {"num_samples": 0}, {"skip_head": -1}, {"stride": 0}])
def test_bad_arguments(arguments):
    with pytest.raises(UserError, match=next(iter(arguments))):
        FrameSampling(**arguments)
