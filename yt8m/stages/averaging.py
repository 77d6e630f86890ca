"""Several checkpoints of a stage made one, the mean of their weights: stochastic weight averaging, as by 2019's second place."""

import dataclasses
import os

import keras

from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.features import from_files
from yt8m.progress import Progress
from yt8m.stages import finetune, pretrain, record, report
from yt8m.stages.batches import batches_from, stage_length
from yt8m.training import checkpoints as ckpt
from yt8m.training import keras_files, restore, weight_average, whole

ROWS = {"pretrain": pretrain.video_rows, "finetune": finetune.rated_spec}
ENOUGH = 5  # checkpoints: fewer than the source's advice


def average(train_dir, output_dir, data_pattern="", prefixes=(), newest=None, batch_size=None):
    """Writes a run whose weights are the mean of several checkpoints'.

    The averages of the batch norms are estimated anew, by one pass over the rows that the stage learned, as it saw them: those
    in the checkpoints belong to other weights.

    Args:
        train_dir: folder of the run.
        output_dir: folder to make; other commands take it as a train_dir.
        data_pattern: shards of the stage; "": those that the stage was started with.
        prefixes: checkpoints; (): all whole ones of the run's latest stage.
        newest: only so many of them, the newest; None: all.
        batch_size: rows at a time; None: the stage's.

    Returns:
        Prefix of the checkpoint that was written.

    Raises:
        UserError: fewer than two checkpoints, of several stages or another model, no data, or a folder that has a run.
    """
    if ckpt.latest(output_dir) is not None or os.path.realpath(output_dir) == os.path.realpath(train_dir):
        raise UserError(f"--output_dir={output_dir} has a run already. Name another folder, or delete it.")
    config = configs.read_model_config(train_dir)
    prefixes = [ckpt.find(path, "--checkpoints")[0] for path in prefixes] or whole.of_latest_stage(train_dir)
    prefixes = prefixes[-newest:] if newest else prefixes
    if len(prefixes) < 2:
        raise UserError(
            f"--train_dir={train_dir}: {len(prefixes)} checkpoint to average. Train with more --keep_checkpoints, or name them."
        )
    of_keras = next(filter(keras_files.is_keras_file, prefixes), None)
    if of_keras:
        raise UserError(f"--checkpoints={of_keras}: a file of Keras's says nothing of its stage. Name checkpoints of the run.")
    positions = [ckpt.position(prefix) for prefix in prefixes]
    if len({stage for _, stage, _ in positions}) > 1 or positions[0][1] not in ROWS:
        stages = ", ".join(sorted({stage for _, stage, _ in positions}))
        raise UserError(f"--checkpoints: they are of {stages}. Name checkpoints of one stage, {' or '.join(ROWS)}.")
    stage = _stage(train_dir, positions[0][1], data_pattern, batch_size)
    model = restore.build(config)
    weight_average.load_mean(model, prefixes)
    steps = ", ".join(str(step) for step, _, _ in sorted(positions))
    few = f"; {ENOUGH} or more are better" if len(prefixes) < ENOUGH else ""
    print(f"The mean of {len(prefixes)} checkpoints of {stage.stage}, steps {steps}{few}.", flush=True)
    rows = weight_average.estimate_averages(model, _batches(stage, config))
    if rows:
        print(f"Batch norms: averages of {rows:,} rows of {stage.data_pattern}.", flush=True)
    return _write(output_dir, model, config, max(positions), stage.data_pattern)


def _stage(train_dir, name, data_pattern, batch_size):
    """The TrainConfig of a stage of a run, as train_flags.json has it, for one pass over its rows on one device.

    Raises:
        UserError: nothing is noted of the stage.
    """
    noted = record.noted(train_dir).get(name)
    if noted is None:
        raise UserError(f"--train_dir={train_dir}: {configs.TRAIN_FILE} says nothing of {name}: written by an earlier version.")
    known = {field.name for field in dataclasses.fields(configs.TrainConfig)}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in noted["fields"].items() if key in known}
    values |= {"train_dir": train_dir, "stage": name, "num_epochs": 1, "max_steps": None, "teacher_scores": (), "callbacks": ()}
    values |= {"pseudo_data_pattern": "", "pseudo_labels": ""}
    values |= {"data_pattern": data_pattern} if data_pattern else {}
    values |= {"batch_size": batch_size} if batch_size else {}
    return configs.TrainConfig(**values)


def _batches(stage, config):
    """Yields the batches of a stage, once."""
    spec = ROWS[stage.stage](stage, config)
    length = stage_length(stage, spec, 1)
    with Progress("Batch norms", length.total_steps, "batches") as progress:
        for batch in batches_from(stage, spec, length, 0, 1)((0, 1)):
            yield batch
            progress.advance()


def _write(folder, model, config, position, data_pattern):
    """Writes a run of one checkpoint; position: (step, stage, step of the stage)."""
    os.makedirs(folder, exist_ok=True)
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    saved = ckpt.Checkpoints(folder, model, optimizer)
    step, stage, stage_step = position
    saved.step.assign(step)
    saved.stage.assign(configs.STAGES.index(stage))
    saved.stage_step.assign(stage_step)
    configs.write_model_config(folder, config)
    from_files.keep_whitening(config.backbone, data_pattern, folder)
    saved.save()
    report.finish(folder)
    prefix = ckpt.latest(folder)
    print(f"Wrote {prefix}.")
    return prefix
