"""A trained model as files that run without this package: SavedModel and LiteRT, and what each of them costs in MAP."""

import csv
import dataclasses
import io
import json
import os

from yt8m.errors import UserError
from yt8m.export import report
from yt8m.export.formats import Exported, write_format
from yt8m.export.measure import keras_scorer, measure
from yt8m.files import replacing_folder, write_text
from yt8m.readers.patterns import match_files
from yt8m.scoring.classes import predicted_label_ids

REPORT, LABELS = "export.json", "labels.csv"


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What to export.

    Attributes:
        output_dir: folder to make.
        formats: some of formats.FORMATS.
        label_ids, columns: classes among which serving looks for the top segments, and the model's columns that they are.
        top_k: (segment, class) pairs a video that serving gives; classes a video of the starter's signature.
        eval_data_pattern: rated shards to measure MAP on; "": nothing is measured.
        calibration_data_pattern: rated shards from which int8 learns the ranges of activations.
        calibration_segments: how many segments of them, at least.
        batch_size: videos at a time.
        overwrite: replace an earlier export in output_dir.
        names: {label id: class name}, for labels.csv.
    """

    output_dir: str
    formats: tuple
    label_ids: tuple
    columns: tuple
    top_k: int = 20
    eval_data_pattern: str = ""
    calibration_data_pattern: str = ""
    calibration_segments: int = 300
    batch_size: int = 16
    overwrite: bool = False
    names: dict = dataclasses.field(default_factory=dict)


def export(model, config, options, source):
    """Writes the formats, a table of what they cost, and the same as export.json.

    Args:
        model: Keras model in float32.
        config: its ModelConfig.
        options: ExportConfig.
        source: the checkpoint it comes from, for export.json.

    Returns:
        list of formats.Exported, the Keras model first. The folder appears when all is done.

    Raises:
        UserError: the folder is there, no format could be written, or the shards are not as they should be.
    """
    folder = os.path.abspath(os.path.expanduser(options.output_dir))
    check_output_dir(folder, options.overwrite)
    check_shards(options)
    with replacing_folder(folder, f"--output_dir={folder}") as unfinished:
        keras_row = Exported("keras", size=4 * model.count_params(), score=keras_scorer(model))
        rows = [keras_row, *(write_format(model, config, options, kind, unfinished) for kind in options.formats)]
        failed = [row for row in rows if row.problem]
        if len(failed) == len(options.formats):
            raise UserError(failed[0].problem)
        if options.eval_data_pattern:
            measure(rows, config, options)
        _write_labels(os.path.join(unfinished, LABELS), predicted_label_ids(config), options.names)
        write_text(os.path.join(unfinished, REPORT), json.dumps(report.content(rows, config, options, source), indent=1) + "\n")
    report.show(rows, folder, options)
    return rows


def _write_labels(path, label_ids, names):
    """Writes what each column of the predictions stands for, a line each: label id and name, as vocabularies have them."""
    text = io.StringIO()
    rows = ((column, label, names.get(label, "")) for column, label in enumerate(label_ids))
    csv.writer(text, lineterminator="\n").writerows([("Column", "Index", "Name"), *rows])
    write_text(path, text.getvalue())


def check_output_dir(folder, overwrite):
    """Refuses a folder that is there, unless it is an earlier export and may be replaced.

    Raises:
        UserError: says what to do.
    """
    if not os.path.lexists(folder):
        return
    if not os.path.exists(os.path.join(folder, REPORT)):
        raise UserError(f"--output_dir={folder}: is there and is no earlier export. Name a new folder.")
    if not overwrite:
        raise UserError(f"--output_dir={folder}: holds an earlier export. Give --overwrite, or name a new folder.")


def check_shards(options):
    """Refuses patterns that match nothing, and int8 without shards to calibrate on.

    Raises:
        UserError: names the flag.
    """
    for flag in ("eval_data_pattern", "calibration_data_pattern"):
        if getattr(options, flag):
            match_files(getattr(options, flag), flag)
    if "int8" in options.formats and not options.calibration_data_pattern:
        raise UserError(
            "--formats=int8 needs rated shards to measure activations on. Give --calibration_data_pattern, or --formats=dynamic."
        )
