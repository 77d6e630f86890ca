"""Whose ratings a run has learned: shards, noted when a stage starts, with those that the weights it starts from had learned.

A shard is known by its name and size, wherever it lies; a remote one by its name. Pseudo-labelled shards count as rated: a model
has made their labels.
"""

import functools
import operator
import os
from typing import NamedTuple

from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.readers.patterns import match_files
from yt8m.stages import record
from yt8m.stages import start as starts
from yt8m.training import checkpoints as ckpt
from yt8m.training import keras_files

RATED_STAGES = ("mstep", "finetune")
PATTERNS = ("data_pattern", "pseudo_data_pattern")
ENCODERS = ("context_checkpoint", "segment_checkpoint")
STARTS = ("init_checkpoint", *ENCODERS)


class Learned(NamedTuple):
    """What is known to have been learned.

    Attributes:
        files: frozenset of "name bytes" a file, of a remote one "name".
        whole: whether that is all; else something was learned of which nothing tells.
    """

    files: frozenset = frozenset()
    whole: bool = True

    def __or__(self, other):
        return Learned(self.files | other.files, self.whole and other.whole)

    def noted(self):
        """It in JSON's types."""
        return {"files": sorted(self.files), "whole": self.whole}


def of_stage(stage, start):
    """What a stage that begins, or goes on, will have learned at its end.

    Args:
        stage: TrainConfig.
        start: start.Start.

    Raises:
        UserError: a record is damaged.
    """
    noted = record.noted(stage.train_dir).get(stage.stage)
    if start.kind == starts.THIS_STAGE and noted:
        return _of_noted(stage.stage, noted, match_files(stage.data_pattern, "train_data_pattern"))
    fields = {name: getattr(stage, name) for name in (*PATTERNS, *STARTS, "folds", "fold")}
    before = Learned(whole=start.kind != starts.THIS_STAGE)
    if start.kind == starts.EARLIER_STAGE:
        fields["init_checkpoint"] = ""
        before = of_run(stage.train_dir, stage.stage)
        if not any(before) and any(fields[name] for name in ENCODERS):  # the earlier stage is these, joined
            before = Learned()
    return before | _of_fields(stage.stage, fields)


def of_run(train_dir, until=None, paths=()):
    """What the weights of a run have learned.

    Args:
        train_dir: its folder.
        until: stage before which the weights are; None: those of all its stages.
        paths: shards that may be those of a record that names others, which are gone.

    Raises:
        UserError: a record is damaged.
    """
    earlier = configs.STAGES[: configs.STAGES.index(until)] if until else configs.STAGES
    found = [_of_noted(name, values, paths) for name, values in record.noted(train_dir).items() if name in earlier]
    parts = [os.path.join(train_dir, part) for part in ("context", "segment")]
    found += [of_run(part) for part in parts if record.noted(part)]
    return functools.reduce(operator.or_, found) if found else Learned(whole=False)


def shards_of(train_dir, paths):
    """Those of some rated shards that a run has learned.

    Args:
        train_dir: folder of the run.
        paths: shards.

    Returns:
        (a set of the paths; whether that is all, or something was learned of which nothing tells).

    Raises:
        UserError: a record is damaged.
    """
    learned = of_run(train_dir, paths=paths)
    names = {file.rpartition(" ")[0] for file in learned.files}
    of_paths = {path: _file(path) for path in paths}
    alike = {path for path, file in of_paths.items() if {file, os.path.basename(path)} & learned.files or file in names}
    return alike, learned.whole


def say_of_judges(stage, learned):
    """Says which shards that a stage is judged by its weights have learned, or will have; their figures say too much.

    Args:
        stage: TrainConfig.
        learned: Learned of the stage, with what it starts from.
    """
    judges = {}
    if stage.eval_data_pattern:
        judges["--eval_data_pattern"] = match_files(stage.eval_data_pattern, "eval_data_pattern")
    if stage.folds:
        files = match_files(stage.data_pattern, "train_data_pattern")
        held_out = [path for number, path in enumerate(files) if number % stage.folds == stage.fold]
        judges[f"--folds={stage.folds} --fold={stage.fold}, held out"] = held_out
    for what, files in judges.items():
        known = [path for path in files if _file(path) in learned.files]
        if known:
            print(
                f"Note: of the {len(files)} shards of {what}, what is trained or what it starts from learns {len(known)}, such "
                f"as {os.path.basename(known[0])}: what is measured there says too much of it.",
                flush=True,
            )


def _of_noted(stage, values, paths=()):
    """Learned of what is noted of a stage; by an earlier version, of the files that it names, or of `paths` if they are these."""
    if "learned" in values:
        noted = values["learned"]
        return Learned(frozenset(noted["files"]), noted["whole"])
    return _of_fields(stage, values["fields"], values["files"], paths)


def _of_fields(stage, fields, facts=None, paths=()):
    """Learned of a stage with these fields: its own shards, and what the checkpoints that it starts from had learned.

    Args:
        stage: its name.
        fields: {name: value} of PATTERNS, STARTS, folds and fold; some may not be there.
        facts: {pattern's name: record.facts of its files}; None: the files are those that are there.
        paths: as of_run's.
    """
    found = Learned()
    for name in PATTERNS if stage in RATED_STAGES else ():
        if fields.get(name):
            found |= _of_pattern(fields[name], fields.get("folds", 0), fields.get("fold", 0), facts and facts.get(name), paths)
    for name in STARTS:
        if fields.get(name):
            found |= _of_checkpoint(fields[name])
    return found


def _of_pattern(pattern, folds, fold, facts, paths):
    """Learned of a pattern's files but those of a fold, if they are there and have these facts."""
    try:
        files = match_files(pattern, "train_data_pattern")
    except UserError:
        files = []
    if not files or (facts and record.facts(files) != facts):
        files = sorted(paths)
        if not facts or record.facts(files) != facts:
            return Learned(whole=False)
    return Learned(frozenset(_file(path) for number, path in enumerate(files) if not folds or number % folds != fold))


def _of_checkpoint(path):
    """What a checkpoint that a user named has learned: of its run's stages those up to its own."""
    try:
        prefix, folder = ckpt.find(path)
    except UserError:
        return Learned(whole=False)
    if os.path.basename(folder) in (ckpt.BEST, *configs.STAGES) and not record.noted(folder):
        folder = os.path.dirname(folder)  # weights that a run has kept
    if keras_files.is_keras_file(prefix):
        return of_run(folder)
    following = configs.STAGES[configs.STAGES.index(ckpt.position(prefix)[1]) + 1 :]
    return of_run(folder, following[0] if following else None)


def _file(path):
    """What a file is known by."""
    name = os.path.basename(path)
    return name if "://" in path else f"{name} {os.path.getsize(path)}"
