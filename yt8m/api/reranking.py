"""Best segments ranked anew by what rated segments say of them, one model's or an ensemble's, as `yt8m rerank` does it."""

import os

from yt8m import config as configs
from yt8m import flags
from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.folders import named_folders
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks, sources
from yt8m.reranking import command, rankers, scores
from yt8m.reranking.embedding import SegmentEmbedding
from yt8m.reranking.frames import FrameFeatures
from yt8m.reranking.references import NEIGHBOURHOOD, Neighbourhood
from yt8m.training import restore

TO_RANK = {
    "data_pattern": "the shards to rank, with frames",
    "references": "rated shards with frames, to compare segments with",
}
SHARDS = {
    **TO_RANK,
    "fit_on": "rated shards with frames that the scores' models were not trained on; they may be those of --references",
}
STORES = {
    "scores": "a store of the scores of segments (yt8m inference --segment_labels --scores_output), one for each member",
    **SHARDS,
    "fit_scores": "a store of the scores of the segments of --fit_on, one for each of --scores",
}
OF_STORES = command.STORES
OF_RUNS = ("train_dir", "work_dir", "scores_dtype", "batch_size", "num_readers")
PATHS = ("scores_output", "output_file", "report_output", "embedding_dir")
PLAIN = (
    "references",
    "fit_on",
    "data_pattern",
    "method",
    "method_options",
    "candidates",
    "candidates_by",
    "video_maximum",
    "rank_average",
    "eval_data_pattern",
)
DEFAULTS = FrameFeatures()


@errors_as_user_errors()
def rerank(**given):
    """Fits rankers of (segment, class) pairs on ratings, ranks segments by them, and writes and judges the result.

    Args:
        **given: flags of `yt8m rerank` by name: train_dir=[...] (runs, whose scores are made) or scores=..., fit_scores=...
            (stores), references=..., fit_on=..., data_pattern=..., output_file=... Runs on the built-in sample need no shards.

    Returns:
        ensembles.fusion_report.Report of the ratings of eval_data_pattern; None where there are none.

    Raises:
        UserError: an unknown flag, a bad value, flags, runs, stores or shards that do not go together, scikit-learn is not
            installed, or an output that cannot be written.
    """
    given = flags.read(flags.RERANK, given)
    _check(given)
    rankers.check_installed()
    if not _of_stores(given):
        given = _with_scores(given)
    paths = {name: os.path.expanduser(given[name]) for name in PATHS if given.get(name)}
    return command.run(
        command.RerankJob(
            **paths,
            **{name: _folders(given[name]) for name in OF_STORES if given.get(name)},
            **{name: given[name] for name in PLAIN if given.get(name)},
            neighbourhood=_neighbourhood(given),
            label_ids_file=given.get("segment_label_ids_file", ""),
            max_pred=given.get("segment_max_pred", 100_000),
            features=_features(given),
        )
    )


def _of_stores(given):
    """Whether stores are named, not runs."""
    return any(given.get(name) for name in OF_STORES)


def _folders(value):
    """The folders of a flag, a tuple."""
    return tuple(folder for folder in named_folders(value) if folder)


def _check(given):
    """Refuses flags that do not go together.

    Raises:
        UserError: names them.
    """
    of_stores = _of_stores(given)
    if of_stores:
        _check_stores(given)
    checks.positive(
        given, "candidates", "segment_max_pred", "batch_size", "num_readers", "nearest_references", "top_references",
        "vote_temperature",
    )  # fmt: skip
    checks.not_negative(given, "video_maximum", "rank_average")
    checks.file(given, "output_file", "report_output")
    checks.writable(given, "output_file", "scores_output", "report_output")
    if given.get("segment_max_pred") and not given.get("output_file") and (of_stores or "output_file" in given):
        asked = f"--segment_max_pred={given['segment_max_pred']}"
        raise UserError(f"{asked} is about what is written to --output_file. Give one, or leave it out.")
    if given.get("rank_average", 0) > 1:
        raise UserError(f"--rank_average={given['rank_average']}: the share of the rank before must not be above 1.")
    if "method_options" in given:
        rankers.options_of(given.get("method", "logistic"), given["method_options"])
    named = [name for name in SHARDS if given.get(name)]
    if not of_stores and named:
        _check_given(given, TO_RANK)
    if given.get("report_output") and not given.get("eval_data_pattern") and (of_stores or named or "eval_data_pattern" in given):
        raise UserError("--report_output needs --eval_data_pattern.")
    made = any(given.get(name) for name in ("eval_data_pattern", "scores_output", "output_file"))
    if not made and (of_stores or (given.get("output_file") == "" and named)):
        raise UserError("nothing to make. Give --output_file, --scores_output or --eval_data_pattern.")


def _check_stores(given):
    """Refuses stores that lack others, or that are named beside runs.

    Raises:
        UserError: names them.
    """
    for name in OF_RUNS:
        if given.get(name):
            raise UserError(f"--{name}={given[name]} is for runs, and stores of scores are named. Leave one of them out.")
    _check_given(given, STORES)
    if bool(given.get("video_scores")) != bool(given.get("fit_video_scores")):
        there, lacking = (
            ("video_scores", "fit_video_scores") if given.get("video_scores") else ("fit_video_scores", "video_scores")
        )
        raise UserError(f"--{there} without --{lacking}: the ranker needs the videos' scores of both. Give both, or none.")
    count = len(_folders(given["scores"]))
    for name in OF_STORES:
        folders = _folders(given.get(name, ""))
        if folders and len(folders) != count:
            raise UserError(f"--{name}={given[name]}: {len(folders)} stores for {count} of --scores. Give one each.")
        if len(set(map(os.path.realpath, folders))) < len(folders):
            raise UserError(f"--{name}={given[name]}: a store is named twice. Name each member once.")


def _check_given(given, needed):
    """Raises UserError for the first of {flag: meaning} that is not given."""
    for name, meaning in needed.items():
        if not given.get(name):
            raise UserError(f"--{name} is missing. Name {meaning}.")


def _with_scores(given):
    """What was given, with the stores of the runs' scores, which are made, and what follows from the runs."""
    check_backend("inference")
    named = named_folders(sources.folder_of_run(given))
    members = {folder: tuple(sources.folders_of_runs({"train_dir": folder})) for folder in named}
    if len(set(map(os.path.realpath, members))) < len(named):
        raise UserError(f"--train_dir={given['train_dir']}: a run is named twice. Name each member once.")
    first = configs.read_model_config(members[named[0]][0])
    sample = None if given.get("data_pattern") else restore.sample_of(first)
    if sample is None:
        _check_given(given, TO_RANK)
    else:
        print("No --data_pattern: the test part of the built-in sample, which the first run was trained on.", flush=True)
        of_sample = {"data_pattern": sample.test_pattern, "eval_data_pattern": sample.test_ratings_pattern}
        rated = {"references": f"{sample.rated_pattern},{sample.held_out_pattern}", "fit_on": sample.held_out_pattern}
        given = {**of_sample, **rated, **given}
    features = {
        "feature_names": first.segment_feature_names,
        "feature_sizes": first.feature_sizes,
        "id_feature": first.id_feature,
    }
    given = {**features, **given}
    _check_embedding(given)
    work_dir = os.path.expanduser(given.get("work_dir") or os.path.join(named[0], "reranked"))
    job = scores.ScoreJob(
        members,
        given.get("fit_on") or given["references"],
        given["data_pattern"],
        work_dir,
        fit_on_named=bool(given.get("fit_on")),
        label_ids_file=given.get("segment_label_ids_file", ""),
        dtype=given.get("scores_dtype", "float16"),
        batch_size=given.get("batch_size", 128),
        num_readers=given.get("num_readers", 2),
    )
    fitted, ranked, shards = scores.make_stores(job)
    output = {"output_file": os.path.join(work_dir, "submission.csv"), **given}["output_file"]
    stores = {"fit_scores": ",".join(fitted), "scores": ",".join(ranked)}
    return {**given, **stores, "fit_on": ",".join(shards), "output_file": output}


def _check_embedding(given):
    """Refuses a bad --embedding_dir, or features, before anything is scored.

    Raises:
        UserError: as embedding.SegmentEmbedding.
    """
    features = _features(given)
    if given.get("embedding_dir"):
        patterns = {name: given[name] for name in SHARDS if given.get(name)}
        SegmentEmbedding(os.path.expanduser(given["embedding_dir"]), features, patterns)


def _neighbourhood(given):
    """The Neighbourhood that is meant."""
    return Neighbourhood(
        given.get("nearest_references", NEIGHBOURHOOD.nearest),
        given.get("top_references", NEIGHBOURHOOD.top),
        given.get("vote_temperature", NEIGHBOURHOOD.temperature),
    )


def _features(given):
    """The FrameFeatures that are meant.

    Raises:
        UserError: not two features, or not a size for each.
    """
    names = given.get("feature_names") or DEFAULTS.names
    sizes = given.get("feature_sizes") or DEFAULTS.sizes
    for flag, values in (("feature_names", names), ("feature_sizes", sizes)):
        if len(values) != 2:
            shown = ",".join(map(str, values))
            raise UserError(
                f"--{flag}={shown}: segments are compared by two features of a frame, such as rgb and audio, not by "
                f"{len(values)}. Give two."
            )
    return FrameFeatures(tuple(names), tuple(sizes), given.get("id_feature") or DEFAULTS.id_feature)
