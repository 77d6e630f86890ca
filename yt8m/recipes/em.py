"""The EM process that the flags ask for."""

import dataclasses

from yt8m import models
from yt8m.errors import UserError
from yt8m.flags import values
from yt8m.readers.patterns import match_files
from yt8m.recipes import defaults
from yt8m.recipes.stages import stage_config
from yt8m.stages.em import Candidate, make_plan

FOLDS = 8  # or as many as there are rated shards
# Fields of TrainConfig that an entry of --em_models may set.
TRAINING = ("base_learning_rate", "batch_size", "optimizer", "weight_decay", "schedule", "max_steps", "num_epochs")


def plan(given, train_dir, model, sample, segment_label_ids=None):
    """The Plan of --stage=em.

    Args:
        given: {flag: value}.
        train_dir: folder of the process.
        model: ModelConfig of F.
        sample: the built-in Sample or None.
        segment_label_ids: ids of the segment classes where the run needs them.

    Raises:
        UserError: no rated shards, a flag out of range, not two models, or more folds than rated shards.
    """
    videos, rated = _patterns(given, sample)
    folds = given.get("folds") or min(FOLDS, len(match_files(rated, "rated_data_pattern")))
    models_of = {"F": (model, {}), **dict(zip(("F1", "F2"), em_models(given, model, sample)))}

    def candidate(name, folder, pseudo_labels):
        config, changes = models_of[name]
        stages = []
        for stage in ("mstep" if pseudo_labels else "pretrain", "finetune"):
            pattern = rated if stage == "finetune" else videos
            run = stage_config(given, stage, config.model, sample, folder, pattern, segment_label_ids=segment_label_ids)
            run = dataclasses.replace(run, **changes, folds=folds if stage == "finetune" else 0, start_new_model=False)
            stages.append(dataclasses.replace(run, pseudo_labels=pseudo_labels if stage == "mstep" else ""))
        return Candidate(name, config, tuple(stages))

    return make_plan(
        train_dir,
        videos,
        rated,
        candidate,
        given.get("em_iterations", 2),
        threshold=given.get("em_threshold", defaults.EM_THRESHOLDS["sample" if sample else "paper"]),
        folds=folds,
        fold=given.get("fold", 0),
    )


def _patterns(given, sample):
    """(shards of videos, rated shards)."""
    videos, rated = given.get("train_data_pattern"), given.get("rated_data_pattern")
    if sample:
        return videos or sample.train_pattern, rated or sample.rated_pattern
    if not rated:
        raise UserError("--stage=em: no --rated_data_pattern. Name the shards with rated segments.")
    return videos, rated


def em_models(given, model, sample):
    """F1 and F2 as --em_models names them, each as em_model returns it; else both as `model`.

    Raises:
        UserError: not two of them.
    """
    entries = given.get("em_models")
    if not entries:
        return (model, {}), (model, {})
    if len(entries) != 2:
        raise UserError(f"--em_models={','.join(entries)}: {len(entries)} models; expected two, F1 and F2, separated by a comma.")
    return tuple(em_model(entry, model, sample) for entry in entries)


def em_model(entry, base, sample):
    """(ModelConfig, {field of TrainConfig: value}) of an entry of --em_models, Name or Name(name=value,...).

    Raises:
        UserError: it reads otherwise, or there is no such model or hyper-parameter.
    """
    name, bracket, rest = entry.strip().partition("(")
    if bracket and not rest.endswith(")"):
        raise UserError(f"--em_models={entry}: must be Name or Name(name=value,...).")
    chosen = values.assignments("em_models", rest[:-1]) if bracket else {}
    training = {field: chosen.pop(field) for field in TRAINING if field in chosen}
    if not models.takes_frames(name):
        raise UserError(f"--em_models={entry}: {name} takes features of videos, but an M-step trains on segments of frames.")
    small = defaults.small(name) if sample else {}
    config = dataclasses.replace(
        base,
        model=name,
        hyperparameters={**small, **chosen},
        segment_expansion=defaults.segment_expansion(name, sample),
    )
    models.check_hyperparameters(name, config.hyperparameters)
    return config, training
