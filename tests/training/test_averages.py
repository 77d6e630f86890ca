"""Averages of the weights over the steps, and checkpoints that hold them beside every slot."""

import numpy as np
import pytest
import tensorflow as tf

from tests.training.test_optimizers import CONTEXT, start, step
from yt8m.training import averages, checkpoints


@pytest.mark.parametrize("float16", [False, True])
def test_averages_of_the_weights(float16):
    model, optimizer = start(CONTEXT, ema_momentum=0.9, float16=float16, learning_rate_multipliers={"segment_encoder": 0})
    initial = [w.numpy() for w in model.trainable_variables]
    with averages.averaged_weights(model, optimizer):  # before the first step there are none
        for w, value in zip(model.trainable_variables, initial):
            np.testing.assert_array_equal(w.numpy(), value)
    history = []
    for seed in range(4):
        batch = [tf.constant(np.random.default_rng(seed).normal(size=w.shape), "float32") for w in model.trainable_variables]
        scale = optimizer.scale_loss(1.0)
        optimizer.apply([g * scale for g in batch], model.trainable_variables)
        history.append([w.numpy() for w in model.trainable_variables])
    expected = history[0]
    for values in history[1:]:
        expected = [0.9 * a + 0.1 * w for a, w in zip(expected, values)]
    with averages.averaged_weights(model, optimizer):
        for w, value in zip(model.trainable_variables, expected):
            np.testing.assert_allclose(w.numpy(), value, rtol=1e-5, atol=1e-6)
    for w, value in zip(model.trainable_variables, history[-1]):
        np.testing.assert_array_equal(w.numpy(), value)
    averages.use_averages(model, optimizer)
    for w, value in zip(model.trainable_variables, expected):
        np.testing.assert_allclose(w.numpy(), value, rtol=1e-5, atol=1e-6)


def test_without_averages_nothing_changes():
    model, optimizer = start(CONTEXT)
    step(model, optimizer, 0)
    trained = model.get_weights()
    with averages.averaged_weights(model, optimizer):
        assert all(np.array_equal(a, b) for a, b in zip(trained, model.get_weights()))
    averages.use_averages(model, optimizer)
    assert all(np.array_equal(a, b) for a, b in zip(trained, model.get_weights()))


@pytest.mark.parametrize(
    ("ema_momentum", "float16"),
    [(0.9, True), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((0.0, False), (0.0, True), (0.9, False)))],
)
def test_a_checkpoint_has_every_slot(tmp_path, ema_momentum, float16):
    options = {"ema_momentum": ema_momentum, "float16": float16, "learning_rate_multipliers": {"segment_encoder": 0.5}}
    model, optimizer = start(CONTEXT, **options)
    for seed in range(2):
        step(model, optimizer, seed)
    saved = checkpoints.Checkpoints(str(tmp_path), model, optimizer)
    saved.step.assign(2)
    saved.save()
    other, fresh = start(CONTEXT, **options)  # built in the same process: its names must not count on
    assert [w.path for w in fresh.variables] == [w.path for w in optimizer.variables]
    checkpoints.Checkpoints(str(tmp_path / "other"), other, fresh).resume(checkpoints.latest(str(tmp_path)))
    for w, restored in zip([*model.weights, *optimizer.variables], [*other.weights, *fresh.variables]):
        np.testing.assert_array_equal(w.numpy(), restored.numpy(), err_msg=w.path)
    loaded, _ = start(CONTEXT)
    checkpoints.load_weights(loaded, checkpoints.latest(str(tmp_path)))
    with averages.averaged_weights(model, optimizer):
        for w, value in zip(loaded.get_weights(), model.get_weights()):
            np.testing.assert_array_equal(w, value)
    assert all(np.array_equal(a, b) for a, b in zip(loaded.get_weights(), model.get_weights())) == (not ema_momentum)


def test_the_next_stage_begins_with_the_averages(tmp_path):
    model, optimizer = start(CONTEXT, ema_momentum=0.9)
    for seed in range(2):
        step(model, optimizer, seed)
    (tmp_path / "model_flags.json").write_text("{}")
    first = checkpoints.Checkpoints(str(tmp_path), model, optimizer)
    first.save()
    other, fresh = start(CONTEXT)
    checkpoints.Checkpoints(str(tmp_path), other, fresh).begin_stage(checkpoints.latest(str(tmp_path)), "finetune")
    kept, _ = start(CONTEXT)
    checkpoints.load_weights(kept, str(tmp_path / "pretrain" / "model.ckpt-0"))
    with averages.averaged_weights(model, optimizer):
        for w, value, again in zip(other.get_weights(), model.get_weights(), kept.get_weights()):
            np.testing.assert_array_equal(w, value)
            np.testing.assert_array_equal(again, value)


def test_going_on_with_another_optimizer_is_refused(tmp_path):
    model, optimizer = start(CONTEXT)
    step(model, optimizer, 0)
    checkpoints.Checkpoints(str(tmp_path), model, optimizer).save()
    other, fresh = start(CONTEXT, ema_momentum=0.9)
    with pytest.raises(ValueError, match="another --optimizer"):
        checkpoints.Checkpoints(str(tmp_path), other, fresh).resume(checkpoints.latest(str(tmp_path)))
