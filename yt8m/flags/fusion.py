"""Flags of `yt8m fuse`."""

from yt8m.flags.candidates import VIDEO_SCORES
from yt8m.flags.table import Flag, Group

SCORES = Group(
    "Scores",
    (
        Flag("scores", str, "Store of the scores of segments (inference --segment_labels --scores_output, or yt8m ensemble)."),
        VIDEO_SCORES,
        Flag("segment_label_ids_file", str, "File or URL of the label ids to take. Default: all that --scores has."),
    ),
)
FITTING = Group(
    "Smoothing and weights",
    (
        Flag("fit_on", str, "Rated shards whose segments are in --scores: the smoothing and the weights are fitted on them."),
        Flag("fusion", str, "JSON file of --fusion_output with the smoothing and the weights, in place of --fit_on."),
        Flag("fusion_output", str, "JSON file for what was fitted."),
        Flag(
            "eval_data_pattern",
            str,
            "Rated shards on which the scores before and after, and what is behind them, are compared. Default: --fit_on's.",
        ),
        Flag("report_output", str, "JSON file for that comparison."),
        Flag("id_feature", str, "Name of a record's id in the rated shards. Default: id."),
    ),
)
OUTPUT = Group(
    "Output",
    (
        Flag("scores_output", str, "Folder for the fused scores, a store again."),
        Flag("output_file", str, "Submission CSV to write."),
        Flag("segment_max_pred", int, "Segments a class to write. Default: 100000."),
    ),
)
