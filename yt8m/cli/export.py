"""Writes a trained model as files that run without this package, and says what each of them costs.

  yt8m export                                                       the latest sample run, into its folder `export`
  yt8m export --train_dir=DIR --output_dir=OUT --eval_data_pattern='.../validate*.tfrecord'
  yt8m export --train_dir=DIR --formats=mediapipe --output_dir=OUT           for MediaPipe's youtube8m graphs

SavedModel (video in, top segments out; also the starter's signatures) and LiteRT files; docs/export.md has them all.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Restores the model, exports it, prints the table."""
    from yt8m import api

    api.export_model(**given)


COMMAND = FlagCommand(__doc__, flags.EXPORT, main, computes="export")
