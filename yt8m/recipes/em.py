"""The EM process that the flags ask for."""

import dataclasses

from yt8m import models
from yt8m.config import ModelConfig
from yt8m.errors import UserError
from yt8m.flags import values
from yt8m.flags.data import data
from yt8m.flags.model import MODEL
from yt8m.flags.optimizer import OPTIMIZER
from yt8m.flags.table import by_name
from yt8m.flags.training import TRAINING
from yt8m.readers.patterns import match_files
from yt8m.recipes import checks, defaults
from yt8m.recipes.model import segments
from yt8m.recipes.stages import stage_config
from yt8m.stages.em import Candidate, make_plan

FOLDS = 8  # or as many as there are rated shards
FLAGS = by_name((MODEL, TRAINING, OPTIMIZER, data()))
# Flags that an entry of --em_models may have in its brackets, beside hyper-parameters: of the model, and of its training.
FACTS = ("segment_expansion", "video_prediction")
SETTINGS = ("batch_size", "batch_unit", "max_steps", "num_epochs", *(flag.name for flag in OPTIMIZER.flags))


@dataclasses.dataclass(frozen=True)
class Entry:
    """A model of the process.

    Attributes:
        model: ModelConfig.
        settings: {flag: value} that hold for its training alone.
        recipe: name of the recipe (defaults.RECIPES) where it is not the model's own; None.
    """

    model: ModelConfig
    settings: dict = dataclasses.field(default_factory=dict)
    recipe: str | None = None


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
    entries = {"F": Entry(model), **dict(zip(("F1", "F2"), em_models(given, model, sample)))}

    def candidate(name, folder, pseudo_labels):
        entry, stages = entries[name], []
        for stage in ("mstep" if pseudo_labels else "pretrain", "finetune"):
            run = stage_config(
                {**given, **entry.settings},
                stage,
                entry.model.model,
                sample,
                folder,
                rated if stage == "finetune" else videos,
                segment_label_ids=segment_label_ids,
                first=name == "F" and not stages,
                recipe=entry.recipe,
            )
            run = dataclasses.replace(run, folds=folds if stage == "finetune" else 0, start_new_model=False)
            stages.append(dataclasses.replace(run, pseudo_labels=pseudo_labels if stage == "mstep" else ""))
        return Candidate(name, entry.model, tuple(stages))

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
        return Entry(model), Entry(model)
    if len(entries) != 2:
        raise UserError(f"--em_models={','.join(entries)}: {len(entries)} models; expected two, F1 and F2, separated by a comma.")
    return tuple(em_model(entry, given, model, sample) for entry in entries)


def em_model(entry, given, base, sample):
    """The Entry of an entry of --em_models, Name or Name(name=value,...).

    What the entry says holds for it alone, what flags say for all models of the process, and else it is as with --model=Name:
    its class's recipe, segment_expansion and, on the sample, smaller hyper-parameters. --video_prediction=segments_mean holds
    for the models that can; a sequence model predicts a video so anyway.

    Args:
        entry: the text.
        given: {flag: value} of the command.
        base: ModelConfig of F.
        sample: the built-in Sample or None.

    Raises:
        UserError: it reads otherwise, there is no such model, recipe or hyper-parameter, or a value is out of its range.
    """
    name, bracket, rest = entry.strip().partition("(")
    if bracket and not rest.endswith(")"):
        raise UserError(f"--em_models={entry}: must be Name or Name(name=value,...).")
    chosen = values.assignments("em_models", rest[:-1]) if bracket else {}
    if not models.takes_frames(name):
        raise UserError(f"--em_models={entry}: {name} takes features of videos, but an M-step trains on segments of frames.")
    recipe = chosen.pop("recipe", None)
    if recipe is not None and recipe not in defaults.RECIPES:
        raise UserError(f"--em_models={entry}: recipe={recipe} is unknown. Use one of {', '.join(defaults.RECIPES)}.")
    facts, settings = (_flags_of(entry, chosen, names) for names in (FACTS, SETTINGS))
    inherited = {fact: given[fact] for fact in FACTS if fact in given}
    if inherited.get("video_prediction") not in models.model_class(name).VIDEO_PREDICTIONS:
        inherited.pop("video_prediction", None)
    small = defaults.small(name) if sample else {}
    seen = segments(name, {**inherited, **facts}, sample=sample)
    config = dataclasses.replace(base, model=name, hyperparameters={**small, **chosen}, **seen)
    models.check_hyperparameters(name, config.hyperparameters)
    return Entry(config, settings, recipe)


def _flags_of(entry, chosen, names):
    """Takes from `chosen` what flags of these names could say, {flag: value}; UserError that names the entry."""
    try:
        taken = {name: FLAGS[name].read(chosen.pop(name)) for name in names if name in chosen}
        checks.training(taken)
    except UserError as error:
        raise UserError(f"--em_models={entry}: {str(error).removeprefix('--')}") from error
    return taken
