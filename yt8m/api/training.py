"""Training, as `yt8m train` does it."""

import dataclasses

import keras
import tensorflow as tf

from yt8m import commands, flags
from yt8m import config as configs
from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.features import from_files
from yt8m.folders import folder_of_fold
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import precision, resolve, sources, stages
from yt8m.stages import by_name, em, report
from yt8m.stages.start import check_removal, remaining
from yt8m.training import cleaning, hosts, locking, restore, stopping


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a training left.

    Attributes:
        train_dir: its folder, which evaluate and inference take.
        config: ModelConfig of the model.
        model: keras.Model with its final weights; None: a signal stopped the run, which goes on when it is called again.
        signal: its number (SIGTERM or, of Ctrl-C, SIGINT), or None.
    """

    train_dir: str
    config: configs.ModelConfig
    model: keras.Model | None
    signal: int | None = None

    @property
    def stopped(self):
        """Whether a signal stopped the run before its end."""
        return self.model is None


@errors_as_user_errors()
def train(**given):
    """Trains a model to find where in a video a topic occurs; a run that was stopped goes on where it was.

    Args:
        **given: flags of `yt8m train` by name, e.g. model="AttentionModel", train_data_pattern="DATA/train*.tfrecord",
            hyperparameters={"hidden_size": 256}; callbacks may also hold keras.callbacks.Callback objects. Without data the
            built-in sample is trained on, in both phases.

    Returns:
        TrainingResult; with all_folds that of the last fold, or of the one that a signal stopped.

    Raises:
        UserError: an unknown flag, a bad value, flags that do not go together, bad data, a folder of another run.
    """
    check_backend("training")
    given, watching = _without_objects(given)
    given = flags.read(flags.TRAIN, given)
    hosts.join()
    stopping.begins_anew(given.get("start_new_model", False))
    return _train_folds(given, watching) if given.pop("all_folds", False) else _train(given, watching)


def _train_folds(given, watching):
    """Trains a model a fold, in folders of the train_dir.

    Raises:
        UserError: fewer than two folds, no --train_dir, or flags that name one fold or several models.
    """
    folds, folder = given.get("folds", 0), given.get("train_dir")
    if folds < 2 or not folder:
        raise UserError("--all_folds: give --folds=2 or more, and a --train_dir for the models' folders.")
    if "fold" in given or given.get("stage") == "em":
        what = f"--fold={given['fold']} is one fold" if "fold" in given else "--stage=em trains several models itself"
        raise UserError(f"--all_folds: {what}. Leave one of them out.")
    for fold in range(folds):
        print(f"Fold {fold} of {folds}:", flush=True)
        result = _train({**given, "fold": fold, "train_dir": folder_of_fold(folder, fold)}, watching)
        if not result.stopped and fold < folds - 1 and stopping.stops_after(f"fold {fold}"):
            result = dataclasses.replace(result, model=None, signal=stopping.stopped_by())
        if result.stopped:
            break
    return result


def _train(given, watching):
    """Trains one model, or those of EM; watching: keras.callbacks.Callback objects."""
    if given.get("log_device_placement"):
        tf.debugging.set_log_device_placement(True)
    base = sources.earlier_model(given)
    sample = sources.sample_to_train_on(given, base)
    run = resolve(given, base, sample)
    with locking.only_training(run.train_dir):
        return _train_run(run, given, base, sample, watching)


def _train_run(run, given, base, sample, watching):
    """Trains what was resolved, from what is in its train_dir on."""
    note = _Note(run.train_dir, given.get("train_data_pattern"), run.model, latest=not given.get("train_dir"))
    if not given.get("train_dir"):
        print(f"No --train_dir: the run is in {run.train_dir}", flush=True)
    for line in (precision.choose(given, run.model.model, base).line, *stages.without_effect(given, sample, run.trainings)):
        if line:
            print(line, flush=True)
    if given.get("start_new_model"):
        check_removal(run.train_dir, run.plan.initial.stages if run.plan else run.stages)
    if run.plan and given.get("start_new_model"):
        em.check(run.plan)
        if hosts.is_chief():
            cleaning.remove_run(run.train_dir)
        hosts.wait()
    callbacks = (note, *watching)
    result = _run_em(run, sample, callbacks) if run.plan else _run_stages(run, sample, callbacks)
    note.on_epoch_end(0)
    return result


def _without_objects(given):
    """The arguments without the keras.callbacks.Callback objects among `callbacks`, and these."""
    named = given.get("callbacks")
    if not isinstance(named, (list, tuple)):
        named = [named] if isinstance(named, keras.callbacks.Callback) else None
    if named is None:
        return given, []
    objects = [callback for callback in named if isinstance(callback, keras.callbacks.Callback)]
    return {**given, "callbacks": [entry for entry in named if not isinstance(entry, keras.callbacks.Callback)]}, objects


class _Note(keras.callbacks.Callback):
    """Notes a run once it has begun: it is not finished, how features are whitened, the latest one if it has no --train_dir."""

    def __init__(self, train_dir, pattern, config, latest):
        super().__init__()
        self.train_dir, self.pattern, self.config, self.latest = train_dir, pattern, config, latest

    def on_train_begin(self, logs=None):
        report.begin(self.train_dir)
        from_files.keep_whitening(self.config.backbone, self.pattern, self.train_dir)
        self.on_epoch_end(0)

    def on_epoch_end(self, epoch, logs=None):
        if self.latest:
            sources.note_latest(self.train_dir)


def _stopped(run):
    """The result of a training that a signal stopped."""
    return TrainingResult(run.train_dir, run.model, None, stopping.stopped_by())


def _run_stages(run, sample, callbacks):
    """Runs the stages one after the other, from the one that the folder is at."""
    stages_left, first = remaining(run.stages), run.stages[0]
    if first.init_checkpoint and first not in stages_left:
        print(f"--init_checkpoint={first.init_checkpoint}: is for {first.stage}, which is done: without effect.", flush=True)
    for stage in stages_left:
        model = by_name.FUNCTIONS[stage.stage](stage, run.model, callbacks)
        if model is None or (stage is not run.stages[-1] and stopping.stops_after(stage.stage)):
            return _stopped(run)
        if sample:
            report.add_stage(run.train_dir, stage.stage, model, run.model, sample)
    report.finish(run.train_dir)
    if sample:
        report.show(run.train_dir, model, run.model, sample)
    else:
        last = run.stages[-1]
        segments = last.stage != "pretrain"
        _say_next(run.train_dir, segments, last.eval_data_pattern, frames=segments or run.model.frame_features)
    return TrainingResult(run.train_dir, run.model, model)


def _run_em(run, sample, callbacks):
    """Runs EM from beginning to end; the model is the better one of the last iteration."""
    if em.em(run.plan, callbacks) is None:
        return _stopped(run)
    report.finish(run.train_dir)
    trained = restore.newest(run.train_dir)
    if sample:
        report.add_stage(run.train_dir, "em", trained.model, trained.config, sample)
        report.show(run.train_dir, trained.model, trained.config, sample)
    else:
        _say_next(run.train_dir, segments=True)
    return TrainingResult(run.train_dir, trained.config, trained.model)


def _say_next(train_dir, segments, pattern="", frames=True):
    """Says how to evaluate a run on named data: with a command where the shards for it are known, else in words.

    Where the shards have frames, it says how to make timelines of their videos, too.
    """
    switches = ("segment_labels",) if segments else ()
    if pattern:
        print("Done.")
        lines = [commands.command("eval", *switches, train_dir=train_dir, eval_data_pattern=pattern)]
        if frames:
            lines.append(commands.command("timeline", train_dir=train_dir, input_data_pattern=pattern))
        commands.show_next(*lines)
    else:
        call, rated = commands.command("eval", *switches, train_dir=train_dir), "rated " if segments else ""
        print(f"Done. To evaluate the model: {call}, and as --eval_data_pattern {rated}shards that it was not trained on.")
