"""A mixture's logits under the policies of half precision."""

import keras
import numpy as np
import pytest

from tests import harness
from yt8m.layers.gated_sum import GatedSum

POLICIES = ("mixed_bfloat16", "mixed_float16")


def built(policy, members, x):
    layer = GatedSum(dtype=policy)
    layer(members, x)
    harness.randomise(layer)
    return layer


@pytest.mark.parametrize("policy", POLICIES)
def test_logits_are_weighed_in_float32(policy):
    """Also those that half precision has not, and those beyond what float16 holds."""
    members, x = np.float32([[[1.0001, 7e4], [1.0003, -7e4]]]), harness.random_floats(1, 16)
    layer = built(policy, members, x)
    gates = keras.ops.convert_to_numpy(layer.weights_of(x))
    (total,) = harness.call(layer, {"members": members, "x": x})
    assert total.dtype == np.float32 and gates.sum() == pytest.approx(1)
    np.testing.assert_allclose(total, np.einsum("bn,bnc->bc", gates, members), rtol=1e-6)


@pytest.mark.parametrize("policy", POLICIES)
def test_gates_are_computed_in_the_policys_type(policy):
    members, x = harness.random_floats(3, 2, 5), harness.random_floats(3, 16)
    layer, compute = built(policy, members, x), keras.DTypePolicy(policy).compute_dtype
    assert layer.norm.compute_dtype == layer.gates.compute_dtype == compute
    assert keras.backend.standardize_dtype(layer.gates(layer.norm(x)).dtype) == compute
    np.testing.assert_array_equal(layer.weights_of(x), layer.weights_of(keras.ops.cast(x, compute)))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_graph_knows_that_logits_are_float32(policy):
    total = GatedSum(dtype=policy)(keras.Input((2, 5)), keras.Input((16,)))
    assert (total.dtype, tuple(total.shape)) == ("float32", (None, 5))
