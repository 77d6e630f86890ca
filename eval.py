"""Says how good a trained model is.

  python eval.py --segment_labels                       the latest sample run, on its held-out rated segments
  python eval.py --eval_data_pattern='.../validate*.tfrecord' --train_dir=DIR --run_once          Hit@1, PERR, MAP, GAP@20
  python eval.py --eval_data_pattern='.../validate*.tfrecord' --train_dir=DIR --segment_labels    MAP and AUC, rated segments

Without --run_once it waits for new checkpoints and evaluates each, until the run that writes them is finished.
"""

import time

from yt8m import flags


def define(fv):
    """Flags of evaluation alone."""
    from absl import flags as absl_flags

    group = {"flag_values": fv, "module_name": "Evaluation"}
    absl_flags.DEFINE_string("model", None, "Refuse any other model than this. Default: the train_dir's.", **group)
    absl_flags.DEFINE_string("label_loss", None, "Loss to report for whole videos. Default: the one trained with.", **group)
    absl_flags.DEFINE_integer("top_k", 20, "Predictions a video that count for GAP.", **group)
    absl_flags.DEFINE_string("checkpoint", None, "Evaluate this checkpoint of the run, once. Default: the newest.", **group)
    absl_flags.DEFINE_bool(
        "run_once", None, "Evaluate the newest checkpoint only. --norun_once: never stop waiting for more.", **group
    )
    absl_flags.DEFINE_integer("eval_interval_secs", 10, "Seconds between two looks for a new checkpoint.", **group)


def main(fv):
    """Evaluates the newest checkpoint, and those to come."""
    from yt8m.stages import report
    from yt8m.training import restore

    flags.check_positive(fv, "batch_size", "top_k", "eval_interval_secs")
    folder = flags.train_dir(fv)
    last = None
    while True:
        finished = report.finished(folder)
        trained = restore.newest(folder, fv.checkpoint, flags.expected(fv))
        if trained.prefix != last:
            evaluate(fv, folder, trained)
            last = trained.prefix
        elif finished:
            print("The run is finished: no more checkpoints to wait for.")
            return
        if fv.run_once or fv.checkpoint or (finished and fv.run_once is None):
            return
        time.sleep(fv.eval_interval_secs)


def evaluate(fv, folder, trained):
    """Evaluates one checkpoint, prints a table and writes TensorBoard scalars."""
    import dataclasses

    from yt8m.stages import evaluate as evaluation
    from yt8m.stages import report
    from yt8m.training import restore

    config = dataclasses.replace(trained.config, label_loss=fv.label_loss or trained.config.label_loss)
    sample = None if fv.eval_data_pattern else restore.sample_of(config)
    pattern = flags.data_pattern(
        fv,
        "eval_data_pattern",
        sample and (sample.held_out_pattern if fv.segment_labels or config.frame_features else sample.video_validate_pattern),
    )
    batch_size = fv.batch_size or 128
    if fv.segment_labels:
        metrics = evaluation.evaluate_segments(trained.model, config, pattern, batch_size)
    else:
        metrics = evaluation.evaluate_videos(trained.model, config, pattern, batch_size, fv.top_k)
    evaluation.write_scalars(folder, trained.step, metrics, bool(fv.segment_labels))
    report.print_metrics(f"{config.model} of {trained.prefix} on {pattern}", metrics)
    if fv.segment_labels and sample:
        report.print_table({config.model: metrics["map"]}, sample)


FLAGS = (lambda fv: flags.define_files(fv, "eval_data_pattern"), flags.define_features, define, flags.define_output)

if __name__ == "__main__":
    flags.run(main, __doc__, FLAGS)
