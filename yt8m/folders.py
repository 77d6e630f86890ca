"""The user's folders outside of those that he names, one for what can be made again, one for runs; and how folders are called."""

import os
from pathlib import Path


def cache_folder(name):
    """The user's folder for what can be made again: $YT8M_CACHE, else $XDG_CACHE_HOME/yt8m, else ~/.cache/yt8m; not created."""
    return _folder("YT8M_CACHE", "XDG_CACHE_HOME", ".cache") / name


def state_folder(name):
    """The user's folder for runs without --train_dir: $YT8M_STATE, else $XDG_STATE_HOME/yt8m, else ~/.local/state/yt8m.

    It belongs to the user alone, other than a name in /tmp that anybody may have taken. It is not created.
    """
    return _folder("YT8M_STATE", "XDG_STATE_HOME", os.path.join(".local", "state")) / name


def _folder(variable, base, below_home):
    """$variable, else yt8m in $base, else yt8m in a folder below the home folder. A base that is not absolute does not count."""
    if os.environ.get(variable):
        return Path(os.environ[variable]).expanduser().absolute()
    named = os.environ.get(base, "")
    return (Path(named) if os.path.isabs(named) else Path.home() / below_home) / "yt8m"


def named_folders(text):
    """The folders that a text names, with commas between them; a folder whose own name has the commas is that one folder."""
    whole = os.path.expanduser(text.strip())
    return [whole] if os.path.isdir(whole) else [os.path.expanduser(part.strip()) for part in text.split(",")]


def folder_of_fold(folder, fold):
    """Where --all_folds trains the model of a fold."""
    return os.path.join(os.path.expanduser(folder), f"fold_{fold}")


def short_names(paths):
    """Names of folders or files for a table: the last part of their paths where that tells them apart."""
    short = [os.path.basename(os.path.normpath(path)) for path in paths]
    return short if len(set(short)) == len(short) else list(paths)
