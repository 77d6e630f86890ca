"""The settings of each paper, and what they become on the built-in sample."""

from yt8m import models, registry

# What a flag that is not given means, by recipe (RECIPE of the model's class) and stage. Sources: "starter": the official
# code's defaults; "attention": papers 000/001; "ceshine": paper 002; "netvlad": paper 003, which gives no lengths; "em": paper
# 004, which gives no decay (the starter's here). An M-step goes as pre-training does. "sample": small steps for the small set.
# Paper 002: pre-training minimises a mean over the classes (eq. 1); epsilons, clipping and the end of the warm-up in pre-training
# are the authors' code's. batch_unit: paper 004 gives batches of videos, 002 and 003 (their code) of segments.
_CESHINE = dict(optimizer="AdamWOptimizer", schedule="triangular", clip_gradient_norm=10.0, clip="global")
_NETVLAD = dict(batch_size=128, base_learning_rate=2e-4, learning_rate_decay=0.8, learning_rate_decay_examples=1_000_000)
_EM = dict(batch_size=512, batch_unit="videos", base_learning_rate=2.5e-4, learning_rate_decay=0.95, num_epochs=5)
RECIPES = {
    "starter": {
        "pretrain": dict(batch_size=1024, base_learning_rate=0.01, learning_rate_decay=0.95, num_epochs=5),
        "finetune": dict(batch_size=1024, base_learning_rate=0.01, learning_rate_decay=0.95, num_epochs=5),
    },
    "attention": {
        "pretrain": dict(batch_size=128, base_learning_rate=8e-4, learning_rate_decay=0.8, max_steps=60_000),
        "finetune": dict(batch_size=128, base_learning_rate=8e-4, learning_rate_decay=0.8, max_steps=2_500),
    },
    "ceshine": {
        "pretrain": dict(
            _CESHINE,
            batch_size=32,
            base_learning_rate=3e-4,
            weight_decay=0.1,
            max_steps=100_000,
            default_loss="MaskedCrossEntropyLoss",
            optimizer_epsilon=1e-6,
            warmup_fraction=0.2,
        ),
        "finetune": dict(
            _CESHINE,
            batch_size=128,
            base_learning_rate=2e-4,
            weight_decay=0.02,
            max_steps=9_000,
            optimizer_epsilon=1e-7,
            warmup_fraction=0.25,
        ),
    },
    "netvlad": {"pretrain": dict(_NETVLAD, num_epochs=5), "finetune": dict(_NETVLAD, max_steps=2_500)},
    "em": {"pretrain": _EM, "finetune": _EM},
    "sample": {
        "pretrain": dict(batch_size=32, base_learning_rate=2e-3, learning_rate_decay=0.8, max_steps=150, save_steps=50),
        "mstep": dict(batch_size=128, base_learning_rate=2e-3, learning_rate_decay=0.8, max_steps=300, save_steps=100),
        "finetune": dict(batch_size=64, base_learning_rate=2e-3, learning_rate_decay=0.8, max_steps=300, save_steps=100),
    },
}
PAPERS = {"attention": "papers 000, 001", "ceshine": "paper 002", "netvlad": "paper 003", "em": "paper 004"}
DECAY_EXAMPLES = 4_000_000  # between two decays of a staircase
EM_THRESHOLDS = {"paper": 0.9, "sample": 0.5}  # of pseudo-labels
BATCH_UNIT = "segments"
# What the checkpoints of a stage can be judged by; the first is the default. A part that an M-step leaves out has no ratings.
BEST_METRICS = {
    "pretrain": ("loss", "map", "gap"),
    "mstep": ("map", "auc", "loss"),
    "mstep with folds": ("loss",),
    "finetune": ("map", "auc", "loss"),
}


def recipe(model, stage, sample, name=None):
    """Default values of the training flags.

    Args:
        model: name of the model.
        stage: one of config.STAGES.
        sample: whether the run is on the built-in sample.
        name: of RECIPES; None: the model's own, or the sample's.

    Returns:
        dict of TrainConfig fields.
    """
    facts = registry.get("model", model)
    sample = sample and name is None
    stages = RECIPES[name or ("sample" if sample else facts.RECIPE)]
    common = {"learning_rate_decay": 1.0, "learning_rate_decay_examples": DECAY_EXAMPLES, "batch_unit": BATCH_UNIT}
    values = {**common, **stages.get(stage, stages["pretrain"])}
    if sample:
        values["base_learning_rate"] = facts.SAMPLE.get("base_learning_rate", values["base_learning_rate"])
    return values


def small(model):
    """Hyper-parameters that make a model small enough for the built-in sample: {name: value}, for a run of minutes."""
    return dict(registry.get("model", model).SAMPLE.get("hyperparameters", {}))


def segment_expansion(model, sample):
    """Frames on either side of a segment that a model sees, on the built-in sample or on named data."""
    return 0 if sample else registry.get("model", model).SEGMENT_EXPANSION


def models_of(name):
    """Names of the models that have a recipe on named data, sorted."""
    return [model for model in models.model_names() if name == registry.get("model", model).RECIPE]
