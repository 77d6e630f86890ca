"""A trained model as files, as `yt8m export` writes them."""

import contextlib
import dataclasses
import os

import tensorflow as tf

from yt8m import flags
from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.export import export
from yt8m.export.formats import DEFAULT_FORMATS, FORMATS
from yt8m.features import origin
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks, sources
from yt8m.scoring.classes import columns_of, predicted_label_ids, scored_label_ids
from yt8m.training import restore
from yt8m.training.names import class_names


@errors_as_user_errors()
def export_model(**given):
    """Writes a trained model as files that run without this package, and prints what each of them costs.

    Args:
        **given: flags of `yt8m export` by name, e.g. train_dir=..., formats=["saved_model"], output_dir=...

    Returns:
        Path of the folder that was written.

    Raises:
        UserError: an unknown flag, a bad value, no checkpoint, bad shards, a folder that is there or cannot be written.
    """
    check_backend("export")
    given = flags.read(flags.EXPORT, given)
    with contextlib.suppress(RuntimeError):  # the process has used its GPU already: export refuses what only GPUs could run
        tf.config.set_visible_devices([], "GPU")
    checks.positive(given, "batch_size", "top_k", "calibration_segments")
    folder = sources.folder_of_run(given)
    output = os.path.expanduser(given.get("output_dir") or os.path.join(folder, "export"))
    overwrite = given.get("overwrite", False)
    export.check_output_dir(output, overwrite)
    trained = restore.newest(folder, given.get("checkpoint"), sources.expected(given))
    sample = restore.sample_of(trained.config)
    calibration = given.get("calibration_data_pattern") or (sample.rated_pattern if sample else "")
    judged = given.get("eval_data_pattern") or (sample.held_out_pattern if sample else "")
    for flag, pattern in (("calibration_data_pattern", calibration), ("eval_data_pattern", judged)):
        origin.check_scored([(trained.config.backbone, trained.prefix)], pattern, flag)
    ids_file = given.get("segment_label_ids_file")
    label_ids = scored_label_ids([trained.config], ids_file) or predicted_label_ids(trained.config)
    options = export.ExportConfig(
        output_dir=output,
        formats=_formats(given, calibration),
        label_ids=label_ids,
        columns=tuple(columns_of(trained.config, label_ids)),
        top_k=given.get("top_k", 20),
        eval_data_pattern=judged,
        calibration_data_pattern=calibration,
        calibration_segments=given.get("calibration_segments", 300),
        batch_size=given.get("batch_size", 16),
        overwrite=overwrite,
        names=class_names(trained.config, given.get("vocabulary_file")),
    )
    export.export(_in_float32(trained), trained.config, options, trained.prefix)
    print(f"Wrote {output}. docs/export.md says how to call what is in it.")
    return output


def _formats(given, calibration):
    """--formats, or the default ones; UserError for an unknown one."""
    chosen = tuple(dict.fromkeys(given.get("formats") or DEFAULT_FORMATS))
    unknown = [name for name in chosen if name not in FORMATS]
    if unknown:
        raise UserError(f"--formats={unknown[0]}: unknown. Use some of {', '.join(FORMATS)}.")
    if not given.get("formats") and not calibration:
        print("int8 is left out: there is no --calibration_data_pattern.")
        return tuple(name for name in chosen if name != "int8")
    return chosen


def _in_float32(trained):
    """The model with float32 arithmetic, whatever it was trained with."""
    if trained.config.precision == "float32":
        return trained.model
    model = restore.build(dataclasses.replace(trained.config, precision="float32"))
    model.set_weights(trained.model.get_weights())
    return model
