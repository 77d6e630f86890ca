"""UserErrors that are raised while batches are read: which record they are about, and how they come through TensorFlow.

Of an exception in Python code that tf.data calls, TensorFlow passes on the text only, as an error of its own, through threads,
queues and compiled steps. So what is raised there has a key in its text, and the UserError itself is kept under that key.
"""

import contextlib
import os
import threading
import uuid

from yt8m.errors import UserError

_MOST_KEPT = 64  # an error is asked for when it arrives, or never; what is kept holds on to the batch that was being read
_kept, _lock = {}, threading.Lock()  # key -> UserError, the newest last


@contextlib.contextmanager
def keeping_user_errors():
    """Around Python code that TensorFlow calls: a UserError is kept, and leaves with its key in its text."""
    try:
        yield
    except UserError as error:
        key = f"error {uuid.uuid4().hex}"
        with _lock:
            _kept[key] = error
            while len(_kept) > _MOST_KEPT:
                del _kept[next(iter(_kept))]
        raise UserError(f"{error} [{key}]") from error


def user_error_from(error):
    """The UserError that an exception is, or that it was caused by, through TensorFlow or not.

    Args:
        error: an exception of this process.

    Returns:
        The UserError as it was raised; None where there is none.
    """
    while error is not None:
        text = str(error)
        with _lock:
            kept = next((user_error for key, user_error in _kept.items() if key in text), None)
        if kept is not None:
            return kept
        if isinstance(error, UserError):
            return error
        error = error.__cause__
    return None


@contextlib.contextmanager
def errors_as_user_errors():
    """Within it, an error of TensorFlow's that a UserError caused (while a batch was read) becomes that UserError again."""
    try:
        yield
    except Exception as error:
        user_error = user_error_from(error)
        if user_error is None or user_error is error:
            raise
        raise user_error from None


@contextlib.contextmanager
def naming_record(path, number):
    """Puts the shard and the record's number in front of a UserError's line."""
    try:
        yield
    except UserError as error:
        raise UserError(f"shard {os.path.basename(path)}, record {number}: {error}") from error
