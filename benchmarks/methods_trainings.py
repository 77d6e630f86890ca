"""The groups "trainings" and "mixtures" of methods.py: what systems above the four papers train, on the built-in sample.

The rate of the sample's recipe stays what it is, as averages of weights ask for. Sizes are those of the models on the sample.
"""

import report
from montage_rows import FOLDS, KEPT_CHECKPOINTS, LOSSES, RUNNING_AVERAGE, RUNS_OF_FRAMES

from yt8m.readers.labels import read_label_ids
from yt8m.stages import averaging
from yt8m.training import restore

LOGISTIC, ATTENTION, DBOF = "FrameLevelLogisticModel", "AttentionModel", "GatedDbofModel"
SOFT, SOFTMAX, MIXTURE, BERT = "SoftDbofModel", "SoftmaxMlpModel", "MixtureModel", "BertModel"
BRANCHES = 3
BRANCH = {"input_scale": "l2"}  # made-up features have no spectrum to undo
BERT_RATE = {"base_learning_rate": 2.5e-4}  # the Transformer's on the sample
MEANS = {"feature_names": ("mean_rgb", "mean_audio"), "frame_features": False}
MLP_SIZES = {"hidden_sizes": (512, 256)}


def loss_of(name):
    """ModelConfig fields of a loss of montage_rows.LOSSES."""
    label_loss, loss_options = LOSSES[name]
    return {"label_loss": label_loss, "loss_options": loss_options}


def both_stages(runs, name, model, hyperparameters=None, **changes):
    """Pre-trains and fine-tunes a model; the name of the fine-tuned run, `name` alone."""
    runs.run(f"{name}, pre-trained", model, "pretrain", hyperparameters=hyperparameters, **changes)
    runs.run(name, model, start=f"{name}, pre-trained", hyperparameters=hyperparameters, **changes)
    return name


def averaged(runs, name, run):
    """The mean of the weights of a run's checkpoints, as `yt8m average` makes it."""
    with report.quiet():
        averaging.average(runs.path(run), runs.path(name))
    trained = restore.newest(runs.path(name))
    runs.judge(name, trained.model, trained.config, 0)


def trainings(runs):
    """Each model and training beside its base."""
    logistic, dbof, soft = (both_stages(runs, model, model) for model in (LOGISTIC, DBOF, SOFT))
    yield soft, dbof, ""
    short = f"{SOFT}, runs of 5 frames"
    runs.run(f"{short}, pre-trained", SOFT, "pretrain", hyperparameters=RUNS_OF_FRAMES)
    runs.run(short, SOFT, start=f"{short}, pre-trained")
    yield short, soft, ""
    columns = {"label_ids": read_label_ids(runs.sample.segment_label_ids_file), **MEANS}
    for name in ("softmax MLP", "softmax MLP, complement"):
        runs.run(name, SOFTMAX, hyperparameters=MLP_SIZES, options={**columns, **loss_of(name)})
        yield name, logistic, ""
    bert = both_stages(runs, BERT, BERT, **BERT_RATE)
    yield bert, logistic, ""
    yield bert, dbof, ""
    yield from of_weights(runs, both_stages(runs, ATTENTION, ATTENTION))


def of_weights(runs, model):
    """The second place's loss, averages of weights and folds, from the same pre-trained model."""
    start, kept = f"{model}, pre-trained", f"{model}, checkpoints kept"
    runs.run(f"{model}, second place's loss", model, start=start, options=loss_of("second place's"))
    runs.run(f"{model}, running average", model, start=start, **RUNNING_AVERAGE)
    runs.run(kept, model, start=start, **KEPT_CHECKPOINTS)
    averaged(runs, f"{model}, mean of checkpoints", kept)
    folds = [f"{model}, fold {fold}" for fold in range(FOLDS)]
    for fold, name in enumerate(folds):
        runs.run(name, model, start=start, folds=FOLDS, fold=fold)
    runs.mean(f"{model}, mean of {FOLDS} folds", folds)
    for how in ("second place's loss", "running average", "mean of checkpoints", f"mean of {FOLDS} folds"):
        yield f"{model}, {how}", model, ""


def mixtures(runs):
    """Mixtures of NeXtVLADs with and without on-line distillation, and as many separate ones (third place)."""
    several, none = {**BRANCH, "num_branches": BRANCHES}, "mixture, no distillation"
    runs.run("mixture, pre-trained", MIXTURE, "pretrain", hyperparameters=several, options=loss_of(none))
    for name in ("mixture", none):
        runs.run(name, MIXTURE, start="mixture, pre-trained", hyperparameters=several, options=loss_of(name))
    branches = [f"branch {number + 1}" for number in range(BRANCHES)]
    for number, name in enumerate(branches, start=1):
        both_stages(runs, name, MIXTURE, {**BRANCH, "num_branches": 1}, seed=runs.seed + 10 * number)
    runs.mean("three branches, mean", branches)
    yield "mixture", none, "above (3rd)"
    yield "mixture", "three branches, mean", "above (3rd)"
    yield none, "three branches, mean", ""
