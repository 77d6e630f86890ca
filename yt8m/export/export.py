"""A trained model as files that run without this package: SavedModel and LiteRT, and what each of them costs in MAP."""

import contextlib
import dataclasses
import json
import math
import os
import shutil

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from yt8m.config import write_text
from yt8m.errors import UserError
from yt8m.export import litert, signatures
from yt8m.metrics.segments import segment_metrics_from_pairs
from yt8m.readers import datasets
from yt8m.readers.labels import LabelMap, read_label_ids
from yt8m.training.data import frame_spec
from yt8m.training.predict import SEGMENT_SIZE, make_predict, mean_features

FORMATS = ("saved_model", "mediapipe", *litert.FORMATS)
DEFAULT_FORMATS = ("saved_model", "float32", "float16", "int8")
REPORT = "export.json"


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What to export.

    Attributes:
        output_dir: folder to make.
        formats: some of FORMATS.
        label_ids, columns: classes among which serving looks for the top segments, and the model's columns that they are.
        top_k: (segment, class) pairs a video that serving gives; classes a video of the starter's signature.
        eval_data_pattern: rated shards to measure MAP on; "": nothing is measured.
        calibration_data_pattern: rated shards from which int8 learns the ranges of activations.
        calibration_segments: how many segments of them, at least.
        batch_size: videos at a time.
        overwrite: replace an earlier export in output_dir.
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


@dataclasses.dataclass
class Exported:
    """One format as it was written, or why it was not.

    Attributes:
        format: one of FORMATS, or "keras", the model itself.
        files: names in the output folder.
        size: bytes; of "keras" those of its weights.
        score: function of a batch (rated_videos) -> float32 [N, C], or None where there is nothing to measure.
        problem: why it was not written.
        map, max_difference: filled in by `measure`; the difference is that of predictions from the Keras model's.
    """

    format: str
    files: tuple = ()
    size: int = 0
    score: object = None
    problem: str | None = None
    map: float | None = None
    max_difference: float | None = None


def export(model, config, options, source):
    """Writes the formats, a table of what they cost, and the same as export.json.

    Args:
        model: Keras model in float32.
        config: its ModelConfig.
        options: ExportConfig.
        source: the checkpoint it comes from, for export.json.

    Returns:
        list of Exported, the Keras model first. The folder appears when all is done.

    Raises:
        UserError: the folder is there, no format could be written, or the shards are not as they should be.
    """
    folder = os.path.abspath(os.path.expanduser(options.output_dir))
    check_output_dir(folder, options.overwrite)
    check_shards(options)
    unfinished = f"{folder}.{os.getpid()}.part"
    os.makedirs(unfinished)
    try:
        keras_row = Exported("keras", size=4 * model.count_params(), score=keras_scorer(model))
        rows = [keras_row, *(write_format(model, config, options, kind, unfinished) for kind in options.formats)]
        failed = [row for row in rows if row.problem]
        if len(failed) == len(options.formats):
            raise UserError(failed[0].problem)
        if options.eval_data_pattern:
            measure(rows, config, options)
        write_text(os.path.join(unfinished, REPORT), json.dumps(report(rows, config, options, source), indent=1) + "\n")
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        os.rename(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    show(rows, folder, options)
    return rows


def serving_classes(config, ids_file=None):
    """The classes among which serving looks for the top segments.

    Args:
        config: ModelConfig.
        ids_file: file or URL of label ids; None: all classes that the model predicts.

    Returns:
        (label ids, columns of the model's predictions that they are), tuples of int.

    Raises:
        UserError: the file cannot be read, or names a class that the model does not predict.
    """
    predicted = LabelMap.segment_classes(config.label_ids) if config.label_ids else LabelMap.all(config.num_classes)
    ids = read_label_ids(ids_file) if ids_file else tuple(predicted.label_ids.tolist())
    columns = predicted.columns(np.array(ids, np.int64))
    missing = [label for label, column in zip(ids, columns) if column < 0]
    if missing:
        raise UserError(
            f"--segment_label_ids_file={ids_file}: {len(missing)} of its {len(ids)} classes ({missing[0]}, ...) are none of the "
            f"model's {predicted.size}. Name the file that goes with the model's data."
        )
    return tuple(ids), tuple(columns.tolist())


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
            datasets.match_files(getattr(options, flag), flag)
    if "int8" in options.formats and not options.calibration_data_pattern:
        raise UserError(
            "--formats=int8 needs rated shards to measure activations on. Give --calibration_data_pattern, or --formats=dynamic."
        )


def write_format(model, config, options, kind, folder):
    """Writes one format into a folder.

    Returns:
        Exported; one that says why where the model has no such format.
    """
    print(f"Exporting {kind} ...", flush=True)
    try:
        if kind == "saved_model":
            return write_saved_model(model, config, options, folder)
        if kind == "mediapipe":
            return write_mediapipe(model, config, folder)
        return write_litert(model, config, options, kind, folder)
    except UserError as error:
        print(f"Left out: {error}", flush=True)
        return Exported(kind, problem=str(error))


def write_saved_model(model, config, options, folder):
    """Writes folder/saved_model with the signatures of signatures.serving and, but for context models, `mediapipe` and `starter`.

    Returns:
        Exported, which scores with the SavedModel as it is read back.
    """
    functions = signatures.serving(model, config, options.label_ids, options.columns, options.top_k)
    if model.KIND != "context":
        functions |= {
            "mediapipe": signatures.mediapipe(model, config),
            "starter": signatures.starter(model, config, options.top_k),
        }
    path = os.path.join(folder, "saved_model")
    save(model, functions, path)
    return Exported("saved_model", ("saved_model",), size_of(path), saved_model_scorer(path))


def write_mediapipe(model, config, folder):
    """Writes folder/mediapipe, a SavedModel whose `serving_default` is MediaPipe's: its graphs take the folder as it is.

    Raises:
        UserError: a context model, which scores nothing without the video around.
    """
    if model.KIND == "context":
        raise UserError(
            f"--formats=mediapipe: {type(model).__name__} scores segments by the video around them, which MediaPipe's graphs do "
            "not give. Use --formats=saved_model."
        )
    path = os.path.join(folder, "mediapipe")
    save(model, {"serving_default": signatures.mediapipe(model, config)}, path)
    return Exported("mediapipe", ("mediapipe",), size_of(path))


def save(model, functions, path):
    """Writes a SavedModel with these functions as its signatures; each variable is stored once.

    Raises:
        UserError: TensorFlow built recurrent layers of the GPU that it sees, which would run nowhere else.
    """
    operations = set().union(*(litert.operations_of(function.get_concrete_function()) for function in functions.values()))
    if any(name.startswith("Cudnn") for name in operations):
        raise UserError(
            f"{type(model).__name__} would be exported with layers for GPUs only. Run export_model.py with no GPU in use."
        )
    module = tf.Module()
    module.tracked = [variable.value for variable in model.variables]
    with litert.without_notes():
        tf.saved_model.save(module, path, signatures=functions)


def write_litert(model, config, options, kind, folder):
    """Writes a .tflite file for each part of the model (litert.functions).

    Returns:
        Exported, which scores with the files' interpreters.
    """
    functions = litert.functions(model, config)
    examples = calibration_examples(model, config, options) if kind == "int8" else {}
    contents = {part: litert.convert(function, model, kind, examples.get(part, ())) for part, function in functions.items()}
    names = {part: f"{part}_{kind}.tflite" for part in contents}
    try:
        parts = {part: litert.LiteModel(content) for part, content in contents.items()}
    except UserError as error:
        raise UserError(f"--formats={kind}: {error} Use another format.") from error
    for part, content in contents.items():
        with open(os.path.join(folder, names[part]), "wb") as file:
            file.write(content)

    def score(batch):
        return litert.score(model.KIND, parts, batch, config.max_frames)

    return Exported(kind, tuple(names.values()), sum(map(len, contents.values())), score)


def calibration_examples(model, config, options):
    """Inputs of each part of the model from --calibration_data_pattern: those of at least calibration_segments segments."""
    examples, count = {}, 0
    spec = rated_videos(config, options.calibration_data_pattern, "calibration_data_pattern")
    with contextlib.closing(batches(spec, options.batch_size)) as source:
        for batch in source:
            for part, inputs in litert.calibration_inputs(model, batch, config.max_frames).items():
                examples.setdefault(part, []).extend(inputs)
            count += len(batch["start_times"])
            if count >= options.calibration_segments:
                break
    return examples


def rated_videos(config, pattern, flag):
    """DataSpec of rated segments in their videos, whatever the model takes."""
    return dataclasses.replace(
        frame_spec(config, pattern, pattern_flag=flag),
        as_video_features=False,
        segment_labels=True,
        context=True,
        segment_expansion=config.segment_expansion,
    )


def batches(spec, batch_size):
    """Batches as numpy arrays."""
    for batch in datasets.evaluation_batches(spec, batch_size, num_parallel=1):
        yield {key: value.numpy() for key, value in batch.items()}


def keras_scorer(model):
    """Function of a batch of rated videos -> float32 [N, C] by the Keras model, as in evaluation."""
    predict = make_predict(model)

    def score(batch):
        if model.KIND == "video":
            return predict({"features": mean_features(batch["frames"], batch["num_frames"])})
        if model.KIND == "sequence":
            return predict({**batch, "frames": batch["context_frames"], "num_frames": batch["context_num_frames"]})
        return predict(batch)

    return score


def saved_model_scorer(path):
    """The same by the `segments` signature of a SavedModel."""
    loaded = tf.saved_model.load(path)

    def score(batch):
        found = loaded.signatures["segments"](
            frames=tf.constant(batch["context_frames"]), num_frames=tf.constant(batch["context_num_frames"])
        )
        return found["probabilities"].numpy()[batch["segment_rows"], batch["start_times"] // SEGMENT_SIZE]

    return score


def measure(rows, config, options):
    """Fills in MAP over the rated segments of --eval_data_pattern and the largest difference from the Keras model's predictions.

    Args:
        rows: list of Exported, the Keras model first.
        config: ModelConfig.
        options: ExportConfig.
    """
    rows = [row for row in rows if row.score is not None]
    scores, pairs, differences = {row.format: [] for row in rows}, [], dict.fromkeys((row.format for row in rows), 0.0)
    for batch in batches(rated_videos(config, options.eval_data_pattern, "eval_data_pattern"), options.batch_size):
        at = np.nonzero(batch["label_weights"])
        pairs.append((at[1], batch["labels"][at]))
        expected = rows[0].score(batch)
        for row in rows:
            found = expected if row is rows[0] else row.score(batch)
            scores[row.format].append(found[at])
            differences[row.format] = max(differences[row.format], float(np.abs(found - expected).max()))
    classes, labels = (np.concatenate(part) for part in zip(*pairs))
    for row in rows:
        metrics = segment_metrics_from_pairs(classes, np.concatenate(scores[row.format]), labels, config.num_outputs)
        row.map, row.max_difference = metrics["map"], differences[row.format]


def size_of(folder):
    """Bytes of all files in a folder."""
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(folder) for name in names)


def report(rows, config, options, source):
    """export.json: what was exported, how to feed it, and the table."""
    return {
        "version": 1,
        "model": config.model,
        "checkpoint": os.path.basename(source),
        "feature_names": config.segment_feature_names,
        "feature_sizes": config.feature_sizes,
        "max_frames": config.max_frames,
        "segment_size": SEGMENT_SIZE,
        "segment_expansion": config.segment_expansion,
        "label_ids": config.label_ids or list(range(config.num_classes)),
        "serving_label_ids": options.label_ids,
        "top_k": options.top_k,
        "eval_data_pattern": options.eval_data_pattern or None,
        "calibration_data_pattern": options.calibration_data_pattern or None,
        "formats": [
            {
                "format": row.format,
                "files": row.files,
                "bytes": row.size,
                "map": _number(row.map),
                "map_loss": _number(row.map and rows[0].map - row.map),
                "max_difference": _number(row.max_difference),
                "problem": row.problem,
            }
            for row in rows
        ],
    }


def _number(value):
    """A number as JSON has it: no nan."""
    return None if value is None or math.isnan(value) else value


def show(rows, folder, options):
    """Prints the table."""
    where = f" on {options.eval_data_pattern}" if options.eval_data_pattern else "; no --eval_data_pattern, so no MAP"
    table = Table(title=f"{folder}{where}", title_justify="left")
    for column in ("format", "MB", "MAP", "loss of MAP", "largest difference"):
        table.add_column(column, justify="left" if column == "format" else "right")
    for row in rows:
        size = "left out" if row.problem else f"{row.size / 1e6:.2f}"
        cells = [] if row.map is None else [f"{row.map:.4f}"]
        if cells and row is not rows[0]:
            cells += [f"{rows[0].map - row.map:.4f}", f"{row.max_difference:.1e}"]
        table.add_row(row.format, size, *cells)
    Console().print(table)
