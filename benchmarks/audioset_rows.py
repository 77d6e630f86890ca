"""The rows of benchmarks/audioset.py: what each is trained with, and what it is compared with."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        flags: of `yt8m train`, over those of `recipe`.
        recipe: name of the flag file.
        members: rows whose mean this is; nothing is trained.
        teachers: rows whose models teach this one.
        baseline: row that it is compared with, fold by fold.
        goal: "above" or "not below" it, by more than two standard errors; "": nothing was aimed at.
        other_seed: added to the run's seed.
        checkpoints: judged is the mean of the weights of the newest so many, as `yt8m average` makes it; 0: the last alone.
    """

    flags: dict = dataclasses.field(default_factory=dict)
    recipe: str = "audioset"
    members: tuple = ()
    teachers: tuple = ()
    baseline: str = ""
    goal: str = ""
    other_seed: int = 0
    checkpoints: int = 0


def other(model, baseline="", goal="", rate=0.001, **hyperparameters):
    """A Row of another model, trained as the recipe has it."""
    return Row({"model": model, "hyperparameters": hyperparameters, "base_learning_rate": rate}, baseline=baseline, goal=goal)


def ablation(goal="", hyperparameters=None, **flags):
    """A Row of the recipe with other flags, or other hyper-parameters beside its own."""
    own = {"hyperparameters": hyperparameters} if hyperparameters else {}
    return Row({**own, **flags}, baseline="audioset", goal=goal)


LOGISTIC = {"video_level_classifier_model": "LogisticModel"}
ALL_FRAMES = {"sampling": "none", **LOGISTIC}  # no ends cut off, none drawn
MEMBERS = ("audioset", "NetVladModel", "MultiAttentionModel")
# Without what the recipe adds. Batches and epochs were chosen on fold 0; those of a model without batch norm are smaller.
PLAIN = {
    "schedule": "staircase",
    "ema_momentum": 0.0,
    "augment_virtual_segments": 0.0,
    "clip_gradient_norm": 1.0,
    "batch_size": 64,
}
STARTER = {**PLAIN, "batch_size": 32, "base_learning_rate": 0.01, "num_epochs": 4}
SMALL = {"frame_size": 128, "num_sets": 1, "attention_size": 16, "clip_size": 256}


def paper(model, baseline="", goal="", rate=0.001, epochs=4, **hyperparameters):
    """A Row of a model of the papers, trained plainly."""
    given = {"model": model, "hyperparameters": hyperparameters, **PLAIN, "base_learning_rate": rate, "num_epochs": epochs}
    return Row(given, baseline=baseline, goal=goal)


# Most telling first.
ROWS = {
    "audioset": Row(),
    "MultiAttentionModel": paper("MultiAttentionModel", "AttentionModel", "not below", rate=8e-4, **ALL_FRAMES),
    "AttentionModel": paper("AttentionModel", "FrameLevelLogisticModel", "above", rate=8e-4, **ALL_FRAMES),
    "FrameLevelLogisticModel": Row({"model": "FrameLevelLogisticModel", "hyperparameters": {}, **STARTER}),
    "DbofModel": paper("DbofModel", "FrameLevelLogisticModel", "above", cluster_size=2048, hidden_size=1024, **ALL_FRAMES),
    "GatedDbofModel": paper("GatedDbofModel", "DbofModel", cluster_size=1024, hidden_size=1024, **ALL_FRAMES),
    "NetVladModel": paper("NetVladModel", "DbofModel", cluster_size=32, hidden_size=1024, **ALL_FRAMES),
    "NeXtVladModel": paper("NeXtVladModel", "DbofModel", cluster_size=32, groups=8, hidden_size=1024, **ALL_FRAMES),
    "BiGruModel": paper("BiGruModel", "DbofModel", epochs=8, units=256, reset_after=True, **LOGISTIC),
    "TransformerModel": paper("TransformerModel", "DbofModel", epochs=8, num_heads=4, position="sinusoidal", **LOGISTIC),
    "ensemble": Row(members=MEMBERS, baseline="audioset", goal="above"),
    "ensemble of the papers' models": Row(
        members=("AttentionModel", "MultiAttentionModel", "GatedDbofModel", "NetVladModel"), baseline="NetVladModel", goal="above"
    ),
    "student alone": ablation(hyperparameters=SMALL),
    "student": Row(
        {"hyperparameters": SMALL, "distillation_weight": 0.8}, teachers=MEMBERS, baseline="student alone", goal="above"
    ),
    "audioset_branches": Row(recipe="audioset_branches", baseline="audioset", goal="above"),
    "audioset_deep": Row(recipe="audioset_deep", baseline="audioset"),
    "audioset_wide": Row(recipe="audioset_wide", baseline="audioset"),
    "MultiAttentionModel, trained as the recipe": other("MultiAttentionModel", "MultiAttentionModel", **ALL_FRAMES),
    "without mixup": ablation(augment_virtual_segments=0.0),
    "mixup of Beta(.5, .5)": ablation(augment_virtual_segments=0.5),
    "class-balanced": ablation(class_balanced_sampling=0.5),
    "half the epochs": ablation(num_epochs=12),
    "without averaged weights": ablation(ema_momentum=0.0),
    "without a falling rate": ablation(schedule="staircase"),
    "without dropout": ablation(hyperparameters={"dropout": 0.0}),
    "one clip layer": ablation(hyperparameters={"clip_layers": 1}),
    "no layer on the frames": ablation(hyperparameters={"frame_layers": 0}),
    "no attention": ablation(hyperparameters={"num_sets": 0}),
    "attention alone": ablation(hyperparameters={"frame_statistics": False}),
    "frames of length 1": ablation(hyperparameters={"normalize": True}),
    # What may pay: to be tried on two folds before the recipe takes it.
    "twice the epochs": ablation(num_epochs=48),
    "dropout on the frames": ablation(hyperparameters={"frame_dropout": 0.2}),
    "dropped frames": ablation(augment_drop_frames=0.2),
    "noise on the frames": ablation(augment_noise=0.2),
    "weight decay": ablation(weight_decay=0.1),
    "twice the rate": ablation(base_learning_rate=0.003),
    "twice the sizes": ablation(hyperparameters={"frame_size": 1024, "clip_size": 2048}),
    "three frame layers": ablation(hyperparameters={"frame_layers": 3, "frame_dropout": 0.2}),
    "experts": ablation(hyperparameters={"video_level_classifier_model": "MoeModel"}),
}
CANDIDATES = tuple(ROWS)[tuple(ROWS).index("twice the epochs") :]  # of what is above
# What the systems beyond the papers gain on montages, here, with a third of the recipe's epochs: averages of weights and bagging.
# (Dustbins and unrated negatives need ratings.)
SHORT, BASE = {"num_epochs": 8}, "8 epochs"
CONSTANT = {**SHORT, "schedule": "staircase", "ema_momentum": 0.0}
BAGS, BRANCHES, CHECKPOINTS = 4, 3, 8
KEPT = {"keep_checkpoints": CHECKPOINTS, "save_steps": 40}  # of some 600 steps the last 280
_BAGS = {f"{BASE}, fold {fold} of {BAGS} left out": Row({**SHORT, "folds": BAGS, "fold": fold}) for fold in range(BAGS)}
CARRIED = {
    BASE: Row(SHORT),
    f"{BASE}, constant rate": Row(CONSTANT, baseline=BASE),
    f"{BASE}, constant rate, running average": Row(
        {**CONSTANT, "ema_momentum": 0.995}, baseline=f"{BASE}, constant rate", goal="above"
    ),
    f"{BASE}, constant rate, mean of checkpoints": Row(
        {**CONSTANT, **KEPT}, baseline=f"{BASE}, constant rate", goal="above", checkpoints=CHECKPOINTS
    ),
    f"{BASE}, without a running average": Row({**SHORT, "ema_momentum": 0.0}, baseline=BASE),
    **_BAGS,
    f"{BASE}, mean of {BAGS} folds": Row(members=tuple(_BAGS), baseline=BASE, goal="above"),
}
# Networks of the systems beyond the papers, trained plainly as the papers' are.
NETWORKS = {
    "SoftDbofModel": paper("SoftDbofModel", "GatedDbofModel", cluster_size=1024, hidden_size=1024, **ALL_FRAMES),
    "BertModel": paper("BertModel", "TransformerModel", epochs=8, num_blocks=1, num_heads=4, feed_forward_size=512, **ALL_FRAMES),
}
# Mixtures of NeXtVLADs with on-line distillation (third place), beside as many that are trained by themselves, all plainly.
NEXTVLAD = {"cluster_size": 32, "groups": 8, "hidden_size": 1024, "reduction": 8}
DISTILLED, SEPARATE = f"mixture of {BRANCHES}, distilled", f"mixture of {BRANCHES}, not distilled"


def mixture(branches, baseline="", goal="", other_seed=0, **loss_options):
    """A Row of a mixture of NeXtVLADs with the loss of on-line distillation; 1: a NeXtVLAD with the cross entropy."""
    row = paper("MixtureModel", baseline, goal, num_branches=branches, **NEXTVLAD)
    loss = {"label_loss": "OnlineDistillationLoss", "loss_options": loss_options} if loss_options else {}
    return dataclasses.replace(row, flags={**row.flags, **loss}, other_seed=other_seed)


_BRANCHES = {f"NeXtVLAD {number}": mixture(1, other_seed=100 * number) for number in range(1, BRANCHES + 1)}
MIXTURES = {
    **_BRANCHES,
    f"mean of {BRANCHES} NeXtVLADs": Row(members=tuple(_BRANCHES), baseline="NeXtVLAD 1", goal="above"),
    SEPARATE: mixture(BRANCHES, f"mean of {BRANCHES} NeXtVLADs", divergence_weight=0.0),
    DISTILLED: mixture(BRANCHES, SEPARATE, "above", temperature=3.0),
}
ROWS |= CARRIED | NETWORKS | MIXTURES
# Of docs/results.md, the quickest first.
TABLE = (
    "FrameLevelLogisticModel",
    "AttentionModel",
    "MultiAttentionModel",
    "DbofModel",
    "GatedDbofModel",
    "NetVladModel",
    "NeXtVladModel",
    "BiGruModel",
    "TransformerModel",
    "ensemble of the papers' models",
    "audioset",
    "ensemble",
    "student alone",
    "student",
)
