"""Adam's update and the clipping of gradients with few passes over the weights, where the backend is TensorFlow.

Keras writes both as a dozen operations, each of which reads and writes arrays as large as the weights. Here Adam is one kernel,
ResourceApplyAdam, which is what TensorFlow 1's AdamOptimizer ran, and a norm is one pass that writes nothing (l2_loss). On other
backends, and for what the kernel does not do (AMSGrad, sparse gradients), Keras' own is used.
"""

import keras
from keras import ops


def _dense(values):
    """Whether all are dense TensorFlow tensors: not of another backend, and no IndexedSlices. None is left out."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return all(isinstance(value, tf.Tensor) for value in values if value is not None)


class FusedClipping:
    """Mixed into a Keras optimizer: clipnorm and global_clipnorm without temporary arrays for the squares.

    The factor is clip / max(norm, clip), and exactly 1 where nothing is to be clipped; the norm is Keras' but for the order in
    which squares are added (tests: within 1e-6 of Keras' clipped gradient).
    """

    def _clip_gradients(self, grads):
        if not (self.clipnorm or self.global_clipnorm) or not _dense(grads):
            return super()._clip_gradients(grads)
        if self.clipnorm:
            return [None if g is None else g * _factor([g], self.clipnorm) for g in grads]
        factor = _factor([g for g in grads if g is not None], self.global_clipnorm)
        return [None if g is None else g * factor for g in grads]


def _factor(gradients, clip):
    """What gradients are multiplied with so that their common norm is at most `clip`; NaN where the norm is not finite."""
    import tensorflow as tf

    norm = tf.sqrt(2.0 * tf.add_n([tf.cast(tf.nn.l2_loss(g), "float32") for g in gradients]))
    factor = clip / tf.maximum(norm, clip) + (norm - norm)
    return tf.cast(factor, gradients[0].dtype)


class FusedAdam:
    """Mixed into keras.optimizers.Adam or AdamW: the update as one kernel; slots, their names and the formula are Keras'.

    The kernel takes 1 - beta in float32, as the bias correction does in both; Keras multiplies with 1 - beta rounded once. With
    Adam's .999 these differ by 1.3e-5 of their value, so that a step differs from Keras' by less than 1e-5 of itself.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or not _dense([gradient]):
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        index, dtype = self._get_variable_index(variable), variable.dtype
        step = ops.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = ops.cast(self.beta_1, dtype), ops.cast(self.beta_2, dtype)
        # Under MirroredStrategy a slot's handle is that of the replica that is being updated.
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=ops.power(beta_1, step),
            beta2_power=ops.power(beta_2, step),
            lr=ops.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=ops.cast(self.epsilon, dtype),
            grad=ops.cast(gradient, dtype),
        )


def _handle(variable):
    """The resource of a variable, be it Keras' or TensorFlow's."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
