"""Values out of range, refused by the name of their flag."""

from yt8m.errors import UserError


def positive(given, *names):
    """Refuses counts below 1 and rates that are not above 0.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        if name in given and given[name] <= 0:
            raise UserError(f"--{name}={given[name]}: must be above 0.")


def not_negative(given, *names):
    """Refuses values below 0.

    Raises:
        UserError: names the flag and its value.
    """
    for name in names:
        if name in given and given[name] < 0:
            raise UserError(f"--{name}={given[name]}: must not be below 0.")


def training(given):
    """Refuses values of training flags that are out of their range.

    Raises:
        UserError: names the flag and its value.
    """
    positive(
        given,
        "batch_size",
        "max_steps",
        "num_epochs",
        "base_learning_rate",
        "learning_rate_decay",
        "learning_rate_decay_examples",
        "save_steps",
        "export_model_steps",
        "keep_checkpoints",
        "log_steps",
        "num_readers",
        "em_iterations",
        "optimizer_epsilon",
    )
    not_negative(
        given,
        "devices",
        "clip_gradient_norm",
        "regularization_penalty",
        "segment_class_weight",
        "unrated_as_negatives",
        "weight_decay",
        "ema_momentum",
        "folds",
        "fold",
        "start_time_weight",
    )
    for name in ("warmup_fraction", "final_learning_rate_fraction", "distillation_weight", "class_balanced_sampling"):
        if not 0 <= given.get(name, 0) <= 1:
            raise UserError(f"--{name}={given[name]}: must be between 0 and 1.")
    for name in ("pseudo_share", "em_threshold"):
        if not 0 < given.get(name, 0.5) < 1:
            raise UserError(f"--{name}={given[name]}: must be between 0 and 1.")
    if given.get("ema_momentum", 0) >= 1:
        raise UserError(f"--ema_momentum={given['ema_momentum']}: must be below 1, e.g. 0.999.")
