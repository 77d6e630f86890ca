"""How flags become configs."""

import pytest
from absl import flags as absl_flags

from yt8m import config, flags, models


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


def test_hyperparameters_keep_dicts_in_dicts():
    fv = parse('--hyperparameters=a={"b": 1, "c": {"d": (2, 3), "e": 4}, "f": [5]},g=6,h={}')
    assert flags.hyperparameters(fv) == {"a": {"b": 1, "c": {"d": (2, 3), "e": 4}, "f": [5]}, "g": 6, "h": {}}


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


def pretraining(*arguments, model="LogisticModel", sample=None):
    return flags.stage_config(parse(*arguments), "pretrain", "dir", "*", "", sample, model, None)


def test_optimizer_flags_override_the_recipe():
    stage = pretraining(
        "--optimizer=Adam",
        "--schedule=cosine",
        "--weight_decay=0",
        "--warmup_fraction=0.1",
        "--final_learning_rate_fraction=0",
        "--ema_momentum=0.99",
        "--clip=variable",
        "--learning_rate_multipliers=segment_encoder=0.25, head/experts=0",
        model="ContextAwareModel",
    )
    assert (stage.optimizer, stage.schedule, stage.weight_decay) == ("Adam", "cosine", 0.0)
    assert (stage.warmup_fraction, stage.final_learning_rate_fraction, stage.ema_momentum) == (0.1, 0.0, 0.99)
    assert (stage.clip, stage.clip_gradient_norm) == ("variable", 10.0)
    assert stage.learning_rate_multipliers == {"segment_encoder": 0.25, "head/experts": 0.0}


def test_multipliers_not_given_are_the_models_own_and_given_empty_are_none():
    assert pretraining().learning_rate_multipliers is None
    assert pretraining("--learning_rate_multipliers=").learning_rate_multipliers == {}


@pytest.mark.parametrize("text", ["head", "head=", "=1", "head=-1", "head=nan", "head=inf", "head=1,head=2"])
def test_bad_multipliers(text):
    with pytest.raises(ValueError, match=r"--learning_rate_multipliers=(head|=1)"):
        pretraining(f"--learning_rate_multipliers={text}")


@pytest.mark.parametrize(
    "argument",
    ["--weight_decay=-0.1", "--ema_momentum=1", "--ema_momentum=-0.5", "--warmup_fraction=1.5", "--warmup_fraction=nan",
     "--final_learning_rate_fraction=-1", "--clip_gradient_norm=-1", "--devices=-1"],
)  # fmt: skip
def test_training_values_out_of_range(argument):
    with pytest.raises(ValueError, match=argument.split("=")[0]):
        pretraining(argument)


def test_segment_expansion():
    assert flags.model_config(parse("--model=CnnModel", "--segment_expansion=2"), None, None, None).segment_expansion == 2
    base = config.ModelConfig("NeXtVladModel", segment_expansion=1)
    assert flags.model_config(parse(), base, None, None).segment_expansion == 1
    assert flags.model_config(parse("--segment_expansion=0"), base, None, None).segment_expansion == 0
    with pytest.raises(ValueError, match="--segment_expansion=-1"):
        flags.model_config(parse("--segment_expansion=-1"), None, None, None)


def test_the_starters_model_flags():
    fv = parse("--dbof_cluster_size=4096", "--iterations=20", "--nosample_random_frames", "--dbof_pooling_method=average",
               "--moe_prob_gating", "--moe_num_mixtures=3")  # fmt: skip
    assert flags.hyperparameters(fv) == {
        "cluster_size": 4096, "num_samples": 20, "sampling": "sequence", "pooling_method": "average",
        "probability_gating": True, "num_mixtures": 3,
    }  # fmt: skip
    model = models.build_model("DbofModel", 7, (16, 8), **{**flags.hyperparameters(fv), "cluster_size": 16, "hidden_size": 8})
    assert (model.num_samples, model.sampling, model.pooling_method) == (20, "sequence", "average")
