"""The batch norm of frames against Keras': values, gradients and moving averages of a training step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.layers.pooling import FramePooling

RNG = np.random.default_rng(0)
MASK = np.arange(30)[None] < np.array([[30], [7], [0], [12]])


def trained(kind, x, mask):
    """What a layer gives for x in training, the gradients of its weighted sum, and its moving averages."""
    layer = kind(momentum=0.9)
    layer.build(x.shape)
    layer.gamma.assign(np.linspace(0.5, 2, x.shape[-1]))
    layer.beta.assign(np.linspace(-1, 2, x.shape[-1]))
    x, weights = tf.constant(x), np.random.default_rng(1).normal(size=x.shape).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True, mask=mask)
        total = tf.reduce_sum(y * weights)
    gradients = tape.gradient(total, [x, layer.gamma.value, layer.beta.value])
    return [np.asarray(values) for values in (y, *gradients, layer.moving_mean.value, layer.moving_variance.value)]


@pytest.mark.parametrize("mask", [None, MASK], ids=["all frames", "real frames"])
@pytest.mark.parametrize("mean", [0.0, 30.0])
def test_a_training_step_is_that_of_keras(mask, mean):
    x = (RNG.normal(size=(4, 30, 17)) * 2 + mean).astype("float32")
    for ours, theirs in zip(trained(BatchNormalization, x, mask), trained(keras.layers.BatchNormalization, x, mask)):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1.0, np.abs(theirs).max()))


def test_vectors_and_inference_are_those_of_keras_bit_for_bit():
    x = RNG.normal(size=(6, 17)).astype("float32")
    for ours, theirs in zip(trained(BatchNormalization, x, None), trained(keras.layers.BatchNormalization, x, None)):
        np.testing.assert_array_equal(ours, theirs)
    x = RNG.normal(size=(4, 30, 17)).astype("float32")
    np.testing.assert_array_equal(BatchNormalization()(x, mask=MASK), keras.layers.BatchNormalization()(x, mask=MASK))


def test_it_is_saved_under_the_name_of_keras_layer():
    assert BatchNormalization.__name__ == keras.layers.BatchNormalization.__name__
    ours, theirs = BatchNormalization(), keras.layers.BatchNormalization()
    for layer in (ours, theirs):
        layer.build((None, None, 5))
    assert [weight.name for weight in ours.weights] == [weight.name for weight in theirs.weights]


def test_the_gradient_of_a_mean_of_frames_is_a_share_of_its_own():
    x, weights = tf.constant(RNG.normal(size=(4, 30, 5)).astype("float32")), RNG.normal(size=(4, 5)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(FramePooling("average")(x, mask=MASK) * weights)
    expected = MASK[:, :, None] * weights[:, None] / np.maximum(MASK.sum(axis=1), 1)[:, None, None]
    np.testing.assert_allclose(tape.gradient(total, x), expected, atol=1e-6)
