"""A training step under Keras' JAX backend, without TensorFlow: how close is it to what the machine can do?

Batches come from memory-mapped shards through the record index, by NumPy. A step is forward, backward and Adam of one compiled
function, in --precision. Its floor is the larger of two times, both of rates that are measured in the same run:

- its multiplications and additions, as XLA counts them before it optimises, at the rate of a large matrix product in the
  precision's type;
- the bytes that it cannot spare, weights and both slots of Adam read and written once and the batch read once, at the rate of
  a pass over a large array.

The share reached is floor / time. "fed" is the time of a step that waits for its batch from the shards, too.

Shards are made up unless --data names some.

  PYTHONPATH=$PWD python benchmarks/gpu.py --models NeXtVladModel MultiAttentionModel
"""

import collections
import functools
import os
import pathlib
import sys
import tempfile
import time
from concurrent import futures

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np
import report
from jax import numpy as jnp
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from yt8m import losses, models
from yt8m.readers import wire
from yt8m.readers.index import LocalShard, index_by_headers
from yt8m.training.optimizers import make_optimizer

NAMES, SIZES = ("rgb", "audio"), (1024, 128)
GOAL = 0.5
BYTES_A_WEIGHT = 2 * 4 * 3  # read and written, float32: itself and Adam's two slots
LONGEST = 300  # frames of a made-up video


def write_shard(path, videos):
    """Made-up videos of LONGEST frames as a TFRecord file of SequenceExamples, written without TensorFlow."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        for number in range(videos):
            name = wire.field(0x0A, wire.field(0x0A, str(number).encode()))
            lists = []
            for feature, size in zip(NAMES, SIZES):
                header = np.frombuffer(wire.frame_header(size), np.uint8)
                frames = rng.integers(0, 256, (LONGEST, len(header) + size), np.uint8)
                frames[:, : len(header)] = header
                lists.append(wire.field(0x0A, wire.field(0x0A, feature.encode()) + wire.field(0x12, frames.tobytes())))
            context = wire.field(0x0A, wire.field(0x0A, b"id") + wire.field(0x12, name))
            record = wire.field(0x0A, context) + wire.field(0x12, b"".join(lists))
            for part in (len(record).to_bytes(8, "little"), record):
                file.write(part + masked_crc32c(part).to_bytes(4, "little"))


def videos_of(folder):
    """[(LocalShard, number of a record), ...] of all shards of a folder."""
    shards = [LocalShard(path, index_by_headers(path)) for path in sorted(map(str, pathlib.Path(folder).glob("*.tfrecord")))]
    if not shards:
        sys.exit(f"{folder}: no *.tfrecord. Name a folder of frame-level shards.")
    return [(shard, number) for shard in shards for number in range(len(shard))]


def batches(videos, options, of_frames):
    """Yields batches without end: `frames` uint8 [B, T, 1152] and `num_frames` int32 [B], or their means as `features`, and
    `labels` float32 [B, C], three a video that are drawn."""
    rng = np.random.default_rng(0)
    while True:
        frames = np.zeros((options.batch_size, options.frames, sum(SIZES)), np.uint8)
        counts = np.zeros(options.batch_size, np.int32)
        labels = np.zeros((options.batch_size, options.classes), np.float32)
        for row, place in enumerate(rng.integers(len(videos), size=options.batch_size)):
            shard, number = videos[place]
            features = wire.strided_frames(shard.record(number), NAMES, SIZES)
            counts[row] = min(options.frames, len(features["rgb"]))
            for name, columns in zip(NAMES, (slice(0, SIZES[0]), slice(SIZES[0], None))):
                frames[row, : counts[row], columns] = features[name][: counts[row]]
            labels[row, rng.integers(options.classes, size=3)] = 1.0
        inputs = {"frames": frames, "num_frames": counts}
        if not of_frames:
            inputs = {"features": frames.mean(axis=1, dtype=np.float32) / 64.0 - 2.0}
        yield {**inputs, "labels": labels}


def read_ahead(made, ahead=4):
    """The same batches on the device, made by a thread meanwhile."""
    with futures.ThreadPoolExecutor(1) as pool:
        ready = collections.deque(pool.submit(lambda: jax.device_put(next(made))) for _ in range(ahead))
        while True:
            yield ready.popleft().result()
            ready.append(pool.submit(lambda: jax.device_put(next(made))))


def make_step(model, optimizer):
    """(weights, other variables, slots, batch) -> (loss, weights, other variables, slots), compiled; in place."""
    loss = losses.CrossEntropyLoss()

    def objective(weights, rest, batch):
        inputs = models.model_inputs(model, batch)
        predictions, rest, penalties = model.stateless_call(weights, rest, inputs, training=True, return_losses=True)
        return jnp.mean(loss(predictions, batch["labels"])) + sum(penalties), rest

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(weights, rest, slots, batch):
        (value, rest), gradients = jax.value_and_grad(objective, has_aux=True)(weights, rest, batch)
        weights, slots = optimizer.stateless_apply(slots, gradients, weights)
        return value, weights, rest, slots

    return step


def fastest(function, repeats):
    """Seconds of the fastest of some calls, each with its result there; the first, which compiles, does not count."""
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        jax.block_until_ready(function())
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def rates(dtype, on_gpu):
    """(multiplications and additions a second of a matrix product, bytes a second of a pass over an array)."""
    size, length = (8192, 1 << 28) if on_gpu else (1024, 1 << 24)
    square, array = jnp.ones((size, size), dtype), jnp.ones(length, jnp.float32)
    product, add = jax.jit(lambda x: x @ x), jax.jit(lambda x: x + 1.0)
    return 2 * size**3 / fastest(lambda: product(square), 5), 8 * length / fastest(lambda: add(array), 5)


def step_and_state(name, classes, settings=None):
    """A model's compiled step, and [weights, other variables, slots] to begin with."""
    model = models.build_model(name, classes, **(settings or {}))
    optimizer = make_optimizer("AdamOptimizer", 1e-4, 1.0)
    optimizer.build(model.trainable_variables)
    parts = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    return make_step(model, optimizer), [[variable.value for variable in part] for part in parts]


def operations_of(name, batch_size, frames, classes, settings=None):
    """Multiplications and additions of a training step of a model that takes frames, as XLA counts them; nothing is computed."""
    step, state = step_and_state(name, classes, settings)
    batch = {
        "frames": np.zeros((batch_size, frames, sum(SIZES)), np.uint8),
        "num_frames": np.full(batch_size, frames, np.int32),
        "labels": np.zeros((batch_size, classes), np.float32),
    }
    return step.lower(*state, batch).cost_analysis()["flops"]


def measure(name, videos, options, matrix_rate, byte_rate):
    """Rows of one model."""
    step, state = step_and_state(name, options.classes)
    made = batches(videos, options, models.takes_frames(name))
    batch = jax.device_put(next(made))
    operations = step.lower(*state, batch).cost_analysis()["flops"]
    weights = sum(values.size for values in state[0])
    moved = weights * BYTES_A_WEIGHT + sum(values.nbytes for values in batch.values())
    floor = max(operations / matrix_rate, moved / byte_rate)

    def run(given):
        value, *state[:] = step(*state, given)
        return value

    seconds = fastest(lambda: run(batch), options.steps)
    fed = read_ahead(made)
    with_reading = fastest(lambda: run(next(fed)), options.steps)
    share = floor / seconds
    what = f"{name}: {weights / 1e6:.1f} M weights, {operations / 1e9:,.1f} GFLOP, {moved / 1e6:,.0f} MB at least"
    return [
        report.row(what, seconds * 1e3, "ms/step", "floor", floor * 1e3, share, f"share of at least {GOAL:g}", share >= GOAL),
        report.row(f"{name}, fed", with_reading * 1e3, "ms/step", "without reading", seconds * 1e3, seconds / with_reading),
    ]


def main():
    parser = report.arguments(__doc__)
    known = [name for name in models.model_names() if not models.model_class(name).HAS_ENCODERS]
    parser.add_argument("--models", nargs="+", default=["NeXtVladModel", "GatedDbofModel", "MultiAttentionModel"], choices=known)
    parser.add_argument("--precision", default="mixed_bfloat16", choices=["mixed_bfloat16", "float32"])
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    if options.quick:
        options.batch_size, options.frames, options.classes, options.steps = 8, 30, 100, 3
    keras.config.set_dtype_policy(options.precision)
    device, on_gpu = jax.devices()[0].device_kind, jax.default_backend() == "gpu"
    matrix_rate, byte_rate = rates(jnp.bfloat16 if options.precision == "mixed_bfloat16" else jnp.float32, on_gpu)
    rows = [
        report.row(f"{device}: matrix product, {options.precision}", matrix_rate / 1e9, "GFLOP/s"),
        report.row(f"{device}: pass over an array", byte_rate / 1e9, "GB/s"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        if not options.data:
            write_shard(os.path.join(folder, "train0000.tfrecord"), 8 if options.quick else 64)
        videos = videos_of(options.data or folder)
        for name in options.models:
            rows += measure(name, videos, options, matrix_rate, byte_rate)
            print(f"{name}: {rows[-2]['value']:.1f} ms a step, floor {rows[-2]['baseline_value']:.1f}", flush=True)
    if "tensorflow" in sys.modules:
        sys.exit("TensorFlow was imported: this benchmark is to run without it")
    shape = f"batch {options.batch_size} of {options.frames} frames, {options.classes} classes"
    report.show(f"A training step under JAX, {options.precision}, {shape}", rows, options.json)


if __name__ == "__main__":
    main()
