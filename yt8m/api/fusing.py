"""Scores smoothed over time and fused with those of the videos, as `yt8m fuse` does it."""

import os

from yt8m import flags
from yt8m.api.scoring import proposed_videos
from yt8m.ensembles import fuse as fusing
from yt8m.errors import UserError
from yt8m.flags.candidates import FILTERS
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks

FILES = ("scores", "video_scores", "fusion", "fusion_output", "report_output", "scores_output", "output_file")


@errors_as_user_errors()
def fuse(**given):
    """Smooths stored scores over time, adds the mean over each video and the video's score, and writes and judges the result.

    Args:
        **given: flags of `yt8m fuse` by name, e.g. scores=..., video_scores=..., fit_on=..., output_file=...

    Returns:
        ensembles.fusion.Fusion: the smoothing and the weights.

    Raises:
        UserError: an unknown flag, a bad value, flags or stores that do not go together, or an output that cannot be written.
    """
    given = flags.read(flags.FUSE, given)
    _check(given)
    filtered = any(given.get(flag.name) for flag in FILTERS.flags)
    paths = {name: os.path.expanduser(given[name]) for name in FILES if given.get(name)}
    others = {name: given[name] for name in ("fit_on", "eval_data_pattern", "id_feature") if given.get(name)}
    return fusing.run(
        fusing.FuseJob(
            **{**paths, **others},
            label_ids_file=given.get("segment_label_ids_file", ""),
            max_pred=given.get("segment_max_pred", 100_000),
            proposed=proposed_videos(given) if filtered else None,
        )
    )


def _check(given):
    """Refuses flags that do not go together.

    Raises:
        UserError: names them.
    """
    if not given.get("scores"):
        raise UserError("--scores is missing. Name a store of the scores of segments (yt8m inference --scores_output).")
    if bool(given.get("fit_on")) == bool(given.get("fusion")):
        raise UserError("give one of --fit_on (rated shards) and --fusion (a file of --fusion_output).")
    checks.positive(given, "segment_max_pred")
    checks.file(given, "output_file", "fusion_output", "report_output")
    checks.writable(given, "output_file", "scores_output", "fusion_output", "report_output")
    if given.get("fusion_output") and not given.get("fit_on"):
        raise UserError("--fusion_output keeps what --fit_on finds. Give --fit_on, or leave it out.")
    if given.get("report_output") and not (given.get("fit_on") or given.get("eval_data_pattern")):
        raise UserError("--report_output needs --eval_data_pattern.")
    if not any(given.get(name) for name in ("fit_on", "eval_data_pattern", "scores_output", "output_file")):
        raise UserError("nothing to make. Give --output_file, --scores_output or --eval_data_pattern.")
    proposed_videos(given)
    asked = [name for name in ("segment_max_pred", *(flag.name for flag in FILTERS.flags)) if given.get(name)]
    if asked and not given.get("output_file"):
        raise UserError(f"--{asked[0]} is about what is written to --output_file. Give one, or leave it out.")
