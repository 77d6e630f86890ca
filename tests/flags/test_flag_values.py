"""What a flag's text, or a value given in Python, is read as."""

import pathlib
import re

import numpy as np
import pytest

from tests.commands import given
from yt8m import UserError, flags
from yt8m.export.export import ExportConfig
from yt8m.flags import table
from yt8m.models import model_names
from yt8m.recipes import recipe
from yt8m.timelines.command import Job


def read(**values):
    return flags.read(flags.TRAIN, values)


def test_hyperparameters_keep_commas_in_brackets():
    text = "num_sets=16,reduced_sizes=(64, 32),attention=sparsemax,normalize=false"
    expected = {"num_sets": 16, "reduced_sizes": [64, 32], "attention": "sparsemax", "normalize": False}
    assert given("train", f"--hyperparameters={text}")["hyperparameters"] == expected
    assert read(hyperparameters={**expected, "reduced_sizes": (64, 32)})["hyperparameters"] == expected


def test_hyperparameters_keep_dicts_in_dicts():
    text = 'a={"b": 1, "c": {"d": (2, 3), "e": 4}, "f": [5]},g=6,h={}'
    assert read(hyperparameters=text)["hyperparameters"] == {
        "a": {"b": 1, "c": {"d": (2, 3), "e": 4}, "f": [5]},
        "g": 6,
        "h": {},
    }


def test_hyperparameters_without_a_value_are_refused():
    with pytest.raises(UserError, match="name=value"):
        read(hyperparameters="num_sets")


def test_feature_names_may_have_spaces():
    of_text = given("train", "--feature_names=rgb, audio", "--feature_sizes=1024, 128")
    assert of_text == {"feature_names": ("rgb", "audio"), "feature_sizes": (1024, 128)}
    assert read(feature_names=["rgb", "audio"], feature_sizes=[1024, np.int64(128)]) == of_text


@pytest.mark.parametrize("text", ["head", "head=", "=1", "head=-1", "head=nan", "head=inf", "head=1,head=2"])
def test_bad_multipliers(text):
    with pytest.raises(UserError, match=r"--learning_rate_multipliers=(head|=1)"):
        read(learning_rate_multipliers=text)


def test_multipliers():
    expected = {"segment_encoder": 0.25, "head/experts": 0.0}
    assert read(learning_rate_multipliers="segment_encoder=0.25, head/experts=0")["learning_rate_multipliers"] == expected
    assert read(learning_rate_multipliers=expected)["learning_rate_multipliers"] == expected
    assert read(learning_rate_multipliers="")["learning_rate_multipliers"] == {}
    with pytest.raises(UserError, match="--learning_rate_multipliers=head=-1"):
        read(learning_rate_multipliers={"head": -1})


def test_python_values_and_texts_say_the_same():
    values = {
        "train_dir": pathlib.Path("runs/a"),
        "train_data_pattern": ["a*", "b*"],
        "max_steps": 7,
        "base_learning_rate": 1,
        "segment_labels": True,
        "start_new_model": False,
        "stage": "finetune",
        "teacher_scores": ("a", "b"),
        "em_models": ["A(x=1,y=2)", "B"],
    }
    texts = [
        "--train_dir=runs/a",
        "--train_data_pattern=a*,b*",
        "--max_steps=7",
        "--base_learning_rate=1",
        "--segment_labels",
        "--nostart_new_model",
        "--stage=finetune",
        "--teacher_scores=a, b",
        "--em_models=A(x=1,y=2),B",
    ]
    assert read(**values) == given("train", *texts)
    assert read(**read(**values)) == read(**values)


def test_none_is_not_given():
    assert read(model=None, max_steps=None) == {} == given("train")


@pytest.mark.parametrize(
    "values, words",
    [
        ({"batch_size": "many"}, "--batch_size=many"),
        ({"batch_size": 8.5}, "--batch_size=8.5"),
        ({"base_learning_rate": "fast"}, "--base_learning_rate=fast"),
        ({"segment_labels": "perhaps"}, "--segment_labels=perhaps"),
        ({"stage": "guess"}, "pretrain, mstep, finetune, em"),
        ({"feature_sizes": "big"}, "--feature_sizes=big"),
        ({"feature_sizes": "0"}, "--feature_sizes=0"),
        ({"feature_sizes": 1024}, "--feature_sizes=1024"),
        ({"hyperparameters": 3}, "--hyperparameters=3"),
        ({"batchsize": 3}, "did you mean batch_size"),
        ({"zzz": 3}, "train_data_pattern"),
    ],
)
def test_bad_values_are_one_line(values, words):
    with pytest.raises(UserError) as refused:
        read(**values)
    assert words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "groups",
    [
        flags.TRAIN,
        flags.EVAL,
        flags.INFERENCE,
        flags.SEGMENT_EVAL,
        flags.EXPORT,
        flags.SAMPLE,
        flags.CARD,
        flags.FUSE,
        flags.AVERAGE,
    ],
)
def test_every_flag_of_a_command_stands_once_and_says_what_it_is(groups):
    listed = [flag for group in groups for flag in group.flags]
    assert len(listed) == len(table.by_name(groups))
    assert all(flag.meaning.endswith(".") for flag in listed)


def test_defaults_that_help_names_are_those_that_hold():
    def said(groups, flag):
        return table.by_name(groups)[flag].meaning

    assert said(flags.EXPORT, "batch_size").endswith(f" Default: {ExportConfig.batch_size}.")
    assert said(flags.TIMELINE, "batch_size").endswith(f" Default: {Job.batch_size}.")
    decay = {recipe(model, "pretrain", False)["learning_rate_decay_examples"] for model in model_names()}
    text = said(flags.TRAIN, "learning_rate_decay_examples")
    assert {int(number) for number in re.findall(r"\d{4,}", text)} == decay


def test_a_recipe_is_its_flag_file_and_what_is_given_beside_it_counts():
    file = pathlib.Path(__file__).parents[2] / "configs" / "gru.flags"
    assert given("train", "--recipe=gru") == given("train", f"--flagfile={file}") == read(recipe="gru")
    assert given("train", "--batch_size=3", "--recipe=gru")["batch_size"] == 3
    assert read(recipe="em")["stage"] == "em"


def test_an_unknown_recipe_lists_the_known():
    with pytest.raises(UserError, match=r"--recipe=none: .*multi_attention_moe_8") as refused:
        read(recipe="none")
    assert "\n" not in str(refused.value)


def test_a_recipe_of_another_command():
    with pytest.raises(UserError, match=r"--recipe=gru: --.* is no flag of this command"):
        flags.read(flags.INFERENCE, {"recipe": "gru"})
