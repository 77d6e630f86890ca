"""The mean of checkpoints, and batch norms that fit it."""

import keras
import numpy as np
import pytest

import yt8m
from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import UserError, models
from yt8m.training import checkpoints, restore, weight_average

TINY = {"feature_names": ("rgb", "audio"), "feature_sizes": (16, 8), "num_classes": 7, "batch_size": 4}
GATED = {"cluster_size": 6, "hidden_size": 5, "skip_head": 0, "skip_tail": 0, "dropout": 0.0, "head_options": {"dropout": 0.0}}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    videos = [make_video(f"v{i:03d}", 12, labels=(i % 7,), ratings=[(5, 1, 1.0), (5, 2, 0.0)], seed=i) for i in range(12)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:7], videos[7:]])


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    """A fine-tuning with four checkpoints."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    steps = {"max_steps": 4, "save_steps": 1, "keep_checkpoints": 4, "base_learning_rate": 0.1}
    options = {"hyperparameters": GATED, "train_dir": folder, "segment_labels": True}
    return yt8m.train(model="GatedDbofModel", train_data_pattern=shards, **options, **steps, **TINY).train_dir


@pytest.mark.slow
def test_the_weights_are_the_plain_mean_and_batch_norms_are_estimated_anew(run, shards, tmp_path, capsys):
    averaged = yt8m.average_checkpoints(train_dir=run, output_dir=tmp_path / "mean")
    assert "The mean of 4 checkpoints of finetune, steps 1, 2, 3, 4; 5 or more are better." in capsys.readouterr().out
    of_steps = []
    for step in range(1, 5):
        model = restore.build(averaged.config)
        checkpoints.load_weights(model, f"{run}/model.ckpt-{step}")
        of_steps.append({weight.path: weight.numpy() for weight in model.weights})
    trainable = {weight.path for weight in averaged.model.trainable_weights}
    for weight in averaged.model.weights:
        if weight.path in trainable:
            expected = np.mean([values[weight.path] for values in of_steps], axis=0, dtype=np.float64)
            np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-7)
    last = {weight.path: weight.numpy() for weight in restore.newest(run).model.weights}
    moved = [w.path for w in averaged.model.weights if "moving" in w.path and not np.allclose(w, last[w.path], rtol=1e-3)]
    assert moved
    assert averaged.step == 4
    assert commands.run("eval", f"--train_dir={tmp_path / 'mean'}", f"--eval_data_pattern={shards}", "--segment_labels") is None


def test_estimated_averages_are_those_of_the_rows_and_nothing_else_changes():
    model = models.build_model("MlpModel", 5, (6, 2), hidden_size=4, hidden_dropout=0.0, normalize=False)
    rng = np.random.default_rng(0)
    batches = [{"features": rng.normal(3, 2, (8, 8)).astype(np.float32)} for _ in range(3)]
    before = [weight.numpy() for weight in model.trainable_weights]
    (norm,) = weight_average.batch_norms(model)
    assert weight_average.estimate_averages(model, batches) == 24
    hidden = [batch["features"] @ model.get_layer("hidden_1").kernel.numpy() for batch in batches]
    np.testing.assert_allclose(norm.moving_mean, np.mean([x.mean(axis=0) for x in hidden], axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, np.mean([x.var(axis=0) for x in hidden], axis=0), rtol=1e-4)
    assert norm.momentum == 0.99
    for weight, old in zip(model.trainable_weights, before):
        np.testing.assert_array_equal(weight, old)


def test_without_batch_norms_no_row_is_read():
    model = models.build_model("LogisticModel", 5, (6, 2))
    assert weight_average.estimate_averages(model, iter([None])) == 0


def test_norms_within_layers_are_seen():
    model = models.build_model("GatedDbofModel", 5, (6, 2), **GATED)
    assert len(weight_average.batch_norms(model)) * 2 == sum("moving" in weight.path for weight in model.weights) >= 6
    assert keras.layers.BatchNormalization in {type(layer) for layer in weight_average.batch_norms(model)}


def test_what_cannot_be_averaged(run, tmp_path):
    with pytest.raises(UserError, match="1 checkpoint to average"):
        yt8m.average_checkpoints(train_dir=run, output_dir=tmp_path / "x", num_checkpoints=1)
    with pytest.raises(UserError, match="has a run already"):
        yt8m.average_checkpoints(train_dir=run, output_dir=run)
    kept = tmp_path / "model.keras"
    restore.newest(str(run)).model.save(kept)
    with pytest.raises(UserError, match=r"--checkpoints=.*model.keras: a file of Keras's says nothing of its stage"):
        yt8m.average_checkpoints(train_dir=run, output_dir=tmp_path / "x", checkpoints=[kept, kept])
    with pytest.raises(UserError, match="--output_dir is missing"):
        yt8m.average_checkpoints(train_dir=run)
    assert not (tmp_path / "x").exists()


def test_a_model_a_fold_and_their_mean(shards, tmp_path, capsys):
    folder = tmp_path / "bag"
    given = {"model": "LogisticModel", "segment_labels": True, "train_data_pattern": shards, "train_dir": folder, **TINY}
    result = yt8m.train(folds=2, all_folds=True, max_steps=2, **given)
    assert result.train_dir == str(folder / "fold_1") and not result.stopped
    again = yt8m.train(folds=2, all_folds=True, max_steps=2, **given)
    assert capsys.readouterr().out.count("is there already") == 2 and not again.stopped
    for name, run in (("all", folder), ("two", f"{folder / 'fold_0'},{folder / 'fold_1'}")):
        files = {"output_file": tmp_path / f"{name}.csv", "segment_labels": True, "input_data_pattern": shards}
        yt8m.inference(train_dir=run, **files)
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    for command, named in [
        (yt8m.evaluate, {"train_dir": folder}),
        (yt8m.load, {"path": folder}),
        (yt8m.average_checkpoints, {"train_dir": folder, "output_dir": tmp_path / "mean"}),
    ]:
        with pytest.raises(UserError, match=r"bag has a model for each fold. Name one of them, such as .*fold_0"):
            command(**named)
    for flags, message in [
        ({"folds": 2, "fold": 1}, "--fold=1 is one fold"),
        ({"folds": 1}, "give --folds=2 or more"),
    ]:
        with pytest.raises(UserError, match=message):
            yt8m.train(all_folds=True, **flags, **given)
