"""Flags that choose a model and its hyper-parameters."""

from yt8m.config import VIDEO_PREDICTIONS
from yt8m.flags import values
from yt8m.flags.table import Flag, Group

MODEL = Group(
    "Model",
    (
        Flag("model", str, "Model to train; an unknown name lists the known ones. Default: LogisticModel."),
        Flag(
            "num_classes",
            int,
            "Label ids in the records are below this. Default: as many as --vocabulary_file names; else 3862, or the sample's.",
        ),
        Flag(
            "hyperparameters",
            values.assignments,
            "name=value,... for the model's (or its classifier's) constructor; an unknown name lists the known ones.",
        ),
        Flag("max_frames", int, "Frames read of a video. Default: 300."),
        Flag(
            "segment_expansion",
            int,
            "Frames that the model sees before and after a 5-second segment. Default: a trained model's own; else 3 for the "
            "models of papers 002 and 003 on named data, 0 for the rest.",
        ),
        Flag(
            "video_prediction",
            str,
            "Models of frames: how a video is predicted. whole: all its frames at once. segments_mean: the mean over its "
            "segments of 5 frames, each predicted by itself (paper 004). Default: a trained model's own; else whole.",
            VIDEO_PREDICTIONS,
        ),
        Flag(
            "precision",
            str,
            "Arithmetic. auto: mixed_bfloat16 on a GPU, and for models of frames whose steps were measured to gain by it on a "
            "CPU that multiplies bfloat16 at least 1.5 times as fast as float32; else float32. Default: a trained model's own; "
            "else auto.",
            ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
        ),
    ),
)
# The starter's flags of a model's constructor, and its descendants': what --hyperparameters could say, too.
_STARTER = {
    "video_level_classifier_model": (
        str,
        "Classifier that a frame-level model, or MlpModel, ends in: MoeModel, LogisticModel, SharedGateMoeModel.",
    ),
    "moe_num_mixtures": (int, "Experts of the classifier."),
    "moe_l2": (float, "L2 penalty of MoeModel."),
    "moe_low_rank_gating": (int, "Rank of MoeModel's gates."),
    "moe_probability_gating": (bool, "MoeModel: gate each probability by all of them."),
    "moe_prob_gating": (bool, "Another name of --moe_probability_gating."),
    "moe_prob_gating_input": (str, "What these gates see: probabilities or input."),
    "gating_remove_diag": (bool, "These gates leave out a class's own probability."),
    "num_sets": (int, "Attention sets of MultiAttentionModel."),
    "attention": (str, "How attention is normalised over frames: softmax or sparsemax."),
    "iterations": (int, "Frames sampled of a video in training."),
    "sample_random_frames": (bool, "Sample single frames; --nosample_random_frames: a stretch of frames."),
    "dbof_cluster_size": (int, "Units of DbofModel's cluster layer."),
    "dbof_hidden_size": (int, "Units of its hidden layer."),
    "dbof_pooling_method": (str, "Its pooling: max or average."),
    "dbof_activation": (str, "Its activation: sigmoid, the starter's since August 2019, or relu6, before."),
    "dbof_add_batch_norm": (bool, "Its batch norms."),
    "netvlad_cluster_size": (int, "Clusters of NetVladModel."),
    "netvlad_hidden_size": (int, "Units of its hidden layer."),
    "netvlad_add_batch_norm": (bool, "Its batch norms."),
    "netvlad_relu": (bool, "A ReLU before its gating."),
    "lstm_cells": (int, "Units of LstmModel."),
    "lstm_layers": (int, "Its layers."),
    "gru_cells": (int, "Units of GruModel."),
    "gru_layers": (int, "Its layers."),
}
STARTER = Group(
    "Model, by the starter's flags",
    tuple(Flag(name, kind, f"{meaning} Default: the model's.") for name, (kind, meaning) in _STARTER.items()),
)
EXPECTED = Flag("model", str, "Refuse any other model than this. Default: the train_dir's.")  # of commands that take a train_dir
