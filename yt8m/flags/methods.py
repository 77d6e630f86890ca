"""Flags of the training methods beyond the two phases, a group a method."""

from yt8m.flags import values
from yt8m.flags.table import Flag, Group

FOLDS = Group(
    "Folds and the best checkpoint",
    (
        Flag(
            "folds",
            int,
            "Leave out every folds-th shard of the stage and keep the checkpoint that is best on those. In a command of both "
            "stages, and of em: of the rated shards. Default: 0, none; em: 8, or as many as there are shards.",
        ),
        Flag("fold", int, "The shard to start with, 0 to folds - 1. Default: 0."),
        Flag(
            "all_folds",
            bool,
            "Train a model for each of --folds, one after the other, in folders fold_0, fold_1, ... of the train_dir (bagging); "
            "inference of that train_dir takes the mean of all. What is there already is not trained again.",
        ),
        Flag("keep_best", bool, "Keep the checkpoint that is best on --eval_data_pattern."),
        Flag(
            "best_metric",
            str,
            "What best means: the loss of the stage, MAP, of videos GAP, of rated pairs AUC. Default: pretrain: loss; else map; "
            "of pseudo-labels that an M-step leaves out the loss.",
            ("map", "auc", "gap", "loss"),
        ),
    ),
)
EM = Group(
    "EM (--stage=em)",
    (
        Flag("rated_data_pattern", str, "Rated shards; --train_data_pattern names the videos that pseudo-labels are made for."),
        Flag("em_iterations", int, "Iterations of E- and M-step. Default: 2."),
        Flag(
            "em_threshold",
            float,
            "A segment has a pseudo-label where its score is above this. Default: 0.9; 0.5 on the sample, whose scores are "
            "lower.",
        ),
        Flag(
            "em_models",
            values.entries,
            "The models F1,F2 of the M-step, each with what differs in brackets, hyper-parameters, recipe=NAME and flags, e.g. "
            "'TransformerModel(fusion=late), NeXtVladModel(cluster_size=64,recipe=em,segment_expansion=0)'. Default: --model for "
            "both.",
        ),
    ),
)
PSEUDO_LABELS = Group(
    "Pseudo-labels",
    (
        Flag(
            "pseudo_labels",
            str,
            "Folder of sidecars. mstep: of an E-step; finetune: of yt8m pseudo-labels, to blend in.",
        ),
        Flag("pseudo_data_pattern", str, "finetune: shards of the videos that they are for."),
        Flag("pseudo_share", float, "finetune: their share of each batch, between 0 and 1. Default: 0.5."),
    ),
)
DISTILLATION = Group(
    "Distillation",
    (
        Flag(
            "teacher_scores",
            values.names,
            "Score stores of the teachers (inference --scores_output), separated by commas; their mean is what is learned. "
            "finetune: of the segments; pretrain: of the videos.",
        ),
        Flag(
            "distillation_weight",
            float,
            "a in (1 - a) loss(ground truth) + a loss(teachers), 0 to 1. Default: 0.5.",
        ),
    ),
)
START_TIMES = Group(
    "Start-time supervision",
    (
        Flag(
            "start_time_weight",
            float,
            "finetune, attention models: weight of the loss that pulls attention into a class's positive segments; 0: none. "
            "Default: 0.",
        ),
    ),
)
# Fields of training.augmentation.Augmentation, behind augment_.
AUGMENTATION = Group(
    "Augmentation",
    (
        Flag(
            "augment_virtual_segments",
            float,
            "alpha of Beta(alpha, alpha): rows are mixed with others, their labels and weights too. 0: off.",
        ),
        Flag("augment_reverse", float, "Chance that a row's frames come in reverse."),
        Flag("augment_drop_frames", float, "Chance that a frame is left out."),
        Flag("augment_drop_segments", float, "pretrain: chance that 5 seconds are left out."),
        Flag("augment_noise", float, "Standard deviation of noise on the dequantised features."),
        Flag("augment_subsample", int, "Keep every n-th frame, from a random one on. 1: all."),
    ),
)
METHODS = (FOLDS, EM, PSEUDO_LABELS, DISTILLATION, START_TIMES, AUGMENTATION)
