"""The flag files of the challenge's other places: whole headers, commands that are understood, models of the published sizes."""

import dataclasses
import re

import numpy as np
import pytest

from tests.test_configs import BEYOND, header, model_config, parse, trainings
from yt8m.recipes.stages import names, stage_config
from yt8m.stages.objective import loss_of, objective_of
from yt8m.training import restore

# Trained values with 1,000 classes (3,862: without --segment_classes_only); those of the sources are in test_parameter_counts.
SIZES = {
    "bert_mean": 73_758_062,
    "softmax_mlp": 9_458_654,
}


@pytest.mark.parametrize("name", BEYOND)
def test_header_and_commands(name):
    text = "\n".join(header(name))
    for part in ("# Source: ", "# Published: ", "# Run:", "# Data: YouTube-8M ", "# Not in the source: "):
        assert part in text, part
    assert all(len(line) <= 130 for line in header(name) if "python " not in line)
    commands_of = list(trainings(name))
    assert commands_of and all(recipe == name for recipe, _ in commands_of)
    for given in (parse(name), *(given for _, given in commands_of)):
        model = model_config(given)
        for stage in names(given, None):
            run = stage_config(given, stage, model.model, None, "dir", "*", "")
            assert objective_of(run, model).loss.get_config() and loss_of(run, model)[0] == model.label_loss


@pytest.mark.usefixtures("no_random_weights")
@pytest.mark.parametrize("name", BEYOND)
def test_the_model_builds(name):
    model = model_config(parse(name))
    if name in SIZES:
        assert sum(int(np.prod(weight.shape)) for weight in restore.build(model).trainable_weights) == SIZES[name]
    else:
        restore.build(dataclasses.replace(model, feature_sizes=(16, 8), label_ids=None, num_classes=7))


def test_the_second_places_loss_is_its_write_ups():
    given = parse("soft_dbof_segments")
    config = objective_of(
        stage_config(given, "finetune", "SoftDbofModel", None, "dir", "*"), model_config(given)
    ).loss.get_config()
    assert {name: config[name] for name in ("positive_weight", "negative_weight", "unrated_weight", "mined_per", "form")} == {
        "positive_weight": 1,
        "negative_weight": 1,
        "unrated_weight": 1,
        "mined_per": "segment",
        "form": "paper",
    }
    assert given["keep_checkpoints"] >= 5 and given["learning_rate_decay"] == 1  # what is averaged


def test_a_mixture_is_distilled_at_a_higher_temperature_when_it_is_fine_tuned():
    of_stages = {given.get("stage", "pretrain"): given for _, given in trainings("mixture_nextvlad")}
    for stage, temperature in (("pretrain", 1), ("finetune", 20)):
        given = of_stages[stage]
        loss = objective_of(stage_config(given, stage, given["model"], None, "dir", "*"), model_config(given)).loss
        assert (loss.temperature, loss.divergence_weight) == (temperature, None)  # None: tau^2


def test_batch_norms_of_slim_have_its_momentum():
    """Those of the second, third and fifth places' code."""
    for name in ("soft_dbof", "soft_dbof_segments", "dbof_five_frames", "mixture_nextvlad"):
        assert model_config(parse(name)).hyperparameters["momentum"] == 0.999, name


def test_pre_training_on_runs_of_five_frames():
    for name in ("dbof_five_frames", "bert_mean"):
        options = model_config(parse(name)).hyperparameters
        assert (options["sampling"], options["num_samples"]) == ("sequence", 5)


def test_the_softmax_is_bagged_over_folds():
    given = parse("softmax_mlp")
    assert (given["folds"], given["all_folds"], given["label_loss"]) == (10, True, "DustbinLoss")
    assert re.search(r"python inference\.py --segment_labels --train_dir=DIR ", "\n".join(header("softmax_mlp")))
