"""Flags that name the data and say how a record is read."""

import dataclasses

from yt8m.flags import values
from yt8m.flags.table import Flag, Group

PATTERNS = {
    "train_data_pattern": "Training shards: a glob, a comma-separated list of them, gs:// too. Rated (version 3) shards for "
    "--stage=finetune. Not given: the built-in sample, made on first use.",
    "eval_data_pattern": "Shards to evaluate on: a glob or a comma-separated list. Not given: the built-in sample's held-out "
    "shards, if the model was trained on the sample.",
    "input_data_pattern": "Shards to predict: a glob or comma-separated globs. Not given: the built-in sample's test shards, "
    "if the model was trained on the sample.",
}
FEATURES = (
    Flag(
        "feature_names",
        values.names,
        "Features of a record, in order. Default: rgb,audio for frame-level models, mean_rgb for video-level ones; a trained "
        "model's own.",
    ),
    Flag("feature_sizes", values.sizes, "Length of each. Default: 1024,128 and 1024; a trained model's own."),
    Flag(
        "frame_features",
        bool,
        "The shards are frame level (tf.SequenceExample), not video level (tf.Example). Default: what the model takes.",
    ),
    Flag("segment_labels", bool, "Work on 5-second segments and their ratings instead of whole videos."),
    Flag(
        "segment_label_ids_file",
        str,
        "File, or https address, with the label ids of the segment classes. Default: those that the model was trained with; the "
        "sample's own; the 1,000 of YouTube-8M where --num_classes is its 3862; else all classes.",
    ),
    Flag("id_feature", str, "Name of a record's id in its context. Default: id; a trained model's own."),
    Flag("num_readers", int, "Batches that are read and decoded at the same time. Default: 2; training on a CPU: always 1."),
    Flag(
        "batch_size",
        int,
        "Rows a batch (in training: a device): videos, after pre-training segments, see --batch_unit. Default in training: by "
        "recipe, see docs/training.md; else 128.",
    ),
)
VOCABULARY = Flag(
    "vocabulary_file",
    str,
    "CSV with Index and Name of the classes, such as the dataset's vocabulary.csv. Default: the names that the model was trained "
    "with.",
)


def data(*patterns, features=FEATURES, without=(), **meanings):
    """The group of a command that reads shards.

    Args:
        *patterns: names of the patterns that it takes.
        features: Flags that say how records are read.
        without: names of those of them that the command has no use for.
        **meanings: of those, and of patterns, that mean another thing in it than in training and inference.
    """
    kept = (flag for flag in features if flag.name not in without)
    meant = (dataclasses.replace(flag, meaning=meanings.get(flag.name, flag.meaning)) for flag in kept)
    return Group("Data", (*(Flag(name, str, meanings.get(name, PATTERNS[name])) for name in patterns), *meant))
