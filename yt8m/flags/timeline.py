"""Flags of timelines, and of the thresholds that they take."""

from yt8m.flags import values
from yt8m.flags.model import EXPECTED
from yt8m.flags.table import Flag, Group

MODEL = Group(
    "Model",
    (
        EXPECTED,
        Flag("checkpoint", str, "Use this checkpoint of the run; of several runs, one each. Default: the newest."),
        Flag(
            "saved_model",
            str,
            "Folder of a SavedModel with MediaPipe's signature (rgb_and_audio, num_frames -> predictions), in place of a "
            "--train_dir.",
        ),
        Flag("vocabulary", str, "CSV with the columns Index and Name: what classes are called. Default: the names that the model "
             "was trained with; else vocabulary.csv beside the shards, where there is one."),
        Flag("vocabulary_file", str, "Another name of --vocabulary.", same_as="vocabulary"),
    ),
)  # fmt: skip
VIDEOS = Group(
    "Video files, in place of --input_data_pattern",
    (
        Flag(
            "input_videos",
            str,
            "Video and sound files: a folder, a file, a glob or a CSV, as of yt8m features. They are decoded and embedded as the "
            "features that the model was trained on, which stay in the output's folder features.",
        ),
        Flag(
            "backbone",
            str,
            "What turns them into numbers. Default: as for the model's features; yt8m, if these are YouTube-8M's.",
        ),
        Flag("weights_dir", str, "Folder with its weights. Default: as for the model's features."),
        Flag(
            "id_from",
            str,
            "What a video is called: its file's name, or with 8 digits of its path. Default: stem.",
            ("stem", "path"),
        ),
    ),
)
INTERVALS = Group(
    "Intervals",
    (
        Flag("stride", int, "5: a score every 5 seconds; 1: every second, the mean of the 5-second windows over it. Default: 5."),
        Flag("high", float, "A class is there from this score on. Default: 0.5."),
        Flag("low", float, "And goes on down to this one. Default: 0.7 of high."),
        Flag("merge_gap", float, "Seconds between intervals that are joined. Default: 5."),
        Flag("min_length", float, "Seconds: shorter intervals go. Default: 5."),
        Flag(
            "thresholds_file",
            str,
            "CSV with the columns class and high, a score a class in place of --high: what eval.py --thresholds_output wrote.",
        ),
        Flag("top_classes", int, "Classes shown a video, at most. Default: 10."),
    ),
)
OUTPUT = Group(
    "Files",
    (
        Flag("output_dir", str, "Folder for the files. Default: timelines in the (first) train_dir; of a bundle or a SavedModel "
             "in the folder that you are in."),
        Flag(
            "formats",
            values.names,
            "Some of json, csv, vtt, html, activitynet, fiftyone, label_studio. Default: all.",
        ),
        Flag("video_ids", values.names, "Only these videos, ids with commas between. Default: all."),
        Flag("max_videos", int, "So many videos, the first ones. Default: all."),
        Flag(
            "videos_csv",
            str,
            "CSV with the columns id, path and duration: the videos' files, for pages that play them. Default: videos.csv beside "
            "the shards, where there is one.",
        ),
        Flag("embed", bool, "Put videos of at most 20 MB into their pages."),
        Flag("frame_rate", float, "Of Label Studio's <Video> tag, whose frames its file counts. Default: 24."),
        Flag("attention", bool, "Say what an attention model looks at, a row under each class. Default: true."),
    ),
)  # fmt: skip
THRESHOLDS = Flag(
    "thresholds_output",
    str,
    "With --segment_labels: CSV to write, of each class the score with the best F1 on its ratings, for yt8m timeline.",
)
