"""BiGruModel and TransformerModel: what they say of each segment, and of videos of any length."""

import keras
import numpy as np
import pytest

from tests import harness
from tests.layers.test_segment_mean import loop
from tests.layers.test_transformer_block import block
from tests.models.test_recurrent_models import features, gru, sigmoid
from yt8m import models
from yt8m.errors import UserError

CASES = [
    ("BiGruModel", {"units": 4}),
    ("TransformerModel", {}),
    ("TransformerModel", {"fusion": "late", "position": "learned", "num_heads": 2}),
]
each = pytest.mark.parametrize("name, options", CASES)


def build(name, **options):
    model = models.build_model(name, harness.CLASSES, harness.SIZES, **options)
    harness.randomise(model)
    return model


def classify(model, vectors):
    """The head, a logistic regression, on segment vectors."""
    head = model.get_layer("head")
    return sigmoid(vectors @ np.array(head.dense.kernel) + np.array(head.dense.bias))


def bi_gru(model, x):
    ahead, back = x, x[::-1]
    for index in range(2):
        ahead = gru(model.get_layer(f"forward_{index}"), ahead)
        back = gru(model.get_layer(f"backward_{index}"), back)
    return np.concatenate([ahead, back[::-1]], axis=1)


def transformer(model, x):
    for index in range(2):
        x = block(model.get_layer(f"block_0_{index}"), x)
    return x


@pytest.mark.parametrize(
    "name, options, encode",
    [
        ("BiGruModel", {"units": 4}, bi_gru),
        ("BiGruModel", {"units": 4, "reset_after": True}, bi_gru),
        ("TransformerModel", {}, transformer),
    ],
)
def test_segments_are_means_of_encoded_frames(name, options, encode):
    model = build(name, **options)
    batch = harness.frames_batch((12, 7, 1))
    probabilities = np.array(model.segment_probabilities(batch))
    assert probabilities.shape == (3, 3, harness.CLASSES)
    for row, x in enumerate(features(batch)):
        vectors = loop(encode(model, x)[None], [len(x)])[0][0]
        np.testing.assert_allclose(probabilities[row, : len(vectors)], classify(model, vectors), atol=1e-4)
        np.testing.assert_allclose(harness.predict(model, batch)[row], classify(model, vectors).mean(axis=0), atol=1e-4)
        np.testing.assert_allclose(np.array(model.embed(batch))[row], vectors.mean(axis=0), atol=1e-4)


def test_late_fusion_encodes_each_feature_on_its_own():
    model = build("TransformerModel", fusion="late")
    batch = harness.frames_batch((12,))
    x = features(batch)[0]
    parts = np.split(x, [harness.SIZES[0]], axis=1)
    for index, part in enumerate(parts):
        for number in range(2):
            parts[index] = part = block(model.get_layer(f"block_{index}_{number}"), part)
    vectors = loop(np.concatenate(parts, axis=1)[None], [12])[0][0]
    np.testing.assert_allclose(np.array(model.segment_probabilities(batch))[0], classify(model, vectors), atol=1e-4)


@each
@pytest.mark.parametrize("length", [1, 5, 7, 23])
def test_segments_past_the_end_are_zero_and_the_video_is_the_mean_of_the_others(name, options, length):
    model = build(name, **options)
    num_frames = np.array([length, max(1, length - 3), 0])
    batch = harness.frames_batch(num_frames, length)
    probabilities = np.array(model.segment_probabilities(batch))
    assert probabilities.shape == (3, -(-length // 5), harness.CLASSES)
    assert np.isfinite(probabilities).all()
    predictions = harness.predict(model, batch)
    for row, n in enumerate(num_frames):
        real = -(-n // 5)
        assert (probabilities[row, :real] > 0).all()
        assert not probabilities[row, real:].any()
        np.testing.assert_allclose(predictions[row], probabilities[row, :real].mean(axis=0) if n else 0, atol=1e-6)


@each
def test_padding_changes_no_segment(name, options):
    model = build(name, **options)
    batch = harness.frames_batch((12, 7, 1))
    longer = np.array(model.segment_probabilities(harness.pad_frames(batch, extra=17, fill=200)))
    np.testing.assert_allclose(longer[:, :3], model.segment_probabilities(batch), atol=1e-5)
    assert not longer[:, 3:].any()


def test_a_segment_sees_the_whole_video():
    for name, options in CASES:
        model = build(name, **options)
        batch = harness.frames_batch((12,))
        changed = {**batch, "frames": batch["frames"].copy()}
        changed["frames"][0, 7] ^= 255
        difference = np.array(model.segment_probabilities(changed)) - np.array(model.segment_probabilities(batch))
        assert (np.abs(difference).max(axis=2) > 1e-5).all()


def test_without_positions_the_order_of_segments_does_not_matter():
    batch = harness.frames_batch((10,), length=10)
    turned = {**batch, "frames": batch["frames"][:, ::-1].copy()}
    model = build("TransformerModel")
    probabilities = np.array(model.segment_probabilities(batch))
    np.testing.assert_allclose(np.array(model.segment_probabilities(turned))[:, ::-1], probabilities, atol=1e-5)
    for position in ("sinusoidal", "learned"):
        model = build("TransformerModel", position=position)
        probabilities = np.array(model.segment_probabilities(batch))
        assert np.abs(np.array(model.segment_probabilities(turned))[:, ::-1] - probabilities).max() > 1e-4


@each
def test_segments_train_every_weight(name, options):
    """Eq. 17's loss is on the segments: its gradient reaches all that the video's reaches."""
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradient tape")
    model = build(name, **options)
    batch = harness.frames_batch((12, 7))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.segment_probabilities(batch, training=True)[:, 0, 0])
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    assert all(gradient is not None and np.isfinite(np.array(tf.convert_to_tensor(gradient))).all() for gradient in gradients)


def test_other_segment_sizes_and_heads():
    model = build("TransformerModel", segment_size=4, video_level_classifier_model="MoeModel", probability_gating=True)
    assert np.array(model.segment_probabilities(harness.frames_batch((12, 7)))).shape == (2, 3, harness.CLASSES)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fusion": "middle"}, "fusion='middle': use one of early, late"),
        ({"num_blocks": 0}, "num_blocks=0: use at least 1"),
        ({"position": "rotary"}, "position='rotary': use one of sinusoidal, learned"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build("TransformerModel", **options)
