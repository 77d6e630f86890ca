"""Where features come from: with which backbone, weights and whitening they were made. A model is of use for its own kind alone.

An origin is a dict, what features.json beside the shards says: the backbone's fingerprint (`name`, `options`, `files`: {name:
sha256}), `whitening` (a text that tells it from others, or None), and, to make more such features, `flag` and `weights_dir` as
they were given.
None: shards without a features.json, YouTube-8M's for example. {}: a model of before runs kept it, of which nothing is known.
"""

import glob
import os

from yt8m import jsonfiles
from yt8m.config import BACKBONE
from yt8m.errors import UserError

MANIFEST, WHITENING = "features.json", "whitening.npz"
YOUTUBE_8M, ARRAYS = "yt8m", "arrays"  # names: of YouTube-8M's own backbone, and of arrays of which nothing more was said
_COMPARED = ("name", "options", "files", "whitening")


def of_folder(folder):
    """The origin of the features in a folder, or None.

    Raises:
        UserError: features.json is damaged.
    """
    path = os.path.join(folder, MANIFEST)
    fields = {
        "backbone": jsonfiles.Optional(jsonfiles.Object({**BACKBONE, "name": jsonfiles.Text(r"[^\0\n]{1,1000}")})),
        "flags": jsonfiles.Optional(jsonfiles.Object(dict.fromkeys(("backbone", "weights_dir"), BACKBONE["flag"]))),
    }
    values = jsonfiles.read(path, fields, "Make the features again", missing=None)
    if not values or not values.get("backbone"):
        return None
    backbone, flags = values["backbone"], values.get("flags", {})
    return {
        "name": backbone["name"],
        "options": backbone.get("options", {}),
        "files": backbone.get("files", {}),
        "whitening": _digests(values.get("whitening")),
        "flag": flags.get("backbone"),
        "weights_dir": flags.get("weights_dir"),
    }


def of_shards(*patterns):
    """The origin of all shards that these patterns name, or None where nothing is known of any.

    Args:
        patterns: globs, or comma-separated lists of them.

    Raises:
        UserError: of two folders the features differ.
    """
    seen, where = None, None
    for folder in folders_of(*patterns):
        origin = of_folder(folder)
        if origin and seen and not comparable(seen, origin):
            raise UserError(
                f"{where} has features of {shown(seen)}, {folder} of {shown(origin)}{_difference(seen, origin)}. "
                "They cannot be mixed: make them anew with one backbone."
            )
        if origin and not seen:
            seen, where = origin, folder
    return seen


def folders_of(*patterns):
    """The local folders with a features.json that patterns of shards name, each once."""
    parts = [part.strip() for pattern in patterns if pattern for part in pattern.split(",")]
    folders = [os.path.dirname(path) for part in parts for path in sorted(glob.glob(_manifest(part)))]
    return list(dict.fromkeys(folders))


def _manifest(pattern):
    return os.path.join(os.path.dirname(os.path.expanduser(pattern)), MANIFEST)


def check_scored(models, pattern, flag="input_data_pattern"):
    """Refuses shards whose features were made otherwise than those that models were trained on.

    Shards of which nothing is known are taken, and so are all for models of which nothing is known. A model that was trained on
    shards without a features.json counts as one of YouTube-8M's features.

    Args:
        models: (origin, what it is called) of each model.
        pattern: of the shards.
        flag: that gave the pattern.

    Raises:
        UserError: names both.
    """
    origin = of_shards(pattern)
    for trained, name in models if origin else ():
        check(trained, origin, f"--{flag}={pattern}", f"{name} was trained on")


def check(trained, origin, where, who):
    """Refuses features of one origin where those of another are asked for; either may be None or {}.

    Raises:
        UserError: "WHERE has features of ..., WHO ...".
    """
    if not comparable(trained, origin):
        known = shown(trained) if trained else "shards without a features.json, which are taken for YouTube-8M's own"
        raise UserError(
            f"{where} has features of {shown(origin)}, and {who} {known}{_difference(trained, origin)}. Make the features with "
            "the model's backbone and whitening, or train on these."
        )


def comparable(trained, origin):
    """Whether a model that was trained on features of one origin is of use for those of another."""
    if not origin or trained == {}:
        return True
    if not trained:
        return origin["name"] in (YOUTUBE_8M, ARRAYS)
    names = trained.get("name"), origin.get("name")
    if ARRAYS in names and names[0] != names[1]:
        return True
    if names == (YOUTUBE_8M, YOUTUBE_8M) and not (trained.get("files") and origin.get("files")):
        return True  # MediaPipe's, of which the files are not known
    return _compared(trained) == _compared(origin)


def shown(origin):
    """An origin for a message: name and options, and the beginnings of what its files and its whitening are told by."""
    options = "".join(f",{name}={value}" for name, value in (origin.get("options") or {}).items())
    files = [f"{name} {str(value)[:8]}" for name, value in (origin.get("files") or {}).items()]
    files += [f"whitening {origin['whitening'][:8]}"] if origin.get("whitening") else []
    return f"{origin.get('name')}{options}" + (f" ({', '.join(files)})" if files else "")


def _difference(first, second):
    """What differs where the names do not, for a message."""
    if not first or first.get("name") != second.get("name"):
        return ""
    ours, theirs = _compared(first), _compared(second)
    return f": their {' and '.join(name for name in _COMPARED if ours[name] != theirs[name])} differ"


def _compared(origin):
    return {name: origin.get(name) or None for name in _COMPARED}


def _digests(whitening):
    """The text of a whitening, or of several: {feature: digest}."""
    if isinstance(whitening, dict):
        return ",".join(f"{name}={digest}" for name, digest in sorted(whitening.items())) or None
    return str(whitening) if whitening else None
