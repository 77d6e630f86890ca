"""MAP@N of a submission file (Class,Segments) against rated segments.

  yt8m segment-eval                      the latest sample run's predictions.csv, on the sample's test ratings
  yt8m segment-eval --submission_file=submission.csv --eval_data_pattern='.../validate*.tfrecord'

The submission is read a class at a time, whatever its size; with --label_cache the shards are read once and then not needed.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Reads ratings and submission, prints MAP@N."""
    from yt8m import api

    api.evaluate_submission(**given)


COMMAND = FlagCommand(__doc__, flags.SEGMENT_EVAL, main)
