"""Which loss a stage uses: the user's where it can work, else the stage's own, and it says which."""

import json
import pathlib

import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config, losses
from yt8m.config import read_model_config
from yt8m.errors import UserError
from yt8m.recipes import RECIPES, resolve
from yt8m.recipes.stages import stage_config
from yt8m.stages.objective import described, loss_of
from yt8m.training import optimizers

GATED = ("--model=GatedDbofModel", "--hyperparameters=cluster_size=8,hidden_size=6")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    videos = [make_video(f"v{i:02d}", 45 + i, labels=[i % 7], ratings=[(30, i % 7, 1.0), (30, 3, 0.0)]) for i in range(8)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:4], videos[4:]])


def train(data, folder, *more):
    flags = ["--batch_size=4", "--max_steps=1", f"--train_data_pattern={data}", f"--train_dir={folder}", *commands.TINY]
    return commands.run("train", *flags, *more)


def begun(capsys):
    """The lines with which the stages begin."""
    return [line for line in capsys.readouterr().out.splitlines() if " parameters, " in line]


@pytest.mark.slow
def test_a_stage_chooses_its_loss_and_says_so(data, tmp_path, capsys):
    assert train(data, tmp_path, *GATED) is None
    (line,) = begun(capsys)
    assert "4 videos a step, MaskedCrossEntropyLoss, float32" in line
    model = read_model_config(str(tmp_path))
    assert (model.label_loss, model.loss_by_stage) == ("MaskedCrossEntropyLoss", True)
    assert train(data, tmp_path, "--stage=finetune") is None
    (line,) = begun(capsys)
    assert "4 rated segments a step, CrossEntropyLoss, float32" in line
    assert read_model_config(str(tmp_path)).label_loss == "CrossEntropyLoss"


@pytest.mark.slow
def test_a_loss_that_was_asked_for_stays_in_the_next_stage(data, tmp_path, capsys):
    assert train(data, tmp_path, *GATED, "--label_loss=HingeLoss") is None
    assert train(data, tmp_path, "--stage=finetune") is None
    assert all("HingeLoss" in line for line in begun(capsys))
    assert not read_model_config(str(tmp_path)).loss_by_stage


@pytest.mark.slow
def test_the_model_flags_of_an_earlier_version_mean_the_loss_that_they_name(data, tmp_path, capsys):
    assert train(data, tmp_path, *GATED, "--label_loss=CrossEntropyLoss") is None
    for name in ("model_flags.json", "train_flags.json"):
        path = pathlib.Path(tmp_path, name)
        path.write_text(path.read_text().replace('"loss_by_stage": false,', ""))
    assert "loss_by_stage" not in json.loads((tmp_path / "model_flags.json").read_text())
    assert train(data, tmp_path, "--max_steps=2") is None
    assert "CrossEntropyLoss" in begun(capsys)[-1] and "Masked" not in begun(capsys)


def test_a_loss_of_segments_is_refused_where_only_videos_are_learned(data, tmp_path):
    for stage in ([], ["--stage=pretrain"], ["--stage=mstep"]):
        line = train(data, tmp_path / "run", *GATED, "--label_loss=SampledNegativeLoss", *stage)
        assert "--label_loss=SampledNegativeLoss: is for rated segments" in line and "\n" not in line
    assert not (tmp_path / "run").exists()


def test_in_a_command_of_both_stages_it_is_the_second_ones(tmp_path):
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n1,cat\n")

    class Sample:
        size, num_classes, vocabulary_file = "small", 108, tmp_path / "vocabulary.csv"
        train_pattern, rated_pattern, video_train_pattern, held_out_pattern = "train*", "rated*", "means*", "held_out*"

    given = commands.given(
        "train", "--model=AttentionModel", "--label_loss=SampledNegativeLoss", "--loss_options=unrated_weight=2"
    )
    run = resolve({**given, "train_dir": "dir"}, sample=Sample())
    said = [described(stage, run.model) for stage in run.stages]
    assert said == [
        "CrossEntropyLoss (--label_loss=SampledNegativeLoss is for rated segments)",
        "SampledNegativeLoss(unrated_weight=2)",
    ]


def test_options_belong_to_the_loss_of_every_stage():
    given = commands.given("train", *GATED, "--loss_options=reduction=weights", "--train_data_pattern=x", "--train_dir=dir")
    run = resolve(given)
    assert loss_of(run.stages[0], run.model) == ("MaskedCrossEntropyLoss", {"reduction": "weights"})
    with pytest.raises(UserError, match="--loss_options: CrossEntropyLoss has no reduction"):
        resolve({**given, "stage": "finetune"})


def test_unrated_negatives_and_mined_ones_exclude_each_other(data, tmp_path):
    assert train(data, tmp_path, *GATED) is None
    flags = ("--stage=finetune", "--unrated_as_negatives=1")
    line = train(data, tmp_path, *flags, "--label_loss=SampledNegativeLoss")
    assert "--unrated_as_negatives=1: --label_loss=SampledNegativeLoss" in line and "\n" not in line
    assert "--unrated_as_negatives=1" in train(data, tmp_path / "x", *GATED, "--unrated_as_negatives=1", "--stage=pretrain")


def test_what_unrated_classes_are_is_said(data, tmp_path, capsys):
    flags = ("--segment_labels", "--unrated_as_negatives=1", "--segment_class_weight=5", "--model=FrameLevelLogisticModel")
    assert train(data, tmp_path, *flags) is None
    assert "(unrated classes are negatives of weight 1; segment classes weigh 5)" in begun(capsys)[0]
    flags = ("--segment_labels", "--segment_class_weight=5", "--model=FrameLevelLogisticModel")
    assert train(data, tmp_path / "other", *flags) is None
    assert "--segment_class_weight=5 is for --unrated_as_negatives here" in begun(capsys)[0]


def stage_of(name, *flags, model="GatedDbofModel"):
    return stage_config(commands.given("train", *flags), name, model, None, "dir", "*")


def test_paper_002_in_pre_training_and_fine_tuning():
    """The mean over the classes (eq. 1), and the authors' epsilons and warm-up."""
    stages = [stage_of(name) for name in ("pretrain", "mstep", "finetune")]
    facts = [(stage.default_loss, stage.optimizer_epsilon, stage.warmup_fraction) for stage in stages]
    assert facts[0] == facts[1] == ("MaskedCrossEntropyLoss", 1e-6, 0.2)
    assert facts[2] == ("CrossEntropyLoss", 1e-7, 0.25)
    others = [values for name, stages in RECIPES.items() if name != "ceshine" for values in stages.values()]
    assert not any({"default_loss", "optimizer_epsilon", "warmup_fraction"} & set(values) for values in others)
    assert losses.build("MaskedCrossEntropyLoss").reduction == "pairs"


def test_the_epsilon_of_a_recipe_is_its_optimizers():
    assert stage_of("pretrain", "--optimizer=MomentumOptimizer").optimizer_epsilon is None
    assert stage_of("pretrain", "--optimizer=AdamWOptimizer").optimizer_epsilon == 1e-6
    assert stage_of("pretrain", "--optimizer=MomentumOptimizer", "--optimizer_epsilon=0.1").optimizer_epsilon == 0.1
    with pytest.raises(UserError, match="--optimizer_epsilon=0"):
        stage_of("pretrain", "--optimizer_epsilon=0")


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_epsilon_of_every_optimizer_that_has_one(name):
    if name in ("GradientDescent", "Momentum"):
        with pytest.raises(
            UserError, match=f"--optimizer_epsilon=0.25: {name} has no epsilon; Adam, AdamW, Adagrad, RMSProp have"
        ):
            optimizers.make_optimizer(name, 0.1, epsilon=0.25)
    else:
        assert optimizers.make_optimizer(name, 0.1, epsilon=0.25).epsilon == 0.25
        assert optimizers.make_optimizer(name, 0.1).epsilon == optimizers.OPTIMIZERS[name][1]["epsilon"]


def test_a_config_without_the_new_fields_is_as_before():
    model, run = config.ModelConfig("LogisticModel"), config.TrainConfig("dir", "pretrain", "*", 4, 0.1, 1.0, 1000)
    assert loss_of(run, model) == ("CrossEntropyLoss", {}) and described(run, model) == "CrossEntropyLoss"
