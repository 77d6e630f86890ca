"""ConditionedLSTM against Keras' LSTM on frames and repeated vectors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from yt8m.layers.conditioned_lstm import ConditionedLSTM


@pytest.mark.parametrize("backwards", [False, True])
def test_it_is_keras_lstm_on_frames_and_vectors_side_by_side(backwards):
    given = {name: tf.constant(values) for name, values in harness.conditioned_frames().items()}
    ours, theirs = ConditionedLSTM(3, backwards), keras.layers.LSTM(3, return_sequences=True, go_backwards=backwards)
    ours(given["frames"], vectors=given["vectors"], places=given["places"])
    theirs.build((None, None, 21))
    harness.randomise(ours)
    theirs.set_weights(ours.get_weights())
    names = ("frames", "vectors")

    def side_by_side(frames, vectors, places, mask):
        repeated = tf.repeat(vectors[:, None], frames.shape[1], axis=1)
        outputs = theirs(tf.concat([tf.gather(frames, places), repeated], axis=2), mask=mask)
        return tf.reverse(outputs, [1]) if backwards else outputs

    @tf.function
    def results(training):
        found = []
        for layer, call in ((ours, lambda **inputs: ours(training=training, **inputs)), (theirs, side_by_side)):
            with tf.GradientTape() as tape:
                inputs = {**given, **{name: tf.identity(given[name]) for name in names}}
                tape.watch([inputs[name] for name in names])
                outputs = call(**inputs)
                total = tf.reduce_sum(outputs * tf.constant(harness.random_floats(*outputs.shape)))
            weights = [weight.value for weight in layer.trainable_weights]
            found.append([outputs, *map(tf.convert_to_tensor, tape.gradient(total, [inputs[name] for name in names] + weights))])
        return found

    for one, other in zip(*results(True)):
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1.0, np.abs(other).max()))
