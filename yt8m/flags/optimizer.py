"""Flags of the optimizer and its learning rate."""

from yt8m.flags import values
from yt8m.flags.table import Flag, Group

OPTIMIZER = Group(
    "Optimizer",
    (
        Flag("optimizer", str, "Optimizer; an unknown name lists the known ones. Default: by recipe, Adam."),
        Flag(
            "optimizer_epsilon",
            float,
            "What is added to the root of the mean squared gradient. Default: by recipe; the optimizer's, 1e-8 of Adam, 1e-7 of "
            "AdamW.",
        ),
        Flag(
            "keep_optimizer",
            bool,
            "finetune: go on with the optimizer of the earlier stage or --init_checkpoint: its slots, and the learning rate as "
            "decayed by then.",
        ),
        Flag(
            "weight_decay",
            float,
            "Decoupled weight decay, with any optimizer: a step takes learning rate * this off each weight, biases and "
            "batch-norm and layer-norm variables excepted. Default: by recipe; 0.01 for AdamW, else 0.",
        ),
        Flag(
            "schedule",
            str,
            "Learning rate by step. staircase: the starter's, see --learning_rate_decay. triangular: linear up, then linear "
            "down to the end of the stage (paper 002). cosine: linear up, then half a cosine down. Default: by recipe, "
            "staircase.",
            ("staircase", "triangular", "cosine"),
        ),
        Flag("base_learning_rate", float, "Learning rate to start with; the highest of a schedule. Default: by recipe."),
        Flag(
            "warmup_fraction",
            float,
            "triangular, cosine: part of the stage's steps over which the learning rate rises, 0 to 1. Default: 0.25; 0.2 in"
            " pre-training for the models of paper 002.",
        ),
        Flag(
            "final_learning_rate_fraction",
            float,
            "triangular, cosine: the first and the last learning rate as a share of the highest, 0 to 1. Default: 0.01.",
        ),
        Flag(
            "learning_rate_multipliers",
            values.multipliers,
            "prefix=factor,... on the learning rate (and decay) of the weights whose path begins with the prefix, e.g. "
            "segment_encoder=0.5,head=1; 0 freezes them. The longest prefix counts; an unknown one lists the known. Default: "
            "the model's own: half for the segment encoders of context models, else none.",
        ),
        Flag(
            "ema_momentum",
            float,
            "Keep an average of the weights over the steps, with this momentum (0.999, say), and evaluate and predict with "
            "it; 0: none. Default: 0.",
        ),
        Flag("learning_rate_decay", float, "Factor applied every learning_rate_decay_examples. Default: by recipe."),
        Flag(
            "learning_rate_decay_examples",
            float,
            "Examples between two decays. Default: by recipe, 4000000; 1000000 for the models of paper 003.",
        ),
        Flag("clip_gradient_norm", float, "Norm to clip gradients to; 0: never. Default: by recipe, 1."),
        Flag(
            "clip",
            str,
            "Clip each variable's gradient, or all as one. Default: by recipe, variable.",
            ("variable", "global"),
        ),
    ),
)
