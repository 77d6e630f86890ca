"""What takes a step's time besides its products: how the layers compute it, beside the plain way, in turn on one core.

Each row is one function, compiled, its gradient with it where it says so: milliseconds of CPU, the least of --repeats.
Where the first way is the layers' own, its code is the layers'.

  PYTHONPATH=$PWD python benchmarks/operations.py --json FILE
"""

import os
import time

os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"

import keras
import report
import tensorflow as tf
from keras import ops

from yt8m import segments
from yt8m.layers import experts
from yt8m.layers.gaussian_noise import GaussianNoise

FRAMES, VALUES = 32 * 150, 4096  # of a step of benchmarks/train_step.py, behind gated DBoF's clusters
FEATURES = (1024, 128)
NOISE = (32, 120, 1152)
CLASSES, MIXTURES = 1000, 2


def sums():
    """Sums over frames."""
    x, ones = tf.random.normal((FRAMES, VALUES)), tf.ones((1, FRAMES))
    ways = {"product with a vector of ones": lambda: ops.matmul(ones, x), "sum": lambda: ops.sum(x, axis=0)}
    return f"sums over {FRAMES:,} frames of {VALUES:,} values", ways


def noise():
    """Gaussian noise."""
    x, layers = tf.zeros(NOISE), {"two at a time": GaussianNoise(0.1), "value by value": keras.layers.GaussianNoise(0.1)}
    ways = {name: lambda layer=layer: layer(x, training=True) for name, layer in layers.items()}
    return f"{x.shape.num_elements() / 1e6:.1f} million Gaussian values", ways


def mixture(rows, with_gradient):
    """A mixture of experts' mean."""
    gates, chosen = (tf.random.normal((rows, CLASSES, MIXTURES + more)) for more in (1, 0))

    def along_last(gates, chosen):
        return ops.sum(ops.softmax(gates, axis=-1)[..., :-1] * chosen, axis=-1)

    ways = {"softmax along the first axis": experts._mixed, "along the last, of 3": along_last}
    what = f"mixture of {MIXTURES} experts, {rows:,} rows of {CLASSES:,} classes{', with gradient' if with_gradient else ''}"
    if not with_gradient:
        return what, {name: lambda of=of: of(gates, chosen) for name, of in ways.items()}
    return what, {name: gradient(of, gates, chosen) for name, of in ways.items()}


def sets(dtype):
    """The head of eight sets of attention in inference, of the segments of twenty videos: its products with it."""
    x = tf.cast(tf.random.normal((940, 8, 1024)), dtype)
    head = experts.MixtureOfExperts(CLASSES, MIXTURES, dtype=dtype)
    head.build(x.shape)
    rows = tf.reshape(x, (-1, x.shape[-1]))
    ways = {"kernels put in order": lambda: head(x), "values put in order": lambda: head(rows)}
    return f"experts of 940 segments' 8 sets, {dtype}, with products", ways


def parts():
    """Features cut from frames."""
    frames = tf.random.normal((32, 150, sum(FEATURES)))

    def sliced(frames):
        return frames[..., : FEATURES[0]], frames[..., FEATURES[0] :]

    def split(frames):
        return ops.split(frames, FEATURES[:1], axis=-1)

    ways = {"one split": gradient(split, frames), "two slices": gradient(sliced, frames)}
    return "two features cut from frames, with gradient", ways


def gradient(function, *inputs):
    """A function that computes function(*inputs) and the gradients of the sum of its squares."""

    def run():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.add_n([tf.nn.l2_loss(output) for output in tf.nest.flatten(function(*inputs))])
        return tape.gradient(loss, inputs)

    return run


def gated_attention():
    """tanh times sigmoid in a bfloat16 policy."""
    value, gate = (tf.cast(tf.random.normal((FRAMES, 8 * 64)), tf.bfloat16) for _ in range(2))

    def in_float32(value, gate):
        return ops.tanh(ops.cast(value, "float32")) * ops.sigmoid(ops.cast(gate, "float32"))

    def as_they_are(value, gate):
        return ops.cast(ops.tanh(value) * ops.sigmoid(gate), "float32")

    ways = {"float32": gradient(in_float32, value, gate), "bfloat16": gradient(as_they_are, value, gate)}
    return "tanh times sigmoid of bfloat16, with gradient", ways


def dequantisation():
    """Bytes to bfloat16."""
    frames = tf.cast(tf.random.uniform((32, 150, sum(FEATURES)), 0, 256, tf.int32), tf.uint8)
    scale, offset = segments.scale_and_offset()
    table = tf.cast(tf.range(256, dtype=tf.float32) * scale + offset, tf.bfloat16)

    def by_float32():
        return ops.cast(ops.cast(frames, "float32") * scale + offset, "bfloat16")

    ways = {"float32 between": by_float32, "table of 256 values": lambda: ops.take(table, ops.cast(frames, "int32"))}
    return f"{frames.shape.num_elements() / 1e6:.1f} million bytes to bfloat16", ways


def state_product(dtype):
    """A step back of a recurrent layer: few rows times a kernel's transpose."""
    x, kernel = (tf.cast(tf.random.normal(shape), dtype) for shape in ((32, VALUES), (1024, VALUES)))
    transposed = tf.transpose(kernel)
    ways = {
        "transposed before": lambda: tf.matmul(x, transposed),
        "read as transposed": lambda: tf.matmul(x, kernel, transpose_b=True),
    }
    ways = ways if dtype == "float32" else dict(reversed(ways.items()))  # the layers' way first
    return f"32 rows times a transpose of 1,024 x {VALUES:,} values, {dtype}", ways


CASES = (
    sums,
    noise,
    lambda: mixture(256, True),
    lambda: mixture(4096, False),
    lambda: sets("float32"),
    lambda: sets("bfloat16"),
    parts,
    gated_attention,
    dequantisation,
    lambda: state_product("float32"),
    lambda: state_product("bfloat16"),
)


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    rows = []
    for case in CASES:
        what, ways = case()
        compiled = {name: tf.function(way, autograph=False) for name, way in ways.items()}
        figures = report.fastest_in_turn(compiled, 8 if options.quick else options.repeats, time.process_time)
        (ours, took), (plain, beside) = figures.items()
        rows.append(report.row(f"{what}: {ours}", took, "ms of CPU", plain, beside, beside / took))
    report.show("Besides the products", rows, options.json)


if __name__ == "__main__":
    main()
