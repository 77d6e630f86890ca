"""Compares several runs on one evaluation set: MAP with intervals over videos, and which classes gain or lose.

  yt8m compare DIR DIR ...                                   on the sample's held-out videos, where they were trained on it
  yt8m compare DIR DIR --eval_data_pattern='.../validate*.tfrecord' --names=before,after --output_dir=before_after

DIR: a train_dir, or a folder of yt8m export --formats=keras. The others are compared with the first, by the same resamples of the
videos. It prints tables and writes comparison.csv, classes.csv and comparison.png.
"""

from yt8m.cli.command import ArgumentCommand, Arguments


def arguments():
    """Parser of the command's arguments."""
    parser = Arguments()
    add = parser.add_argument
    add("train_dirs", nargs="+", help="Folders of runs; the others are compared with the first.")
    add("--eval_data_pattern", default="", help="Rated shards. Default: the built-in sample's held-out ones.")
    add("--output_dir", default="comparison", help="Folder for the files, which replace those of an earlier comparison. Default: "
        "comparison.")  # fmt: skip
    add("--per_class_output", default="", help="CSV file for the classes. Default: classes.csv in the output_dir.")
    add("--whole_videos", action="store_true", help="Judge by the labels of whole videos in place of rated segments.")
    add("--names", help="What the runs are called, with commas between. Default: the last parts of their paths.")
    add("--top_classes", type=int, default=10, help="Classes that gain most, and that lose most, to show. Default: 10.")
    add("--resamples", type=int, default=1000, help="Resamples of the videos for the intervals. Default: 1000.")
    add("--batch_size", type=int, default=128, help="Rows at a time. Default: 128.")
    add("--vocabulary_file", default="", help="CSV with Index and Name of the classes. Default: the names that the runs have.")
    return parser


def main(options):
    """Compares the runs."""
    from yt8m import api

    api.compare(**vars(options))


COMMAND = ArgumentCommand(__doc__, arguments, main, computes="evaluation")
