"""Pictures of the montage benchmark: the rows of its JSON, and timelines of test montages from a work folder.

  python benchmarks/montage_plots.py --json docs/results/montage.json --output docs/results
  python benchmarks/montage_plots.py --json ... --output DIR --work DIR --rows attention multi-attention     and ten timelines

Writes montage.png: MAP of every row with its standard error, beside chance and oracle; and montage_timelines.png: of ten
rated pairs' montages, a class's scores a second, and where it is.
"""

import argparse
import json
import os

import matplotlib
import numpy as np

from yt8m.files import replacing_path

matplotlib.use("Agg")
from matplotlib import pyplot

CEILINGS = ("chance", "oracle", "oracle, told the fillers")
HEIGHT = 0.22  # inches a row
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd")


def draw_rows(rows, path):
    """MAP of each row once, in their order, with its standard error; chance and ceilings as lines."""
    first = {row["name"]: row for row in reversed(rows)}
    ceilings = [row for row in rows if "group" not in row]
    names = [name for name in dict.fromkeys(row["name"] for row in rows) if "group" in first[name]]
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + HEIGHT * len(names)), layout="constrained")
    for place, name in enumerate(names):
        row = first[name]
        axes.errorbar(row["value"], -place, xerr=row["spread"] or 0, fmt="o", color=COLORS[0], markersize=4, capsize=2)
    for row in (row for row in ceilings if row["name"] in CEILINGS):
        axes.axvline(row["value"], color="0.6", linewidth=1)
        axes.annotate(row["name"], (row["value"], 1.2), fontsize=7, ha="center", annotation_clip=False)
    axes.set_yticks([-place for place in range(len(names))], names, fontsize=7)
    axes.set_ylim(-len(names) + 0.3, 1)
    axes.set_xlabel("MAP of the rated segments of the test montages")
    _save(figure, path)


def draw_timelines(made, scores, path, count=10, seed=1):
    """Scores a second of a class in test montages, a panel a montage.

    Args:
        made: montage_files.Made.
        scores: {row: float [N, K]}, of the test part.
        path: of the picture.
        count: panels.
        seed: of which montages are drawn.
    """
    import montage_measures

    part = montage_measures.part_of(made, "test")
    chosen = [pair for pair in part.pairs if part.seconds[pair[0]][:, pair[1]].any()]
    chosen = [chosen[index] for index in np.random.default_rng(seed).permutation(len(chosen))[:count]]
    figure, panels = pyplot.subplots(len(chosen), 1, figsize=(9, 1.1 * len(chosen)), layout="constrained", sharex=True)
    for axes, (id, column) in zip(np.atleast_1d(panels), chosen):
        seconds = part.seconds[id][:, column]
        axes.fill_between(np.arange(len(seconds)), 0, seconds, step="post", color="0.88", linewidth=0)
        for color, (row, of_row) in zip(COLORS, scores.items()):
            of_pair = montage_measures.of_segments(part, of_row)[id, column]
            axes.step(np.arange(len(of_pair)), of_pair, where="post", color=color, linewidth=1, label=row)
        axes.set_ylim(0, 1)
        axes.set_ylabel(f"{id}\n{_name(made, column)}", fontsize=6)
        axes.tick_params(labelsize=6)
    np.atleast_1d(panels)[0].legend(fontsize=6, ncols=len(scores), loc="lower right")
    np.atleast_1d(panels)[-1].set_xlabel("seconds; grey: the class is there")
    _save(figure, path)


def _name(made, column):
    import csv

    with open(made.vocabulary_file, newline="", encoding="utf-8") as file:
        return next(row["Name"] for row in csv.DictReader(file) if int(row["Index"]) == made.segment_classes[column])


def _save(figure, path):
    with replacing_path(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=110)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", required=True, help="what benchmarks/montage.py --json wrote")
    parser.add_argument("--output", default=".", help="folder of the pictures")
    parser.add_argument("--work", help="work folder of benchmarks/montage.py, for timelines")
    parser.add_argument("--rows", nargs="+", default=["logistic", "attention", "multi-attention"], help="of the timelines")
    options = parser.parse_args()
    with open(options.json, encoding="utf-8") as file:
        log = json.load(file)
    draw_rows(log["rows"], os.path.join(options.output, "montage.png"))
    if options.work:
        import montage_files
        import montage_runs

        made = montage_files.read(os.path.join(options.work, log["version"].split()[1]))
        runs = montage_runs.Runs(options.work, made, log["version"], 1)
        scores = {row: runs.scores(row)["test"] for row in options.rows}
        draw_timelines(made, scores, os.path.join(options.output, "montage_timelines.png"))


if __name__ == "__main__":
    main()
