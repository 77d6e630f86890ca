"""FrameSampling's two methods that draw different frames; each frame's bytes are its own index."""

import numpy as np
import pytest
import tensorflow as tf

from yt8m.layers.frame_sampling import FrameSampling

METHODS = ["without_replacement", "sequence"]


def numbered(num_frames, length):
    frames = np.tile(np.arange(length, dtype="uint8")[None, :, None], (len(num_frames), 1, 3))
    return tf.constant(frames), tf.constant(num_frames, tf.int32)


def draws(layer, num_frames, length, known=True):
    """Rows of the frames drawn, and T'."""
    call = tf.function(
        lambda f, n: layer(f, n, training=True),
        input_signature=[tf.TensorSpec((None, length if known else None, 3), tf.uint8), tf.TensorSpec((None,), tf.int32)],
    )
    frames, counts = call(*numbered(num_frames, length))
    return [list(row[:n, 0]) for row, n in zip(frames.numpy(), counts.numpy())], frames.shape[1]


@pytest.mark.parametrize("known", [True, False])
def test_without_replacement_draws_different_frames_of_the_middle(known):
    layer = FrameSampling(20, "without_replacement", skip_head=30, skip_tail=10, seed=1)
    rows, length = draws(layer, [200, 61, 50, 40, 7, 0], 200, known)
    assert length == 20
    assert len(rows[0]) == 20 and len(set(rows[0])) == 20 and rows[0] == sorted(rows[0])
    assert set(rows[0]) <= set(range(30, 190)) and rows[0] != list(range(rows[0][0], rows[0][0] + 20))
    assert len(set(rows[1])) == 20 and set(rows[1]) <= set(range(30, 51))
    assert rows[2] == list(range(30, 40))  # no more frames than that
    assert len(set(rows[3])) == 20 and set(rows[3]) <= set(range(40))  # no longer than both ends
    assert rows[4] == list(range(7)) and rows[5] == []


def test_without_replacement_draws_every_frame_as_often():
    layer = FrameSampling(5, "without_replacement", skip_head=2, skip_tail=3, seed=1)
    counts = np.zeros(25)
    rows, _ = draws(layer, [25] * 4000, 25)
    for row in rows:
        counts[row] += 1
    assert not counts[:2].any() and not counts[22:].any()
    np.testing.assert_allclose(counts[2:22], 1000, rtol=0.15)


@pytest.mark.parametrize("known", [True, False])
def test_sequence_draws_frames_that_follow_one_another(known):
    rows, length = draws(FrameSampling(20, "sequence", skip_head=4, skip_tail=6, seed=1), [200] * 300 + [25, 8, 0], 200, known)
    assert length == 20
    assert all(row == list(range(row[0], row[0] + 20)) for row in rows[:300])
    starts = [row[0] for row in rows[:300]]
    assert min(starts) in range(4, 12) and max(starts) in range(166, 175)
    assert rows[300] == list(range(4, 19)) and rows[301] == list(range(8)) and rows[302] == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("known", [True, False])
def test_a_segment_is_kept_whole(method, known):
    rows, length = draws(FrameSampling(20, method, skip_head=6, skip_tail=6), [11, 5], 11, known)
    assert rows == [list(range(11)), list(range(5))]
    assert length == (11 if known else 20)


@pytest.mark.parametrize("method", METHODS)
def test_draws_differ_from_step_to_step_and_repeat_with_the_seed(method):
    first, second = FrameSampling(20, method, seed=3), FrameSampling(20, method, seed=3)
    frames, num_frames = numbered([200], 200)
    one, two = (first(frames, num_frames, training=True)[0].numpy() for _ in range(2))
    assert (one != two).any()
    np.testing.assert_array_equal(second(frames, num_frames, training=True)[0], one)
    np.testing.assert_array_equal(first(frames, num_frames)[0], frames[:, first.skip_head : 200 - first.skip_tail])
