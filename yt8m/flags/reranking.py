"""Flags of `yt8m rerank`."""

from yt8m.flags import values
from yt8m.flags.candidates import VIDEO_SCORES
from yt8m.flags.table import Flag, Group

METHODS = ("logistic", "trees")
LEARNING = Group(
    "References and fit",
    (
        Flag("references", str, "Rated shards with frames: segments are compared with their rated ones, of other videos."),
        Flag(
            "fit_on",
            str,
            "Rated shards with frames that the models behind --fit_scores were not trained on: the ranker is fitted on them. "
            "They may be those of --references.",
        ),
        Flag("fit_scores", str, "Store of the scores of their segments (inference --segment_labels --scores_output)."),
        Flag("fit_video_scores", str, "Store of the scores of their videos as wholes. With it, --video_scores."),
        Flag("method", str, "What is fitted: a logistic regression or boosted trees. Default: logistic.", METHODS),
    ),
)
SCORES = Group(
    "Scores",
    (
        Flag("scores", str, "Store of the scores of the segments to rank anew."),
        Flag("data_pattern", str, "The shards that were scored, with frames."),
        VIDEO_SCORES,
        Flag("candidates", int, "Segments a class to rank anew, its best by --scores; the rest follow them. Default: 10000."),
        Flag("segment_label_ids_file", str, "File or URL of the label ids to take. Default: all that --scores has."),
    ),
)
FRAMES = Group(
    "Frames",
    (
        Flag("feature_names", values.names, "The two features of a frame. Default: rgb,audio."),
        Flag("feature_sizes", values.sizes, "Length of each. Default: 1024,128."),
        Flag("id_feature", str, "Name of a record's id. Default: id."),
    ),
)
JUDGING = Group(
    "Judging",
    (
        Flag("eval_data_pattern", str, "Rated shards whose segments are in --scores: the scores before and after are compared."),
        Flag("report_output", str, "JSON file for that comparison."),
    ),
)
OUTPUT = Group(
    "Output",
    (
        Flag("scores_output", str, "Folder for the new scores, a store again."),
        Flag("output_file", str, "Submission CSV to write."),
        Flag("segment_max_pred", int, "Segments a class to write. Default: 100000."),
    ),
)
