"""What an EM process keeps in its train_dir beside its runs: em.json, results, the report, the model that stands for it."""

import dataclasses
import json
import os
import shutil

import tensorflow as tf
from rich.console import Console
from rich.table import Table

from yt8m import config as configs
from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.files import replacing_folder, write_text
from yt8m.training import checkpoints as ckpt

PLAN, REPORT, RESULT, AFTER_MSTEP = "em.json", "em_report.json", "result.json", "after_mstep.json"
_CANDIDATE = jsonfiles.Object({"model": jsonfiles.Object(), "stages": jsonfiles.ListOf(jsonfiles.Object())})
_PLAN_FIELDS = {"initial": _CANDIDATE, "candidates": jsonfiles.ListOf(_CANDIDATE)}
_RESULT_FIELDS = {
    "name": jsonfiles.Text(),
    "model": jsonfiles.Text(),
    "after_mstep": jsonfiles.Optional(jsonfiles.Number(), null=True),
    "map": jsonfiles.Number(),
    "auc": jsonfiles.Number(),
}
_LABELS_FIELDS = {
    "folder": jsonfiles.Text(),
    "num_labels": jsonfiles.Integer(0),
    "bytes": jsonfiles.Integer(0),
    "precision": jsonfiles.Optional(jsonfiles.Number(), null=True),
    "num_judged": jsonfiles.Integer(0),
}


def note_plan(plan):
    """Writes em.json, or compares with the one that is there.

    Args:
        plan: em.Plan.

    Raises:
        UserError: the train_dir holds another process, or a run that is none.
    """
    path, ours = os.path.join(plan.train_dir, PLAN), settings(plan)
    theirs = read_plan(plan.train_dir)
    if theirs is None:
        if ckpt.latest(plan.train_dir):
            raise UserError(f"--stage=em: --train_dir={plan.train_dir} holds a run of another stage. Name a fresh one.")
        write_text(path, json.dumps(ours, indent=1) + "\n")
        return
    theirs = without_folders(with_defaults(theirs))
    changed = [name for name in ours if ours[name] != theirs.get(name)]
    if changed:
        raise UserError(
            f"--train_dir={plan.train_dir}: holds an EM run with another {changed[0]}. Give the flags that it was started with, "
            "--start_new_model, or another --train_dir."
        )


def settings(plan):
    """What a process must go on with, as JSON has it: all of a plan but its folders and the number of its iterations."""
    values = json.loads(json.dumps(dataclasses.asdict(plan)))
    del values["train_dir"]
    values["candidates"] = values["candidates"][0]  # the same in every iteration, but for the folders
    return without_folders(values)


def with_defaults(values):
    """A plan's settings as an earlier version wrote them, with the fields that were added since: what they mean not given."""
    for candidate in (values["initial"], *values["candidates"]):
        candidate["model"] = {**_defaults(configs.ModelConfig), **candidate.get("model", {})}
        candidate["stages"] = [{**_defaults(configs.TrainConfig), **stage} for stage in candidate["stages"]]
    return values


def _defaults(kind):
    """{field: its default} of a dataclass, in JSON's types; a field without a default is left out."""
    fields, missing = dataclasses.fields(kind), dataclasses.MISSING
    plain = {field.name: field.default for field in fields if field.default is not missing}
    fresh = {field.name: field.default_factory() for field in fields if field.default_factory is not missing}
    return json.loads(json.dumps({**plain, **fresh}))


def without_folders(values):
    """A plan's settings without the folders of its candidates."""
    for candidate in (values["initial"], *values["candidates"]):
        for stage in candidate["stages"]:
            for name in ("train_dir", "pseudo_labels"):
                stage.pop(name, None)
    return values


def publish(plan, source):
    """Makes the train_dir stand for the run `source`: its chosen checkpoint and model_flags.json."""
    with replacing_folder(os.path.join(plan.train_dir, ckpt.BEST)) as unfinished:
        shutil.copytree(os.path.join(source, ckpt.BEST), unfinished, dirs_exist_ok=True)
    configs.write_model_config(plan.train_dir, configs.read_model_config(source))
    print(f"The better model of the last iteration, {os.path.relpath(source, plan.train_dir)}, stands for {plan.train_dir} now.")


def write_report(plan, rows):
    """em_report.json and TensorBoard scalars of the iterations so far."""
    write_text(os.path.join(plan.train_dir, REPORT), json.dumps(rows, indent=1) + "\n")
    for row in rows:
        with tf.summary.create_file_writer(os.path.join(plan.train_dir, "em", row["name"])).as_default(step=row["iteration"]):
            for name in ("map", "auc", "after_mstep", "num_labels", "precision"):
                if row.get(name) is not None:
                    tf.summary.scalar(f"em/{name}", row[name])


def show(rows):
    """Prints the report as a table."""
    table = Table(title="EM: MAP on the held-out fold of the rated segments", title_justify="left")
    columns = ("iteration", "", "model", "labels made", "MB", "their precision", "MAP after M-step", "MAP fine-tuned", "kept")
    for name in columns:
        table.add_column(name, justify="left" if name in ("", "model", "kept") else "right")
    for row in rows:
        labels = ("", "", "")
        if "num_labels" in row:
            judged = f"{row['precision']:.2f} of {row['num_judged']}" if row["num_judged"] else "none is rated"
            labels = (f"{row['num_labels']:,}", f"{row['bytes'] / 1e6:.1f}", judged)
        after = "" if row["after_mstep"] is None else f"{row['after_mstep']:.3f}"
        kept = "yes" if row.get("kept") else ""
        table.add_row(str(row["iteration"]), row["name"], row["model"], *labels, after, f"{row['map']:.3f}", kept)
    console = Console()
    Console(width=max(console.width, 110)).print(table)


def read_plan(train_dir):
    """em.json, or None where there is none; UserError where it is damaged."""
    way_out = "Copy it there again, or give --start_new_model or another --train_dir"
    return jsonfiles.read(os.path.join(train_dir, PLAN), _PLAN_FIELDS, way_out, missing=None)


def read_result(train_dir):
    """result.json of a candidate, or None where there is none; UserError where it is damaged."""
    way_out = "Delete it: the model is then judged again"
    return jsonfiles.read(os.path.join(train_dir, RESULT), _RESULT_FIELDS, way_out, missing=None)


def read_after_mstep(train_dir):
    """after_mstep.json of a candidate, a number, or None where there is none; UserError where it is damaged."""
    path = os.path.join(train_dir, AFTER_MSTEP)
    return _checked(path, jsonfiles.Number(), "Delete it: the report then lacks this number")


def read_labels(path):
    """result.json of an E-step, or None where there is none; UserError where it is damaged."""
    return _checked(path, jsonfiles.ListOf(jsonfiles.Object(_LABELS_FIELDS)), "Delete it: the labels are then counted again")


def _checked(path, kind, way_out):
    """What a JSON file that holds no object holds, or None where there is none."""
    value = jsonfiles.read(path, None, way_out, missing=None)
    expected = None if value is None else kind.expected(value)
    if expected:
        raise UserError(f"{path}: damaged ({jsonfiles.shown(value)}: expected {expected}). {way_out}.")
    return value
