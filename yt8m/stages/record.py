"""What each stage of a run was made with, train_flags.json, and what may change when the same command is given again.

A stage that goes on must end as one that was never stopped. So what it was made with is written down when it starts, and a
field that differs later is refused, or taken and said where the steps to come can honour it exactly: rules.py.
"""

import dataclasses
import hashlib
import json
import os

from yt8m import config as configs
from yt8m import jsonfiles, losses
from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.readers.patterns import match_files
from yt8m.stages import start as starts
from yt8m.stages.rules import COMING, FILES, FOLDER, NOT_KEPT, RULES, SAME, Rule
from yt8m.training import checkpoints as ckpt

_SCHEMA = {
    "stages": jsonfiles.Object(
        {
            name: jsonfiles.Optional(
                jsonfiles.Object(
                    {
                        "train_dir": jsonfiles.Text(),
                        "rows_a_step": jsonfiles.Integer(1),
                        "fields": jsonfiles.Object(),
                        "files": jsonfiles.Object(),
                        "changes": jsonfiles.ListOf(jsonfiles.Object()),
                        "learned": jsonfiles.Optional(
                            jsonfiles.Object({"files": jsonfiles.ListOf(jsonfiles.Text()), "whole": jsonfiles.Boolean()})
                        ),
                    }
                )
            )
            for name in configs.STAGES
        }
    )
}

# What the fields of TrainConfig meant before there were any of that name.
_BEFORE = {
    field.name: field.default for field in dataclasses.fields(configs.TrainConfig) if field.default is not dataclasses.MISSING
}


def compare(stage, model_config, start, length):
    """Compares a stage with what it was started with, and says what it takes.

    Args:
        stage: TrainConfig.
        model_config: ModelConfig.
        start: start.Start.
        length: loop.Length.

    Returns:
        What is to be noted of the stage, for `write`.

    Raises:
        UserError: a field differs that may not, or train_flags.json is damaged.
    """
    ours = made_with(stage, model_config, length)
    theirs = noted(stage.train_dir).get(stage.stage) if start.kind == starts.THIS_STAGE else None
    if theirs is None:
        return ours
    theirs = {**theirs, "fields": {**_BEFORE, **theirs["fields"]}}
    done = ckpt.position(start.checkpoint)[2]
    finished = length.total_steps is not None and done >= length.total_steps
    changed = [name for name in ours["fields"] if name in theirs["fields"] and _differs(name, ours, theirs)]
    for name in changed:
        _refuse(stage, name, ours, theirs, done if finished else None)
    if ours["rows_a_step"] != theirs["rows_a_step"]:
        raise UserError(
            f"--batch_size={stage.batch_size}: {ours['rows_a_step']} rows a step on all devices, but stage {stage.stage} of "
            f" --train_dir={stage.train_dir} was started with {theirs['rows_a_step']} (the place in the data is counted in "
            "batches). Give a --batch_size and --devices with as many, --start_new_model, or another --train_dir."
        )
    if finished and changed:
        print(f"{stage.stage}: finished at step {done}; {_arrows(changed, ours, theirs)} changes nothing.", flush=True)
        return theirs
    if changed:
        print(f"{stage.stage}: {_arrows(changed, ours, theirs)} from step {done} on.", flush=True)
    before = {name: theirs["fields"][name] for name in changed}
    return {**ours, "changes": theirs["changes"] + ([{"step": done, "before": before}] if changed else [])}


def made_with(stage, model_config, length):
    """What is noted of a stage, in JSON's types."""
    fields = json.loads(json.dumps({**dataclasses.asdict(stage), **dataclasses.asdict(model_config)}))
    fields = {name: value for name, value in fields.items() if RULES[name].change != NOT_KEPT}
    for name, value in fields.items():
        if RULES[name].change == FOLDER:
            fields[name] = [_absolute(path) for path in value] if isinstance(value, list) else _absolute(value)
    files = {name: _files(value, name) for name, value in fields.items() if _rule(stage, name).change == FILES and value}
    folder = os.path.abspath(stage.train_dir)
    return {"train_dir": folder, "rows_a_step": length.batch_size, "fields": fields, "files": files, "changes": []}


def write(stage, values):
    """Notes what `compare` returned in train_flags.json, beside the other stages."""
    text = json.dumps({"stages": {**noted(stage.train_dir), stage.stage: values}}, indent=1)
    write_text(os.path.join(stage.train_dir, configs.TRAIN_FILE), text + "\n")


def noted(train_dir):
    """{stage: what was noted of it}; nothing in a folder of an earlier version.

    Raises:
        UserError: train_flags.json is damaged.
    """
    way_out = "Copy it there again, or delete it: then nothing tells whether flags have changed since"
    return jsonfiles.read(os.path.join(train_dir, configs.TRAIN_FILE), _SCHEMA, way_out, missing={"stages": {}})["stages"]


def _rule(stage, name):
    """The Rule of a field; shards that judge the checkpoints must stay the same."""
    if name == "eval_data_pattern" and stage.keep_best:
        return Rule(FILES, "the best so far was judged on others")
    return RULES[name]


def _differs(name, ours, theirs):
    """Whether a field differs from the one that was noted."""
    new, old = ours["fields"][name], theirs["fields"][name]
    if name in ours["files"] or name in theirs["files"]:
        return ours["files"].get(name) != theirs["files"].get(name)
    if name == "loss_options":
        new, old = map(_loss_options, (ours, theirs))
    if new == old:
        return False
    if RULES[name].change == FOLDER:
        pairs = list(zip(_listed(new), _listed(old)))
        return len(_listed(new)) != len(_listed(old)) or not all(_moved(*pair, ours, theirs) for pair in pairs)
    return True


def _loss_options(noted):
    """The loss's arguments with those that it has by default, of before they changed or of now."""
    fields = noted["fields"]
    name, options = fields.get("label_loss"), fields["loss_options"]
    return losses.settled(name, options, fields.get("defaults", 1) < configs.LOSS_DEFAULTS) if name else options


def _moved(new, old, ours, theirs):
    """Whether a folder is the noted one: by its path, by its place beside the run, or because the noted one is gone."""
    if not new or not old:
        return new == old
    beside = os.path.relpath(new, ours["train_dir"]) == os.path.relpath(old, theirs["train_dir"])
    gone = not os.path.exists(old) and not os.path.exists(old + ".index")
    return beside or gone or os.path.realpath(new) == os.path.realpath(old)


def _refuse(stage, name, ours, theirs, finished_at):
    """Raises UserError where a field that differs may not."""
    rule, new, old = _rule(stage, name), ours["fields"][name], theirs["fields"][name]
    flag, run = rule.flag or name, f"stage {stage.stage} of --train_dir={stage.train_dir}"
    if rule.change == FILES and new == old:
        raise UserError(
            f"--{flag}={new}: names {ours['files'][name]['number']} files, but not those that {run} was started with, "
            f"{theirs['files'][name]['number']} ({rule.why}). Name the same files, or give --start_new_model or another "
            "--train_dir."
        )
    if rule.change in (SAME, FILES, FOLDER) or new in rule.fixed or old in rule.fixed:
        raise UserError(
            f"--{flag}={_shown(new)}: {run} was started with {_shown(old)} ({rule.why}). Give that, --start_new_model, or "
            "another --train_dir."
        )
    if rule.change == COMING and finished_at is not None:
        raise UserError(
            f"--{flag}={_shown(new)}: {run} is finished at step {finished_at} with {_shown(old)}, and no step is left that could "
            f"use it. Give --max_steps above {finished_at}, --start_new_model, or another --train_dir."
        )


def _arrows(changed, ours, theirs):
    """What is taken, `--flag old -> new`, with commas."""
    arrows = (f"--{RULES[n].flag or n} {_shown(theirs['fields'][n])} -> {_shown(ours['fields'][n])}" for n in changed)
    return ", ".join(arrows)


def _shown(value):
    return "none" if value is None or value == "" else value if isinstance(value, str) else jsonfiles.shown(value)


def _listed(value):
    return value if isinstance(value, list) else [value]


def _absolute(path):
    return os.path.abspath(os.path.expanduser(path)) if path and "://" not in path else path


def _files(pattern, name):
    """What tells files of data from others, wherever they are: how many, and a hash of names and sizes (remote: names)."""
    return facts(match_files(pattern, RULES[name].flag or name))


def facts(paths):
    """How many files there are, and a hash of their names and sizes."""
    of_files = sorted((os.path.basename(path), None if "://" in path else os.path.getsize(path)) for path in paths)
    return {"number": len(paths), "sha256": hashlib.sha256(json.dumps(of_files).encode()).hexdigest()}
