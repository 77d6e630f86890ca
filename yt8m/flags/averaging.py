"""Flags of `yt8m average`."""

from yt8m.flags import values
from yt8m.flags.table import Flag, Group

AVERAGING = Group(
    "Checkpoints",
    (
        Flag("train_dir", str, "Folder of the run. Default: the latest run of train.py without --train_dir."),
        Flag("output_dir", str, "Folder to make, with the averaged model: other commands take it as a --train_dir."),
        Flag("checkpoints", values.names, "Checkpoints, separated by commas. Default: all of the run's latest stage."),
        Flag("num_checkpoints", int, "Only so many of them, the newest. Default: all."),
        Flag(
            "train_data_pattern",
            str,
            "Shards of that stage, over which the averages of batch norms are estimated anew. Default: those that it was started "
            "with.",
        ),
        Flag("batch_size", int, "Rows at a time. Default: the stage's."),
    ),
)
