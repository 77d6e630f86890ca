"""What happens to each field of a stage that has changed since the stage was started, and why: one table."""

import dataclasses

# What happens to a field that differs from the one the stage was started with.
SAME = "refused"
FILES = "refused unless it names files of the same names and sizes"
FOLDER = "refused unless it is the same folder, which may have moved with the run"
ROWS = "taken if the rows of a step stay as many"
COMING = "taken from the next step on; refused where no step is left"
ANY = "taken; it changes no weights"
NOT_KEPT = "not compared"


@dataclasses.dataclass(frozen=True)
class Rule:
    """What happens to a field that differs, why, and the flag that sets it where that has another name.

    Attributes:
        change, why, flag: these.
        fixed: values that a stage neither begins with later nor leaves, whatever `change` says of others.
    """

    change: str
    why: str
    flag: str | None = None
    fixed: tuple = ()


_RATE = Rule(COMING, "the learning rate is a function of the step alone")
_STEP = Rule(COMING, "each step applies it anew and nothing of it is kept")
_LOSS = Rule(SAME, "the stage would minimise two different losses")
_DATA = Rule(SAME, "the place in the data would be another one")
_MODEL = Rule(SAME, "it would be another model")
_INPUT = Rule(SAME, "the model would see other inputs")
_SPEED = Rule(ANY, "it is about speed")
RULES = {
    "train_dir": Rule(NOT_KEPT, "a run may move"),
    "stage": Rule(NOT_KEPT, "each stage is noted by itself"),
    "start_new_model": Rule(NOT_KEPT, "it empties the folder"),
    "data_pattern": Rule(FILES, "the place in the data would be another one", "train_data_pattern"),
    "batch_size": Rule(ROWS, "the place in the data is counted in batches"),
    "batch_unit": _DATA,
    "devices": Rule(ROWS, "the place in the data is counted in batches of all devices"),
    "base_learning_rate": _RATE,
    "learning_rate_decay": _RATE,
    "learning_rate_decay_examples": _RATE,
    "schedule": _RATE,
    "warmup_fraction": _RATE,
    "final_learning_rate_fraction": _RATE,
    "learning_rate_multipliers": _RATE,
    "num_epochs": Rule(ANY, "the end of a stage may move; a schedule that ends with it moves, too"),
    "max_steps": Rule(ANY, "the end of a stage may move; a schedule that ends with it moves, too"),
    "optimizer": Rule(SAME, "its slots are of no use to another"),
    "optimizer_epsilon": _STEP,
    "keep_optimizer": Rule(SAME, "a stage that goes on has its optimizer already"),
    "weight_decay": _STEP,
    "clip_gradient_norm": _STEP,
    "clip": _STEP,
    "regularization_penalty": _STEP,
    "ema_momentum": Rule(SAME, "the average holds all steps so far"),
    "default_loss": Rule(NOT_KEPT, "the loss itself is compared"),
    "segment_class_weight": _LOSS,
    "unrated_as_negatives": _LOSS,
    "segment_label_ids": Rule(SAME, "the stage would minimise two different losses", "segment_label_ids_file"),
    "only_segment_class_videos": Rule(SAME, "the place in the data would be another one", "segment_classes_only"),
    "eval_data_pattern": Rule(ANY, "the evaluation beside the training changes nothing in it"),
    "init_checkpoint": Rule(FOLDER, "a stage that goes on does not start from it again"),
    "context_checkpoint": Rule(FOLDER, "a stage that goes on does not start from it again"),
    "segment_checkpoint": Rule(FOLDER, "a stage that goes on does not start from it again"),
    "save_steps": Rule(ANY, "checkpoints change nothing in a training"),
    "keep_checkpoints": Rule(ANY, "checkpoints change nothing in a training"),
    "log_steps": Rule(ANY, "progress lines change nothing in a training"),
    "seed": Rule(SAME, "the order of the data and the dropout would be others"),
    "num_readers": _SPEED,
    "xla": Rule(COMING, "it may change the last bits of the steps to come"),
    "folds": Rule(SAME, "shards that were learned would be held out"),
    "fold": Rule(SAME, "shards that were learned would be held out"),
    "keep_best": Rule(SAME, "nobody has judged the checkpoints so far, or somebody has"),
    "best_metric": Rule(SAME, "the best so far was judged by the other one"),
    "pseudo_labels": Rule(FOLDER, "the stage would learn two sets of labels"),
    "pseudo_data_pattern": Rule(FILES, "the place in the data would be another one"),
    "pseudo_share": _DATA,
    "teacher_scores": Rule(FOLDER, "the stage would learn from two sets of teachers"),
    "distillation_weight": _LOSS,
    "start_time_weight": _LOSS,
    "class_balanced_sampling": _DATA,
    "augmentation": Rule(SAME, "the random numbers of the steps to come would be others", "augment_..."),
    "callbacks": Rule(COMING, "a callback sees the steps to come, and begins anew with each start of a run"),
    # of ModelConfig
    "model": _MODEL,
    "hyperparameters": _MODEL,
    "feature_names": _MODEL,
    "feature_sizes": _MODEL,
    "num_classes": _MODEL,
    "label_ids": Rule(SAME, "it would be another model", "segment_classes_only"),
    "segment_class_ids": Rule(ANY, "they say what is scored, and change nothing in the training", "segment_label_ids_file"),
    "frame_features": _INPUT,
    "id_feature": Rule(ANY, "it names the videos and changes nothing in the training"),
    "max_frames": _INPUT,
    "segment_expansion": _INPUT,
    "video_prediction": _INPUT,
    "label_loss": _LOSS,
    "loss_options": _LOSS,
    "loss_by_stage": Rule(NOT_KEPT, "the loss itself is compared"),
    "precision": Rule(
        COMING, "weights are float32 under any, but the optimizer of mixed_float16 has a loss scale", fixed=("mixed_float16",)
    ),
    "sample": Rule(NOT_KEPT, "the files are compared"),
    "class_names": Rule(ANY, "they name the classes and change nothing in the training", "vocabulary_file"),
    "backbone": Rule(NOT_KEPT, "another is refused when the flags are resolved"),
    "defaults": _MODEL,
}
