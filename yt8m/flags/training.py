"""Flags of a stage of training."""

from yt8m.config import STAGES
from yt8m.flags import values
from yt8m.flags.table import Flag, Group

TRAINING = Group(
    "Training",
    (
        Flag("recipe", str, "Flags of a published recipe, configs/<recipe>.flags; an unknown one lists all."),
        Flag(
            "stage",
            str,
            "pretrain: whole videos. finetune: rated segments, from --init_checkpoint or the train_dir's pre-trained model. "
            "Default: finetune with --segment_labels, else pretrain; both, one after the other, on the built-in sample.",
            (*STAGES, "em"),
        ),
        Flag("init_checkpoint", str, "Start from these weights, in the first stage: a train_dir or a checkpoint in one."),
        *(
            Flag(
                f"{part}_checkpoint",
                str,
                f"Context models: the {part} encoder as trained in this train_dir. Default: trained here.",
            )
            for part in ("context", "segment")
        ),
        Flag("start_new_model", bool, "Throw away what the train_dir holds and start anew."),
        Flag("max_steps", int, "Stop after this many steps of the stage. Default: by recipe."),
        Flag("num_epochs", int, "Stop after this many passes over the data. Default: by recipe."),
        Flag(
            "batch_unit",
            str,
            "What --batch_size counts where a model takes whole videos with their segments (context and sequence models, "
            "--start_time_weight). segments: whole videos with no more segments together. videos: so many videos. Default: by "
            "recipe; videos for the models of paper 004, else segments.",
            ("segments", "videos"),
        ),
        Flag(
            "label_loss",
            str,
            "Loss; an unknown name lists the known ones. Default: by recipe and stage, CrossEntropyLoss; in pre-training for the "
            "models of paper 002 MaskedCrossEntropyLoss.",
        ),
        Flag("loss_options", values.assignments, "name=value,... for the loss's constructor."),
        Flag("regularization_penalty", float, "Weight of the regularization loss; the label loss weighs 1. Default: 1."),
        Flag(
            "segment_class_weight",
            float,
            "Weight of the segment classes in the loss of pre-training, and of fine-tuning with --unrated_as_negatives; others "
            "weigh 1. Default: 1.",
        ),
        Flag(
            "unrated_as_negatives",
            float,
            "finetune: classes of a rated segment that nobody rated are negatives of this weight, rated ones weigh 1 (papers 000 "
            "and 001, the authors' code: 1). 0: they do not count. Default: 0.",
        ),
        Flag(
            "class_balanced_sampling",
            float,
            "pretrain: b, 0 to 1: an epoch draws as many videos as there are, each with a chance in proportion to the mean of "
            "n^-b over its labels, n being how many videos have a label. 1: rare classes come as often as common ones; 0: every "
            "video comes once. Default: 0.",
        ),
        Flag("segment_classes_only", bool, "Keep only videos with a segment class, and predict only those classes."),
        Flag(
            "vocabulary_file",
            str,
            "CSV with Index and Name of the classes, which are kept with the run and name its classes from then on; where "
            "--num_classes is not given, it says how many there are. Default: the sample's, if that is trained on.",
        ),
        Flag("seed", int, "Seed of weights, order and dropout: the same seed gives the same run. Default: 1."),
        Flag(
            "devices",
            int,
            "Devices to train on; 0: every GPU, or one CPU. TF_CONFIG names several hosts. Default: 0.",
        ),
        Flag("num_gpu", int, "Another name of --devices, as forks of the starter code have it.", same_as="devices"),
        Flag(
            "xla",
            str,
            "Compile the step with XLA. auto: on a GPU, but for recurrent and whole-video models. Default: auto.",
            ("auto", "on", "off"),
        ),
        Flag(
            "callbacks",
            values.entries,
            "Keras callbacks by the paths that they are imported by, arguments in brackets, e.g. "
            "'keras.callbacks.CSVLogger(filename={train_dir}/{stage}.csv,append=True)'. An epoch is the stretch between two "
            "checkpoints.",
        ),
        Flag("log_device_placement", bool, "Log the device of every operation."),
    ),
)
