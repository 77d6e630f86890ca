"""Which checkpoint of a stage is its best: judged on the shards that --folds leaves out, or with --keep_best on
--eval_data_pattern."""

import dataclasses
import math

import tensorflow as tf

from yt8m.errors import UserError
from yt8m.readers import pairs
from yt8m.stages import evaluate
from yt8m.stages.evaluate import scalars, write_scalars
from yt8m.training.predict import make_predict

LOSS = "loss"


def keeps_best(stage):
    """Whether the best checkpoint of a stage is kept in train_dir/best and stands for it."""
    return bool(stage.folds or stage.keep_best)


def keeping_the_best(stage, config, model, checkpoints, objective, spec, evaluated):
    """An action for the training loop: judges the weights and keeps those that are best so far.

    They are in train_dir/best, and are what whoever loads the run gets, and what the next stage starts from.

    Args:
        stage: TrainConfig.
        config: ModelConfig.
        model: Keras model.
        checkpoints: Checkpoints.
        objective: Objective of the stage.
        spec: DataSpec of its rows.
        evaluated: function(step) -> metrics on --eval_data_pattern, which judge without folds.
    """
    where = f"fold {stage.fold} of {stage.folds}" if stage.folds else "--eval_data_pattern"

    def judge(step):
        metrics = of_fold(stage, config, model) if stage.folds else evaluated(step)
        if stage.best_metric == LOSS:
            metrics = {**metrics, LOSS: mean_loss(model, objective, judged_rows(stage, spec))}
        value = metrics[stage.best_metric]
        check_defined(stage, value, where, step)
        best = checkpoints.keep_best(step, stage.best_metric, value)
        shown = f"{stage.best_metric}: {value:.4g} | best: {best['value']:.4g} at step {best['step']}"
        print(f"{where}, step {step} | {shown}", flush=True)
        write_scalars(stage.train_dir, step, metrics, segments=stage.stage != "pretrain", group="fold" if stage.folds else "best")
        return {f"val_{name}": number for name, number in scalars(metrics).items()}

    return judge


def check_defined(stage, value, where, step):
    """Refuses to go on with checkpoints of which none is better than another.

    Args:
        stage: TrainConfig.
        value: of its best_metric.
        where: what judges, in words.
        step: of the weights.

    Raises:
        UserError: the value is nan.
    """
    if not math.isnan(value):
        return
    if stage.best_metric == LOSS:
        reason, way_out = "the weights or the predictions are no numbers any more", "Lower --base_learning_rate"
    else:
        reason = "there are no positives, or no negatives" if stage.best_metric == "auc" else "no class has a positive there"
        way_out = f"Give --best_metric={LOSS} or another {'--fold' if stage.folds else '--eval_data_pattern'}"
    raise UserError(
        f"--best_metric={stage.best_metric}: nan on {where} at step {step}: {reason}. {way_out}, with --start_new_model or "
        "another --train_dir."
    )


def of_fold(stage, config, model):
    """Metrics on the shards left out, {name: value}: of rated segments always, of whole videos where they decide."""
    held_out = {"fold": (stage.fold, stage.folds), "pattern_flag": "train_data_pattern"}
    if stage.stage == "finetune":
        return evaluate.evaluate_segments(model, config, stage.data_pattern, **held_out)
    return {} if stage.best_metric == LOSS else evaluate.evaluate_videos(model, config, stage.data_pattern, **held_out)


def judged_rows(stage, spec):
    """The DataSpec of the rows whose loss judges a stage: those left out of its own, or of other shards, without teachers.

    Segments are those that are rated, but for the ones that an M-step leaves out: these have their pseudo-labels.
    """
    changes = {"teachers": ()}
    if spec.segment_labels and not (stage.stage == "mstep" and stage.folds):
        changes |= {"all_segments": False, "annotations": ""}
    if stage.folds:
        return dataclasses.replace(spec, held_out=True, **changes)
    return dataclasses.replace(spec, pattern=stage.eval_data_pattern, pattern_flag="eval_data_pattern", **changes)


def mean_loss(model, objective, spec, batch_size=128):
    """Mean over the rows of a DataSpec of what a stage minimises of their labels, with the model in inference mode.

    Args:
        model: Keras model.
        objective: Objective of the stage.
        spec: DataSpec.
        batch_size: rows at a time.
    """
    predict, total, rows = make_predict(model), 0.0, 0
    for batch in evaluate.shown_batches(spec, batch_size):
        predictions = tf.constant(predict(batch))
        losses = objective.label_losses(predictions, pairs.spread(batch, predictions.shape[-1]))
        total += float(tf.reduce_sum(tf.cast(losses, tf.float64)))
        rows += int(tf.shape(losses)[0])
    return total / rows
