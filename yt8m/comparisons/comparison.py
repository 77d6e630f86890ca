"""Runs judged on the same rows: MAP with intervals over videos, differences from the first run, and of each class."""

import csv
import dataclasses
import io
import math

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.metrics.bootstrap import interval
from yt8m.stages.judged import Judged

RUN_COLUMNS = (
    "Run",
    "Train_dir",
    "Model",
    "Step",
    "MAP",
    "Low",
    "High",
    "AUC",
    "Difference",
    "Difference_low",
    "Difference_high",
)


@dataclasses.dataclass(frozen=True)
class JudgedRun:
    """A run and how good it is.

    Attributes:
        name: short, none twice.
        train_dir, model, step: what it is.
        judged: Judged; its classes are the Comparison's.
    """

    name: str
    train_dir: str
    model: str
    step: int
    judged: Judged


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs on one evaluation set.

    Attributes:
        title: what was judged, on what.
        runs: tuple of JudgedRun; the first is what the others are compared with.
        label_ids: of the C classes.
        names: {label id: name}.
    """

    title: str
    runs: tuple
    label_ids: tuple
    names: dict

    def difference(self, run):
        """(MAP of a run less that of the first, its Interval by a paired bootstrap)."""
        first, other = self.runs[0].judged, run.judged
        value = other.metrics["map"] - first.metrics["map"]
        return value, interval(value, other.resampled - first.resampled)

    def class_differences(self, run):
        """float64 [C], average precision of a run less that of the first; nan without positives."""
        return run.judged.metrics["class_average_precisions"] - self.runs[0].judged.metrics["class_average_precisions"]

    def extremes(self, run, count):
        """Columns of the classes that a run gains most in and of those that it loses most in, each the largest change first."""
        differences = self.class_differences(run)
        order = np.argsort(np.where(np.isnan(differences), 0.0, differences), kind="stable")
        gains = [int(c) for c in order[::-1] if differences[c] > 0]
        return gains[:count], [int(c) for c in order if differences[c] < 0][:count]

    def best_other(self):
        """The run of the highest MAP but for the first."""
        return max(self.runs[1:], key=lambda run: run.judged.metrics["map"])

    def class_name(self, column):
        """What a class is called, its label id where it has no name."""
        return self.names.get(self.label_ids[column]) or str(self.label_ids[column])


def check_same_rows(name, pairs, first_name, first):
    """Refuses ScoredPairs of other rows than the first run's.

    Raises:
        UserError: names the runs.
    """
    same = all(np.array_equal(getattr(pairs, part), getattr(first, part)) for part in ("videos", "starts", "classes", "labels"))
    if not same:
        raise UserError(
            f"{name}: {len(pairs.classes):,} pairs that are not the {len(first.classes):,} of {first_name}. Compare runs that "
            "read the same videos, segments and labels: name them with --eval_data_pattern."
        )


def write_runs(path, comparison):
    """Writes a line a run: its MAP, its interval, and its difference from the first."""
    rows = []
    for run in comparison.runs:
        metrics, (value, bounds) = run.judged.metrics, comparison.difference(run)
        numbers = (metrics["map"], *run.judged.interval, metrics["auc"])
        differences = ("", "", "") if run is comparison.runs[0] else (value, *bounds)
        rows.append((run.name, run.train_dir, run.model, run.step, *map(_digits, (*numbers, *differences))))
    _write_csv(path, RUN_COLUMNS, rows)


def write_classes(path, comparison):
    """Writes a line a class: label id, name, positives, the average precision in each run, the differences from the first."""
    first, *others = comparison.runs
    columns = (
        "Class",
        "Name",
        "Positives",
        *(f"AP {run.name}" for run in comparison.runs),
        *(f"Gain {run.name}" for run in others),
    )
    precisions = [run.judged.metrics["class_average_precisions"] for run in comparison.runs]
    gains = [comparison.class_differences(run) for run in others]
    positives = first.judged.metrics["class_positives"]
    rows = [
        (label, comparison.names.get(label, ""), positives[c], *(_digits(values[c]) for values in (*precisions, *gains)))
        for c, label in enumerate(comparison.label_ids)
    ]
    _write_csv(path, columns, rows)


def show(comparison, count):
    """Prints the runs, and of the best of the others the classes that it gains and loses most in, `count` of each."""
    console, first, best = Console(), comparison.runs[0], comparison.best_other()
    print(comparison.title)
    table = Table()
    for column in ("run", "MAP", "95% interval", "AUC", f"less {escape(first.name)}", "95% interval"):
        table.add_column(column, justify="left" if column == "run" else "right", overflow="fold", no_wrap="interval" in column)
    for run in comparison.runs:
        metrics, (value, bounds) = run.judged.metrics, comparison.difference(run)
        cells = ("", "") if run is first else (f"{value:+.4f}{'' if _holds(bounds, 0) else '*'}", shown(bounds, "+"))
        table.add_row(escape(run.name), f"{metrics['map']:.4f}", shown(run.judged.interval), f"{metrics['auc']:.4f}", *cells)
    table.add_section()
    table.add_row("random order", f"{first.judged.metrics['chance']:.4f}")
    console.print(table)
    print("Intervals: bootstrap over videos, differences by the same resamples. *: 0 is outside.")
    if count:
        _show_classes(console, comparison, best, count)


def _show_classes(console, comparison, run, count):
    first, differences = comparison.runs[0], comparison.class_differences(run)
    title = escape(f"Classes in which {run.name} differs most from {first.name}")
    table = Table(title=title, title_justify="left")
    for column in ("class", "positives", escape(first.name), escape(run.name), "gain"):
        table.add_column(column, justify="left" if column == "class" else "right", overflow="fold")
    precisions = [each.judged.metrics["class_average_precisions"] for each in (first, run)]
    gains, losses = comparison.extremes(run, count)
    for section in (gains, losses):
        for c in section:
            positives = str(first.judged.metrics["class_positives"][c])
            values = (f"{part[c]:.3f}" for part in precisions)
            table.add_row(escape(comparison.class_name(c)), positives, *values, f"{differences[c]:+.3f}")
        table.add_section()
    if gains or losses:
        console.print(table)


def shown(bounds, sign=""):
    """An Interval as a cell."""
    return "-" if math.isnan(bounds.low) else f"{bounds.low:{sign}.3f} to {bounds.high:{sign}.3f}"


def _holds(bounds, value):
    """Whether a value is inside an Interval; a value of which nothing is known is."""
    return not (bounds.low > value or bounds.high < value)


def _digits(value):
    return value if isinstance(value, str) else "" if math.isnan(value) else f"{value:.6f}"


def _write_csv(path, columns, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_text(path, text.getvalue())
