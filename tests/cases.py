"""The arguments that each registered layer and model is tested with; one that is registered and not here fails the tests."""

import dataclasses
import importlib
import pkgutil
import typing

import pytest

import yt8m.layers
import yt8m.models
from tests.harness import (
    CLASSES,
    FRAMES,
    SIZES,
    asked_frames,
    conditioned_frames,
    counted_frames,
    cut_frames,
    frame_features,
    frames_batch,
    masked_frames,
    random_floats,
    vectors,
)
from yt8m import registry

for _module in pkgutil.iter_modules(yt8m.layers.__path__):
    importlib.import_module(f"yt8m.layers.{_module.name}")


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A layer's constructor arguments and what it is called with; `weights`: its number of values, all counted."""

    name: str
    arguments: dict
    inputs: typing.Callable[[], dict]
    weights: int

    def build(self):
        return registry.get("layer", self.name)(**self.arguments)


@dataclasses.dataclass(frozen=True)
class ModelCase:
    """A model's hyper-parameters; CLASSES and SIZES are given to all."""

    name: str
    arguments: dict

    def build(self):
        return yt8m.models.build_model(self.name, CLASSES, SIZES, **self.arguments)


LAYERS = [
    LayerCase("AttentionOfSegments", {}, lambda: {"weights": random_floats(9, 5, 2, 3), **frames_batch()}, 0),
    LayerCase("BatchNormalization", {}, masked_frames, 4 * 16),
    LayerCase("BatchNormalization", {"momentum": 0.5, "epsilon": 1e-5}, frame_features, 4 * 16),
    LayerCase("BlockDense", {"units": 5, "blocks": 3}, vectors, 17 * 5),
    LayerCase("BlockDense", {"units": 5, "use_bias": False, "stddev": 1.0}, lambda: {"x": random_floats(3, 4, 16)}, 16 * 5),
    LayerCase("BottleneckGating", {"reduction": 5}, vectors, 16 * 3 + 4 * 3 + 3 * 16),
    LayerCase("ContextGating", {}, vectors, 16 * 16 + 4 * 16),
    LayerCase("ContextGating", {"use_batch_norm": False}, vectors, 16 * 16 + 16),
    LayerCase("Dequantize", {}, frames_batch, 0),
    LayerCase("Dequantize", {"normalize": True, "min_value": -1.0}, frames_batch, 0),
    LayerCase("FrameMask", {}, frames_batch, 0),
    LayerCase("FramePlaces", {"skip_head": 2, "skip_tail": 1}, cut_frames, 0),
    LayerCase("FramePooling", {}, masked_frames, 0),
    LayerCase("FramePooling", {"method": "both"}, masked_frames, 0),
    LayerCase("FrameSampling", {"num_samples": 6, "seed": 1}, frames_batch, 0),
    LayerCase(
        "FrameSampling", {"method": "every", "skip_head": 2, "skip_tail": 1, "stride": 3, "whole_up_to": 4}, frames_batch, 0
    ),
    LayerCase("FrameSampling", {"method": "without_replacement", "num_samples": 6, "skip_head": 2}, frames_batch, 0),
    LayerCase("FrameSampling", {"method": "sequence", "num_samples": 6, "inference_seed": 2}, frames_batch, 0),
    LayerCase(
        "GatedAttentionPooling",
        {"reduced_size": 6, "attention_size": 4, "num_sets": 3},
        masked_frames,
        16 * 6 + 4 * 6 + 2 * 6 * 4 * 3 + 4 * 3,
    ),
    LayerCase(
        "GatedAttentionPooling",
        {"reduced_size": 6, "attention_size": 4, "attention": "sparsemax"},
        masked_frames,
        16 * 6 + 4 * 6 + 2 * 6 * 4 + 4,
    ),
    LayerCase("ClassAttention", {"num_heads": 3}, asked_frames, 16 * 3),
    LayerCase("GRU", {"units": 3}, masked_frames, (16 + 3) * 9 + 2 * 9),
    LayerCase("GRU", {"units": 3, "reset_after": False, "return_sequences": True}, masked_frames, (16 + 3) * 9 + 9),
    LayerCase("ConditionedLSTM", {"units": 3, "backwards": True}, conditioned_frames, (16 + 5 + 3) * 12 + 12),
    LayerCase("GaussianNoise", {"stddev": 0.1}, frame_features, 0),
    LayerCase("GatedSum", {}, lambda: {"members": random_floats(3, 2, 5), "x": random_floats(3, 16)}, 4 * 16 + 17 * 2),
    LayerCase("LSTM", {"units": 3, "go_backwards": True, "return_state": True}, masked_frames, (16 + 3) * 12 + 12),
    LayerCase("LogisticHead", {"num_classes": CLASSES}, vectors, 17 * 7),
    LayerCase("MixtureOfExperts", {"num_classes": CLASSES}, vectors, 16 * 21 + 17 * 14),
    LayerCase(
        "MixtureOfExperts",
        {"num_classes": CLASSES, "num_mixtures": 3, "probability_gating": True, "remove_diagonal": True},
        vectors,
        16 * 28 + 17 * 21 + 7 * 7 + 4 * 7,
    ),
    LayerCase(
        "MixtureOfExperts",
        {"num_classes": CLASSES, "probability_gating": True, "gating_input": "input", "low_rank_gates": 5},
        vectors,
        16 * 5 + 5 * 21 + 17 * 14 + 16 * 7 + 4 * 7,
    ),
    LayerCase(
        "MixtureOfExperts",
        {"num_classes": CLASSES, "probability_gating": True, "gating_rank": 2, "remove_diagonal": True},
        lambda: {"x": random_floats(3, 4, 16)},
        16 * 21 + 17 * 14 + 2 * 7 * 2 + 4 * 7,
    ),
    LayerCase("MeanOfSegments", {}, lambda: {"x": random_floats(9, 16), **frames_batch((12, 12, 12))}, 0),
    LayerCase("NeXtVlad", {"cluster_size": 6, "groups": 4}, masked_frames, 17 * 32 + 33 * 4 + 32 * 24 + 4 * 6 + 5 * 6 * 8),
    LayerCase(
        "NeXtVlad",
        {"cluster_size": 3, "groups": 2, "assignment_norm": "cluster_group", "cluster_dropout": 0.0},
        masked_frames,
        17 * 32 + 33 * 2 + 32 * 6 + 4 * 6 + 5 * 3 * 16,
    ),
    LayerCase(
        "NeXtVlad",
        {"cluster_size": 3, "groups": 3, "expansion": 3, "assignment_norm": "none", "alpha": 1.0},
        masked_frames,
        17 * 48 + 49 * 3 + 49 * 9 + 5 * 3 * 16,
    ),
    LayerCase("NetVlad", {"cluster_size": 5}, masked_frames, 16 * 5 + 4 * 5 + 5 * 16),
    LayerCase("NetVlad", {"cluster_size": 5, "variant": "lightvlad", "use_batch_norm": False}, masked_frames, 17 * 5),
    LayerCase("NetVlad", {"cluster_size": 5, "variant": "vlagd"}, masked_frames, 16 * 5 + 4 * 5 + 5 * 16),
    LayerCase("PositionEncoding", {}, frame_features, 0),
    LayerCase("PositionEncoding", {"kind": "learned", "max_length": 10}, frame_features, 10 * 16),
    LayerCase("SEContextGating", {"reduction": 5}, masked_frames, 4 * 16 + 17 * 3 + 4 * 3 + 4 * 16),
    LayerCase("SegmentMean", {}, counted_frames, 0),
    LayerCase("SegmentSplit", {}, frames_batch, 0),
    LayerCase("SegmentMean", {"segment_size": 7}, counted_frames, 0),
    LayerCase("SharedGateMixtureOfExperts", {"num_classes": CLASSES}, vectors, 2 * 4 * 16 + 17 * 28 + 17 * 5),
    LayerCase(
        "SharedGateMixtureOfExperts",
        {"num_classes": CLASSES, "num_mixtures": 2, "dropout": 0.0},
        masked_frames,
        2 * 4 * 16 + 17 * 14 + 17 * 3,
    ),
    LayerCase("SoftmaxHead", {"num_classes": CLASSES}, vectors, 17 * 8),
    LayerCase("SoftmaxHead", {"num_classes": CLASSES, "dustbin": False, "l2_penalty": 1e-3}, vectors, 17 * 7),
    LayerCase(
        "TransformerBlock", {"activation": "gelu", "dropout": 0.1, "kernel_stddev": 0.02}, masked_frames, 6 * 17 * 16 + 2 * 2 * 16
    ),
    LayerCase("TransformerBlock", {}, masked_frames, 5 * 17 * 16 + 2 * 2 * 16),
    LayerCase(
        "TransformerBlock", {"num_heads": 4, "feed_forward_size": 24}, masked_frames, 4 * 17 * 16 + 17 * 24 + 25 * 16 + 2 * 2 * 16
    ),
    LayerCase("Unwhiten", {"size": 10}, lambda: {**masked_frames(), "x": random_floats(3, FRAMES, 16) / 4}, 0),
    LayerCase("WeightedPooling", {}, masked_frames, 16),
    LayerCase("WeightedPooling", {"method": "last"}, masked_frames, 0),
]
_ATTENTION = {"hidden_size": 10, "reduced_sizes": (6, 4), "attention_sizes": (4, 3)}
_DBOF = {"cluster_size": 20, "hidden_size": 10}
_PAPER_002 = {"hidden_size": 12, "skip_head": 1, "skip_tail": 1, "num_samples": 8, "head_options": {"dropout": 0.1}}
_GATED = {**_PAPER_002, "cluster_size": 20, "dropout": 0.1}
_NEXTVLAD = {**_PAPER_002, "cluster_size": 4, "groups": 4, "cluster_dropout": 0.1}
_MIXTURE = {"cluster_size": 4, "groups": 4, "hidden_size": 12, "reduction": 4, "dropout": 0.1}
_LEVELS = {"frame_size": 12, "attention_size": 3, "clip_size": 10}
_CNN = {"num_filters": (4, 3, 5)}
_CONTEXT = {
    "context_options": {"cluster_size": 20, "hidden_size": 12},
    "segment_options": {"cluster_size": 4, "groups": 4, "hidden_size": 12, "sampling": "none", "cluster_dropout": 0.0},
    "hidden_size": 10,
    "dropout": 0.1,
}
_JOINT = {
    "context_options": {"cluster_size": 5, "hidden_size": 10},
    "segment_options": {"cluster_size": 4, "hidden_size": 8, "sampling": "none"},
    "hidden_size": 10,
}
MODELS = [
    ModelCase("AttentionModel", _ATTENTION),
    ModelCase("AttentionModel", {**_ATTENTION, "attention": "sparsemax", "sampling": "none", "normalize": False}),
    ModelCase("AttentionModel", {"hidden_size": 10, "video_level_classifier_model": "LogisticModel", "sampling": "every"}),
    ModelCase("AttentionModel", {**_ATTENTION, "video_prediction": "segments_mean"}),
    ModelCase("BertModel", {"num_heads": 4, "feed_forward_size": 20}),
    ModelCase(
        "BertModel",
        {
            "num_heads": 4,
            "feed_forward_size": 20,
            "pooling": "attention",
            "num_mixtures": 2,
            "num_blocks": 1,
            "sampling": "none",
            "normalize": False,
        },
    ),
    ModelCase("BiGruModel", {"units": 6}),
    ModelCase("BiGruModel", {"units": 6, "num_layers": 1, "reset_after": True, "video_level_classifier_model": "MoeModel"}),
    ModelCase("CnnLstmModel", {**_CNN, "units": 6}),
    ModelCase("CnnModel", _CNN),
    ModelCase("CnnModel", {**_CNN, "widths": (2, 1, 4), "sampling": "sequence", "num_samples": 8, "normalize": False}),
    ModelCase("ContextAwareModel", {**_CONTEXT, "context_num_samples": 6, "head_options": {"dropout": 0.1}}),
    ModelCase(
        "ContextAwareModel",
        {
            **_CONTEXT,
            "segment_layer": None,
            "reduction": None,
            "context_sampling": "none",
            "video_level_classifier_model": "LogisticModel",
        },
    ),
    ModelCase("DbofModel", {**_DBOF, "iterations": 5}),
    ModelCase("DbofModel", {**_DBOF, "iterations": 5, "sample_at_inference": True, "inference_seed": 3}),
    ModelCase(
        "DbofModel",
        {**_DBOF, "sampling": "sequence", "add_batch_norm": False, "pooling_method": "average", "activation": "relu6"},
    ),
    ModelCase("FrameLevelLogisticModel", {}),
    ModelCase("FrameLevelLogisticModel", {"video_prediction": "segments_mean"}),
    ModelCase("GatedDbofModel", _GATED),
    ModelCase("GatedDbofModel", {**_GATED, "sampling": "every", "num_mixtures": 5, "normalize": True}),
    ModelCase("GruModel", {"gru_cells": 6}),
    ModelCase("GruModel", {"gru_cells": 6, "gru_layers": 1, "reset_after": False, "normalize": False}),
    ModelCase("JointContextModel", _JOINT),
    ModelCase("JointContextModel", {**_JOINT, "share_segment_encoder": True, "context_sampling": "sequence"}),
    ModelCase("LogisticModel", {}),
    ModelCase("LstmModel", {"lstm_cells": 6}),
    ModelCase("MixtureModel", {**_MIXTURE, "num_branches": 2, "input_scale": "l2", "sampling": "sequence", "num_samples": 5}),
    ModelCase("MixtureModel", {**_MIXTURE, "num_branches": 1, "num_mixtures": 2, "input_scale": "unwhiten"}),
    ModelCase("MoeModel", {"moe_num_mixtures": 3, "normalize": False}),
    ModelCase("MoeModel", {"probability_gating": True}),
    ModelCase("MultiAttentionModel", {**_ATTENTION, "num_sets": 3, "num_samples": 8, "overlap_penalty": 0.1}),
    ModelCase("MultiAttentionModel", {**_ATTENTION, "num_sets": 2, "attention": "sparsemax", "noise": 0}),
    ModelCase("MultiLevelAttentionModel", {**_LEVELS, "num_sets": 2, "frame_layers": 2, "frame_dropout": 0.1}),
    ModelCase("MultiLevelAttentionModel", {**_LEVELS, "num_sets": 0, "frame_layers": 0, "clip_layers": 1, "normalize": True}),
    ModelCase("MultiLevelAttentionModel", {**_LEVELS, "num_branches": 2}),
    ModelCase("NeXtVladModel", _NEXTVLAD),
    ModelCase("NeXtVladModel", {**_NEXTVLAD, "fusion": "early", "assignment_norm": "none", "normalize": False, "alpha": 1.0}),
    ModelCase(
        "NeXtVladModel",
        {
            **_NEXTVLAD,
            "other_groups": 2,
            "assignment_norm": "cluster_group",
            "cluster_dropout": 0.0,
            "dropout": 0.3,
            "sampling": "none",
            "video_level_classifier_model": "MoeModel",
            "head_options": {},
        },
    ),
    ModelCase("NeXtVladModel", {**_NEXTVLAD, "video_prediction": "segments_mean"}),
    ModelCase("NetVladModel", {"cluster_size": 5, "hidden_size": 10}),
    ModelCase("NetVladModel", {"cluster_size": 5, "hidden_size": 10, "lightvlad": True, "relu": True, "gating": False}),
    ModelCase(
        "NetVladModel", {"cluster_size": 5, "hidden_size": 10, "vlagd": True, "add_batch_norm": False, "reduced_sizes": (6, 4)}
    ),
    ModelCase("MlpModel", {"hidden_size": 10, "input_dropout": 0.1}),
    ModelCase("MlpModel", {"hidden_size": 10, "num_branches": 2}),
    ModelCase(
        "MlpModel",
        {
            "hidden_size": 10,
            "num_layers": 2,
            "activation": "swish",
            "gating": True,
            "hidden_dropout": 0.0,
            "normalize": False,
            "video_level_classifier_model": "MoeModel",
        },
    ),
    ModelCase("SharedGateMoeModel", {"num_mixtures": 2, "dropout": 0.1}),
    ModelCase("SoftDbofModel", {"cluster_size": 24, "hidden_size": 10, "sampling": "sequence", "num_samples": 5}),
    ModelCase(
        "SoftDbofModel",
        {
            "cluster_size": 24,
            "hidden_size": 10,
            "use_max": True,
            "other_reduction": 3,
            "normalize": False,
            "video_level_classifier_model": "LogisticModel",
        },
    ),
    ModelCase("SoftmaxMlpModel", {"hidden_sizes": (10, 6)}),
    ModelCase("SoftmaxMlpModel", {"hidden_sizes": (10,), "dustbin": False, "l2_penalty": 0.0, "normalize": True}),
    ModelCase("TransformerModel", {}),
    ModelCase("TransformerModel", {"fusion": "late", "num_heads": 4, "position": "learned", "feed_forward_size": 20}),
    ModelCase(
        "TransformerModel",
        {
            "position": "sinusoidal",
            "num_blocks": 1,
            "video_level_classifier_model": "MoeModel",
            "probability_gating": True,
            "segment_size": 4,
        },
    ),
]


def case_id(case):
    return "-".join([case.name, *(f"{k}={v}" for k, v in case.arguments.items())])


def first_of_each_model(values):
    """parametrize of `case` with some ModelCases, of which the further ones of a model are slow."""
    names = [case.name for case in values]
    marks = [[] if names.index(name) == place else pytest.mark.slow for place, name in enumerate(names)]
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=case_id(case), marks=of_case) for case, of_case in zip(values, marks)]
    )


def missing(kind, cases):
    """Registered names that no case tests."""
    return sorted(set(registry.names(kind)) - {case.name for case in cases})
