"""Pooling, SE gating, dense blocks, NetVLAD, NeXtVLAD and shared-gate experts against loops written from the formulas."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from tests.formulas import dense, normed, se_gated, sigmoid, softmax, unit
from yt8m.errors import UserError
from yt8m.layers.block_dense import BlockDense
from yt8m.layers.netvlad import NetVlad
from yt8m.layers.nextvlad import NeXtVlad
from yt8m.layers.pooling import FramePooling
from yt8m.layers.se_gating import SEContextGating
from yt8m.layers.shared_gate_moe import SharedGateMixtureOfExperts

LENGTHS = (12, 5, 1)  # of harness.masked_frames()


def built(layer, inputs):
    harness.call(layer, inputs)
    harness.randomise(layer)
    return layer


@pytest.mark.parametrize("method", ["max", "average", "both"])
def test_pooling_sees_real_frames_only(method):
    inputs = harness.masked_frames()
    inputs["x"] = np.where(inputs["mask"][:, :, None], inputs["x"] - 5, 1000.0)  # padding above every real value
    (pooled,) = harness.call(FramePooling(method), inputs)
    for row, n in enumerate(LENGTHS):
        x = inputs["x"][row, :n]
        expected = {"max": x.max(0), "average": x.sum(0) / n, "both": np.concatenate([x.max(0), x.sum(0) / n])}[method]
        np.testing.assert_allclose(pooled[row], expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["max", "average", "both"])
def test_pooling_without_a_real_frame_is_zero_and_without_a_mask_takes_all(method):
    x = harness.random_floats(2, 4, 3)
    assert not np.any(FramePooling(method)(x, mask=np.zeros((2, 4), bool)))
    np.testing.assert_allclose(FramePooling(method)(x), FramePooling(method)(x, mask=np.ones((2, 4), bool)), atol=1e-6)


@pytest.mark.parametrize("reduction, hidden", [(4, 4), (5, 3), (100, 1)])
def test_se_gating(reduction, hidden):
    inputs = harness.masked_frames()
    layer = built(SEContextGating(reduction), inputs)
    assert layer.reduce.units == hidden
    (gated,) = harness.call(layer, inputs)
    for row in range(3):
        for t in range(harness.FRAMES):
            np.testing.assert_allclose(gated[row, t], se_gated(layer, inputs["x"][row, t]), atol=1e-5)


def test_se_gating_in_training_takes_statistics_of_real_frames():
    inputs = harness.masked_frames()
    layer = built(SEContextGating(4), inputs)
    before = np.array(layer.input_norm.moving_mean)
    (gated,) = harness.call(layer, inputs, training=True)
    x = inputs["x"][inputs["mask"]].astype("float64")

    def batch_normed(norm, x):
        return (x - x.mean(0)) / np.sqrt(x.var(0) + norm.epsilon) * np.array(norm.gamma) + np.array(norm.beta)

    h = batch_normed(layer.hidden_norm, np.maximum(dense(layer.reduce, batch_normed(layer.input_norm, x)), 0))
    np.testing.assert_allclose(gated[inputs["mask"]], x * sigmoid(dense(layer.expand, h)), atol=1e-4)
    np.testing.assert_allclose(layer.input_norm.moving_mean, 0.9 * before + 0.1 * x.mean(0), atol=1e-5)


@pytest.mark.parametrize("variant", ["netvlad", "lightvlad", "vlagd"])
@pytest.mark.parametrize("use_batch_norm", [True, False])
def test_netvlad(variant, use_batch_norm):
    inputs = harness.masked_frames()
    layer = built(NetVlad(5, variant, use_batch_norm), inputs)
    (vlad,) = harness.call(layer, inputs)
    for row, n in enumerate(LENGTHS):
        v = np.zeros((5, 16))
        for x in inputs["x"][row, :n]:
            logits = dense(layer.assignment, x)
            a = softmax(normed(layer.assignment_norm, logits) if use_batch_norm else logits)
            for k in range(5):
                v[k] += a[k] * (x - np.array(layer.centres)[k] if variant == "netvlad" else x)
        if variant == "vlagd":
            v *= sigmoid(np.array(layer.gates))
        expected = unit(np.concatenate([unit(v[k]) for k in range(5)]))
        np.testing.assert_allclose(vlad[row], expected, atol=1e-5)


def test_netvlad_norms_can_be_left_out():
    inputs = harness.masked_frames()
    outputs = {}
    for intra, whole in [(True, True), (True, False), (False, True), (False, False)]:
        layer = built(NetVlad(5, intra_normalize=intra, normalize=whole), inputs)
        outputs[intra, whole] = harness.call(layer, inputs)[0]
    plain = outputs[False, False]
    for row in range(3):
        intra = np.concatenate([unit(v) for v in plain[row].reshape(5, 16)])
        np.testing.assert_allclose(outputs[True, False][row], intra, atol=1e-5)
        np.testing.assert_allclose(outputs[True, True][row], unit(intra), atol=1e-5)
        np.testing.assert_allclose(outputs[False, True][row], unit(plain[row]), atol=1e-5)


def nextvlad_loop(layer, x, assignment):
    """Equations 4 to 7 of paper 004 for one video's real frames x [n, F]; assignment(x', g) -> [K]."""
    v = np.zeros((layer.cluster_size, layer.size))
    for frame in x:
        expanded = dense(layer.expand, frame)
        attention = sigmoid(dense(layer.attention, expanded))
        for g in range(layer.groups):
            a = softmax(assignment(expanded, g))
            part = expanded[g * layer.size : (g + 1) * layer.size]
            for k in range(layer.cluster_size):
                v[k] += attention[g] * a[k] * (part - np.array(layer.centres)[k])
    return np.concatenate([unit(row) for row in v])


@pytest.mark.parametrize("assignment_norm", ["cluster", "cluster_group", "none"])
def test_nextvlad(assignment_norm):
    inputs = harness.masked_frames()
    layer = built(NeXtVlad(6, groups=4, assignment_norm=assignment_norm), inputs)
    (vlad,) = harness.call(layer, inputs)

    def assignment(expanded, g):
        logits = dense(layer.assignment, expanded)
        mine = slice(g * 6, g * 6 + 6)
        if assignment_norm == "cluster":
            return normed(layer.norm, logits[mine])
        return (normed(layer.norm, logits) if assignment_norm == "cluster_group" else logits)[mine]

    for row, n in enumerate(LENGTHS):
        expected = normed(layer.vlad_norm, nextvlad_loop(layer, inputs["x"][row, :n], assignment))
        np.testing.assert_allclose(vlad[row], expected, atol=1e-4)


@pytest.mark.parametrize("assignment_norm, channels", [("cluster", 6), ("cluster_group", 24)])
def test_nextvlad_in_training_takes_statistics_of_real_frames(assignment_norm, channels):
    inputs = harness.masked_frames()
    layer = built(NeXtVlad(6, groups=4, assignment_norm=assignment_norm, cluster_dropout=0.0), inputs)
    before = np.array(layer.norm.moving_mean)
    harness.call(layer, inputs, training=True)
    logits = dense(layer.assignment, dense(layer.expand, inputs["x"][inputs["mask"]])).reshape(-1, channels)
    np.testing.assert_allclose(layer.norm.moving_mean, 0.9 * before + 0.1 * logits.mean(0), atol=1e-5)
    assert layer.vlad_norm.moving_mean.shape == (6 * 8,)


def test_nextvlad_starts_hard_and_tied_to_the_centres():
    keras.utils.set_random_seed(1)
    layer = NeXtVlad(6, groups=4, alpha=100.0)
    harness.call(layer, harness.masked_frames())
    centres, kernel = np.array(layer.centres), np.array(layer.assignment.kernel)
    assert centres.min() >= 0 and centres.max() < 1 and centres.std() > 0.2
    for group in range(4):
        for other in range(4):
            block = kernel[group * 8 : group * 8 + 8, other * 6 : other * 6 + 6]
            np.testing.assert_allclose(block, 200 * centres.T, rtol=1e-6)


def test_cluster_dropout_zeroes_whole_clusters():
    layer = built(NeXtVlad(40, groups=4, cluster_dropout=0.25), harness.masked_frames())
    x = harness.random_floats(50, 3, 16)
    dropped = np.array(layer(x, training=True)).reshape(50, 40, 8)
    layer.drop_clusters.rate = 0.0
    whole = np.array(layer(x, training=True)).reshape(50, 40, 8)
    zero = (dropped == 0).all(axis=2)
    assert ((dropped == 0).any(axis=2) == zero).all()
    np.testing.assert_allclose(zero.mean(), 0.25, atol=0.05)
    assert zero.mean(axis=0).min() > 0 and zero.mean(axis=0).max() < 1  # other clusters in other videos
    np.testing.assert_allclose(dropped[~zero], whole[~zero] / 0.75, rtol=1e-4, atol=1e-4)


def test_inference_drops_no_cluster():
    layer = built(NeXtVlad(6, groups=4, cluster_dropout=0.9), harness.masked_frames())
    assert np.all(layer(harness.random_floats(3, 3, 16)))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the Keras of Python 3.10 leaves shapes in graphs unknown")
@pytest.mark.parametrize(
    "layer, largest",
    [
        (NetVlad(6), 2 * 50 * 16),  # [B, T, F]
        (NeXtVlad(6, groups=4), 2 * 50 * 32),  # [B, T, G * S]
        (NeXtVlad(24, groups=4), 2 * 50 * 96),  # [B, T, G * K]
    ],
)
def test_no_tensor_has_a_value_for_each_frame_cluster_and_feature(layer, largest):
    layer(np.zeros((1, 3, 16), "float32"))

    @tf.function
    def train(x, mask):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, mask=mask, training=True))
        return tape.gradient(loss, [v.value for v in layer.trainable_variables])

    graph = train.get_concrete_function(tf.TensorSpec((2, 50, 16)), tf.TensorSpec((2, 50), tf.bool)).graph
    outputs = [tensor for operation in graph.get_operations() for tensor in operation.outputs]
    sizes = [tensor.shape.num_elements() for tensor in outputs if tensor.shape.rank is not None]
    assert None not in sizes
    assert max(sizes) == largest


@pytest.mark.parametrize("blocks", [1, 3, 16])
def test_block_dense_is_a_dense_layer(blocks):
    inputs = {"x": harness.random_floats(3, 4, 16)}
    layer = built(BlockDense(5, blocks), inputs)
    assert len(layer.kernels) == blocks
    expected = inputs["x"] @ np.concatenate(layer.kernels) + np.array(layer.bias)
    np.testing.assert_allclose(harness.call(layer, inputs)[0], expected, atol=1e-5)


def test_block_dense_starts_with_other_values_in_each_block():
    layer = BlockDense(50, 4, stddev=0.5)
    layer.build((None, 400))
    kernel = np.concatenate(layer.kernels)
    np.testing.assert_allclose(kernel.std(), 0.5, rtol=0.05)
    assert len({float(block[0, 0]) for block in map(np.array, layer.kernels)}) == 4


@pytest.mark.parametrize("mixtures", [1, 3])
def test_shared_gate_experts(mixtures):
    x = harness.random_floats(3, 16)
    layer = built(SharedGateMixtureOfExperts(7, mixtures), {"x": x})
    gates_kernel, gates_bias = np.array(layer.gates.kernel), np.array(layer.gates.bias)
    experts_kernel = np.array(layer.experts.kernel).reshape(16, 7, mixtures)
    experts_bias = np.array(layer.experts.bias).reshape(7, mixtures)
    for row, probabilities in zip(x, harness.call(layer, {"x": x})[0]):
        gates = softmax(normed(layer.gate_norm, row) @ gates_kernel + gates_bias)
        assert gates.shape == (mixtures + 1,)
        for c in range(7):
            logit = 0.0 * gates[mixtures]
            for n in range(mixtures):
                logit += gates[n] * (normed(layer.expert_norm, row) @ experts_kernel[:, c, n] + experts_bias[c, n])
            np.testing.assert_allclose(probabilities[c], sigmoid(logit), atol=1e-5)


def test_shared_gate_dropout_is_of_training_only():
    x = harness.random_floats(3, 16)
    layer = built(SharedGateMixtureOfExperts(7), {"x": x})
    np.testing.assert_array_equal(layer(x), layer(x))
    assert np.abs(np.array(layer(x, training=True)) - np.array(layer(x, training=True))).max() > 1e-3


@pytest.mark.parametrize(
    "make, word",
    [
        (lambda: FramePooling("median"), "median"),
        (lambda: SEContextGating(0), "reduction"),
        (lambda: BlockDense(4, 0), "blocks=0"),
        (lambda: BlockDense(4, 9).build((None, 8)), "blocks=9: use at most the 8 rows"),
        (lambda: NetVlad(4, "fisher"), "fisher"),
        (lambda: NetVlad(0), "cluster_size"),
        (lambda: NeXtVlad(4, groups=0), "groups"),
        (lambda: NeXtVlad(4, assignment_norm="group"), "assignment_norm"),
        (lambda: NeXtVlad(4, cluster_dropout=1.0), "cluster_dropout"),
        (lambda: NeXtVlad(4, groups=5).build((None, None, 16)), "groups=5: use a divisor of 2 \\* 16"),
        (lambda: SharedGateMixtureOfExperts(7, 0), "num_mixtures"),
        (lambda: SharedGateMixtureOfExperts(7, dropout=1.5), "dropout"),
    ],
)
def test_bad_arguments(make, word):
    with pytest.raises(UserError, match=word):
        make()
