"""Checks of models' arguments: a UserError of one line says what was expected."""

from yt8m.errors import UserError


def check_sizes(num_classes, feature_sizes):
    """Raises UserError unless num_classes is a positive int and feature_sizes one or more of them; returns them as a tuple."""
    if not _is_positive_int(num_classes):
        raise UserError(f"num_classes={num_classes!r}: use the number of classes, at least 1.")
    if isinstance(feature_sizes, (str, bytes)) or not hasattr(feature_sizes, "__iter__"):
        raise UserError(f"feature_sizes={feature_sizes!r}: use a list of sizes, one a feature, such as (1024, 128).")
    feature_sizes = tuple(feature_sizes)
    if not feature_sizes or not all(_is_positive_int(size) for size in feature_sizes):
        raise UserError(f"feature_sizes={feature_sizes!r}: use one positive size a feature, such as (1024, 128).")
    return feature_sizes


def _is_positive_int(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def check_choice(name, value, choices):
    """Raises UserError unless the value is one of the choices."""
    if value not in choices:
        raise UserError(f"{name}={value!r}: use one of {', '.join(choices)}.")


def check_positive(model, *names):
    """Raises UserError unless each of these attributes of a model is at least 1."""
    for name in names:
        value = getattr(model, name)
        if value < 1:
            raise UserError(f"{name}={value}: use at least 1.")


def check_not_negative(model, *names):
    """Raises UserError unless each of these attributes of a model is at least 0."""
    for name in names:
        value = getattr(model, name)
        if value < 0:
            raise UserError(f"{name}={value}: use 0 or more.")


def check_share(model, *names):
    """Raises UserError unless each of these attributes of a model is in [0, 1)."""
    for name in names:
        value = getattr(model, name)
        if not 0 <= value < 1:
            raise UserError(f"{name}={value}: use a share of at least 0 and below 1.")
