"""Models of several branches: networks side by side, each trained as if it were alone."""

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

# Model -> (what makes it small, what a branch's head sees, what leaves chance out of its training steps).
SMALL = {
    "MlpModel": ({"hidden_size": 8}, 8, {"hidden_dropout": 0.0}),
    "MultiLevelAttentionModel": (
        {"frame_size": 6, "num_sets": 2, "attention_size": 3, "clip_layers": 2, "clip_size": 4},
        8,
        {"dropout": 0.0},
    ),
}
every_model = pytest.mark.parametrize("name", list(SMALL))


def model(name, **options):
    return models.build_model(name, 7, (4, 2, 3), **SMALL[name][0], **options)


def rows(name, num_rows=5):
    """A batch for the model: of the frames some rows' are fewer."""
    if name == "MlpModel":
        return {"features": harness.random_floats(num_rows, 9)}
    frames = np.random.default_rng(0).integers(0, 256, (num_rows, 6, 9), dtype=np.uint8)
    num_frames = np.array([6, 3, 1, 6, 5], np.int32)
    return {"frames": frames * (np.arange(6)[None, :, None] < num_frames[:, None, None]), "num_frames": num_frames}


def gradients(network, loss, batch, y):
    """{path of a trained variable: gradient} of the loss's mean over the rows."""
    with tf.GradientTape() as tape:
        predictions, beside = network.training_outputs(batch)
        total = tf.reduce_mean(loss(predictions, y, None, **{name: beside[name] for name in getattr(loss, "NEEDS", ())}))
    variables = network.trainable_variables
    return {variable.path: value for variable, value in zip(variables, tape.gradient(total, [v.value for v in variables]))}


@every_model
def test_the_prediction_is_the_mean_of_branches_that_differ(name):
    network, batch = model(name, num_branches=3), rows(name)
    predictions, beside = network.training_outputs(batch)
    of_branches = np.array(beside["branch_predictions"])
    assert of_branches.shape == (5, 3, 7) and network.embed(batch).shape == (5, 3 * SMALL[name][1])
    np.testing.assert_allclose(predictions, of_branches.mean(axis=1), rtol=1e-6)
    assert np.abs(of_branches[:, 0] - of_branches[:, 1]).max() > 1e-3
    assert network.predict_rated(batch).shape == (5, 7)


@every_model
def test_a_branch_learns_as_if_it_were_alone(name):
    batch, y = rows(name), (harness.random_floats(5, 7) > 0.5).astype("float32")
    without_chance = SMALL[name][2]
    together, alone = model(name, num_branches=2, **without_chance), model(name, **without_chance)
    theirs = {weight.path: weight for weight in together.weights}
    for weight in alone.weights:
        weight.assign(theirs[f"branch_2_{weight.path}"].value)
    found = gradients(together, BranchCrossEntropyLoss(), batch, y)
    for path, expected in gradients(alone, CrossEntropyLoss(epsilon=1e-7), batch, y).items():
        np.testing.assert_allclose(2 * found[f"branch_2_{path}"], expected, rtol=1e-4, atol=1e-7)


def test_branches_of_segments_whose_mean_is_the_prediction_are_refused():
    with pytest.raises(UserError, match=r"^num_branches=2: not with --video_prediction=segments_mean"):
        model("MultiLevelAttentionModel", num_branches=2, video_prediction="segments_mean")
    assert not model("MultiLevelAttentionModel", video_prediction="segments_mean").loss_entries


def test_the_loss_of_branches_is_that_of_predictions_where_there_are_none():
    p, y = 1 / (1 + np.exp(-harness.random_floats(4, 3))), np.eye(4, 3, dtype="float32")
    np.testing.assert_array_equal(BranchCrossEntropyLoss()(p, y), CrossEntropyLoss(epsilon=1e-7)(p, y))


PRETRAINING = types.SimpleNamespace(stage="pretrain", default_loss="CrossEntropyLoss")


@pytest.mark.parametrize("loss", ["BranchCrossEntropyLoss", "OnlineDistillationLoss"])
def test_a_loss_that_the_model_gives_nothing_to_is_refused(loss):
    config = ModelConfig("MlpModel", {}, num_classes=7, frame_features=False, label_loss=loss)
    with pytest.raises(UserError, match=f"^--label_loss={loss}: MlpModel as it is has no .*num_branches=3"):
        check_entries(PRETRAINING, config, model("MlpModel"))


@pytest.mark.parametrize("loss", ["BranchCrossEntropyLoss", "CrossEntropyLoss", "SampledNegativeLoss"])
def test_other_losses_are_taken(loss):
    config = ModelConfig("MlpModel", {}, num_classes=7, frame_features=False, label_loss=loss)
    check_entries(PRETRAINING, config, model("MlpModel", num_branches=2))
