"""Turns video and sound files into YouTube-8M records, to train on or to find topics in.

  yt8m features --demo                                          makes clips, and features of them, in the cache folder
  yt8m features --input_videos=clips/ --output_dir=features/    a folder, a glob or a CSV file with labels

features/dataset.flags is for --flagfile of training. Needs PyAV: pip install "yt8m[video]". A file that cannot be read is
listed in failed.csv, and the exit status is 1 at the end. See docs/features.md.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Extracts the features and says what to run next."""
    from yt8m import api

    return 1 if api.extract_features(**given).failed else 0


COMMAND = FlagCommand(__doc__, flags.FEATURES, main)
