"""What the papers and the authors' public code say of each recipe: values with their sources.

Written from the papers and from the code (mv-lab/youtube8m-19, ceshine/yt8m-2019, khuang47/cs230-youtube8m, google/youtube-8m),
not from configs/. PUBLISHED[recipe][stage] is {name: (value, source)}; a name is a field of TrainConfig or ModelConfig, an
argument of the model or (also "head NAME") its classifier, "loss NAME", an argument of the loss, or a flag. What no source gives
and a config says all the same is OURS, with the reason.
"""

# --- papers 000/001: team Locust ------------------------------------------------------------------------------------------------
SCRIPT, TRAIN = "mv-lab submission_script.txt", "mv-lab train.py"
LOCUST = {
    "batch_size": (128, SCRIPT),
    "optimizer": ("AdamOptimizer", f"{TRAIN}, --optimizer"),
    "base_learning_rate": (0.0008, SCRIPT),
    "schedule": ("staircase", f"{TRAIN}, exponential_decay(staircase=True)"),
    "learning_rate_decay": (0.8, SCRIPT),
    "learning_rate_decay_examples": (4_000_000, f"{TRAIN}, --learning_rate_decay_examples"),
    "clip_gradient_norm": (1.0, f"{TRAIN}, --clip_gradient_norm"),
    "clip": ("variable", "the starter's utils.clip_gradient_norms: each by itself"),
    "label_loss": ("CrossEntropyLoss", f"{TRAIN}, --label_loss"),
    "loss epsilon": (1e-5, "mv-lab losses.py, as google/youtube-8m losses.py: 10e-6"),
    "segment_expansion": (0, "mv-lab frame_level_models.py: iterations=5, the segment's frames"),
}
PAPERS_PHASES = {  # what is not said is not done
    "pretrain": {
        "segment_class_weight": (1, "papers 000/001 name no weight"),
        "max_steps": (60_000, f"{SCRIPT}: 60,000 exported"),
    },
    "finetune": {
        "segment_class_weight": (1, "papers 000/001 name no weight"),
        "max_steps": (2_500, "systems.md: 2,000 to 3,000 steps; 20 minutes in papers 000/001"),
    },
}
AUTHORS_EXTRAS = {
    "segment_class_weight": (5, f"{TRAIN}: whitelisted_cls_mask * 4 + 1"),
}
AUTHORS_PHASES = {
    "pretrain": {"max_steps": (60_100, SCRIPT), **AUTHORS_EXTRAS},
    "finetune": {
        "max_steps": (2_000, f"{SCRIPT}: 62,100 less 60,100"),
        "unrated_as_negatives": (1, f"{TRAIN}: the loss has the same weights in both phases, labels are 0 where nobody rated"),
        "keep_optimizer": (True, f"{SCRIPT}: --start_new_model=False on the same train_dir"),
        **AUTHORS_EXTRAS,
    },
}
MOE = {
    "video_level_classifier_model": ("MoeModel", "table 1 or mv-lab frame_level_models.py"),
    "num_mixtures": (2, "mv-lab video_level_models.py, --moe_num_mixtures"),
    "l2_penalty": (1e-6, "mv-lab video_level_models.py, --moe_l2"),
}
PLAIN_MOE = {**MOE, "probability_gating": (False, "papers 000/001 name no gating but the frame's")}
GATED_MOE = {**MOE, "probability_gating": (True, "mv-lab video_level_models.py, --moe_prob_gating")}
LOGISTIC = {
    "video_level_classifier_model": ("LogisticModel", "tables 1 and 2"),
    "l2_penalty": (1e-8, "mv-lab video_level_models.py, --l2_penalty"),
}
_FRAMES = "mv-lab frame_level_models.py"
NORMED = ("AttentionModel", "MultiAttentionModel", "DbofModel", "NetVladModel")  # the others have no batch norm before the head
UNNAMED = (0.99, "papers 000/001 name none: Keras's, as the headers say")
SLIM = (0.999, f"{_FRAMES}, video_level_models.py: slim.batch_norm, whose decay is .999 unless given")
RANDOM_FRAMES = {
    "num_samples": (120, "table 1: 120 samples"),
    "sampling": ("random", f"{_FRAMES}: SampleRandomFrames"),
    "skip_head": (15, f"{_FRAMES}: model_input[:, 15:, :]"),
    "skip_tail": (15, f"{_FRAMES}: num_frames - 15 - 15"),
}
EVERY_5TH = {
    "sampling": ("every", f"{_FRAMES}: model_input[:, 20:-30:5, :]"),
    "stride": (5, _FRAMES),
    "skip_head": (20, _FRAMES),
    "skip_tail": (30, _FRAMES),
}
ATTENTION = {
    "model": ("AttentionModel", "table 1"),
    "attention": ("softmax", "table 1"),
    "noise": (1e-3, f"{_FRAMES}: random_normal(stddev=1e-3)"),
    "hidden_size": (1024, f"{_FRAMES}: dr2"),
    "num_sets": (1, "paper 001: one set of attention weights"),
}
CNN = {
    "model": ("CnnModel", "table 2"),
    "num_filters": ((1024, 1024, 2048), f"{_FRAMES}, CnnModel"),
    "widths": ((1, 2, 3), f"{_FRAMES}, CnnModel"),
    "filter_l2_penalty": (1e-8, f"{_FRAMES}, CnnModel"),
    **EVERY_5TH,
}
STARTER_DBOF = "google/youtube-8m frame_level_models.py"


def _momentum(model, value):
    """The momentum of a model's batch norms, and of its head's where that gates its probabilities."""
    normed = {"momentum": value} if model["model"][0] in NORMED else {}
    return {**normed, "head momentum": value} if model.get("probability_gating", (False,))[0] else normed


def _multi(sets):
    return {**ATTENTION, "model": ("MultiAttentionModel", "table 1"), "num_sets": (sets, "table 1"), **RANDOM_FRAMES}


def _dbof(pooling, clusters, frames, source):
    return {
        "model": ("DbofModel", "table 2"),
        "cluster_size": (clusters, source),
        "num_samples": (frames, source),
        "hidden_size": (1024, source),
        "pooling_method": (pooling, "max: the starter's default; average: its other one"),
        "activation": ("relu6", "mv-lab has no --dbof_activation: the starter before August 2019"),
    }


def _netvlad(gating, source):
    return {
        "model": ("NetVladModel", "table 2"),
        "cluster_size": (64, f"{_FRAMES}, --netvlad_cluster_size"),
        "hidden_size": (1024, f"{_FRAMES}, --netvlad_hidden_size"),
        "relu": (True, f"{_FRAMES}, --netvlad_relu"),
        "gating": (gating, source),
    }


_LOCUST_MODELS = {  # recipe -> (of the paper's reading, of the authors' code)
    "attention_sparsemax_moe": [{**ATTENTION, "attention": ("sparsemax", "table 1"), **RANDOM_FRAMES, **GATED_MOE}] * 2,
    "attention_subsampling_moe": [{**ATTENTION, **EVERY_5TH, **GATED_MOE}] * 2,
    "attention_logistic": [{**ATTENTION, **RANDOM_FRAMES, **LOGISTIC}] * 2,
    "multi_attention_logistic_8": [{**_multi(8), **LOGISTIC}] * 2,
    "multi_attention_moe_8": [{**_multi(8), **GATED_MOE}] * 2,
    "multi_attention_moe_16": [{**_multi(16), **GATED_MOE}] * 2,
    "cnn_1": [{**CNN, **PLAIN_MOE}, {**CNN, **GATED_MOE}],
    "cnn_2": [{**CNN, **LOGISTIC}] * 2,
    "dbof_1": [
        {**_dbof("max", 8192, 30, STARTER_DBOF), **PLAIN_MOE},
        {**_dbof("max", 2048, 150, f"{_FRAMES}, --dbof_cluster_size, --iterations"), **GATED_MOE},
    ],
    "dbof_2": [
        {**_dbof("average", 8192, 30, STARTER_DBOF), **PLAIN_MOE},
        {**_dbof("average", 2048, 150, f"{_FRAMES}, --dbof_cluster_size, --iterations"), **GATED_MOE},
    ],
    "netvlad": [
        {**_netvlad(True, "Miech et al. 2017, which the model's flags are from"), **PLAIN_MOE},
        {**_netvlad(False, f"{_FRAMES}, --gating"), **GATED_MOE},
    ],
    "gru": [
        {
            "model": ("GruModel", "table 2"),
            "units": (1024, "as the starter's LSTM"),
            "num_layers": (2, "as the starter's LSTM"),
            **head,
        }
        for head in (PLAIN_MOE, GATED_MOE)
    ],
    "lstm": [
        {
            "model": ("LstmModel", "paper 001, final ensemble"),
            "units": (1024, f"{_FRAMES}, --lstm_cells"),
            "num_layers": (2, f"{_FRAMES}, --lstm_layers"),
            **head,
        }
        for head in (PLAIN_MOE, GATED_MOE)
    ],
}

# --- paper 002 ------------------------------------------------------------------------------------------------------------------
VIDEO, SEGMENT = "ceshine train_video.py", "ceshine train_pure_segment.py, train_segment_w_context.py"
SHARED_MOE = {
    "video_level_classifier_model": ("SharedGateMoeModel", "paper 002, section 3.4"),
    "head dropout": (0.5, "paper 002, section 4.2"),
}
FRAMES_002 = {
    "sampling": ("without_replacement", "paper 002, section 3.1"),
    "skip_head": (30, "ceshine models.py, frame_starts: the first six segments of section 3.9"),
    "skip_tail": (10, "ceshine models.py, frame_ends: the last two segments"),
}
ADAMW = {
    "optimizer": ("AdamWOptimizer", "paper 002, section 4.2"),
    "schedule": ("triangular", "paper 002, section 4.2: slanted triangular"),
    "final_learning_rate_fraction": (0.01, f"{VIDEO}: LinearLR(optimizer, 0.01)"),
    "clip_gradient_norm": (10, f"{VIDEO}: clip_grad=10."),
    "clip": ("global", "torch.nn.utils.clip_grad_norm_: all as one"),
    "segment_classes_only": (True, "paper 002, section 3.1"),
}
PRETRAIN_002 = {
    **ADAMW,
    "weight_decay": (0.1, "paper 002, section 4.2"),
    "base_learning_rate": (0.0003, "paper 002, section 4.2"),
    "warmup_fraction": (0.2, f"{VIDEO}: int(n_steps*0.2); 25% in the paper, section 4.2"),
    "optimizer_epsilon": (1e-6, f"{VIDEO}: eps=1e-6"),
    "label_loss": ("MaskedCrossEntropyLoss", "paper 002, eq. 1: the mean over the classes"),
    "only_segment_class_videos": (True, "paper 002, section 3.1"),
    "keep_best": (True, f"{VIDEO}: CheckpointCallback(keep_n_checkpoints=1)"),
    "best_metric": ("loss", f'{VIDEO}: monitor_metric="loss"'),
    "save_steps": (10_000, "ceshine pretraining.bash, --ckpt-interval"),
}
FINETUNE_002 = {
    **ADAMW,
    "weight_decay": (0.02, "paper 002, section 4.2"),
    "base_learning_rate": (0.0002, "paper 002, section 4.2"),
    "warmup_fraction": (0.25, "paper 002, section 4.2"),
    "optimizer_epsilon": (1e-7, "ceshine segment_with_context.yaml, eps"),
    "batch_size": (128, "paper 002, section 4.3"),
    "label_loss": ("SampledNegativeLoss", "paper 002, eq. 2"),
    "loss positive_weight": (1.5, "paper 002, eq. 2"),
    "loss unrated_weight": (0.5, "paper 002, eq. 2"),
    "loss form": ("paper", "paper 002, eq. 2"),
    "segment_expansion": (3, "paper 002, section 3.7"),
    "folds": (8, "paper 002, section 4.1"),
    "best_metric": ("auc", "paper 002, section 4.3; ceshine: monitor_metric='roc_auc'"),
}


def _gated_dbof(table, batch, steps, experts, frames):
    sampled = {**FRAMES_002, "num_samples": (frames, table)}
    if frames is None:
        ends = {name: FRAMES_002[name] for name in ("skip_head", "skip_tail")}
        sampled = {**ends, "sampling": ("every", f"{table}: maximum length infinite"), "stride": (1, table)}
    return {
        "model": ("GatedDbofModel", table),
        "cluster_size": (4096, f"{table}, H"),
        "hidden_size": (2048, f"{table}, D"),
        "cluster_reduction": (8, f"fits the counts of {table}"),
        "hidden_reduction": (4, f"{VIDEO}: video_se_reduction=4"),
        "num_mixtures": (experts, f"{table}, N"),
        "normalize": (False, "paper 002, section 3.2: no L2 normalization"),
        "dropout": (0.5, "paper 002, section 4.2; ceshine models.py, GatedDBoFModel.intermediate_fc"),
        **SHARED_MOE,
        **sampled,
    }, {"batch_size": (batch, table), "max_steps": (steps, table)}


def _nextvlad(batch, steps, groups, frames):
    table = "paper 002, table 2"
    return {
        "model": ("NeXtVladModel", table),
        "cluster_size": (64, f"{table}, C"),
        "groups": (groups, f"{table}, G"),
        "expansion": (2, f"{VIDEO}: expansion=2"),
        "cluster_dropout": (0.25, "paper 002, section 3.3"),
        "assignment_norm": ("cluster", "paper 002, section 3.3: cluster-wise"),
        "hidden_size": (2048, f"{VIDEO}: fcn_dim=2048"),
        "hidden_reduction": (4, f"{VIDEO}: se_reduction=4"),
        "dropout": (0.0, "ceshine models.py, NeXtVLADModel.intermediate_fc: Linear, ReLU; the clusters' is 25%"),
        "num_mixtures": (4, f"{table}, N"),
        **SHARED_MOE,
        **FRAMES_002,
        "num_samples": (frames, f"{table}, max length"),
    }, {"batch_size": (batch, table), "max_steps": (steps, table)}


_T1 = "paper 002, table 1"
VIDEO_MODELS_002 = {
    "gated_dbof_1": _gated_dbof(_T1, 32, 120_000, 5, None),
    "gated_dbof_2": _gated_dbof(_T1, 32, 100_000, 4, 200),
    "gated_dbof_3": _gated_dbof(_T1, 128, 100_000, 4, 150),
    "nextvlad_1": _nextvlad(32, 120_000, 32, 200),
    "nextvlad_2": _nextvlad(48, 200_000, 16, 150),
}
_AGNOSTIC = {  # recipe -> video model, steps, steps between checkpoints, a published fold
    "agnostic_gated_dbof_3": ("gated_dbof_3", 8_000, 4_000, 2),
    "agnostic_nextvlad_2": ("nextvlad_2", 12_000, 4_000, 2),
}
_AWARE = {  # context, segment, steps, steps between checkpoints, a published fold, reduction of the gating that table 5 fits
    "aware_dbof_1_with_nextvlad_2": ("gated_dbof_1", "nextvlad_2", 12_000, 4_000, 6, 4),
    "aware_dbof_2_with_nextvlad_2": ("gated_dbof_2", "nextvlad_2", 12_000, 3_000, 5, None),
    "aware_dbof_3_with_nextvlad_2": ("gated_dbof_3", "nextvlad_2", 9_000, 3_000, 3, 4),
    "aware_nextvlad_2_with_nextvlad_2": ("nextvlad_2", "nextvlad_2", 15_000, 5_000, 5, None),
    "aware_nextvlad_2_with_dbof_3": ("nextvlad_2", "gated_dbof_3", 9_000, 3_000, 7, 4),
}


def _agnostic(video, steps, save, fold):
    return {
        **VIDEO_MODELS_002[video][0],
        **FINETUNE_002,
        "max_steps": (steps, "paper 002, table 3"),
        "save_steps": (save, "ceshine context-agnostic.bash, --ckpt-interval"),
        "fold": (fold, "paper 002, table 3"),
    }


def _aware(context, segment, steps, save, fold, reduction):
    encoders = [VIDEO_MODELS_002[name][0]["model"][0] for name in (context, segment)]
    return {
        **FINETUNE_002,
        "model": ("ContextAwareModel", "paper 002, section 3.9"),
        "context_model": (encoders[0], "paper 002, table 4"),
        "segment_model": (encoders[1], "paper 002, table 4"),
        "context_num_samples": (150, "paper 002, table 4: Max length = 150"),
        "context_sampling": ("without_replacement", "paper 002, sections 3.1 and 3.9"),
        "segment_layer": ("auto", "ceshine segment_models.py: a DBoF's gated output, a NeXtVLAD's intermediate_fc[:1]"),
        "segment_activation": (False, "ceshine segment_models.py: intermediate_fc[:1] is the dense layer alone"),
        "hidden_size": (2048, "paper 002, table 4: FC Dimension = 2048"),
        "reduction": (reduction, "fits the counts of paper 002, table 5; 4 in ceshine context-aware.bash"),
        "dropout": (0.5, "paper 002, section 4.2"),
        "num_mixtures": (2, "fits the counts of table 5; ceshine segment_models.py, num_mixtures=2"),
        "learning_rate_multipliers": ({"segment_encoder": 0.5}, "paper 002, sections 3.9 and 4.2"),
        "batch_unit": ("segments", "ceshine dataloader: a row is a segment"),
        **SHARED_MOE,
        "max_steps": (steps, "paper 002, table 4"),
        "save_steps": (save, "ceshine context-aware.bash, --ckpt-interval"),
        "fold": (fold, "paper 002, table 4"),
    }


# --- paper 003 ------------------------------------------------------------------------------------------------------------------
PARAMS, MODEL_FN = "khuang47 params_video_level.json", "khuang47 model_fn.py"
HUANG = {
    "batch_size": (128, "paper 003, section 5"),
    "optimizer": ("AdamOptimizer", "paper 003, section 5"),
    "base_learning_rate": (0.0002, "paper 003, section 5"),
    "schedule": ("staircase", f"{MODEL_FN}: exponential_decay(staircase=True)"),
    "learning_rate_decay": (0.8, "paper 003, section 5"),
    "learning_rate_decay_examples": (1_000_000, f"paper 003, section 5; {MODEL_FN}: global_step * params.batch_size_train"),
    "clip_gradient_norm": (1.0, PARAMS),
    "segment_classes_only": (True, "paper 003, section 5"),
    "label_loss": ("CrossEntropyLoss", "paper 003, section 5"),
    "loss epsilon": (1e-5, f"{MODEL_FN}: 10e-6"),
}
NETVLAD_003 = {
    "model": ("NetVladModel", "paper 003, section 4.1"),
    "cluster_size": (256, f"{PARAMS}, vlad_cluster_size"),
    "hidden_size": (1024, f"{PARAMS}, fc_size"),
    "momentum": (0.999, f"{PARAMS}, bn_momentum, of the clusters'; of the frames' and the gate's .99, the default there"),
    "gating": (True, "paper 003, section 4.1.2"),
    "relu": (False, "paper 003, figure 1: none"),
    "normalize": (True, "paper 003, section 5: l2 norm"),
    "video_level_classifier_model": ("MoeModel", "paper 003, section 4.1.3"),
    "num_mixtures": (2, PARAMS),
    "l2_penalty": (1e-6, f"{PARAMS}, moe_l2"),
    "probability_gating": (False, "paper 003, section 4.1.3 and figure 3"),
    "only_segment_class_videos": (True, "paper 003, section 5"),
    "num_epochs": (5, PARAMS),
    "keep_best": (True, "khuang47 training.py: saved where gAP is higher"),
    "best_metric": ("gap", "khuang47 training.py"),
}
_PARAMS_SEGMENT = "khuang47 params_segment.json"
JOINT_003 = {
    **HUANG,
    "model": ("JointContextModel", "paper 003, section 4.2"),
    "hidden_size": (1024, f"{_PARAMS_SEGMENT}, embedding_fc_size"),
    "momentum": (0.999, f"{_PARAMS_SEGMENT}, bn_momentum"),
    "num_mixtures": (2, _PARAMS_SEGMENT),
    "segment_expansion": (3, "paper 003, section 5"),
    "learning_rate_multipliers": (
        {"segment_encoder": 0.5, "context_ignoring": 0.5, "context_ignoring/head": 1.0},
        "paper 003, section 4.2.1; khuang47 segment_model_fn.py: learning_rate / 2 of the context-ignoring model",
    ),
    "batch_unit": ("segments", "khuang47 segment_input_fn.py: enqueue_many of segments"),
    "num_epochs": (1, _PARAMS_SEGMENT),
    "best_metric": ("map", "khuang47 segment_training.py"),
}

# --- paper 004 ------------------------------------------------------------------------------------------------------------------
STARTER_FLAGS = "google/youtube-8m train.py, on which paper 004 builds (section 6.1)"
EM = {
    "optimizer": ("AdamOptimizer", "paper 004, section 6.1"),
    "num_epochs": (5, "paper 004, section 6.1"),
    "schedule": ("staircase", STARTER_FLAGS),
    "learning_rate_decay": (0.95, STARTER_FLAGS),
    "learning_rate_decay_examples": (4_000_000, STARTER_FLAGS),
    "clip_gradient_norm": (1.0, STARTER_FLAGS),
    "clip": ("variable", STARTER_FLAGS),
    "weight_decay": (0, "paper 004, section 6.1: Adam"),
    "segment_expansion": (0, "paper 004, figure 1: length 5"),
    "label_loss": ("CrossEntropyLoss", "paper 004, eq. 16 and 17"),
    "loss epsilon": (1e-5, "google/youtube-8m losses.py, on which paper 004 builds: 10e-6"),
}
SEGMENTS_MEAN = {"video_prediction": ("segments_mean", "paper 004, eq. 15")}
SEQUENCE = {
    **EM,
    "batch_size": (512, "paper 004, section 6.1: 512 videos"),
    "batch_unit": ("videos", "paper 004, section 6.1: 512 videos"),
    "base_learning_rate": (0.00025, "paper 004, section 6.1"),
}
NEXTVLAD_004 = {
    **EM,
    **SEGMENTS_MEAN,
    "model": ("NeXtVladModel", "paper 004, section 4.2"),
    "fusion": ("late", "paper 004, section 6.1"),
    "cluster_size": (128, "paper 004, section 6.1"),
    "groups": (8, "paper 004, section 6.1"),
    "hidden_size": (2048, "paper 004, section 6.1"),
    "dropout": (0.5, "paper 004, section 6.1"),
    "expansion": (2, "paper 004, figure 1: 256 values a cluster = 2 * 1024 / 8"),
    "base_learning_rate": (0.0004, "paper 004, section 6.1"),
}


def _transformer(fusion):
    return {
        **SEQUENCE,
        "model": ("TransformerModel", "paper 004, section 4.4"),
        "fusion": (fusion, "paper 004, section 6.1"),
        "num_blocks": (2, "paper 004, section 6.1"),
        "num_heads": (1, "paper 004, eq. 14"),
        "position": ("none", "paper 004, section 4.4: names none"),
    }


BIGRU = {**SEQUENCE, "model": ("BiGruModel", "paper 004, section 4.3"), "num_layers": (2, "paper 004, section 6.1")}

# --- all of them ----------------------------------------------------------------------------------------------------------------
PUBLISHED = {}
for _name, (_paper, _code) in _LOCUST_MODELS.items():
    for _title, _model, _value, _phases in (
        (_name, _paper, UNNAMED, PAPERS_PHASES),
        (f"{_name}_authors", _code, SLIM, AUTHORS_PHASES),
    ):
        _model = {**LOCUST, **_model, **_momentum(_model, _value)}
        PUBLISHED[_title] = {stage: {**_model, **phase} for stage, phase in _phases.items()}
for _name, (_model, _length) in VIDEO_MODELS_002.items():
    PUBLISHED[_name] = {"pretrain": {**PRETRAIN_002, **_model, **_length}}
PUBLISHED |= {name: {"finetune": _agnostic(*facts)} for name, facts in _AGNOSTIC.items()}
PUBLISHED |= {name: {"finetune": _aware(*facts)} for name, facts in _AWARE.items()}
PUBLISHED["gated_netvlad_moe"] = {"pretrain": {**HUANG, **NETVLAD_003}}
PUBLISHED["gated_netvlad_moe_literal"] = {
    "pretrain": {
        **HUANG,
        **NETVLAD_003,
        "learning_rate_decay_examples": (128_000_000, "paper 003, section 5: 1000000 steps of 128"),
    }
}
PUBLISHED["gated_netvlad_joint"] = {"finetune": JOINT_003}
PUBLISHED["em_logistic"] = {
    "pretrain": {
        **EM,
        **SEGMENTS_MEAN,
        "model": ("FrameLevelLogisticModel", "paper 004, section 4.1"),
        "batch_size": (1024, STARTER_FLAGS),
        "base_learning_rate": (0.01, STARTER_FLAGS),
    }
}
PUBLISHED["em_nextvlad"] = {
    "pretrain": {**NEXTVLAD_004, "batch_size": (80, "paper 004, section 6.1: 4800 segments, 60 of a video of 300 seconds")},
    "finetune": {**NEXTVLAD_004, "batch_size": (4800, "paper 004, section 6.1: 4800 segments")},
}
for _name, _values in {
    "em_transformer_early": _transformer("early"),
    "em_transformer_late": _transformer("late"),
    "em_bigru": BIGRU,
}.items():
    _of_videos = {name: value for name, value in _values.items() if name != "batch_unit"}  # nothing else is to be counted there
    PUBLISHED[_name] = {"pretrain": _of_videos, "finetune": _values}

# Flags of a config that no source gives: recipe -> {name: why}.
OURS = {
    "gated_netvlad_moe": {"save_steps": "steps between two looks at the gAP; the code looks every 100, at one batch"},
    "gated_netvlad_moe_literal": {"save_steps": "as configs/gated_netvlad_moe.flags"},
    "gated_netvlad_joint": {
        "context_options": "the options of configs/gated_netvlad_moe.flags",
        "segment_options": "the options of configs/gated_netvlad_moe.flags",
        "folds": "the paper's own split is not named; a fold stands for it",
        "fold": "the first",
    },
    "em_nextvlad": {
        "sampling": "a segment is used whole",
        "other_groups": "the audio's, from Lin et al. 2018",
        "assignment_norm": "that of Lin et al. 2018",
        "cluster_dropout": "none is named",
        "hidden_reduction": "that of Lin et al. 2018",
        "video_level_classifier_model": "that of Lin et al. 2018",
        "num_mixtures": "the starter's",
    },
    "em_bigru": {"units": "the paper names none"},
    **{name: {"context_options": "test_context_models_have_the_encoders", "segment_options": "the same"} for name in _AWARE},
    "student": dict.fromkeys(
        (
            "model",
            "segment_classes_only",
            "video_level_classifier_model",
            "batch_size",
            "base_learning_rate",
            "optimizer",
            "learning_rate_decay",
            "learning_rate_decay_examples",
            "clip_gradient_norm",
            "max_steps",
            "loss epsilon",
        ),
        "nothing of it is published",
    ),
}
