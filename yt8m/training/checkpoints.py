"""Checkpoints of a train_dir: all that a killed run needs to go on as if it had never been killed."""

import glob
import json
import math
import os
import re

import tensorflow as tf

from yt8m import config, jsonfiles
from yt8m.errors import UserError
from yt8m.files import copy_file, full_disk, write_text
from yt8m.training import hub, keras_files, whole
from yt8m.training.averages import averages
from yt8m.training.optimizer_state import by_path, slots
from yt8m.training.whole import NAME, VALUE, position

__all__ = ["Checkpoints", "chosen", "find", "latest", "load_weights", "position", "read_best"]
BEST, BEST_FILE = "best", "best.json"
LOWER_IS_BETTER = ("loss",)
_BEST_FIELDS = {
    "checkpoint": jsonfiles.Text(pattern=rf"{re.escape(NAME)}-\d{{1,18}}"),
    "step": jsonfiles.Integer(0),
    "metric": jsonfiles.Text(),
    "value": jsonfiles.Number(),
    "judged": jsonfiles.Integer(0),
}


class Checkpoints:
    """Saves and restores weights, batch-norm averages, dropout seeds, optimizer slots and the position in the run.

    A run with --ema_momentum has the weights' averages beside them. Whoever loads a model's weights gets the averages;
    only the stage that goes on gets both. Which checkpoints of the folder are whole, and so count, whole.py says.

    Attributes:
        step: steps of all stages together (tf.Variable, int64).
        stage: index in config.STAGES of the stage that the newest step belongs to.
        stage_step: steps of that stage; the position in its data is stage_step batches.

    Args:
        train_dir: folder.
        model: built Keras model.
        optimizer: built Keras optimizer.
        max_to_keep: older checkpoints are deleted.
    """

    def __init__(self, train_dir, model, optimizer, max_to_keep=3):
        self.train_dir = train_dir
        self.step, self.stage, self.stage_step = (
            tf.Variable(0, dtype=tf.int64, trainable=False, name=name) for name in ("step", "stage", "stage_step")
        )
        position = {"step": self.step, "stage": self.stage, "stage_step": self.stage_step}
        weights = {id(variable) for variable in model.weights}
        state = {
            "model": by_path(model.weights),
            # Seeds go by their order: Keras numbers their names through the process.
            "seeds": [variable.value for variable in model.variables if id(variable) not in weights],
            **position,
        }
        kept = averages(optimizer)
        average = {"average": {path: variable.value for path, variable in kept.items()}} if kept else {}
        self._model = model
        self._start = tf.train.Checkpoint(**state)
        self._all = tf.train.Checkpoint(optimizer=slots(optimizer), **average, **state)
        whole.list_for_tensorflow(train_dir)
        self._manager = tf.train.CheckpointManager(self._all, train_dir, max_to_keep, checkpoint_name=NAME)

    def save(self):
        """Writes model.ckpt-<step>.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            self._manager.save(checkpoint_number=int(self.step.numpy()))
        except (OSError, tf.errors.OpError) as error:
            whole.remove_unfinished(self.train_dir)
            reason = full_disk(error) or str(error).splitlines()[0][:200]
            raise UserError(
                f"--train_dir={self.train_dir}: no checkpoint can be written ({reason}). Name a folder that can be "
                "written, with room."
            ) from error

    def resume(self, prefix):
        """Goes on from a checkpoint of this stage: everything is restored.

        Raises:
            UserError: the checkpoint has other optimizer variables.
        """
        try:
            self._all.restore(prefix).assert_consumed()
        except (AssertionError, ValueError) as error:
            raise UserError(
                f"{prefix}: written with another --optimizer, --ema_momentum or --precision, so the stage cannot go on from "
                "it. Give the flags that it was started with, or --start_new_model."
            ) from error

    def begin_stage(self, prefix, stage, step=None):
        """Goes on from a checkpoint of an earlier stage, its last or its best: with the weights and a fresh optimizer.

        Its weights are kept for good under its name (`pretrain/model.ckpt-<step>`).

        Args:
            prefix, stage: of the checkpoint, and the name of the stage that begins.
            step: of the earlier stage's last checkpoint, from which steps count on; None: it is the one.
        """
        self._start.restore(prefix).expect_partial()
        _load_averages(self._model, prefix)
        kept = os.path.join(self.train_dir, config.STAGES[int(self.stage.numpy())], os.path.basename(prefix))
        if whole.fault(kept) is not None:
            self._start.write(kept)
            self._copy_flags(os.path.dirname(kept))
        if step is not None:
            self.step.assign(step)
        self.stage.assign(config.STAGES.index(stage))
        self.stage_step.assign(0)

    def keep_best(self, step, metric, value):
        """Notes how good the weights are now, and keeps them in train_dir/best in place of those kept before if they are better.

        Args:
            step: of these weights.
            metric, value: what they were judged by, and the result; more is better, of LOWER_IS_BETTER less.

        Returns:
            What is noted: dict of `checkpoint` (its name in train_dir/best), `step`, `metric`, `value` of the best, and `judged`,
            the last step that was looked at.
        """
        folder, best = os.path.join(self.train_dir, BEST), self.best()
        if best is not None and whole.fault(os.path.join(folder, best["checkpoint"])) is not None:
            best = None
        if best is None or (value < best["value"] if metric in LOWER_IS_BETTER else value > best["value"]):
            kept = os.path.basename(self._start.write(os.path.join(folder, f"{NAME}-{step}")))
            self._copy_flags(folder)
            best = {"checkpoint": kept, "step": step, "metric": metric, "value": value}
        write_text(os.path.join(folder, BEST_FILE), json.dumps({**best, "judged": step}) + "\n")
        for path in glob.glob(os.path.join(glob.escape(folder), f"{NAME}-*")):
            if not os.path.basename(path).startswith(best["checkpoint"] + "."):
                os.unlink(path)
        return best

    def _copy_flags(self, folder):
        """Copies model_flags.json beside kept weights; of several hosts the chief alone has one."""
        flags = os.path.join(self.train_dir, config.MODEL_FILE)
        if os.path.exists(flags):
            copy_file(flags, folder)

    def best(self):
        """What keep_best last noted in this stage, or None; of an earlier version that kept a checkpoint by nan, nothing is."""
        best = read_best(self.train_dir)
        if best and math.isnan(best["value"]):
            return None
        prefix = best and os.path.join(self.train_dir, BEST, best["checkpoint"])
        earlier = best and whole.fault(prefix) is None and position(prefix)[1] != config.STAGES[int(self.stage.numpy())]
        return None if earlier else best


def latest(train_dir):
    """Prefix of a run's newest whole checkpoint, or None.

    Raises:
        UserError: there are checkpoints, but none is whole.
    """
    return whole.newest(train_dir)


def read_best(train_dir):
    """best.json of a run that keeps its best checkpoint, as Checkpoints.keep_best returns it; or None.

    Raises:
        UserError: it is damaged.
    """
    way_out = f"Copy the folder {BEST} there again, or delete it: the run then stands for its newest checkpoint"
    return jsonfiles.read(os.path.join(train_dir, BEST, BEST_FILE), _BEST_FIELDS, way_out, missing=None)


def chosen(train_dir):
    """Prefix of the checkpoint that stands for a run: the best of its stage where that keeps it, else its newest; or None.

    Where the best is not whole, it says so and the newest whole one stands for the run. The best of an earlier stage than the
    newest's is what that one started from, and one that was kept by nan is none.

    Raises:
        UserError: best.json is damaged, or there are checkpoints, but none is whole.
    """
    best = read_best(train_dir)
    if best is None:
        return latest(train_dir)
    prefix = os.path.join(train_dir, BEST, best["checkpoint"])
    reason = whole.fault(prefix)
    if reason is None:
        return (latest(train_dir) if math.isnan(best["value"]) else _of_later_stage(train_dir, prefix)) or prefix
    newest = latest(train_dir)
    if newest is None:
        raise UserError(f"{prefix}: not whole ({reason}). Copy it there again, or name another run.")
    print(f"{prefix} is not whole ({reason}): {newest} stands for the run.", flush=True)
    return newest


def _of_later_stage(train_dir, prefix):
    """The newest whole checkpoint of a run if its stage is later than that of `prefix`, else None."""
    try:
        newest = latest(train_dir)
    except UserError:  # none is whole, but for the best
        return None
    stages = [config.STAGES.index(position(path)[1]) for path in (prefix, newest or prefix)]
    return newest if stages[1] > stages[0] else None


def find(path, flag="--init_checkpoint"):
    """The checkpoint that a user names: a train_dir (its best where it keeps that, else its newest), or a checkpoint in one.

    hf://user/name is a folder of that kind. A folder without checkpoints may have weights as Keras writes them.

    Returns:
        (prefix, or path of Keras's file; folder that holds the run's model_flags.json).

    Raises:
        UserError: there is none, or it is not whole.
    """
    local = hub.local_folder(os.fspath(path), flag)
    prefix = local.removesuffix(".index")
    if os.path.isdir(local):
        prefix = chosen(local) or keras_files.keras_file_in(local)
    if prefix and keras_files.is_keras_file(prefix) and os.path.isfile(prefix):
        return prefix, os.path.dirname(prefix)
    if prefix is None or not tf.io.gfile.exists(prefix + ".index"):
        raise UserError(
            f"{flag}={path}: no checkpoint there. Name the --train_dir of a run of train.py, or one of its {NAME}-<step>."
        )
    reason = whole.fault(prefix)
    if reason is not None:
        raise UserError(f"{flag}={path}: not whole ({reason}). Copy it there again, or name another checkpoint.")
    return prefix, os.path.dirname(prefix)


def _load_averages(model, prefix):
    """Gives a model the averages of its weights where the checkpoint has them."""
    tf.train.Checkpoint(average=by_path(model.trainable_variables)).restore(prefix).expect_partial()


def load_weights(model, prefix):
    """Restores a model's weights, and nothing else, from a checkpoint (their averages where it has them) or a file of Keras's.

    Raises:
        UserError: the checkpoint is of another model: variables are missing or have other shapes.
    """
    if keras_files.is_keras_file(prefix):
        keras_files.load_weights(model, prefix)
        return
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    wanted = by_path(model.weights)
    probe = tf.train.Checkpoint(model=wanted)
    try:
        probe.read(prefix).assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError) as error:
        theirs = sum(1 for name in shapes if name.startswith("model/") and name.endswith(VALUE))
        raise UserError(
            f"{prefix}: a checkpoint of another model: it has {theirs} variables, this {type(model).__name__} "
            f"{len(wanted)}, or their shapes differ. Give the --model and --hyperparameters it was trained with."
        ) from error
    _load_averages(model, prefix)
