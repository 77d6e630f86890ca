"""The running of a stage: what is checked, how long it is, its batches, and what happens at each checkpoint."""

import dataclasses
import os

import tensorflow as tf

from yt8m import config as configs
from yt8m import losses, models
from yt8m.errors import UserError
from yt8m.readers.batches import blended, count_examples, training_batches
from yt8m.readers.patterns import match_files, shards
from yt8m.readers.sidecars import ensure_sidecars_done
from yt8m.stages import evaluate, pictures, record
from yt8m.stages.start import bring_to, model_and_optimizer, prepare_folder, starting_point
from yt8m.training import checkpoints as ckpt
from yt8m.training import loop, stopping
from yt8m.training.augmentation import Augmentation, augmented
from yt8m.training.averages import averaged_weights, use_averages
from yt8m.training.devices import choose_strategy, distribute, on_gpu
from yt8m.training.objectives import Objective

# Up to this many bytes of shards, the rows are counted before the run, so that it can say how long it will take.
COUNT_BYTES = 20 << 30


def run_stage(stage, model_config, spec, callbacks, class_weights=None):
    """Trains a model on the rows of a stage, from where the stage starts (start.py) to its end.

    Args:
        stage: TrainConfig.
        model_config: ModelConfig.
        spec: DataSpec of the rows.
        callbacks: keras.callbacks.Callback objects.
        class_weights: float [C] on the label loss, or None.

    Returns:
        The trained keras.Model, or None when a signal stopped the run.

    Raises:
        UserError: what the configs ask for does not go together, or is not there.
    """
    check(stage, model_config, spec)
    objective = Objective(
        losses.build(model_config.label_loss, model_config.loss_options, rated=stage.stage == "finetune"),
        class_weights,
        stage.distillation_weight,
        stage.start_time_weight,
    )
    start = starting_point(stage)
    strategy = choose_strategy(stage.devices)
    replicas = strategy.num_replicas_in_sync
    length = stage_length(stage, spec, replicas)
    made_with = record.compare(stage, model_config, start, length)
    model, optimizer = model_and_optimizer(stage, model_config, strategy, length)
    prepare_folder(stage)
    checkpoints = ckpt.Checkpoints(process_folder(stage.train_dir, strategy), model, optimizer)
    bring_to(start, stage, model, checkpoints)
    configs.write_model_config(stage.train_dir, model_config)
    record.write(stage, made_with)
    first_step = int(checkpoints.stage_step.numpy())
    actions = at_save_actions(stage, model_config, model, optimizer, checkpoints)
    if first_step and stage.folds:
        judge_what_is_saved(checkpoints, actions)
    if length.total_steps is not None and first_step >= length.total_steps:
        print(f"{stage.stage}: step {first_step} of {length.total_steps} is there already.")
        return as_kept(stage, model, optimizer, checkpoints)
    print(
        f"{stage.stage}: {model_config.model} with {model.count_params():,} parameters, {replicas} device{'s'[: replicas - 1]}, "
        f"{length.batch_size} rows a step, {model_config.precision}, from step {first_step}; TensorBoard: tensorboard --logdir "
        f"{stage.train_dir}",
        flush=True,
    )
    counters = (checkpoints.step, checkpoints.stage_step)
    steps = loop.make_train_steps(
        strategy, model, optimizer, objective, stage.regularization_penalty, uses_xla(stage, model, spec), counters
    )
    iterator = iter(distribute(strategy, batches_from(stage, spec, length, first_step, replicas)))
    hooks = loop.Hooks(tf.summary.create_file_writer(stage.train_dir), actions, callbacks, stage.stage == "finetune")
    finished = loop.run(model, optimizer, steps, iterator, checkpoints, length, hooks)
    hooks.writer.close()
    if not finished:
        by, step = stopping.NAMES[stopping.stopped_by()], int(checkpoints.stage_step.numpy())
        print(f"Stopped by {by} at step {step}, saved. The same command goes on from there.", flush=True)
        return None
    return as_kept(stage, model, optimizer, checkpoints)


def judge_what_is_saved(checkpoints, actions):
    """Does what is to happen at a checkpoint where the run was killed between saving and judging."""
    step = int(checkpoints.step.numpy())
    if (checkpoints.best() or {"judged": 0})["judged"] < step:
        for action in actions:
            action(step)


def check(stage, model_config, spec):
    """Refuses what does not go together, before anything is read.

    Raises:
        UserError: names the flag.
    """
    model_class, by_segments = models.model_class(model_config.model), cuts_videos(model_config, spec)
    Augmentation(**stage.augmentation).check(model_class, spec.by_video, spec.segment_labels, by_segments)
    if by_segments and stage.xla == "on":
        raise UserError(
            "--xla=on: with --video_prediction=segments_mean every batch of videos has another number of segments, and XLA would "
            "compile each anew. Leave it out in pre-training."
        )
    if stage.start_time_weight and model_config.video_prediction == "segments_mean":
        raise UserError(
            f"--start_time_weight={stage.start_time_weight}: with --video_prediction=segments_mean attention stays within a "
            "segment, and no loss could move it to another. Give --video_prediction=whole."
        )
    if stage.start_time_weight and stage.stage == "finetune" and not models.has_attention(model_config.model):
        raise UserError(
            f"--start_time_weight={stage.start_time_weight}: {model_config.model} has no attention over frames. Use "
            "AttentionModel or MultiAttentionModel."
        )
    if stage.folds and stage.stage != "finetune":
        raise UserError(f"--folds={stage.folds}: folds of rated segments are for --stage=finetune and --stage=em.")
    if stage.pseudo_data_pattern and stage.stage == "finetune":
        check_blend(stage)
    if stage.start_time_weight and (stage.teacher_scores or stage.pseudo_data_pattern):
        raise UserError("--start_time_weight: not together with --teacher_scores or --pseudo_data_pattern. Leave one out.")


def cuts_videos(model, spec):
    """Whether a model (or its ModelConfig) gets whole videos and cuts them into segments, every batch into another number."""
    return model.video_prediction == "segments_mean" and not spec.segment_labels


def check_blend(stage):
    """Refuses pseudo-labels that are not all there, and a share that leaves either kind no row of a batch.

    Raises:
        UserError: names the flag.
    """
    ensure_sidecars_done(stage.pseudo_labels, match_files(stage.pseudo_data_pattern, "pseudo_data_pattern"))
    if not 0 < round(stage.pseudo_share * stage.batch_size) < stage.batch_size:
        raise UserError(
            f"--pseudo_share={stage.pseudo_share}: of --batch_size={stage.batch_size} rows that is none or all. Use a share that "
            "leaves rows for both."
        )


def as_kept(stage, model, optimizer, checkpoints):
    """The model as whoever loads it gets it: with the averages of its weights, or those that were best on the held-out fold."""
    use_averages(model, optimizer)
    if stage.folds:
        ckpt.load_weights(model, ckpt.chosen(checkpoints.train_dir))
    return model


def uses_xla(stage, model, spec):
    """Whether the step is compiled with XLA; unasked not for cuDNN's recurrent layers, nor where shapes change all the time."""
    suits = model.suits_xla and not stage.start_time_weight and not cuts_videos(model, spec)
    return stage.xla == "on" or (stage.xla == "auto" and on_gpu() and suits)


def batches_from(stage, spec, length, first_step, replicas):
    """Function of worker=(index, count): the batches of a stage from first_step on."""
    epochs = stage.num_epochs if replicas == 1 else None
    options = {"start_step": first_step, "num_parallel": stage.num_readers if on_gpu() else 1}
    augmentation = Augmentation(**stage.augmentation)

    def batches(worker):
        if stage.stage == "finetune" and stage.pseudo_data_pattern:
            share = round(stage.pseudo_share * length.batch_size)
            pseudo = dataclasses.replace(
                spec,
                pattern=stage.pseudo_data_pattern,
                pattern_flag="pseudo_data_pattern",
                annotations=stage.pseudo_labels,
                fold=None,
            )
            rated = training_batches(spec, length.batch_size - share, stage.seed, num_epochs=epochs, worker=worker, **options)
            read = blended(rated, training_batches(pseudo, share, stage.seed, worker=worker, **options))
        else:
            read = training_batches(spec, length.batch_size, stage.seed, num_epochs=epochs, worker=worker, **options)
        return augmented(read, augmentation, stage.seed + worker[0], first_step, num_parallel=options["num_parallel"])

    return batches


def process_folder(train_dir, strategy):
    """Where this process writes its checkpoints: on several hosts all but the chief write to a folder that nobody reads."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_id:
        return train_dir
    return os.path.join(train_dir, f"worker-{resolver.task_id}")


def stage_length(stage, spec, replicas):
    """The Length of a stage: max_steps, or the steps of num_epochs if these are fewer.

    Raises:
        UserError: the rows do not fill one batch on several devices.
    """
    global_batch = stage.batch_size * replicas
    return loop.Length(count_steps(stage, spec, global_batch, replicas), global_batch, stage.save_steps, stage.log_steps)


def count_steps(stage, spec, global_batch, replicas):
    """Steps of the stage: max_steps, or the steps of num_epochs if these are fewer; None when it is not known beforehand."""
    if stage.num_epochs is None:
        return stage.max_steps
    size = sum(tf.io.gfile.stat(path).length for path in shards(spec))
    if size > COUNT_BYTES and replicas == 1:
        return stage.max_steps
    rows = count_examples(spec) * stage.num_epochs
    steps = rows // global_batch if replicas > 1 else -(-rows // global_batch)
    if steps < 1:
        raise UserError(
            f"--batch_size={stage.batch_size}: the {rows} rows of --num_epochs={stage.num_epochs} fill no batch on "
            f"{replicas} devices. Use a smaller --batch_size."
        )
    return steps if stage.max_steps is None else min(steps, stage.max_steps)


def at_save_actions(stage, model_config, model, optimizer, checkpoints):
    """What happens at each checkpoint besides saving: evaluation on --eval_data_pattern, choice by fold, attention pictures.

    With --ema_momentum they see the averages of the weights.
    """
    actions = []
    if stage.eval_data_pattern:
        actions.append(evaluate.during_training(stage, model_config, model))
    if stage.folds:
        actions.append(evaluate.keeping_the_best(stage, model_config, model, checkpoints))
    if model.has_attention:
        actions.append(pictures.during_training(stage, model_config, model))

    def averaged(action):
        def act(step):
            with averaged_weights(model, optimizer):
                return action(step)

        return act

    return tuple(averaged(action) if stage.ema_momentum else action for action in actions)
