"""The mean of several checkpoints, as `yt8m average` makes it."""

import os

from yt8m import flags
from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks, sources
from yt8m.stages import averaging
from yt8m.training import restore


@errors_as_user_errors()
def average_checkpoints(**given):
    """Makes a run whose weights are the plain mean of several checkpoints', its batch norms' averages estimated anew.

    Args:
        **given: flags of `yt8m average` by name, e.g. train_dir=..., output_dir=...

    Returns:
        training.restore.Trained of the new run.

    Raises:
        UserError: an unknown flag, a bad value, too few checkpoints or ones of other models, no data, or a folder that has a run.
    """
    check_backend("training")
    given = flags.read(flags.AVERAGE, given)
    checks.positive(given, "num_checkpoints", "batch_size")
    if not given.get("output_dir"):
        raise UserError("--output_dir is missing. Name a folder for the averaged model.")
    output = os.path.expanduser(given["output_dir"])
    averaging.average(
        sources.folder_of_run(given),
        output,
        given.get("train_data_pattern", ""),
        [os.path.expanduser(path) for path in given.get("checkpoints", ())],
        given.get("num_checkpoints"),
        given.get("batch_size"),
    )
    return restore.newest(output)
