"""Smooths stored scores over time and fuses them with the videos' scores, by weights fitted on ratings.

  yt8m fuse --scores=val/segments --video_scores=val/videos --fit_on='DATA/validate*.tfrecord' --fusion_output=fusion.json
  yt8m fuse --scores=test/segments --video_scores=test/videos --fusion=fusion.json --output_file=submission.csv

The stores are those of yt8m inference --scores_output, with and without --segment_labels. See docs/fusion.md.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Fuses."""
    from yt8m import api

    api.fuse(**given)


COMMAND = FlagCommand(__doc__, flags.FUSE, main)
