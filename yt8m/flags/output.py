"""Flags of a run's folder."""

from yt8m.config import MODEL_FILE
from yt8m.flags.table import Flag, Group

_FOLDER = f"Folder of the run: checkpoints, {MODEL_FILE}, TensorBoard files. Default: "
TRAINED = Group("Output", (Flag("train_dir", str, _FOLDER + "the latest run of train.py without --train_dir."),))
TRAINING = Group(
    "Output",
    (
        Flag("train_dir", str, _FOLDER + "~/.local/state/yt8m/<model> (or in $YT8M_STATE, $XDG_STATE_HOME/yt8m)."),
        Flag("save_steps", int, "Steps between checkpoints. Default: 500; fewer on the sample."),
        Flag("keep_checkpoints", int, "Checkpoints that are kept, the newest; yt8m average takes several. Default: 3."),
        Flag("export_model_steps", int, "The starter's name for --save_steps."),
        Flag("log_steps", int, "Steps between progress lines. Default: 10."),
    ),
)
