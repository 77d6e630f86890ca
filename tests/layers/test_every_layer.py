"""What must hold of every registered layer."""

import keras
import numpy as np
import pytest

from tests import cases, harness

each = pytest.mark.parametrize("case", cases.LAYERS, ids=cases.case_id)


def test_every_layer_is_tested():
    assert cases.missing("layer", cases.LAYERS) == []


@each
def test_config_rebuilds_the_layer(case):
    layer = case.build()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    for argument, value in case.arguments.items():
        assert getattr(again, argument) == value
    first, second = harness.call(layer, case.inputs()), harness.call(again, case.inputs())
    assert [x.shape for x in first] == [x.shape for x in second]


@each
def test_weight_count(case):
    layer = case.build()
    harness.call(layer, case.inputs())
    assert layer.count_params() == case.weights
    assert len({id(w) for w in layer.weights}) == len(layer.weights)


@each
def test_bfloat16_is_close_to_float32(case):
    layer, half = case.build(), build_with_policy(case, "mixed_bfloat16")
    harness.call(layer, case.inputs())
    harness.call(half, case.inputs())
    harness.randomise(layer)
    half.set_weights(layer.get_weights())
    expected = harness.call(layer, case.inputs())
    for one, other in zip(harness.call(half, case.inputs()), expected):
        np.testing.assert_allclose(one.astype("float32"), other.astype("float32"), atol=0.06)


def build_with_policy(case, dtype):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        return case.build()
    finally:
        keras.config.set_dtype_policy(previous)


@each
def test_symbolic_shapes_are_the_real_ones(case):
    inputs = case.inputs()
    symbolic = {k: keras.Input(v.shape[1:], dtype=v.dtype.name) for k, v in inputs.items()}
    layer = case.build()
    first, *others = symbolic
    outputs = layer(symbolic[first], **{k: symbolic[k] for k in others})
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    for one, real in zip(outputs, harness.call(layer, inputs)):
        assert tuple(one.shape[1:]) == real.shape[1:]
        assert keras.backend.standardize_dtype(one.dtype) == real.dtype.name
