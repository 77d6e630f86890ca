"""Scores of videos that nobody rated, as `yt8m inference` writes them."""

import os

from yt8m import commands, flags
from yt8m import config as configs
from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.flags.candidates import FILTERS
from yt8m.folders import named_folders
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks, sources
from yt8m.scoring import infer, named, workers
from yt8m.scoring.candidates import CandidateRules, ProposedVideos
from yt8m.scoring.classes import scored_label_ids
from yt8m.scoring.infer import Member
from yt8m.training import bundle, restore
from yt8m.training.names import class_names

SEGMENT_FLAGS = ("segment_shifts", "skip_head_segments", "skip_tail_segments")


@errors_as_user_errors()
def inference(**given):
    """Scores videos by one trained model or several, and writes the best segments of each class, or classes of each video.

    Args:
        **given: flags of `yt8m inference` by name, e.g. train_dir=... (a list: an ensemble), input_data_pattern=...,
            segment_labels=True, output_file=...

    Returns:
        Path of what was written: the CSV, a worker's partial result, or, without either, the folder of scores.

    Raises:
        UserError: an unknown flag, a bad value, flags that do not go together, no checkpoint, bad data, an output that cannot
            be written.
    """
    check_backend("inference")
    given = flags.read(flags.INFERENCE, given)
    check(given)
    for name, reason in _without_effect(given).items():
        print(f"--{name}={given[name]}: without effect, since {reason}.", flush=True)
    if given.get("input_model_tgz"):
        given["train_dir"] = bundle.folder_of(given["input_model_tgz"], given.get("untar_model_dir"))
    needed = not (given.get("merge_workers") and given.get("output_file"))
    folders = sources.folders_of_runs(given) if needed else []
    if given.get("output_model_tgz") and len(folders) > 1:
        raise UserError(
            f"--output_model_tgz packs one model, and --train_dir={given.get('train_dir')} has one for each of {len(folders)} "
            f"folds. Name one, such as {folders[0]}."
        )
    output = os.path.expanduser(given["output_file"] if "output_file" in given else os.path.join(folders[0], "predictions.csv"))
    if given.get("merge_workers"):
        names = _names(given, None)
        workers.merge(output, given["num_workers"], given.get("segment_max_pred"))
        _write_names(output, names, segments=True)
        return output
    first, members = restored(given, folders)
    if given.get("output_model_tgz"):
        bundle.write(given["output_model_tgz"], folders[0], first.prefix)
        print(f"Wrote {given['output_model_tgz']}: the model, for --input_model_tgz.")
    sample = None if given.get("input_data_pattern") else restore.sample_of(first.config)
    job = _job(given, output, sample, first.config)
    check_origin(members, job.pattern)
    scorer, names = _scorer(given, members), _names(given, first.config)
    if given.get("segment_labels"):
        infer.rank_segments(scorer, job, given.get("segment_max_pred", 100_000), proposed_videos(given))
        _write_names(output, names, segments=True)
        _say_next(job, sample, folders[0])
    else:
        infer.rank_classes(scorer, job, given.get("top_k", 20))
        _write_names(output, names, segments=False)
    if not job.output_file:
        return job.scores_output
    return workers.partial_path(job.output_file, *job.worker) if job.worker else job.output_file


def check(given):
    """Refuses flags that do not go together.

    Raises:
        UserError: names them.
    """
    if given.get("input_model_tgz") and given.get("train_dir"):
        raise UserError(
            f"--input_model_tgz={given['input_model_tgz']} and --train_dir={given['train_dir']} both name a model. Leave one out."
        )
    if given.get("output_model_tgz") and len(named_folders(given.get("train_dir", ""))) > 1:
        raise UserError(f"--output_model_tgz packs one model, and --train_dir={given['train_dir']} names several. Name one.")
    checks.positive(given, "batch_size", "top_k", "segment_max_pred", "num_readers", "num_workers")
    checks.not_negative(given, *SEGMENT_FLAGS)
    for name in (*SEGMENT_FLAGS, "merge_workers"):
        if given.get(name) and not given.get("segment_labels"):
            raise UserError(f"--{name} is for segments. Give --segment_labels, or leave it out.")
    merge = bool(given.get("merge_workers"))
    if [merge, "worker_index" in given].count(True) != ("num_workers" in given):
        raise UserError("--num_workers goes with one of --worker_index and --merge_workers. Give it and one of these, or none.")
    proposed = proposed_videos(given)
    if proposed and (not given.get("segment_labels") or merge or "worker_index" in given):
        raise UserError("--video_scores proposes the segments that are ranked, by one worker. Give --segment_labels, no workers.")
    if proposed and (not given.get("scores_output") or given.get("output_file") == ""):
        raise UserError("--video_scores ranks what is in a store into a CSV. Give --scores_output and an --output_file as well.")
    if proposed and not any(given.get(flag.name) for flag in FILTERS.flags):
        raise UserError(
            f"--video_scores={given['video_scores']} proposes nothing without one of "
            f"{', '.join(f'--{flag.name}' for flag in FILTERS.flags)}. Give one, or leave it out."
        )
    if given.get("scores_dtype") and not given.get("scores_output"):
        raise UserError(
            f"--scores_dtype={given['scores_dtype']} is of --scores_output, which is not given. Give both or neither."
        )
    checks.file(given, "output_file", "output_model_tgz")
    if given.get("names") and (given.get("output_file") == "" or "worker_index" in given):
        raise UserError("--names goes with the --output_file of one worker, or with --merge_workers. Leave it out.")
    if given.get("vocabulary_file") and not given.get("names"):
        raise UserError(f"--vocabulary_file={given['vocabulary_file']} is for --names, which is not given. Give both or neither.")
    if merge and given.get("output_file") == "":
        raise UserError("--merge_workers with an empty --output_file: name the workers' output file.")


def _without_effect(given):
    """{flag: why} of flags that do nothing, but that the starter's users may always give."""
    if given.get("segment_labels"):
        reasons = {"top_k": "--segment_labels writes segments: --segment_max_pred of each class"}
    else:
        reasons = {"segment_max_pred": "--segment_labels is not given"}
    if not given.get("input_model_tgz"):
        reasons["untar_model_dir"] = "--input_model_tgz is not given"
    return {name: reason for name, reason in reasons.items() if name in given}


def restored(given, folders):
    """The first of the trained models, and the members of the ensemble of all."""
    checkpoints, weights = (_one_each(given, name, len(folders)) for name in ("checkpoint", "weights"))
    try:
        weights = [1.0 if weight is None else float(weight) for weight in weights]
    except ValueError:
        raise UserError(f"--weights={given['weights']}: expected numbers, separated by commas.") from None
    trained = [restore.newest(*where, sources.expected(given)) for where in zip(folders, checkpoints)]
    paths = [os.path.relpath(run.prefix, os.path.dirname(os.path.abspath(folder))) for folder, run in zip(folders, trained)]
    return trained[0], [Member(run.model, run.config, *rest) for run, *rest in zip(trained, weights, paths)]


def proposed_videos(given):
    """The ProposedVideos that flags ask for, or None.

    Raises:
        UserError: a value out of range, or flags that do nothing without --video_scores.
    """
    asked = [flag.name for flag in FILTERS.flags if given.get(flag.name)]
    if not given.get("video_scores"):
        if asked:
            raise UserError(f"--{asked[0]} is for the scores of whole videos. Give --video_scores as well, or leave it out.")
        return None
    names = ("candidate_classes", "candidate_score", "candidate_videos", "candidate_segments", "video_exponent")
    rules = CandidateRules(*(given.get(name, 0) for name in names))
    return ProposedVideos(rules, *(os.path.expanduser(given.get(name, "")) for name in ("video_scores", "fill_scores")))


def check_origin(members, pattern):
    """Refuses shards whose features were made otherwise than those that the members were trained on."""
    origin.check_scored([(member.config.backbone, member.name) for member in members], pattern)


def _names(given, config):
    """{label id: name} for --names, None without it; `config` is of the first model, None: its folder has it."""
    if not given.get("names"):
        return None
    if config is None and not given.get("vocabulary_file"):
        config = configs.read_model_config(sources.folders_of_runs(given)[0])
    return class_names(config, given.get("vocabulary_file"))


def _write_names(output, names, segments):
    """Writes what is in the CSV once more, with the names of the classes, unless they are None."""
    if names is not None:
        print(f"Wrote {named.write(output, names, segments)}: the same with the classes' names.")


def _one_each(given, name, count):
    """The values of a flag, one a train_dir, separated by commas; Nones where it is not given."""
    values = given[name].split(",") if name in given else [None] * count
    if len(values) != count:
        raise UserError(f"--{name}={given[name]}: {len(values)} values for {count} --train_dir. Give one each.")
    return values


def _scorer(given, members):
    """The Scorer of all members."""
    kind = "segments" if given.get("segment_labels") else "videos"
    label_ids = scored_label_ids([member.config for member in members], given.get("segment_label_ids_file"), kind)
    return infer.Scorer(members, kind, label_ids, *(given.get(name, 0) for name in SEGMENT_FLAGS))


def _job(given, output, sample, config):
    """The Job: what is read and where it is written; `config` is of the first model."""
    frame_level = given.get("segment_labels") or config.frame_features
    pattern = sample and (sample.test_pattern if frame_level else sample.video_validate_pattern)
    return infer.Job(
        sources.data_pattern(given, "input_data_pattern", pattern),
        output,
        given.get("batch_size", 128),
        os.path.expanduser(given.get("scores_output", "")),
        given.get("scores_dtype", "uint16"),
        (given["worker_index"], given["num_workers"]) if "worker_index" in given else None,
        given.get("num_readers", 2),
    )


def _say_next(job, sample, folder):
    """Says what one would run next: with a command where all is known that it takes, else in words."""
    if job.output_file and job.worker:
        flags = {"num_workers": job.worker[1], "output_file": job.output_file}
        merge = commands.command("inference", "segment_labels", "merge_workers", **flags)
        commands.show_next(merge, when="Next, when all workers are done")
    elif job.output_file and sample:
        commands.show_next(commands.command("segment-eval", train_dir=folder, submission_file=job.output_file))
    elif job.output_file:
        call = commands.command("segment-eval", submission_file=job.output_file)
        print(f"To see how good it is: {call}, and as --eval_data_pattern the rated shards of these videos, where there are any.")
