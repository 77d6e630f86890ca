"""What a run is: frozen dataclasses, and model_flags.json."""

import dataclasses
import json
import os

from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.folders import folder_of_fold

MODEL_FILE, TRAIN_FILE = "model_flags.json", "train_flags.json"
STAGES = ("pretrain", "mstep", "finetune")  # in their order; checkpoints keep the place in it
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64")  # Keras's policies
DEFAULTS, MODEL_DEFAULTS, LOSS_DEFAULTS = 3, 2, 3  # below the latter two: EARLIER_DEFAULTS of models, of losses
VIDEO_PREDICTIONS = ("whole", "segments_mean")  # as in base_model.FrameModel
MAX_CLASSES, MAX_FRAMES, MAX_SIZE = 10_000_000, 1_000_000, 1_000_000
_ID = jsonfiles.Integer(0, 2**31)
_NAME = jsonfiles.Optional(jsonfiles.Text(r"[^\0\n]{0,1000}"), null=True)
BACKBONE = {  # what made the features, features.origin; {}: a run of before this was kept
    "name": _NAME,
    "options": jsonfiles.Optional(jsonfiles.Object()),
    "files": jsonfiles.Optional(jsonfiles.Object()),
    "whitening": _NAME,
    "flag": _NAME,
    "weights_dir": _NAME,
}
_FIELDS = {
    "model": jsonfiles.Text(),
    "feature_names": jsonfiles.Text(),
    "feature_sizes": jsonfiles.Text(r" *[0-9]{1,7} *(, *[0-9]{1,7} *){0,99}"),
    "hyperparameters": jsonfiles.Optional(jsonfiles.Object()),
    "frame_features": jsonfiles.Optional(jsonfiles.Boolean()),
    "num_classes": jsonfiles.Optional(jsonfiles.Integer(1, MAX_CLASSES)),
    "label_ids": jsonfiles.Optional(jsonfiles.ListOf(_ID), null=True),
    "segment_class_ids": jsonfiles.Optional(jsonfiles.ListOf(_ID), null=True),
    "id_feature": jsonfiles.Optional(jsonfiles.Text()),
    "max_frames": jsonfiles.Optional(jsonfiles.Integer(1, MAX_FRAMES)),
    "segment_expansion": jsonfiles.Optional(jsonfiles.Integer(0, MAX_FRAMES)),
    "video_prediction": jsonfiles.Optional(jsonfiles.Text("|".join(VIDEO_PREDICTIONS))),
    "label_loss": jsonfiles.Optional(jsonfiles.Text()),
    "loss_options": jsonfiles.Optional(jsonfiles.Object()),
    "loss_by_stage": jsonfiles.Optional(jsonfiles.Boolean()),
    "precision": jsonfiles.Optional(jsonfiles.Text("|".join(PRECISIONS))),
    "sample": jsonfiles.Optional(jsonfiles.Text(), null=True),
    "class_names": jsonfiles.Optional(jsonfiles.ListOf(jsonfiles.Text()), null=True),
    "backbone": jsonfiles.Optional(jsonfiles.Object(BACKBONE), null=True),
    "defaults": jsonfiles.Optional(jsonfiles.Integer(1, DEFAULTS)),
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """All that is needed to build a run's model again and to feed it; kept as model_flags.json in the train_dir.

    The keys that the starter code wrote there (model, feature_names, feature_sizes, frame_features, label_loss) keep
    their names and their meaning.

    Attributes:
        model: registered name.
        hyperparameters: arguments of the model's constructor beyond the sizes.
        feature_names: features of a record, in the order in which they are concatenated.
        feature_sizes: values a frame (or video) of each.
        frame_features: the run's training records are frame level.
        num_classes: label ids in the records are below this.
        label_ids: the classes that the model's columns stand for; None: column = label id, num_classes of them.
        segment_class_ids: the segment classes, where the training was told them; of segments they are what is scored.
        id_feature: name of the record's id in its context.
        max_frames: frames read of a video.
        segment_expansion: frames added before and after a 5-second segment.
        video_prediction: "whole": a video's frames at once; "segments_mean": the mean over its 5-second segments (paper 004).
        label_loss: registered name of the loss.
        loss_options: arguments of its constructor.
        loss_by_stage: nobody asked for this loss: it is what the last stage has chosen, and another stage chooses its own.
        precision: Keras dtype policy.
        sample: size of the built-in sample the run was trained on; None: on named data.
        class_names: of each label id, "" where it has none; as far as the last that has one. None: not known.
        backbone: what made the features that the run was trained on, as features.origin has it: a dict. None: it is not said
            beside the shards, as with YouTube-8M's own and the sample's; {}: the run is older than this field.
        defaults: which defaults the arguments have that `hyperparameters` and `loss_options` do not name: 1: those of before
            the models' EARLIER_DEFAULTS changed (a file without the field), 2: those of before the losses' changed, 3: those of
            since then.
    """

    model: str
    hyperparameters: dict = dataclasses.field(default_factory=dict)
    feature_names: tuple = ("rgb", "audio")
    feature_sizes: tuple = (1024, 128)
    frame_features: bool = True
    num_classes: int = 3862
    label_ids: tuple | None = None
    segment_class_ids: tuple | None = None
    id_feature: str = "id"
    max_frames: int = 300
    segment_expansion: int = 0
    video_prediction: str = "whole"
    label_loss: str = "CrossEntropyLoss"
    loss_options: dict = dataclasses.field(default_factory=dict)
    loss_by_stage: bool = False
    precision: str = "float32"
    sample: str | None = None
    class_names: tuple | None = None
    backbone: dict | None = None
    defaults: int = DEFAULTS

    @property
    def num_outputs(self):
        """Columns of the model's predictions."""
        return self.num_classes if self.label_ids is None else len(self.label_ids)

    @property
    def earlier_model(self):
        """Whether the model is of before its defaults changed (BaseModel.settled)."""
        return self.defaults < MODEL_DEFAULTS

    @property
    def earlier_loss(self):
        """Whether the loss is of before its defaults changed (losses.settled)."""
        return self.defaults < LOSS_DEFAULTS

    @property
    def segment_feature_names(self):
        """Frame-level names of the features, where a video-level model is applied to segments (mean_rgb -> rgb)."""
        return tuple(name.removeprefix("mean_") for name in self.feature_names)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One stage of training. Field names are those of the command line's flags.

    Attributes:
        num_epochs, max_steps: passes over the data and steps of the stage; it ends with whichever comes first.
        batch_size: rows a step and device: videos in pre-training, segments after it; see batch_unit.
        batch_unit: what batch_size counts where a row is a whole video with its segments: "segments", of which a step's videos
            have no more together, or "videos".
        learning_rate_decay, learning_rate_decay_examples: of the schedule "staircase".
        optimizer: name, as make_optimizer's.
        optimizer_epsilon: None: the optimizer's own.
        keep_optimizer: the optimizer goes on from an earlier stage or init_checkpoint, with its slots and its count of steps.
        schedule: "staircase", "triangular" or "cosine".
        warmup_fraction, final_learning_rate_fraction: of the latter two, as SlantedTriangular's.
        weight_decay: decoupled; None: the optimizer's own.
        ema_momentum: of the average of the weights; 0: none is kept.
        learning_rate_multipliers: {first parts of weights' paths: factor}; None: the model's own.
        clip: "variable" clips each variable's gradient to clip_gradient_norm as the starter does, "global" all together.
        context_checkpoint, segment_checkpoint: runs whose models are the encoders of a context model.
        default_loss: registered name of the label loss where none is asked for, or none that works on the stage's rows.
        segment_class_weight: weight of a segment class's term in the loss, the others weigh 1; in fine-tuning with
            unrated_as_negatives alone.
        unrated_as_negatives: fine-tuning: weight of the classes of a rated segment that nobody rated, as negatives; 0: none.
        save_steps, log_steps, summary_steps: steps between checkpoints, progress lines, pictures.
        keep_checkpoints: how many are kept, the newest.
        devices: how many devices to use; 0 means every GPU, or one CPU.
        folds, fold: every folds-th shard from the fold-th on is left out, and the checkpoint kept that is best on these; folds 0:
            neither.
        keep_best: without folds: the checkpoint is kept that is best on eval_data_pattern.
        best_metric: what best means: "loss", or of videos "map" or "gap", of segments "map" or "auc".
        pseudo_labels: folder of sidecars: the labels of the M-step, or, fine-tuning, of the segments blended in.
        pseudo_data_pattern, pseudo_share: the shards of these, and their share of each batch.
        teacher_scores, distillation_weight: folders of score stores, and the weight a of their soft labels in the loss.
        start_time_weight: of the start-time loss of attention models; 0: none.
        class_balanced_sampling: pre-training: b of readers.rows.chances; 0: each video comes once an epoch.
        augmentation: {name: value} of training.augmentation.Augmentation.
        callbacks: texts PATH or PATH(name=value,...), as training.callbacks has them.
    """

    train_dir: str
    stage: str
    data_pattern: str
    batch_size: int
    base_learning_rate: float
    learning_rate_decay: float
    learning_rate_decay_examples: float
    num_epochs: int | None = None
    max_steps: int | None = None
    batch_unit: str = "videos"
    optimizer: str = "AdamOptimizer"
    optimizer_epsilon: float | None = None
    keep_optimizer: bool = False
    schedule: str = "staircase"
    warmup_fraction: float = 0.25
    final_learning_rate_fraction: float = 0.01
    weight_decay: float | None = None
    ema_momentum: float = 0.0
    learning_rate_multipliers: dict | None = None
    clip_gradient_norm: float = 1.0
    clip: str = "variable"
    regularization_penalty: float = 1.0
    default_loss: str = "CrossEntropyLoss"
    segment_class_weight: float = 1.0
    unrated_as_negatives: float = 0.0
    segment_label_ids: tuple | None = None
    only_segment_class_videos: bool = False
    eval_data_pattern: str = ""
    init_checkpoint: str = ""
    context_checkpoint: str = ""
    segment_checkpoint: str = ""
    start_new_model: bool = False
    save_steps: int = 500
    keep_checkpoints: int = 3
    log_steps: int = 10
    seed: int = 1
    num_readers: int = 2
    devices: int = 0
    xla: str = "auto"
    folds: int = 0
    fold: int = 0
    keep_best: bool = False
    best_metric: str = "map"
    pseudo_labels: str = ""
    pseudo_data_pattern: str = ""
    pseudo_share: float = 0.5
    teacher_scores: tuple = ()
    distillation_weight: float = 0.5
    start_time_weight: float = 0.0
    class_balanced_sampling: float = 0.0
    augmentation: dict = dataclasses.field(default_factory=dict)
    callbacks: tuple = ()


def write_model_config(train_dir, config):
    """Writes model_flags.json: the starter's five keys as it wrote them (comma lists), the rest beside them."""
    write_text(os.path.join(train_dir, MODEL_FILE), _text(config))


def check_model_config(config):
    """Refuses a ModelConfig that could not be read back.

    Raises:
        UserError: names the field, which is a flag.
    """
    try:
        jsonfiles.parse(_text(config), _FIELDS)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"--{error}" if "=" in str(error) else f"--hyperparameters, --loss_options: {error}.") from error


def _text(config):
    values = dataclasses.asdict(config)
    values["feature_names"] = ",".join(config.feature_names)
    values["feature_sizes"] = ",".join(map(str, config.feature_sizes))
    return json.dumps(values, indent=1) + "\n"


def read_model_config(train_dir):
    """Reads model_flags.json.

    Raises:
        UserError: there is none, or it is not one of ours.
    """
    path = os.path.join(train_dir, MODEL_FILE)
    try:
        values = jsonfiles.read(path, None, "Copy it there again, or name the --train_dir of a run of train.py")
    except FileNotFoundError:
        first = folder_of_fold(train_dir, 0)
        if os.path.exists(os.path.join(first, MODEL_FILE)):
            raise UserError(f"--train_dir={train_dir} has a model for each fold. Name one of them, such as {first}.") from None
        raise UserError(f"--train_dir={train_dir}: no {MODEL_FILE} there. Name the --train_dir of a run of train.py.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error}). Name the --train_dir of a run of train.py.") from error
    try:
        jsonfiles.check(values, _FIELDS)
        values["feature_names"] = tuple(values["feature_names"].split(","))
        values["feature_sizes"] = tuple(int(size) for size in values["feature_sizes"].split(","))
        for name in ("label_ids", "segment_class_ids", "class_names"):
            values[name] = None if values.get(name) is None else tuple(values[name])
        return ModelConfig(**{"defaults": 1, "backbone": {}, **values})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not written by this version of train.py ({error}). Train again, or mend the file.") from error
