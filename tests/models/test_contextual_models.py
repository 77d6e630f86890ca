"""ContextAwareModel and JointContextModel: the equations, the frozen context, and the context encoded once a video."""

import keras
import numpy as np
import pytest

from tests import harness
from tests.models.test_recurrent_models import sigmoid
from yt8m import models
from yt8m.base_model import model_inputs
from yt8m.errors import UserError

ENCODERS = {
    "context_model": "GatedDbofModel",
    "segment_model": "NeXtVladModel",
    "context_options": {"cluster_size": 20, "hidden_size": 12},
    "segment_options": {"cluster_size": 4, "groups": 4, "hidden_size": 11},
}
CASES = [
    ("ContextAwareModel", {}),
    ("ContextAwareModel", {"context_model": "AttentionModel", "context_options": {"hidden_size": 9}, "segment_layer": None}),
    ("ContextAwareModel", {"context_model": "BiGruModel", "context_options": {"units": 3}}),
    ("JointContextModel", {}),
    ("JointContextModel", {"share_segment_encoder": True}),
]
each = pytest.mark.parametrize("name, options", CASES)


def build(name, **options):
    model = models.build_model(name, harness.CLASSES, harness.SIZES, **{**ENCODERS, "hidden_size": 10, **options})
    harness.randomise(model)
    return model


def encoders(**options):
    """Pre-trained models of ENCODERS."""
    built = []
    for seed, part in enumerate(("context", "segment")):
        chosen = {**ENCODERS, **options}
        built.append(models.build_model(chosen[f"{part}_model"], harness.CLASSES, harness.SIZES, **chosen[f"{part}_options"]))
        harness.randomise(built[-1], seed)
    return built


def video_of(batch):
    """The batch of the context encoder, from a context model's."""
    return {k.removeprefix("context_"): v for k, v in batch.items() if k.startswith("context_")}


def dense(layer, x):
    return x @ np.array(layer.kernel) + np.array(layer.bias)


def normed(layer, x):
    gamma, beta, mean, variance = (np.array(w) for w in layer.weights)
    return (x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta


DBOF = {"segment_model": "GatedDbofModel", "segment_options": {"cluster_size": 9, "hidden_size": 11}}
VECTORS = [
    ({}, "before the ReLU"),  # the authors' of a NeXtVLAD
    (DBOF, "gated"),  # the authors' of a DBoF
    ({"segment_layer": "hidden", "segment_activation": True}, "after the ReLU"),
    ({"segment_layer": None}, "gated"),
    ({**DBOF, "segment_layer": "hidden"}, "before the ReLU"),
    ({**DBOF, "segment_layer": "hidden", "segment_activation": True}, "after the ReLU"),
]


def segment_vector(segment, batch, kind):
    """What a pre-trained segment encoder says of the batch's segments."""
    if kind == "gated":
        return np.array(segment.embed(batch))
    hidden = segment.get_layer("hidden")
    linear = np.array(keras.Model(segment.input, hidden.input)(model_inputs(segment, batch))) @ np.array(hidden.kernel)
    linear = linear + np.array(hidden.bias) if hidden.use_bias else linear
    return linear if kind == "before the ReLU" else np.maximum(linear, 0)


@pytest.mark.parametrize("options, kind", VECTORS)
def test_context_aware_is_figure_8(options, kind):
    model, (video, segment) = build("ContextAwareModel", **options), encoders(**options)
    model.load_encoders(context=video, segment=segment)
    batch = harness.batch_for(model)
    vector = segment_vector(segment, batch, kind)
    assert ((vector < 0).any(), (vector == 0).any()) == {
        "before the ReLU": (True, False), "after the ReLU": (False, True), "gated": (False, True)
    }[kind]  # fmt: skip
    x = np.concatenate([np.array(video.embed(video_of(batch))), np.array(vector)], axis=1)
    x = np.maximum(dense(model.get_layer("hidden"), normed(model.get_layer("joined_norm"), x)), 0)
    gating, head = model.get_layer("hidden_gating"), model.get_layer("head")
    squeezed = np.maximum(dense(gating.reduce, normed(gating.input_norm, x)), 0)
    x = x * sigmoid(dense(gating.expand, normed(gating.hidden_norm, squeezed)))
    np.testing.assert_allclose(model.embed(batch), x, atol=1e-4)
    gates = np.exp(dense(head.gates, normed(head.gate_norm, x)))
    gates = gates / gates.sum(axis=1, keepdims=True)
    experts = dense(head.experts, normed(head.expert_norm, x)).reshape(3, harness.CLASSES, 2)
    expected = sigmoid((experts * gates[:, None, :2]).sum(axis=2))
    np.testing.assert_allclose(harness.predict(model, batch), expected, atol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_joint_is_the_mean_of_both_classifiers(shared):
    model, (video, segment) = build("JointContextModel", share_segment_encoder=shared), encoders()
    model.load_encoders(context=video, segment=segment)
    batch = harness.batch_for(model)
    ignoring = harness.predict(segment, {k: batch[k] for k in ("frames", "num_frames")})
    x = np.concatenate([np.array(video.embed(video_of(batch))), np.array(segment.embed(batch))], axis=1)
    x = np.maximum(normed(model.get_layer("hidden_norm"), dense(model.get_layer("hidden"), x)), 0)
    np.testing.assert_allclose(model.embed(batch), np.concatenate([x, segment.embed(batch)], axis=1), atol=1e-4)
    aware = np.array(model.get_layer("head")(x.astype("float32")))
    np.testing.assert_allclose(harness.predict(model, batch), (aware + ignoring) / 2, atol=1e-4)


@each
def test_a_context_encoded_once_gives_the_full_call(name, options):
    model = build(name, **options)
    frames = harness.frames_batch((12, 9), size=harness.D)
    context = model.encode_context({"context_frames": frames["frames"], "context_num_frames": frames["num_frames"], "ids": None})
    assert context.shape[0] == 2 and len(context.shape) == 2
    rows = np.array([0, 0, 1, 0, 1])
    segments = harness.frames_batch((5, 4, 5, 1, 5), length=5)
    scores = np.array(model.predict_segments(np.array(context)[rows], **segments))
    full = {"context_frames": frames["frames"][rows], "context_num_frames": frames["num_frames"][rows], **segments}
    np.testing.assert_allclose(scores, harness.predict(model, full), atol=1e-5)


@each
def test_training_leaves_the_context_encoder_as_it_is(name, options):
    model = build(name, **options)
    batch = harness.batch_for(model)
    frozen = model.get_layer("context_encoder")
    assert frozen.trainable_weights == [] and frozen.weights
    before = {w.path: np.array(w) for w in model.weights}
    labels = np.eye(harness.CLASSES, dtype="float32")[:3]
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1), loss="binary_crossentropy", run_eagerly=True)
    model.train_on_batch(batch, labels)
    changed = {w.path for w in model.weights if not np.array_equal(np.array(w), before[w.path])}
    assert changed and not any(path.startswith("context_encoder/") for path in changed)
    trained = {w.path for w in model.trainable_weights}
    assert trained <= changed | {path for path in trained if path.startswith("segment_encoder/")}
    assert any(path.startswith("segment_encoder/") for path in changed)


@each
def test_the_context_is_in_inference_mode_while_training(name, options):
    """Dropout, batch statistics and sampling of the encoder: none of them in a training step."""
    model = build(name, **options)
    batch = harness.batch_for(model)
    frozen = model.get_layer("context_encoder")
    inputs = (batch["context_frames"], batch["context_num_frames"])
    np.testing.assert_array_equal(frozen(*inputs, training=True), model.encode_context(batch))


@pytest.mark.parametrize("name, options", [CASES[0], *CASES[3:]])
def test_paths_tell_the_parts_apart(name, options):
    model = build(name, **options)
    paths = [w.path for w in model.weights]
    assert len(set(paths)) == len(paths)
    parts = {path.split("/")[0] for path in paths}
    assert {"context_encoder", "segment_encoder", "hidden", "head"} <= parts
    assert ("context_ignoring" in parts) == (name == "JointContextModel" and not options)
    slow = {prefix for prefix in model.LEARNING_RATE_MULTIPLIERS if any(path.startswith(f"{prefix}/") for path in paths)}
    assert {prefix for prefix in slow if "/" not in prefix} == parts & {"segment_encoder", "context_ignoring"}


@pytest.mark.parametrize("sampling, differs", [("without_replacement", True), ("none", False)])
def test_the_context_is_sampled_in_training_only(sampling, differs):
    segment_options = {**ENCODERS["segment_options"], "sampling": "none", "cluster_dropout": 0.0}
    options = {"segment_options": segment_options, "dropout": 0.0, "context_sampling": sampling, "context_num_samples": 3}
    model = build("ContextAwareModel", **options)
    batch = harness.batch_for(model)
    np.testing.assert_array_equal(model.embed(batch), model.embed(batch))
    first, second = (np.array(model.embed(batch, training=True)) for _ in range(2))
    assert (np.abs(first - second).max() > 1e-4) == differs


def test_the_classifier_of_a_context_model_is_left_out():
    small = build("ContextAwareModel").count_params()
    options = {**ENCODERS["context_options"], "head_options": {"num_mixtures": 9}}
    assert build("ContextAwareModel", context_options=options).count_params() == small


@pytest.mark.parametrize(
    "options, message",
    [
        ({"context_model": "LogisticModel"}, "context_model='LogisticModel': use a model of frames"),
        ({"segment_model": "ContextAwareModel"}, "segment_model='ContextAwareModel': use a model of frames"),
        ({"segment_model": "NoModel"}, "unknown model 'NoModel'"),
        ({"context_options": {"cluster": 3}}, "context_options: GatedDbofModel has no 'cluster'; use .*cluster_size"),
        ({"segment_layer": "hiden"}, "segment_layer='hiden': NeXtVladModel has no layer .*hidden"),
        ({"segment_layer": "hidden_activation"}, "segment_activation=False: hidden_activation of NeXtVladModel applies its"),
        ({"segment_layer": "vlad_0", "segment_model": "AttentionModel", "segment_options": None}, "use None for its embedding"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build("ContextAwareModel", **options)


def test_pretrained_weights_of_another_size():
    model = build("ContextAwareModel")
    other, _ = encoders(context_options={"cluster_size": 21, "hidden_size": 12})
    with pytest.raises(UserError, match="context: the pre-trained weights do not fit"):
        model.load_encoders(context=other)
