"""Runs and saved models of before a default changed mean what they meant."""

import json

import pytest

from tests import harness
from yt8m import config as configs
from yt8m import models
from yt8m.flags import TRAIN, read
from yt8m.recipes.model import model_config
from yt8m.training.restore import build

DBOF = {"cluster_size": 6, "hidden_size": 4}
AWARE = {
    "context_options": {"cluster_size": 8, "hidden_size": 5},
    "segment_options": {"cluster_size": 4, "groups": 4, "hidden_size": 5},
    "hidden_size": 6,
}


def run_of(tmp_path, model, hyperparameters, earlier, defaults=configs.DEFAULTS):
    """The ModelConfig that a run's model_flags.json gives; `earlier`: as it was written before there was the field."""
    config = configs.ModelConfig(model, hyperparameters, feature_sizes=(16, 8), num_classes=7, defaults=defaults)
    configs.write_model_config(tmp_path, config)
    path = tmp_path / configs.MODEL_FILE
    values = json.loads(path.read_text())
    if earlier:
        del values["defaults"]
    path.write_text(json.dumps(values))
    return configs.read_model_config(tmp_path)


@pytest.mark.parametrize("given, earlier, activation", [
    ({}, True, "relu6"),
    ({}, False, "sigmoid"),
    ({"activation": "sigmoid"}, True, "sigmoid"),
    ({"dbof_activation": "sigmoid"}, True, "sigmoid"),
    ({"dbof_activation": "relu6"}, False, "relu6"),
])  # fmt: skip
def test_dbof_of_a_run(tmp_path, given, earlier, activation):
    assert build(run_of(tmp_path, "DbofModel", {**DBOF, **given}, earlier)).activation == activation


@pytest.mark.parametrize("defaults, activation", [(1, "relu6"), (2, "sigmoid"), (3, "sigmoid")])
def test_the_models_defaults_changed_before_the_losses(tmp_path, defaults, activation):
    assert build(run_of(tmp_path, "DbofModel", DBOF, False, defaults)).activation == activation


@pytest.mark.parametrize("given, earlier, layer, activation", [
    ({}, True, "hidden", True),
    ({}, False, "auto", False),
    ({"segment_layer": None}, True, None, True),
])  # fmt: skip
def test_segment_vector_of_a_run(tmp_path, given, earlier, layer, activation):
    model = build(run_of(tmp_path, "ContextAwareModel", {**AWARE, **given}, earlier))
    assert (model.segment_layer, model.segment_activation) == (layer, activation)


@pytest.mark.parametrize("name", ["ContextAwareModel", "JointContextModel"])
@pytest.mark.parametrize("earlier, activation", [(True, "relu6"), (False, "sigmoid")])
def test_an_encoder_of_a_run(tmp_path, name, earlier, activation):
    options = {**AWARE, "segment_model": "DbofModel", "segment_options": DBOF}
    model = build(run_of(tmp_path, name, options, earlier))
    assert model.segment_options["activation"] == activation and "activation" not in model.context_options


def test_a_saved_model_of_before():
    """Its config names the arguments that there were."""
    config = models.build_model("ContextAwareModel", 7, (16, 8), **AWARE).get_config()
    assert (config["segment_layer"], config["segment_activation"]) == ("auto", False)
    del config["segment_activation"]
    before = models.model_class("ContextAwareModel").from_config({**config, "segment_layer": "hidden"})
    assert (before.segment_layer, before.segment_activation) == ("hidden", True)


@pytest.mark.parametrize("name", ["ContextAwareModel", "JointContextModel"])
def test_an_encoder_of_a_saved_model_of_before(name):
    options = {**AWARE, "segment_model": "DbofModel", "segment_options": DBOF}
    model = models.build_model(name, 7, (16, 8), **options)
    config = model.get_config()
    assert model.segment_options == DBOF and config["segment_options"] == {**DBOF, "activation": "sigmoid"}
    before = type(model).from_config({**config, "segment_options": DBOF})
    assert before.segment_options == {**DBOF, "activation": "relu6"}
    again = type(model).from_config(config)
    harness.randomise(again)
    harness.randomise(model)
    batch = harness.batch_for(model)
    assert (harness.predict(again, batch) == harness.predict(model, batch)).all()


def test_a_run_that_goes_on_keeps_its_defaults(tmp_path):
    base = run_of(tmp_path, "DbofModel", DBOF, earlier=True)
    given = read(TRAIN, {"model": "DbofModel", "hyperparameters": DBOF, "feature_sizes": "16,8", "num_classes": 7})
    assert model_config(given, base).defaults == 1
    assert build(model_config({}, base)).activation == "relu6"
    assert model_config(given).defaults == configs.DEFAULTS == 3
    configs.write_model_config(tmp_path, model_config({}, base))
    assert configs.read_model_config(tmp_path) == base


@pytest.mark.parametrize("name", models.model_names())
def test_earlier_defaults_are_of_arguments_that_there_are(name):
    model = models.model_class(name)
    assert set(model.EARLIER_DEFAULTS) <= set(model.ARGUMENTS)
    assert all(model.ARGUMENTS[argument] != value for argument, value in model.EARLIER_DEFAULTS.items())
