"""Several runs compared, as `yt8m compare` does it."""

import os

import numpy as np

from yt8m.backend import check_backend
from yt8m.comparisons import comparison, picture
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.flags import values
from yt8m.folders import named_folders, short_names
from yt8m.metrics.bootstrap import RESAMPLES
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks, sources
from yt8m.scoring.classes import predicted_label_ids
from yt8m.stages.judged import judge_pairs
from yt8m.stages.scored import scored_pairs
from yt8m.training import restore
from yt8m.training.names import class_names

RUNS, CLASSES, PICTURE = "comparison.csv", "classes.csv", "comparison.png"


@errors_as_user_errors()
def compare(
    train_dirs,
    eval_data_pattern="",
    output_dir="comparison",
    whole_videos=False,
    names=None,
    top_classes=10,
    resamples=RESAMPLES,
    batch_size=128,
    vocabulary_file="",
    per_class_output="",
):
    """Says which of several runs is better on one evaluation set, by how much, of which classes; writes CSV files and a picture.

    Args:
        train_dirs: folders of runs, or of yt8m export --formats=keras, a list or a text with commas; the others are compared with
            the first.
        eval_data_pattern: rated shards; "": the built-in sample's held-out ones, where all were trained on it.
        output_dir: folder for comparison.csv, classes.csv and comparison.png; files of these names are replaced.
        whole_videos: judge by the labels of whole videos in place of rated segments.
        names: what the runs are called, a list or a text with commas; None: the last parts of their paths.
        top_classes: classes that gain most, and as many that lose most, to show.
        resamples: of the videos.
        batch_size: rows at a time.
        vocabulary_file: CSV with Index and Name; "": the runs' own names.
        per_class_output: another place for classes.csv.

    Returns:
        comparisons.comparison.Comparison.

    Raises:
        UserError: fewer than two runs, runs of different classes, bad shards, or an output that cannot be written.
    """
    check_backend("evaluation")
    top_classes, resamples, batch_size = _counts(top_classes=top_classes, resamples=resamples, batch_size=batch_size)
    eval_data_pattern, output_dir, vocabulary_file, per_class_output = _texts(
        eval_data_pattern=eval_data_pattern,
        output_dir=output_dir,
        vocabulary_file=vocabulary_file,
        per_class_output=per_class_output,
    )
    _check_outputs(output_dir, per_class_output)
    whole_videos = values.boolean("whole_videos", whole_videos)
    folders = [sources.folder_of_run({"train_dir": path}) for path in _named(train_dirs)]
    names = _names(folders, names)
    first, runs = None, []
    for name, folder in zip(names, folders):
        trained = restore.newest(folder)
        label_ids = sorted(predicted_label_ids(trained.config))
        if first is None:
            pattern = eval_data_pattern or _pattern_of_sample(trained.config, whole_videos)
            first = (name, trained.config, label_ids, class_names(trained.config, vocabulary_file))
        else:
            _check_same_classes(name, trained.config, label_ids, first, bool(eval_data_pattern), bool(vocabulary_file))
        origin.check_scored([(trained.config.backbone, trained.prefix)], pattern, "eval_data_pattern")
        print(f"{name}: {trained.config.model} of {trained.prefix}", flush=True)
        pairs = scored_pairs(trained.model, trained.config, pattern, batch_size, not whole_videos)
        pairs = _by_label_id(pairs, trained.config, label_ids)
        if not runs:
            of_first = pairs
        comparison.check_same_rows(name, pairs, names[0], of_first)
        result = judge_pairs(pairs, len(label_ids), not whole_videos, resamples)
        runs.append(comparison.JudgedRun(name, folder, trained.config.model, trained.step, result))
    what = "(video, class) pairs of whole videos" if whole_videos else "rated (segment, class) pairs"
    title = f"{len(of_first.classes):,} {what}, {runs[0].judged.num_videos:,} videos, of {pattern}"
    compared = comparison.Comparison(title, tuple(runs), tuple(first[2]), first[3])
    _write(compared, os.path.abspath(os.path.expanduser(output_dir)), per_class_output, top_classes)
    return compared


def _counts(**given):
    """The numbers that were given, in their order.

    Raises:
        UserError: one is no whole number, or out of its range.
    """
    given = {name: values.integer(name, value) for name, value in given.items()}
    checks.positive(given, "resamples", "batch_size")
    checks.not_negative(given, "top_classes")
    return given.values()


def _texts(**given):
    """The texts that were given, in their order, a list as a text with commas, None as ""."""
    return ("" if value is None else values.text(name, value) for name, value in given.items())


def _check_outputs(output_dir, per_class_output):
    """Refuses outputs that cannot be written.

    Raises:
        UserError: names the flag and its value.
    """
    given = {"output_dir": output_dir or ".", "per_class_output": per_class_output}
    checks.file(given, "per_class_output")
    checks.writable(given, "per_class_output")
    checks.writable_folder(given, "output_dir")


def _named(train_dirs):
    """The folders that are named, one or several, as texts."""
    if isinstance(train_dirs, (str, os.PathLike)):
        return named_folders(os.fspath(train_dirs))
    return values.names("train_dirs", train_dirs)


def _write(compared, folder, per_class_output, top_classes):
    """Prints the comparison and writes its files."""
    comparison.show(compared, top_classes)
    classes = os.path.abspath(os.path.expanduser(per_class_output or os.path.join(folder, CLASSES)))
    comparison.write_runs(os.path.join(folder, RUNS), compared)
    comparison.write_classes(classes, compared)
    picture.draw(os.path.join(folder, PICTURE), compared, top_classes)
    print(f"Wrote {os.path.join(folder, RUNS)}, {classes} and {os.path.join(folder, PICTURE)}.")


def _names(folders, names):
    """What the runs are called.

    Raises:
        UserError: fewer than two runs, or not a name of its own for each.
    """
    if len(folders) < 2:
        raise UserError(f"{len(folders)} run: compare takes two or more. Name the train_dir of each.")
    chosen = values.names("names", names) if names else tuple(short_names(folders))
    if len(chosen) != len(folders) or len(set(chosen)) != len(chosen):
        raise UserError(f"--names={','.join(chosen)}: {len(folders)} runs need as many names, all different. Give one for each.")
    return chosen


def _pattern_of_sample(config, whole_videos):
    """The sample's shards to judge on.

    Raises:
        UserError: the run was trained on named data.
    """
    sample = restore.sample_of(config)
    default = sample and (
        sample.video_validate_pattern if whole_videos and not config.frame_features else sample.held_out_pattern
    )
    return sources.data_pattern({}, "eval_data_pattern", default)


def _check_same_classes(name, config, label_ids, first, data_is_named, names_are_given):
    """Refuses a run of other classes, or, where no data is named, of other data than the first's.

    Raises:
        UserError: names both runs.
    """
    other, other_config, other_ids, _ = first
    if label_ids != other_ids:
        raise UserError(
            f"{name} has {len(label_ids):,} classes, {other} {len(other_ids):,}, or others: their MAPs are means over different "
            "classes. Compare runs of the same classes."
        )
    ours, theirs = config.class_names, other_config.class_names
    if ours and theirs and not names_are_given:
        different = next((label for label in label_ids if _name(ours, label) != _name(theirs, label)), None)
        if different is not None:
            called = f"{name} calls class {different} {_name(ours, different)!r}, {other} {_name(theirs, different)!r}"
            raise UserError(
                f"{called}: other vocabularies. Compare runs of the same one, or give --vocabulary_file if they mean the same."
            )
    if not data_is_named and config.sample != other_config.sample:
        raise UserError(
            f"{name} was not trained on the same sample as {other}: no evaluation set goes with both. Name one with "
            "--eval_data_pattern."
        )


def _name(names, label):
    return names[label] if label < len(names) else ""


def _by_label_id(pairs, config, label_ids):
    """ScoredPairs in their order, with the places of their label ids in `label_ids` as classes."""
    places = np.searchsorted(label_ids, predicted_label_ids(config))
    return pairs._replace(classes=places[pairs.classes]).in_order()
