"""An optimizer's slots and its count of steps, as a checkpoint has them."""

import tensorflow as tf

from yt8m.errors import UserError
from yt8m.training.averages import averages
from yt8m.training.keras_files import is_keras_file
from yt8m.training.whole import NAME, VALUE


def by_path(variables):
    """{path: tf.Variable}; the path names a variable the same way in every process."""
    named = {variable.path: variable.value for variable in variables}
    if len(named) != len(variables):
        raise ValueError("two variables have one path: give the model's layers names of their own")
    return named


def slots(optimizer):
    """{path: tf.Variable} of an optimizer's state, but for the averages of weights."""
    kept = {variable.path for variable in averages(optimizer).values()}
    return by_path([variable for variable in optimizer.variables if variable.path not in kept])


def check_optimizer(prefix, optimizer, name):
    """Refuses a checkpoint that has not the state of this optimizer. The optimizer's variables may be changed.

    Args:
        prefix: of the checkpoint.
        optimizer: built Keras optimizer.
        name: what --optimizer calls it.

    Raises:
        UserError: it has none, or another one's.
    """
    names = () if is_keras_file(prefix) else tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    stored = [name for name in names if name.startswith("optimizer/") and name.endswith(VALUE)]
    if not stored:
        raise UserError(
            f"--keep_optimizer: {prefix} has weights alone, as what is kept of a stage has. Name one of its run's {NAME}-<step> "
            "by --init_checkpoint, or leave it out."
        )
    state = slots(optimizer)
    try:
        tf.train.Checkpoint(optimizer=state).read(prefix).assert_existing_objects_matched().expect_partial()
        fits = len(stored) == len(state)
    except (AssertionError, ValueError):
        fits = False
    if not fits:
        raise UserError(
            f"--keep_optimizer: {prefix} has the state of another optimizer than --optimizer={name}, or of another --precision. "
            "Give those that it was trained with, or leave it out."
        )


def take_optimizer(prefix, model, optimizer):
    """Takes an optimizer's slots and its count of steps from a checkpoint that check_optimizer has seen.

    Args:
        prefix: of the checkpoint.
        model: built Keras model with the weights that the stage starts from.
        optimizer: its built optimizer.
    """
    tf.train.Checkpoint(optimizer=slots(optimizer)).read(prefix).expect_partial()
    weights = {variable.path: variable for variable in model.trainable_variables}
    for path, average in averages(optimizer).items():
        average.assign(weights[path])  # Keras begins an average with the first of all steps, which is past
