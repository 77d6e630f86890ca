"""What a stage starts from. The first of these that is there:

1. a checkpoint of this stage in the train_dir: the stage goes on from it, with its optimizer and its place in the data;
2. `--init_checkpoint`: the weights alone, and steps count from 0; in a command of several stages it is the first one's;
3. a checkpoint of an earlier stage in the train_dir, the best where that stage kept it: the weights, and steps count on;
4. scratch: the weights as `--seed` initialises them.

`--start_new_model` empties the train_dir before that; it is refused where that holds what the stage starts from or learns from. A
train_dir that is at a later stage is refused. With `--keep_optimizer` 2 and 3 bring the optimizer's slots and its count of steps
along.
"""

import dataclasses
import os

import keras
import tensorflow as tf

from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.training import checkpoints as ckpt
from yt8m.training import cleaning, hosts
from yt8m.training.devices import on_gpu
from yt8m.training.optimizer_state import take_optimizer
from yt8m.training.optimizers import learning_rate_multipliers, make_optimizer
from yt8m.training.restore import build
from yt8m.training.schedules import make_schedule

THIS_STAGE, INIT_CHECKPOINT, EARLIER_STAGE, SCRATCH = "this stage", "--init_checkpoint", "an earlier stage", "scratch"
# Fields of TrainConfig that name a checkpoint or a folder which a stage takes.
TAKEN = ("init_checkpoint", "context_checkpoint", "segment_checkpoint", "pseudo_labels", "teacher_scores")


@dataclasses.dataclass(frozen=True)
class Start:
    """What a stage starts from.

    Attributes:
        kind: THIS_STAGE, INIT_CHECKPOINT, EARLIER_STAGE or SCRATCH.
        checkpoint: its prefix; None from scratch.
    """

    kind: str
    checkpoint: str | None = None


def starting_point(stage):
    """The Start of a stage, in the order that this file begins with.

    Args:
        stage: TrainConfig.

    Raises:
        UserError: the train_dir holds a later stage, there is no checkpoint where init_checkpoint says, or several hosts were
            told to empty the train_dir.
    """
    prefix, name = whereabouts(stage)
    if name == stage.stage:
        return Start(THIS_STAGE, prefix)
    if stage.init_checkpoint:
        return Start(INIT_CHECKPOINT, ckpt.find(stage.init_checkpoint)[0])
    if prefix is not None:
        return Start(EARLIER_STAGE, ckpt.chosen(stage.train_dir))
    return Start(SCRATCH)


def prepare_folder(stage):
    """Readies the train_dir for a stage that can begin: empties it if that is to start anew, removes what killed runs left.

    Raises:
        UserError: it would be emptied of what the stage starts from or learns from.
    """
    if stage.start_new_model:
        check_removal(stage.train_dir, [stage])
        if hosts.is_chief():
            cleaning.remove_run(stage.train_dir)
    hosts.wait()
    if not hosts.several():  # of which another may be writing just now
        cleaning.remove_leftovers(stage.train_dir)


def check_removal(train_dir, stages):
    """Refuses to empty a train_dir of what stages start from or learn from.

    Args:
        train_dir: folder.
        stages: TrainConfigs.

    Raises:
        UserError: names the flag.
    """
    given = [(name, getattr(stage, name)) for stage in stages for name in TAKEN]
    parts = [(name, part) for name, paths in given for part in ((paths,) if isinstance(paths, str) else paths)]
    cleaning.check_removal(train_dir, [(name, part) for name, part in parts if part])


def whereabouts(stage):
    """(newest whole checkpoint in the train_dir, name of its stage), or (None, None), also where it will be emptied.

    Raises:
        UserError: the train_dir holds a later stage, none of its checkpoints is whole, or several hosts were told to empty it.
    """
    if stage.start_new_model:
        if hosts.several() and os.path.exists(os.path.join(stage.train_dir, configs.MODEL_FILE)):
            raise UserError(
                f"--start_new_model: several hosts cannot empty --train_dir={stage.train_dir} together. Name a fresh one."
            )
        return None, None
    prefix = ckpt.latest(stage.train_dir)
    if prefix is None:
        return None, None
    step, name, _ = ckpt.position(prefix)
    if configs.STAGES.index(name) > configs.STAGES.index(stage.stage):
        raise UserError(
            f"--stage={stage.stage}: --train_dir={stage.train_dir} is at stage {name}, step {step}. Name another "
            "--train_dir, or give --start_new_model."
        )
    return prefix, name


def remaining(stages):
    """Of the stages of one train_dir, in their order, those from the one on that it is at."""
    prefix = None if stages[0].start_new_model else ckpt.latest(stages[0].train_dir)
    if prefix is None:
        return stages
    names, name = [stage.stage for stage in stages], ckpt.position(prefix)[1]
    return stages[names.index(name) :] if name in names else stages


def model_and_optimizer(stage, model_config, strategy, length):
    """The model and the optimizer of a stage, seeded, with their variables where the strategy wants them.

    On a CPU TensorFlow's op determinism is switched on: the same run gives the same bits.

    Args:
        stage: TrainConfig.
        model_config: ModelConfig.
        strategy: tf.distribute strategy.
        length: loop.Length.
    """
    keras.utils.set_random_seed(stage.seed)
    if not on_gpu():
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = build(model_config)
        rate = make_schedule(
            stage.schedule, stage.base_learning_rate, length.batch_size, length.total_steps, stage.learning_rate_decay,
            stage.learning_rate_decay_examples, stage.warmup_fraction, stage.final_learning_rate_fraction,
        )  # fmt: skip
        optimizer = make_optimizer(
            stage.optimizer,
            rate,
            stage.clip_gradient_norm,
            stage.clip,
            strategy.num_replicas_in_sync,
            model_config.precision == "mixed_float16",
            stage.weight_decay,
            learning_rate_multipliers(model, stage.learning_rate_multipliers),
            stage.ema_momentum,
            stage.optimizer_epsilon,
        )
        optimizer.build(model.trainable_variables)
    return model, optimizer


def bring_to(start, stage, model, optimizer, checkpoints):
    """Brings model, optimizer and position to where the stage starts or goes on.

    Args:
        start: Start.
        stage: TrainConfig.
        model, optimizer: built Keras model and its optimizer, both new.
        checkpoints: Checkpoints of the two.
    """
    if start.checkpoint is not None:
        ckpt.load_weights(model, start.checkpoint)
    if start.kind == THIS_STAGE:
        checkpoints.resume(start.checkpoint)
        return
    if start.kind == EARLIER_STAGE:
        checkpoints.begin_stage(start.checkpoint, stage.stage, ckpt.position(ckpt.latest(stage.train_dir))[0])
    else:
        checkpoints.stage.assign(configs.STAGES.index(stage.stage))
    if stage.keep_optimizer:
        take_optimizer(start.checkpoint, model, optimizer)
    if start.checkpoint is not None:
        with_optimizer = " with its optimizer" if stage.keep_optimizer else ""
        print(f"{stage.stage}: starting from {start.checkpoint}{with_optimizer}")
    elif stage.stage == "finetune":
        print(f"finetune: --train_dir={stage.train_dir} holds no model and there is no --init_checkpoint: from scratch.")
