"""Says where in each video which class is, and shows it on a page: `yt8m timeline`.

python timeline.py                                    the latest sample run, on the sample's test videos
python timeline.py --train_dir=DIR --input_data_pattern='features/*.tfrecord' --output_dir=timelines
python timeline.py --help                             all flags
"""

from yt8m.cli import app

if __name__ == "__main__":
    app.run("timeline")
