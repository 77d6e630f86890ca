"""Writes a model card beside a trained model, as model hubs show it.

  yt8m card                                           of the latest sample run, into its folder
  yt8m card --train_dir=DIR --license=apache-2.0 --eval_data_pattern='.../validate*.tfrecord' --eval_name="YouTube-8M Segments"
  yt8m card --input_model_tgz=model.tgz --license=cc-by-4.0 ...      README.md beside a model bundle

DIR: a run, or a folder of yt8m export --formats=keras. MAP comes with its interval over videos. docs/sharing.md.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Evaluates the model and writes its card."""
    from yt8m import api

    api.write_card(**given)


COMMAND = FlagCommand(__doc__, flags.CARD, main, computes="evaluation")
