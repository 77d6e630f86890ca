"""Optimizers, against tensorflow-addons' recorded values and slow NumPy versions."""

import contextlib
import json
import math
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import cases, harness
from yt8m.training import optimizers, schedules

GOLDEN = np.load(pathlib.Path(__file__).parent.parent / "golden" / "optimizers.npz")
SETTINGS = json.loads(str(GOLDEN["settings"]))
CONTEXT = next(case for case in cases.MODELS if case.name == "ContextAwareModel")


def variable(name, value):
    """A variable of a layer, whose path is `name`."""
    *scopes, last = name.split("/")
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(keras.name_scope(scope))
        return keras.Variable(np.asarray(value, "float32"), name=last)


def trajectory(optimizer, variables, gradients):
    """The variables after each step, a list of [steps, ...]."""
    optimizer.build(variables)
    after = []
    for step in zip(*gradients):
        optimizer.apply([tf.constant(g) for g in step], variables)
        after.append([w.numpy().copy() for w in variables])
    return [np.stack(values) for values in zip(*after)]


def slow_adamw(w, gradients, rates, decay, epsilon, beta_1=0.9, beta_2=0.999):
    """Algorithm 2 of "Decoupled weight decay regularization", a variable on its own, in float64."""
    w, m, v = np.float64(w), 0.0, 0.0
    after = []
    for t, (g, rate) in enumerate(zip(np.float64(gradients), rates), start=1):
        w = w - rate * decay * w
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
        rate_t = rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        w = w - rate_t * m / (np.sqrt(v) + epsilon)
        after.append(w)
    return np.stack(after)


def test_adamw_is_that_of_tensorflow_addons():
    settings = SETTINGS["adamw"]
    rate = settings["learning_rate"]  # addons takes the decay as it is, Keras and the paper times the rate
    optimizer = optimizers.AdamW(rate, weight_decay=settings["weight_decay"] / rate, epsilon=settings["epsilon"])
    (after,) = trajectory(optimizer, [variable("part/kernel", GOLDEN["start_a"])], [GOLDEN["gradients_a"]])
    np.testing.assert_allclose(after, GOLDEN["adamw_a"], rtol=1e-5, atol=1e-6)


def test_any_optimizer_decays_as_sgdw_of_tensorflow_addons():
    settings = SETTINGS["sgdw"]
    rate = settings["learning_rate"]
    optimizer = optimizers.make_optimizer("Momentum", rate, weight_decay=settings["weight_decay"] / rate)
    (after,) = trajectory(optimizer, [variable("part/kernel", GOLDEN["start_a"])], [GOLDEN["gradients_a"]])
    np.testing.assert_allclose(after, GOLDEN["sgdw_a"], rtol=1e-5, atol=1e-6)


def test_multipliers_are_the_multi_optimizer_of_tensorflow_addons():
    settings = SETTINGS["multi"]
    factors = {"b": settings["learning_rate_b"] / settings["learning_rate_a"]}
    optimizer = optimizers.Adam(settings["learning_rate_a"], factors, epsilon=settings["epsilon"])
    variables = [variable(f"{k}/kernel", GOLDEN[f"start_{k}"]) for k in "ab"]
    after = trajectory(optimizer, variables, [GOLDEN["gradients_a"], GOLDEN["gradients_b"]])
    for values, k in zip(after, "ab"):
        np.testing.assert_allclose(values, GOLDEN[f"multi_{k}"], rtol=1e-5, atol=1e-6)


def test_unknown_optimizer_lists_the_known():
    with pytest.raises(ValueError, match=r"Lion.*AdamWOptimizer"):
        optimizers.make_optimizer("Lion", 1e-3)


@pytest.mark.parametrize("schedule", [schedules.SlantedTriangular(3e-4, 40, 0.3, 0.05), schedules.cosine_schedule(1e-3, 40)])
def test_optimizer_and_schedule_round_trip(schedule):
    first = optimizers.make_optimizer("AdamW", schedule, 10.0, "global", 1, False, 0.1, {"a/b": 0.5}, 0.99)
    second = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(first))))
    assert type(second) is optimizers.AdamW
    assert second.get_config() == first.get_config()
    assert (second.factor("a/b/kernel"), second.decays("a/bias"), second.decays("a/kernel")) == (0.5, False, True)


PARTS = {"encoder/hidden/kernel": 0.5, "encoder/head/kernel": 1.0, "encoder_2/kernel": 1.0, "frozen/kernel": 0.0}
EXEMPT = ("hidden/bias", "norm/gamma", "norm/beta", "encoder/hidden/bias")


def test_each_part_has_its_rate_and_its_decay():
    rng = np.random.default_rng(0)
    names = [*PARTS, *EXEMPT]
    start = [rng.normal(size=(3, 2)).astype("float32") for _ in names]
    gradients = [rng.normal(size=(9, 3, 2)).astype("float32") for _ in names]
    schedule = schedules.SlantedTriangular(0.05, 9)
    optimizer = optimizers.make_optimizer(
        "AdamW", schedule, weight_decay=0.7, learning_rate_multipliers={"encoder": 0.5, "encoder/head": 1.0, "frozen": 0}
    )
    after = trajectory(optimizer, [variable(*pair) for pair in zip(names, start)], gradients)
    for name, w, g, values in zip(names, start, gradients, after):
        factor = PARTS.get(name, 0.5 if name.startswith("encoder/") else 1.0)
        rates = [factor * float(schedule(step)) for step in range(9)]
        decay = 0.0 if name in EXEMPT else 0.7
        np.testing.assert_allclose(values, slow_adamw(w, g, rates, decay, 1e-7), rtol=2e-5, atol=2e-6, err_msg=name)
    np.testing.assert_array_equal(after[names.index("frozen/kernel")][-1], start[names.index("frozen/kernel")])


@pytest.mark.parametrize("clip", ["variable", "global"])
def test_clipping(clip):
    variables = [variable("a/kernel", [0.0, 0.0]), variable("b/kernel", [0.0, 0.0]), variable("frozen/kernel", [0.0, 0.0])]
    gradients = [tf.constant([3.0, 4.0]), tf.constant([0.5, 0.0]), tf.constant([1e6, 1e6])]
    optimizer = optimizers.make_optimizer("GradientDescent", 1.0, 1.0, clip, learning_rate_multipliers={"frozen": 0})
    optimizer.apply(gradients, variables)
    whole = math.sqrt(25 + 0.25)  # what is frozen takes no part
    norms = {"variable": (5, 1), "global": (whole, whole)}[clip]
    for w, gradient, norm in zip(variables, gradients, norms):
        np.testing.assert_allclose(-w.numpy(), gradient / norm, rtol=1e-5)


def step(model, optimizer, seed):
    """One training step on random frames."""
    batch = harness.batch_for(model)
    labels = np.random.default_rng(seed).integers(0, 2, (3, harness.CLASSES)).astype("float32")
    with tf.GradientTape() as tape:
        predictions = model({k: tf.constant(v) for k, v in batch.items()}, training=True)
        loss = tf.reduce_mean(tf.square(predictions - labels))
    optimizer.apply(tape.gradient(loss, [w.value for w in model.trainable_variables]), model.trainable_variables)


def start(case, **options):
    keras.utils.set_random_seed(1)
    model = case.build()
    optimizer = optimizers.make_optimizer("AdamW", 1e-2, weight_decay=0.5, **options)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def test_every_model_decays_its_kernels_only():
    kernels, others = set(), set()
    optimizer = optimizers.AdamW()
    for case in {case.name: case for case in cases.MODELS}.values():
        for w in case.build().trainable_variables:
            (kernels if optimizer.decays(w.path) else others).add((w.path.split("/")[-1], len(w.shape)))
    assert {rank for _, rank in kernels} == {1, 2, 3}
    assert {name for name, rank in kernels if rank == 1} == {"kernel"}  # of a pooling; a bias or a norm's variable is none
    assert others >= {("bias", 1), ("gamma", 1), ("beta", 1)}


def test_reloaded_optimizer_still_spares_biases_and_norms(tmp_path):
    case = next(case for case in cases.MODELS if case.name == "AttentionModel")
    model, optimizer = start(case)
    step(model, optimizer, 0)
    model.compile(optimizer=optimizer)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    before = {w.path: w.numpy() for w in loaded.trainable_variables}
    slots = {w.path: w.numpy() for w in loaded.optimizer.variables}
    for w in optimizer.variables:
        np.testing.assert_array_equal(slots[w.path], w.numpy())
    for w in loaded.optimizer.variables:
        if w.path.endswith(("momentum", "velocity")):
            w.assign(tf.zeros(w.shape))
    loaded.optimizer.apply([tf.zeros(w.shape) for w in loaded.trainable_variables], loaded.trainable_variables)
    spared = 0
    for w in loaded.trainable_variables:
        if w.path.endswith(("bias", "gamma", "beta")):
            np.testing.assert_array_equal(w.numpy(), before[w.path])
            spared += 1
        else:
            np.testing.assert_allclose(w.numpy(), before[w.path] * (1 - 1e-2 * 0.5), rtol=1e-6)
    assert spared > 5


def test_the_context_model_has_its_own_multipliers():
    model = CONTEXT.build()
    multipliers = optimizers.learning_rate_multipliers(model)
    optimizer = optimizers.AdamW(learning_rate_multipliers=multipliers)
    factors = {w.path: optimizer.factor(w.path) for w in model.trainable_variables}
    assert all(factor == (0.5 if path.startswith("segment_encoder/") else 1.0) for path, factor in factors.items())
    assert set(factors.values()) == {0.5, 1.0}
    assert not any(path.startswith("context_encoder") for path in factors)  # frozen in the model
    assert optimizers.learning_rate_multipliers(next(c for c in cases.MODELS if c.name == "CnnModel").build()) == {}


def test_a_frozen_part_does_not_move():
    model, optimizer = start(CONTEXT, learning_rate_multipliers={"segment_encoder": 0.0, "segment_encoder/hidden": 1.0})
    before = {w.path: w.numpy() for w in model.trainable_variables}
    step(model, optimizer, 0)
    for w in model.trainable_variables:
        frozen = w.path.startswith("segment_encoder/") and not w.path.startswith("segment_encoder/hidden/")
        assert np.array_equal(w.numpy(), before[w.path]) == frozen, w.path


def test_multipliers_that_fit_nothing_are_refused():
    model = CONTEXT.build()
    with pytest.raises(ValueError, match=r"segment=0.5.*segment_encoder"):
        optimizers.learning_rate_multipliers(model, {"segment": 0.5})
    parts = {w.path.split("/")[0]: 0.0 for w in model.trainable_variables}
    with pytest.raises(ValueError, match="nothing would be trained"):
        optimizers.learning_rate_multipliers(model, parts)
