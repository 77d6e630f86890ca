"""One stage of training, from configs to checkpoints. The stages differ in their rows and their weights only."""

import dataclasses
import json
import os

import keras
import numpy as np
import tensorflow as tf

from yt8m import config as configs
from yt8m import losses, models
from yt8m.errors import UserError
from yt8m.readers import datasets
from yt8m.readers.sidecars import ensure_sidecars_done
from yt8m.stages import evaluate, pictures
from yt8m.training import checkpoints as ckpt
from yt8m.training import loop
from yt8m.training.augmentation import Augmentation, augmented
from yt8m.training.data import segment_spec, video_spec
from yt8m.training.objectives import Objective
from yt8m.training.optimizers import averaged_weights, learning_rate_multipliers, make_optimizer, make_schedule, use_averages
from yt8m.training.restore import build

# Up to this many bytes of shards, the rows are counted before the run, so that it can say how long it will take.
COUNT_BYTES = 20 << 30


def pretrain(train, model_config, callbacks=()):
    """Phase 1 (papers 000/001): whole videos, their video-level labels, no notion of a segment.

    Args:
        train: TrainConfig.
        model_config: ModelConfig.
        callbacks: keras.callbacks.Callback objects.

    Returns:
        The trained keras.Model, or None when SIGTERM stopped the run.
    """
    if models.kind(model_config.model) == "context":
        return pretrain_encoders(train, model_config, callbacks)
    changes = {}
    if train.only_segment_class_videos:
        changes["only_videos_with_label_ids"] = True
    spec = video_spec(
        model_config,
        train.data_pattern,
        pattern_flag="train_data_pattern",
        pad_frames=on_gpu(),
        teachers=train.teacher_scores,
        **changes,
    )
    return run(train, model_config, spec, segment_class_weights(train, model_config), callbacks)


def mstep(train, model_config, callbacks=()):
    """The M-step of EM (paper 004, section 5.4): every segment of every video, every class annotated by pseudo-labels.

    Args and returns: as pretrain's; train.pseudo_labels is the folder of the sidecars.
    """
    if not train.pseudo_labels:
        raise UserError("--stage=mstep: no --pseudo_labels. Name the folder of an E-step, or use --stage=em.")
    spec = segment_spec(
        model_config,
        train.data_pattern,
        pattern_flag="train_data_pattern",
        all_segments=True,
        annotations=train.pseudo_labels,
    )
    return run(train, model_config, spec, None, callbacks)


def finetune(train, model_config, callbacks=()):
    """Phase 2 (papers 000/001): the rated segments, the loss on rated (segment, class) pairs only.

    A context model whose encoders are named by checkpoints is joined from them first. With train.folds it keeps the
    checkpoint that is best on the held-out shards (paper 002, section 4.2).

    Args and returns: as pretrain's.
    """
    anew = train.start_new_model or ckpt.latest(train.train_dir) is None
    if train.context_checkpoint and train.segment_checkpoint and anew:
        pretrain_encoders(train, model_config, callbacks)
        train = dataclasses.replace(train, start_new_model=False)  # the joined model is what to start from
    return run(train, model_config, rated_spec(train, model_config), None, callbacks)


def rated_spec(train, model_config):
    """The rated segments that a fine-tuning run learns from; with teachers, all segments of their videos."""
    changes = {}
    if train.start_time_weight:
        changes["context"] = True
    if "video_labels" in getattr(losses.get(model_config.label_loss), "NEEDS", ()):
        changes |= {"video_labels": True, "positive_ratings": True}  # Sv and Ss of paper 002, eq. 2
    return segment_spec(
        model_config,
        train.data_pattern,
        pattern_flag="train_data_pattern",
        fold=(train.fold, train.folds) if train.folds else None,
        all_segments=bool(train.teacher_scores),
        teachers=train.teacher_scores,
        **changes,
    )


def pretrain_encoders(train, model_config, callbacks):
    """Pre-trains the encoders of a context model as video models of their own, in folders of the train_dir, and joins them.

    Papers 002 (section 3.8) and 003 (section 4.2). An encoder that both sides share is trained once. What the whole model adds
    to the encoders is as it was initialised.
    """
    starting_point(train)
    keras.utils.set_random_seed(train.seed)
    model = build(model_config)
    trained = {}
    for part in ("context", "segment"):
        name, options = getattr(model, f"{part}_model"), getattr(model, f"{part}_options") or {}
        checkpoint = getattr(train, f"{part}_checkpoint")
        key = checkpoint or json.dumps([name, options], sort_keys=True)
        if checkpoint:
            trained[key] = encoder_from(checkpoint, part, name)
        elif key not in trained:
            config = dataclasses.replace(model_config, model=name, hyperparameters=dict(options))
            one = dataclasses.replace(
                train, train_dir=os.path.join(train.train_dir, part), start_new_model=False, learning_rate_multipliers=None
            )
            print(f"pretrain: the {part} encoder")
            trained[key] = pretrain(one, config, callbacks)
            if trained[key] is None:
                return None
        model.load_encoders(**{part: trained[key]})
    optimizer = make_optimizer(train.optimizer, train.base_learning_rate)
    optimizer.build(model.trainable_variables)
    configs.write_model_config(train.train_dir, model_config)
    joined = ckpt.Checkpoints(train.train_dir, model, optimizer)
    joined.save()
    return model


def encoder_from(checkpoint, part, name):
    """The trained model that --context_checkpoint or --segment_checkpoint names.

    Raises:
        UserError: there is none, or it is another model than the context model's encoder.
    """
    prefix, folder = ckpt.find(checkpoint, f"--{part}_checkpoint")
    config = configs.read_model_config(folder)
    if config.model != name:
        raise UserError(f"--{part}_checkpoint={checkpoint}: a {config.model}. Use a {name}, or another {part}_model.")
    model = build(config)
    ckpt.load_weights(model, prefix)
    return model


def segment_class_weights(train, model_config):
    """[C] weights of the pre-training loss: segment_class_weight for the segment classes, 1 for the rest; None: all 1."""
    if train.segment_class_weight == 1 or train.segment_label_ids is None:
        return None
    columns = np.arange(model_config.num_classes) if model_config.label_ids is None else np.array(model_config.label_ids)
    return np.where(np.isin(columns, train.segment_label_ids), train.segment_class_weight, 1.0).astype(np.float32)


def run(train, model_config, spec, class_weights, callbacks):
    """Trains one stage: own checkpoint, else the earlier stage's, else --init_checkpoint, else scratch."""
    check(train, model_config, spec)
    objective = Objective(
        losses.build(model_config.label_loss, model_config.loss_options, rated=train.stage == "finetune"),
        class_weights,
        train.distillation_weight,
        train.start_time_weight,
    )
    prefix = starting_point(train)
    strategy = loop.choose_strategy(train.devices)
    length = stage_length(train, spec, strategy.num_replicas_in_sync)
    model, optimizer = model_and_optimizer(train, model_config, strategy, length)
    checkpoints = ckpt.Checkpoints(own_folder(train.train_dir, strategy), model, optimizer)
    restore(train, model, checkpoints, prefix)
    configs.write_model_config(train.train_dir, model_config)
    start = int(checkpoints.stage_step.numpy())
    actions = at_save_actions(train, model_config, model, optimizer, checkpoints)
    if start and train.folds and (checkpoints.best() or {"judged": 0})["judged"] < int(checkpoints.step.numpy()):
        for action in actions:  # the run was killed between saving and judging
            action(int(checkpoints.step.numpy()))
    if length.total_steps is not None and start >= length.total_steps:
        print(f"{train.stage}: step {start} of {length.total_steps} is there already.")
        return as_kept(train, model, optimizer, checkpoints)
    replicas = strategy.num_replicas_in_sync
    print(
        f"{train.stage}: {model_config.model} with {model.count_params():,} parameters, {replicas} device{'s'[: replicas - 1]}, "
        f"{length.batch_size} rows a step, {model_config.precision}, from step {start}; TensorBoard: tensorboard --logdir "
        f"{train.train_dir}",
        flush=True,
    )
    counters = (checkpoints.step, checkpoints.stage_step)
    steps = loop.make_train_steps(
        strategy, model, optimizer, objective, train.regularization_penalty, uses_xla(train, model), counters
    )
    iterator = iter(loop.distribute(strategy, batches_from(train, spec, length, start, replicas)))
    hooks = loop.Hooks(tf.summary.create_file_writer(train.train_dir), actions, callbacks)
    finished = loop.run(model, optimizer, steps, iterator, checkpoints, length, hooks)
    hooks.writer.close()
    if not finished:
        print(f"Stopped by SIGTERM at step {int(checkpoints.stage_step.numpy())}, saved. The same command goes on from there.")
        return None
    return as_kept(train, model, optimizer, checkpoints)


def check(train, model_config, spec):
    """Refuses what does not go together, before anything is read.

    Raises:
        UserError: names the flag.
    """
    Augmentation(**train.augmentation).check(models.kind(model_config.model), spec.by_video, spec.segment_labels)
    if train.start_time_weight and train.stage == "finetune" and not models.has_attention(model_config.model):
        raise UserError(
            f"--start_time_weight={train.start_time_weight}: {model_config.model} has no attention over frames. Use "
            "AttentionModel or MultiAttentionModel."
        )
    if train.folds and train.stage != "finetune":
        raise UserError(f"--folds={train.folds}: folds of rated segments are for --stage=finetune and --stage=em.")
    if train.pseudo_data_pattern and train.stage == "finetune":
        check_blend(train)
    if train.start_time_weight and (train.teacher_scores or train.pseudo_data_pattern):
        raise UserError("--start_time_weight: not together with --teacher_scores or --pseudo_data_pattern. Leave one out.")


def check_blend(train):
    """Refuses pseudo-labels that are not all there, and a share that leaves either kind no row of a batch.

    Raises:
        UserError: names the flag.
    """
    ensure_sidecars_done(train.pseudo_labels, datasets.match_files(train.pseudo_data_pattern, "pseudo_data_pattern"))
    if not 0 < round(train.pseudo_share * train.batch_size) < train.batch_size:
        raise UserError(
            f"--pseudo_share={train.pseudo_share}: of --batch_size={train.batch_size} rows that is none or all. Use a share that "
            "leaves rows for both."
        )


def as_kept(train, model, optimizer, checkpoints):
    """The model as whoever loads it gets it: with the averages of its weights, or those that were best on the held-out fold."""
    use_averages(model, optimizer)
    if train.folds:
        ckpt.load_weights(model, ckpt.chosen(checkpoints.train_dir))
    return model


def on_gpu():
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def uses_xla(train, model):
    """Whether the step is compiled with XLA; unasked not for cuDNN's recurrent layers, nor where shapes change all the time."""
    steady = model.KIND in ("frame", "video") and not any(isinstance(layer, keras.layers.RNN) for layer in model.layers)
    return train.xla == "on" or (train.xla == "auto" and on_gpu() and steady and not train.start_time_weight)


def model_and_optimizer(train, model_config, strategy, length):
    """The model and the optimizer of a stage, seeded, with their variables where the strategy wants them.

    On a CPU TensorFlow's op determinism is switched on: the same run gives the same bits.
    """
    keras.utils.set_random_seed(train.seed)
    if not on_gpu():
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = build(model_config)
        rate = make_schedule(
            train.schedule, train.base_learning_rate, length.batch_size, length.total_steps, train.learning_rate_decay,
            train.learning_rate_decay_examples, train.warmup_fraction, train.final_learning_rate_fraction,
        )  # fmt: skip
        optimizer = make_optimizer(
            train.optimizer,
            rate,
            train.clip_gradient_norm,
            train.clip,
            strategy.num_replicas_in_sync,
            model_config.precision == "mixed_float16",
            train.weight_decay,
            learning_rate_multipliers(model, train.learning_rate_multipliers),
            train.ema_momentum,
        )
        optimizer.build(model.trainable_variables)
    return model, optimizer


def batches_from(train, spec, length, start, replicas):
    """Function of worker=(index, count): the batches of a stage from a step on."""

    epochs = train.num_epochs if replicas == 1 else None
    options = {"start_step": start, "num_parallel": train.num_readers if on_gpu() else 1}
    augmentation = Augmentation(**train.augmentation)

    def batches(worker):
        if train.stage == "finetune" and train.pseudo_data_pattern:
            share = round(train.pseudo_share * length.batch_size)
            pseudo = dataclasses.replace(
                spec,
                pattern=train.pseudo_data_pattern,
                pattern_flag="pseudo_data_pattern",
                annotations=train.pseudo_labels,
                fold=None,
            )
            rated = datasets.training_batches(
                spec, length.batch_size - share, train.seed, num_epochs=epochs, worker=worker, **options
            )
            read = datasets.blended(rated, datasets.training_batches(pseudo, share, train.seed, worker=worker, **options))
        else:
            read = datasets.training_batches(spec, length.batch_size, train.seed, num_epochs=epochs, worker=worker, **options)
        return augmented(read, augmentation, train.seed + worker[0], start, num_parallel=options["num_parallel"])

    return batches


def starting_point(train):
    """The checkpoint in the train_dir that the stage goes on from, or None.

    Raises:
        UserError: the train_dir holds a later stage than the one asked for.
    """
    if train.start_new_model:
        if "TF_CONFIG" in os.environ and ckpt.latest(train.train_dir):
            raise UserError(
                f"--start_new_model: several hosts cannot empty --train_dir={train.train_dir} together. Name a fresh one."
            )
        ckpt.remove_run(train.train_dir)
    prefix = ckpt.latest(train.train_dir)
    if prefix is None:
        return None
    step, stage, _ = ckpt.position(prefix)
    if configs.STAGES.index(stage) > configs.STAGES.index(train.stage):
        raise UserError(
            f"--stage={train.stage}: --train_dir={train.train_dir} is at stage {stage}, step {step}. Name another "
            "--train_dir, or give --start_new_model."
        )
    return prefix


def restore(train, model, checkpoints, prefix):
    """Brings model, optimizer and position to where the stage starts or goes on."""
    if prefix is not None and ckpt.position(prefix)[1] == train.stage:
        ckpt.load_weights(model, prefix)
        checkpoints.resume(prefix)
    elif train.init_checkpoint:
        source, _ = ckpt.find(train.init_checkpoint)
        ckpt.load_weights(model, source)
        checkpoints.stage.assign(configs.STAGES.index(train.stage))
        print(f"{train.stage}: starting from {source}")
    elif prefix is not None:
        ckpt.load_weights(model, prefix)
        checkpoints.begin_stage(prefix, train.stage)
        print(f"{train.stage}: starting from {prefix}")
    else:
        checkpoints.stage.assign(configs.STAGES.index(train.stage))
        if train.stage == "finetune":
            print(f"finetune: --train_dir={train.train_dir} holds no model and there is no --init_checkpoint: from scratch.")


def own_folder(train_dir, strategy):
    """Where this process writes its checkpoints: on several hosts all but the chief write to a folder that nobody reads."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_id:
        return train_dir
    return os.path.join(train_dir, f"worker-{resolver.task_id}")


def stage_length(train, spec, replicas):
    """The Length of a stage: max_steps, or the steps of num_epochs if these are fewer.

    Raises:
        UserError: the rows do not fill one batch on several devices.
    """
    global_batch = train.batch_size * replicas
    return loop.Length(count_steps(train, spec, global_batch, replicas), global_batch, train.save_steps, train.log_steps)


def count_steps(train, spec, global_batch, replicas):
    """Steps of the stage: max_steps, or the steps of num_epochs if these are fewer; None when it is not known beforehand."""
    if train.num_epochs is None:
        return train.max_steps
    size = sum(tf.io.gfile.stat(path).length for path in datasets.shards(spec))
    if size > COUNT_BYTES and replicas == 1:
        return train.max_steps
    rows = datasets.count_examples(spec) * train.num_epochs
    steps = rows // global_batch if replicas > 1 else -(-rows // global_batch)
    if steps < 1:
        raise UserError(
            f"--batch_size={train.batch_size}: the {rows} rows of --num_epochs={train.num_epochs} fill no batch on "
            f"{replicas} devices. Use a smaller --batch_size."
        )
    return steps if train.max_steps is None else min(steps, train.max_steps)


def at_save_actions(train, model_config, model, optimizer, checkpoints):
    """What happens at each checkpoint besides saving: evaluation on --eval_data_pattern, choice by fold, attention pictures.

    With --ema_momentum they see the averages of the weights.
    """
    actions = []
    if train.eval_data_pattern:
        actions.append(evaluate.during_training(train, model_config, model))
    if train.folds:
        actions.append(evaluate.keeping_the_best(train, model_config, model, checkpoints))
    if model.has_attention:
        actions.append(pictures.during_training(train, model_config, model))

    def averaged(action):
        def act(step):
            with averaged_weights(model, optimizer):
                return action(step)

        return act

    return tuple(averaged(action) if train.ema_momentum else action for action in actions)
