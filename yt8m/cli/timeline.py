"""Says where in each video which class is: JSON, CSV, WebVTT, and a page that plays the video.

  yt8m timeline                                      the latest sample run, on the sample's test videos
  yt8m timeline --train_dir=DIR --input_data_pattern='features/*.tfrecord' --output_dir=timelines
  yt8m timeline --train_dir=DIR --input_videos=clip.mp4          files, embedded as the model's features were
  yt8m timeline --input_model_tgz=model.tgz --vocabulary=vocabulary.csv --thresholds_file=thresholds.csv ...
  yt8m timeline --saved_model=DIR --input_data_pattern=...        any model with MediaPipe's signature, no training
  yt8m timeline --stride=1 --video_ids=abc,def ...                a score every second, of two videos

Open index.html in the folder that it wrote. docs/timeline.md has the formats.
"""

from yt8m import flags
from yt8m.cli.command import FlagCommand


def main(given):
    """Scores the videos and writes their timelines."""
    from yt8m import api

    api.timeline(**given)


COMMAND = FlagCommand(__doc__, flags.TIMELINE, main, computes="inference")
