"""The training loop: one for a CPU, several GPUs and several hosts.

keras.Model.fit can neither run on several hosts nor resume in the middle of an epoch, so this is a loop around a Keras
model and a Keras optimizer. The order of the data is a function of the seed (readers/batches.py), so that the position
in it is one number: batches done.
"""

import dataclasses
import math

import keras
import tensorflow as tf

from yt8m.readers import pairs
from yt8m.training import hosts
from yt8m.training.progress import Progress, RatedPairs, VideoPredictions
from yt8m.training.stopping import StopOnSignal

SHOWN_ROWS = 1024  # of an M-step's batch, which has tens of thousands


@dataclasses.dataclass
class Hooks:
    """What a run does besides stepping.

    Attributes:
        writer: tf.summary writer of the train_dir.
        at_save: functions of the step, called after each checkpoint (evaluation, pictures); a dict that one returns
            goes to the callbacks' logs.
        callbacks: keras.callbacks.Callback objects; an "epoch" is the stretch between two checkpoints.
        rated: only some (row, class) pairs are labelled: what is shown of the predictions is about these.
    """

    writer: tf.summary.SummaryWriter
    at_save: tuple = ()
    callbacks: tuple = ()
    rated: bool = False


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
        labels, last label weights, last quantities of the objective by name); all but the first are of this host's first device,
        and of an M-step the first SHOWN_ROWS rows. Its labels come as pairs and are spread to [N, C] on the device, step by step.
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
        if replicas > 1:  # of a table, whose rows are looked up, the gradient comes as IndexedSlices
            gradients = [gradient / replicas for gradient in total([tf.convert_to_tensor(gradient) for gradient in gradients])]
        optimizer.apply(gradients, model.trainable_variables)
        return loss, outcome.predictions, outcome.quantities

    compiled = tf.function(step, jit_compile=True, autograph=False) if xla else step
    whole_step = _with_dense_labels(compiled, model.outputs[0].shape[-1])

    @tf.function(reduce_retracing=True, autograph=False)
    def counted_step(iterator):  # a function of its own: traced once, called from the loop's body and after it
        loss, shown, quantities = strategy.run(whole_step, args=(next(iterator),))
        loss = strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)
        with tf.control_dependencies([loss]):  # a step whose batch is not there does not count
            for counter in counters:
                counter.assign_add(1)
        return loss, *shown, quantities

    @tf.function(reduce_retracing=True, autograph=False)  # whose rewriting of the model's code takes longer than to trace it
    def train_steps(iterator, count):
        def go_on(done, loss_sum):
            return done + 1, loss_sum + counted_step(iterator)[0]

        _, loss_sum = tf.while_loop(lambda done, _: done < count - 1, go_on, (0, 0.0))
        loss, *shown = counted_step(iterator)
        return loss_sum + loss, *tf.nest.map_structure(lambda values: strategy.experimental_local_results(values)[0], shown)

    return train_steps


def _with_dense_labels(step, num_classes):
    """A step as strategy.run takes it, around one that may be compiled with XLA: that one gets no texts and no pairs."""

    def whole_step(batch):
        rows = SHOWN_ROWS if "pair_rows" in batch else None
        batch = pairs.spread(batch, num_classes)  # batches have other numbers of pairs, which XLA would compile anew
        loss, predictions, quantities = step({key: value for key, value in batch.items() if key != "ids"})
        return loss, [values[:rows] for values in (predictions, batch["labels"], batch["label_weights"])], quantities

    return whole_step


def run(model, optimizer, train_steps, iterator, checkpoints, length, hooks):
    """Steps until the data or the stage's steps end, a callback stops it, or SIGTERM or Ctrl-C comes; then saves.

    Args:
        model, optimizer: as they are used.
        train_steps: what make_train_steps returned.
        iterator: of the distributed batches, from stage_step on.
        checkpoints: Checkpoints; its counters are the position.
        length: Length.
        hooks: Hooks.

    Returns:
        True, or False when a signal cut it short. One that comes later than that is left to stopping.stops_after.
    """
    model.optimizer = optimizer
    epochs = None if length.total_steps is None else math.ceil(length.total_steps / length.save_steps)
    params = {"epochs": epochs, "steps": length.save_steps, "verbose": 0}
    callbacks = keras.callbacks.CallbackList(list(hooks.callbacks), model=model, **params)
    model.stop_training = False
    callbacks.on_train_begin()
    total_steps, save_steps, log_steps = length.total_steps, length.save_steps, length.log_steps
    progress = Progress(optimizer, checkpoints, length, hooks.writer, RatedPairs() if hooks.rated else VideoPredictions())
    saved, ended, asked = int(checkpoints.stage_step.numpy()), False, 0
    callbacks.on_epoch_begin(saved // save_steps)
    with StopOnSignal() as stop:
        while not ended:
            asked, model.stop_training = hosts.agree(stop.asked, model.stop_training)
            done = int(checkpoints.stage_step.numpy())
            if asked or model.stop_training or (total_steps is not None and done >= total_steps):
                break
            count = min(log_steps - done % log_steps, save_steps - done % save_steps, (total_steps or done + log_steps) - done)
            callbacks.on_train_batch_begin(done)
            try:
                loss_sum, *shown, quantities = train_steps(iterator, tf.constant(count, tf.int32))
                quantities = {name: float(value) for name, value in quantities.items()}
                logs = progress.report(float(loss_sum) / count, shown, quantities)
                callbacks.on_train_batch_end(done + count - 1, logs)
            except tf.errors.OutOfRangeError:
                ended = True
            now = int(checkpoints.stage_step.numpy())
            if now % save_steps == 0 and now != saved and not ended and now != total_steps:
                saved = now
                save(checkpoints, hooks, callbacks, now // save_steps - 1, progress)
                callbacks.on_epoch_begin(now // save_steps)
        now = int(checkpoints.stage_step.numpy())
        stop.take(asked)
        cut_short = bool(asked) and not ended and now != total_steps
        if now != saved:
            save(checkpoints, hooks, callbacks, saved // save_steps, progress, only_save=cut_short)
        stop.take(hosts.agree(stop.asked, False)[0])  # heard too late to cut this stage short, in time for what is to come
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
