"""Keras callbacks by the name that they are imported by, as --callbacks names them."""

import dataclasses
import inspect
import os
import pkgutil

import keras

from yt8m.errors import UserError
from yt8m.flags import values

_EXAMPLE = "--callbacks='keras.callbacks.CSVLogger(filename={train_dir}/{stage}.csv,append=True)'"


def check(entries):
    """Refuses what cannot be a callback, before anything is written.

    Args:
        entries: texts, PATH or PATH(name=value,...).

    Raises:
        UserError: a path that cannot be imported, something else than a callback, or arguments that it does not take.
    """
    for entry in entries:
        _callable(entry)


def build(stage):
    """The callbacks of a stage, new ones.

    In arguments that are texts, {train_dir} and {stage} stand for the stage's. For one of W&B's a W&B run begins where the
    process has none; WANDB_PROJECT, WANDB_MODE and W&B's other variables say which.

    Args:
        stage: TrainConfig; its `callbacks` are texts as check's.

    Returns:
        list of keras.callbacks.Callback.

    Raises:
        UserError: as check, or a callback cannot be made of these arguments.
    """
    return [_built(entry, stage) for entry in stage.callbacks]


def _built(entry, stage):
    make, arguments = _callable(entry)
    places = {"{train_dir}": stage.train_dir, "{stage}": stage.stage}
    arguments = {name: _placed(value, places) for name, value in arguments.items()}
    try:
        if entry.startswith("wandb."):
            _begin_wandb(stage)
        callback = make(**arguments)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"--callbacks={entry}: cannot be made ({reason[:300]}). Correct its arguments, or leave it out."
        ) from error
    if not isinstance(callback, keras.callbacks.Callback):
        raise UserError(f"--callbacks={entry}: gave {type(callback).__name__}, no keras.callbacks.Callback. Name one.")
    return callback


def _callable(entry):
    """(class, or function that makes a callback; its arguments) of PATH or PATH(name=value,...).

    Raises:
        UserError: as check.
    """
    path, bracket, rest = entry.strip().partition("(")
    if bracket and not rest.endswith(")"):
        raise UserError(f"--callbacks={entry}: must be PATH or PATH(name=value,...), e.g. {_EXAMPLE}.")
    arguments = values.assignments("callbacks", rest[:-1]) if bracket else {}
    make = _imported(entry, path.strip())
    is_callback = inspect.isclass(make) and issubclass(make, keras.callbacks.Callback)
    if not is_callback and (inspect.isclass(make) or not callable(make)):
        raise UserError(f"--callbacks={entry}: {path} is no keras.callbacks.Callback, nor a function that makes one. Name one.")
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        raise UserError(f"--callbacks={entry}: {error}. {path} takes {inspect.signature(make)}.") from error
    except ValueError:  # it does not say what it takes
        pass
    return make, arguments


def _imported(entry, path):
    """What is at a dotted path."""
    try:
        return pkgutil.resolve_name(path)
    except ModuleNotFoundError as error:
        raise UserError(f"--callbacks={entry}: {error}. Install what has it, or correct the path.") from error
    except Exception as error:  # whatever the import of somebody else's module raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"--callbacks={entry}: cannot be imported ({reason[:300]}). Name a callback by its path, e.g. {_EXAMPLE}."
        ) from error


def _placed(value, places):
    """An argument with the stage's own folder and name put in; numbers and lists as they are."""
    if isinstance(value, str):
        for place, text in places.items():
            value = value.replace(place, text)
    return value


def _begin_wandb(stage):
    """Begins a W&B run where the process has none."""
    import wandb

    if wandb.run is None:
        wandb.init(name=os.path.basename(os.path.abspath(stage.train_dir)), config=dataclasses.asdict(stage))
