"""The stages that the flags ask for, and what each of them is given."""

import dataclasses
import os

from yt8m import config as configs
from yt8m import registry
from yt8m.errors import UserError
from yt8m.flags.methods import AUGMENTATION
from yt8m.flags.values import text
from yt8m.recipes import checks, defaults
from yt8m.training.data import takes_whole_videos

_FIELDS = {field.name for field in dataclasses.fields(configs.TrainConfig)}
# flag -> its value in the other stages
PRETRAIN_ONLY = {"class_balanced_sampling": 0.0}
FINETUNE_ONLY = {"start_time_weight": 0.0, "pseudo_data_pattern": "", "unrated_as_negatives": 0.0, "keep_optimizer": False}
EM_ONLY = ("rated_data_pattern", "em_models", "em_iterations", "em_threshold")
OF_PSEUDO_LABELS = ("mstep", "finetune")  # stages that take them
# flag -> what it does nothing without, one of these
NEEDS = {
    "distillation_weight": ("teacher_scores",),
    "pseudo_share": ("pseudo_labels",),
    "fold": ("folds",),
    "best_metric": ("folds", "keep_best"),
}
# flag -> the schedules that it says something of
SCHEDULES = {
    **dict.fromkeys(("warmup_fraction", "final_learning_rate_fraction"), ("triangular", "cosine")),
    **dict.fromkeys(("learning_rate_decay", "learning_rate_decay_examples"), ("staircase",)),
}
OF_ENCODERS = ("context_checkpoint", "segment_checkpoint")


def names(given, sample):
    """Names of the stages to run, in their order."""
    if given.get("stage"):
        return [given["stage"]]
    if given.get("segment_labels"):
        return ["finetune"]
    return ["pretrain", "finetune"] if sample else ["pretrain"]


def check(given, sample):
    """Refuses flags that would change what is trained, and that no stage of the command hears.

    Those of EM stand in its flag file beside --stage=em: where another stage is named they are said (without_effect).

    Args:
        given: {flag: value}.
        sample: the built-in Sample, or None with named data.

    Raises:
        UserError: names the flag.
    """
    asked = names(given, sample)
    unheard = [(name, "em") for name in EM_ONLY if given.get(name) and not given.get("stage")]
    if given.get("pseudo_labels") and not set(OF_PSEUDO_LABELS) & set(asked):
        unheard.append(("pseudo_labels", " or --stage=".join(OF_PSEUDO_LABELS)))
    for name, stage in unheard:
        raise UserError(
            f"--{name}={text(name, given[name])}: is for --stage={stage}, not --stage={asked[-1]}. Leave it out, or give "
            "that stage."
        )
    if given.get("teacher_scores") and given.get("stage") == "em":
        given_scores = text("teacher_scores", given["teacher_scores"])
        raise UserError(
            f"--teacher_scores={given_scores}: --stage=em trains on videos and on segments, scores are of one of them. Leave it "
            "out, or run the stages one by one."
        )
    if sample and given.get("eval_data_pattern"):
        raise UserError(
            f"--eval_data_pattern={given['eval_data_pattern']}: without --train_data_pattern the built-in sample is trained on, "
            "and judged on its own held-out shards. Name shards to train on, or leave it out."
        )


def without_effect(given, sample, trainings=()):
    """Lines about flags that do nothing in a command, since it does not run their stage or lacks another flag.

    A recipe's flag file has the flags of all its stages, and none that names a folder of the user's.

    Args:
        given: {flag: value}.
        sample: the built-in Sample, or None with named data.
        trainings: (name of the model, TrainConfig) of each stage that the command runs.
    """
    asked = names(given, sample)
    lines = _beside_the_run(given, trainings)
    if given.get("stage") == "em":  # it has all stages
        if given.get("eval_data_pattern"):
            what = "--stage=em judges on the held-out rated shards"
            lines.append(f"--eval_data_pattern={given['eval_data_pattern']}: without effect, since {what}.")
        return lines
    lines += [
        f"--{name}={given[name]}: without effect, since {_not_given(others)}."
        for name, others in NEEDS.items()
        if name in given and not any(given.get(other) for other in others)
    ]
    if given.get("stage"):  # flags of others than em are refused (methods)
        return lines + [
            f"--{name}={text(name, given[name])}: is for --stage=em, without effect in this {asked[-1]}."
            for name in EM_ONLY
            if given.get(name)
        ]
    flags = {**dict.fromkeys(PRETRAIN_ONLY, "pretrain"), **dict.fromkeys(FINETUNE_ONLY, "finetune")}
    flags["augment_drop_segments"] = "pretrain"
    return lines + [
        f"--{name}={given[name]}: is for --stage={stage}, without effect in this {asked[-1]}."
        for name, stage in flags.items()
        if given.get(name) and stage not in asked
    ]


def _not_given(names):
    """That none of these flags is given."""
    return f"--{names[0]} is not given" if len(names) == 1 else f"neither --{' nor --'.join(names)} is given"


def _beside_the_run(given, trainings):
    """Lines about flags of other schedules and of other models than those of a run."""
    schedules = sorted({stage.schedule for _, stage in trainings})
    lines = [
        f"--{name}={given[name]}: without effect with --schedule={' and '.join(schedules)}."
        for name, of in SCHEDULES.items()
        if name in given and schedules and not set(of) & set(schedules)
    ]
    models = sorted({name for name, _ in trainings})
    if models and not any(registry.get("model", name).HAS_ENCODERS for name in models):
        lines += [
            f"--{name}={given[name]}: without effect, since no encoder is in {', '.join(models)}."
            for name in OF_ENCODERS
            if given.get(name)
        ]
    return lines


def patterns(given, stage, sample, model):
    """data_pattern and eval_data_pattern of a stage, {TrainConfig field: shards}; model: ModelConfig."""
    if not sample:
        return {"data_pattern": given.get("train_data_pattern"), "eval_data_pattern": given.get("eval_data_pattern", "")}
    if stage == "finetune":
        return {"data_pattern": sample.rated_pattern, "eval_data_pattern": sample.held_out_pattern}
    return {"data_pattern": sample.train_pattern if model.frame_features else sample.video_train_pattern}


def stage_config(
    given,
    stage,
    model,
    sample,
    train_dir,
    data_pattern,
    eval_data_pattern="",
    segment_label_ids=None,
    first=True,
    recipe=None,
):
    """The TrainConfig of a stage: what is given, else the recipe's value.

    Args:
        given: {flag: value}.
        stage: one of config.STAGES.
        model: name of the model.
        sample: the built-in Sample, or None with named data.
        train_dir, data_pattern, eval_data_pattern, segment_label_ids: fields of TrainConfig.
        first: it is the command's first stage, the only one that starts a new model with --start_new_model, and that starts from
            --init_checkpoint.
        recipe: as defaults.recipe's name.

    Raises:
        UserError: a count, rate or fraction that is out of its range, or a flag that does nothing in the stage.
    """
    checks.training(given)
    values = defaults.recipe(model, stage, sample is not None, recipe)
    if given.get("optimizer", values.get("optimizer")) != values.get("optimizer"):
        values.pop("optimizer_epsilon", None)  # which is that of the recipe's optimizer
    if "num_epochs" in given and "max_steps" not in given:
        values.pop("max_steps", None)
    if "max_steps" in given and "num_epochs" not in given:
        values.pop("num_epochs", None)
    values.update({name: value for name, value in given.items() if name in _FIELDS})
    if "export_model_steps" in given and "save_steps" not in given:
        values["save_steps"] = given["export_model_steps"]
    values.update(
        train_dir=train_dir,
        stage=stage,
        data_pattern=data_pattern,
        eval_data_pattern=eval_data_pattern,
        segment_label_ids=segment_label_ids,
        only_segment_class_videos=given.get("segment_classes_only", False) and stage == "pretrain",
        start_new_model=given.get("start_new_model", False) and first,
        init_checkpoint=given.get("init_checkpoint", "") if first else "",
        augmentation=augmentation(given, stage),
    )
    values.update(methods(given, stage, values, sample))
    values.update(best(given, stage, values, sample))
    values["batch_unit"] = batch_unit(given, stage, model, values, sample)
    return configs.TrainConfig(**values)


def batch_unit(given, stage, model, values, sample):
    """What batch_size counts in a stage; "videos" also where there is no choice.

    Args:
        given: {flag: value}.
        stage: one of config.STAGES.
        model: name of the model.
        values: {field: value} of the stage so far.
        sample: the built-in Sample, or None with named data.

    Raises:
        UserError: --batch_unit says what the stage cannot do.
    """
    if stage != "pretrain" and takes_whole_videos(model, values.get("start_time_weight")):
        return values["batch_unit"]
    only, asked = "videos" if stage == "pretrain" else "segments", given.get("stage")
    of_several = asked == "em" or (asked is None and sample and stage == "pretrain")
    if given.get("batch_unit", only) != only and not of_several:
        raise UserError(
            f"--batch_unit={given['batch_unit']}: --batch_size counts {only} in --stage={stage} with {model}. Leave it out."
        )
    return "videos"


def best(given, stage, values, sample):
    """folds, keep_best and, where a best checkpoint is kept, best_metric of a stage, {TrainConfig field: value}.

    A command of both stages, and one of EM, leaves out rated shards alone, and judges where there are shards to judge on.

    Args: as batch_unit's.

    Raises:
        UserError: nothing to judge by, or a metric that the stage has not.
    """
    asked = given.get("stage")
    in_all = asked != "em" and (asked is not None or sample is None)
    folds = values.get("folds", 0) if in_all or stage == "finetune" else 0
    keep = given.get("keep_best", False) and not given.get("folds") and asked != "em"
    if keep and not values["eval_data_pattern"]:
        if in_all or stage == "finetune":
            raise UserError("--keep_best: nothing to judge on. Give --eval_data_pattern, or --folds to leave out a part.")
        keep = False
    fields = {"folds": folds, "keep_best": keep}
    if folds or keep or (asked == "em" and stage == "finetune"):
        metrics = defaults.BEST_METRICS["mstep with folds" if folds and stage == "mstep" else stage]
        fields["best_metric"] = given.get("best_metric", metrics[0])
        if fields["best_metric"] not in metrics:
            raise UserError(
                f"--best_metric={given['best_metric']}: --stage={stage} is judged by {' or '.join(metrics)} here. Use that."
            )
    return fields


def augmentation(given, stage):
    """What the --augment_ flags say for a stage, {name: value}; segments are not dropped from segments."""
    flags = [flag.name for flag in AUGMENTATION.flags if flag.name in given]
    chosen = {name.removeprefix("augment_"): given[name] for name in flags}
    if stage != "pretrain" and given.get("stage") in (None, "em"):  # one command for all stages
        chosen.pop("drop_segments", None)
    return chosen


def methods(given, stage, values, sample):
    """Fields of TrainConfig that belong to some stages only: in the others they are as if not given.

    Teachers of a command of both stages (on the sample) are those of fine-tuning.

    Args:
        given: {flag: value}.
        stage: one of config.STAGES.
        values: {field: value} of the stage so far.
        sample: the built-in Sample, or None with named data.

    Raises:
        UserError: a flag that needs another one, or another stage than the one that is asked for.
    """
    fields = {}
    asked = given.get("stage")
    for only, off in (("finetune", FINETUNE_ONLY), ("pretrain", PRETRAIN_ONLY)):
        if stage != only:
            fields |= off
            for name in off if asked not in (None, "em") else ():
                if given.get(name):
                    raise UserError(f"--{name}={given[name]}: is for --stage={only}, not --stage={asked}.")
    if asked == "mstep" and given.get("teacher_scores"):
        raise UserError(f"--teacher_scores={','.join(given['teacher_scores'])}: is not for --stage=mstep. Leave it out.")
    not_here = stage == "mstep" or (stage == "pretrain" and asked is None and sample is not None)
    teachers = () if not_here else values.get("teacher_scores", ())
    fields["teacher_scores"] = tuple(os.path.expanduser(folder) for folder in teachers)
    if stage == "finetune" and bool(values.get("pseudo_labels")) != bool(values.get("pseudo_data_pattern")):
        raise UserError("--pseudo_labels and --pseudo_data_pattern: fine-tuning needs both or none. Give the other one, too.")
    if values.get("folds") and not 0 <= values.get("fold", 0) < values["folds"]:
        raise UserError(f"--fold={values['fold']}: must be from 0 to {values['folds'] - 1} with --folds={values['folds']}.")
    return fields
