"""The formats that a model is exported in, as they are written."""

import contextlib
import dataclasses
import os

import tensorflow as tf

from yt8m.config import MODEL_FILE, write_model_config
from yt8m.errors import UserError
from yt8m.export import litert, signatures
from yt8m.export.measure import batches, rated_videos
from yt8m.segments import SEGMENT_SIZE
from yt8m.training import keras_files

FORMATS = ("saved_model", "mediapipe", "keras", *litert.FORMATS)
DEFAULT_FORMATS = ("saved_model", "float32", "float16", "int8")


@dataclasses.dataclass
class Exported:
    """One format as it was written, or why it was not.

    Attributes:
        format: one of FORMATS ("keras_file" stands for "keras"), or "keras", the model itself.
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
        if kind == "keras":
            return write_keras(model, config, folder)
        return write_litert(model, config, options, kind, folder)
    except UserError as error:
        print(f"Left out: {error}", flush=True)
        return Exported(kind, problem=str(error))


def write_saved_model(model, config, options, folder):
    """Writes folder/saved_model with the signatures of signatures.serving and, if it SCORES_VIDEOS, `mediapipe` and `starter`.

    Returns:
        Exported, which scores with the SavedModel as it is read back.
    """
    functions = signatures.serving(model, config, options.label_ids, options.columns, options.top_k)
    if model.SCORES_VIDEOS:
        functions |= {
            "mediapipe": signatures.mediapipe(model, config),
            "starter": signatures.starter(model, config, options.top_k),
        }
    path = os.path.join(folder, "saved_model")
    save(model, functions, path, config.label_ids)
    return Exported("saved_model", ("saved_model",), size_of(path), saved_model_scorer(path))


def write_mediapipe(model, config, folder):
    """Writes folder/mediapipe, a SavedModel whose `serving_default` is MediaPipe's: its graphs take the folder as it is.

    Raises:
        UserError: a model that scores nothing without the video around.
    """
    if not model.SCORES_VIDEOS:
        raise UserError(
            f"--formats=mediapipe: {type(model).__name__} scores segments by the video around them, which MediaPipe's graphs do "
            "not give. Use --formats=saved_model."
        )
    path = os.path.join(folder, "mediapipe")
    save(model, {"serving_default": signatures.mediapipe(model, config)}, path, config.label_ids)
    return Exported("mediapipe", ("mediapipe",), size_of(path))


def write_keras(model, config, folder):
    """Writes folder/model.keras, which keras.saving.load_model and yt8m.load take, with model_flags.json for the latter."""
    path, flags = os.path.join(folder, keras_files.NAMES[0]), os.path.join(folder, MODEL_FILE)
    model.save(path)
    write_model_config(folder, dataclasses.replace(config, precision="float32"))
    return Exported("keras_file", (keras_files.NAMES[0], MODEL_FILE), os.path.getsize(path) + os.path.getsize(flags))


def save(model, functions, path, label_ids=None):
    """Writes a SavedModel with these functions as its signatures; each variable is stored once.

    Args:
        model: Keras model.
        functions: {name: tf.function}.
        path: folder to write.
        label_ids: of a model whose columns are not label ids; they are kept as the variable `yt8m_label_ids` int64 [C].

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
    if label_ids is not None:
        module.yt8m_label_ids = tf.Variable(label_ids, trainable=False, dtype=tf.int64)
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
        return litert.score(model, parts, batch, config.max_frames)

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


def saved_model_scorer(path):
    """Function of a batch of rated videos -> float32 [N, C] by the `segments` signature of a SavedModel."""
    loaded = tf.saved_model.load(path)

    def score(batch):
        scores = loaded.signatures["segments"](
            frames=tf.constant(batch["context_frames"]), num_frames=tf.constant(batch["context_num_frames"])
        )
        return scores["probabilities"].numpy()[batch["segment_rows"], batch["start_times"] // SEGMENT_SIZE]

    return score


def size_of(folder):
    """Bytes of all files in a folder."""
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(folder) for name in names)
