"""Trains a model to find where in a video a topic occurs.

  yt8m train --model=MultiAttentionModel          on the built-in sample: pre-trains, fine-tunes, shows how good it is
  yt8m train --model=... --train_data_pattern='.../train*.tfrecord' --train_dir=DIR              pre-trains on your data
  yt8m train --segment_labels --train_data_pattern='.../validate*.tfrecord' --train_dir=DIR      fine-tunes that model
  yt8m train --stage=em --model=...               weakly supervised EM, from pre-training to the last iteration
  yt8m train --recipe=multi_attention_moe_8 --train_data_pattern=...       a published recipe of configs/

A run that was stopped, however it was, goes on where it was when the same command is given again.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Trains; 143 when SIGTERM stopped it, 130 when Ctrl-C did."""
    from yt8m import api

    result = api.train(**given)
    return 128 + result.signal if result.stopped else None


COMMAND = FlagCommand(__doc__, flags.TRAIN, main, computes="training")
