"""What a command starts from when it is not told: folders, the model of an earlier run, the built-in sample, the classes."""

import os

from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.files import write_text
from yt8m.folders import folder_of_fold, named_folders, state_folder
from yt8m.readers import labels
from yt8m.sample.sample import ensure_sample
from yt8m.training import checkpoints, hub

LATEST = "latest"  # the note in the state folder


def folder_of_training(given):
    """The folder that a training works in: --train_dir, else <model> in the state folder, else, fine-tuning, the latest run's.

    Raises:
        UserError: fine-tuning of an earlier run, and there is none, or a repository, which no training can write to.
    """
    if (given.get("train_dir") or "").startswith(hub.PREFIX):
        raise UserError(
            f"--train_dir={given['train_dir']}: a training writes to a folder of this machine. Name one, and start from the "
            f"repository by --init_checkpoint={given['train_dir']}."
        )
    if given.get("train_dir"):
        return os.path.expanduser(given["train_dir"])
    if given.get("model") or given.get("stage") != "finetune":
        return str(state_folder(given.get("model") or "LogisticModel"))
    return folder_of_run(given)


def folder_of_run(given):
    """The folder (or folders, with commas) of a trained model: --train_dir, else the latest run's without one.

    hf://user/name is a model of the Hugging Face hub (training/hub.py).

    Raises:
        UserError: no --train_dir and no run noted, or no such repository.
    """
    if given.get("train_dir"):
        folder = given["train_dir"]
        if hub.PREFIX not in folder:
            return os.path.expanduser(folder)
        return ",".join(hub.local_folder(part.strip(), "--train_dir") for part in folder.split(","))
    try:
        with open(state_folder(LATEST), encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError):
        raise UserError(
            "--train_dir is not given and there is no earlier run. Run `python train.py --model=MultiAttentionModel` "
            "first, or name a --train_dir."
        ) from None


def folders_of_runs(given):
    """The folders of the trained models that a command is given: those of folder_of_run, each, of --all_folds the folds'."""
    folders = []
    for folder in named_folders(folder_of_run(given)):
        own, of_folds = os.path.join(folder, configs.MODEL_FILE), []
        while not os.path.exists(own) and os.path.isdir(folder_of_fold(folder, len(of_folds))):
            of_folds.append(folder_of_fold(folder, len(of_folds)))
        folders += of_folds or [folder]
    return folders


def note_latest(folder):
    """Notes the run that the other commands mean when they get no --train_dir, once there is something of it."""
    if os.path.exists(os.path.join(folder, configs.MODEL_FILE)):
        write_text(state_folder(LATEST), os.path.abspath(folder) + "\n")


def earlier_model(given):
    """The ModelConfig that a training goes on from: of --init_checkpoint, else of its folder; None: it starts anew.

    Raises:
        UserError: --stage=finetune and nothing to fine-tune.
    """
    folder = folder_of_training(given)
    if given.get("init_checkpoint"):
        _, source = checkpoints.find(given["init_checkpoint"])
        return configs.read_model_config(source)
    if given.get("stage") == "em":
        return None
    anew = given.get("start_new_model")
    if not anew and os.path.exists(os.path.join(folder, configs.MODEL_FILE)):
        return configs.read_model_config(folder)
    encoders = given.get("context_checkpoint") and given.get("segment_checkpoint")
    if given.get("stage") == "finetune" and not anew and not encoders:
        raise UserError(
            f"--stage=finetune: --train_dir={folder} holds no pre-trained model. Pre-train first, or give --init_checkpoint."
        )
    return None


def sample_to_train_on(given, base):
    """The built-in Sample when no data is named, else None.

    Raises:
        UserError: no data is named, and `base`, the ModelConfig that the run goes on from, was trained on named data.
    """
    if given.get("train_data_pattern"):
        return None
    if base and not base.sample:
        raise UserError("--train_data_pattern is not given, and the model that this run goes on from was trained on named data.")
    print("No --train_data_pattern: using the built-in sample, made-up videos in the native formats.", flush=True)
    return ensure_sample(base.sample if base else "small")


def named_segment_label_ids(given, base):
    """Ids of the segment classes where the user names them: of --segment_label_ids_file, else those that `base` was trained with.

    Args:
        given: {flag: value}.
        base: ModelConfig that the run goes on from, or None.
    """
    if given.get("segment_label_ids_file"):
        return labels.read_label_ids(given["segment_label_ids_file"])
    return base.segment_class_ids if base else None


def class_names(given, base, sample):
    """Names of the classes by label id, a tuple: of --vocabulary_file, else those of `base`, else the sample's; None: not known.

    Args:
        given: {flag: value}.
        base: ModelConfig that the run goes on from, or None.
        sample: the built-in Sample, or None with named data.

    Raises:
        UserError: the file is no vocabulary, or has an id that no class can have.
    """
    path = os.path.expanduser(given["vocabulary_file"]) if given.get("vocabulary_file") else None
    if not path and base and base.class_names:
        return base.class_names
    if not path and not sample:
        return None
    path = path or str(sample.vocabulary_file)
    names = labels.read_vocabulary(path)
    wrong = [label for label in names if not 0 <= label < configs.MAX_CLASSES]
    if wrong or not names:
        what = f"Index {wrong[0]}" if wrong else "no class"
        raise UserError(f"--vocabulary_file={path}: {what}: expected whole numbers from 0 up, and a Name each. Correct the file.")
    return tuple(names.get(label, "") for label in range(max(names) + 1))


def backbone(given, base):
    """What made the features of the data, as features.origin has it: what is said beside the shards, else base's, or None.

    Args:
        given: {flag: value}.
        base: ModelConfig that the run goes on from, or None.

    Raises:
        UserError: two patterns name features that were made otherwise, or these are not those that `base` was trained on.
    """
    data = origin.of_shards(*(given.get(f"{name}_data_pattern") for name in ("train", "eval", "rated", "pseudo")))
    if base:
        where = f"--train_data_pattern={given.get('train_data_pattern')}"
        origin.check(base.backbone, data, where, "the model that this run goes on from was trained on")
    return data or (base.backbone if base else None)


def segment_label_ids(given, sample, base=None):
    """Ids of the segment classes where a training needs them, else None.

    They are those that are named, else the sample's, else YouTube-8M's where it has its number of classes, else all classes.
    """
    if not given.get("segment_classes_only") and given.get("segment_class_weight", 1) == 1:
        return None
    named = named_segment_label_ids(given, base)
    if named or sample:
        return named or labels.read_label_ids(sample.segment_label_ids_file)
    count = num_classes(given, base, None, class_names(given, base, None))
    return labels.default_segment_label_ids(count) or tuple(range(count))


def num_classes(given, base, sample, names):
    """--num_classes, else that of `base` or the sample, else as many as there are names of classes, else YouTube-8M's.

    Args:
        given, base, sample: as class_names'.
        names: of the classes, as class_names returns them.
    """
    if "num_classes" in given or base or sample:
        return given.get("num_classes") or (base or sample).num_classes
    return len(names) if names else labels.NUM_CLASSES


def expected(given):
    """{ModelConfig field: value} that was given and that the trained model must have (starter commands repeat them)."""
    names, sizes = names_and_sizes(given)
    named = {
        "model": given.get("model"),
        "feature_names": names,
        "feature_sizes": sizes,
        "frame_features": given.get("frame_features"),
        "id_feature": given.get("id_feature"),
    }
    return {field: value for field, value in named.items() if value is not None}


def names_and_sizes(given):
    """--feature_names and --feature_sizes as tuples, None where they are not given.

    Raises:
        UserError: as many names as sizes are not given.
    """
    names, sizes = given.get("feature_names"), given.get("feature_sizes")
    if names and sizes and len(names) != len(sizes):
        raise UserError(f"--feature_names has {len(names)} names, --feature_sizes {len(sizes)} sizes. Give one size a name.")
    return names, sizes


def data_pattern(given, flag, default):
    """The shards that a flag names, else the default.

    Raises:
        UserError: neither.
    """
    pattern = given.get(flag) or default
    if not pattern:
        raise UserError(
            f"--{flag} is not given, and the model was not trained on the built-in sample. Name shards, e.g. "
            f"--{flag}='/data/validate*.tfrecord'."
        )
    return pattern
