"""The mean of several checkpoints' weights, and batch-norm averages that go with it."""

import contextlib

import numpy as np
import tensorflow as tf
from keras.layers import BatchNormalization

from yt8m.training import checkpoints


def load_mean(model, prefixes):
    """Gives a model the plain mean of the weights of checkpoints, in float64; the averages of its batch norms, too.

    Args:
        model: Keras model.
        prefixes: checkpoints of it.

    Raises:
        UserError: a checkpoint of another model.
    """
    total = None
    for prefix in prefixes:
        checkpoints.load_weights(model, prefix)
        weights = [weight.numpy().astype(np.float64) for weight in model.weights]
        total = weights if total is None else [a + b for a, b in zip(total, weights)]
    for weight, mean in zip(model.weights, total):
        weight.assign((mean / len(prefixes)).astype(weight.numpy().dtype))


def batch_norms(model):
    """The BatchNormalization layers of a model, wherever they are in it."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, BatchNormalization)]


def estimate_averages(model, batches):
    """Sets the averages of a model's batch norms to the means of what they are in the batches; no other weight changes.

    The model runs as in training (with dropout), once through the batches; a batch counts by its rows.

    Args:
        model: BaseModel.
        batches: iterable of batch dicts, as a stage trains on.

    Returns:
        Number of rows; 0 where the model has no batch norm, and the batches were not read.
    """
    norms = batch_norms(model)
    if not norms:
        return 0
    averages = [variable for layer in norms for variable in (layer.moving_mean, layer.moving_variance)]
    before = [variable.numpy() for variable in averages]
    run = tf.function(lambda batch: tf.shape(model.predict_rated(batch, training=True))[0], reduce_retracing=True)
    total, count = [np.zeros(variable.shape, np.float64) for variable in averages], 0
    with _forgetful(norms):
        for batch in batches:
            rows = int(run({name: value for name, value in batch.items() if name != "ids"}))
            for of_all, variable in zip(total, averages):
                of_all += rows * variable.numpy()
            count += rows
    for variable, of_all, old in zip(averages, total, before):
        variable.assign((of_all / count if count else old).astype(old.dtype))
    return count


@contextlib.contextmanager
def _forgetful(norms):
    """Within it the averages of batch norms are what the last batch has, without what was before."""
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(norms, kept):
            layer.momentum = momentum
