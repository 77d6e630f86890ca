"""What the tests' loops are written with: a layer's formula on one vector, in numpy."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def unit(x):
    return x / np.sqrt((x**2).sum())


def dense(layer, x):
    y = x @ np.array(layer.kernel)
    return y + np.array(layer.bias) if layer.use_bias else y


def normed(norm, x):
    """Batch norm in inference: moving statistics."""
    gamma, beta, mean, variance = (np.array(w) for w in norm.weights)
    return (x - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta


def se_gated(layer, x):
    h = normed(layer.hidden_norm, np.maximum(dense(layer.reduce, normed(layer.input_norm, x)), 0))
    return x * sigmoid(dense(layer.expand, h))
