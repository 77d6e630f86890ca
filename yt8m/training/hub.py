"""Models of the Hugging Face hub, hf://user/name as Keras names them, as folders of this machine."""

import os

import keras

from yt8m.errors import UserError

PREFIX = "hf://"


def local_folder(path, flag):
    """The folder that a repository is downloaded to, by huggingface_hub and into its cache; of any other path, with ~ expanded.

    Args:
        path: as a user names a train_dir, or hf://user/name.
        flag: what messages call it, with its dashes.

    Raises:
        UserError: huggingface_hub is not installed, or there is no such repository.
    """
    if not path.startswith(PREFIX):
        return os.path.expanduser(path)
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            f"{flag}={path}: huggingface_hub is not installed. pip install huggingface_hub, or name a folder with the model."
        ) from error
    options = {"library_name": "keras", "library_version": keras.__version__}
    try:
        return huggingface_hub.snapshot_download(repo_id=path.removeprefix(PREFIX), **options)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{flag}={path}: cannot be downloaded ({reason}). Check the name and the connection.") from error
