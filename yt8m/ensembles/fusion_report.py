"""What smoothing and fusing do to the ranking of rated pairs, and what is behind a ranking: which video, and where in it."""

import json
import math
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from yt8m.ensembles.comparison import Figures
from yt8m.files import write_text
from yt8m.metrics.segments import segment_metrics_from_pairs


class Row(NamedTuple):
    """A way to rank: what it is called, its Figures, and the share of the classes whose AP is below that of the first row."""

    name: str
    figures: Figures
    worse: float


class Report(NamedTuple):
    """Rows that were judged by the same ratings.

    Attributes:
        title: what was measured, on what.
        rows: the segments' scores first.
        chance: MAP of a random order.
        warning: what to bear in mind, or "".
        full_lists: MAP of the written lists, nan where none were judged.
    """

    title: str
    rows: list
    chance: float
    warning: str = ""
    full_lists: float = math.nan

    def to_json(self):
        """The report as JSON."""
        rows = [{"name": row.name, **vars(row.figures), "classes_worse": row.worse} for row in self.rows]
        head = {"title": self.title, "warning": self.warning, "chance": self.chance, "full_lists": self.full_lists}
        values = {**head, "rows": rows}
        return json.dumps(json.loads(json.dumps(values), parse_constant=lambda _: None), indent=1) + "\n"

    def show(self, path=""):
        """Prints the report, and writes it to a JSON file if one is named."""
        print(self.title)
        shown = Table()
        for column in ("ranked by", "MAP", "AUC", "classes worse"):
            shown.add_column(column, justify="left" if column == "ranked by" else "right")
        for row in self.rows:
            shown.add_row(row.name, f"{row.figures.map:.4f}", f"{row.figures.auc:.4f}", f"{row.worse:.0%}")
        shown.add_section()
        shown.add_row("random order", f"{self.chance:.4f}")
        Console().print(shown)
        if not math.isnan(self.full_lists):
            print(f"MAP of the written lists: {self.full_lists:.4f}")
        if self.warning:
            print(self.warning)
        if path:
            write_text(path, self.to_json())
            print(f"Wrote {path}.")


def report(title, classes, labels, terms, fusion, has_videos, num_classes):
    """The Report of rated pairs.

    Args:
        title: of it.
        classes: int [n].
        labels: [n], positive where above 0.
        terms: fusion.Terms of the pairs.
        fusion: fusion.Fusion.
        has_videos: whether the videos' scores are known.
        num_classes: C.
    """
    ways = [("segments' scores", terms.segment)]
    if fusion.smoothing:
        ways.append((f"smoothed, w = {fusion.smoothing:.3g}", terms.smoothed(fusion.smoothing)))
    ways.append(("fused", fusion.logits(terms)))
    ways.append(("mean over the video alone: which video", terms.mean))
    ways.append(("scores minus that mean: where in it", terms.segment - terms.mean))
    if has_videos:
        ways.append(("videos' scores alone", terms.video))
    return compare(title, ways, classes, labels, num_classes)


def compare(title, ways, classes, labels, num_classes):
    """The Report of ways to rank rated pairs.

    Args:
        title: of it.
        ways: (name, scores [n]) of each, the base first.
        classes: int [n].
        labels: [n], positive where above 0.
        num_classes: C.
    """
    rows, first = [], None
    for name, scores in ways:
        measured = segment_metrics_from_pairs(classes, scores, labels, num_classes)
        counted = measured["class_positives"] > 0
        precisions = measured["class_average_precisions"][counted]
        first = precisions if first is None else first
        worse = float((precisions < first - 1e-12).mean()) if counted.any() else math.nan
        rows.append(Row(name, Figures(measured["map"], measured["auc"]), worse))
    return Report(title, rows, measured["chance"])
