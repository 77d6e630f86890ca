"""Scores videos that nobody rated: `yt8m inference` under the starter's name.

python inference.py --segment_labels                  the latest sample run, on the sample's test shards
python inference.py --segment_labels --input_data_pattern='.../test*.tfrecord' --train_dir=DIR --output_file=submission.csv
python inference.py --help                            all flags
"""

from yt8m.cli import app

if __name__ == "__main__":
    app.run("inference")
