"""The model that the flags ask for."""

from yt8m import config as configs
from yt8m import models
from yt8m.errors import UserError
from yt8m.flags.model import STARTER
from yt8m.recipes import checks, defaults
from yt8m.recipes import precision as precisions
from yt8m.recipes.sources import backbone, class_names, named_segment_label_ids, names_and_sizes, num_classes

FEATURES = {"rgb": 1024, "audio": 128}  # of YouTube-8M's frames
MUST_AGREE = ("model", "hyperparameters", "feature_names", "feature_sizes", "num_classes", "label_ids")


def model_config(given, base=None, sample=None, label_ids=None):
    """The ModelConfig that the flags ask for.

    Args:
        given: {flag: value}.
        base: ModelConfig of the train_dir or init_checkpoint that the run goes on from, or None.
        sample: the built-in Sample, or None with named data.
        label_ids: ids of the segment classes with --segment_classes_only, else None.

    Raises:
        UserError: an unknown hyper-parameter, or a flag that asks for another model than the one in `base`.
    """
    base_or = _of_base(base)
    name = given.get("model") or base_or("model", "LogisticModel")
    takes_frames = models.takes_frames(name)
    names, sizes = names_and_sizes(given)
    default_names, default_sizes = _features(takes_frames, sample)
    chosen, small = hyperparameters(given), defaults.small(name) if sample else {}
    models.check_hyperparameters(name, chosen)
    classes = class_names(given, base, sample)
    asked = {
        "model": name,
        "hyperparameters": base.hyperparameters if base and not chosen else {**small, **chosen},
        "feature_names": names or base_or("feature_names", default_names),
        "feature_sizes": sizes or base_or("feature_sizes", default_sizes),
        "num_classes": num_classes(given, base, sample, classes),
        "label_ids": label_ids or base_or("label_ids", None),
        "id_feature": given.get("id_feature", base_or("id_feature", "id")),
        "max_frames": given.get("max_frames", base_or("max_frames", 300)),
    }
    _check_agreement(asked, base)
    asked["segment_class_ids"] = None if asked["label_ids"] else named_segment_label_ids(given, base)
    _check_label_ids(asked)
    _check_class_names(classes, asked["num_classes"])
    return configs.ModelConfig(
        **asked,
        **segments(name, given, base, sample),
        frame_features=given.get("frame_features", base_or("frame_features", takes_frames)),
        label_loss=given.get("label_loss", base_or("label_loss", "CrossEntropyLoss")),
        loss_options=_loss_options(given, base),
        loss_by_stage="label_loss" not in given and base_or("loss_by_stage", True),
        precision=precisions.choose(given, name, base).precision,
        sample=sample.size if sample else None,
        class_names=classes,
        backbone=backbone(given, base),
        defaults=base_or("defaults", configs.DEFAULTS),
    )


def segments(name, given, base=None, sample=None):
    """How a model sees segments and videos, {ModelConfig field: value}: segment_expansion and video_prediction.

    Args:
        name: of the model.
        given, base, sample: as model_config's.

    Raises:
        UserError: the model has no such video_prediction, or sees more of a segment than of those that videos are cut into.
    """
    checks.not_negative(given, "segment_expansion")
    base_or = _of_base(base)
    prediction = given.get("video_prediction", base_or("video_prediction", "whole"))
    models.model_class(name).check_video_prediction(prediction)
    by_segments = prediction == "segments_mean"
    expansion = base_or("segment_expansion", 0 if by_segments else defaults.segment_expansion(name, sample))
    expansion = given.get("segment_expansion", expansion)
    if by_segments and expansion:
        raise UserError(
            f"--video_prediction=segments_mean: videos are cut into segments of 5 frames, and {name} has --segment_expansion="
            f"{expansion}. Give --segment_expansion=0, or --video_prediction=whole."
        )
    return {"segment_expansion": expansion, "video_prediction": prediction}


def hyperparameters(given):
    """What the flags say of the model's constructor: the starter's flags and --hyperparameters, {argument: value}."""
    starter = [flag.name for flag in STARTER.flags if flag.name in given]
    chosen = {models.ALIASES.get(name, name): given[name] for name in starter}
    if "sample_random_frames" in chosen:
        chosen["sampling"] = "random" if chosen.pop("sample_random_frames") else "sequence"
    return {**chosen, **given.get("hyperparameters", {})}


def _of_base(base):
    """Function (field, default): the field of `base`, or the default where there is no base."""
    return lambda field, default: getattr(base, field) if base else default


def _features(takes_frames, sample):
    """Default names and sizes of the features; a video-level model has rgb's mean only, but on the sample both."""
    names, sizes = tuple(FEATURES), tuple(FEATURES.values())
    if takes_frames:
        return names, sizes
    count = len(names) if sample else 1
    return tuple("mean_" + name for name in names[:count]), sizes[:count]


def _loss_options(given, base):
    """Arguments of the loss: --loss_options, else those of the run that this one goes on from, if it keeps its loss."""
    if "loss_options" in given:
        return given["loss_options"]
    return base.loss_options if base and given.get("label_loss", base.label_loss) == base.label_loss else {}


def _check_agreement(asked, base):
    """Refuses features without a size each, and another model than the one that the run goes on from.

    Raises:
        UserError: names the flag.
    """
    names, sizes = asked["feature_names"], asked["feature_sizes"]
    if len(names) != len(sizes):
        raise UserError(f"--feature_names={','.join(names)} needs --feature_sizes with {len(names)} sizes, not {len(sizes)}.")
    for field in MUST_AGREE if base else ():
        if asked[field] != getattr(base, field):
            raise UserError(
                f"--{field}={asked[field]}: the model that this run goes on from has {getattr(base, field)}. "
                "Leave the flag out, name another --train_dir, or give --start_new_model."
            )


def _check_label_ids(asked):
    """Refuses segment classes that no record can have.

    Raises:
        UserError: names one.
    """
    for field in ("label_ids", "segment_class_ids"):
        highest = max(asked[field] or (0,))
        if highest >= asked["num_classes"]:
            raise UserError(
                f"--segment_label_ids_file: label id {highest} is none of --num_classes={asked['num_classes']}, which are below "
                "it. Name the file that goes with the data."
            )


def _check_class_names(names, num_classes):
    """Refuses names of classes that no record can have.

    Raises:
        UserError: names one.
    """
    if names and len(names) > num_classes:
        raise UserError(
            f"--vocabulary_file: class {len(names) - 1} ({names[-1]}) is none of --num_classes={num_classes}, which are below "
            f"it. Give --num_classes={len(names)}, or the file that goes with the data."
        )
