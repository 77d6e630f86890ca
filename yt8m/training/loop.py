"""The training loop: one for a CPU, several GPUs and several hosts.

keras.Model.fit can neither run on several hosts nor resume in the middle of an epoch, so this is a loop around a Keras
model and a Keras optimizer. The order of the data is a function of the seed (readers/batches.py), so that the position
in it is one number: batches done.
"""

import dataclasses
import json
import os
import signal
import time

import keras
import numpy as np
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.metrics import ranking


@dataclasses.dataclass
class Hooks:
    """What a run does besides stepping.

    Attributes:
        writer: tf.summary writer of the train_dir.
        at_save: functions of the step, called after each checkpoint (evaluation, pictures); a dict that one returns
            goes to the callbacks' logs.
        callbacks: keras.callbacks.Callback objects; an "epoch" is the stretch between two checkpoints.
    """

    writer: tf.summary.SummaryWriter
    at_save: tuple = ()
    callbacks: tuple = ()


@dataclasses.dataclass(frozen=True)
class Length:
    """How long a stage is and in which stretches it goes.

    Attributes:
        total_steps: steps of the stage, None: until the data ends.
        batch_size: rows of a global batch.
        save_steps, log_steps: steps between checkpoints and between progress lines.
    """

    total_steps: int | None
    batch_size: int
    save_steps: int
    log_steps: int


def choose_strategy(devices=0):
    """The tf.distribute strategy for the machine.

    Args:
        devices: devices to use; 0 means every GPU, or one CPU. More than one without GPUs makes that many logical CPUs.

    Raises:
        UserError: more devices asked for than there are.
    """
    if "TF_CONFIG" in os.environ:
        try:
            json.loads(os.environ["TF_CONFIG"])
        except ValueError as error:
            raise UserError(f"TF_CONFIG={os.environ['TF_CONFIG']}: not JSON ({error}).") from None
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and devices > len(gpus):
        raise UserError(f"--devices={devices}: this machine has {len(gpus)} GPUs.")
    if not gpus and devices > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
        return tf.distribute.MirroredStrategy(
            [f"CPU:{index}" for index in range(devices)], cross_device_ops=tf.distribute.ReductionToOneDevice()
        )
    names = [f"GPU:{index}" for index in range(devices or len(gpus))]
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


def distribute(strategy, batches):
    """Deals the rows of each global batch out to the replicas.

    Args:
        strategy: the strategy.
        batches: function of worker=(index, count) -> tf.data.Dataset of the rows index::count of every global batch.

    Returns:
        An iterable of (distributed) batches.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return batches(worker=(0, 1))

    def local(context):
        each = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * each
        return tf.data.Dataset.choose_from_datasets(
            [batches(worker=(first + index, replicas)) for index in range(each)], tf.data.Dataset.range(each).repeat()
        )

    return strategy.distribute_datasets_from_function(local)


def make_train_steps(strategy, model, optimizer, objective, penalty, xla, counters):
    """Compiles the step.

    What is minimised is the sum over the objective's terms of each term's mean over the global batch, plus penalty * the
    model's regularization. Gradients are summed over the replicas before they are clipped.

    Args:
        strategy, model, optimizer: as they are used.
        objective: function (model, batch) -> objectives.Outcome.
        penalty: weight of the regularization.
        xla: compile with XLA.
        counters: tf.Variables that count steps.

    Returns:
        tf.function (iterator, number of steps) -> (sum of the losses, last predictions with 0 where no label is known, last
        labels, last quantities of the objective by name); the latter three are of this host's first device.
    """
    replicas = strategy.num_replicas_in_sync
    variables = [variable.value for variable in model.trainable_variables]

    def total(tensor):
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tensor) if replicas > 1 else tensor

    def step(batch):
        with tf.GradientTape() as tape:
            outcome = objective(model, batch)
            loss = tf.add_n([tf.reduce_sum(term) / total(tf.cast(tf.shape(term)[0], tf.float32)) for term in outcome.terms])
            penalised = loss + penalty * tf.add_n(model.losses) / replicas if model.losses else loss
            scaled = optimizer.scale_loss(penalised)
        gradients = tape.gradient(scaled, variables)
        if replicas > 1:
            gradients = [gradient / replicas for gradient in total(gradients)]
        optimizer.apply(gradients, model.trainable_variables)
        return loss, outcome.predictions, outcome.quantities

    compiled = tf.function(step, jit_compile=True) if xla else step

    def one(iterator):
        batch = next(iterator)
        loss, predictions, quantities = strategy.run(compiled, args=(batch,))
        loss = strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)
        with tf.control_dependencies([loss]):  # a step whose batch is not there does not count
            for counter in counters:
                counter.assign_add(1)
        return loss, predictions, batch["labels"], quantities

    @tf.function(reduce_retracing=True)
    def train_steps(iterator, count):
        loss_sum = tf.constant(0.0)
        for _ in tf.range(count - 1):
            loss_sum += one(iterator)[0]
        loss, *shown = one(iterator)
        return loss_sum + loss, *tf.nest.map_structure(lambda values: strategy.experimental_local_results(values)[0], shown)

    return train_steps


class StopOnSigterm:
    """Context manager: SIGTERM asks the loop to save and stop instead of killing the process."""

    def __enter__(self):
        self.asked = False
        self._previous = signal.signal(signal.SIGTERM, self._ask)
        return self

    def _ask(self, number, frame):
        self.asked = True

    def __exit__(self, *error):
        signal.signal(signal.SIGTERM, self._previous)


def run(model, optimizer, train_steps, iterator, checkpoints, length, hooks):
    """Steps until the data or the stage's steps end, a callback stops it, or SIGTERM comes; then saves.

    Args:
        model, optimizer: as they are used.
        train_steps: what make_train_steps returned.
        iterator: of the distributed batches, from stage_step on.
        checkpoints: Checkpoints; its counters are the position.
        length: Length.
        hooks: Hooks.

    Returns:
        True, or False when SIGTERM cut it short.
    """
    callbacks = keras.callbacks.CallbackList(list(hooks.callbacks), model=model)
    model.optimizer = optimizer
    model.stop_training = False
    callbacks.on_train_begin()
    total_steps, save_steps, log_steps = length.total_steps, length.save_steps, length.log_steps
    progress = Progress(optimizer, checkpoints, length, hooks.writer)
    saved, ended = int(checkpoints.stage_step.numpy()), False
    callbacks.on_epoch_begin(saved // save_steps)
    with StopOnSigterm() as sigterm:
        while not (ended or sigterm.asked or model.stop_training):
            done = int(checkpoints.stage_step.numpy())
            if total_steps is not None and done >= total_steps:
                break
            count = min(log_steps - done % log_steps, save_steps - done % save_steps, (total_steps or done + log_steps) - done)
            callbacks.on_train_batch_begin(done)
            try:
                loss_sum, predictions, labels, quantities = train_steps(iterator, tf.constant(count, tf.int32))
                quantities = {name: float(value) for name, value in quantities.items()}
                logs = progress.report(float(loss_sum) / count, predictions.numpy(), labels.numpy(), quantities)
                callbacks.on_train_batch_end(done + count - 1, logs)
            except tf.errors.OutOfRangeError:
                ended = True
            now = int(checkpoints.stage_step.numpy())
            if now % save_steps == 0 and now != saved and not ended and now != total_steps:
                saved = now
                save(checkpoints, hooks, callbacks, now // save_steps - 1, progress)
                callbacks.on_epoch_begin(now // save_steps)
        now = int(checkpoints.stage_step.numpy())
        cut_short = sigterm.asked and not ended and now != total_steps
        if now != saved:
            save(checkpoints, hooks, callbacks, saved // save_steps, progress, only_save=cut_short)
    callbacks.on_train_end()
    return not cut_short


def save(checkpoints, hooks, callbacks, epoch, progress, only_save=False):
    """Writes a checkpoint, then runs what is to happen at one."""
    checkpoints.save()
    logs = dict(progress.logs)
    if not only_save:
        for action in hooks.at_save:
            logs.update(action(int(checkpoints.step.numpy())) or {})
    callbacks.on_epoch_end(epoch, logs)
    progress.pause()


class Progress:
    """Prints a line and writes TensorBoard scalars: loss, learning rate, Hit@1, PERR, GAP, examples/s, time left."""

    def __init__(self, optimizer, checkpoints, length, writer):
        self.optimizer, self.checkpoints, self.total_steps = optimizer, checkpoints, length.total_steps
        self.batch_size, self.writer, self.logs = length.batch_size, writer, {}
        self.pause()

    def pause(self):
        """Starts the clock anew: what happened since the last report is not training."""
        self.clock, self.clock_step = time.monotonic(), int(self.checkpoints.stage_step.numpy())

    def report(self, loss, predictions, labels, quantities=None):
        """Reports the last steps.

        Args:
            loss: mean label loss of the steps since the last report.
            predictions, labels: [B, C] of the last batch (of the first device).
            quantities: {name: value} that the objective shows beside them.

        Returns:
            The values by name.

        Raises:
            UserError: the loss is no longer finite.
        """
        now = int(self.checkpoints.stage_step.numpy())
        if not np.isfinite(loss):
            raise UserError(f"step {now}: the loss is {loss}. Lower --base_learning_rate, or use --precision=float32.")
        steps_a_second = (now - self.clock_step) / max(time.monotonic() - self.clock, 1e-9)
        self.pause()
        labels = (labels > 0).astype(np.float32)
        self.logs = {
            "loss": loss,
            "learning_rate": float(self.optimizer.learning_rate),
            "hit_at_one": float(ranking.hit_at_one(predictions, labels)),
            "perr": float(ranking.perr(predictions, labels)),
            "gap": float(ranking.global_average_precision(predictions, labels)),
            "examples_per_second": steps_a_second * self.batch_size,
            **(quantities or {}),
        }
        left = "" if self.total_steps is None else f" | {duration((self.total_steps - now) / steps_a_second)} left"
        print(
            f"training step {now}{f'/{self.total_steps}' if self.total_steps else ''} | Loss: {loss:.3f} | "
            f"Hit@1: {self.logs['hit_at_one']:.2f} PERR: {self.logs['perr']:.2f} GAP: {self.logs['gap']:.2f} | "
            f"Examples/sec: {self.logs['examples_per_second']:.0f}{left}",
            flush=True,
        )
        with self.writer.as_default(step=int(self.checkpoints.step.numpy())):
            for name, value in self.logs.items():
                tf.summary.scalar(f"train/{name}", value)
        return self.logs


def duration(seconds):
    """Seconds as h:mm:ss or m:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
