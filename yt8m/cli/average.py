"""Makes one model of several checkpoints of a run: the mean of their weights, with batch norms that fit it.

  yt8m train --keep_checkpoints=8 --save_steps=200 --learning_rate_decay=1 ... --train_dir=DIR
  yt8m average --train_dir=DIR --output_dir=DIR/averaged

The result is a run, which eval, inference and export take as a --train_dir. See docs/methods/averaging.md.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Averages."""
    from yt8m import api

    api.average_checkpoints(**given)


COMMAND = FlagCommand(__doc__, flags.AVERAGE, main, computes="training")
