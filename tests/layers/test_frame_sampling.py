"""Which frames FrameSampling takes: each frame's bytes are its own index."""

import keras
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


ENDS = {"random": (15, 15), "without_replacement": (30, 10), "sequence": (0, 0), "every": (20, 30)}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("method", ENDS)
def test_inference_cuts_off_the_ends_and_samples_nothing(method, known):
    """Videos longer than both ends, as long as both, and segments; in a padded batch each is cut by its own length."""
    head, tail = ENDS[method]
    lengths = [200, head + tail + 1, head + tail, 11, 5, 0]
    rows = called(FrameSampling(20, method), lengths, 200, known, training=False)
    assert rows == [list(range(head, n - tail)) if n > head + tail else list(range(n)) for n in lengths]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method", [method for method in ENDS if method != "sequence"])
def test_the_ends_are_cut_off_in_both_modes(method, training):
    head, tail = ENDS[method]
    rows = called(FrameSampling(20, method, stride=1), [200, 120, 11], 200, True, training)
    assert set(rows[0]) <= set(range(head, 200 - tail)) and set(rows[1]) <= set(range(head, 120 - tail))
    assert set(rows[2]) <= set(range(11))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("method", ENDS)
def test_a_batch_of_segments_is_kept_whole_in_inference(method, known):
    layer = FrameSampling(20, method, skip_head=6, skip_tail=6)
    assert called(layer, [11, 9, 5], 11, known, training=False) == [list(range(n)) for n in (11, 9, 5)]


def test_cutting_does_not_depend_on_the_padding():
    layer = FrameSampling(4, skip_head=3, skip_tail=4)
    assert called(layer, [9, 7], 9, True, False) == called(layer, [9, 7], 60, True, False) == [[3, 4], list(range(7))]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method, seed", [*((method, None) for method in ENDS), ("random", 1), ("sequence", 1)])
def test_the_length_is_known_before(method, seed, training):
    layer = FrameSampling(20, method, skip_head=6, skip_tail=9, stride=3, inference_seed=seed)
    for length in (5, 15, 16, 20, 21, 40, 200):
        symbols = keras.KerasTensor((2, length, 3), "uint8"), keras.KerasTensor((2,), "int32")
        shapes = [x.shape for x in layer.compute_output_spec(*symbols, training=training)]
        assert shapes == [tuple(x.shape) for x in layer(*numbered([length, 3], length), training=training)]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("method", ["random", "sequence"])
def test_inference_samples_by_a_seed_of_its_own(method, known):
    layer = FrameSampling(20, method, skip_head=2, skip_tail=3, inference_seed=4)
    rows = called(layer, [200, 100, 25, 24, 5, 0], 200, known, training=False)
    assert [len(row) for row in rows] == [20, 20, 20, 19, 5, 0]
    assert set(rows[0]) <= set(range(2, 197)) and max(rows[0]) - min(rows[0]) > (19 if method == "random" else 18)
    assert rows[2:] == [list(range(2, 22)), list(range(2, 21)), list(range(5)), []]  # as many frames or less: all
    again = called(layer, [100, 200, 60], 230, known, training=False)  # other rows, other padding
    assert again[:2] == [rows[1], rows[0]]
    other = called(FrameSampling(20, method, skip_head=2, skip_tail=3, inference_seed=5), [200], 200, known, training=False)
    assert other != rows[:1]


@pytest.mark.parametrize("method", ["without_replacement", "every"])
def test_inference_samples_as_the_starter_only(method):
    with pytest.raises(UserError, match=f"sampling='{method}': in inference use one of random, sequence"):
        FrameSampling(method=method, inference_seed=1)


def called(layer, num_frames, length, known, training):
    """The frames that each row is left with, from a graph in which T is known or not."""
    call = tf.function(
        lambda f, n: layer(f, n, training=training),
        input_signature=[tf.TensorSpec((None, length if known else None, 3), tf.uint8), tf.TensorSpec((None,), tf.int32)],
    )
    frames, counts = call(*map(tf.constant, numbered(num_frames, length)))
    return [row[:n, 0].tolist() for row, n in zip(frames.numpy(), counts.numpy())]


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
def test_a_batch_that_fits_is_not_sampled(known):
    layer = FrameSampling(8, skip_head=3, skip_tail=1, seed=0)
    assert called(layer, [5, 3], 5, known, training=True) == [[3], [0, 1, 2]]
    assert called(layer, [4, 3, 0], 5, known, training=True) == [list(range(4)), [0, 1, 2], []]


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


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("length", [16, 15, 11, 5])
def test_segments_are_not_thinned_where_no_ends_are_cut(known, length):
    layer = FrameSampling(method="every", skip_head=0, skip_tail=0)
    assert called(layer, [length, 3], length, known, training=True) == [
        list(range(0, length, 1 if length <= 15 else 5)),
        [0, 1, 2],
    ]
    thinned = FrameSampling(method="every", skip_head=0, skip_tail=0, whole_up_to=4)
    assert called(thinned, [length, 3], length, known, training=True) == [list(range(0, length, 5)), [0, 1, 2]]
    assert called(layer, [length], length, known, training=False) == [list(range(length))]


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
