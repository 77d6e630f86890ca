"""Ranks a store's best segments anew, class by class, by how they compare with rated segments of the class.

  yt8m rerank --references='DATA/validate0*.tfrecord' --fit_on='DATA/validate0*.tfrecord' --fit_scores=val/segments \\
      --scores=test/segments --data_pattern='DATA/test*.tfrecord' --output_file=submission.csv

The stores are those of yt8m inference --segment_labels --scores_output. Needs scikit-learn: pip install 'yt8m[rerank]'. See
docs/reranking.md.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Ranks anew."""
    from yt8m import api

    api.rerank(**given)


COMMAND = FlagCommand(__doc__, flags.RERANK, main)
