"""Labels as pairs are the labels that they stand for, bit for bit: in a batch, augmented, and in a training."""

import numpy as np
import pytest
import tensorflow as tf

from tests.readers.annotated import CLASSES, spec, write_sidecars
from yt8m import config
from yt8m.readers import pairs
from yt8m.readers.spec import RatedSegments, VideosWithSegments
from yt8m.stages import batches
from yt8m.stages.mstep import mstep
from yt8m.training.augmentation import Augmentation, augment

N, C = 40, 9


def batch(seed=0):
    """N segments of 20 videos, which are twice as long; a third of the pairs are labels, some of them soft."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random((N, C)) < 0.3, rng.choice([1.0, 0.25, 0.7], (N, C)), 0).astype(np.float32)
    columns = [np.flatnonzero(row) for row in labels]
    arrays = pairs.joined(columns, [row[at] for row, at in zip(labels, columns)])
    frames = rng.integers(0, 256, (20, 10, 4), np.uint8)
    lengths = np.where(np.arange(20) % 3, 10, 8).astype(np.int32)
    arrays |= {"frames": frames, "num_frames": lengths, "segment_rows": np.repeat(np.arange(20), 2).astype(np.int32)}
    return {**arrays, "start_times": np.tile([0, 5], 20).astype(np.int32)}, labels


def tensors(arrays):
    return {key: tf.constant(value) for key, value in arrays.items()}


def test_pairs_and_labels_are_the_same():
    arrays, labels = batch()
    spread = pairs.spread(tensors(arrays), C)
    assert not set(pairs.KEYS) & set(spread)
    np.testing.assert_array_equal(spread["labels"], labels)
    np.testing.assert_array_equal(spread["label_weights"], np.ones((N, C)))
    assert spread["labels"].dtype == spread["label_weights"].dtype == tf.float32


def test_nothing_is_nothing():
    spread = pairs.spread(tensors(pairs.joined((), ())), C)
    assert spread["labels"].shape == spread["label_weights"].shape == (0, C)
    spread = pairs.spread(tensors(pairs.joined([np.zeros(0, int)] * 3, [np.zeros(0)] * 3)), C)
    assert spread["labels"].shape == (3, C) and not spread["labels"].numpy().any() and spread["label_weights"].numpy().all()
    whole = {"labels": tf.zeros((2, C))}
    assert pairs.spread(whole, C) is whole


@pytest.mark.parametrize("options", ({"reverse": 0.6}, {"virtual_segments": 0.4}, {"reverse": 0.5, "virtual_segments": 0.9}))
@pytest.mark.parametrize("seed", range(5))
def test_augmented_pairs_are_the_augmented_labels(options, seed):
    """Rows that are lost, and rows that are mixed: the same floats as those that [N, C] gives."""
    arrays, _ = batch(seed)
    if "virtual_segments" in options:  # whose rows are what is mixed: segments' frames
        context = {f"context_{key}": arrays.pop(key) for key in ("frames", "num_frames")}
        windows = np.concatenate([context["context_frames"][:, :5], context["context_frames"][:, 5:]], axis=1).reshape(N, 5, 4)
        counts = np.minimum(5, context["context_num_frames"][arrays["segment_rows"]] - arrays["start_times"])
        arrays |= {**context, "frames": windows, "num_frames": counts.astype(np.int32)}
    options = Augmentation(**options)
    ours = pairs.spread(augment(tensors(arrays), options, tf.constant([seed, 7])), C)
    theirs = augment(pairs.spread(tensors(arrays), C), options, tf.constant([seed, 7]))
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        np.testing.assert_array_equal(ours[key], value, err_msg=key)
    assert (theirs["labels"].numpy() != batch(seed)[1]).any()


@pytest.mark.parametrize("name", ("FrameLevelLogisticModel", pytest.param("TransformerModel", marks=pytest.mark.slow)))
@pytest.mark.parametrize("augmentation", ({}, {"reverse": 0.5}))
def test_an_m_step_ends_with_the_same_weights(pattern, tmp_path, monkeypatch, name, augmentation):
    """As when its batches have `labels` and `label_weights`, which they had once."""
    sizes = spec(pattern).feature_sizes
    options = {"num_blocks": 1} if name == "TransformerModel" else {}
    model = config.ModelConfig(name, options, feature_sizes=sizes, num_classes=CLASSES)
    labels = write_sidecars(tmp_path / "labels")
    values = dict(batch_size=3, base_learning_rate=0.05, learning_rate_decay=1.0, learning_rate_decay_examples=10, max_steps=6)
    values |= {"pseudo_labels": labels, "augmentation": augmentation}
    ours = mstep(config.TrainConfig(str(tmp_path / "pairs"), "mstep", pattern, **values), model)
    read = batches.training_batches

    def with_labels(asked, *arguments, **options):
        assert type(asked) is (VideosWithSegments if name == "TransformerModel" else RatedSegments)
        return read(asked, *arguments, **options).map(lambda batch: pairs.spread(batch, CLASSES))

    monkeypatch.setattr(batches, "training_batches", with_labels)
    theirs = mstep(config.TrainConfig(str(tmp_path / "labels-of-all"), "mstep", pattern, **values), model)
    for weight, other in zip(ours.weights, theirs.weights):
        np.testing.assert_array_equal(weight, other)


def test_a_compiled_m_step_learns_the_same(pattern, tmp_path):
    """Batches with other numbers of pairs, and ids beside them, under XLA."""
    model = config.ModelConfig("FrameLevelLogisticModel", feature_sizes=spec(pattern).feature_sizes, num_classes=CLASSES)
    values = dict(batch_size=3, base_learning_rate=0.05, learning_rate_decay=1.0, learning_rate_decay_examples=10, max_steps=4)
    labels, weights = write_sidecars(tmp_path / "labels"), []
    for xla in ("off", "on"):
        run = config.TrainConfig(str(tmp_path / xla), "mstep", pattern, **values, pseudo_labels=labels, xla=xla)
        weights.append(mstep(run, model).get_weights())
    for plain, compiled in zip(*weights):
        np.testing.assert_allclose(compiled, plain, atol=1e-5)
