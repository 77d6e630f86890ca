"""How training grows with processes, and how long the whole dataset and the papers' recipes would take.

Measured: videos a second of one training in 1 and in 2 processes (TF_CONFIG, loopback, the same global batch) and of the reader,
which shows where reading would be the limit; a training step of one model of each recipe at its paper's sizes (train_step.py);
its operations, as XLA counts them (gpu.py; needs jax). On two cores two processes share what one has: what they lose is the price
of working together, not what two machines would gain.

Estimated from these, with the arithmetic beside each row: an epoch of EPOCH_BYTES, and each recipe from its first stage to its
last, on this machine and on GPUS devices. Nothing of that was run. What is assumed stands in ASSUMED and is printed.

  PYTHONPATH=$PWD python benchmarks/scaling.py --json docs/results/scaling.json
"""

import importlib.util
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

import reader
import report
import train_step

from yt8m.readers import batches
from yt8m.readers.spec import WholeVideos
from yt8m.recipes.defaults import RECIPES

ROOT = pathlib.Path(__file__).parent.parent
EPOCH_BYTES = 1.4e12
GPUS = 8
ASSUMED = {
    "operations a second of a GPU in bfloat16, half of an A100's 312 TFLOP/s": 156e12,
    "CPU cores beside the GPUs, each reading as one here": 64,
    "bytes a video": 245e3,
    "rated segments": 237_000,
    "bytes a second of the disks beside the GPUs": 2e9,
    "steps a second of the GPUs at most, for all that is not a product: launches, sums over devices, the optimizer": 200,
}
GPU_RATE, CORES, VIDEO_BYTES, RATED, DISKS, MOST_STEPS = ASSUMED.values()
SEGMENT = 11  # frames of a rated segment with its neighbours
EM_TRAININGS = 1 + 2 * 2  # F, and two models in each of two iterations
# recipe -> (a model of it, frames of a video that it sees)
MODELS = {
    "attention": ("MultiAttentionModel", 120),
    "ceshine": ("NeXtVladModel", 150),
    "netvlad": ("NetVladModel", 300),
    "em": ("TransformerModel", 300),
}
GLOBAL_BATCH, STEPS = 32, 60


def training_rate(processes, pattern, folder, steps):
    """Videos a second of one training of FrameLevelLogisticModel in so many processes, as it says itself: the median."""
    ports = [free_port() for _ in range(processes)]
    command = [sys.executable, "train.py", "--model=FrameLevelLogisticModel", f"--train_data_pattern={pattern}",
               f"--train_dir={folder}/{processes}", f"--batch_size={GLOBAL_BATCH // processes}", f"--max_steps={steps}",
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
        sys.exit(f"a training in {processes} processes failed:\n{printed[0][-2000:]}")
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


def step_of(model, steps):
    """(seconds, operations or None) of a frame of a training step; the operations where jax is installed."""
    frames = train_step.BATCH * train_step.FRAMES
    seconds = report.in_a_process("train_step", "measure", model, steps)["ms"] / 1e3
    operations = None
    if importlib.util.find_spec("jax"):
        sizes = train_step.BATCH, train_step.FRAMES, train_step.CLASSES
        operations = report.in_a_process("gpu", "operations_of", model, *sizes, train_step.SETTINGS[model])
    return seconds / frames, operations and operations / frames


def frames_of(recipe, frames):
    """[(stage, frames that pass through the model, how they come about, steps on GPUS devices), ...] of a recipe."""
    videos, stages = EPOCH_BYTES / VIDEO_BYTES, []
    times = EM_TRAININGS if recipe == "em" else 1
    for stage, values in RECIPES[recipe].items():
        each, rows = (frames, videos) if stage == "pretrain" else (SEGMENT, RATED)
        if "max_steps" in values:
            count, how = values["max_steps"] * values["batch_size"], f"{values['max_steps']:,} steps x {values['batch_size']}"
            steps = values["max_steps"]
        else:
            count, how = values["num_epochs"] * rows, f"{values['num_epochs']} epochs x {rows:,.0f}"
            steps = count / values["batch_size"] / GPUS
        how += f" rows x {each} frames" + (f" x {times} trainings" if times > 1 else "")
        stages.append((stage, count * each * times, how, steps * times))
    return stages


def estimates(recipe, of_frame, operations, of_reading):
    """Rows: hours of a recipe here and on GPUS devices, with the arithmetic."""
    model, frames = MODELS[recipe]
    stages = frames_of(recipe, frames)
    total = sum(count for _, count, *_ in stages)
    how = "; ".join(f"{stage}: {text}" for stage, _, text, _ in stages)
    hours = total * of_frame / 3600
    rows = [
        {**report.row(f"{recipe}, {model}, this machine", hours, "h"), "arithmetic": f"({how}) x {of_frame * 1e6:.1f} us a frame"}
    ]
    if operations:
        computing = total * operations / (GPUS * GPU_RATE) / 3600
        stepping = sum(steps for *_, steps in stages) / MOST_STEPS / 3600
        videos = sum(count for stage, count, *_ in stages if stage == "pretrain") / frames
        feeding = videos * max(of_reading / CORES, VIDEO_BYTES / DISKS) / 3600
        text = (
            f"{operations / 1e6:.1f} MFLOP a frame: {computing:.3g} h, and {stepping:.3g} h for the rest of the steps; "
            f"reading: {feeding:.3g} h; the longer of the two"
        )
        hours = max(computing + stepping, feeding)
        rows.append({**report.row(f"{recipe}, {model}, {GPUS} GPUs (assumed)", hours, "h"), "arithmetic": text})
    return rows


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--recipes", nargs="*", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args()
    steps = 30 if options.quick else STEPS
    with tempfile.TemporaryDirectory() as folder:
        pattern = f"{options.data}/*.tfrecord" if options.data else reader.write_shards(pathlib.Path(folder), 400)[0]
        rates = {processes: training_rate(processes, pattern, folder, steps) for processes in (1, 2)}
        a_second, of_reading = reading(pattern)
    videos = EPOCH_BYTES / VIDEO_BYTES
    rows = [
        report.row("training, 2 processes", rates[2], "videos/s", "1 process", rates[1], rates[2] / rates[1]),
        report.row("reading alone", a_second, "videos/s"),
        {**report.row(f"reading {EPOCH_BYTES / 1e12:g} TB, this machine", videos / a_second / 3600, "h"),
         "arithmetic": f"{videos:,.0f} videos / {a_second:,.0f} a second"},
        {**report.row(f"reading {EPOCH_BYTES / 1e12:g} TB, {CORES} cores (assumed)", videos * of_reading / CORES / 3600, "h"),
         "arithmetic": f"{videos:,.0f} videos x {of_reading * 1e6:.0f} us / {CORES}"},
    ]  # fmt: skip
    for recipe in options.recipes[: 1 if options.quick else None]:
        of_frame, operations = step_of(MODELS[recipe][0], 2 if options.quick else 4)
        rows += estimates(recipe, of_frame, operations, of_reading)
    report.show("How training grows, and what the whole would take", rows, options.json)
    for name, value in ASSUMED.items():
        print(f"assumed: {name}: {value:,.0f}")
    for row in rows:
        if "arithmetic" in row:
            print(f"{row['name']}: {row['arithmetic']}")


if __name__ == "__main__":
    main()
