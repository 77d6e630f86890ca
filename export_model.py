"""Writes a trained model as files that run without this package: `yt8m export` under the starter's name.

python export_model.py                                the latest sample run, into its folder `export`
python export_model.py --train_dir=DIR --output_dir=OUT --eval_data_pattern='.../validate*.tfrecord'
python export_model.py --help                         all flags
"""

from yt8m.cli import app

if __name__ == "__main__":
    app.run("export")
