"""Trains a model to find where in a video a topic occurs: `yt8m train` under the starter's name.

python train.py --model=MultiAttentionModel          on the built-in sample: pre-trains, fine-tunes, shows how good it is
python train.py --model=... --train_data_pattern='.../train*.tfrecord' --train_dir=DIR              pre-trains on your data
python train.py --segment_labels --train_data_pattern='.../validate*.tfrecord' --train_dir=DIR      fine-tunes that model
python train.py --stage=em --model=...               weakly supervised EM, from pre-training to the last iteration
python train.py --help                               all flags
"""

from yt8m.cli import app

if __name__ == "__main__":
    app.run("train")
