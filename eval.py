"""Says how good a trained model is: `yt8m eval` under the starter's name.

python eval.py --segment_labels                       the latest sample run, on its held-out rated segments
python eval.py --eval_data_pattern='.../validate*.tfrecord' --train_dir=DIR --run_once          Hit@1, PERR, MAP, GAP@20
python eval.py --help                                 all flags
"""

from yt8m.cli import app

if __name__ == "__main__":
    app.run("eval")
