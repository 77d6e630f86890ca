"""TransformerBlock against loops over paper 004's eq. 11-14, and PositionEncoding against Vaswani et al.'s formula."""

import keras
import numpy as np
import pytest

from tests import harness
from yt8m.errors import UserError
from yt8m.layers import transformer_block
from yt8m.layers.position_encoding import PositionEncoding
from yt8m.layers.sparsemax import masked_softmax
from yt8m.layers.transformer_block import TransformerBlock

SIZE = 6


def built(**options):
    layer = TransformerBlock(**options)
    harness.call(layer, {"x": harness.random_floats(2, 4, SIZE)})
    harness.randomise(layer)
    return layer


def dense(layer, x):
    return x @ np.array(layer.kernel) + np.array(layer.bias)


def layer_norm(layer, x):
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + layer.epsilon)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * np.array(layer.gamma) + np.array(layer.beta)


def attend(query, key, value):
    """Eq. 14 for one head: a loop over the frames that attend and those attended."""
    out = np.zeros_like(value)
    for i in range(len(query)):
        weights = np.array([np.exp(query[i] @ key[j] / np.sqrt(query.shape[1])) for j in range(len(key))])
        out[i] = sum(w * value[j] for j, w in enumerate(weights / weights.sum()))
    return out


def block(layer, x):
    """One video of real frames only, [n, D]."""
    query, key, value = dense(layer.query, x), dense(layer.key, x), dense(layer.value, x)
    width = x.shape[1] // layer.num_heads
    parts = [slice(h * width, (h + 1) * width) for h in range(layer.num_heads)]
    attended = np.concatenate([attend(query[:, p], key[:, p], value[:, p]) for p in parts], axis=1)
    if layer.num_heads > 1:
        attended = dense(layer.merge, attended)
    y = layer_norm(layer.attention_norm, x + attended)
    hidden = np.maximum(dense(layer.feed_forward_in, y), 0)
    return layer_norm(layer.feed_forward_norm, y + dense(layer.feed_forward_out, hidden))


@pytest.mark.parametrize("options", [{}, {"num_heads": 3}, {"feed_forward_size": 11, "epsilon": 0.1}])
def test_equations(options):
    layer = built(**options)
    x, lengths = harness.random_floats(3, 7, SIZE), [7, 4, 1]
    out = harness.call(layer, {"x": x, "mask": np.arange(7)[None] < np.array(lengths)[:, None]})[0]
    for row, n in enumerate(lengths):
        np.testing.assert_allclose(out[row, :n], block(layer, x[row, :n]), atol=1e-4)
    np.testing.assert_allclose(harness.call(layer, {"x": x[:1]})[0][0], block(layer, x[0]), atol=1e-4)


def test_a_row_of_padding_is_finite():
    out = harness.call(built(), {"x": harness.random_floats(2, 4, SIZE), "mask": np.zeros((2, 4), bool)})[0]
    assert np.isfinite(out).all()


def test_the_feed_forward_size_is_the_features():
    assert built().feed_forward_in.kernel.shape == (SIZE, SIZE)


def test_the_softmax_is_float32_under_bfloat16(monkeypatch):
    dtypes = []

    def record(scores, **options):
        weights = masked_softmax(scores, **options)
        dtypes.append(keras.backend.standardize_dtype(weights.dtype))
        return weights

    monkeypatch.setattr(transformer_block, "masked_softmax", record)
    layer = TransformerBlock(dtype="mixed_bfloat16")
    out = layer(keras.ops.convert_to_tensor(harness.random_floats(1, 4, SIZE)))
    assert dtypes == ["float32"]
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"


@pytest.mark.parametrize("heads", [0, 4])
def test_heads_share_out_the_features(heads):
    with pytest.raises(UserError, match=f"num_heads={heads}: use a divisor of the 6"):
        built(num_heads=heads)


@pytest.mark.parametrize("size", [6, 7])
def test_sinusoidal_positions(size):
    x = harness.random_floats(2, 9, size)
    expected = x.copy()
    for t in range(9):
        for column in range(size):
            angle = t / 10000 ** ((column - column % 2) / size)
            expected[:, t, column] += (np.sin(angle) if column % 2 == 0 else np.cos(angle)) / np.sqrt(size / 2)
    np.testing.assert_allclose(harness.call(PositionEncoding(), {"x": x})[0], expected, atol=1e-5)


def test_sinusoidal_positions_have_norm_one():
    rows = harness.call(PositionEncoding(), {"x": np.zeros((1, 300, 8), "float32")})[0][0]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_learned_positions():
    layer = PositionEncoding("learned", max_length=4)
    x = harness.random_floats(2, 6, 3)
    harness.call(layer, {"x": x})
    harness.randomise(layer)
    rows = np.array(layer.table)[[0, 1, 2, 3, 3, 3]]
    np.testing.assert_allclose(harness.call(layer, {"x": x})[0], x + rows, atol=1e-6)


def test_unknown_positions():
    with pytest.raises(UserError, match="position='rotary': use one of sinusoidal, learned"):
        PositionEncoding("rotary")
