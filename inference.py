"""Scores videos that nobody rated, straight from a train_dir.

  python inference.py --segment_labels                  the latest sample run, on the sample's test shards
  python inference.py --segment_labels --input_data_pattern='.../test*.tfrecord' --train_dir=DIR --output_file=submission.csv
  python inference.py --input_data_pattern='.../test*.tfrecord' --train_dir=DIR --output_file=predictions.csv

With --segment_labels each class's best 5-second segments (Class,Segments), else each video's best classes
(VideoId,LabelConfidencePairs).
"""

import os

from yt8m import flags


def define(fv):
    """Flags of inference alone."""
    from absl import flags as absl_flags

    group = {"flag_values": fv, "module_name": "Inference"}
    absl_flags.DEFINE_string("model", None, "Refuse any other model than this. Default: the train_dir's.", **group)
    absl_flags.DEFINE_string("checkpoint", None, "Use this checkpoint of the run. Default: the newest.", **group)
    absl_flags.DEFINE_string("output_file", None, "CSV to write. Default: predictions.csv in the train_dir.", **group)
    absl_flags.DEFINE_integer("top_k", 20, "Classes a video to write.", **group)
    absl_flags.DEFINE_integer("segment_max_pred", 100_000, "Segments a class to write.", **group)


def main(fv):
    """Scores and writes."""
    from yt8m.scoring import infer
    from yt8m.stages import restore

    flags.check_positive(fv, "batch_size", "top_k", "segment_max_pred", "num_readers")
    folder = flags.train_dir(fv)
    trained = restore.newest(folder, fv.checkpoint, flags.expected(fv))
    sample = trained.sample if not fv.input_data_pattern else None
    pattern = flags.data_pattern(
        fv,
        "input_data_pattern",
        sample and (sample.test_pattern if fv.segment_labels or trained.config.frame_features else sample.video_validate_pattern),
    )
    output = os.path.expanduser(fv.output_file or os.path.join(folder, "predictions.csv"))
    batch_size = fv.batch_size or 128
    if fv.segment_labels:
        ids_file = fv.segment_label_ids_file
        if ids_file is None and trained.config.label_ids is None:
            ids_file = trained.sample.segment_label_ids_file if trained.sample else flags.SEGMENT_LABEL_IDS_URL
        infer.segments(trained.model, trained.config, pattern, output, ids_file, fv.segment_max_pred, batch_size)
        print(
            f"Next: python segment_eval_inference.py --submission_file={output} --eval_data_pattern=<rated shards>"
            if not sample
            else "Next: python segment_eval_inference.py"
        )
    else:
        infer.videos(trained.model, trained.config, pattern, output, fv.top_k, batch_size)


FLAGS = (lambda fv: flags.define_files(fv, "input_data_pattern"), flags.define_features, define, flags.define_output)

if __name__ == "__main__":
    flags.run(main, __doc__, FLAGS)
