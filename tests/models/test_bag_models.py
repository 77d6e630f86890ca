"""DBoF, gated DBoF, NetVLAD and NeXtVLAD models: how their layers are put together, against numpy."""

import numpy as np
import pytest

from tests import harness
from tests.formulas import dense, normed, se_gated, sigmoid, unit
from yt8m.errors import UserError
from yt8m.models import build_model


def built(name, **options):
    model = build_model(name, harness.CLASSES, harness.SIZES, **options)
    harness.randomise(model)
    return model


def videos():
    """Each video's real frames as features, float [n, D]."""
    batch = harness.frames_batch()
    return [row[:n] * (4 / 255) - 2 + 4 / 512 for row, n in zip(batch["frames"].astype("float64"), batch["num_frames"])]


def unit_rows(x):
    return np.stack([unit(row) for row in x])


def check(model, embedding):
    """`embedding` of each video is what the model's head sees, and the head's answer is the model's."""
    batch = harness.frames_batch()
    embedded = np.array(model.embed(batch))
    np.testing.assert_allclose(embedded, embedding, atol=2e-4)
    np.testing.assert_allclose(harness.predict(model, batch), model.get_layer("head")(embedded), atol=1e-5)


@pytest.mark.parametrize("activation, act", [("relu6", lambda x: np.clip(x, 0, 6)), ("sigmoid", sigmoid)])
@pytest.mark.parametrize("pooling_method", ["max", "average"])
def test_dbof(activation, act, pooling_method):
    model = built("DbofModel", cluster_size=20, hidden_size=10, activation=activation, pooling_method=pooling_method)
    layer, embedding = model.get_layer, []
    for x in videos():
        x = normed(layer("frame_norm"), unit_rows(x))
        x = act(normed(layer("cluster_norm"), dense(layer("cluster"), x)))
        pooled = x.max(0) if pooling_method == "max" else x.mean(0)
        embedding.append(act(normed(layer("hidden_norm"), dense(layer("hidden"), pooled))))
    check(model, embedding)


def test_dbof_without_batch_norm_has_biases():
    model = built("DbofModel", cluster_size=20, hidden_size=10, add_batch_norm=False, activation="relu6")
    layer, embedding = model.get_layer, []
    for x in videos():
        pooled = np.clip(dense(layer("cluster"), unit_rows(x)), 0, 6).max(0)
        embedding.append(np.clip(dense(layer("hidden"), pooled), 0, 6))
    assert layer("cluster").use_bias and layer("hidden").use_bias
    check(model, embedding)


def test_dbof_has_the_starters_activation_unless_told_otherwise():
    """--dbof_activation of frame_level_models.py has the default sigmoid since August 2019."""
    assert built("DbofModel", cluster_size=4, hidden_size=3).activation == "sigmoid"


@pytest.mark.parametrize("sampling", ["random", "sequence"])
def test_dbof_can_sample_in_inference_as_the_starter_does(sampling):
    options = {"cluster_size": 20, "hidden_size": 10, "sampling": sampling, "iterations": 8}
    model, whole = built("DbofModel", **options, sample_at_inference=True), built("DbofModel", **options)
    batch = harness.frames_batch((40, 30, 8, 5), length=40)
    predictions, of_all = harness.predict(model, batch), harness.predict(whole, batch)
    assert (np.abs(predictions - of_all).max(axis=1) > 1e-4).tolist() == [True, True, False, False]  # 8 frames or less: all
    np.testing.assert_array_equal(predictions, harness.predict(model, batch))
    alone = {"frames": np.pad(batch["frames"][1:2], ((0, 0), (0, 9), (0, 0))), "num_frames": np.array([30])}
    np.testing.assert_allclose(harness.predict(model, alone)[0], predictions[1], atol=1e-6)
    chosen, counts = model.get_layer("sampling")(batch["frames"], batch["num_frames"])
    seen = {"frames": np.array(chosen), "num_frames": np.array(counts)}
    assert seen["num_frames"].tolist() == [8, 8, 8, 5]
    np.testing.assert_allclose(harness.predict(whole, seen), predictions, atol=1e-6)
    other = built("DbofModel", **options, sample_at_inference=True, inference_seed=7)
    assert np.abs(harness.predict(other, batch) - predictions)[:2].max() > 1e-4


def test_gated_dbof():
    model = built("GatedDbofModel", cluster_size=20, hidden_size=12)
    layer, embedding = model.get_layer, []
    for x in videos():
        x = np.maximum(dense(layer("cluster"), x), 0)
        x = np.stack([se_gated(layer("cluster_gating"), frame) for frame in x])
        pooled = normed(layer("pooled_norm"), np.concatenate([x.max(0), x.mean(0)]))
        embedding.append(se_gated(layer("hidden_gating"), np.maximum(dense(layer("hidden"), pooled), 0)))
    assert not layer("hidden").use_bias
    check(model, embedding)


def vlad(layer, frames):
    return np.array(layer(frames[None].astype("float32")))[0]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("gating", [False, True])
@pytest.mark.parametrize("reduced_sizes", [None, (6, 4)])
def test_netvlad(relu, gating, reduced_sizes):
    model = built("NetVladModel", cluster_size=5, hidden_size=10, relu=relu, gating=gating, reduced_sizes=reduced_sizes)
    layer, embedding = model.get_layer, []
    for x in videos():
        x = normed(layer("frame_norm"), unit_rows(x))
        parts = [x[:, :16], x[:, 16:]]
        if reduced_sizes:
            parts = [dense(layer(f"reduce_{i}"), part) for i, part in enumerate(parts)]
        described = np.concatenate([vlad(layer(f"vlad_{i}"), part) for i, part in enumerate(parts)])
        hidden = described @ np.concatenate(layer("hidden").kernels)
        if relu:
            hidden = np.clip(normed(layer("hidden_norm"), hidden), 0, 6)
        else:
            hidden = hidden + np.array(layer("hidden").bias)
        if gating:
            gate = layer("hidden_gating")
            hidden = hidden * sigmoid(normed(gate.norm, dense(gate.gate, hidden)))
        embedding.append(hidden)
    assert layer("vlad_0").cluster_size == layer("vlad_1").cluster_size == 5
    check(model, embedding)


@pytest.mark.parametrize("fusion, parts", [("late", [slice(0, 16), slice(16, 24)]), ("early", [slice(0, 24)])])
def test_nextvlad(fusion, parts):
    model = built("NeXtVladModel", fusion=fusion, cluster_size=6, groups=4, hidden_size=12)
    layer, embedding = model.get_layer, []
    for x in videos():
        described = np.concatenate([vlad(layer(f"vlad_{i}"), unit_rows(x[:, part])) for i, part in enumerate(parts)])
        embedding.append(se_gated(layer("hidden_gating"), np.maximum(dense(layer("hidden"), described), 0)))
    check(model, embedding)


def test_nextvlad_sizes_of_the_other_features():
    model = build_model("NeXtVladModel", 7, (16, 8), cluster_size=6, groups=8, hidden_size=4)
    assert (model.get_layer("vlad_1").cluster_size, model.get_layer("vlad_1").groups) == (3, 8)
    model = build_model(
        "NeXtVladModel", 7, (16, 8), cluster_size=6, groups=8, hidden_size=4, other_cluster_size=5, other_groups=4
    )
    assert (model.get_layer("vlad_1").cluster_size, model.get_layer("vlad_1").groups) == (5, 4)


def test_variants_reach_the_layer():
    options = {"cluster_size": 3, "hidden_size": 4}
    assert build_model("NetVladModel", 7, (16, 8), lightvlad=True, **options).get_layer("vlad_1").variant == "lightvlad"
    assert build_model("NetVladModel", 7, (16, 8), vlagd=True, **options).get_layer("vlad_0").variant == "vlagd"


@pytest.mark.parametrize(
    "name, options",
    [
        ("DbofModel", {"cluster_size": 20, "hidden_size": 10}),
        ("GatedDbofModel", {"cluster_size": 20, "hidden_size": 12}),
        ("NetVladModel", {"cluster_size": 5, "hidden_size": 10}),
        ("NeXtVladModel", {"cluster_size": 6, "groups": 4, "hidden_size": 12}),
    ],
)
def test_order_of_the_frames_does_not_matter(name, options):
    model = built(name, **options)
    batch = harness.frames_batch((12, 12, 12))
    backwards = {**batch, "frames": batch["frames"][:, ::-1].copy()}
    np.testing.assert_allclose(harness.predict(model, backwards), harness.predict(model, batch), atol=1e-5)
    one_less = {**batch, "frames": batch["frames"][:, 1:].copy(), "num_frames": batch["num_frames"] - 1}
    assert np.abs(harness.predict(model, one_less) - harness.predict(model, batch)).max() > 1e-4


@pytest.mark.parametrize("name", ["GatedDbofModel", "NeXtVladModel"])
def test_training_of_paper_002_sees_the_middle_of_a_long_video(name):
    options = {"cluster_size": 4, "hidden_size": 4} | ({"groups": 4} if name == "NeXtVladModel" else {})
    model = build_model(name, 7, (16, 8), **options)
    sample = model.get_layer("sampling")
    assert (sample.method, sample.num_samples, sample.skip_head, sample.skip_tail) == ("without_replacement", 150, 30, 10)
    frames = np.tile(np.arange(200, dtype="uint8")[None, :, None], (2, 1, 24))
    chosen, counts = sample(frames, np.array([200, 11]), training=True)
    assert list(counts) == [150, 11]
    assert set(np.array(chosen)[0, :, 0]) <= set(range(30, 190))
    assert list(np.array(chosen)[1, :11, 0]) == list(range(11))


SMALL = {
    "CnnModel": {"num_filters": (4, 3, 5)},
    "GatedDbofModel": {"cluster_size": 20, "hidden_size": 12},
    "NeXtVladModel": {"cluster_size": 6, "groups": 4, "hidden_size": 12},
}


@pytest.mark.parametrize("name, head, tail", [("CnnModel", 20, 30), ("GatedDbofModel", 30, 10), ("NeXtVladModel", 30, 10)])
def test_inference_sees_what_training_was_shown(name, head, tail):
    """A long video is described by its middle, one no longer than both ends and a segment as a whole, in a padded batch too."""
    model, whole = built(name, **SMALL[name]), built(name, **SMALL[name], sampling="none")
    lengths = (head + tail + 12, head + tail, 11, 5)
    batch = harness.frames_batch(lengths, length=head + tail + 20)
    predictions = harness.predict(model, batch)
    middle = {"frames": batch["frames"][:1, head : head + 12], "num_frames": np.array([12])}
    np.testing.assert_allclose(predictions[0], harness.predict(whole, middle)[0], atol=1e-6)
    assert np.abs(predictions[0] - harness.predict(whole, batch)[0]).max() > 1e-4
    np.testing.assert_allclose(predictions[1:], harness.predict(whole, batch)[1:], atol=1e-6)


def test_netvlad_sees_all_frames():
    """Paper 003 cuts nothing: "feeding it with an entire video"."""
    options = {"cluster_size": 5, "hidden_size": 10}
    batch = harness.frames_batch((60, 11), length=60)
    whole = harness.predict(built("NetVladModel", **options, sampling="none"), batch)
    np.testing.assert_allclose(harness.predict(built("NetVladModel", **options), batch), whole, atol=1e-6)


@pytest.mark.parametrize(
    "name, options, word",
    [
        ("DbofModel", {"activation": "tanh"}, "activation"),
        ("DbofModel", {"pooling_method": "none"}, "none"),
        ("DbofModel", {"sampling": "some"}, "sampling"),
        ("DbofModel", {"sampling": "every", "sample_at_inference": True}, "sample_at_inference=True: sampling='every'"),
        ("DbofModel", {"sampling": "none", "sample_at_inference": True}, "sample_at_inference=True: sampling='none'"),
        ("DbofModel", {"cluster_size": 0}, "cluster_size"),
        ("GatedDbofModel", {"dropout": 1.0}, "dropout"),
        ("GatedDbofModel", {"cluster_reduction": 0}, "reduction"),
        ("NetVladModel", {"lightvlad": True, "vlagd": True}, "lightvlad"),
        ("NetVladModel", {"reduced_sizes": (4,)}, "reduced_sizes"),
        ("NetVladModel", {"hidden_size": 0}, "hidden_size"),
        ("NeXtVladModel", {"fusion": "middle"}, "fusion"),
        ("NeXtVladModel", {"groups": 5}, "groups=5"),
        ("NeXtVladModel", {"num_samples": 0}, "num_samples"),
        ("SharedGateMoeModel", {"num_mixtures": 0}, "num_mixtures"),
    ],
)
def test_bad_values(name, options, word):
    with pytest.raises(UserError, match=word):
        build_model(name, 7, (16, 8), **options)


def test_flags_of_the_starter_code_and_its_family():
    model = build_model(
        "DbofModel",
        7,
        (16, 8),
        iterations=9,
        dbof_cluster_size=11,
        dbof_hidden_size=5,
        dbof_pooling_method="average",
        dbof_activation="sigmoid",
        dbof_add_batch_norm=False,
    )
    assert (model.num_samples, model.cluster_size, model.hidden_size) == (9, 11, 5)
    assert (model.pooling_method, model.activation, model.add_batch_norm) == ("average", "sigmoid", False)
    model = build_model(
        "NetVladModel", 7, (16, 8), netvlad_cluster_size=3, netvlad_hidden_size=5, netvlad_relu=True, netvlad_add_batch_norm=False
    )
    assert (model.cluster_size, model.hidden_size, model.relu, model.add_batch_norm) == (3, 5, True, False)
