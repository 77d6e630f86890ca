"""The models of the challenge's other places: what their papers and codes say of them."""

import numpy as np
import pytest

from tests.harness import CLASSES, SIZES, frames_batch
from yt8m import models
from yt8m.errors import UserError

BERT = {"num_heads": 4, "feed_forward_size": 20}


def rolled(batch, rng):
    """The same frames in another order, padding last."""
    frames = batch["frames"].copy()
    for row, count in enumerate(batch["num_frames"]):
        frames[row, :count] = frames[row, rng.permutation(count)]
    return {**batch, "frames": frames}


def test_bert_with_mean_pooling_knows_no_order():
    batch = {name: np.array(value) for name, value in frames_batch().items()}
    other = rolled(batch, np.random.default_rng(3))
    assert not np.array_equal(batch["frames"], other["frames"])
    for pooling, alike in (("mean", True), ("attention", True), ("last", False)):
        model = models.build_model("BertModel", CLASSES, SIZES, pooling=pooling, **BERT)
        first, second = (np.array(model(each)) for each in (batch, other))
        assert np.allclose(first, second, atol=1e-5) == alike, pooling


def test_bert_drops_in_training_only():
    model = models.build_model("BertModel", CLASSES, SIZES, dropout=0.5, sampling="none", **BERT)
    batch = frames_batch()
    assert np.array_equal(model.embed(batch), model.embed(batch))
    assert not np.allclose(model.embed(batch, training=True), model.embed(batch, training=True))


def test_a_run_of_five_frames_is_what_pre_training_sees():
    """Five frames that follow one another, of each video; a segment, which has five, is seen whole in fine-tuning."""
    model = models.build_model("BertModel", CLASSES, SIZES, **BERT)
    frames = np.tile(np.arange(40, dtype=np.uint8)[None, :, None], (3, 1, sum(SIZES)))
    sampled = model.get_layer("sampling")(frames, np.array([40, 20, 5]), training=True)
    seen = np.array(sampled[0])[:, :, 0].astype(int)
    assert seen.shape == (3, 5) and (np.diff(seen, axis=1) == 1).all() and np.array_equal(seen[2], range(5))


def test_soft_dbof_is_the_share_of_each_word():
    options = {"cluster_size": 24, "hidden_size": 10, "sampling": "none", "normalize": False, "other_reduction": 3}
    model = models.build_model("SoftDbofModel", CLASSES, SIZES, **options)
    batch = frames_batch()
    normed = np.array(model.get_layer("dequantize")(batch["frames"], batch["num_frames"])) / np.sqrt(1 + 1e-3)
    bags, start = [], 0
    for index, size in enumerate(SIZES):
        kernel = model.get_layer(f"words_{index}").kernel.numpy()
        logits = normed[:, :, start : start + size] @ kernel / np.sqrt(1 + 1e-3)
        shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        bag = np.stack([shares[row, :count].sum(axis=0) for row, count in enumerate(np.array(batch["num_frames"]))])
        bags.append(bag / np.linalg.norm(bag, axis=1, keepdims=True))
        assert kernel.shape[1] == (24, 8)[index]
        start += size
    hidden = model.get_layer("hidden")
    expected = np.concatenate(bags, axis=1) @ hidden.kernel.numpy() + hidden.bias.numpy()
    np.testing.assert_allclose(model.embed(batch), expected, atol=1e-4)
    with pytest.raises(UserError, match="cluster_size=2: use at least other_reduction=3"):
        models.build_model("SoftDbofModel", CLASSES, SIZES, **{**options, "cluster_size": 2})


def test_the_dustbin_is_what_the_classes_lack_to_one():
    batch = {"features": np.random.default_rng(0).normal(size=(4, sum(SIZES))).astype(np.float32)}
    for dustbin in (True, False):
        model = models.build_model("SoftmaxMlpModel", CLASSES, SIZES, hidden_sizes=(10, 6), dustbin=dustbin)
        predictions = np.array(model(batch))
        assert predictions.shape == (4, CLASSES)
        assert (predictions.sum(axis=1) < 0.999).all() if dustbin else np.allclose(predictions.sum(axis=1), 1)
        squares = sum(np.square(weight).sum() for weight in model.trainable_weights)
        np.testing.assert_allclose(sum(map(float, model.losses)), 1.14e-3 / 2 * squares, rtol=1e-4)
    with pytest.raises(UserError, match="hidden_sizes=7"):
        models.build_model("SoftmaxMlpModel", CLASSES, SIZES, hidden_sizes=7)
