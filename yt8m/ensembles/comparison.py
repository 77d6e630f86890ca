"""An ensemble compared with its members, and with itself without each of them."""

import json
import math
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from yt8m.ensembles.measures import average
from yt8m.files import write_text
from yt8m.metrics.segments import segment_metrics_from_pairs


@dataclass
class Figures:
    """MAP, and AUC where scores are known."""

    map: float
    auc: float | None = None


@dataclass
class MemberComparison:
    """A member: its weight (its mean over the classes), its figures alone, and the ensemble's without it (None: nothing left)."""

    name: str
    weight: float
    alone: Figures
    without: Figures | None


@dataclass
class Comparison:
    """The comparison of an ensemble with its members.

    Attributes:
        method: "mean", "geometric", "rank" or "hyperbolic".
        title: what was measured, on what.
        ensemble: its Figures.
        members: list of MemberComparison.
        chance: MAP of a random order, where it is known.
        warning: what to bear in mind, or "".
    """

    method: str
    title: str
    ensemble: Figures
    members: list
    chance: float | None = None
    warning: str = ""

    def to_json(self):
        """The comparison as JSON; `gain`: MAP of the ensemble less MAP without the member."""
        members = [
            {
                "name": member.name,
                "weight": member.weight,
                **vars(member.alone),
                "without": member.without and vars(member.without),
                "gain": member.without and self.ensemble.map - member.without.map,
            }
            for member in self.members
        ]
        head = {"title": self.title, "warning": self.warning, "method": self.method, "chance": self.chance}
        return json.dumps(_without_nan({**head, "ensemble": vars(self.ensemble), "members": members}), indent=1) + "\n"

    def table(self):
        """The comparison as a rich table, without its title and warning."""
        shown, has_auc = Table(), self.ensemble.auc is not None
        for column in ("", "weight", "MAP", *(["AUC"] * has_auc), "without: MAP", *(["AUC"] * has_auc), "gain"):
            shown.add_column(column, justify="right" if column else "left", overflow="fold")

        def cells(figures):
            return [_number(figures.map), *([_number(figures.auc)] * has_auc)] if figures else ["-"] * (1 + has_auc)

        for member in self.members:
            gain = f"{self.ensemble.map - member.without.map:+.4f}" if member.without else "-"
            shown.add_row(member.name, f"{member.weight:.3f}", *cells(member.alone), *cells(member.without), gain)
        shown.add_section()
        shown.add_row(f"ensemble ({self.method})", "", *cells(self.ensemble))
        if self.chance is not None:
            shown.add_row("random order", "", _number(self.chance))
        return shown


def compared_stores(members, measure, weights, without, ratings):
    """MAP and AUC over rated pairs, as eval.py's.

    Args:
        members: members.MemberStores.
        measure: one of ensembles.measures.
        weights: float64 [K, C].
        without: function of k that gives the weights without member k, or None where nothing weighs.
        ratings: metrics.segments.Ratings, read from --eval_data_pattern.

    Returns:
        number of rated pairs, Figures of the ensemble, list of MemberComparison, MAP of a random order.

    Raises:
        UserError: as MemberStores.pairs.
    """
    classes, labels, values = members.pairs(ratings, "eval_data_pattern")

    def metrics(predictions):
        return segment_metrics_from_pairs(classes, predictions, labels, len(members.label_ids))

    def figures(predictions):
        measured = metrics(predictions)
        return Figures(measured["map"], measured["auc"])

    best = metrics(average(measure, values, weights, classes))
    compared = []
    for k, (name, weight) in enumerate(zip(members.names, mean_weights(weights))):
        rest = without(k) if len(members.names) > 1 else None
        alone = figures(measure.of(k, values[k], classes))
        compared.append(
            MemberComparison(name, weight, alone, None if rest is None else figures(average(measure, values, rest, classes)))
        )
    return len(classes), Figures(best["map"], best["auc"]), compared, best["chance"]


def show(comparison, path=None):
    """Prints a Comparison, and writes it to a JSON file if one is named."""
    print(comparison.title)
    Console().print(comparison.table())
    if comparison.warning:
        print(comparison.warning)
    if path:
        write_text(path, comparison.to_json())
        print(f"Wrote {path}.")


def mean_weights(weights):
    """Each member's share, the mean over the classes: [K, C] -> [K]."""
    return (weights / weights.sum(axis=0)).mean(axis=1).tolist()


def _number(value):
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def _without_nan(value):
    """A value for JSON, which has no nan: None in its place."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
