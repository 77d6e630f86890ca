"""What a run on the built-in sample shows at its end: a table against chance and ceiling, a picture, what to run next."""

import contextlib
import json
import os
import shlex

import numpy as np
from rich.console import Console
from rich.table import Table

from yt8m import commands, jsonfiles, models
from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.readers import labels
from yt8m.stages import evaluate, pictures
from yt8m.stages.curves import PrecisionRecall
from yt8m.training import checkpoints
from yt8m.training.names import class_names

REPORT = "report.json"
FINISHED = "finished"
PICTURE = "where.png"


def begin(train_dir):
    """Takes back the note that the run is finished."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(train_dir, FINISHED))


def finish(train_dir):
    """Notes that the run is finished, so that eval.py need not wait for more checkpoints."""
    write_text(os.path.join(train_dir, FINISHED), f"{checkpoints.chosen(train_dir)}\n")


def finished(train_dir):
    """Whether the newest run in the folder came to its end."""
    return os.path.exists(os.path.join(train_dir, FINISHED))


def read(train_dir):
    """{stage: MAP} of the stages so far."""
    fields = {stage: jsonfiles.Optional(jsonfiles.Number()) for stage in (*configs.STAGES, "em")}
    try:
        return jsonfiles.read(os.path.join(train_dir, REPORT), fields, "It is made anew", missing={})
    except (OSError, UserError):
        return {}


def add_stage(train_dir, stage, model, config, sample):
    """Evaluates a stage's model on the sample's held-out rated segments and notes the result.

    A pre-trained context model is left out: only its encoders are trained by then.
    """
    if stage == "pretrain" and models.model_class(config.model).HAS_ENCODERS:
        return
    curve = PrecisionRecall()
    metrics = evaluate.evaluate_segments(
        model, config, sample.held_out_pattern, keep=lambda _, scores, labels: curve.add(scores, labels)
    )
    evaluate.write_scalars(train_dir, _step(train_dir), metrics, segments=True, curve=curve)
    kept = {} if stage in (configs.STAGES[0], "em") else read(train_dir)
    write_text(os.path.join(train_dir, REPORT), json.dumps({**kept, stage: metrics["map"]}) + "\n")


def _step(train_dir):
    """Step of the checkpoint that stands for a run."""
    return checkpoints.position(checkpoints.chosen(train_dir))[0]


def table(results, chance, oracle, title):
    """A rich table of MAPs: each beside chance and the ceiling.

    Args:
        results: {name: MAP}.
        chance: MAP of a random order.
        oracle: MAP of the scorer that knows how the sample was made.
        title: what was scored.
    """
    shown = Table(title=title, title_justify="left")
    for column in ("", "MAP", "chance to ceiling"):
        shown.add_column(column, justify="left" if not column else "right")
    for name, value in {"chance: a random order": chance, **results, "ceiling: the sample's oracle": oracle}.items():
        shown.add_row(name, f"{value:.3f}", f"{(value - chance) / (oracle - chance):.0%}")
    return shown


def show(train_dir, model, config, sample):
    """Prints the table, draws the picture and says what to run next."""
    names = {"pretrain": "pre-trained", "mstep": "after the M-step", "finetune": "fine-tuned", "em": "by EM"}
    results = {f"{config.model}, {names[stage]}": value for stage, value in read(train_dir).items()}
    print_table(results, sample)
    picture = os.path.join(train_dir, PICTURE)
    draw(picture, model, config, sample)
    evaluate.write_scalars(train_dir, _step(train_dir), {}, segments=True, picture=picture)
    print(f"Where in a video it found the topic: {picture}")
    commands.show_next(
        commands.command("eval", "segment_labels", train_dir=train_dir),
        commands.command("inference", "segment_labels", train_dir=train_dir),
        commands.command("timeline", train_dir=train_dir),
        f"tensorboard --logdir {shlex.quote(train_dir)}",
    )


def draw(path, model, config, sample):
    """The picture of where, on the sample's held-out videos."""
    columns = config.label_ids or range(config.num_classes)
    columns = {label: column for column, label in enumerate(columns)}
    ids = [label for label in labels.read_label_ids(sample.segment_label_ids_file) if label in columns]
    with np.load(sample.truth_file) as stored:
        truth = sample_truth(stored, ids)
    pictures.where(path, model, config, sample.held_out_pattern, truth, class_names(config), columns)


def sample_truth(stored, ids):
    """{video id: {label id: bool [S]}} of the sample's truth file; a column of it is a segment class."""
    return {video: dict(zip(ids, stored[video].astype(bool).T)) for video in stored.files}


def print_metrics(title, metrics):
    """Prints single-number metrics as a table under a line of title."""
    print(title)
    shown = Table()
    shown.add_column("metric")
    shown.add_column("value", justify="right")
    for name, value in evaluate.scalars(metrics).items():
        digits = 4 if abs(value) >= 0.01 or not value else 6  # a mean log loss over the classes is about 0.003
        shown.add_row(name, f"{value:,.0f}" if name.startswith("num_") else f"{value:.{digits}f}")
    Console().print(shown)


def print_table(results, sample, held_out=True):
    """Prints MAPs on the sample's rated segments, held out of training or of its test videos, beside chance and ceiling."""
    if held_out:
        shown = table(
            results, sample.held_out_chance_map, sample.held_out_oracle_map, "MAP over the sample's held-out rated segments"
        )
    else:
        shown = table(
            results, sample.test_chance_map, sample.test_oracle_map, "MAP over the rated segments of the sample's test videos"
        )
    Console().print(shown)
