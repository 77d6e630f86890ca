"""Flags of model cards."""

from yt8m.flags import values
from yt8m.flags.data import VOCABULARY
from yt8m.flags.table import Flag, Group

CARD = Group(
    "Card",
    (
        Flag(
            "input_model_tgz",
            str,
            "Write the card of this model bundle, beside it, in place of a --train_dir (a run, or a folder of yt8m export).",
        ),
        Flag("output_file", str, "Markdown file to write. Default: README.md beside the model."),
        Flag("overwrite", bool, "Replace a card, or any file, that is there."),
        Flag("name", str, "Title. Default: the model's, and its classes' number."),
        Flag(
            "license",
            str,
            "Licence of the weights as hubs name it, such as apache-2.0 or cc-by-4.0. Default: none; the card says so.",
        ),
        Flag("datasets", values.names, "Names of the data that it was trained on, as hubs have them, with commas between."),
        Flag("tags", values.names, "Further tags, with commas between."),
        Flag("intended_use", str, "What it is for, a sentence or two."),
        Flag("limits", str, "What it cannot do, a sentence or two."),
    ),
)
JUDGING = Group(
    "Evaluation",
    (
        Flag(
            "eval_data_pattern",
            str,
            "Rated shards to evaluate on, a glob or a comma-separated list. Default: the built-in sample's held-out ones, if the "
            "model was trained on the sample; else the card has no evaluation.",
        ),
        Flag("eval_name", str, "What the evaluation set is called. Default: the names of the shards."),
        Flag("whole_videos", bool, "Judge by the labels of whole videos in place of rated segments."),
        Flag("resamples", int, "Resamples of the videos for the intervals. Default: 1000."),
        Flag("batch_size", int, "Rows at a time. Default: 128."),
        Flag("checkpoint", str, "Of the run. Default: the newest."),
        VOCABULARY,
    ),
)
