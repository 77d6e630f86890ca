"""How good a model or a submission is, as `yt8m eval` and `yt8m segment-eval` say it."""

import contextlib
import dataclasses
import os
import tempfile
import time

from yt8m import config as configs
from yt8m import flags, losses
from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks, sources
from yt8m.scoring import rated
from yt8m.scoring.classes import predicted_label_ids
from yt8m.stages import evaluate as evaluation
from yt8m.stages import per_class, report
from yt8m.stages.curves import PrecisionRecall
from yt8m.timelines import thresholds
from yt8m.training import restore
from yt8m.training.keras_files import is_keras_file
from yt8m.training.names import class_names


@errors_as_user_errors()
def evaluate(**given):
    """Says how good a trained model is: prints a table, writes TensorBoard scalars.

    Without run_once it waits for new checkpoints and evaluates each, until the run that writes them is finished.

    Args:
        **given: flags of `yt8m eval` by name, e.g. train_dir=..., eval_data_pattern=..., segment_labels=True.

    Returns:
        dict of metric name -> value, of the newest checkpoint; class_average_precisions and class_positives are arrays, a value a
        class.

    Raises:
        UserError: an unknown flag, a bad value, no checkpoint, bad data, or an output that cannot be written.
    """
    check_backend("evaluation")
    given = flags.read(flags.EVAL, given)
    _check(given)
    for name, reason in _without_effect(given).items():
        print(f"--{name}={given[name]}: without effect, since {reason}.", flush=True)
    folder = sources.folder_of_run(given)
    run_once, last, metrics = given.get("run_once"), None, None
    while True:
        finished = report.finished(folder)
        trained = restore.newest(folder, given.get("checkpoint"), sources.expected(given))
        finished = finished or is_keras_file(trained.prefix)
        if trained.prefix != last:
            metrics = _evaluate_checkpoint(given, folder, trained)
            last = trained.prefix
        elif finished:
            print("The run is finished: no more checkpoints to wait for.")
            return metrics
        if run_once or given.get("checkpoint") or (finished and run_once is None):
            return metrics
        time.sleep(given.get("eval_interval_secs", 10))


def _check(given):
    """Refuses values out of range, flags that would have no effect, and outputs that cannot be written."""
    checks.positive(given, "batch_size", "top_k", "map_top_k", "eval_interval_secs")
    if not 0 <= given.get("threshold", 0.5) <= 1:
        raise UserError(f"--threshold={given['threshold']}: must be between 0 and 1.")
    if given.get("map_top_k") and given.get("segment_labels"):
        raise UserError(f"--map_top_k={given['map_top_k']}: in MAP all rated segments count. Leave it out, or --segment_labels.")
    if given.get("label_loss") and not given.get("segment_labels") and losses.needs_video_labels(given["label_loss"]):
        raise UserError(f"--label_loss={given['label_loss']}: is for rated segments. Add --segment_labels, or leave it out.")
    if given.get("vocabulary_file") and not given.get("per_class_output"):
        raise UserError("--vocabulary_file is for --per_class_output, which is not given. Give both or neither.")
    if given.get("thresholds_output") and not given.get("segment_labels"):
        raise UserError("--thresholds_output comes from rated segments. Give --segment_labels, or leave it out.")
    checks.file(given, "thresholds_output", "per_class_output")
    checks.writable(given, "thresholds_output", "per_class_output")


def _without_effect(given):
    """{flag: why} of the starter's flags that do nothing here."""
    reasons = {"num_readers": "evaluation reads one batch at a time"}
    if given.get("segment_labels"):
        reasons["top_k"] = "of segments all rated ones count"
    return {name: reason for name, reason in reasons.items() if name in given}


def _evaluate_checkpoint(given, folder, trained):
    """Metrics of one checkpoint, printed and written."""
    config = _with_loss(trained.config, given.get("label_loss"))
    sample = None if given.get("eval_data_pattern") else restore.sample_of(trained.config)
    segments, options = given.get("segment_labels", False), {"threshold": given.get("threshold", 0.5)}
    options["batch_size"] = given.get("batch_size", 128)
    names = class_names(trained.config, given.get("vocabulary_file")) if given.get("per_class_output") else None
    default = sample and (sample.held_out_pattern if segments or config.frame_features else sample.video_validate_pattern)
    pattern = sources.data_pattern(given, "eval_data_pattern", default)
    origin.check_scored([(config.backbone, trained.prefix)], pattern, "eval_data_pattern")
    curve = PrecisionRecall()
    if segments:
        metrics = evaluation.evaluate_segments(trained.model, config, pattern, **options, keep=_kept(given, config, curve))
    else:
        options |= {"top_k": given.get("top_k", 20), "map_top_k": given.get("map_top_k"), "keep": curve.add}
        metrics = evaluation.evaluate_videos(trained.model, config, pattern, **options)
    with _where(trained, sample if segments else None) as picture:
        evaluation.write_scalars(folder, trained.step, metrics, segments, curve=curve, picture=picture)
    above = f"precision and recall: of what is above {options['threshold']:g}"
    report.print_metrics(f"{config.model} of {trained.prefix} on {pattern} ({above})", metrics)
    if given.get("per_class_output"):
        path = os.path.expanduser(given["per_class_output"])
        per_class.write(path, predicted_label_ids(config), metrics, names)
        print(f"The average precision of each class: {path}")
    if segments and sample:
        report.print_table({config.model: metrics["map"]}, sample)
    return metrics


def _with_loss(config, name):
    """The ModelConfig with another loss, which has its own options; None or "": as it is."""
    if not name or name == config.label_loss:
        return config
    return dataclasses.replace(config, label_loss=name, loss_options={})


@contextlib.contextmanager
def _where(trained, sample):
    """A picture of where the model finds topics in the sample's held-out videos; None of named data, whose truth is not known."""
    if sample is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, report.PICTURE)
        try:
            report.draw(path, trained.model, trained.config, sample)
        except (UserError, OSError):  # no video to draw, or a sample without its truth
            path = None
        yield path


def _kept(given, config, curve):
    """What is done with the rated pairs: the curve of precision and recall, and the file of --thresholds_output."""
    path = given.get("thresholds_output") and os.path.expanduser(given["thresholds_output"])

    def keep(classes, scores, labels):
        curve.add(scores, labels)
        if path:
            count = thresholds.write(path, predicted_label_ids(config), classes, scores, labels)
            what = f"thresholds of {count} classes, those with a positive rating"
            print(f"Wrote {path}: {what}, for yt8m timeline --thresholds_file.")

    return keep


@errors_as_user_errors()
def evaluate_submission(**given):
    """MAP@N of a submission file (Class,Segments) against rated segments, printed.

    Args:
        **given: flags of `yt8m segment-eval` by name, e.g. submission_file=..., eval_data_pattern=...

    Returns:
        The result of scoring.rated.score; `mean` is MAP@N.

    Raises:
        UserError: an unknown flag, a bad value, a bad line of the submission, bad shards.
    """
    given = flags.read(flags.SEGMENT_EVAL, given)
    if given.get("top_n", 0) < 0:
        raise UserError(f"--top_n={given['top_n']}: must not be below 0.")
    pattern, submission = given.get("eval_data_pattern"), given.get("submission_file")
    cache = given.get("label_cache") and os.path.expanduser(given["label_cache"])
    cached, sample = bool(cache) and os.path.exists(cache), None
    if not submission or not (pattern or cached):
        folder = sources.folder_of_run(given)
        submission = submission or os.path.join(folder, "predictions.csv")
        sample = restore.sample_of(configs.read_model_config(folder))
    of_sample = sample and not pattern and not cached
    if cached:
        pattern = None
    else:
        pattern = sources.data_pattern(given, "eval_data_pattern", sample and sample.test_ratings_pattern)
    ratings = rated.read(pattern, given.get("id_feature", "id"), cache)
    result = rated.score(os.path.expanduser(submission), ratings, given.get("top_n", 100_000))
    if of_sample:
        report.print_table({os.path.basename(submission): result.mean}, sample, held_out=False)
    return result
