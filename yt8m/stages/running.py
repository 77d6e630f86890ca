"""The running of a stage, from where it starts to its end, and what happens at each checkpoint."""

import os
import shlex

import tensorflow as tf

from yt8m import config as configs
from yt8m.stages import evaluate, kept_optimizer, learned, pictures, record
from yt8m.stages.batches import batches_from, check_readable, stage_length, unit
from yt8m.stages.best import keeping_the_best, keeps_best
from yt8m.stages.checks import check, cuts_videos
from yt8m.stages.objective import check_entries, described, objective_of, with_loss_of
from yt8m.stages.start import THIS_STAGE, bring_to, model_and_optimizer, prepare_folder, starting_point
from yt8m.training import callbacks as named_callbacks
from yt8m.training import checkpoints as ckpt
from yt8m.training import hosts, loop, stopping, traces
from yt8m.training.averages import averaged_weights, use_averages
from yt8m.training.devices import choose_strategy, distribute, on_gpu


def run_stage(stage, model_config, spec, callbacks):
    """Trains a model on the rows of a stage, from where the stage starts (start.py) to its end.

    Args:
        stage: TrainConfig.
        model_config: ModelConfig.
        spec: DataSpec of the rows.
        callbacks: keras.callbacks.Callback objects, beside those that the stage names.

    Returns:
        The trained keras.Model, or None when a signal stopped the run.

    Raises:
        UserError: what the configs ask for does not go together, or is not there.
    """
    stopping.forget()
    check(stage, model_config, spec)
    model_config, objective = with_loss_of(stage, model_config), objective_of(stage, model_config)
    start = starting_point(stage)
    strategy = choose_strategy(stage.devices)
    replicas = strategy.num_replicas_in_sync
    length = stage_length(stage, spec, replicas)
    knows = learned.of_stage(stage, start)
    made_with = {**record.compare(stage, model_config, start, length), "learned": knows.noted()}
    model, optimizer = model_and_optimizer(stage, model_config, strategy, length)
    check_entries(stage, model_config, model)
    kept_optimizer.check(start, stage, model_config, length, optimizer)
    callbacks = (*callbacks, *callbacks_of(stage, start, length))
    check_readable(stage, spec, length, replicas)
    learned.say_of_judges(stage, knows)
    prepare_folder(stage)
    checkpoints = ckpt.Checkpoints(process_folder(stage.train_dir), model, optimizer, stage.keep_checkpoints)
    bring_to(start, stage, model, optimizer, checkpoints)
    configs.write_model_config(stage.train_dir, model_config)
    record.write(stage, made_with)
    first_step = int(checkpoints.stage_step.numpy())
    actions = at_save_actions(stage, model_config, model, optimizer, checkpoints, objective, spec)
    if first_step and keeps_best(stage) and is_judged(first_step, length):
        judge_what_is_saved(checkpoints, actions)
    if length.total_steps is not None and first_step >= length.total_steps:
        print(f"{stage.stage}: step {first_step} of {length.total_steps} is there already.")
        return as_kept(stage, model, optimizer)
    print(
        f"{stage.stage}: {model_config.model} with {model.count_params():,} parameters, {replicas} device{'s'[: replicas - 1]}, "
        f"{length.batch_size} {unit(stage, spec)} a step, {described(stage, model_config)}, {model_config.precision}, from step "
        f"{first_step}; TensorBoard: tensorboard --logdir {shlex.quote(str(stage.train_dir))}",
        flush=True,
    )
    counters = (checkpoints.step, checkpoints.stage_step)
    with traces.let_go():
        steps = loop.make_train_steps(
            strategy, model, optimizer, objective, stage.regularization_penalty, uses_xla(stage, model, spec), counters
        )
        iterator = iter(distribute(strategy, batches_from(stage, spec, length, first_step, replicas)))
        hooks = loop.Hooks(tf.summary.create_file_writer(stage.train_dir), actions, callbacks, stage.stage == "finetune")
        finished = loop.run(model, optimizer, steps, iterator, checkpoints, length, hooks)
    hooks.writer.close()
    if not finished:
        say_stopped(int(checkpoints.stage_step.numpy()))
        return None
    if keeps_best(stage):
        judge_what_is_saved(checkpoints, actions)  # the data's end, where the run was killed before it was judged
    return as_kept(stage, model, optimizer)


def say_stopped(step):
    """Says which signal stopped the stage, and at which step."""
    by = stopping.NAMES[stopping.stopped_by()]
    print(f"Stopped by {by} at step {step}, saved. {stopping.how_to_go_on()}", flush=True)


def callbacks_of(stage, start, length):
    """The callbacks that a stage names; none where it has no step left for them to see."""
    bounded = start.kind == THIS_STAGE and length.total_steps is not None
    if bounded and ckpt.position(start.checkpoint)[2] >= length.total_steps:
        return []
    return named_callbacks.build(stage)


def is_judged(step, length):
    """Whether what is saved at a step of the stage is judged: it is where a run that nothing stops saves, or known as the end."""
    return step % length.save_steps == 0 or (length.total_steps is not None and step >= length.total_steps)


def judge_what_is_saved(checkpoints, actions):
    """Does what is to happen at a checkpoint where the run was killed between saving and judging."""
    step = int(checkpoints.step.numpy())
    if (checkpoints.best() or {"judged": 0})["judged"] < step:
        for action in actions:
            action(step)


def as_kept(stage, model, optimizer):
    """The model as whoever loads it gets it: with the averages of its weights, or those that were judged best.

    Of several hosts all have written by then what another may read.
    """
    hosts.wait()
    use_averages(model, optimizer)
    if keeps_best(stage):
        ckpt.load_weights(model, ckpt.chosen(stage.train_dir))
    return model


def uses_xla(stage, model, spec):
    """Whether the step is compiled with XLA; unasked not for cuDNN's recurrent layers, nor where shapes change all the time."""
    suits = model.suits_xla and not stage.start_time_weight and not cuts_videos(model, spec)
    return stage.xla == "on" or (stage.xla == "auto" and on_gpu() and suits)


def process_folder(train_dir):
    """Where this process writes its checkpoints: on several hosts all but the chief write to a folder that nobody reads."""
    index, _ = hosts.place()
    return os.path.join(train_dir, f"worker-{index}") if index else train_dir


def at_save_actions(stage, model_config, model, optimizer, checkpoints, objective, spec):
    """What happens at each checkpoint besides saving: evaluation on --eval_data_pattern, choice of the best, attention pictures.

    With --ema_momentum they see the averages of the weights.
    """
    actions, evaluated = [], evaluate.at_step(stage, model_config, model)
    if stage.eval_data_pattern:
        actions.append(evaluate.during_training(stage, evaluated))
    if keeps_best(stage):
        actions.append(keeping_the_best(stage, model_config, model, checkpoints, objective, spec, evaluated))
    if model.has_attention:
        actions.append(pictures.during_training(stage, model_config, model))

    def averaged(action):
        def act(step):
            with averaged_weights(model, optimizer):
                return action(step)

        return act

    return tuple(averaged(action) if stage.ema_momentum else action for action in actions)
