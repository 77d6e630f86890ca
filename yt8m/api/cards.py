"""Model cards, as `yt8m card` writes them."""

import os

from yt8m import flags
from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.metrics.bootstrap import RESAMPLES
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks, sources
from yt8m.sharing import card
from yt8m.stages.judged import judge
from yt8m.training import bundle, keras_files, restore
from yt8m.training.names import class_names


@errors_as_user_errors()
def write_card(**given):
    """Writes a model card beside a run, an export or a model bundle: what it is, what it is for, how good it is.

    Args:
        **given: flags of `yt8m card` by name, e.g. train_dir=..., license="apache-2.0", eval_data_pattern=...

    Returns:
        Path of the file that was written.

    Raises:
        UserError: an unknown flag, a bad value, no model, bad shards, or a file that is there.
    """
    check_backend("evaluation")
    given = flags.read(flags.CARD, given)
    checks.positive(given, "resamples", "batch_size")
    source = _source(given)
    path = _path(given, source)
    folder, file = (bundle.folder_of(source), os.path.basename(source)) if given.get("input_model_tgz") else (source, "")
    trained = restore.newest(folder, given.get("checkpoint"))
    if not file and keras_files.is_keras_file(trained.prefix):
        file = os.path.basename(trained.prefix)
    options = {name: given[name] for name in ("license", "datasets", "tags", "intended_use", "limits") if name in given}
    described = card.Card(
        name=given.get("name") or f"{trained.config.model}, {trained.config.num_outputs:,} classes",
        file=file,
        evaluation=_evaluation(given, trained),
        **options,
    )
    card.write(path, described, trained, class_names(trained.config, given.get("vocabulary_file")), folder)
    if not described.license:
        print("No --license: the card says that none was named.")
    print(f"Wrote {path}.")
    return path


def _source(given):
    """Path of what the card is of: a bundle, or the folder of a run."""
    if not given.get("input_model_tgz"):
        return sources.folder_of_run(given)
    if given.get("train_dir"):
        raise UserError("--input_model_tgz and --train_dir: both name a model. Leave one of them out.")
    return os.path.abspath(os.path.expanduser(given["input_model_tgz"]))


def _path(given, source):
    """Path of the card: --output_file, else README.md beside the bundle or in the folder of the run.

    Raises:
        UserError: it is there already, or cannot be written.
    """
    beside = os.path.dirname(source) if given.get("input_model_tgz") else source
    named = {"output_file": given.get("output_file") or os.path.join(beside, card.NAME)}
    path = os.path.abspath(os.path.expanduser(named["output_file"]))
    card.check_place(path, given.get("overwrite", False))
    checks.file(named, "output_file")
    checks.writable(named, "output_file")
    return path


def _evaluation(given, trained):
    """The Evaluation that the card shows, made now; None where there are no shards for it."""
    segments = not given.get("whole_videos", False)
    sample = None if given.get("eval_data_pattern") else restore.sample_of(trained.config)
    pattern, name = given.get("eval_data_pattern"), given.get("eval_name")
    if sample:
        frames = segments or trained.config.frame_features
        pattern = sample.held_out_pattern if frames else sample.video_validate_pattern
        name = name or "the built-in sample's held-out videos"
    if not pattern:
        print("No --eval_data_pattern: the card has no evaluation.")
        return None
    origin.check_scored([(trained.config.backbone, trained.prefix)], pattern, "eval_data_pattern")
    name = name or ", ".join(os.path.basename(part.strip()) for part in pattern.split(","))
    _, judged = judge(trained, pattern, segments, given.get("batch_size", 128), given.get("resamples", RESAMPLES))
    return card.Evaluation(judged, name)
