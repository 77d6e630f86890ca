"""What MlpModel does with its features before anything else, and its branches."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from yt8m import models
from yt8m.config import ModelConfig
from yt8m.errors import UserError
from yt8m.losses import BranchCrossEntropyLoss, CrossEntropyLoss
from yt8m.stages.objective import check_entries

SIZES, LENGTHS = (4, 2, 3), [1.0, 0.5, 2.0]


def model(**options):
    return models.build_model("MlpModel", 7, SIZES, hidden_size=8, **options)


@pytest.mark.parametrize("lengths", [LENGTHS, None])
def test_features_are_normalised_each_or_together(lengths):
    x = harness.random_floats(5, 9)
    network, parts = model(feature_lengths=lengths), np.split(x, [4, 6], axis=1) if lengths else [x]
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    expected = np.concatenate([length * part for length, part in zip(lengths or [1.0], unit)], axis=1)
    np.testing.assert_allclose(network.normalized(x), expected, atol=1e-6)
    louder = x * np.repeat([1.0, 30.0, 1.0], SIZES).astype("float32")
    same = np.allclose(network({"features": louder}), network({"features": x}), atol=1e-5)
    assert same is bool(lengths), "how long a feature is counts where all are normalised together"


def test_features_as_they_are():
    x = harness.random_floats(5, 9)
    np.testing.assert_array_equal(model(normalize=False, feature_lengths=LENGTHS).normalized(x), x)


@pytest.mark.parametrize("lengths", [[1.0, 0.7], [1.0, 0.0, 1.0]])
def test_lengths_that_fit_no_features_are_refused(lengths):
    with pytest.raises(UserError, match=r"feature_lengths=.*use a positive length for each of the 3 features"):
        model(feature_lengths=lengths)


def gradients(network, loss, batch, y):
    """{path of a trained variable: gradient} of the loss's mean over the rows."""
    with tf.GradientTape() as tape:
        predictions, beside = network.training_outputs(batch)
        total = tf.reduce_mean(loss(predictions, y, None, **{name: beside[name] for name in getattr(loss, "NEEDS", ())}))
    variables = network.trainable_variables
    return {variable.path: value for variable, value in zip(variables, tape.gradient(total, [v.value for v in variables]))}


def test_the_prediction_is_the_mean_of_branches_that_differ():
    network, batch = model(num_branches=3), {"features": harness.random_floats(5, 9)}
    predictions, beside = network.training_outputs(batch)
    of_branches = np.array(beside["branch_predictions"])
    assert of_branches.shape == (5, 3, 7) and network.embed(batch).shape == (5, 24)
    np.testing.assert_allclose(predictions, of_branches.mean(axis=1), rtol=1e-6)
    assert np.abs(of_branches[:, 0] - of_branches[:, 1]).max() > 1e-3
    np.testing.assert_allclose(network(batch).numpy().shape, (5, 7))


def test_a_branch_learns_as_if_it_were_alone():
    batch, y = {"features": harness.random_floats(5, 9)}, (harness.random_floats(5, 7) > 0.5).astype("float32")
    together, alone = model(num_branches=2, hidden_dropout=0.0), model(hidden_dropout=0.0)
    theirs = {weight.path: weight for weight in together.weights}
    for weight in alone.weights:
        weight.assign(theirs["branch_2_" + weight.path].value)
    found = gradients(together, BranchCrossEntropyLoss(), batch, y)
    for path, expected in gradients(alone, CrossEntropyLoss(epsilon=1e-7), batch, y).items():
        np.testing.assert_allclose(2 * found["branch_2_" + path], expected, rtol=1e-4, atol=1e-7)


def test_the_loss_of_branches_is_that_of_predictions_where_there_are_none():
    p, y = 1 / (1 + np.exp(-harness.random_floats(4, 3))), np.eye(4, 3, dtype="float32")
    np.testing.assert_array_equal(BranchCrossEntropyLoss()(p, y), CrossEntropyLoss(epsilon=1e-7)(p, y))


PRETRAINING = types.SimpleNamespace(stage="pretrain", default_loss="CrossEntropyLoss")


@pytest.mark.parametrize("loss", ["BranchCrossEntropyLoss", "OnlineDistillationLoss"])
def test_a_loss_that_the_model_gives_nothing_to_is_refused(loss):
    config = ModelConfig("MlpModel", {}, num_classes=7, frame_features=False, label_loss=loss)
    with pytest.raises(UserError, match=f"^--label_loss={loss}: MlpModel as it is has no .*num_branches=3"):
        check_entries(PRETRAINING, config, model())


@pytest.mark.parametrize("loss", ["BranchCrossEntropyLoss", "CrossEntropyLoss", "SampledNegativeLoss"])
def test_other_losses_are_taken(loss):
    config = ModelConfig("MlpModel", {}, num_classes=7, frame_features=False, label_loss=loss)
    check_entries(PRETRAINING, config, model(num_branches=2))
