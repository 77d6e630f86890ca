"""The batches of a stage: how many there are, what their size counts, and where they come from."""

import dataclasses
import os

import tensorflow as tf

from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.readers.batches import blended, count_examples, count_filled_batches, training_batches
from yt8m.readers.patterns import match_files, shards
from yt8m.training import loop
from yt8m.training.augmentation import Augmentation, augmented
from yt8m.training.devices import on_gpu

# Up to this many bytes of shards, the rows are counted before the run, so that it can say how long it will take.
COUNT_BYTES = 20 << 30


def counts_segments(stage, spec):
    """Whether a batch takes whole videos up to a number of their segments."""
    return spec.by_video and stage.batch_unit == "segments"


def unit(stage, spec):
    """What batch_size counts, in words: "videos", "segments in whole videos", ..."""
    if not spec.segment_labels:
        return "videos"
    kind = "segments" if spec.all_segments else "rated segments"
    if not spec.by_video:
        return kind
    return f"{kind} in whole videos" if counts_segments(stage, spec) else f"videos with all their {kind}"


def stage_length(stage, spec, replicas):
    """The Length of a stage: max_steps, or the steps of num_epochs if these are fewer.

    Raises:
        UserError: the rows do not fill one batch on several devices.
    """
    global_batch = stage.batch_size * replicas
    own_rows = global_batch - (pseudo_rows(stage, global_batch) if blends(stage) else 0)
    return loop.Length(count_steps(stage, spec, own_rows, replicas), global_batch, stage.save_steps, stage.log_steps)


def count_steps(stage, spec, own_rows, replicas):
    """Steps of the stage: max_steps, or the steps of num_epochs if these are fewer; None when it is not known beforehand.

    Args:
        stage, spec: TrainConfig and DataSpec of its rows.
        own_rows: of those, how many a step takes; what is blended in beside them makes no epoch.
        replicas: devices.
    """
    if stage.num_epochs is None:
        return stage.max_steps
    size = sum(tf.io.gfile.stat(path).length for path in shards(spec))
    if size > COUNT_BYTES and replicas == 1:
        return stage.max_steps
    if counts_segments(stage, spec):
        steps = count_filled_batches(spec, own_rows, stage.seed, stage.num_epochs, replicas)
    else:
        rows = count_examples(spec) * stage.num_epochs
        steps = rows // own_rows if replicas > 1 else -(-rows // own_rows)
    if steps < 1:
        raise UserError(
            f"--batch_size={stage.batch_size}: the rows of --num_epochs={stage.num_epochs} fill no batch on {replicas} devices. "
            "Use a smaller --batch_size."
        )
    return steps if stage.max_steps is None else min(steps, stage.max_steps)


def batches_from(stage, spec, length, first_step, replicas):
    """Function of worker=(index, count): the batches of a stage from first_step on."""
    epochs = stage.num_epochs if replicas == 1 else None
    options = {"start_step": first_step, "num_parallel": stage.num_readers if on_gpu() else 1}
    options["count_segments"] = counts_segments(stage, spec)
    augmentation = Augmentation(**stage.augmentation)

    def batches(worker):
        if blends(stage):
            share = pseudo_rows(stage, length.batch_size)
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


def check_readable(stage, spec, length, replicas):
    """Looks for the shards that a stage is judged by, and reads a first batch where a run would be deleted for this one.

    Raises:
        UserError: what is named is not there, or cannot be learned from.
    """
    if stage.eval_data_pattern:
        match_files(stage.eval_data_pattern, "eval_data_pattern")
    if stage.start_new_model and os.path.exists(os.path.join(stage.train_dir, configs.MODEL_FILE)):
        next(iter(batches_from(stage, spec, length, 0, replicas)((0, 1))))


def blends(stage):
    """Whether pseudo-labelled rows are blended into a stage's own."""
    return stage.stage == "finetune" and bool(stage.pseudo_data_pattern)


def pseudo_rows(stage, batch_size):
    """How many of a batch have pseudo-labels."""
    return round(stage.pseudo_share * batch_size)
