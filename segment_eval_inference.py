"""MAP@N of a submission file against rated segments: `yt8m segment-eval` under the starter's name.

python segment_eval_inference.py                      the latest sample run's predictions.csv, on the sample's test ratings
python segment_eval_inference.py --submission_file=submission.csv --eval_data_pattern='.../validate*.tfrecord'
python segment_eval_inference.py --help               all flags
"""

from yt8m.cli import app

if __name__ == "__main__":
    app.run("segment-eval")
