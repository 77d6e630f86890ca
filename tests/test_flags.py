"""How flags become configs."""

import pytest
from absl import flags as absl_flags

from yt8m import config, flags


def parse(*arguments):
    fv = absl_flags.FlagValues()
    for define in (flags.define_features, flags.define_model, flags.define_training, lambda fv: flags.define_output(fv, True)):
        define(fv)
    fv(["train.py", *arguments])
    return fv


def test_hyperparameters_keep_commas_in_brackets():
    fv = parse("--hyperparameters=num_sets=16,reduced_sizes=(64, 32),attention=sparsemax,normalize=false", "--moe_num_mixtures=4")
    assert flags.hyperparameters(fv) == {
        "num_sets": 16,
        "reduced_sizes": [64, 32],
        "attention": "sparsemax",
        "normalize": False,
        "num_mixtures": 4,
    }


def test_hyperparameters_without_a_value_are_refused():
    with pytest.raises(ValueError, match="name=value"):
        flags.hyperparameters(parse("--hyperparameters=num_sets"))


@pytest.mark.parametrize(
    "given, steps, epochs",
    [((), None, 5), (("--max_steps=9",), 9, None), (("--num_epochs=2",), None, 2), (("--max_steps=9", "--num_epochs=2"), 9, 2)],
)
def test_length_of_a_stage(given, steps, epochs):
    stage = flags.stage_config(parse(*given), "pretrain", "dir", "*", "", None, "LogisticModel", None)
    assert (stage.max_steps, stage.num_epochs) == (steps, epochs)
    assert stage.batch_size == 1024 and stage.base_learning_rate == 0.01  # the starter's


def test_export_model_steps_is_save_steps():
    assert flags.stage_config(parse("--export_model_steps=7"), "pretrain", "d", "*", "", None, "X", None).save_steps == 7


def test_feature_names_may_have_spaces():
    assert flags.names_and_sizes(parse("--feature_names=rgb, audio", "--feature_sizes=1024, 128")) == (
        ("rgb", "audio"),
        (1024, 128),
    )


@pytest.mark.parametrize("names, sizes", [("rgb,audio", "1024"), ("rgb", "big"), ("rgb", "0")])
def test_bad_sizes(names, sizes):
    with pytest.raises(ValueError, match="feature_sizes"):
        flags.names_and_sizes(parse(f"--feature_names={names}", f"--feature_sizes={sizes}"))


def test_model_config_round_trip(tmp_path):
    model = config.ModelConfig(
        "MoeModel", {"num_mixtures": 4, "sizes": [1, 2]}, ("a", "b"), (3, 4), label_ids=(1, 5), num_classes=9
    )
    config.write_model_config(str(tmp_path), model)
    assert config.read_model_config(str(tmp_path)) == model


def test_defaults_by_kind_of_model():
    frame = flags.model_config(parse("--model=AttentionModel"), None, None, None)
    video = flags.model_config(parse(), None, None, None)
    assert (frame.feature_names, frame.frame_features, frame.num_classes) == (("rgb", "audio"), True, 3862)
    assert (video.model, video.feature_names, video.feature_sizes, video.frame_features) == (
        "LogisticModel",
        ("mean_rgb",),
        (1024,),
        False,
    )
