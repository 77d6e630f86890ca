"""LiteRT (TensorFlow Lite) files of a model, and the scores that they give."""

import contextlib
import os
import sys
import tempfile
import warnings

import numpy as np
import tensorflow as tf

from yt8m import models
from yt8m.errors import UserError
from yt8m.export.signatures import window_probabilities
from yt8m.segments import SEGMENT_SIZE, starts_of

FORMATS = ("float32", "float16", "int8", "dynamic")
_LOOPS = {"While", "StatelessWhile"}
_NOTHING_QUANTISED = "check if the quantized model is in debug mode"  # what TensorFlow says then
# What int8 leaves in float32, all but the products with weights: there are no weights to make smaller in the rest, and 8 bits are
# too few for some of it (attention over 300 frames, the least float that masks padding, a sum of a thousand squares, a divisor).
_FLOAT_OPERATIONS = (
    "ADD", "BATCH_MATMUL", "CONCATENATION", "DIV", "EXP", "GATHER", "L2_NORMALIZATION", "LOG", "LOGISTIC", "MAXIMUM", "MEAN",
    "MINIMUM", "MUL", "NEG", "PAD", "PADV2", "POW", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "RELU", "RELU6", "RESHAPE",
    "REVERSE_V2", "RSQRT", "SELECT", "SELECT_V2", "SLICE", "SOFTMAX", "SPLIT", "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE",
    "STRIDED_SLICE", "SUB", "SUM", "TANH", "TILE", "TRANSPOSE", "UNPACK",
)  # fmt: skip


def functions(model, config):
    """What is converted, of fixed shapes, for one row.

    Args:
        model: BaseModel.
        config: its ModelConfig.

    Returns:
        dict of part -> tf.function with named inputs and outputs:
        frame and video: {"segment": `frames` uint8 [1, W, D], `num_frames` int32 [1] -> `probabilities` float32 [1, C]}, a
            window of W = 5 + 2 segment_expansion frames;
        sequence: {"video": `frames` uint8 [1, max_frames, D], `num_frames` int32 [1] -> `probabilities` [1, S, C]};
        context: {"context": `frames` uint8 [1, max_frames, D], `num_frames` int32 [1] -> `context_embedding` float32 [1, E];
            "segment": `context_embedding`, `frames` [1, W, D], `num_frames` [1] -> `probabilities` [1, C]}.
    """
    width, window = sum(config.feature_sizes), SEGMENT_SIZE + 2 * config.segment_expansion

    def frames(length):
        return [tf.TensorSpec([1, length, width], tf.uint8, name="frames"), tf.TensorSpec([1], tf.int32, name="num_frames")]

    @tf.function(input_signature=frames(window))
    def segment(frames, num_frames):
        return {"probabilities": window_probabilities(model, frames, num_frames)}

    @tf.function(input_signature=frames(config.max_frames))
    def video(frames, num_frames):
        starts = starts_of(config.max_frames).astype(np.int32)
        batch = {"frames": frames, "num_frames": num_frames, "segment_rows": np.zeros_like(starts), "start_times": starts}
        return {"probabilities": models.predict(model, batch)[None]}

    if model.KIND == "sequence":
        return {"video": video}
    return _context_functions(model, frames, window, config.max_frames) if model.KIND == "context" else {"segment": segment}


def _context_functions(model, frames, window, max_frames):
    @tf.function(input_signature=frames(max_frames))
    def context(frames, num_frames):
        return {"context_embedding": model.encode_context({"context_frames": frames, "context_num_frames": num_frames})}

    size = context.get_concrete_function().structured_outputs["context_embedding"].shape[1]

    @tf.function(input_signature=[tf.TensorSpec([1, size], tf.float32, name="context_embedding"), *frames(window)])
    def segment(context_embedding, frames, num_frames):
        return {"probabilities": model.predict_segments(context_embedding, frames, num_frames)}

    return {"context": context, "segment": segment}


def convert(function, model, kind, examples=()):
    """Converts one of `functions` with LiteRT's own operations only.

    Args:
        function: tf.function of fixed shapes.
        model: whose weights it uses.
        kind: "float32"; "float16": weights as float16; "int8": products with weights in 8 bits, the ranges of
            activations those of the examples, the rest in float32; "dynamic": 8-bit weights (of 1,024 values and more), the
            ranges of activations measured at run time. Inputs and outputs are the same in all.
        examples: dicts of inputs for "int8".

    Returns:
        The file's bytes.

    Raises:
        UserError: it cannot be converted; says what can.
    """
    concrete = function.get_concrete_function()
    name = type(model).__name__
    if kind == "int8" and operations_of(concrete) & _LOOPS:
        raise UserError(
            f"--formats=int8: {name} computes in a loop (a recurrent layer or sparsemax), in which TensorFlow's converter cannot "
            "measure ranges. Use --formats=dynamic (8-bit weights, float activations), float16 or float32."
        )
    module = tf.Module()
    module.tracked = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.representative_dataset = lambda: iter(examples)
    try:
        with without_notes():
            return _quantised(converter) if kind == "int8" else converter.convert()
    except Exception as error:  # the converter's own, RuntimeError, ValueError: whichever of its passes fails
        reason = " ".join(str(error).split())[:300]
        if _NOTHING_QUANTISED in reason:  # the part has no product with weights, nothing that int8 would change
            return convert(function, model, "float32")
        raise UserError(
            f"--formats={kind}: {name} cannot be converted to LiteRT ({reason}). Use --formats=saved_model."
        ) from error


def _quantised(converter):
    """The converter's model with 8-bit products with weights: TensorFlow's selective quantisation, which its debugger offers."""
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=list(_FLOAT_OPERATIONS))
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=lambda: (), debug_options=options)
    return debugger.get_nondebug_quantized_model()


def operations_of(concrete):
    """Names of the TensorFlow operations of a concrete function, in loops and called functions too."""
    graph = concrete.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes}


class LiteModel:
    """A LiteRT file, run by TensorFlow's interpreter.

    Args:
        content: the file's bytes.

    Raises:
        UserError: the interpreter refuses it.
    """

    def __init__(self, content):
        try:
            with without_notes():
                interpreter = tf.lite.Interpreter(model_content=content, num_threads=os.cpu_count())
                interpreter.allocate_tensors()
                self._run = interpreter.get_signature_runner()
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"TensorFlow's LiteRT interpreter cannot run the converted model ({reason}).") from error

    def __call__(self, **inputs):
        """The one output, for named inputs."""
        try:
            (output,) = self._run(**inputs).values()
        except RuntimeError as error:
            raise UserError(
                f"TensorFlow's LiteRT interpreter failed on the converted model ({error}). Use other --formats."
            ) from error
        return output


def score(model_kind, parts, batch, max_frames):
    """Scores of a batch's rated segments.

    Args:
        model_kind: KIND of the model.
        parts: part -> LiteModel, those of `functions`.
        batch: segments in their videos, numpy (models.predict, of a context model).
        max_frames: of the model's config.

    Returns:
        float32 [N, C].
    """
    windows = list(zip(batch["frames"][:, None], batch["num_frames"][:, None]))
    if model_kind in ("frame", "video"):
        return np.concatenate([parts["segment"](frames=frames, num_frames=count) for frames, count in windows])
    whole = [
        parts["video" if model_kind == "sequence" else "context"](frames=lengthened(frames, max_frames)[None], num_frames=count)
        for frames, count in zip(batch["context_frames"], batch["context_num_frames"][:, None])
    ]
    if model_kind == "sequence":
        return np.concatenate(
            [whole[row][:, start // SEGMENT_SIZE] for row, start in zip(batch["segment_rows"], batch["start_times"])]
        )
    return np.concatenate(
        [
            parts["segment"](context_embedding=whole[row], frames=frames, num_frames=count)
            for row, (frames, count) in zip(batch["segment_rows"], windows)
        ]
    )


def calibration_inputs(model, batch, max_frames):
    """Inputs of each of `functions` for a batch's segments and videos, to measure the ranges of activations with.

    Short windows and videos are filled up with their own frames, over and over, so that padding does not count.

    Args: as for `score`.

    Returns:
        dict of part -> list of dicts of inputs.
    """
    windows = [
        {"frames": repeated(frames, count, len(frames))[None], "num_frames": np.full(1, len(frames), np.int32)}
        for frames, count in zip(batch["frames"], batch["num_frames"])
    ]
    if model.KIND in ("frame", "video"):
        return {"segment": windows}
    whole = [
        {"frames": repeated(frames, count, max_frames)[None], "num_frames": np.full(1, max_frames, np.int32)}
        for frames, count in zip(batch["context_frames"], batch["context_num_frames"])
    ]
    if model.KIND == "sequence":
        return {"video": whole}
    context = np.asarray(model.encode_context(batch))
    segments = [{"context_embedding": context[row : row + 1], **window} for row, window in zip(batch["segment_rows"], windows)]
    return {"context": whole, "segment": segments}


def repeated(frames, count, length):
    """The first `count` frames over and over, to `length`."""
    return frames[np.arange(length) % max(count, 1)]


def lengthened(frames, length):
    """Frames [T, D] with zeros behind them, or without the last of them: [length, D]."""
    return np.pad(frames[:length], ((0, max(0, length - len(frames))), (0, 0)))


@contextlib.contextmanager
def without_notes():
    """Keeps TensorFlow's notes on what it is doing, and that its interpreter will move to another package, off stderr."""
    with tempfile.TemporaryFile() as notes, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
