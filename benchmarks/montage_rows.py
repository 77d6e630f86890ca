"""What benchmarks/montage.py trains: models made small for two cores, recipes, and what the papers say. Data, no code.

Every pre-training sees the same number of videos (but the Transformers', see RECIPES), every fine-tuning of a group the same
number of rated segments. Heads are logistic regressions, but where a row's name has MoE: a mixture of experts behind a gated DBoF
was far below one after so few steps (held-out part, one seed).
"""

_COSINE = dict(schedule="cosine", warmup_fraction=0.05, final_learning_rate_fraction=0.05)
STAGES = {
    "pretrain": dict(batch_size=32, max_steps=800, base_learning_rate=2e-3, **_COSINE),
    "finetune": dict(batch_size=64, max_steps=300, base_learning_rate=3e-4, **_COSINE),
    "mstep": dict(batch_size=128, max_steps=400, base_learning_rate=1e-3, **_COSINE),
}
LONGER = 700  # steps of fine-tuning where layers start from nothing, and of what these are compared with
EVERY_SEGMENT = {"max_steps": 2000, "base_learning_rate": 1e-3}  # fine-tuning where every segment is rated
SHORT_PRETRAINING = 200  # steps of pre-training of four mixtures at once, and of what these are compared with
QUICK_STEPS = 8  # of every stage with --quick

LOGISTIC_HEAD, MOE_HEAD = ({"video_level_classifier_model": f"{name}Model"} for name in ("Logistic", "Moe"))
_ENDS = {"skip_head": 0, "skip_tail": 0}  # montages have no titles
_ATTENTION = {**_ENDS, "hidden_size": 512, "num_samples": 60, "reduced_sizes": (128, 64), "attention_sizes": (64, 32)}
_DBOF = {**_ENDS, **LOGISTIC_HEAD, "cluster_size": 512, "hidden_size": 256, "num_samples": 60}
_NETVLAD = {**LOGISTIC_HEAD, "cluster_size": 16, "hidden_size": 256, "num_samples": 60}
_NEXTVLAD = {**_ENDS, **LOGISTIC_HEAD, "cluster_size": 16, "other_cluster_size": 8, "hidden_size": 256, "num_samples": 60}
_TRANSFORMER = {"num_blocks": 1, "feed_forward_size": 256, **LOGISTIC_HEAD}
_BRANCH = {**_ENDS, "sampling": "without_replacement", "num_samples": 60, "stride": 1, "input_scale": "l2", "cluster_size": 16,
           "hidden_size": 256, "reduction": 8}  # fmt: skip
# key -> (model, hyper-parameters)
MODELS = {
    "logistic": ("FrameLevelLogisticModel", {}),
    "attention": ("AttentionModel", {**_ATTENTION, **LOGISTIC_HEAD}),
    "multi-attention": ("MultiAttentionModel", {**_ATTENTION, **LOGISTIC_HEAD, "num_sets": 8}),
    "attention, sparsemax": ("AttentionModel", {**_ATTENTION, **LOGISTIC_HEAD, "attention": "sparsemax"}),
    "attention, MoE": ("AttentionModel", {**_ATTENTION, **MOE_HEAD}),
    "attention, sparsemax, MoE": ("AttentionModel", {**_ATTENTION, **MOE_HEAD, "attention": "sparsemax"}),
    "multi-attention, sparsemax": (
        "MultiAttentionModel",
        {**_ATTENTION, **LOGISTIC_HEAD, "num_sets": 8, "attention": "sparsemax"},
    ),
    "multi-attention, MoE": ("MultiAttentionModel", {**_ATTENTION, **MOE_HEAD, "num_sets": 8}),
    "gated DBoF": ("GatedDbofModel", _DBOF),
    "DBoF": ("DbofModel", {"cluster_size": 1024, "hidden_size": 256, **LOGISTIC_HEAD}),
    "CNN": ("CnnModel", {**_ENDS, "num_filters": (256, 256, 512), **LOGISTIC_HEAD}),
    "NetVLAD": ("NetVladModel", _NETVLAD),
    "GRU": ("GruModel", {"units": 256, "num_layers": 1, **LOGISTIC_HEAD}),
    "NeXtVLAD": ("NeXtVladModel", _NEXTVLAD),
    "BiGRU": ("BiGruModel", {"units": 128, "num_layers": 1, "reset_after": True, **LOGISTIC_HEAD}),
    "Transformer, early fusion": ("TransformerModel", _TRANSFORMER),
    "Transformer, late fusion": ("TransformerModel", {**_TRANSFORMER, "fusion": "late"}),
    "context-aware": (
        "ContextAwareModel",
        {
            "context_model": "GatedDbofModel",
            "segment_model": "GatedDbofModel",
            "context_options": _DBOF,
            "segment_options": _DBOF,
            "context_num_samples": 60,
            "hidden_size": 256,
            **LOGISTIC_HEAD,
        },
    ),
    "joint": (
        "JointContextModel",
        {
            "context_options": _NETVLAD,
            "segment_options": _NETVLAD,
            "context_sampling": "random",
            "context_num_samples": 60,
            "hidden_size": 256,
        },
    ),
    "mixture": ("MixtureModel", {**_BRANCH, "num_branches": 3}),
    "four mixtures": ("MixtureModel", {**_BRANCH, "num_branches": 3, "num_mixtures": 4}),
    "branch": ("MixtureModel", {**_BRANCH, "num_branches": 1}),
    "soft DBoF": ("SoftDbofModel", {**LOGISTIC_HEAD, "cluster_size": 512, "hidden_size": 256, "num_samples": 60}),
    "softmax MLP": ("SoftmaxMlpModel", {"hidden_sizes": (512, 256)}),
    "BERTMean": ("BertModel", {"num_blocks": 1, "feed_forward_size": 512, **LOGISTIC_HEAD}),
}
# Losses of rows, (name, options); the others have the cross entropy.
LOSSES = {
    "mixture": ("OnlineDistillationLoss", {"temperature": 20.0}),
    "mixture, no distillation": ("OnlineDistillationLoss", {"divergence_weight": 0.0}),
    "four mixtures": ("OnlineDistillationLoss", {"temperature": 20.0}),
    "four mixtures, no distillation": ("OnlineDistillationLoss", {"divergence_weight": 0.0, "second_weight": 0.0}),
    "softmax MLP": ("DustbinLoss", {}),
    "softmax MLP, complement": ("DustbinLoss", {"negatives": "complement"}),
    "second place's": (
        "SampledNegativeLoss",
        {"positive_weight": 1.0, "negative_weight": 1.0, "unrated_weight": 1.0, "mined_per": "segment"},
    ),
}
# The same models of the segment classes alone, as the second place's loss has it.
OF_SEGMENT_CLASSES = {f"{key}, segment classes": MODELS[key] for key in ("attention", "soft DBoF")}
MODELS |= OF_SEGMENT_CLASSES
SEGMENT_CLASSES = ("softmax MLP", *OF_SEGMENT_CLASSES)  # whose columns are the segment classes alone
# What a model's recipe has instead of STAGES. The Transformers, at full width, see an eighth of the videos: 300 frames at once.
_SLOW = {"base_learning_rate": 2.5e-4}
RECIPES = {
    "logistic": {"": {"base_learning_rate": 0.01}},
    "CNN": {"": {"base_learning_rate": 5e-4}},
    "BERTMean": {"": _SLOW},
    "Transformer, early fusion": {"": _SLOW, "pretrain": {"max_steps": 200, "batch_size": 16}, "finetune": {"max_steps": 200}},
    "Transformer, late fusion": {"": _SLOW, "pretrain": {"max_steps": 200, "batch_size": 16}, "finetune": {"max_steps": 200}},
}
SEGMENT_ALONE = {"segment_expansion": 0}  # NeXtVLAD of paper 004
TEACHERS = ("attention", "multi-attention", "gated DBoF")
STUDENT = "attention"
SETS = (1, 2, 4, 16)  # beside 8
OVERLAP_PENALTIES = (0.1, 1.0)  # beside 0
# Student of the best ensemble, which goes on from the fine-tuned row: (key, how it is trained); and how many of the rated shards
# the ensemble scores for it.
BEST_STUDENT = ("multi-attention", {"max_steps": 1000})
TAUGHT_SHARDS = 8
EM_THRESHOLD = 0.5
EM_SURER = (0.9, 1200)  # paper 004's threshold, and steps of the M-step, three times as many as in STAGES
START_TIME_WEIGHT = 0.1
DISTILLATION_WEIGHT = 0.8
# Averages of weights, at a rate that stays: the mean of the last checkpoints, and the running one.
CONSTANT = {"schedule": "staircase"}
KEPT_CHECKPOINTS = {**CONSTANT, "keep_checkpoints": 6, "save_steps": 25}
RUNNING_AVERAGE = {**CONSTANT, "ema_momentum": 0.99}
RUNS_OF_FRAMES = {"sampling": "sequence", "num_samples": 5}  # pre-training sees what fine-tuning sees
FOLDS = 4
