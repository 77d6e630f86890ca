"""Scores videos that nobody rated, straight from a train_dir, or from several at once.

  yt8m inference --segment_labels                  the latest sample run, on the sample's test shards
  yt8m inference --segment_labels --input_data_pattern='.../test*.tfrecord' --train_dir=DIR --output_file=submission.csv
  yt8m inference --segment_labels --train_dir=A,B,C --weights=1,2,1 ...     the weighted mean of three models
  yt8m inference --input_data_pattern='.../test*.tfrecord' --train_dir=DIR --output_file=predictions.csv

With --segment_labels each class's best 5-second segments (Class,Segments), else each video's best classes
(VideoId,LabelConfidencePairs). --scores_output keeps all scores; --worker_index shares the work out.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Scores and writes."""
    from yt8m import api

    api.inference(**given)


COMMAND = FlagCommand(__doc__, flags.INFERENCE, main, computes="inference")
