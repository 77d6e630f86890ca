"""The command line: every flag of the commands, their --help, and how flags become configs. Only this file knows absl."""

import ast
import contextlib
import dataclasses
import importlib
import inspect
import os
import sys
import tempfile
import textwrap

from absl import flags

from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.files import write_text

# The starter's flags of a model's constructor, and its descendants': what --hyperparameters could say, too.
MODEL_FLAGS = {
    "video_level_classifier_model": (
        str,
        "Classifier that a frame-level model ends in: MoeModel, LogisticModel, SharedGateMoeModel.",
    ),
    "moe_num_mixtures": (int, "Experts of the classifier."),
    "moe_l2": (float, "L2 penalty of MoeModel."),
    "moe_low_rank_gating": (int, "Rank of MoeModel's gates."),
    "moe_probability_gating": (bool, "MoeModel: gate each probability by all of them."),
    "moe_prob_gating": (bool, "The same."),
    "moe_prob_gating_input": (str, "What these gates see: probabilities or input."),
    "gating_remove_diag": (bool, "These gates leave out a class's own probability."),
    "num_sets": (int, "Attention sets of MultiAttentionModel."),
    "attention": (str, "How attention is normalised over frames: softmax or sparsemax."),
    "iterations": (int, "Frames sampled of a video in training."),
    "sample_random_frames": (bool, "Sample single frames; --nosample_random_frames: a stretch of frames."),
    "dbof_cluster_size": (int, "Units of DbofModel's cluster layer."),
    "dbof_hidden_size": (int, "Units of its hidden layer."),
    "dbof_pooling_method": (str, "Its pooling: max or average."),
    "dbof_activation": (str, "Its activation: relu6 or sigmoid."),
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


# Fields of training.augmentation.Augmentation.
AUGMENTATION_FLAGS = {
    "virtual_segments": (float, "alpha of Beta(alpha, alpha): rows are mixed with others, their labels and weights too. 0: off."),
    "reverse": (float, "Chance that a row's frames come in reverse."),
    "drop_frames": (float, "Chance that a frame is left out."),
    "drop_segments": (float, "pretrain: chance that 5 seconds are left out."),
    "noise": (float, "Standard deviation of noise on the dequantised features."),
    "subsample": (int, "Keep every n-th frame, from a random one on. 1: all."),
}
# Fields of TrainConfig that an entry of --em_models may set.
EM_TRAINING = ("base_learning_rate", "batch_size", "optimizer", "weight_decay", "schedule", "max_steps", "num_epochs")


def define_files(fv, *names):
    """Flags that name what is read: `names` are this command's data patterns."""
    patterns = {
        "train_data_pattern": "Training shards: a glob, a comma-separated list of them, gs:// too. Rated (version 3) shards for "
        "--stage=finetune. Not given: the built-in sample, made on first use.",
        "eval_data_pattern": "Shards to evaluate on: a glob or a comma-separated list. Not given: the built-in sample's held-out "
        "shards, if the model was trained on the sample.",
        "input_data_pattern": "Shards to predict: a glob or comma-separated globs. Not given: the built-in sample's test shards, "
        "if the model was trained on the sample.",
    }
    for name in names:
        flags.DEFINE_string(name, None, patterns[name], fv, module_name="Data")


def define_features(fv):
    """Flags that say how a record is read, in every command that reads features."""
    group = {"flag_values": fv, "module_name": "Data"}
    flags.DEFINE_string(
        "feature_names",
        None,
        "Features of a record, in order. Default: rgb,audio for frame-level models, "
        "mean_rgb for video-level ones; a trained model's own.",
        **group,
    )
    flags.DEFINE_string("feature_sizes", None, "Length of each. Default: 1024,128 and 1024; a trained model's own.", **group)
    flags.DEFINE_bool(
        "frame_features",
        None,
        "The shards are frame level (tf.SequenceExample), not video level (tf.Example). Default: what the model takes.",
        **group,
    )
    flags.DEFINE_bool("segment_labels", None, "Work on 5-second segments and their ratings instead of whole videos.", **group)
    flags.DEFINE_string(
        "segment_label_ids_file",
        None,
        "File or URL with the label ids of the segment classes. Default: the "
        "1,000 of YouTube-8M, fetched once and cached; the sample's own.",
        **group,
    )
    flags.DEFINE_string("id_feature", None, "Name of a record's id in its context. Default: id.", **group)
    flags.DEFINE_integer("num_readers", 2, "Batches that are read and decoded at the same time.", **group)
    flags.DEFINE_integer(
        "batch_size",
        None,
        "Rows a batch (in training: a device). Default in training: by recipe, see docs/training.md; else 128.",
        **group,
    )


def define_model(fv):
    """Flags that choose a model."""
    group = {"flag_values": fv, "module_name": "Model"}
    flags.DEFINE_string("model", None, "Model to train; an unknown name lists the known ones. Default: LogisticModel.", **group)
    flags.DEFINE_integer("num_classes", None, "Label ids in the records are below this. Default: 3862, or the sample's.", **group)
    flags.DEFINE_string(
        "hyperparameters",
        None,
        "name=value,... for the model's (or its classifier's) constructor; an unknown name lists the known ones.",
        **group,
    )
    flags.DEFINE_integer("max_frames", None, "Frames read of a video. Default: 300.", **group)
    flags.DEFINE_integer(
        "segment_expansion",
        None,
        "Frames that the model sees before and after a 5-second segment. Default: a trained model's own; else 3 for the "
        "models of papers 002 and 003 on named data, 0 for the rest.",
        **group,
    )
    flags.DEFINE_enum(
        "precision",
        None,
        ["float32", "mixed_bfloat16", "mixed_float16"],
        "Arithmetic. Default: mixed_bfloat16 on a GPU, float32 on a CPU.",
        **group,
    )
    define = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}
    for name, (kind, text) in MODEL_FLAGS.items():
        define[kind](name, None, f"{text} Default: the model's.", flag_values=fv, module_name="Model, by the starter's flags")


def define_training(fv):
    """Flags of train.py's training."""
    group = {"flag_values": fv, "module_name": "Training"}
    flags.DEFINE_enum(
        "stage",
        None,
        [*configs.STAGES, "em"],
        "pretrain: whole videos. finetune: rated segments, from --init_checkpoint "
        "or the train_dir's pre-trained model. Default: finetune with --segment_labels, else pretrain; both, one after "
        "the other, on the built-in sample.",
        **group,
    )
    flags.DEFINE_string("init_checkpoint", None, "Start from these weights: a train_dir or a checkpoint in one.", **group)
    for part in ("context", "segment"):
        flags.DEFINE_string(
            f"{part}_checkpoint",
            None,
            f"Context models: the {part} encoder as trained in this train_dir. Default: trained here.",
            **group,
        )
    flags.DEFINE_bool("start_new_model", False, "Throw away what the train_dir holds and start anew.", **group)
    flags.DEFINE_integer("max_steps", None, "Stop after this many steps of the stage. Default: by recipe.", **group)
    flags.DEFINE_integer("num_epochs", None, "Stop after this many passes over the data. Default: by recipe.", **group)
    flags.DEFINE_string("label_loss", None, "Loss; an unknown name lists the known ones. Default: CrossEntropyLoss.", **group)
    flags.DEFINE_string("loss_options", None, "name=value,... for the loss's constructor.", **group)
    flags.DEFINE_float("regularization_penalty", 1.0, "Weight of the regularization loss; the label loss weighs 1.", **group)
    flags.DEFINE_float(
        "segment_class_weight", 1.0, "Weight of the segment classes in the pre-training loss; others weigh 1.", **group
    )
    flags.DEFINE_bool(
        "segment_classes_only", False, "Keep only videos with a segment class, and predict only those classes.", **group
    )
    flags.DEFINE_integer("seed", 1, "Seed of weights, order and dropout: the same seed gives the same run.", **group)
    flags.DEFINE_integer("devices", 0, "Devices to train on; 0: every GPU, or one CPU. TF_CONFIG names several hosts.", **group)
    flags.DEFINE_enum(
        "xla",
        "auto",
        ["auto", "on", "off"],
        "Compile the step with XLA. auto: on a GPU, but for recurrent and whole-video models.",
        **group,
    )
    flags.DEFINE_bool("log_device_placement", False, "Log the device of every operation.", **group)
    define_optimizer({**group, "module_name": "Optimizer"})
    define_methods(fv)


def define_optimizer(group):
    """Flags of the optimizer and its learning rate; `group` says where they are defined."""
    flags.DEFINE_string("optimizer", None, "Optimizer; an unknown name lists the known ones. Default: by recipe, Adam.", **group)
    flags.DEFINE_float(
        "weight_decay",
        None,
        "Decoupled weight decay, with any optimizer: a step takes learning rate * this off each weight, biases and batch-norm "
        "and layer-norm variables excepted. Default: by recipe; 0.01 for AdamW, else 0.",
        **group,
    )
    flags.DEFINE_enum(
        "schedule",
        None,
        ["staircase", "triangular", "cosine"],
        "Learning rate by step. staircase: the starter's, see --learning_rate_decay. triangular: linear up, then linear down "
        "to the end of the stage (paper 002). cosine: linear up, then half a cosine down. Default: by recipe, staircase.",
        **group,
    )
    flags.DEFINE_float(
        "base_learning_rate", None, "Learning rate to start with; the highest of a schedule. Default: by recipe.", **group
    )
    flags.DEFINE_float(
        "warmup_fraction",
        None,
        "triangular, cosine: part of the stage's steps over which the learning rate rises, 0 to 1. Default: 0.25.",
        **group,
    )
    flags.DEFINE_float(
        "final_learning_rate_fraction",
        None,
        "triangular, cosine: the first and the last learning rate as a share of the highest, 0 to 1. Default: 0.01.",
        **group,
    )
    flags.DEFINE_string(
        "learning_rate_multipliers",
        None,
        "prefix=factor,... on the learning rate (and decay) of the weights whose path begins with the prefix, e.g. "
        "segment_encoder=0.5,head=1; 0 freezes them. The longest prefix counts; an unknown one lists the known. Default: the "
        "model's own: half for the segment encoders of context models, else none.",
        **group,
    )
    flags.DEFINE_float(
        "ema_momentum",
        None,
        "Keep an average of the weights over the steps, with this momentum (0.999, say), and evaluate and predict with it; 0: "
        "none. Default: 0.",
        **group,
    )
    flags.DEFINE_float(
        "learning_rate_decay", None, "Factor applied every learning_rate_decay_examples. Default: by recipe.", **group
    )
    flags.DEFINE_float("learning_rate_decay_examples", None, "Examples between two decays. Default: 4000000.", **group)
    flags.DEFINE_float("clip_gradient_norm", None, "Norm to clip gradients to; 0: never. Default: by recipe, 1.", **group)
    flags.DEFINE_enum(
        "clip",
        None,
        ["variable", "global"],
        "Clip each variable's gradient, or all as one. Default: by recipe, variable.",
        **group,
    )


def define_methods(fv):
    """Flags of the training methods beyond the two phases, a group a method."""

    def group(name):
        return {"flag_values": fv, "module_name": name}

    folds = group("Folds of the rated shards")
    flags.DEFINE_integer(
        "folds",
        None,
        "finetune, em: leave out every folds-th shard and keep the checkpoint that is best on those. Default: 0, none; em: 8, or "
        "as many as there are shards.",
        **folds,
    )
    flags.DEFINE_integer("fold", 0, "The shard to start with, 0 to folds - 1.", **folds)
    flags.DEFINE_enum("best_metric", "map", ["map", "auc"], "What best means: MAP or AUC over rated pairs.", **folds)
    define_em(group("EM (--stage=em)"))
    pseudo = group("Pseudo-labels")
    flags.DEFINE_string(
        "pseudo_labels",
        None,
        "Folder of sidecars. mstep: of an E-step; finetune: of python -m yt8m.pseudo_labels.command, to blend in.",
        **pseudo,
    )
    flags.DEFINE_string("pseudo_data_pattern", None, "finetune: shards of the videos that they are for.", **pseudo)
    flags.DEFINE_float("pseudo_share", 0.5, "finetune: their share of each batch, between 0 and 1.", **pseudo)
    distillation = group("Distillation")
    flags.DEFINE_list(
        "teacher_scores",
        None,
        "Score stores of the teachers (inference.py --scores_output), separated by commas; their mean is what is learned. "
        "finetune: of the segments; pretrain: of the videos.",
        **distillation,
    )
    flags.DEFINE_float("distillation_weight", 0.5, "a in (1 - a) loss(ground truth) + a loss(teachers), 0 to 1.", **distillation)
    flags.DEFINE_float(
        "start_time_weight",
        0.0,
        "finetune, attention models: weight of the loss that pulls attention into a class's positive segments; 0: none.",
        **group("Start-time supervision"),
    )
    augmentation = group("Augmentation")
    for name, (kind, text) in AUGMENTATION_FLAGS.items():
        define = flags.DEFINE_integer if kind is int else flags.DEFINE_float
        define(f"augment_{name}", None, text, **augmentation)


def define_em(em):
    """Flags of the EM process; `em` says where they are defined."""
    flags.DEFINE_string(
        "rated_data_pattern", None, "Rated shards; --train_data_pattern names the videos that pseudo-labels are made for.", **em
    )
    flags.DEFINE_integer("em_iterations", 2, "Iterations of E- and M-step.", **em)
    flags.DEFINE_float(
        "em_threshold",
        None,
        "A segment has a pseudo-label where its score is above this. Default: 0.9; 0.5 on the sample, whose scores are lower.",
        **em,
    )
    flags.DEFINE_string(
        "em_models",
        None,
        "The models F1,F2 of the M-step, each with what differs from its recipe in brackets, e.g. "
        "'TransformerModel(fusion=late), NeXtVladModel(cluster_size=64)'. Default: --model for both.",
        **em,
    )


def define_output(fv, training=False):
    """--train_dir and, for train.py, how often it is written."""
    group = {"flag_values": fv, "module_name": "Output"}
    flags.DEFINE_string(
        "train_dir",
        None,
        f"Folder of the run: checkpoints, {configs.MODEL_FILE}, TensorBoard files. Default: "
        + (f"{configs.MODEL_ROOT}/<model>." if training else "the latest run of train.py without --train_dir."),
        **group,
    )
    if training:
        flags.DEFINE_integer("save_steps", None, "Steps between checkpoints. Default: 500; fewer on the sample.", **group)
        flags.DEFINE_integer("export_model_steps", None, "The starter's name for --save_steps.", **group)
        flags.DEFINE_integer("log_steps", 10, "Steps between progress lines.", **group)


def help_text(fv, doc):
    """The command's doc and its flags in groups, in the order in which they were defined."""
    lines = [doc.strip(), ""]
    for group, group_flags in fv.flags_by_module_dict().items():
        lines.append(f"{group}:")
        for flag in group_flags:
            name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
            default = "" if flag.default in (None, False, "") else f" (default: {flag.default_as_str})"
            body = textwrap.wrap(" ".join(flag.help.split()) + default, 86)
            lines += [f"  {name:<31}{body[0]}" if len(name) < 30 else f"  {name}\n{'':33}{body[0]}"]
            lines += [f"{'':33}{line}" for line in body[1:]]
        lines.append("")
    return "\n".join([*lines, "  --flagfile=FILE reads flags from a file, one a line, # comments."])


def check_positive(fv, *names):
    """Refuses counts below 1 and rates that are not above 0 among the given flags.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        value = fv[name].value
        if value is not None and value <= 0:
            raise UserError(f"--{name}={value}: must be above 0.")


def check_not_negative(fv, *names):
    """Refuses values below 0 among the given flags.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        value = given(fv, name)
        if value is not None and value < 0:
            raise UserError(f"--{name}={value}: must not be below 0.")


def given(fv, name, default=None):
    """The flag's value if it is defined here and not None, else the default."""
    value = fv[name].value if name in fv else None
    return default if value is None else value


def names_and_sizes(fv):
    """--feature_names and --feature_sizes as tuples, None where they are not given.

    Raises:
        UserError: a size that is no positive integer, or as many names as sizes are not given.
    """
    names, sizes = given(fv, "feature_names"), given(fv, "feature_sizes")
    if names is not None:
        names = tuple(name.strip() for name in names.split(","))
    if sizes is not None:
        try:
            sizes = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            raise UserError(f"--feature_sizes={sizes}: must be integers, one for each of --feature_names.") from None
        if min(sizes) < 1:
            raise UserError(f"--feature_sizes={','.join(map(str, sizes))}: each must be above 0.")
    if names and sizes and len(names) != len(sizes):
        raise UserError(f"--feature_names has {len(names)} names, --feature_sizes {len(sizes)} sizes. Give one size a name.")
    return names, sizes


def literal(text):
    """A hyperparameter's value as typed: a Python literal where it reads as one, else the text; a tuple as a list, as in JSON."""
    with contextlib.suppress(ValueError, SyntaxError):
        value = ast.literal_eval(text)
        return list(value) if isinstance(value, tuple) else value
    return {"true": True, "false": False}.get(text.lower(), text)


def split_outside_brackets(text):
    """The parts of a text between its commas, but for those in brackets, which may be nested."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def hyperparameters(fv):
    """What the command line says of the model's constructor: the starter's flags and --hyperparameters.

    Raises:
        UserError: an entry of --hyperparameters that is not name=value.
    """
    from yt8m.models import ALIASES

    chosen = {ALIASES.get(flag, flag): fv[flag].value for flag in MODEL_FLAGS if given(fv, flag) is not None}
    if "sample_random_frames" in chosen:
        chosen["sampling"] = "random" if chosen.pop("sample_random_frames") else "sequence"
    return {**chosen, **assignments(given(fv, "hyperparameters", ""), "hyperparameters")}


def assignments(text, flag):
    """name=value,... as a dict.

    Raises:
        UserError: an entry that is not name=value.
    """
    chosen = {}
    for entry in filter(None, split_outside_brackets(text)):
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            raise UserError(f"--{flag}={entry}: must be name=value, several separated by commas.")
        chosen[name.strip()] = literal(value.strip())
    return chosen


def multipliers(fv):
    """--learning_rate_multipliers as {prefix: factor}, None where it is not given.

    Raises:
        UserError: an entry that is not prefix=factor with a factor of 0 or more, or a prefix given twice.
    """
    text = given(fv, "learning_rate_multipliers")
    if text is None:
        return None
    factors = {}
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        prefix, _, factor = (part.strip() for part in entry.partition("="))
        try:
            value = float(factor)
        except ValueError:
            value = -1.0
        if not prefix or not 0 <= value < float("inf"):
            raise UserError(f"--learning_rate_multipliers={entry}: must be prefix=factor, the factor 0 or more.")
        if prefix in factors:
            raise UserError(f"--learning_rate_multipliers={entry}: {prefix} was given already. Leave one out.")
        factors[prefix] = value
    return factors


def model_config(fv, base, sample, label_ids):
    """The model that the flags ask for.

    Args:
        fv: parsed flags.
        base: ModelConfig of the train_dir or init_checkpoint that the run goes on from, or None.
        sample: the built-in Sample, or None with named data.
        label_ids: ids of the segment classes with --segment_classes_only, else None.

    Raises:
        UserError: a flag asks for another model than the one in `base`.
    """
    from yt8m import models

    check_not_negative(fv, "segment_expansion")
    name = given(fv, "model", base.model if base else "LogisticModel")
    takes_frames = models.takes_frames(name)
    names, sizes = names_and_sizes(fv)
    frame_features = given(fv, "frame_features", base.frame_features if base else takes_frames)
    default_names, default_sizes = ("rgb", "audio"), (1024, 128)
    if not takes_frames:
        default_names = tuple("mean_" + feature for feature in default_names)
        if not sample:
            default_names, default_sizes = default_names[:1], default_sizes[:1]
    default_expansion = configs.SEGMENT_EXPANSIONS.get(configs.family(name, sample is not None), 0)
    chosen, small = hyperparameters(fv), configs.SAMPLE_HYPERPARAMETERS.get(name, {}) if sample else {}
    asked = {
        "model": name,
        "hyperparameters": base.hyperparameters if base and not chosen else {**small, **chosen},
        "feature_names": names or (base.feature_names if base else default_names),
        "feature_sizes": sizes or (base.feature_sizes if base else default_sizes),
        "num_classes": given(fv, "num_classes", base.num_classes if base else sample.num_classes if sample else 3862),
        "label_ids": label_ids or (base.label_ids if base else None),
        "id_feature": given(fv, "id_feature", base.id_feature if base else "id"),
        "max_frames": given(fv, "max_frames", base.max_frames if base else 300),
    }
    if len(asked["feature_names"]) != len(asked["feature_sizes"]):
        raise UserError(
            f"--feature_names={','.join(asked['feature_names'])} needs --feature_sizes with "
            f"{len(asked['feature_names'])} sizes, not {len(asked['feature_sizes'])}."
        )
    if base:
        for field in ("model", "hyperparameters", "feature_names", "feature_sizes", "num_classes", "label_ids"):
            if asked[field] != getattr(base, field):
                raise UserError(
                    f"--{field}={asked[field]}: the model that this run goes on from has {getattr(base, field)}. "
                    "Leave the flag out, name another --train_dir, or give --start_new_model."
                )
    return configs.ModelConfig(
        **asked,
        frame_features=frame_features,
        segment_expansion=given(fv, "segment_expansion", base.segment_expansion if base else default_expansion),
        label_loss=given(fv, "label_loss", base.label_loss if base else "CrossEntropyLoss"),
        loss_options=loss_options(fv, base),
        precision=given(fv, "precision", base.precision if base else default_precision()),
        sample=sample.size if sample else None,
    )


def loss_options(fv, base):
    """Arguments of the loss: --loss_options, else those of the run that this one goes on from, if it keeps its loss."""
    if given(fv, "loss_options") is not None:
        return assignments(fv.loss_options, "loss_options")
    return base.loss_options if base and given(fv, "label_loss", base.label_loss) == base.label_loss else {}


def default_precision():
    """mixed_bfloat16 where TensorFlow sees a GPU, else float32."""
    import tensorflow as tf

    return "mixed_bfloat16" if tf.config.list_physical_devices("GPU") else "float32"


def check_training(fv):
    """Refuses values of training flags that are out of their range.

    Raises:
        UserError: names the flag and its value.
    """
    check_positive(
        fv,
        "batch_size",
        "max_steps",
        "num_epochs",
        "base_learning_rate",
        "learning_rate_decay",
        "learning_rate_decay_examples",
        "save_steps",
        "export_model_steps",
        "log_steps",
        "num_readers",
    )
    check_not_negative(
        fv, "devices", "clip_gradient_norm", "regularization_penalty", "segment_class_weight", "weight_decay", "ema_momentum"
    )
    for name in ("warmup_fraction", "final_learning_rate_fraction"):
        if not 0 <= given(fv, name, 0) <= 1:
            raise UserError(f"--{name}={fv[name].value}: must be between 0 and 1.")
    for name in ("pseudo_share", "em_threshold"):
        if not 0 < given(fv, name, 0.5) < 1:
            raise UserError(f"--{name}={fv[name].value}: must be between 0 and 1.")
    if not 0 <= fv.distillation_weight <= 1:
        raise UserError(f"--distillation_weight={fv.distillation_weight}: must be between 0 and 1.")
    check_not_negative(fv, "folds", "fold", "start_time_weight")
    check_positive(fv, "em_iterations")
    if given(fv, "ema_momentum", 0) >= 1:
        raise UserError(f"--ema_momentum={fv.ema_momentum}: must be below 1, e.g. 0.999.")


def stage_config(fv, stage, train_dir, pattern, eval_pattern, sample, model, segment_label_ids, first=True):
    """The TrainConfig of one stage: what is given on the command line, else the recipe's value.

    Only the `first` stage of a command starts a new model with --start_new_model.

    Raises:
        UserError: a count, rate or fraction that is out of its range.
    """
    check_training(fv)
    values = configs.recipe(model, stage, sample is not None)
    if given(fv, "num_epochs") is not None and given(fv, "max_steps") is None:
        values.pop("max_steps", None)
    if given(fv, "max_steps") is not None and given(fv, "num_epochs") is None:
        values.pop("num_epochs", None)
    save_steps = given(fv, "save_steps", given(fv, "export_model_steps"))
    if save_steps is not None:
        values["save_steps"] = save_steps
    fields = inspect.signature(configs.TrainConfig).parameters
    values.update(
        {name: fv[name].value for name in fields if name in fv and name != "save_steps" and given(fv, name) is not None}
    )
    values.update(
        train_dir=train_dir,
        stage=stage,
        data_pattern=pattern,
        eval_data_pattern=eval_pattern,
        segment_label_ids=segment_label_ids,
        only_segment_class_videos=fv.segment_classes_only and stage == "pretrain",
        learning_rate_multipliers=multipliers(fv),
        start_new_model=fv.start_new_model and first,
        augmentation=augmentation(fv, stage),
    )
    values.update(methods(fv, stage, values))
    return configs.TrainConfig(**values)


def augmentation(fv, stage):
    """What the --augment_ flags say for a stage; segments are not dropped from segments."""
    chosen = {name: fv[f"augment_{name}"].value for name in AUGMENTATION_FLAGS if given(fv, f"augment_{name}") is not None}
    if stage != "pretrain" and fv.stage in (None, "em"):  # one command for all stages
        chosen.pop("drop_segments", None)
    return chosen


def methods(fv, stage, values):
    """Fields of TrainConfig that belong to some stages only: in the others they are as if not given.

    Raises:
        UserError: a flag that needs another one, or another stage than the one that is asked for.
    """
    off = {}
    if stage != "finetune":
        off |= {"folds": 0, "start_time_weight": 0.0, "pseudo_data_pattern": ""}
        if fv.stage not in (None, "em"):
            for name in off:
                if given(fv, name):
                    raise UserError(f"--{name}={fv[name].value}: is for --stage=finetune, not --stage={fv.stage}.")
    if stage == "mstep" or (stage == "pretrain" and fv.stage is None):
        off["teacher_scores"] = ()
    teachers = off.get("teacher_scores", values.get("teacher_scores")) or ()
    off["teacher_scores"] = tuple(os.path.expanduser(folder) for folder in teachers)
    if stage == "finetune" and bool(values.get("pseudo_labels")) != bool(values.get("pseudo_data_pattern")):
        raise UserError("--pseudo_labels and --pseudo_data_pattern: fine-tuning needs both or none. Give the other one, too.")
    if values.get("folds") and not 0 <= values.get("fold", 0) < values["folds"]:
        raise UserError(f"--fold={values['fold']}: must be from 0 to {values['folds'] - 1} with --folds={values['folds']}.")
    return off


def em_plan(fv, train_dir, model, sample, patterns, segment_label_ids):
    """The EM process that the flags ask for.

    Args:
        fv: parsed flags.
        train_dir: its folder.
        model: ModelConfig of F.
        sample: the built-in Sample or None.
        patterns: (shards of videos, rated shards).
        segment_label_ids: ids of the segment classes where the run needs them.

    Raises:
        UserError: a flag out of range, not two models, or more folds than rated shards.
    """
    from yt8m.readers.datasets import match_files
    from yt8m.stages.em import Candidate, Plan

    videos, rated = patterns
    folds = given(fv, "folds") or min(8, len(match_files(rated, "rated_data_pattern")))

    def candidate(name, config, stages, changes=()):
        runs = []
        for stage in stages:
            pattern = rated if stage == "finetune" else videos
            run = stage_config(fv, stage, train_dir, pattern, "", sample, config.model, segment_label_ids)
            run = dataclasses.replace(run, **dict(changes), folds=folds if stage == "finetune" else 0, start_new_model=False)
            runs.append(run)
        return Candidate(name, config, tuple(runs))

    candidates = [
        candidate(name, config, ("mstep", "finetune"), training)
        for name, (config, training) in zip(("F1", "F2"), em_models(fv, model, sample))
    ]
    return Plan(
        train_dir,
        videos,
        rated,
        candidate("F", model, ("pretrain", "finetune")),
        tuple(candidates),
        fv.em_iterations,
        given(fv, "em_threshold", configs.EM_THRESHOLDS["sample" if sample else "paper"]),
        folds,
        fv.fold,
    )


def em_models(fv, model, sample):
    """F1 and F2 as --em_models names them, each as em_model returns it; else both as `model`.

    Raises:
        UserError: not two of them.
    """
    if not given(fv, "em_models"):
        return (model, {}), (model, {})
    entries = split_outside_brackets(fv.em_models)
    if len(entries) != 2:
        raise UserError(f"--em_models={fv.em_models}: {len(entries)} models; expected two, F1 and F2, separated by a comma.")
    return tuple(em_model(entry, model, sample) for entry in entries)


def em_model(entry, base, sample):
    """(ModelConfig, {field of TrainConfig: value}) of an entry of --em_models, Name or Name(name=value,...).

    Raises:
        UserError: it reads otherwise, or there is no such model or hyper-parameter.
    """
    from yt8m import models

    name, bracket, rest = entry.strip().partition("(")
    if bracket and not rest.endswith(")"):
        raise UserError(f"--em_models={entry}: must be Name or Name(name=value,...).")
    chosen = assignments(rest[:-1], "em_models") if bracket else {}
    training = {field: chosen.pop(field) for field in EM_TRAINING if field in chosen}
    if not models.takes_frames(name):
        raise UserError(f"--em_models={entry}: {name} takes features of videos, but an M-step trains on segments of frames.")
    small = configs.SAMPLE_HYPERPARAMETERS.get(name, {}) if sample else {}
    expansion = configs.SEGMENT_EXPANSIONS.get(configs.family(name, sample is not None), 0)
    config = dataclasses.replace(base, model=name, hyperparameters={**small, **chosen}, segment_expansion=expansion)
    models.check_hyperparameters(name, config.hyperparameters)
    return config, training


def train_dir(fv, model=None):
    """--train_dir, or where it is when it is not given.

    train.py without --train_dir works in configs.MODEL_ROOT/<model> and notes that in MODEL_ROOT/latest; the other commands
    (model=None) read the note.

    Raises:
        UserError: no --train_dir and no run noted.
    """
    if fv.train_dir:
        return os.path.expanduser(fv.train_dir)
    if model:
        return os.path.join(configs.MODEL_ROOT, model)
    try:
        with open(os.path.join(configs.MODEL_ROOT, "latest"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        raise UserError(
            "--train_dir is not given and there is no earlier run. Run `python train.py --model=MultiAttentionModel` "
            "first, or name a --train_dir."
        ) from None


def expected(fv):
    """{ModelConfig field: value} that the command line names and the trained model must have (starter commands repeat them)."""
    names, sizes = names_and_sizes(fv)
    named = {
        "model": given(fv, "model"),
        "feature_names": names,
        "feature_sizes": sizes,
        "frame_features": given(fv, "frame_features"),
    }
    return {field: value for field, value in named.items() if value is not None}


def data_pattern(fv, flag, default):
    """The shards that a flag names, else the default.

    Raises:
        UserError: neither.
    """
    pattern = given(fv, flag) or default
    if not pattern:
        raise UserError(
            f"--{flag} is not given, and the model was not trained on the built-in sample. Name shards, e.g. "
            f"--{flag}='/data/validate*.tfrecord'."
        )
    return pattern


def note_latest(folder):
    """Notes the run that the other commands mean when they get no --train_dir."""
    write_text(os.path.join(configs.MODEL_ROOT, "latest"), os.path.abspath(folder) + "\n")


def run(main, doc, definitions, argv=None):
    """Parses a command line and runs `main(flags)`; an error of the user's is one line and exit status 1.

    Args:
        main: function of the parsed flags.
        doc: the command's docstring, shown by --help.
        definitions: functions that define flags on the FlagValues they get.
        argv: the command line; None: the process's.
    """
    argv = sys.argv if argv is None else argv
    fv = flags.FlagValues()
    for define in definitions:
        define(fv)
    command = os.path.basename(argv[0])
    if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(argv[1:]):
        print(help_text(fv, doc))
        sys.exit(0)
    try:
        rest = fv(argv)[1:]
        if rest:
            raise UserError(f"{rest[0]}: not a flag. Flags start with --; see --help.")
        import_tensorflow()
        main(fv)
    except (UserError, flags.Error, OSError) as error:
        sys.exit(one_line(command, error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        line = known_failure(error)
        if line is None:
            raise
        sys.exit(one_line(command, line))


def import_tensorflow():
    """Imports TensorFlow without the notes that it prints on every start, unless the user chose a TF_CPP_MIN_LOG_LEVEL."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with tempfile.TemporaryFile() as notes:
        stderr = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            importlib.import_module("tensorflow").config.list_physical_devices("GPU")
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def one_line(command, error):
    """`command: error: ...` on one line."""
    if isinstance(error, OSError) and error.filename:
        error = f"{error.filename}: {error.strerror}. Check the path, its permissions and the free space."
    return f"{command}: error: " + " ".join(str(error).split())


def known_failure(error):
    """The line for a UserError or a file system's failure that TensorFlow wrapped in an error of its own, else None."""
    from yt8m.readers import datasets

    line = datasets.user_error_from(error)
    if line is not None:
        return line
    text = str(error)
    for sign, what in (
        ("No space left on device", "the disk is full"),
        ("Permission denied", "permission denied"),
        ("Read-only file system", "the file system is read-only"),
    ):
        if sign in text:
            return f"{what}: {text.splitlines()[0][:300]}"
    return None
