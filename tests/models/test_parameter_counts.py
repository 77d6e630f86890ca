"""The exact number of trainable values of every model at its published size."""

import numpy as np
import pytest

from yt8m import models

pytestmark = pytest.mark.usefixtures("no_random_weights")

# (model, classes, hyper-parameters) -> trainable values. Known of the systems of papers 000, 001: 37.28 M and 37.77 M (MoE),
# 6.53 M and 7.02 M (logistic) for 3862 classes; 8.70 M, 9.19 M (MoE) and 3.60 M (logistic, one set) for 1000. Paper 002,
# tables 1 and 2, 1000 classes: gated DBoF 36 M, 38 M with 5 experts; NeXtVLAD 26 M with 32 groups, 33 M with 16.
# Its table 5, context-aware: 37 M of 65 M, 35 M of 59 M and 43 M of 67 M.
LOGISTIC = {"video_level_classifier_model": "LogisticModel"}
AWARE = [
    ({"context_model": "GatedDbofModel", "segment_model": "NeXtVladModel"}, 36_867_507, 64_766_579),
    ({"context_model": "NeXtVladModel", "segment_model": "NeXtVladModel", "reduction": None}, 34_762_675, 59_175_699),
    ({"context_model": "NeXtVladModel", "segment_model": "GatedDbofModel", "segment_layer": None}, 42_445_267, 66_876_531),
]
SMALL_VLAD = {"context_options": {"cluster_size": 8}, "segment_options": {"cluster_size": 8}}
_SMALL_BRANCH = {"cluster_size": 16, "hidden_size": 256, "reduction": 8}
_VLAD = 2 * 1152 + 2 * 8 * (1152 + 2) + (8 * 1152 + 1) * 1024 + (1024 + 2) * 1024  # NetVladModel of 8 clusters without head
_JOIN, _MOE = (2 * 1024 + 1 + 2) * 1024, 1024 * 3000 + 1025 * 2000
# MultiLevelAttentionModel of AudioSet's 128 features: the frames and 512 units on each, 4 attentions and 2 statistics of both.
_ATTENTIONS = (128 + 512) * 128 + 2 * (2 * 128 + 2 * 128 * 64 * 4 + 64 * 4)
_CLIP = 2 * 6 * 640 + (6 * 640 + 2) * 1024 + (1024 + 2) * 1024
_SOFT_BAGS = 2 * 1152 + (1024 + 2) * 4000 + (128 + 2) * 500 + (4500 + 1) * 1024  # SoftDbofModel without head
_LEVELS = 2 * 128 + (128 + 2) * 512 + _ATTENTIONS + _CLIP + (2 * 1024 + 1) * 527
COUNTS = [
    ("AttentionModel", 3862, {}, 37_279_324),
    ("AttentionModel", 3862, LOGISTIC, 6_533_942),
    ("AttentionModel", 1000, {}, 8_699_392),
    ("AttentionModel", 1000, LOGISTIC, 3_600_392),
    ("MultiAttentionModel", 3862, {}, 37_767_868),
    ("MultiAttentionModel", 3862, LOGISTIC, 7_022_486),
    ("MultiAttentionModel", 1000, {}, 9_187_936),
    ("MultiAttentionModel", 1000, LOGISTIC, 4_088_936),
    ("MultiLevelAttentionModel", 527, {"feature_sizes": (128,)}, _LEVELS),
    ("MultiLevelAttentionModel", 527, {"feature_sizes": (128,), "num_branches": 3}, 3 * _LEVELS),
    ("FrameLevelLogisticModel", 3862, {}, 1153 * 3862),
    ("LogisticModel", 3862, {}, 1153 * 3862),
    ("MoeModel", 3862, {}, 1152 * 3 * 3862 + 1153 * 2 * 3862),
    ("MlpModel", 1000, {}, 1152 * 2048 + 2 * 2048 + 2049 * 1000),
    ("MlpModel", 1000, {"num_branches": 3}, 3 * (1152 * 2048 + 2 * 2048 + 2049 * 1000)),
    ("SharedGateMoeModel", 1000, {}, 2 * 2 * 1152 + 1153 * 4000 + 1153 * 5),
    ("DbofModel", 1000, {}, 2 * 1152 + (1152 + 2) * 8192 + (8192 + 2) * 1024 + 1024 * 3000 + 1025 * 2000),
    ("GatedDbofModel", 1000, {}, 36_043_685),
    ("GatedDbofModel", 1000, {"num_mixtures": 5}, 38_094_734),
    ("NeXtVladModel", 1000, {"groups": 32}, 25_909_925),
    ("NeXtVladModel", 1000, {"groups": 16}, 32_570_757),
    ("NetVladModel", 1000, {"cluster_size": 64}, 81_821_136),
    ("CnnModel", 1000, {}, (1 * 1024 + 2 * 1024 + 3 * 2048) * 1152 + 4096 * 3000 + 4097 * 2000),
    ("CnnLstmModel", 1000, {}, 6 * 1024 * 1152 + 4 * 1024 * (3072 + 1024 + 1) + 1024 * 3000 + 1025 * 2000),
    ("LstmModel", 3862, {}, 4 * 1024 * (1152 + 1024 + 1 + 2048 + 1) + 1024 * 3 * 3862 + 1025 * 2 * 3862),
    ("GruModel", 1000, {}, 3 * 1024 * (1152 + 1024 + 2 + 2048 + 2) + 1024 * 3000 + 1025 * 2000),
    ("BiGruModel", 1000, {}, 2 * 3 * 512 * (1152 + 512 + 1 + 1024 + 1) + 1025 * 1000),
    ("TransformerModel", 1000, {}, 2 * (5 * 1153 * 1152 + 4 * 1152) + 1153 * 1000),
    ("TransformerModel", 1000, {"fusion": "late"}, 10 * (1025 * 1024 + 129 * 128) + 8 * 1152 + 1153 * 1000),
    *(("ContextAwareModel", 1000, options, trainable) for options, trainable, _ in AWARE),
    ("BertModel", 3862, {}, 73_758_062),  # the 9th place's code, as the next two
    ("BertModel", 1000, {}, 37_476_488),
    ("BertModel", 1000, {"num_mixtures": 2}, 30_561_488),
    ("SoftDbofModel", 1000, {}, _SOFT_BAGS + 1024 * 3000 + 1025 * 2000),
    ("SoftmaxMlpModel", 1000, {"dustbin": False}, 9_456_991),  # as published
    ("SoftmaxMlpModel", 1000, {}, 9_456_991 + 1663),
    ("MixtureModel", 3862, {"num_branches": 1, "reduction": 8}, 88_889_378),  # the third place's, all of these
    ("MixtureModel", 54, {"num_branches": 1, **_SMALL_BRANCH}, 3_644_610),
    ("MixtureModel", 54, _SMALL_BRANCH, 10_939_593),
    ("JointContextModel", 1000, SMALL_VLAD, 2 * _VLAD + _JOIN + 2 * _MOE),
    ("JointContextModel", 1000, {**SMALL_VLAD, "share_segment_encoder": True}, _VLAD + _JOIN + 2 * _MOE),
]


@pytest.mark.parametrize("name, num_classes, options, count", COUNTS)
def test_parameter_count(name, num_classes, options, count):
    model = models.build_model(name, num_classes, **options)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == count


def count(num_classes, **options):
    model = models.build_model("MixtureModel", num_classes, **options)
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    "num_classes, options, expected",
    [
        (1000, {"num_branches": 1, "reduction": 8}, 83_025_140),
        (3862, {"num_branches": 1}, 88_364_834),
        (3862, {"num_branches": 1, "cluster_size": 112}, 78_643_170),
        (3862, {}, 265_100_265),
        (1000, {}, 247_507_551),
        (3862, {"cluster_size": 112}, 235_935_273),
    ],
)
def test_mixtures_at_their_published_sizes(num_classes, options, expected):
    assert count(num_classes, **options) == expected


def test_two_levels_of_mixtures():
    """4 x 3 branches have 1,060,407,976 values, 4 GB: the same sum at a small size."""
    first, second = 2 * 1152 + 1153 * 3, 2 * 1152 + 1153 * 4  # the gates
    branch = count(54, num_branches=1, **_SMALL_BRANCH)
    assert count(54, num_mixtures=4, **_SMALL_BRANCH) == 4 * (3 * branch + first) + second
    assert 4 * (3 * 88_364_834 + first) + second == 1_060_407_976


@pytest.mark.parametrize("options, trainable, total", AWARE)
def test_frozen_context_counts_in_the_total_only(options, trainable, total):
    model = models.build_model("ContextAwareModel", 1000, **options)
    assert sum(int(np.prod(w.shape)) for w in model.weights) == total


def test_every_model_is_in_the_table():
    assert {name for name, *_ in COUNTS} == set(models.model_names())
