"""Groups of benchmarks/montage.py's rows: what each trains, and what it compares.

A group is a function of montage_runs.Runs that yields (row, compared with, goal).
"""

from montage_rows import (
    CONSTANT,
    DISTILLATION_WEIGHT,
    EM_SURER,
    EM_THRESHOLD,
    EVERY_SEGMENT,
    FOLDS,
    KEPT_CHECKPOINTS,
    LONGER,
    OF_SEGMENT_CLASSES,
    OVERLAP_PENALTIES,
    RUNNING_AVERAGE,
    RUNS_OF_FRAMES,
    SETS,
    SHORT_PRETRAINING,
    START_TIME_WEIGHT,
    STUDENT,
    TEACHERS,
)


def pretrained(key):
    return f"{key}, pre-trained"


def both_stages(runs, *keys, **changes):
    """Pre-trained and fine-tuned; the latter's row is the key itself."""
    for key in keys:
        runs.train(pretrained(key), key, "pretrain")
        runs.train(key, key, start=pretrained(key), **changes)


def phases(runs):
    """Pre-training against fine-tuning, attention against multi-attention (papers 000, 001)."""
    keys = ("logistic", "attention", "multi-attention")
    both_stages(runs, *keys)
    yield from ((key, pretrained(key), "above (001)") for key in keys)
    yield "attention", "logistic", "above (001)"
    yield "multi-attention", "attention", "not below (001)"


def convolutions(runs):
    """The CNN, whose rated segments are learned whole (papers 000, 001)."""
    both_stages(runs, "logistic", "multi-attention", "CNN")
    yield "CNN", "logistic", ""
    yield "multi-attention", "CNN", "above (001)"


def context(runs):
    """Context-agnostic, context-aware with the same encoders, and their mean (paper 002)."""
    start = pretrained("gated DBoF")
    runs.train(start, "gated DBoF", "pretrain")
    runs.train("context-agnostic", "gated DBoF", start=start, max_steps=LONGER)
    encoders = dict.fromkeys(("context_checkpoint", "segment_checkpoint"), start)
    runs.train("context-aware", "context-aware", checkpoints=encoders, max_steps=LONGER)
    runs.mean("agnostic + aware", ["context-agnostic", "context-aware"])
    yield "context-aware", "context-agnostic", "above (002)"
    yield "agnostic + aware", "context-agnostic", "above (002)"
    yield "agnostic + aware", "context-aware", "above (002)"


def ensemble(runs):
    """The mean of three kinds of models, and weights a class that are fitted on the held-out montages."""
    both_stages(runs, *TEACHERS)
    runs.mean("ensemble of three, mean", TEACHERS)
    runs.fitted("ensemble of three, fitted", TEACHERS)
    for key in TEACHERS:
        yield "ensemble of three, mean", key, "above (all)"
    yield "ensemble of three, fitted", "ensemble of three, mean", ""


def expectation_maximisation(runs):
    """NeXtVLAD without and with one and two iterations of EM, with both priors (paper 004)."""
    runs.expectation_maximisation("NeXtVLAD", EM_THRESHOLD)
    yield from iterations_of_em("NeXtVLAD")


def surer_expectation_maximisation(runs):
    """The same with the paper's threshold and a longer M-step."""
    threshold, steps = EM_SURER
    name = f"NeXtVLAD, threshold {threshold}"
    runs.expectation_maximisation("NeXtVLAD", threshold, name, max_steps=steps)
    yield from iterations_of_em(name)


def iterations_of_em(name):
    """The comparisons of the rows of EM: each iteration with the one before, for both priors."""
    for prior in ("prior", "no prior"):
        yield f"{name}, EM 1, {prior}", f"{name}, EM 0", "above (004)"
        yield f"{name}, EM 2, {prior}", f"{name}, EM 1, {prior}", "not below (004)"


def heads(runs):
    """Softmax and sparsemax, logistic and mixture of experts (papers 000, 001)."""
    keys = ("attention", "attention, sparsemax", "attention, MoE", "attention, sparsemax, MoE")
    multi = ("multi-attention", "multi-attention, sparsemax", "multi-attention, MoE")
    both_stages(runs, *keys, *multi)
    yield from ((key, "attention", "") for key in keys[1:])
    yield from ((key, "multi-attention", "") for key in multi[1:])


def baselines(runs):
    """The baselines of papers 000 and 001."""
    keys = ("CNN", "DBoF", "NetVLAD", "GRU", "NeXtVLAD")
    both_stages(runs, "multi-attention", *keys)
    yield from (("multi-attention", key, "above (001)") for key in keys[:4])
    yield "NeXtVLAD", "logistic", "above (004)"


def joint(runs):
    """NetVLAD with and without context, trained jointly (paper 003)."""
    start = pretrained("NetVLAD")
    runs.train(start, "NetVLAD", "pretrain")
    runs.train("NetVLAD, context-ignoring", "NetVLAD", start=start, max_steps=LONGER)
    encoders = dict.fromkeys(("context_checkpoint", "segment_checkpoint"), start)
    runs.train("NetVLAD, joint", "joint", checkpoints=encoders, max_steps=LONGER)
    yield "NetVLAD, joint", "NetVLAD, context-ignoring", "above (003)"


def every_segment(runs):
    """The context group with every segment of the rated montages rated, twenty times as many ratings of the same montages."""
    start, rated = pretrained("gated DBoF"), {**EVERY_SEGMENT, "data_pattern": runs.every_segment}
    agnostic, aware = "context-agnostic, every segment rated", "context-aware, every segment rated"
    runs.train(start, "gated DBoF", "pretrain")
    runs.train(agnostic, "gated DBoF", start=start, **rated)
    encoders = dict.fromkeys(("context_checkpoint", "segment_checkpoint"), start)
    runs.train(aware, "context-aware", checkpoints=encoders, **rated)
    runs.mean("agnostic + aware, every segment rated", [agnostic, aware])
    yield aware, agnostic, "above (002)"
    yield "agnostic + aware, every segment rated", agnostic, "above (002)"


def sequences(runs):
    """Models of the whole video (paper 004)."""
    keys = ("BiGRU", "Transformer, early fusion", "Transformer, late fusion")
    runs.train(pretrained("logistic"), "logistic", "pretrain")
    both_stages(runs, "logistic", *keys)
    yield from ((key, "logistic", "above (004)") for key in keys)


def student(runs):
    """A compact student of the ensemble of three (the talk's future work)."""
    name = "student of the ensemble"
    both_stages(runs, *TEACHERS)
    runs.mean("ensemble of three, mean", TEACHERS)
    runs.train("student alone", STUDENT, start=pretrained(STUDENT), max_steps=LONGER)
    if name not in runs.rows:
        folders = []
        for number, teacher in enumerate(TEACHERS):
            folders.append(runs.path(f"teacher-{number}"))
            runs.store(teacher, runs.made.rated_pattern, folders[-1])
        runs.train(name, STUDENT, start=pretrained(STUDENT), max_steps=LONGER, teacher_scores=tuple(folders),
                   distillation_weight=DISTILLATION_WEIGHT)  # fmt: skip
    yield name, "student alone", "above"
    yield name, "ensemble of three, mean", ""


def everything(runs):
    """The mean of all kinds of models, of what is there."""
    keys = ("attention", "multi-attention", "context-agnostic", "context-aware", "CNN", "DBoF", "NetVLAD", "NeXtVLAD")
    members = [key for key in keys if key in runs.rows]
    if len(members) == len(keys):
        runs.mean("ensemble of eight, mean", members)
        runs.fitted("ensemble of eight, fitted", members)
        yield from (("ensemble of eight, mean", key, "above (all)") for key in members)
        yield "ensemble of eight, fitted", "ensemble of eight, mean", ""


def start_times(runs):
    """Start-time supervision of the attention (the talk's future work)."""
    for key in ("attention", "multi-attention"):
        runs.train(pretrained(key), key, "pretrain")
        runs.train(key, key, start=pretrained(key))
        runs.train(f"{key}, start-time loss", key, start=pretrained(key), start_time_weight=START_TIME_WEIGHT)
        yield f"{key}, start-time loss", key, ""


def sets(runs):
    """How many sets of attention, and sets that are kept apart."""
    both_stages(runs, "multi-attention")
    for number in SETS:
        name = f"multi-attention, {number} sets"
        runs.train(pretrained(name), "multi-attention", "pretrain", hyperparameters={"num_sets": number})
        runs.train(name, "multi-attention", start=pretrained(name), hyperparameters={"num_sets": number})
        yield pretrained(name), pretrained("multi-attention"), ""
        yield name, "multi-attention", ""
    for penalty in OVERLAP_PENALTIES:
        name, apart = f"multi-attention, overlap penalty {penalty:g}", {"overlap_penalty": penalty}
        runs.train(pretrained(name), "multi-attention", "pretrain", hyperparameters=apart)
        runs.train(name, "multi-attention", start=pretrained(name), hyperparameters=apart)
        yield pretrained(name), pretrained("multi-attention"), ""
        yield name, "multi-attention", ""


def precision(runs):
    """The same trainings with products in bfloat16, as --precision=auto has them on CPUs that multiply it faster."""
    for key in ("attention", "multi-attention", "gated DBoF"):
        yield in_bfloat16(runs, key)


def precision_of_others(runs):
    """The same of further models whose steps are faster so."""
    for key in ("DBoF", "CNN", "NeXtVLAD"):
        yield in_bfloat16(runs, key)


def in_bfloat16(runs, key):
    """Trains a model in float32 and in bfloat16; returns the comparison."""
    name, bfloat16 = f"{key}, bfloat16", {"precision": "mixed_bfloat16"}
    both_stages(runs, key)
    runs.train(pretrained(name), key, "pretrain", hyperparameters=bfloat16)
    runs.train(name, key, start=pretrained(name), hyperparameters=bfloat16)
    return name, key, "not below"


def mixtures(runs):
    """Mixtures of NeXtVLADs with and without on-line distillation, and as many separate ones (third place)."""
    none, mean, branches = "mixture, no distillation", "three branches, mean", ("branch 1", "branch 2", "branch 3")
    with_and_without_distillation(runs, "mixture")
    for number, branch in enumerate(branches, start=1):
        runs.train(pretrained(branch), "branch", "pretrain", seed=runs.seed + 10 * number)
        runs.train(branch, "branch", start=pretrained(branch), seed=runs.seed + 10 * number)
    runs.mean(mean, branches)
    yield "mixture", none, "above (3rd)"
    yield "mixture", mean, "above (3rd)"
    yield none, mean, ""


def two_levels(runs):
    """Four mixtures of three NeXtVLADs and a second gate beside one mixture (third place), all pre-trained on fewer videos."""
    levels, none = "four mixtures", "four mixtures, no distillation"
    for key in ("mixture", levels):
        with_and_without_distillation(runs, key, max_steps=SHORT_PRETRAINING)
    yield levels, none, "above (3rd)"
    yield levels, "mixture", "above (3rd)"
    yield none, "mixture, no distillation", ""


def with_and_without_distillation(runs, key, **pretraining):
    """A mixture fine-tuned with on-line distillation and without, from one pre-training without."""
    none = f"{key}, no distillation"
    runs.train(pretrained(key), key, "pretrain", loss=none, **pretraining)
    for row in (key, none):
        runs.train(row, key, start=pretrained(key), loss=row)


def beyond(runs):
    """Of the systems that ranked above: SoftDBoF, softmax with a dustbin, the second place's loss, averages of weights, folds."""
    both_stages(runs, "logistic", "attention", "gated DBoF", "soft DBoF")
    name = "soft DBoF, runs of 5 frames"
    runs.train(pretrained(name), "soft DBoF", "pretrain", hyperparameters=RUNS_OF_FRAMES)
    runs.train(name, "soft DBoF", start=pretrained(name))
    yield "soft DBoF", "gated DBoF", ""
    yield name, "soft DBoF", ""
    for name in ("softmax MLP", "softmax MLP, complement"):
        runs.train(name, "softmax MLP", loss=name)
        yield name, "logistic", ""
    for key in ("attention", "soft DBoF"):
        start, constant, kept = pretrained(key), f"{key}, constant rate", f"{key}, checkpoints kept"
        runs.train(f"{key}, second place's loss", key, start=start, loss="second place's")
        runs.train(constant, key, start=start, **CONSTANT)
        runs.train(f"{key}, running average", key, start=start, **RUNNING_AVERAGE)
        runs.train(kept, key, start=start, **KEPT_CHECKPOINTS)
        runs.averaged(f"{key}, mean of checkpoints", kept)
        folds = [f"{key}, fold {fold}" for fold in range(FOLDS)]
        for fold, row in enumerate(folds):
            runs.train(row, key, start=start, folds=FOLDS, fold=fold)
        runs.mean(f"{key}, mean of {FOLDS} folds", folds)
        yield f"{key}, second place's loss", key, ""
        for row in (constant, f"{key}, running average", f"{key}, mean of checkpoints", f"{key}, mean of {FOLDS} folds"):
            yield row, key, ""
        yield f"{key}, mean of checkpoints", f"{key}, running average", ""


def segment_classes(runs):
    """The second place's loss over the segment classes alone, as it is there, beside the cross entropy over these."""
    for key in OF_SEGMENT_CLASSES:
        both_stages(runs, key)
        runs.train(f"{key}, second place's loss", key, start=pretrained(key), loss="second place's")
        yield f"{key}, second place's loss", key, ""


def bert(runs):
    """The ninth place's encoder of a few frames, pre-trained on runs of five (BERTMean)."""
    both_stages(runs, "logistic", "gated DBoF", "BERTMean")
    yield "BERTMean", "logistic", ""
    yield "BERTMean", "gated DBoF", ""


GROUPS = {
    "phases": phases,
    "convolutions": convolutions,
    "context": context,
    "ensemble": ensemble,
    "em": expectation_maximisation,
    "em_surer": surer_expectation_maximisation,
    "heads": heads,
    "baselines": baselines,
    "joint": joint,
    "everything": everything,
    "student": student,
    "start_times": start_times,
    "sets": sets,
    "precision": precision,
    "precision_of_others": precision_of_others,
    "sequences": sequences,
    "every_segment": every_segment,
    "beyond": beyond,
    "segment_classes": segment_classes,
    "mixtures": mixtures,
    "two_levels": two_levels,
    "bert": bert,
}
KEPT = {  # runs whose checkpoints later groups start from
    *(name for key in ("logistic", "attention", "multi-attention", "gated DBoF", "NetVLAD") for name in (key, pretrained(key))),
}
