"""Several runs' scores, or several submissions, made one: what `yt8m ensemble` does."""

import math
import os

import numpy as np

from yt8m.ensembles import comparison
from yt8m.ensembles import weights as ensemble_weights
from yt8m.ensembles.lists import Evaluation, Lists, rank_average
from yt8m.ensembles.measures import HALF_RANK, HyperbolicRanks, LogProbabilities, Probabilities, Ranks
from yt8m.ensembles.members import MemberStores
from yt8m.ensembles.stores import averaged_blocks, ensemble_config, write_blocks
from yt8m.errors import UserError
from yt8m.files import check_writable
from yt8m.folders import short_names
from yt8m.metrics.segments import Ratings
from yt8m.progress import track
from yt8m.readers import labels
from yt8m.readers.stores import create_store
from yt8m.scoring import submission

MEASURES = {"mean": Probabilities, "geometric": LogProbabilities, "rank": Ranks, "hyperbolic": HyperbolicRanks}
OF_RANKS = ("rank", "hyperbolic")
PATHS = ("output_file", "scores_output", "weights", "weights_output", "report_output")
OUTPUTS = ("output_file", "scores_output", "weights_output", "report_output")
DEFAULTS = {"fit_prior": 30.0, "max_pred": 100_000, "id_feature": "id"}


def run(args):
    """Checks what `yt8m ensemble` was given and makes the ensemble of stores or of lists; args: its options."""
    args.members = [os.path.expanduser(path) for path in args.members]
    for name in PATHS:
        setattr(args, name, getattr(args, name) and os.path.expanduser(getattr(args, name)))
    stores = _are_stores(args.members)
    args.method = args.method or ("mean" if stores else "rank")
    _check(args, stores)
    for name, value in DEFAULTS.items():
        setattr(args, name, value if getattr(args, name) is None else getattr(args, name))
    ids = labels.read_label_ids(args.segment_label_ids_file) if args.segment_label_ids_file else None
    (of_stores if stores else of_lists)(args, ids)


def of_stores(args, ids):
    """The ensemble of score stores: weights, report, then one pass that writes."""
    members = MemberStores(args.members, ids)
    if members.kind == "videos" and args.output_file:
        raise UserError("--output_file: the members hold scores of videos, a submission has segments. Use --scores_output.")
    weights, without = _weights(args, members)
    config = ensemble_config(members, weights, args.scores_output, args.method) if args.scores_output else None
    measure = MEASURES[args.method](members, *_half_rank(args))
    if args.eval_data_pattern:
        comparison.show(_compared_stores(args, members, measure, weights, without), args.report_output)
    store = create_store(args.scores_output, config) if config else None
    blocks = averaged_blocks(members, measure, weights, store)
    if args.output_file or store:
        write_blocks(blocks, members.label_ids, args.output_file, args.max_pred)
    if store:
        what = "geometric mean" if args.method == "geometric" else "mean"
        print(f"Wrote {args.scores_output}: the {what} of {len(args.members)} members, {len(members.shards)} shards.")


def of_lists(args, ids):
    """The ensemble of submission files, a class at a time."""
    lists = Lists(args.members, ids)
    count = len(args.members)
    if args.weights and args.weights.endswith(".json"):
        weights = ensemble_weights.read(args.weights, lists.label_ids, [None] * count)
    else:
        weights = ensemble_weights.parse(args.weights, count, len(lists.label_ids))
    half_rank = next(iter(_half_rank(args)), None)
    evaluation = None
    if args.eval_data_pattern:
        ratings = ratings_of(args.eval_data_pattern, args.id_feature, "eval_data_pattern", ids)
        evaluation = Evaluation(ratings, count, args.max_pred, half_rank)

    def ranked():
        for (label, of_members), of_class in zip(track(lists, "Ranking", "classes", len(lists.label_ids)), weights.T):
            best = rank_average(of_members, of_class, args.max_pred, half_rank)
            if evaluation:
                evaluation.add(label, of_members, of_class, best)
            yield best

    if args.output_file:
        submission.write_submission(args.output_file, lists.label_ids, ranked(), args.max_pred)
        print(f"Wrote {args.output_file}: {len(lists.label_ids)} classes.")
    else:
        for _ in ranked():
            pass
    if evaluation:
        comparison.show(_compared_lists(args, weights, evaluation), args.report_output)


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
    classes, scores, values = members.pairs(ratings_of(args.fit_on, args.id_feature, "fit_on"), "fit_on")
    measure = Probabilities(members)
    probabilities = np.stack([measure.of(k, stored, classes) / measure.unit for k, stored in enumerate(values)], axis=1)
    num_classes = len(members.label_ids)
    weights = ensemble_weights.fit(probabilities, scores, classes, num_classes, args.fit_prior)
    likelihoods = ensemble_weights.likelihoods_of(probabilities, scores)
    before = ensemble_weights.log_loss(np.full_like(weights, 1 / len(weights)), likelihoods, classes)
    after = ensemble_weights.log_loss(weights, likelihoods, classes)
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


def ratings_of(pattern, id_feature, flag, ids=None):
    """The Ratings in rated shards.

    Args:
        pattern: shards.
        id_feature: name of a record's id.
        flag: what messages call the pattern.
        ids: label ids to keep; None: all.
    """
    from yt8m.readers.ratings import read_ratings

    ratings = read_ratings(pattern, id_feature, flag)
    if ids is None:
        return ratings
    kept = np.isin(ratings.classes, ids)
    return Ratings(ratings.segment_ids[kept], ratings.classes[kept], ratings.scores[kept])


# ---------------------------------------------------------------- comparison


def _compared_stores(args, members, measure, weights, without):
    """The Comparison of stores on --eval_data_pattern."""
    ratings = ratings_of(args.eval_data_pattern, args.id_feature, "eval_data_pattern")
    count, best, compared, chance = comparison.compared_stores(members, measure, weights, without, ratings)
    title = f"MAP and AUC over {count:,} rated pairs of {args.eval_data_pattern}"
    return comparison.Comparison(args.method, title, best, compared, chance, _warning(args))


def _compared_lists(args, weights, evaluation):
    """The Comparison of submission files on --eval_data_pattern."""
    best, alone, without = (list(map(comparison.Figures, maps)) for maps in evaluation.result())
    shares = comparison.mean_weights(weights)
    rows = zip(short_names(args.members), shares, alone, without if len(shares) > 1 else [None])
    title = f"MAP@{args.max_pred} on {args.eval_data_pattern}"
    return comparison.Comparison(args.method, title, best[0], [comparison.MemberComparison(*row) for row in rows])


def _warning(args):
    """That weights are judged by the ratings that they were fitted on."""
    return judged_shards_warning(args.fit_on, args.eval_data_pattern, "The weights were") if args.fit_on else ""


def judged_shards_warning(fit_on, eval_data_pattern, what):
    """That something is judged by the ratings that it was fitted on, or "" where it is not; both are patterns of shards."""
    from yt8m.readers.patterns import match_files

    fitted, judged = (
        {os.path.abspath(path) for path in match_files(pattern, flag)}
        for pattern, flag in ((fit_on, "fit_on"), (eval_data_pattern, "eval_data_pattern"))
    )
    if not fitted & judged:
        return ""
    return f"{what} fitted on {len(fitted & judged)} of these {len(judged)} shards: elsewhere expect less."


# ---------------------------------------------------------------- checks


def _half_rank(args):
    """(half_rank,) of hyperbolic points, () of other methods."""
    return (HALF_RANK if args.half_rank is None else args.half_rank,) if args.method == "hyperbolic" else ()


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
    if args.method not in MEASURES:
        raise UserError(f"--method={args.method}: use one of {', '.join(MEASURES)}.")
    if args.half_rank is not None and args.method != "hyperbolic":
        raise UserError(f"--half_rank={args.half_rank:g} is of --method=hyperbolic. Give that method, or leave it out.")
    if args.half_rank is not None and not 0 < args.half_rank < math.inf:
        raise UserError(f"--half_rank={args.half_rank:g}: use a rank above 0.")
    if args.max_pred is not None and args.max_pred < 1:
        raise UserError(f"--max_pred={args.max_pred}: use 1 or more.")
    if args.fit_prior is not None and not 0 <= args.fit_prior < math.inf:
        raise UserError(f"--fit_prior={args.fit_prior}: use a number of ratings from 0 up.")
    if not stores and args.method not in OF_RANKS:
        raise UserError(f"--method={args.method} needs scores, which submission files do not hold. Use --method=rank.")
    if not stores and (args.scores_output or args.fit_on):
        flag = "scores_output" if args.scores_output else "fit_on"
        raise UserError(f"--{flag} needs scores, which submission files do not hold. Name folders of scores.")
    if args.method in OF_RANKS and (args.scores_output or args.fit_on):
        flag = "scores_output" if args.scores_output else "fit_on"
        raise UserError(f"--{flag} is for probabilities, not for ranks. Use --method=mean.")
    if args.method == "geometric" and args.fit_on:
        raise UserError("--fit_on fits the weights of a mean, not of a geometric mean. Use --method=mean, or give --weights.")
    if args.fit_on and args.weights:
        raise UserError("--fit_on finds the weights that --weights gives. Leave one of them out.")
    for flag, needed in (("weights_output", "fit_on"), ("report_output", "eval_data_pattern")):
        if getattr(args, flag) and not getattr(args, needed):
            raise UserError(f"--{flag} needs --{needed}.")
    for flag, needed in (
        ("fit_prior", ("fit_on",)),
        ("id_feature", ("fit_on", "eval_data_pattern")),
        ("max_pred", ("output_file",) if stores else ("output_file", "eval_data_pattern")),
    ):
        if getattr(args, flag) is not None and not any(getattr(args, name) for name in needed):
            raise UserError(f"--{flag}={getattr(args, flag)} needs {' or '.join(f'--{name}' for name in needed)}.")
    if not (args.output_file or args.scores_output or args.weights_output or args.eval_data_pattern):
        raise UserError("nothing to make. Give --output_file, --scores_output, --weights_output or --eval_data_pattern.")
    for flag in ("output_file", "weights_output", "report_output"):
        path = getattr(args, flag) or ""
        if path.endswith(os.sep) or os.path.isdir(path):
            raise UserError(f"--{flag}={path}: is a folder. Name a file.")
    if args.output_file and os.path.realpath(args.output_file) in map(os.path.realpath, args.members):
        raise UserError(f"--output_file={args.output_file} is a member of the ensemble. Name another file.")
    for flag in OUTPUTS:
        if getattr(args, flag):
            check_writable(getattr(args, flag), f"--{flag}={getattr(args, flag)}")
