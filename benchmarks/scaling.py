"""How training grows with processes, and how long the whole dataset and the papers' recipes would take.

Measured: videos a second of one training in 1 and in 2 processes (TF_CONFIG, loopback, the same global batch, float32), of a
model that is hardly more than the weights whose gradients are summed in every step and of one that computes; of the reader, which
shows where reading would be the limit; and the models of each recipe at their papers' sizes (train_step.py), in the precision
that --precision=auto takes here: a training step and a prediction of whole videos, and of segments. On two cores two processes
share what one has: what they lose is the price of working together, not what two machines would gain.

Estimated from these, with the arithmetic beside each row: an epoch of EPOCH_BYTES, and each recipe from its first stage to the
scores of the test set, on this machine and on GPUS devices. Nothing of that was run. What is assumed stands in ASSUMED, what is
left out in LEFT_OUT; both are printed.

  PYTHONPATH=$PWD python benchmarks/scaling.py --json docs/results/scaling.json
"""

import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import reader
import report
import train_step

from yt8m import models
from yt8m.readers import batches
from yt8m.readers.spec import WholeVideos
from yt8m.recipes import precision
from yt8m.recipes.defaults import RECIPES

ROOT = pathlib.Path(__file__).parent.parent
EPOCH_BYTES = 1.4e12
GPUS = 8
ASSUMED = {
    "operations a second of a GPU in bfloat16, half of an A100's 312 TFLOP/s": 156e12,
    "CPU cores beside the GPUs, each reading as one here": 64,
    "bytes a video": 245e3,
    "rated segments": 237_000,
    "rated segments a video": 5,
    "test videos": 37_000,
    "segments of the test videos": 1_700_000,
    "bytes a second of the disks beside the GPUs": 2e9,
    "steps a second of the GPUs at most, for all that is not a product: launches, sums over devices, the optimizer": 200,
}
GPU_RATE, CORES, VIDEO_BYTES, RATED, RATED_A_VIDEO, TEST_VIDEOS, TEST_SEGMENTS, DISKS, MOST_STEPS = ASSUMED.values()
LEFT_OUT = (
    "all but one model of each recipe: the papers' folds and ensembles",
    "evaluation beside the training, by which checkpoints are chosen",
    "of netvlad what the paper's 256 clusters cost beyond the 64 that are measured",
    "of em that F of the first iteration is a logistic model: it counts as a Transformer",
    "what overlapping windows share, and the context, where test segments are scored: each is scored by itself",
)
EM_ITERATIONS = 2
EM_TRAININGS = 1 + 2 * EM_ITERATIONS  # F, and two models in each iteration
# recipe -> (a model of it, frames of a video that it sees)
MODELS = {
    "attention": ("MultiAttentionModel", 120),
    "ceshine": ("NeXtVladModel", 150),
    "netvlad": ("NetVladModel", 300),
    "em": ("TransformerModel", 300),
}
# recipe -> (the model with context that is fine-tuned after it, its segments, how they come about): configs/aware_*.flags and
# gated_netvlad_joint.flags
CONTEXT = {
    "ceshine": ("ContextAwareModel", 15_000 * 128, "15,000 steps x 128"),
    "netvlad": ("JointContextModel", 1 * RATED, f"1 epoch x {RATED:,}"),
}
SCORED_AT_ONCE = 32  # videos; and segments in train_step's batch
SEGMENT_ROWS = 128
GLOBAL_BATCH = 32
TRAININGS = {"FrameLevelLogisticModel": 60, "MultiAttentionModel": 25}  # in 1 and 2 processes: steps


class Stage(NamedTuple):
    """A stage of a recipe: `count` of `unit`s pass through the model, a unit costs what `cost_of` has of that name."""

    name: str
    unit: str
    count: float
    how: str
    steps: float  # on GPUS devices
    reads: float = 0.0  # whole videos


def training_rate(model, processes, pattern, folder, steps):
    """Videos a second of one training of a model in so many processes, as it says itself: the median."""
    ports = [free_port() for _ in range(processes)]
    command = [sys.executable, "train.py", f"--model={model}", f"--train_data_pattern={pattern}", "--precision=float32",
               f"--train_dir={folder}/{model}-{processes}", f"--batch_size={GLOBAL_BATCH // processes}", f"--max_steps={steps}",
               "--log_steps=5", f"--save_steps={steps}", "--num_classes=3862"]  # fmt: skip
    started = []
    for index in range(processes):
        task = {"cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"} | ({"TF_CONFIG": json.dumps(task)} if processes > 1 else {})
        started.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"a training of {model} in {processes} processes failed:\n{printed[0][-2000:]}")
    rates = [float(rate.replace(",", "")) for rate in re.findall(r"Examples/sec: ([\d,.]+)", printed[0])]
    return statistics.median(rates[2:])  # the first include compiling


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def reading(pattern):
    """(videos a second by the clock, CPU seconds a video) of the reader alone, its second pass."""
    spec = WholeVideos(pattern, ("rgb", "audio"), (1024, 128))
    for _ in range(2):
        wall, cpu, videos = time.perf_counter(), time.process_time(), 0
        for batch in batches.training_batches(spec, 128, 0, num_epochs=1):
            videos += int(batch["num_frames"].shape[0])
    return videos / (time.perf_counter() - wall), (time.process_time() - cpu) / videos


def cost_of(model, precision, steps):
    """{unit: (seconds, multiplications and additions)} of a model in a precision, the fastest of some steps.

    Units: a "frame" and a "segment" of a training step, those "scored" by a prediction; of a model with context a "segment with
    its video" of a training step alone.
    """
    import keras
    import tensorflow as tf

    from yt8m.training.predict import make_predict

    keras.config.set_dtype_policy(precision)
    built, batch = train_step.model_and_batch(model)
    if built.HAS_ENCODERS:
        shapes = {"segment with its video": (batch, train_step.BATCH)}
    else:
        shapes = {"frame": (batch, train_step.BATCH * train_step.FRAMES)}
        if built.SCORES_WINDOWS:
            short = train_step.make_batch(type(built), videos=SEGMENT_ROWS, length=train_step.SEGMENT)
            shapes["segment"] = short, SEGMENT_ROWS
    step, predict, costs = train_step.training_step(built), make_predict(built), {}

    def trained(batch):
        repeated, one = iter(tf.data.Dataset.from_tensors(batch).repeat()), tf.constant(1)
        return train_step.fastest(lambda: step(repeated, one), steps)[0], train_step.operations(built, batch)

    def scored(batch):
        operations = train_step.products_of(lambda: built.predict_rated(batch))
        return train_step.fastest(lambda: predict(batch), steps)[0], operations

    for unit, (batch, count) in shapes.items():
        costs[unit] = tuple(value / count for value in trained(batch))
        if not built.HAS_ENCODERS:
            costs[f"{unit} scored"] = tuple(value / count for value in scored(batch))
    return costs


def auto_precision(model):
    """What --precision=auto takes for a model on this machine."""
    return precision.choose({}, model).precision


def stages_of(recipe):
    """The Stages of a recipe, to the scores of the test set."""
    model, frames = MODELS[recipe]
    videos, times, stages = EPOCH_BYTES / VIDEO_BYTES, EM_TRAININGS if recipe == "em" else 1, []
    whole_videos = not models.model_class(model).SCORES_WINDOWS
    again = f" x {times} trainings" if times > 1 else ""
    for name, values in RECIPES[recipe].items():
        first = name == "pretrain"
        rows = videos if first else RATED / RATED_A_VIDEO if whole_videos else RATED
        if "max_steps" in values:
            count, how = values["max_steps"] * values["batch_size"], f"{values['max_steps']:,} steps x {values['batch_size']}"
            steps = values["max_steps"]
        else:
            count, how = values["num_epochs"] * rows, f"{values['num_epochs']} epochs x {rows:,.0f}"
            steps = count / values["batch_size"] / GPUS
        of_frames, reads = first or whole_videos, count * times if first else 0.0
        how += f" videos x {frames} frames{again}" if of_frames else f" segments{again}"
        unit, each = ("frame", frames) if of_frames else ("segment", 1)
        stages.append(Stage(name, unit, count * each * times, how, steps * times, reads))
    if recipe in CONTEXT:
        name, count, how = CONTEXT[recipe]
        stages.append(Stage(name, "segment with its video", count, f"{how} segments", count / 128))
    if recipe == "em":
        count, how = EM_ITERATIONS * videos, f"{EM_ITERATIONS} iterations x {videos:,.0f} videos x {frames} frames"
        stages.append(Stage("E-steps", "frame scored", count * frames, how, count / SCORED_AT_ONCE / GPUS, count))
    if whole_videos:
        how = f"{TEST_VIDEOS:,} videos x {frames} frames"
        stages.append(
            Stage("test set", "frame scored", TEST_VIDEOS * frames, how, TEST_VIDEOS / SCORED_AT_ONCE / GPUS, TEST_VIDEOS)
        )
    else:
        how, steps = f"{TEST_SEGMENTS:,} segments", TEST_SEGMENTS / SEGMENT_ROWS / GPUS
        stages.append(Stage("test set", "segment scored", TEST_SEGMENTS, how, steps, TEST_VIDEOS))
    return stages


def estimates(recipe, costs, of_reading, kind):
    """Rows: hours of a recipe here and on GPUS devices, with the arithmetic.

    Args:
        recipe: of MODELS.
        costs: what `cost_of` gives, of all its models together.
        of_reading: CPU seconds a video.
        kind: precision, as the text has it.
    """
    stages, named = stages_of(recipe), f"{recipe}, {MODELS[recipe][0]}"
    hours = sum(stage.count * costs[stage.unit][0] for stage in stages) / 3600
    here = "; ".join(f"{stage.name}: {stage.how} x {_time(costs[stage.unit][0])} a {stage.unit}" for stage in stages)
    computing = sum(stage.count * costs[stage.unit][1] for stage in stages) / (GPUS * GPU_RATE) / 3600
    stepping = sum(stage.steps for stage in stages) / MOST_STEPS / 3600
    feeding = sum(stage.reads for stage in stages) * max(of_reading / CORES, VIDEO_BYTES / DISKS) / 3600
    there = (
        f"{costs['frame'][1] / 1e6:.1f} MFLOP a frame of training: {computing:.3g} h of products, and {stepping:.3g} h for the "
        f"rest of the steps; reading: {feeding:.3g} h; the longer of the two"
    )
    return [
        {**report.row(f"{named}, this machine", hours, "h"), "arithmetic": f"{kind}: {here}"},
        {**report.row(f"{named}, {GPUS} GPUs (assumed)", max(computing + stepping, feeding), "h"), "arithmetic": there},
    ]


def _time(seconds):
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def of_recipe(recipe, of_reading, steps):
    """The rows of a recipe: its models are measured, each in a process of its own, and its hours estimated."""
    costs, kinds = {}, []
    for model in [MODELS[recipe][0], *CONTEXT.get(recipe, ())[:1]]:
        kinds.append((model, auto_precision(model)))
        costs |= report.in_a_process("scaling", "cost_of", *kinds[-1], steps)
        print(f"{model}:", {unit: _time(seconds) for unit, (seconds, _) in costs.items()}, flush=True)
    if len(kinds) == 1:
        return estimates(recipe, costs, of_reading, f"in {kinds[0][1]}")
    return estimates(recipe, costs, of_reading, "in " + ", ".join(f"{kind} ({model})" for model, kind in kinds))


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--recipes", nargs="*", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args()
    rows, shorter = [], 2 if options.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        pattern = f"{options.data}/*.tfrecord" if options.data else reader.write_shards(pathlib.Path(folder), 400)[0]
        for model, steps in TRAININGS.items():
            one, two = (training_rate(model, processes, pattern, folder, steps // shorter) for processes in (1, 2))
            rows.append(report.row(f"training {model}, 2 processes", two, "videos/s", "1 process", one, two / one))
        a_second, of_reading = reading(pattern)
    videos = EPOCH_BYTES / VIDEO_BYTES
    rows += [
        report.row("reading alone", a_second, "videos/s"),
        {**report.row(f"reading {EPOCH_BYTES / 1e12:g} TB, this machine", videos / a_second / 3600, "h"),
         "arithmetic": f"{videos:,.0f} videos / {a_second:,.0f} a second"},
        {**report.row(f"reading {EPOCH_BYTES / 1e12:g} TB, {CORES} cores (assumed)", videos * of_reading / CORES / 3600, "h"),
         "arithmetic": f"{videos:,.0f} videos x {of_reading * 1e6:.0f} us / {CORES}"},
    ]  # fmt: skip
    for recipe in options.recipes[: 1 if options.quick else None]:
        rows += of_recipe(recipe, of_reading, 2 if options.quick else 4)
    report.show("How training grows, and what the whole would take", rows, options.json)
    for name, value in ASSUMED.items():
        print(f"assumed: {name}: {value:,.0f}")
    for what in LEFT_OUT:
        print(f"left out: {what}")
    for row in rows:
        if "arithmetic" in row:
            print(f"{row['name']}: {row['arithmetic']}")


if __name__ == "__main__":
    main()
