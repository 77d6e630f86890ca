"""Runs of before a loss's default changed minimise what they minimised."""

import json

import pytest

import yt8m
from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config as configs
from yt8m import losses, registry
from yt8m.config import ModelConfig, TrainConfig
from yt8m.recipes.model import model_config
from yt8m.stages.objective import described, loss_in, objective_of


def stage_of(**values):
    return TrainConfig("dir", "pretrain", "*", 4, 0.1, 1.0, 1000, **values)


@pytest.mark.parametrize("given, defaults, epsilon", [
    ({}, 1, 1e-7),
    ({}, 2, 1e-7),
    ({}, 3, 1e-5),
    ({"epsilon": 0.1}, 2, 0.1),
    ({"epsilon": 0.1}, 3, 0.1),
])  # fmt: skip
@pytest.mark.parametrize("by_stage", [True, False])
def test_the_epsilon_of_a_run(given, defaults, epsilon, by_stage):
    run = ModelConfig("LogisticModel", loss_options=given, loss_by_stage=by_stage, defaults=defaults)
    for loss in (objective_of(stage_of(), run).loss, loss_in(run)):
        assert loss.get_config() == {"epsilon": epsilon}


def test_a_run_of_before_says_its_epsilon():
    assert described(stage_of(), ModelConfig("LogisticModel", defaults=2)) == "CrossEntropyLoss(epsilon=1e-07)"
    assert described(stage_of(), ModelConfig("LogisticModel")) == "CrossEntropyLoss"


@pytest.mark.parametrize("defaults", [1, 2, 3])
def test_a_loss_in_place_of_one_of_segments_is_settled_too(defaults):
    run = ModelConfig("LogisticModel", label_loss="SampledNegativeLoss", loss_options={"form": "code"}, defaults=defaults)
    assert objective_of(stage_of(), run).loss.epsilon == (1e-5 if defaults == 3 else 1e-7)


@pytest.mark.parametrize("name", [name for name in registry.names("loss") if name != "CrossEntropyLoss"])
def test_other_losses_are_what_they_were(name):
    run = {defaults: ModelConfig("LogisticModel", label_loss=name, defaults=defaults) for defaults in (2, 3)}
    assert loss_in(run[2]).get_config() == loss_in(run[3]).get_config() == losses.get(name)().get_config()


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"second_temperature": 3, "divergence_weight": 5.0}, 9.0),
        ({"second_temperature": 3, "second_weight": 2.0}, 2.0),
        ({"divergence_weight": 5.0}, None),
    ],
)
def test_what_the_second_level_of_distillation_weighed(options, expected):
    earlier, now = (
        losses.build("OnlineDistillationLoss", losses.settled("OnlineDistillationLoss", options, earlier))
        for earlier in (True, False)
    )
    assert earlier.second_weight == expected and now.second_weight == options.get("second_weight")


def test_earlier_defaults_are_of_arguments_that_there_are():
    for name, values in losses.EARLIER_DEFAULTS.items():
        now = losses.get(name)().get_config()
        assert values.keys() <= now.keys() and all(now[argument] != value for argument, value in values.items())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    videos = [make_video(f"v{i:02d}", 9, labels=[i % 7]) for i in range(8)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:4], videos[4:]])


def test_a_run_of_before_goes_on_and_is_evaluated_with_its_epsilon(data, tmp_path, capsys):
    """Its records have defaults 2, which is no flag that has changed; a run that goes on from it has them, too."""
    flags = ["--model=FrameLevelLogisticModel", "--batch_size=4", f"--train_data_pattern={data}", *commands.TINY]
    of_run = [*flags, f"--train_dir={tmp_path / 'run'}"]
    assert commands.run("train", *of_run, "--max_steps=1") is None
    for name in (configs.MODEL_FILE, configs.TRAIN_FILE):
        path = tmp_path / "run" / name
        text = path.read_text()
        assert text.count('"defaults": 3') == 1
        path.write_text(text.replace('"defaults": 3', '"defaults": 2'))
    assert commands.run("train", *of_run, "--max_steps=2") is None
    assert "CrossEntropyLoss(epsilon=1e-07), float32, from step 1" in capsys.readouterr().out
    written = json.loads((tmp_path / "run" / configs.MODEL_FILE).read_text())
    assert (written["defaults"], written["loss_options"]) == (2, {})
    result = yt8m.evaluate(train_dir=tmp_path / "run", eval_data_pattern=data, run_once=True)
    assert result["loss"] == pytest.approx(result["log_loss_sum"], rel=1e-6)
    base = configs.read_model_config(tmp_path / "run")
    assert model_config(commands.given("train", *flags), base).defaults == 2
    assert commands.run("train", *of_run, "--loss_options=epsilon=1e-7", "--max_steps=3") is None  # as files of flags say it now
    assert "--loss_options" in commands.run("train", *of_run, "--loss_options=epsilon=1e-5", "--max_steps=4")
