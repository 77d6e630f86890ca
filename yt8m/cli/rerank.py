"""Ranks each class's best segments anew, of one model or several, by comparison with its rated segments.

  yt8m rerank                                       the latest sample run, on the sample's test shards
  yt8m rerank --flagfile=configs/ensemble_best.flags --references='DATA/validate*.tfrecord' \\
      --data_pattern='DATA/test*.tfrecord' --output_file=submission.csv
  yt8m rerank --scores=test/segments --fit_scores=val/segments ...       of stores that are there

Runs are scored first, the rated shards of --fit_on by models that have not learned them; stores are those of yt8m inference
--segment_labels --scores_output. Needs scikit-learn: pip install 'yt8m[rerank]'. See docs/reranking.md.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Ranks anew."""
    from yt8m import api

    api.rerank(**given)


COMMAND = FlagCommand(__doc__, flags.RERANK, main)
