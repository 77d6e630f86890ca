"""CnnModel and CnnLstmModel against loops, beyond what holds of every model."""

import numpy as np
import pytest

from tests import harness
from tests.models.test_recurrent_models import features, lstm
from yt8m import models
from yt8m.errors import UserError

SMALL = {"num_filters": (4, 3, 5)}
WIDTHS = (1, 2, 3)


def build(name, **options):
    model = models.build_model(name, harness.CLASSES, harness.SIZES, **{**SMALL, **options})
    harness.randomise(model)
    return model


def convolve(model, x, widths=WIDTHS):
    """Each width's filters on the frames x [n, D] of one video: this frame and those before it, zeros before the first."""
    outputs = []
    for index, width in enumerate(widths):
        kernel = np.array(model.get_layer(f"convolution_{index}").kernel).reshape(width, x.shape[1], -1)
        one = np.zeros((len(x), kernel.shape[2]))
        for t in range(len(x)):
            for back in range(width):
                if t - back >= 0:
                    one[t] += x[t - back] @ kernel[back]
        outputs.append(one)
    return np.concatenate(outputs, axis=1)


@pytest.mark.parametrize("widths", [WIDTHS, (2, 4, 1)])
def test_cnn_is_the_largest_of_the_causal_convolutions(widths):
    model = build("CnnModel", widths=widths)
    batch = harness.frames_batch((12, 5, 1))
    embedding = np.array(model.embed(batch))
    for row, x in enumerate(features(batch)):
        pooled = convolve(model, x, widths).max(axis=0)
        np.testing.assert_allclose(embedding[row], pooled / np.linalg.norm(pooled), atol=1e-5)


def test_cnn_lstm_ends_in_the_memories():
    model = build("CnnLstmModel", units=4, num_layers=2)
    batch = harness.frames_batch((12, 5, 1))
    embedding = np.array(model.embed(batch))
    for row, x in enumerate(features(batch)):
        x = convolve(model, x)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        first, _, memory = lstm(model.get_layer("lstm_0"), x)
        _, _, other = lstm(model.get_layer("lstm_1"), first)
        np.testing.assert_allclose(embedding[row], np.concatenate([memory, other]), atol=1e-5)


@pytest.mark.parametrize("name, options", [("CnnModel", {}), ("CnnLstmModel", {"units": 4})])
def test_a_video_without_frames_is_finite(name, options):
    assert np.isfinite(harness.predict(build(name, **options), harness.frames_batch((0, 3)))).all()


@pytest.mark.parametrize("name, options", [("CnnModel", {}), ("CnnLstmModel", {"units": 4})])
def test_the_order_of_frames_matters(name, options):
    model = build(name, **options)
    batch = harness.frames_batch((12, 12))
    backwards = {**batch, "frames": batch["frames"][:, ::-1].copy()}
    assert np.abs(np.array(model.embed(batch)) - np.array(model.embed(backwards))).max() > 1e-3


def test_training_sees_every_fifth_frame():
    model = build("CnnModel", skip_head=2, skip_tail=1)
    batch = harness.frames_batch((16,), length=16)
    sampled = {"frames": batch["frames"][:, [2, 7, 12]], "num_frames": np.array([3], "int32")}
    np.testing.assert_allclose(model.embed(batch, training=True), model.embed(sampled), atol=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"widths": (1, 2)}, "a positive number of filters for each positive width"),
        ({"widths": (1, 2, 0)}, "a positive number of filters for each positive width"),
        ({"sampling": "some"}, "sampling='some'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build("CnnModel", **options)
