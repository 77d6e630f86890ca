"""What a stage minimises: which loss, which weights of the classes, and what is said of it."""

import dataclasses

import numpy as np

from yt8m import losses
from yt8m.errors import UserError
from yt8m.training.objectives import Objective


def loss_of(stage, model_config):
    """The label loss of a stage.

    It is the user's --label_loss, where that one can work on the stage's rows; else what the stage chooses, default_loss.

    Args:
        stage: TrainConfig.
        model_config: ModelConfig.

    Returns:
        (registered name, {argument of its constructor: value}).
    """
    if model_config.loss_by_stage:
        name, options = stage.default_loss, model_config.loss_options
    elif fits(model_config.label_loss, stage.stage):
        name, options = model_config.label_loss, model_config.loss_options
    else:
        name, options = stage.default_loss, {}
    return name, losses.settled(name, options, model_config.earlier_loss)


def loss_in(model_config):
    """The loss that a ModelConfig names: the one that its run minimised last."""
    name = model_config.label_loss
    return losses.build(name, losses.settled(name, model_config.loss_options, model_config.earlier_loss))


def fits(loss, stage):
    """Whether a loss can work on the rows of a stage: only rated segments have the labels of a video around them.

    Args:
        loss: registered name.
        stage: one of config.STAGES.
    """
    return stage == "finetune" or not losses.needs_video_labels(loss)


def with_loss_of(stage, model_config):
    """The ModelConfig whose label_loss is the stage's, where the stage chooses it."""
    if not model_config.loss_by_stage:
        return model_config
    return dataclasses.replace(model_config, label_loss=stage.default_loss)


def objective_of(stage, model_config):
    """The Objective of a stage."""
    name, options = loss_of(stage, model_config)
    return Objective(
        losses.build(name, options),
        segment_class_weights(stage, model_config),
        stage.distillation_weight,
        stage.start_time_weight,
        stage.unrated_as_negatives if stage.stage == "finetune" else 0.0,
    )


def check_loss(stage, model_config):
    """Refuses unrated classes as negatives where the loss or the rows say otherwise.

    Raises:
        UserError: names the flags.
    """
    name, _ = loss_of(stage, model_config)
    if not stage.unrated_as_negatives or stage.stage != "finetune":
        return
    flag = f"--unrated_as_negatives={stage.unrated_as_negatives:g}"
    if losses.needs_video_labels(name):
        raise UserError(f"{flag}: --label_loss={name} has its own way with unrated classes. Leave one of them out.")


def check_entries(stage, model_config, model):
    """Refuses a loss that a model gives nothing to, and that would be the cross entropy of its predictions.

    Raises:
        UserError: names the loss and the model.
    """
    name, _ = loss_of(stage, model_config)
    lacking = [entry for entry in losses.needs_of_model(name) if entry not in model.loss_entries]
    if lacking:
        raise UserError(
            f"--label_loss={name}: {model_config.model} as it is has no {lacking[0]} for it. Leave it out, or use a model with "
            "branches, such as MlpModel with --hyperparameters=num_branches=3 (BranchCrossEntropyLoss) or MixtureModel "
            "(OnlineDistillationLoss)."
        )


def segment_class_weights(stage, model_config):
    """[C] weights of the classes in the loss: segment_class_weight for the segment classes, 1 for the rest; None: all 1.

    In fine-tuning they count where unrated classes do: what is rated is a segment class.
    """
    if stage.segment_class_weight == 1 or stage.segment_label_ids is None:
        return None
    if stage.stage == "finetune" and not stage.unrated_as_negatives:
        return None
    columns = np.arange(model_config.num_classes) if model_config.label_ids is None else np.array(model_config.label_ids)
    return np.where(np.isin(columns, stage.segment_label_ids), stage.segment_class_weight, 1.0).astype(np.float32)


def described(stage, model_config):
    """The loss of a stage in a few words, with what it was not told by --label_loss or cannot use."""
    name, options = loss_of(stage, model_config)
    text = name + (f"({', '.join(f'{option}={value}' for option, value in options.items())})" if options else "")
    notes = []
    if not model_config.loss_by_stage and name != model_config.label_loss:
        notes.append(f"--label_loss={model_config.label_loss} is for rated segments")
    if stage.stage == "finetune" and stage.unrated_as_negatives:
        notes.append(f"unrated classes are negatives of weight {stage.unrated_as_negatives:g}")
    elif stage.stage == "finetune" and stage.segment_class_weight != 1:
        notes.append(f"--segment_class_weight={stage.segment_class_weight:g} is for --unrated_as_negatives here")
    if segment_class_weights(stage, model_config) is not None:
        notes.append(f"segment classes weigh {stage.segment_class_weight:g}")
    return f"{text} ({'; '.join(notes)})" if notes else text
