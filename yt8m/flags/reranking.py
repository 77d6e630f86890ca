"""Flags of `yt8m rerank`."""

from yt8m.flags import values
from yt8m.flags.table import Flag, Group

METHODS, DTYPES = ("logistic", "trees", "attention", "class_trees", "localizer"), ("float16", "uint16")
CHOICES = ("segments", "videos")
MEMBERS = Group(
    "Members: trained models, whose scores are made, or stores of scores",
    (
        Flag(
            "train_dir",
            str,
            "Runs, separated by commas: each is ranked anew, and the mean of all is taken. Of --all_folds a rated shard is "
            "scored by the folds that have not learned it. Default, without --scores: the latest run of train.py.",
        ),
        Flag("recipe", str, "Flags of an ensemble, configs/<recipe>.flags; an unknown one lists all. Others override it."),
        Flag("work_dir", str, "Folder for the runs' scores, kept for the next time. Default: reranked in the first train_dir."),
        Flag("scores_dtype", str, "Of these scores: float16, or uint16 as inference has it. Default: float16.", DTYPES),
        Flag("batch_size", int, "Videos at a time. Default: 128."),
        Flag("num_readers", int, "Batches that are read at the same time. Default: 2."),
        Flag("scores", str, "In place of runs: stores of the scores of the segments to rank anew, separated by commas."),
        Flag("fit_scores", str, "Stores of the scores of --fit_on's segments, one for each of --scores."),
        Flag(
            "video_scores", str, "Stores of the scores of --scores' videos as wholes, one for each. With it, --fit_video_scores."
        ),
        Flag("fit_video_scores", str, "Stores of the scores of --fit_on's videos as wholes. With it, --video_scores."),
    ),
)
LEARNING = Group(
    "References and fit",
    (
        Flag("references", str, "Rated shards with frames: segments are compared with their rated ones, of other videos."),
        Flag(
            "fit_on",
            str,
            "Rated shards with frames that the models were not trained on: the ranker is fitted on them. They may be those of "
            "--references, and are these by default where runs are named, of which only shards are taken that each member, or a "
            "fold of it, has not learned.",
        ),
        Flag(
            "method",
            str,
            "What is fitted: a logistic regression or boosted trees of a pair's features, networks that see frames, too, boosted "
            "trees of frames and scores for each class that has ratings enough, or the regression with a feature more, of "
            "localisers that see the whole video. Default: logistic.",
            METHODS,
        ),
        Flag(
            "method_options",
            values.assignments,
            "name=value,... of it: strength=1 of logistic, the inverse of its L2; "
            "depth=3,num_trees=300,learning_rate=0.05,seed=1 of trees; of the others docs/reranking.md has them.",
        ),
        Flag(
            "video_maximum",
            float,
            "a: multiply what is fitted by q^a, q the class's greatest score in the video. Rated classes are in their videos; of "
            "others a ranker says too much. Default: 0.",
        ),
        Flag(
            "rank_average",
            float,
            "w, 0 to 1: order a class's candidates by w times their rank before and 1 - w times their new rank. Default: 0.",
        ),
        Flag(
            "embedding_dir",
            str,
            "Run of a model of frames that was trained on videos alone: its embedding is a third descriptor of a segment, beside "
            "the two features. Default: none.",
        ),
        Flag("nearest_references", int, "So many references of a class, the nearest, vote on a segment. Default: 10."),
        Flag("top_references", int, "So many largest cosines to positives, and to negatives, are averaged. Default: 5."),
        Flag("vote_temperature", float, "Of the softmax over the voters' cosines. Default: 0.1."),
    ),
)
SCORES = Group(
    "What is ranked",
    (
        Flag("data_pattern", str, "Shards with frames: of --scores those that were scored."),
        Flag(
            "candidates",
            int,
            "Segments a class to rank anew, its best by the mean of the members; the rest follow. Default: 10000.",
        ),
        Flag(
            "candidates_by",
            str,
            "segments; or videos: these are all segments of the class's best videos, until there are so many. Default: segments.",
            CHOICES,
        ),
        Flag(
            "segment_label_ids_file",
            str,
            "File or URL of the label ids to take. Default: all that the first store has, or that the runs score.",
        ),
    ),
)
FRAMES = Group(
    "Frames",
    (
        Flag("feature_names", values.names, "The two features of a frame. Default: the runs', else rgb,audio."),
        Flag("feature_sizes", values.sizes, "Length of each. Default: the runs', else 1024,128."),
        Flag("id_feature", str, "Name of a record's id. Default: the runs', else id."),
    ),
)
JUDGING = Group(
    "Judging",
    (
        Flag("eval_data_pattern", str, "Ratings of the segments that are ranked: the scores before and after are compared."),
        Flag("report_output", str, "JSON file for that comparison."),
    ),
)
OUTPUT = Group(
    "Output",
    (
        Flag("scores_output", str, "Folder for the new scores, a store again."),
        Flag("output_file", str, "Submission CSV to write; empty: none. Default: of runs, submission.csv in the work_dir."),
        Flag("segment_max_pred", int, "Segments a class to write. Default: 100000."),
    ),
)
