"""Where in videos which classes are, as `yt8m timeline` writes it."""

import os

from yt8m import commands, flags
from yt8m.api.scoring import restored
from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.features import extract, from_files, origin, outputs
from yt8m.folders import named_folders
from yt8m.readers import labels
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks, sources
from yt8m.scoring.classes import scored_label_ids
from yt8m.timelines import command, models, thresholds, videos
from yt8m.timelines.timeline import Settings
from yt8m.training import bundle, restore
from yt8m.training.names import class_names

VOCABULARY = "vocabulary.csv"  # of the feature extractor
_SETTINGS = ("stride", "high", "low", "merge_gap", "min_length", "top_classes")
_PASSED_ON = ("formats", "video_ids", "max_videos", "attention", "frame_rate", "embed", "batch_size", "num_readers")


@errors_as_user_errors()
def timeline(**given):
    """Writes timelines of videos: where in each which class is, as data and as pages.

    Args:
        **given: flags of `yt8m timeline` by name, e.g. train_dir=..., input_data_pattern=..., output_dir=..., stride=1.

    Returns:
        Path of the folder that was written.

    Raises:
        UserError: an unknown flag, a bad value, no model, bad data, a folder that cannot be written.
    """
    check_backend("inference")
    given = flags.read(flags.TIMELINE, given)
    _check(given)
    settings = settings_of(given)
    scorer, config, model, folder = _saved_model(given) if given.get("saved_model") else _runs(given)
    output = os.path.abspath(os.path.expanduser(given.get("output_dir") or os.path.join(folder, "timelines")))
    features = _features(given, config, output) if given.get("input_videos") else None
    sample = None if features or given.get("input_data_pattern") or config is None else restore.sample_of(config)
    default = os.path.join(features.folder, "*.tfrecord") if features else sample and sample.test_pattern
    pattern = sources.data_pattern(given, "input_data_pattern", default)
    origin.check_scored(scorer.origins, pattern)
    job = command.Job(
        pattern=pattern,
        output_dir=output,
        settings=settings,
        names=_names(given, pattern, config),
        model={**model, "backbone": (origin.of_shards(pattern) or {}).get("name")},
        videos=_videos(given, pattern),
        **{name: given[name] for name in _PASSED_ON if name in given},
    )
    count = command.write(scorer, job)
    shown = os.path.join(output, "index.html") if "html" in job.formats else output
    print(f"{count:,} timeline{'' if count == 1 else 's'} in {output}. Look at {shown}")
    if not settings.thresholds and config is not None and config.sample:
        csv = os.path.join(folder, "thresholds.csv")
        commands.show_next(
            commands.command("eval", "segment_labels", "run_once", train_dir=folder, thresholds_output=csv),
            when="Thresholds of each class's own, for --thresholds_file",
        )
    if features and features.failed:
        reports = os.path.join(features.folder, outputs.FAILED)
        raise UserError(f"{len(features.failed)} files have no timeline, see {reports}, such as {_failure(features)}.")
    return output


def settings_of(given):
    """The Settings that flags ask for."""
    highs = thresholds.read(os.path.expanduser(given["thresholds_file"])) if given.get("thresholds_file") else {}
    return Settings(**{name: given[name] for name in _SETTINGS if name in given}, thresholds=highs)


def _check(given):
    """Refuses flags that do not go together, and counts below 1."""
    named = [name for name in ("train_dir", "input_model_tgz", "saved_model") if given.get(name)]
    if len(named) > 1:
        raise UserError(f"--{named[0]} and --{named[1]} both name a model. Leave one out.")
    for name in ("checkpoint", "weights", "model"):
        if given.get("saved_model") and given.get(name):
            raise UserError(f"--{name} is for runs, not for a --saved_model. Leave it out.")
    if given.get("input_videos") and given.get("input_data_pattern"):
        raise UserError("--input_videos and --input_data_pattern both name the videos. Leave one out.")
    for name in ("backbone", "weights_dir", "id_from"):
        if given.get(name) and not given.get("input_videos"):
            raise UserError(f"--{name}={given[name]} is for --input_videos, which is not given. Leave it out.")
    checks.positive(given, "batch_size", "num_readers", "max_videos", "frame_rate")


def _runs(given):
    """(RunScorer, ModelConfig, what the JSON says of the model, folder for timelines) of trained runs or a bundle."""
    if given.get("input_model_tgz"):
        given["train_dir"] = bundle.folder_of(given["input_model_tgz"], given.get("untar_model_dir"))
    named, folders = named_folders(sources.folder_of_run(given)), sources.folders_of_runs(given)
    given["train_dir"] = ",".join(folders)
    first, members = restored(given, folders)
    label_ids = scored_label_ids([member.config for member in members], given.get("segment_label_ids_file"))
    described = {
        "name": " + ".join(member.config.model for member in members),
        "train_dir": ",".join(folders),
        "step": first.step if len(members) == 1 else None,
    }
    where = "" if given.get("input_model_tgz") else named[0]
    return models.RunScorer(members, label_ids), first.config, described, where


def _saved_model(given):
    """The same of a SavedModel, which has no ModelConfig."""
    folder = os.path.expanduser(given["saved_model"])
    if given.get("frame_features") is False:
        raise UserError("--noframe_features: a --saved_model takes frames. Leave it out, and name frame-level shards.")
    names, sizes = sources.names_and_sizes(given)
    names, sizes = names or ("rgb", "audio"), sizes or (1024, 128)
    if len(names) != len(sizes):
        raise UserError(f"--feature_names={','.join(names)}, --feature_sizes={','.join(map(str, sizes))}: give one size a name.")
    file = given.get("segment_label_ids_file")
    label_ids = labels.read_label_ids(file) if file else None
    scorer = models.SavedModelScorer(folder, names, sizes, label_ids, given.get("id_feature") or "id")
    return scorer, None, {"name": models.model_name(folder), "train_dir": folder, "step": None}, ""


def _beside(pattern, name):
    """Path of a file beside the shards, as the feature extractor leaves them; "" where there is none."""
    path = os.path.join(os.path.dirname(pattern.split(",")[0].strip()), name)
    return path if os.path.isfile(path) else ""


def _names(given, pattern, config):
    """{label id: name}: of --vocabulary, of the model's own classes, else of vocabulary.csv beside the shards."""
    names = class_names(config, given.get("vocabulary"))
    beside = "" if names else _beside(pattern, VOCABULARY)
    return class_names(config, beside) if beside else names


def _videos(given, pattern):
    """{video id: VideoFile} of --videos_csv, or of videos.csv beside the shards; {} without either."""
    path = os.path.expanduser(given.get("videos_csv", "")) or _beside(pattern, videos.NAME)
    return videos.read(path) if path else {}


def _features(given, config, output):
    """The Features of --input_videos, made as those that the (first) model was trained on, in a folder of the timelines."""
    if config is None or (config.sample and not given.get("backbone")):
        what = "a SavedModel, of which nothing more is known" if config is None else "trained on the built-in sample"
        raise UserError(
            f"--input_videos={given['input_videos']}: the model is {what}. Make features, and give --input_data_pattern."
        )
    how = from_files.FileFeatures(
        config.backbone, named_folders(given["train_dir"])[0], given.get("backbone"), given.get("weights_dir")
    )
    job = extract.Job(
        given["input_videos"],
        os.path.join(output, "features"),
        backbone=how.flag,
        weights_dir=how.weights_dir,
        whitening=how.whitening_file,
        id_from=given.get("id_from", "stem"),
        split="test:1",
        num_shards=1,
        settings=from_files.SETTINGS,
    )
    features = extract.run(job, how.backbone)
    if not features.videos:
        raise UserError(f"--input_videos={given['input_videos']}: no file gives features, such as {_failure(features)}.")
    return features


def _failure(features):
    """The first failure of an extraction."""
    return ": ".join(features.failed[0])
