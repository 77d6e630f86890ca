"""Flags of the command that turns video files into records."""

from yt8m.flags.table import Flag, Group

FEATURES = (
    Group(
        "Input",
        (
            Flag(
                "input_videos",
                str,
                "A folder, which is searched with all that is in it, a file, a glob, or a CSV file: lines of path,labels as in "
                "the starter, or columns video, labels, id, split; several labels with ; between them.",
            ),
            Flag(
                "demo",
                bool,
                "Makes clips to try it with, with labels and ratings, and extracts their features. Default: if nothing is named.",
            ),
            Flag("from_mediapipe", str, "Instead of --input_videos: what MediaPipe's YouTube-8M graph wrote, features.pb."),
            Flag("id_from", str, "What a video is called: its file's name, or with 8 digits of its path.", ("stem", "path")),
            Flag("segments_csv", str, "Own ratings of 5-second segments: columns video, start, label, score (0 or 1)."),
            Flag("vocabulary", str, "CSV file with Index and Name of the classes. Default: made of the labels' names."),
            Flag("extend_vocabulary", bool, "Names that are not in the vocabulary are added behind the others."),
            Flag("max_frames", int, "Seconds of a video that are read at most, from its start. Default: 300, as in YouTube-8M."),
            Flag(
                "missing_audio",
                str,
                "Of a file without sound: every second is silence, it is left out, or it failed. Default: silence.",
                ("silence", "skip", "error"),
            ),
            Flag(
                "missing_video",
                str,
                "Of a file without pictures: it failed, every second is black, or it is left out. Default: error.",
                ("error", "black", "skip"),
            ),
        ),
    ),
    Group(
        "Features",
        (
            Flag(
                "backbone",
                str,
                "What turns pictures and sound into numbers: sketch, yt8m, keras:NAME, keras_hub:PRESET or onnx:FILE, see "
                "docs/backbones.md. Default: sketch, which needs no weights, knows no things, and is for trying the path.",
            ),
            Flag(
                "weights_dir",
                str,
                "Folder with the weights of the backbone. Nothing is downloaded but what keras: and keras_hub: lack.",
            ),
            Flag("whitening", str, "Whitening of an earlier extraction (its whitening.npz) for a backbone that needs one."),
            Flag("num_workers", int, "Processes that share the files. Default: 1."),
        ),
    ),
    Group(
        "Output",
        (
            Flag(
                "output_dir",
                str,
                "Folder of the features. The same command goes on where it was stopped. Default: only of --demo.",
            ),
            Flag(
                "split",
                str,
                "Shares of the videos, by a hash of their ids: Default: train:.8,validate:.1,test:.1, or test:1 without labels.",
            ),
            Flag("num_shards", int, "Shards of a split; those without a video are not written. Default: 16."),
        ),
    ),
)
