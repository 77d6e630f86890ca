"""LstmModel and GruModel against the cells' equations, frame by frame."""

import numpy as np
import pytest

from tests import harness
from yt8m import models
from yt8m.errors import UserError

UNITS = 4


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def features(batch):
    """The real frames of each video as the models see them: dequantised and L2-normalised, a list of [n, D]."""
    videos = []
    for frames, n in zip(batch["frames"], batch["num_frames"]):
        x = frames[:n] * (4 / 255) - 2 + 4 / 512
        videos.append(x / np.linalg.norm(x, axis=1, keepdims=True))
    return videos


def lstm(layer, x):
    """Outputs [n, units], last output and last memory for one video x [n, D]."""
    kernel, recurrent, bias = (np.array(w) for w in layer.weights)
    h = c = np.zeros(recurrent.shape[0])
    outputs = []
    for frame in x:
        i, f, g, o = np.split(frame @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), h, c


def gru(layer, x):
    """Outputs [n, units] for one video x [n, D]: eq. 8-10 of paper 004, or cuDNN's form of eq. 8."""
    kernel, recurrent, bias = (np.array(w) for w in layer.weights)
    (wz, wr, wh), (uz, ur, uh) = np.split(kernel, 3, axis=1), np.split(recurrent, 3, axis=1)
    bias, recurrent_bias = bias if layer.reset_after else (bias, np.zeros_like(bias))
    (bz, br, bh), (cz, cr, ch) = np.split(bias, 3), np.split(recurrent_bias, 3)
    h, outputs = np.zeros(recurrent.shape[0]), []
    for frame in x:
        keep = sigmoid(frame @ wz + h @ uz + bz + cz)
        reset = sigmoid(frame @ wr + h @ ur + br + cr)
        inner = reset * (h @ uh + ch) if layer.reset_after else (reset * h) @ uh
        h = keep * h + (1 - keep) * np.tanh(frame @ wh + inner + bh)
        outputs.append(h)
    return np.array(outputs)


def build(name, **options):
    model = models.build_model(name, harness.CLASSES, harness.SIZES, **{"units": UNITS, **options})
    harness.randomise(model)
    return model


def test_lstm_ends_at_the_last_real_frame():
    model = build("LstmModel")
    batch = harness.frames_batch((12, 5, 1))
    embedding = np.array(model.embed(batch))
    for row, x in enumerate(features(batch)):
        outputs, _, _ = lstm(model.get_layer("lstm_0"), x)
        _, last, _ = lstm(model.get_layer("lstm_1"), outputs)
        np.testing.assert_allclose(embedding[row], last, atol=1e-5)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_ends_at_the_last_real_frame(reset_after):
    model = build("GruModel", reset_after=reset_after, num_layers=3)
    batch = harness.frames_batch((12, 5, 1))
    embedding = np.array(model.embed(batch))
    for row, x in enumerate(features(batch)):
        for layer in ("gru_0", "gru_1", "gru_2"):
            x = gru(model.get_layer(layer), x)
        np.testing.assert_allclose(embedding[row], x[-1], atol=1e-5)


def test_the_forget_bias_starts_at_one():
    model = models.build_model("LstmModel", harness.CLASSES, harness.SIZES, units=UNITS)
    for layer in ("lstm_0", "lstm_1"):
        np.testing.assert_array_equal(model.get_layer(layer).cell.bias, [0] * UNITS + [1] * UNITS + [0] * 2 * UNITS)


@pytest.mark.parametrize("name", ["LstmModel", "GruModel"])
def test_a_video_without_frames_is_finite(name):
    assert np.isfinite(harness.predict(build(name), harness.frames_batch((0, 3)))).all()


def test_the_starters_flags():
    model = models.build_model("LstmModel", 7, harness.SIZES, lstm_cells=3, lstm_layers=1)
    assert (model.units, model.num_layers) == (3, 1)
    model = models.build_model("GruModel", 7, harness.SIZES, gru_cells=3, gru_layers=1)
    assert (model.units, model.num_layers) == (3, 1)


@pytest.mark.parametrize("argument", ["units", "num_layers"])
def test_bad_sizes(argument):
    with pytest.raises(UserError, match=f"{argument}=0: use at least 1"):
        build("GruModel", **{argument: 0})
