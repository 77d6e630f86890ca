"""Models by name: arguments, aliases, errors."""

import pytest

from yt8m import models
from yt8m.errors import UserError


def test_names():
    assert {"AttentionModel", "MultiAttentionModel", "FrameLevelLogisticModel", "LogisticModel", "MoeModel"} <= set(
        models.model_names()
    )


def test_hyperparameters_are_the_models_and_its_heads():
    known = models.hyperparameters("AttentionModel")
    assert known["probability_gating"] is True and known["num_mixtures"] == 2 and known["num_sets"] == 1
    assert models.hyperparameters("MoeModel")["probability_gating"] is False
    assert "num_mixtures" not in models.hyperparameters("AttentionModel", head="LogisticModel")
    assert not {"num_classes", "feature_sizes", "name", "dtype"} & set(known)


@pytest.mark.parametrize("name", ["num_mixtures", "moe_num_mixtures"])
def test_head_options_may_be_given_beside_the_models(name):
    model = models.build_model("AttentionModel", 7, (16,), hidden_size=4, head_options={"l2_penalty": 0.1}, **{name: 5})
    assert model.head_options == {"probability_gating": True, "l2_penalty": 0.1, "num_mixtures": 5}
    assert model.get_layer("head").num_mixtures == 5


def test_one_feature_as_in_audioset():
    model = models.build_model("MultiAttentionModel", 7, [128], num_sets=2, hidden_size=4)
    assert model.reduced_sizes == (64,) and model.attention_sizes == (32,)


def test_default_sizes_are_the_papers():
    model = models.build_model("AttentionModel", 7, hidden_size=4)
    assert model.reduced_sizes == (256, 64) and model.attention_sizes == (128, 32)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("NoModel", {}, "unknown model 'NoModel': use one of .*AttentionModel"),
        ("AttentionModel", {"num_heads": 3}, "unknown hyperparameter 'num_heads' of AttentionModel: use one of .*num_sets"),
        ("LogisticModel", {"num_mixtures": 3}, "unknown hyperparameter 'num_mixtures' of LogisticModel"),
        ("AttentionModel", {"video_level_classifier_model": "X"}, "'X': use one of LogisticModel, MoeModel"),
        ("AttentionModel", {"sampling": "few"}, "sampling='few': use one of random, without_replacement, sequence, every, none"),
        ("AttentionModel", {"reduced_sizes": (3, 3, 3)}, "reduced_sizes"),
        ("AttentionModel", {"num_sets": 0}, "num_sets=0"),
        ("MoeModel", {"num_mixtures": 2, "moe_num_mixtures": 3}, "num_mixtures was given already"),
    ],
)
def test_bad_hyperparameters(name, options, message):
    with pytest.raises(UserError, match=message):
        models.build_model(name, 7, (16, 8), **options)


@pytest.mark.parametrize("name", models.model_names())
@pytest.mark.parametrize("sizes", [(0, (16, 8)), (-1, (16,)), (2.5, (16,)), (7, ()), (7, (16, 0)), (7, "16"), (7, 16)])
def test_bad_sizes(name, sizes):
    with pytest.raises(UserError, match=r"num_classes|feature_sizes"):
        models.build_model(name, *sizes)
