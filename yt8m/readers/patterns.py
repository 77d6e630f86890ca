"""The files that a pattern names, and those of them that a spec reads."""

import tensorflow as tf

from yt8m.errors import UserError


def match_files(pattern, flag="data_pattern"):
    """The files that a glob, or a comma-separated list of globs, names: sorted, each once.

    Raises:
        UserError: there is none.
    """
    files, comma = set(), " A comma separates patterns; for one in a name, write a question mark." if "," in pattern else ""
    for part in filter(None, map(str.strip, pattern.split(","))):
        try:
            matches = tf.io.gfile.glob(part)
        except tf.errors.OpError:
            matches = []
        if not matches:
            raise UserError(f"no file matches --{flag}='{part}'. Give a path, or a glob such as 'folder/train*.tfrecord'.{comma}")
        files.update(matches)
    if not files:
        raise UserError(f"no file matches --{flag}='{pattern}'. Give a path, or a glob such as 'folder/train*.tfrecord'.")
    return sorted(files)


def shards(spec):
    """The files that a spec reads: those of its pattern, or of its fold.

    Raises:
        UserError: no file, or fewer than two for each part of a fold.
    """
    files = match_files(spec.pattern, spec.pattern_flag)
    if spec.fold is None:
        return files
    index, count = spec.fold
    if not 0 <= index < count or count < 2:
        raise UserError(f"--folds={count} --fold={index}: expected 2 folds or more, and a fold from 0 to one below their number.")
    if len(files) < count:
        raise UserError(
            f"--folds={count}: --{spec.pattern_flag}='{spec.pattern}' has {len(files)} shards, and folds are made of whole "
            f"shards. Use --folds={len(files)} or fewer."
        )
    return [path for number, path in enumerate(files) if (number % count == index) == spec.held_out]
