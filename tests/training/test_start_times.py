"""The start-time loss against a slow NumPy version, its gradients, and what training on it does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from yt8m import models
from yt8m.errors import UserError
from yt8m.training.start_times import start_time_loss

SMALL = {"hidden_size": 10, "reduced_sizes": (6, 4), "attention_sizes": (4, 3)}
T = 23


def build(name="MultiAttentionModel", **options):
    model = models.build_model(name, harness.CLASSES, harness.SIZES, **{**SMALL, "num_samples": 4, **options})
    harness.randomise(model)
    return model


def rated_batch():
    """Four videos, the third of which nobody rated; one segment runs past its video's end, one past the batch's."""
    rng = np.random.default_rng(6)
    rows, starts = np.array([0, 0, 0, 1, 3, 3], "int32"), np.array([0, 10, 20, 5, 0, 15], "int32")
    weights = np.zeros((6, harness.CLASSES), "float32")
    weights[[0, 0, 1, 2, 3, 4, 5, 5], [1, 4, 1, 6, 2, 0, 0, 3]] = [1, 1, 1, 0.5, 1, 1, 2, 1]
    labels = np.where(weights > 0, rng.integers(0, 2, weights.shape), 0).astype("float32")
    labels[0, 4], labels[1, 1], labels[5, 3] = 0, 1, 0.25
    batch = {f"context_{name}": value for name, value in harness.frames_batch((T, 12, 9, 20), T).items()}
    batch |= {"segment_rows": rows, "start_times": starts}
    return {key: tf.constant(value) for key, value in {**batch, "labels": labels, "label_weights": weights}.items()}


def videos_of(batch):
    """The videos of a batch, as the model takes them."""
    return {name: batch[f"context_{name}"] for name in ("frames", "num_frames")}


def by_hand(probabilities, attention, batch, size=5, epsilon=1e-6):
    batch = {key: value.numpy() for key, value in batch.items()}
    losses, inside, outside = np.zeros(len(batch["context_num_frames"])), [], []
    for video in range(len(losses)):
        total = weight = 0
        for n in np.flatnonzero(batch["segment_rows"] == video):
            for c in np.flatnonzero(batch["label_weights"][n]):
                m = np.argmax(probabilities[video, :, c])
                start = batch["start_times"][n]
                mass = np.mean([attention[video, start : start + size, feature, m].sum() for feature in range(2)])
                y, w = batch["labels"][n, c], batch["label_weights"][n, c]
                total -= w * (y * np.log(max(mass, epsilon)) + (1 - y) * np.log(max(1 - mass, epsilon)))
                weight += w
                (inside if y > 0.5 else outside).append(mass)
        losses[video] = total / weight if weight else 0
    return losses, np.mean(inside), np.mean(outside)


@pytest.mark.parametrize("attention", ["softmax", "sparsemax"])
@pytest.mark.parametrize("name, sets", [("AttentionModel", 1), ("MultiAttentionModel", 4)])
def test_the_loss_is_that_of_the_formula(name, sets, attention):
    model, batch = build(name, num_sets=sets, attention=attention), rated_batch()
    probabilities, weights = (x.numpy() for x in model.set_probabilities(videos_of(batch)))
    if sets > 1:
        assert len(np.unique(probabilities.argmax(axis=1))) > 1
    losses, inside, outside = start_time_loss(model, batch)
    expected = by_hand(probabilities, weights, batch)
    np.testing.assert_allclose(losses, expected[0], rtol=1e-4)
    np.testing.assert_allclose([inside, outside], expected[1:], rtol=1e-4)
    assert losses.dtype == tf.float32 and losses[2] == 0
    other = start_time_loss(model, batch, segment_size=3, epsilon=0.2)[0]
    np.testing.assert_allclose(other, by_hand(probabilities, weights, batch, 3, 0.2)[0], rtol=1e-4)


@pytest.mark.parametrize("sets", [1, 3])
def test_set_probabilities_are_the_predictions_before_the_maximum(sets):
    model, batch = build(num_sets=sets, noise=0.5), rated_batch()
    probabilities, attention = model.set_probabilities(videos_of(batch))
    assert probabilities.shape == (4, sets, harness.CLASSES)
    frames = videos_of(batch)
    np.testing.assert_allclose(np.max(probabilities, axis=1), harness.predict(model, frames), atol=1e-6)
    np.testing.assert_allclose(attention, model.attention(frames), atol=1e-6)


def slopes(model, batch):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(start_time_loss(model, batch)[0])
    variables = model.trainable_variables
    return loss, {v.path: g for v, g in zip(variables, tape.gradient(loss, [v.value for v in variables]))}


@pytest.mark.parametrize("attention", ["softmax", "sparsemax"])
def test_gradients_reach_the_attention_and_nothing_behind_it(attention):
    loss, gradients = slopes(build(attention=attention), rated_batch())
    assert np.isfinite(loss)
    for kernel in ("value_kernel", "gate_kernel", "score_kernel"):
        for index in range(2):
            (path,) = (path for path in gradients if path.endswith(f"pooling_{index}/{kernel}"))
            assert np.isfinite(gradients[path]).all() and np.abs(gradients[path]).max() > 1e-6
    for path, gradient in gradients.items():
        assert gradient is None or np.isfinite(gradient).all()
        if "head" in path or "hidden" in path:
            assert gradient is None or not np.any(gradient)


@pytest.mark.parametrize("scale", [1e3, -1e3])
def test_attention_on_single_frames_gives_finite_gradients(scale):
    """Scores so large that segments get all of the attention, or none."""
    model, batch = build("AttentionModel", attention="sparsemax"), rated_batch()
    for variable in model.trainable_variables:
        if "score_kernel" in variable.path:
            variable.assign(variable * scale)
    masses = model.attention(videos_of(batch)).numpy()
    assert ((masses > 0).sum(axis=1) <= 2).all()
    loss, gradients = slopes(model, batch)
    assert np.isfinite(loss) and all(g is None or np.isfinite(g).all() for g in gradients.values())


def test_a_batch_without_ratings():
    batch = rated_batch()
    losses, inside, outside = start_time_loss(build(), {**batch, "label_weights": tf.zeros_like(batch["label_weights"])})
    assert not losses.numpy().any() and inside == outside == 0


def test_batch_norms_are_left_alone_and_every_frame_is_seen_at_its_place():
    model, batch = build(noise=0.5), rated_batch()
    before = [v.numpy() for v in model.non_trainable_variables]
    first, second = (start_time_loss(model, batch)[0].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for value, variable in zip(before, model.non_trainable_variables):
        np.testing.assert_array_equal(value, variable)


def test_compiled_with_xla_it_is_the_same():
    model, batch = build(), rated_batch()
    compiled = tf.function(lambda batch: start_time_loss(model, batch), jit_compile=True)
    for value, other in zip(compiled(batch), start_time_loss(model, batch)):
        np.testing.assert_allclose(value, other, rtol=1e-4)


def test_training_on_it_alone_moves_the_attention_into_the_positives():
    keras.utils.set_random_seed(1)
    model = models.build_model("AttentionModel", harness.CLASSES, harness.SIZES, **SMALL)
    rng = np.random.default_rng(0)
    frames, shown = rng.integers(0, 256, (8, 20, harness.D)), rng.integers(0, 4, 8)
    rows, starts = np.repeat(np.arange(8), 2), np.stack([5 * shown, 5 * ((shown + 1) % 4)], axis=1).ravel()
    for row, segment in enumerate(shown):
        frames[row, 5 * segment : 5 * segment + 5, :8] = 250
    pairs = np.zeros((16, harness.CLASSES), "float32")
    pairs[:, 2] = 1
    batch = {"context_frames": frames.astype("uint8"), "context_num_frames": np.full(8, 20, "int32")}
    batch |= {"segment_rows": rows.astype("int32")}
    batch |= {"start_times": starts.astype("int32"), "labels": pairs * (np.arange(16) % 2 == 0)[:, None], "label_weights": pairs}
    batch = {key: tf.constant(value, value.dtype if value.dtype != "float64" else "float32") for key, value in batch.items()}
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            losses, inside, outside = start_time_loss(model, batch)
            loss = tf.reduce_mean(losses)
        values = [v.value for v in model.trainable_variables]
        optimizer.apply(tape.gradient(loss, values, unconnected_gradients="zero"), model.trainable_variables)
        return inside, outside

    first = step()
    for _ in range(80):
        last = step()
    assert first[0] < 0.5 and last[0] > 0.9 and last[1] < 0.05


def test_what_it_is_not_for():
    model = models.build_model("FrameLevelLogisticModel", harness.CLASSES, harness.SIZES)
    with pytest.raises(UserError, match="FrameLevelLogisticModel has no sets of attention"):
        start_time_loss(model, rated_batch())
    with pytest.raises(UserError, match="no segment_rows"):
        start_time_loss(build(), {key: value for key, value in rated_batch().items() if key != "segment_rows"})
