"""A store's best segments ranked anew by what rated segments say of them, as `yt8m rerank` does it."""

import os

from yt8m import flags
from yt8m.errors import UserError
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks
from yt8m.reranking import command
from yt8m.reranking.frames import FrameFeatures

NEEDED = {
    "scores": "a store of the scores of segments (yt8m inference --segment_labels --scores_output)",
    "data_pattern": "the shards of --scores, with frames",
    "references": "rated shards with frames, to compare segments with",
    "fit_on": "rated shards with frames that the scores' models were not trained on; they may be those of --references",
    "fit_scores": "a store of the scores of the segments of --fit_on",
}
FOLDERS = ("fit_scores", "fit_video_scores", "scores", "video_scores", "scores_output", "output_file", "report_output")
PLAIN = ("references", "fit_on", "data_pattern", "method", "candidates", "eval_data_pattern")
DEFAULTS = FrameFeatures()


@errors_as_user_errors()
def rerank(**given):
    """Fits a ranker of (segment, class) pairs on ratings, ranks a store's best segments by it, and writes and judges the result.

    Args:
        **given: flags of `yt8m rerank` by name, e.g. references=..., fit_on=..., fit_scores=..., scores=..., output_file=...

    Returns:
        ensembles.fusion_report.Report of the ratings of eval_data_pattern; None where that is not given.

    Raises:
        UserError: an unknown flag, a bad value, flags, stores or shards that do not go together, scikit-learn is not installed,
            or an output that cannot be written.
    """
    given = flags.read(flags.RERANK, given)
    _check(given)
    paths = {name: os.path.expanduser(given[name]) for name in FOLDERS if given.get(name)}
    return command.run(
        command.RerankJob(
            **paths,
            **{name: given[name] for name in PLAIN if given.get(name)},
            label_ids_file=given.get("segment_label_ids_file", ""),
            max_pred=given.get("segment_max_pred", 100_000),
            features=_features(given),
        )
    )


def _check(given):
    """Refuses flags that do not go together.

    Raises:
        UserError: names them.
    """
    for name, meaning in NEEDED.items():
        if not given.get(name):
            raise UserError(f"--{name} is missing. Name {meaning}.")
    if bool(given.get("video_scores")) != bool(given.get("fit_video_scores")):
        there, lacking = (
            ("video_scores", "fit_video_scores") if given.get("video_scores") else ("fit_video_scores", "video_scores")
        )
        raise UserError(f"--{there} without --{lacking}: the ranker needs the videos' scores of both. Give both, or none.")
    checks.positive(given, "candidates", "segment_max_pred")
    if given.get("report_output") and not given.get("eval_data_pattern"):
        raise UserError("--report_output needs --eval_data_pattern.")
    if not any(given.get(name) for name in ("eval_data_pattern", "scores_output", "output_file")):
        raise UserError("nothing to make. Give --output_file, --scores_output or --eval_data_pattern.")


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
