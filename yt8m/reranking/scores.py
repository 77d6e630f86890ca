"""Scores of trained models, as re-ranking needs them: of rated shards by models that did not learn from these."""

import os
from dataclasses import dataclass

import keras

from yt8m import config as configs
from yt8m.backend import dtype_policy
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.folders import short_names
from yt8m.readers.patterns import match_files
from yt8m.readers.stores import StoreConfig, check_basenames, create_store, open_store
from yt8m.scoring import infer
from yt8m.scoring.classes import common_label_ids, scored_label_ids
from yt8m.scoring.scan import stored_blocks
from yt8m.stages.learned import shards_of
from yt8m.training import restore


@dataclass(frozen=True)
class ScoreJob:
    """What is scored, and how.

    Attributes:
        members: {folder as the user named it: its runs' folders}; several runs (of --all_folds) are a member: the mean of their
            logits.
        fit_on: rated shards; of them those are scored that each member, or one of its runs, has not learned.
        fit_on_named: whether the user names them for this; otherwise the runs must tell what they have learned.
        data_pattern: the shards to rank.
        work_dir: folder for the stores.
        label_ids_file: classes to score; "": scored_label_ids'.
        dtype: of the stores.
        batch_size, num_readers: as in scan.Job.
    """

    members: dict
    fit_on: str
    data_pattern: str
    work_dir: str
    fit_on_named: bool = True
    label_ids_file: str = ""
    dtype: str = "float16"
    batch_size: int = 128
    num_readers: int = 2


def make_stores(job):
    """Scores the segments of both sets of shards with each member; what is there already is not scored again.

    A rated shard is scored by those of a member's runs that have not learned its ratings.

    Returns:
        (folders of the stores of fit_on, of data_pattern), a folder a member each; paths of the shards of the first.

    Raises:
        UserError: no run, no shard of fit_on that all members have held out, bad shards, or stores of other runs.
    """
    runs = [folder for folders in job.members.values() for folder in folders]
    of_runs = [configs.read_model_config(folder) for folder in runs]
    label_ids = scored_label_ids(of_runs, job.label_ids_file or None) or common_label_ids(runs, of_runs)
    rated = match_files(job.fit_on, "fit_on")
    check_basenames(rated)
    fresh = [_fresh_runs(job, folders, rated) for folders in job.members.values()]
    shards = [shard for shard in rated if all(of_member[shard] for of_member in fresh)]
    if not shards:
        raise UserError(
            f"--fit_on={job.fit_on}: each of its {len(rated)} shards is among what one of the members was trained on, and a "
            "ranker trusts such scores too much. Train with --folds (and --all_folds), or name shards that were held out."
        )
    print(f"Fitting on {len(shards)} of the {len(rated)} rated shards: those that no member has learned.", flush=True)
    names = [name.strip("./").replace(os.sep, "-") for name in short_names(list(job.members))]
    fitted, ranked = [], []
    for name, folders, of_member in zip(names, job.members.values(), fresh):
        print(f"{name}: scores of the rated segments of --fit_on, by runs that have not learned them.", flush=True)
        fitted.append(_fit_store(job, _groups(of_member, shards), label_ids, os.path.join(job.work_dir, "fit_on", name)))
        print(f"{name}: scores of --data_pattern.", flush=True)
        ranked.append(os.path.join(job.work_dir, "data", name))
        _score(job, folders, label_ids, job.data_pattern, "data_pattern", ranked[-1])
    _check_shards(job, fitted, shards, "fit_on")
    _check_shards(job, ranked, match_files(job.data_pattern, "data_pattern"), "data_pattern")
    return tuple(fitted), tuple(ranked), shards


def _check_shards(job, folders, shards, flag):
    """Raises UserError for a store that has scores of other shards, too, of an earlier time."""
    names = {os.path.basename(shard) for shard in shards}
    for folder in folders:
        others = sorted(set(open_store(folder).shards()) - names)
        if others:
            raise UserError(
                f"--work_dir={job.work_dir}: {folder} has scores of {others[0]}, too, which is not in --{flag}. Name another "
                "--work_dir, or delete this folder."
            )


def _fresh_runs(job, folders, rated):
    """{rated shard: those of a member's runs that have not learned it}.

    Raises:
        UserError: nothing tells what a run has learned, and nobody says that these shards are to be fitted on.
    """
    learned = {}
    for folder in folders:
        learned[folder], known = shards_of(folder, rated)
        if not known and not job.fit_on_named:
            raise UserError(
                f"--train_dir={folder}: nothing tells which shards it, or what it began with, was trained on. Name --fit_on, "
                "shards that it was not."
            )
        if not known:
            print(
                f"Note: nothing tells which shards {folder}, or what it began with, was trained on. --fit_on must name none of "
                "them.",
                flush=True,
            )
    return {shard: tuple(folder for folder in folders if shard not in learned[folder]) for shard in rated}


def _groups(of_shards, shards):
    """{runs: the shards that these score}."""
    groups = {}
    for shard in shards:
        groups.setdefault(of_shards[shard], []).append(shard)
    return groups


def _fit_store(job, groups, label_ids, folder):
    """The folder of the store of the rated shards: of several groups of runs one store, joined from theirs."""
    if len(groups) == 1:
        ((folders, shards),) = groups.items()
        _score(job, folders, label_ids, ",".join(shards), "fit_on", folder)
        return folder
    parts = []
    for number, (folders, shards) in enumerate(groups.items()):
        parts.append(f"{folder}-{number}")
        _score(job, folders, label_ids, ",".join(shards), "fit_on", parts[-1])
    stores = [open_store(part) for part in parts]
    made_by = {"out_of_fold": [store.config.run for store in stores]}
    whole = create_store(folder, StoreConfig("segments", label_ids, job.dtype, run=made_by))
    for store, shards in zip(stores, groups.values()):
        for shard in shards:
            if not whole.has(shard):
                with whole.writer(shard) as writer:
                    for block in stored_blocks(store.read(shard)):
                        writer.add(*block)
    return folder


@dtype_policy()
def _score(job, folders, label_ids, pattern, flag, output):
    """Writes the store of some runs' scores of the segments of some shards: of several the probability of their mean logit."""
    keras.utils.clear_session()
    trained = [restore.newest(folder) for folder in folders]
    names = [os.path.relpath(run.prefix, os.path.dirname(os.path.abspath(folder))) for folder, run in zip(folders, trained)]
    origin.check_scored([(run.config.backbone, name) for run, name in zip(trained, names)], pattern, flag)
    members = [infer.Member(run.model, run.config, name=name) for run, name in zip(trained, names)]
    scorer = infer.Scorer(members, label_ids=label_ids, of_logits=True)
    infer.rank_segments(scorer, infer.Job(pattern, "", job.batch_size, output, job.dtype, num_readers=job.num_readers))
