"""MAP@N of a submission file (Class,Segments) against rated segments.

python segment_eval_inference.py                      the latest sample run's predictions.csv, on the sample's test ratings
python segment_eval_inference.py --submission_file=submission.csv --eval_data_pattern='.../validate*.tfrecord'

The submission is read a class at a time, whatever its size; with --label_cache the shards are read once and then not needed.
"""

import os

from yt8m import flags


def define(fv):
    """Flags of this command alone."""
    from absl import flags as absl_flags

    group = {"flag_values": fv, "module_name": "Scoring"}
    absl_flags.DEFINE_string(
        "submission_file",
        None,
        "CSV with a line a class, with or without the header; .csv.gz too. Default: predictions.csv in the train_dir.",
        **group,
    )
    absl_flags.DEFINE_string(
        "label_cache", None, "File to keep the ratings in, read instead of the shards when it is there.", **group
    )
    absl_flags.DEFINE_integer("top_n", 100_000, "Segments a class that count; 0: all.", **group)
    absl_flags.DEFINE_string("id_feature", "id", "Name of a record's id in its context.", **group)


def main(fv):
    """Reads ratings and submission, prints MAP@N."""
    from yt8m.scoring import rated

    if fv.top_n < 0:
        raise flags.UserError(f"--top_n={fv.top_n}: must not be below 0.")
    cache = fv.label_cache and os.path.expanduser(fv.label_cache)
    cached = bool(cache) and os.path.exists(cache)
    sample, submission = None, fv.submission_file
    if not submission or not (fv.eval_data_pattern or cached):
        from yt8m import config
        from yt8m.sample.sample import ensure_sample

        folder = flags.train_dir(fv)
        submission = submission or os.path.join(folder, "predictions.csv")
        size = config.read_model_config(folder).sample
        sample = ensure_sample(size) if size else None
    pattern = None if cached else flags.data_pattern(fv, "eval_data_pattern", sample and sample.test_ratings_pattern)
    ratings = rated.read(pattern, fv.id_feature, cache)
    result = rated.score(os.path.expanduser(submission), ratings, fv.top_n)
    if sample and not fv.eval_data_pattern and not cached:
        from yt8m.stages import report

        report.print_table({os.path.basename(submission): result.mean}, sample, held_out=False)


FLAGS = (lambda fv: flags.define_files(fv, "eval_data_pattern"), define, flags.define_output)

if __name__ == "__main__":
    flags.run(main, __doc__, FLAGS)
