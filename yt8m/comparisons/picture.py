"""The picture of a comparison: each run's MAP with its interval, and what the best of the others gains and loses by class."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from yt8m.files import replacing

_GAIN, _LOSS = "#0072B2", "#D55E00"  # told apart with every kind of colour vision; the side of 0 and the hatching say it, too
_LONGEST = 40  # characters of a name


def draw(path, comparison, count):
    """Writes the PNG.

    Args:
        path: file.
        comparison: Comparison.
        count: classes that gain, and as many that lose, at most.

    Raises:
        UserError: the file cannot be written.
    """
    best = comparison.best_other()
    gains, losses = comparison.extremes(best, count)
    classes = gains + losses[::-1]
    height = max(2.2, 0.9 + 0.32 * max(len(comparison.runs), len(classes)))
    figure = Figure(figsize=(11 if classes else 6, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(1, 2 if classes else 1))
    _draw_runs(axes[0], comparison)
    if classes:
        _draw_classes(axes[1], comparison, best, classes)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _draw_runs(axes, comparison):
    """MAP of the runs, the first on top, with bars for their intervals."""
    for row, run in enumerate(comparison.runs):
        value, bounds = run.judged.metrics["map"], run.judged.interval
        errors = None if np.isnan(bounds.low) else [[max(value - bounds.low, 0.0)], [max(bounds.high - value, 0.0)]]
        axes.errorbar([value], [row], xerr=errors, fmt="o", color=_GAIN, capsize=4)
        axes.annotate(f"{value:.3f}", (value, row), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8)
    chance = comparison.runs[0].judged.metrics["chance"]
    if not np.isnan(chance):
        axes.axvline(chance, color="gray", linestyle=":", linewidth=1, label="random order, about")
        axes.legend(loc="lower right", fontsize=7)
    axes.set_yticks(range(len(comparison.runs)), [_short(run.name) for run in comparison.runs])
    axes.set_ylim(len(comparison.runs) - 0.4, -0.6)
    axes.set_xlabel("MAP, 95% interval over videos")


def _draw_classes(axes, comparison, run, classes):
    """Differences in average precision, the largest gain on top."""
    differences = comparison.class_differences(run)[classes]
    for row, value in enumerate(differences):
        gain = value > 0
        axes.barh(row, value, color=_GAIN if gain else _LOSS, hatch="" if gain else "///", edgecolor="white")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(classes)), [_short(comparison.class_name(c)) for c in classes], fontsize=8)
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.set_xlabel(f"average precision of {_short(run.name)} less that of {_short(comparison.runs[0].name)}", fontsize=8)


def _short(name):
    """A name that fits, in which matplotlib sees no formula."""
    name = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    return name.replace("$", r"\$")
