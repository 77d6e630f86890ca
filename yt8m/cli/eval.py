"""Says how good a trained model is.

  yt8m eval --segment_labels                       the latest sample run, on its held-out rated segments
  yt8m eval --eval_data_pattern='.../validate*.tfrecord' --train_dir=DIR --run_once          Hit@1, PERR, MAP, GAP@20, videos
  yt8m eval --eval_data_pattern='.../validate*.tfrecord' --train_dir=DIR --segment_labels    MAP and AUC, rated segments

Both with losses, precision and recall; --per_class_output=FILE.csv has the average precision of each class.
Without --run_once it waits for new checkpoints and evaluates each, until the run that writes them is finished.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Evaluates the newest checkpoint, and those to come."""
    from yt8m import api

    api.evaluate(**given)


COMMAND = FlagCommand(__doc__, flags.EVAL, main, computes="evaluation")
