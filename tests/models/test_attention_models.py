"""AttentionModel, MultiAttentionModel and FrameLevelLogisticModel beyond what holds of every model."""

import numpy as np
import pytest

from tests import harness
from yt8m import models
from yt8m.base_model import model_inputs
from yt8m.errors import UserError

SMALL = {"hidden_size": 10, "reduced_sizes": (6, 4), "attention_sizes": (4, 3)}


def build(name, **options):
    model = models.build_model(name, harness.CLASSES, harness.SIZES, **{**SMALL, **options})
    harness.randomise(model)
    return model


@pytest.mark.parametrize("attention", ["softmax", "sparsemax"])
def test_attention_covers_the_real_frames(attention):
    model = build("MultiAttentionModel", num_sets=3, attention=attention, num_samples=4)
    batch = harness.frames_batch((12, 5, 1))
    weights = np.array(model.attention({**batch, "ids": np.array(["a", "b", "c"])}))
    assert weights.shape == (3, 12, 2, 3) and weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert not weights[1, 5:].any() and not weights[2, 1:].any()


def test_prediction_is_the_maximum_over_the_sets():
    """A model of one set, given each set's kernels in turn, predicts what the sets of the larger one do."""
    many, one = build("MultiAttentionModel", num_sets=3), build("AttentionModel")
    batch = harness.frames_batch()
    predictions, embeddings = [], []
    for m in range(3):
        one.set_weights([w[..., m : m + 1] if tuple(v.shape) != w.shape else w for w, v in zip(many.get_weights(), one.weights)])
        predictions.append(harness.predict(one, batch))
        embeddings.append(np.array(one.embed(batch)))
    np.testing.assert_allclose(harness.predict(many, batch), np.max(predictions, axis=0), atol=1e-5)
    np.testing.assert_allclose(many.embed(batch), np.concatenate(embeddings, axis=1), atol=1e-4)


def test_frames_order_does_not_matter():
    model = build("AttentionModel")
    batch = harness.frames_batch((12, 12, 12))
    backwards = {**batch, "frames": batch["frames"][:, ::-1]}
    np.testing.assert_allclose(harness.predict(model, backwards), harness.predict(model, batch), atol=1e-5)


def test_sampling_and_noise_only_in_training():
    model = build("AttentionModel", num_samples=3, skip_head=1, skip_tail=1, noise=0.1)
    batch = harness.frames_batch()
    np.testing.assert_array_equal(harness.predict(model, batch), harness.predict(model, batch))
    first, second = (np.array(model.embed(batch, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3


def test_the_ends_of_a_long_video_have_no_weight():
    """Default ends, 15 and 15: what lies there changes nothing, and the weights are at the frames' own places."""
    model = build("MultiAttentionModel", num_sets=2)
    batch = harness.frames_batch((40, 31, 30, 5), length=45)
    weights = np.array(model.attention(batch))
    assert weights.shape == (4, 45, 2, 2)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    seen = [list(np.flatnonzero(row.any(axis=(1, 2)))) for row in weights]
    assert seen == [list(range(15, 25)), [15], list(range(30)), list(range(5))]
    changed = {**batch, "frames": batch["frames"].copy()}
    changed["frames"][0, :15] += 100
    changed["frames"][0, 25:40] += 100
    np.testing.assert_array_equal(harness.predict(model, changed)[0], harness.predict(model, batch)[0])
    middle = {"frames": batch["frames"][:1, 15:25], "num_frames": np.array([10])}
    np.testing.assert_allclose(harness.predict(model, middle)[0], harness.predict(model, batch)[0], atol=1e-6)
    np.testing.assert_allclose(np.array(model.attention(middle))[0], weights[0, 15:25], atol=1e-6)


def test_sets_are_asked_of_all_frames():
    """As start-time supervision needs it: a rated segment may lie at an end."""
    model, whole = build("MultiAttentionModel", num_sets=2), build("MultiAttentionModel", num_sets=2, sampling="none")
    batch = harness.frames_batch((40, 5), length=40)
    probabilities, weights = model.set_probabilities({**batch, "ids": None})
    np.testing.assert_allclose(np.max(probabilities, axis=1), harness.predict(whole, batch), atol=1e-6)
    np.testing.assert_allclose(weights, whole.attention(batch), atol=1e-6)


def test_the_embedding_is_what_the_head_sees():
    model = build("MultiAttentionModel", num_sets=2)
    batch = harness.frames_batch()
    embedding = np.array(model.embed(batch)).reshape(3, 2, 10)
    of_each_set = np.array(model.get_layer("head")(embedding))
    np.testing.assert_allclose(of_each_set.max(axis=1), harness.predict(model, batch), atol=1e-6)


def test_frame_level_logistic_is_the_mean_of_normalised_real_frames():
    model = models.build_model("FrameLevelLogisticModel", harness.CLASSES, harness.SIZES)
    harness.randomise(model)
    batch = harness.frames_batch((12, 5, 0))
    kernel, bias = model.get_weights()
    predictions = harness.predict(model, batch)
    for row, n in enumerate((12, 5, 0)):
        x = batch["frames"][row, :n].astype("float64") * 4 / 255 - 2 + 4 / 512
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        mean = x.mean(axis=0) if n else np.zeros(harness.D)
        np.testing.assert_allclose(predictions[row], 1 / (1 + np.exp(-(mean @ kernel + bias))), atol=1e-5)
    np.testing.assert_allclose(np.array(model.embed(batch))[2], 0)


def test_video_level_features_are_normalised_unless_told_otherwise():
    batch = {"features": harness.random_floats(3, harness.D)}
    tripled = {"features": 3 * batch["features"]}
    for normalize in (True, False):
        model = models.build_model("MoeModel", harness.CLASSES, harness.SIZES, normalize=normalize)
        same = np.allclose(harness.predict(model, batch), harness.predict(model, tripled), atol=1e-6)
        assert same is normalize


def test_errors_of_the_common_part():
    model = models.build_model("LogisticModel", harness.CLASSES, harness.SIZES)
    with pytest.raises(UserError, match="takes features and the batch has no features"):
        model_inputs(model, harness.frames_batch())
    with pytest.raises(UserError, match="LogisticModel has no attention"):
        model.attention({"features": harness.random_floats(3, harness.D)})
