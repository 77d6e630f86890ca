"""Several runs' scores, or several submissions, made one: what `yt8m ensemble` does."""

import json
import math
import os
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from yt8m.config import write_text
from yt8m.ensembles import lists as ensemble_lists
from yt8m.ensembles import stores as ensemble_stores
from yt8m.ensembles import weights as ensemble_weights
from yt8m.errors import UserError
from yt8m.metrics.segments import Ratings, segment_metrics_from_pairs
from yt8m.readers import labels
from yt8m.scoring import submission

METHODS = ("mean", "rank")


def run(args):
    """Checks what `yt8m ensemble` was given and makes the ensemble of stores or of lists; args: its options."""
    stores = _are_stores(args.members)
    args.method = args.method or ("mean" if stores else "rank")
    _check(args, stores)
    ids = labels.read_label_ids(args.segment_label_ids_file) if args.segment_label_ids_file else None
    (of_stores if stores else of_lists)(args, ids)


def of_stores(args, ids):
    """The ensemble of score stores: weights, report, then one pass that writes."""
    members = ensemble_stores.Members(args.members, ids)
    if members.kind == "videos" and args.output_file:
        raise UserError("--output_file: the members hold scores of videos, a submission has segments. Use --scores_output.")
    weights, without = _weights(args, members)
    measure = (ensemble_stores.Probabilities if args.method == "mean" else ensemble_stores.Ranks)(members)
    if args.eval_data_pattern:
        show(stores_report(args, members, measure, weights, without), args.report_output)
    store = ensemble_stores.ensemble_store(members, weights, args.scores_output) if args.scores_output else None
    blocks = ensemble_stores.averaged_blocks(members, measure, weights, store)
    if args.output_file:
        count = ensemble_stores.write_best(blocks, members.label_ids, args.output_file, args.max_pred)
        print(f"Wrote {args.output_file}: the best of {count:,} segments for {len(members.label_ids)} classes.")
    elif store:
        for _ in blocks:
            pass
    if store:
        print(f"Wrote {args.scores_output}: the mean of {len(args.members)} members, {len(members.shards)} shards.")


def of_lists(args, ids):
    """The ensemble of submission files, a class at a time."""
    lists = ensemble_lists.Lists(args.members, ids)
    count = len(args.members)
    if args.weights and args.weights.endswith(".json"):
        weights = ensemble_weights.read(args.weights, lists.label_ids, [None] * count)
    else:
        weights = ensemble_weights.parse(args.weights, count, len(lists.label_ids))
    evaluation = None
    if args.eval_data_pattern:
        rated = _ratings(args.eval_data_pattern, args, "eval_data_pattern", ids)
        names = ensemble_stores.row_names(rated.video_ids, rated.start_times)
        evaluation = ensemble_lists.Evaluation(Ratings(names, rated.labels, rated.scores), count, args.max_pred)

    def ranked():
        for (label, own), own_weights in zip(ensemble_stores.progress(lists, "Ranking"), weights.T):
            best = ensemble_lists.rank_average(own, own_weights, args.max_pred)
            if evaluation:
                evaluation.add(label, own, own_weights, best)
            yield best

    if args.output_file:
        submission.write_submission(args.output_file, lists.label_ids, ranked(), args.max_pred)
        print(f"Wrote {args.output_file}: {len(lists.label_ids)} classes.")
    else:
        for _ in ranked():
            pass
    if evaluation:
        best, alone, without = evaluation.result()
        compared = [
            Member(name, weight, Figures(own), Figures(other) if count > 1 else None)
            for name, weight, own, other in zip(_names(args.members), _mean_weights(weights), alone, without)
        ]
        title = f"MAP@{args.max_pred} on {args.eval_data_pattern}"
        show(Report(args.method, title, Figures(best), compared), args.report_output)


# ---------------------------------------------------------------- weights


def _weights(args, members):
    """(weights [K, C], function of k that gives those of the ensemble without member k, or None where nothing weighs)."""
    count = len(members.folders)

    def left_over(k):
        rest = weights.copy()
        rest[k] = 0
        return rest if rest.any(axis=0).all() else None

    if args.fit_on:
        return _fitted(args, members)
    if args.weights and args.weights.endswith(".json"):
        weights = ensemble_weights.read(args.weights, members.label_ids, members.runs)
    else:
        weights = ensemble_weights.parse(args.weights, count, len(members.label_ids))
    return weights, left_over


def _fitted(args, members):
    """`_weights` from ratings; without member k: fitted anew."""
    rated = _ratings(args.fit_on, args, "fit_on")
    classes, scores, values = members.pairs(rated, "fit_on")
    measure = ensemble_stores.Probabilities(members)
    probabilities = np.stack([measure.of(k, own, classes) / measure.unit for k, own in enumerate(values)], axis=1)
    num_classes = len(members.label_ids)
    weights = ensemble_weights.fit(probabilities, scores, classes, num_classes, args.fit_prior)
    likelihoods = ensemble_weights.likelihoods_of(probabilities, scores)
    before, after = (
        ensemble_weights.log_loss(own, likelihoods, classes) for own in (np.full_like(weights, 1 / len(weights)), weights)
    )
    unrated = num_classes - len(np.unique(classes))
    print(
        f"Fitted the weights of {num_classes - unrated} classes on {len(classes):,} rated pairs of {args.fit_on}: log loss "
        f"{after:.4f}, with equal weights {before:.4f}." + (f" {unrated} classes without ratings: equal weights." * bool(unrated))
    )
    if args.weights_output:
        about = {"fitted_on": args.fit_on, "num_pairs": len(classes), "prior": args.fit_prior}
        names = [{"name": name, "run": run} for name, run in zip(members.folders, members.runs)]
        ensemble_weights.write(args.weights_output, names, members.label_ids, weights, about)
        print(f"Wrote {args.weights_output}.")

    def fitted_without(k):
        others = np.delete(probabilities, k, axis=1)
        return np.insert(ensemble_weights.fit(others, scores, classes, num_classes, args.fit_prior), k, 0, axis=0)

    return weights, fitted_without


def _ratings(pattern, args, flag, ids=None):
    """readers.datasets.Ratings in the shards; of the label ids `ids` unless these are None."""
    from yt8m.readers import datasets

    rated = datasets.read_ratings(pattern, args.id_feature, flag)
    if ids is None:
        return rated
    kept = np.isin(rated.labels, ids)
    return datasets.Ratings(rated.video_ids[kept], rated.start_times[kept], rated.labels[kept], rated.scores[kept])


# ---------------------------------------------------------------- report


@dataclass
class Figures:
    """MAP, and AUC where scores are known."""

    map: float
    auc: float | None = None


@dataclass
class Member:
    """A member: its weight (its mean over the classes), its figures alone, and the ensemble's without it (None: nothing left)."""

    name: str
    weight: float
    alone: Figures
    without: Figures | None


@dataclass
class Report:
    """The comparison of an ensemble with its members.

    Attributes:
        method: "mean" or "rank".
        title: what was measured, on what.
        ensemble: its Figures.
        members: list of Member.
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
        """The report as JSON; `gain`: MAP of the ensemble less MAP without the member."""
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
        return json.dumps(_finite({**head, "ensemble": vars(self.ensemble), "members": members}), indent=1) + "\n"

    def table(self):
        """The report as a rich table, without its title and warning."""
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


def stores_report(args, members, measure, weights, without):
    """The Report of stores on --eval_data_pattern: MAP and AUC over rated pairs, as eval.py's."""
    rated = _ratings(args.eval_data_pattern, args, "eval_data_pattern")
    classes, scores, values = members.pairs(rated, "eval_data_pattern")

    def figures(predictions):
        metrics = segment_metrics_from_pairs(classes, predictions, scores, len(members.label_ids))
        return Figures(metrics["map"], metrics["auc"]), metrics["chance"]

    def averaged(own_weights):
        return figures(ensemble_stores.average(measure, values, own_weights, classes))[0]

    best, chance = figures(ensemble_stores.average(measure, values, weights, classes))
    title = f"MAP and AUC over {len(classes):,} rated pairs of {args.eval_data_pattern}"
    names, compared = _names(members.folders), []
    for k, (name, weight) in enumerate(zip(names, _mean_weights(weights))):
        rest = without(k) if len(names) > 1 else None
        alone, _ = figures(measure.of(k, values[k], classes))
        compared.append(Member(name, weight, alone, None if rest is None else averaged(rest)))
    return Report(args.method, title, best, compared, chance, _warning(args))


def show(report, path=None):
    """Prints a Report, and writes it to a JSON file if one is named."""
    print(report.title)
    Console().print(report.table())
    if report.warning:
        print(report.warning)
    if path:
        write_text(path, report.to_json())
        print(f"Wrote {path}.")


def _warning(args):
    """That weights are judged by the ratings that they were fitted on."""
    if not args.fit_on:
        return ""
    from yt8m.readers import datasets

    fitted, judged = (
        {os.path.abspath(path) for path in datasets.match_files(pattern, flag)}
        for pattern, flag in ((args.fit_on, "fit_on"), (args.eval_data_pattern, "eval_data_pattern"))
    )
    if not fitted & judged:
        return ""
    return f"The weights were fitted on {len(fitted & judged)} of these {len(judged)} shards: elsewhere expect less."


def _mean_weights(weights):
    """Each member's share, the mean over the classes: [K, C] -> [K]."""
    return (weights / weights.sum(axis=0)).mean(axis=1).tolist()


def _names(paths):
    """Short names of the members: the last part of their paths where that tells them apart."""
    short = [os.path.basename(os.path.normpath(path)) for path in paths]
    return short if len(set(short)) == len(short) else list(paths)


def _number(value):
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def _finite(value):
    """The same with None for nan, which JSON has not."""
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_finite(own) for own in value]
    return None if isinstance(value, float) and math.isnan(value) else value


# ---------------------------------------------------------------- checks


def _are_stores(paths):
    """Whether the members are folders of scores, not submission files."""
    for path in paths:
        if not os.path.exists(path):
            raise UserError(f"{path} does not exist. Name folders of scores (inference.py --scores_output) or submission files.")
    folders = [path for path in paths if os.path.isdir(path)]
    if folders and len(folders) < len(paths):
        file = next(path for path in paths if path not in folders)
        raise UserError(f"{folders[0]} is a folder of scores, {file} a submission file. Name members of one kind.")
    seen = {}
    for path in paths:
        other = seen.setdefault(os.path.realpath(path), path)
        if other is not path:
            raise UserError(f"{path} is named twice. Give it more weight with --weights instead.")
    return bool(folders)


def _check(args, stores):
    """Flags that are out of range, or do not go together."""
    if args.method not in METHODS:
        raise UserError(f"--method={args.method}: use one of {', '.join(METHODS)}.")
    if args.max_pred < 1:
        raise UserError(f"--max_pred={args.max_pred}: use 1 or more.")
    if not 0 <= args.fit_prior < math.inf:
        raise UserError(f"--fit_prior={args.fit_prior}: use a number of ratings from 0 up.")
    if not stores and args.method == "mean":
        raise UserError("--method=mean needs scores, which submission files do not hold. Use --method=rank.")
    if not stores and (args.scores_output or args.fit_on):
        flag = "scores_output" if args.scores_output else "fit_on"
        raise UserError(f"--{flag} needs scores, which submission files do not hold. Name folders of scores.")
    if args.method == "rank" and (args.scores_output or args.fit_on):
        flag = "scores_output" if args.scores_output else "fit_on"
        raise UserError(f"--{flag} is for probabilities, not for ranks. Use --method=mean.")
    if args.fit_on and args.weights:
        raise UserError("--fit_on finds the weights that --weights gives. Leave one of them out.")
    for flag, needed in (("weights_output", "fit_on"), ("report_output", "eval_data_pattern")):
        if getattr(args, flag) and not getattr(args, needed):
            raise UserError(f"--{flag} needs --{needed}.")
    if not (args.output_file or args.scores_output or args.weights_output or args.eval_data_pattern):
        raise UserError("nothing to make. Give --output_file, --scores_output, --weights_output or --eval_data_pattern.")
    if args.output_file and os.path.realpath(args.output_file) in map(os.path.realpath, args.members):
        raise UserError(f"--output_file={args.output_file} is a member of the ensemble. Name another file.")
