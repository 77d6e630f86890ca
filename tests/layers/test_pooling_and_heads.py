"""Attention pooling, context gating and the heads against plain numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests import harness
from yt8m.errors import UserError
from yt8m.layers.attention_pooling import GatedAttentionPooling, set_overlap
from yt8m.layers.experts import LogisticHead, MixtureOfExperts
from yt8m.layers.gating import ContextGating
from yt8m.layers.shared_gate_moe import SharedGateMixtureOfExperts


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def normed(norm, x):
    gamma, beta, mean, variance = (np.array(w) for w in norm.weights)
    return (x - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta


def built(layer, inputs):
    harness.call(layer, inputs)
    harness.randomise(layer)
    return layer


def test_context_gating():
    x = harness.random_floats(3, 16)
    layer = built(ContextGating(), {"x": x})
    np.testing.assert_allclose(layer(x), x * sigmoid(normed(layer.norm, x @ np.array(layer.gate.kernel))), atol=1e-5)


def test_context_gating_without_batch_norm_has_a_bias():
    x = harness.random_floats(3, 16)
    layer = built(ContextGating(use_batch_norm=False), {"x": x})
    np.testing.assert_allclose(layer(x), x * sigmoid(x @ np.array(layer.gate.kernel) + np.array(layer.gate.bias)), atol=1e-5)


def test_attention_pooling():
    inputs = harness.masked_frames()
    layer = built(GatedAttentionPooling(6, 4, num_sets=3), inputs)
    pooled, weights = harness.call(layer, inputs)
    for row, n in enumerate((12, 5, 1)):
        x = inputs["x"][row, :n]
        h = normed(layer.norm, x @ np.array(layer.reduce.kernel))
        for m in range(3):
            value, gate = (h @ np.array(kernel)[:, :, m] for kernel in (layer.value_kernel, layer.gate_kernel))
            a = (np.tanh(value) * sigmoid(gate)) @ np.array(layer.score_kernel)[:, m]
            np.testing.assert_allclose(weights[row, :n, m], softmax(a, 0), atol=1e-5)
            np.testing.assert_allclose(pooled[row, m], softmax(a, 0) @ x, atol=1e-5)
        assert not weights[row, n:].any()


def test_attention_pooling_starts_as_in_the_authors_code():
    """V and U at 1/sqrt(size of the feature), w at 1/sqrt(size of the branches): rgb's, and audio's."""
    for feature, reduced, branch in ((1024, 256, 128), (128, 64, 32)):
        layer = GatedAttentionPooling(reduced, branch, num_sets=8)
        layer.build((None, None, feature))
        for kernel in (layer.value_kernel, layer.gate_kernel):
            np.testing.assert_allclose(np.std(kernel), feature**-0.5, rtol=0.03)
        np.testing.assert_allclose(np.std(layer.score_kernel), branch**-0.5, rtol=0.15)


def test_sparsemax_attention_leaves_frames_out():
    inputs = harness.masked_frames()
    layer = built(GatedAttentionPooling(6, 4, attention="sparsemax"), inputs)
    layer.score_kernel.assign(layer.score_kernel * 20)
    _, weights = harness.call(layer, inputs)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (weights[0] == 0).any()


def test_overlap_of_sets():
    weights = np.zeros((2, 4, 3), "float32")  # the second video has no real frame
    weights[0] = [[1, 0, 0.5], [0, 0.5, 0.5], [0, 0.5, 0], [0, 0, 0]]
    cosines = [0, 0.5**0.5, 0.5]  # of sets 0 and 1, 0 and 2, 1 and 2
    np.testing.assert_allclose(set_overlap(ops.convert_to_tensor(weights)), np.mean(np.square(cosines)) / 2, atol=1e-6)


def test_the_penalty_drives_sets_apart():
    inputs = harness.masked_frames()
    layer = built(GatedAttentionPooling(6, 4, num_sets=3, overlap_penalty=0.5), inputs)
    harness.call(layer, inputs)
    assert not layer.losses
    with tf.GradientTape() as tape:
        layer(**inputs, training=True)
        (loss,) = layer.losses
    gradients = tape.gradient(loss, [weight.value for weight in layer.trainable_variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    for weight, gradient in zip(layer.trainable_variables, gradients):
        weight.assign_sub(0.1 * gradient)
    layer(**inputs, training=True)
    assert layer.losses[0] < loss <= 0.5 + 1e-6
    assert not built(GatedAttentionPooling(6, 4, overlap_penalty=0.5), inputs).losses


def test_unknown_attention():
    with pytest.raises(UserError, match=r"'hardmax'.*softmax, sparsemax"):
        GatedAttentionPooling(6, 4, attention="hardmax")


def test_logistic_head():
    x = harness.random_floats(3, 16)
    layer = built(LogisticHead(7, l2_penalty=0.01), {"x": x})
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(layer(x), sigmoid(x @ kernel + bias), atol=1e-5)
    assert float(layer.losses[0]) == pytest.approx(0.005 * (kernel**2).sum(), rel=1e-5)


def test_heads_begin_with_the_probability_asked_for():
    zeros = np.zeros((3, 16), np.float32)
    np.testing.assert_allclose(LogisticHead(7, initial_probability=0.01)(zeros), 0.01, rtol=1e-5)
    np.testing.assert_array_equal(LogisticHead(7)(zeros), 0.5)
    experts = MixtureOfExperts(7, num_mixtures=3, initial_probability=0.01)(zeros)
    np.testing.assert_allclose(experts, 0.0075, rtol=1e-5, err_msg="three experts and one that says 0, gates alike")
    with pytest.raises(UserError, match="initial_probability=1: use a share between 0 and 1"):
        LogisticHead(7, initial_probability=1)


def mixture(layer, x):
    """The starter code's arithmetic: one example and class at a time."""
    gates, experts, bias = np.array(layer.gates.kernel), np.array(layer.experts.kernel), np.array(layer.experts.bias)
    mixtures = layer.num_mixtures
    probabilities = np.zeros((len(x), layer.num_classes))
    for i, one in enumerate(x):
        for c in range(layer.num_classes):
            gate = softmax(one @ gates[:, c * (mixtures + 1) : (c + 1) * (mixtures + 1)], 0)
            expert = sigmoid(one @ experts[:, c * mixtures : (c + 1) * mixtures] + bias[c * mixtures : (c + 1) * mixtures])
            probabilities[i, c] = (gate[:mixtures] * expert).sum()
    return probabilities


def test_mixture_of_experts():
    x = harness.random_floats(3, 16)
    layer = built(MixtureOfExperts(7, num_mixtures=3, l2_penalty=0.01), {"x": x})
    np.testing.assert_allclose(layer(x), mixture(layer, x), atol=1e-5)
    squares = (np.array(layer.gates.kernel) ** 2).sum() + (np.array(layer.experts.kernel) ** 2).sum()
    assert sum(float(loss) for loss in layer.losses) == pytest.approx(0.005 * squares, rel=1e-5)


@pytest.mark.parametrize("gating_input", ["probabilities", "input"])
@pytest.mark.parametrize("remove_diagonal", [False, True])
@pytest.mark.parametrize("gating_rank", [None, 2])
def test_probability_gating(gating_input, remove_diagonal, gating_rank):
    if gating_input == "input" and remove_diagonal:
        pytest.skip("refused")
    x = harness.random_floats(3, 16)
    options = {"gating_input": gating_input, "remove_diagonal": remove_diagonal, "gating_rank": gating_rank}
    layer = built(MixtureOfExperts(7, probability_gating=True, **options), {"x": x})
    p = mixture(layer, x)
    kernel = np.linalg.multi_dot([np.array(k) for k in layer.gating_kernels] + [np.eye(7)])
    if remove_diagonal:
        kernel = kernel - np.diag(np.diag(kernel))
    gate = sigmoid(normed(layer.norm, (p if gating_input == "probabilities" else x) @ kernel))
    np.testing.assert_allclose(layer(x), p * gate, atol=1e-5)


def test_heads_take_any_leading_axes():
    x = harness.random_floats(3, 4, 16)
    for layer in (LogisticHead(7), MixtureOfExperts(7, probability_gating=True, low_rank_gates=3)):
        built(layer, {"x": x})
        np.testing.assert_allclose(np.array(layer(x))[1], layer(x[1:2])[0], atol=1e-5)


@pytest.mark.parametrize("dtype, error", [("float32", 1e-6), ("bfloat16", 4e-3)])
@pytest.mark.parametrize("num_mixtures", [1, 2, 3, 4])
def test_experts_of_sets_are_those_of_their_rows(num_mixtures, dtype, error):
    x = harness.random_floats(3, 4, 16)
    layer = built(MixtureOfExperts(7, num_mixtures=num_mixtures, dtype=dtype, initial_probability=0.2), {"x": x})
    layer.experts.bias.assign(harness.random_floats(7 * num_mixtures))
    rows = np.array(layer(x.reshape(12, 16))).reshape(3, 4, 7)
    np.testing.assert_allclose(layer(x), rows, atol=error)
    np.testing.assert_allclose(layer(x, training=True), rows, atol=error)


def test_the_gate_leaves_masked_rows_out_of_its_statistics():
    x = harness.random_floats(3, 4, 16)
    mask = np.arange(4)[None] < np.array([[4], [2], [1]])
    moved = []
    for filler in (0.0, 50.0):
        layer = built(MixtureOfExperts(7, probability_gating=True), {"x": x})
        layer(np.where(mask[:, :, None], x, np.float32(filler)), mask=mask, training=True)
        moved.append(np.array(layer.norm.moving_mean))
    np.testing.assert_allclose(*moved, atol=1e-6)


HEADS = (
    (LogisticHead, {}),
    (MixtureOfExperts, {"num_mixtures": 3}),
    (MixtureOfExperts, {"low_rank_gates": 4, "probability_gating": True, "remove_diagonal": True}),
    (MixtureOfExperts, {"probability_gating": True, "gating_rank": 2, "remove_diagonal": True}),
    (SharedGateMixtureOfExperts, {"dropout": 0.0}),
)


@pytest.mark.parametrize("kind, arguments", HEADS)
def test_products_in_bfloat16_and_everything_else_in_float32(kind, arguments):
    x = harness.random_floats(64, 32)
    full = built(kind(20, **arguments), {"x": x})
    half = built(kind(20, **arguments, dtype="mixed_bfloat16"), {"x": x})
    half.set_weights(full.get_weights())
    products = [layer for layer in half._flatten_layers() if isinstance(layer, keras.layers.Dense)]
    assert products and {layer.compute_dtype for layer in products} == {"bfloat16"}
    assert {weight.dtype for weight in half.weights} == {"float32"}
    expected, probabilities = np.array(full(x)), half(x)
    assert keras.backend.standardize_dtype(probabilities.dtype) == "float32"
    np.testing.assert_allclose(probabilities, expected, atol=0.02)  # logits have 8 bits, and a probability's slope is under 1/4
    rounded = keras.ops.cast(keras.ops.cast(probabilities, "bfloat16"), "float32")
    assert np.mean(np.array(rounded) != np.array(probabilities)) > 0.9  # a sigmoid or a sum in bfloat16 would be rounded
    assert (np.array(probabilities) != expected).any()


@pytest.mark.parametrize(
    "arguments",
    [{"num_mixtures": 0}, {"gating_input": "frames"}, {"gating_rank": 0}, {"low_rank_gates": -1},
     {"remove_diagonal": True, "gating_input": "input"}],
)  # fmt: skip
def test_bad_arguments(arguments):
    with pytest.raises(UserError, match=next(iter(arguments))):
        MixtureOfExperts(7, **arguments)
