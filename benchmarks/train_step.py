"""What a training step costs: every model, at its paper's sizes, batch 32 of 150 frames, 1,000 classes, in each precision.

Each model and precision runs in a process of its own, one after the other: milliseconds a step and of CPU, all cores'
together (the fastest of the steps after the first), parameters, and the process's peak memory beside that of one that only
imports TensorFlow and the package. Beside them stands what the machine could do: the operations of the step's products (two
for a multiplication and an addition, counted in an eager step), and the rate of one large product, 4,800 x 1,152 by 1,152 x
4,096, in the precision's type, the fastest of some before and after the steps. The share is what the products would take at
that rate of the step's CPU time, which other work on the machine changes less than the clock's. Goals: NeXtVLAD (paper 002)
and NetVLAD with 64 clusters under 2 GB; 65% of the rate in float32 (the DBoFs 80%), 45% in bfloat16 for NeXtVLAD, gated DBoF,
Transformer and multi-attention. The optimizer's update of all weights is timed by itself as well: it is part of the step and
has no product in it.

Smaller than published are JointContextModel, with 64 clusters a side (at the paper's 256 it has 0.9 G weights), and MixtureModel,
with hidden layers of 1,024 (at its source's 2,048 it has 0.25 G). MoeModel has a second row, of 128 videos and all 3,862 classes,
where it has 22 M weights.

--quick leaves models out. --keras_recurrence measures each recurrent model a second time, right after, with Keras' own LSTM and
GRU in place of ours. --precisions=float32 leaves bfloat16 out, which is slow on a machine without such products.
--xla measures each step compiled with XLA as well, beside that without.
"""

import resource
import time

import report

BATCH, FRAMES, CLASSES = 32, 150, 1000
SEGMENT = 11  # frames of a rated segment with its neighbours
SETTINGS = {
    "FrameLevelLogisticModel": {},
    "AttentionModel": {},
    "MultiAttentionModel": {},
    "CnnModel": {},
    "CnnLstmModel": {},
    "DbofModel": {},
    "GatedDbofModel": {},
    "LstmModel": {},
    "GruModel": {},
    "NetVladModel": {"cluster_size": 64},
    "NeXtVladModel": {},
    "BiGruModel": {},
    "TransformerModel": {},
    "ContextAwareModel": {},
    "JointContextModel": {"context_options": {"cluster_size": 64}, "segment_options": {"cluster_size": 64}},
    "LogisticModel": {},
    "MoeModel": {},
    "MlpModel": {},
    "SharedGateMoeModel": {},
    "BertModel": {},
    "MixtureModel": {"hidden_size": 1024},
    "MultiLevelAttentionModel": {},
    "SoftDbofModel": {"sampling": "none"},  # as configs/soft_dbof.flags pre-trains it
    "SoftmaxMlpModel": {},
}
OTHERS = {"MoeModel, 128 videos, 3,862 classes": ("MoeModel", 128, 3862)}  # label -> (a model of SETTINGS, videos, classes)
LABELS = (*SETTINGS, *OTHERS)
QUICK = ("MultiAttentionModel", "NeXtVladModel", "GatedDbofModel", "TransformerModel", "NetVladModel", "MoeModel")
UNDER_2_GB = ("NetVladModel", "NeXtVladModel")
PRECISIONS = ("float32", "mixed_bfloat16")
SHARES = {"DbofModel": 0.8, "GatedDbofModel": 0.8}  # of the float32 rate; the others: 0.65
HALF_SHARES = dict.fromkeys(("NeXtVladModel", "GatedDbofModel", "TransformerModel", "MultiAttentionModel"), 0.45)
PRODUCT = (4800, 1152, 4096)
RECURRENT = ("CnnLstmModel", "LstmModel", "GruModel", "BiGruModel")


def measure(name, steps, precision="float32", xla=False, keras_recurrence=False):
    """Trains one of LABELS for some steps, perhaps with Keras' own recurrent layers; returns its figures.

    name: None: what importing takes.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from yt8m import models  # noqa: F401  the package, whose memory counts

    figures = {}
    if name:
        keras.config.set_dtype_policy(precision)
        if keras_recurrence:
            take_keras_recurrence()
        model, batch = model_and_batch(name)
        step = training_step(model, xla)
        batches, one = iter(tf.data.Dataset.from_tensors(batch).repeat()), tf.constant(1)
        before, took, after = matrix_rate(precision), fastest(lambda: step(batches, one), steps), matrix_rate(precision)
        trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
        figures = {"ms": took[0] * 1000, "cpu_ms": took[1] * 1000, "parameters": model.count_params(), "trainable": trainable}
        figures |= {"rate": max(before[0], after[0]), "cpu_rate": max(before[1], after[1])}
        figures["gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # what follows needs more
        figures["optimizer_ms"] = update_cost(model, steps) * 1000
        if precision == "float32" and not keras_recurrence:
            figures["operations"] = operations(model, batch)
    return {"gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, **figures}


def take_keras_recurrence():
    """Builds models with Keras' own LSTM and GRU from now on."""
    from keras import layers

    from yt8m.frame_level_models import cnn, recurrent, sequence

    for module in (cnn, recurrent, sequence):
        for name in ("LSTM", "GRU"):
            if hasattr(module, name):
                setattr(module, name, getattr(layers, name))


def model_and_batch(label):
    """The model of a row of the table, in the policy of the moment, and a batch for it."""
    from yt8m import models

    name, videos, classes = OTHERS.get(label, (label, BATCH, CLASSES))
    return models.build_model(name, classes, **SETTINGS[name]), make_batch(models.model_class(name), videos, classes)


def make_batch(kind, videos=None, classes=None, length=None):
    """A batch for a class of models, as the reader gives it.

    videos, classes, length: BATCH, CLASSES and FRAMES where they are not given.
    """
    import numpy as np

    videos, classes, length = videos or BATCH, classes or CLASSES, length or FRAMES
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (videos, length, 1152), np.uint8)
    batch = {
        "frames": frames,
        "num_frames": np.full(videos, length, np.int32),
        "features": rng.normal(size=(videos, 1152)).astype(np.float32),
        "labels": (rng.random((videos, classes)) < 0.003).astype(np.float32),
        "label_weights": np.ones((videos, classes), np.float32),
    }
    if kind.HAS_ENCODERS:  # a rated segment of each video
        rows = {"segment_rows": np.arange(videos, dtype=np.int32), "start_times": np.zeros(videos, np.int32)}
        batch |= rows | {"context_frames": frames, "context_num_frames": np.full(videos, length, np.int32)}
        batch |= {"frames": frames[:, :SEGMENT], "num_frames": np.full(videos, SEGMENT, np.int32)}
    return batch


def training_step(model, xla=False):
    """The loop's compiled step, as training on one CPU or GPU has it; xla: compiled with XLA."""
    import tensorflow as tf

    from yt8m import losses
    from yt8m.training import loop
    from yt8m.training.objectives import Objective
    from yt8m.training.optimizers import make_optimizer

    optimizer = make_optimizer("AdamOptimizer", 1e-4, 1.0)
    optimizer.build(model.trainable_variables)
    objective, strategy = Objective(losses.CrossEntropyLoss()), tf.distribute.get_strategy()
    return loop.make_train_steps(strategy, model, optimizer, objective, 1.0, xla, (tf.Variable(0),))


def update_cost(model, repeats):
    """CPU seconds of the optimizer's update of all weights, clipping included, by itself."""
    import tensorflow as tf

    from yt8m.training.optimizers import make_optimizer

    optimizer, variables = make_optimizer("AdamOptimizer", 1e-4, 1.0), model.trainable_variables
    optimizer.build(variables)
    gradients = [tf.fill(variable.shape, 1e-3) for variable in variables]
    update = tf.function(lambda: optimizer.apply(gradients, variables))
    return fastest(update, repeats)[1]


def fastest(call, repeats):
    """Seconds of a call and CPU seconds of it, all cores' together: the least of each, the first call left out."""
    seconds, used = [], []
    for _ in range(repeats + 1):
        start, started = time.perf_counter(), time.process_time()
        call()
        seconds.append(time.perf_counter() - start)
        used.append(time.process_time() - started)
    return min(seconds[1:]), min(used[1:])


def matrix_rate(precision, repeats=6):
    """Operations a second, and a CPU second, of one large product in the precision's type, the fastest of some."""
    import tensorflow as tf

    rows, inner, columns = PRODUCT
    dtype = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    left, right = (tf.cast(tf.random.normal(shape), dtype) for shape in ((rows, inner), (inner, columns)))
    product = tf.function(lambda: tf.matmul(left, right))
    return [2 * rows * inner * columns / seconds for seconds in fastest(lambda: product().numpy(), repeats)]


def operations(model, batch):
    """Multiplications and additions in the products of a step, forwards and backwards, from an eager one."""
    import tensorflow as tf

    from yt8m import losses
    from yt8m.training.objectives import Objective

    variables = [variable.value for variable in model.trainable_variables]

    def step():
        with tf.GradientTape() as tape:
            outcome = Objective(losses.CrossEntropyLoss())(model, {name: tf.constant(values) for name, values in batch.items()})
            loss = tf.add_n([tf.reduce_mean(term) for term in outcome.terms])
        tape.gradient(loss, variables)

    return products_of(step)


def products_of(call):
    """Multiplications and additions in the products of what is called eagerly.

    A product with a vector is a sum, which reads every value for one multiplication: it does not count.
    """
    import numpy as np
    import tensorflow as tf
    from tensorflow.python.framework import op_callbacks

    total = 0

    def count(op_type, inputs, attrs, outputs, op_name=None, graph=None):
        nonlocal total
        attrs, op_type = dict(zip(attrs[::2], attrs[1::2])), tf.compat.as_str(op_type)
        if op_type in ("MatMul", "BatchMatMulV2"):
            transposed = attrs.get("transpose_a", attrs.get("adj_x"))
            inner = inputs[0].shape[-2 if transposed else -1]
            total += 2 * int(np.prod(outputs[0].shape)) * inner if min(outputs[0].shape[-2:]) > 1 else 0
        elif op_type == "Einsum":
            labels = tf.compat.as_str(attrs["equation"]).split("->")[0].split(",")
            sizes = {label: size for part, values in zip(labels, inputs) for label, size in zip(part, values.shape)}
            total += (2 if len(labels) == 2 else 0) * int(np.prod(list(sizes.values())))
        elif op_type.startswith("Conv2D"):
            _, kernel, image = _convolution(op_type, inputs, outputs)
            total += 2 * int(np.prod(image[:-1])) * int(np.prod(kernel))

    op_callbacks.add_op_callback(count)
    try:
        call()
    finally:
        op_callbacks.remove_op_callback(count)
    return total


def _convolution(op_type, inputs, outputs):
    """(input, kernel, output) shapes of a convolution or of one of its gradients."""
    if op_type == "Conv2D":
        return inputs[0].shape, inputs[1].shape, outputs[0].shape
    if op_type == "Conv2DBackpropInput":
        return outputs[0].shape, inputs[1].shape, inputs[2].shape
    return inputs[0].shape, outputs[0].shape, inputs[2].shape


def rows_of(name, precision, figures, imported):
    """A model's rows in one precision: its step, its share of the matrix rate, its memory.

    Args:
        name, precision: which.
        figures: {precision: what `measure` returned}, float32's first where it was measured.
        imported: GB of a process that imports only.
    """
    ours, operations = figures[precision], next((f["operations"] for f in figures.values() if "operations" in f), None)
    label, half = f"{name}, {precision}", precision != "float32"
    beside = {}
    if half and "float32" in figures:
        full = figures["float32"]["cpu_ms"]
        beside = dict(baseline="float32", baseline_value=full, ratio=full / ours["cpu_ms"])
    facts = {"model": name, "precision": precision, "operations": operations, **ours}
    rows = [
        report.row(f"{label}: a step", ours["ms"], "ms"),
        report.row(f"{label}: its CPU time", ours["cpu_ms"], "ms", **beside),
    ]
    if operations:
        facts["share"] = operations / (ours["cpu_ms"] / 1000) / ours["cpu_rate"]
        goal = HALF_SHARES.get(name) if half else SHARES.get(name, 0.65)
        wanted = dict(goal=f"at least {goal:.0%}", met=facts["share"] >= goal) if goal else {}
        rows.append(report.row(f"{label}: share of the matrix rate", 100 * facts["share"], "%", **wanted))
    wanted = dict(goal="under 2 GB", met=ours["gb"] < 2) if name in UNDER_2_GB else {}
    memory = dict(baseline="imports alone", baseline_value=imported, ratio=ours["gb"] / imported)
    rows.append(report.row(f"{label}: peak memory", ours["gb"], "GB", **memory, **wanted))
    rows[1] |= facts
    return rows


def beside_keras(name, precision, ours, theirs):
    """The row of a step with our recurrent layers beside one with Keras'; both: what `measure` returned."""
    shares = {
        who: ours["operations"] / (of["cpu_ms"] / 1000) / of["cpu_rate"] for who, of in (("ours", ours), ("theirs", theirs))
    }
    row = report.row(
        f"{name}, {precision}: CPU time with our recurrent layers",
        ours["cpu_ms"],
        "ms",
        baseline="Keras' layers",
        baseline_value=theirs["cpu_ms"],
        ratio=theirs["cpu_ms"] / ours["cpu_ms"],
    )
    memory = {"gb": ours["gb"], "keras_gb": theirs["gb"]}
    return row | memory | {"recurrent": name, "type": precision, "share": shares["ours"], "keras_share": shares["theirs"]}


def xla_row(name, precision, without):
    """CPU time of a step compiled with XLA, beside that without, in milliseconds."""
    with_xla = report.in_a_process("train_step", "measure", name, 3, precision, True)["cpu_ms"]
    return report.row(f"{name}, {precision}, XLA: its CPU time", with_xla, "ms", "without XLA", without, without / with_xla)


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--xla", action="store_true", help="each step compiled with XLA as well")
    parser.add_argument("--models", nargs="+", choices=LABELS, metavar="MODEL", help=", ".join(LABELS))
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--keras_recurrence", action="store_true", help="recurrent models with Keras' layers as well")
    options = parser.parse_args()
    imported = report.in_a_process("train_step", "measure", None, 0)["gb"]
    rows = [report.row("importing TensorFlow and the package", imported, "GB")]
    for name in options.models or (QUICK if options.quick else LABELS):
        figures = {}
        steps = 3 if options.quick else 5
        for precision in sorted(options.precisions):  # float32 counts the operations
            figures[precision] = report.in_a_process("train_step", "measure", name, steps, precision)
            rows += rows_of(name, precision, figures, imported)
            if options.xla:
                rows.append(xla_row(name, precision, figures[precision]["cpu_ms"]))
            print(*(f"{row['name']} {row['value']:.3g} {row['unit']}" for row in rows[-4:]), sep="; ", flush=True)
            if options.keras_recurrence and name in RECURRENT and "float32" in figures:
                theirs = report.in_a_process("train_step", "measure", name, steps, precision, False, True)
                counted = {**figures[precision], "operations": figures["float32"]["operations"]}
                rows.append(beside_keras(name, precision, counted, theirs))
                print(f"  {rows[-1]['ratio']:.2f} x Keras' layers, {rows[-1]['keras_share']:.0%}", flush=True)
        if options.json:
            report.write(rows, options.json)
    report.show(f"A training step, batch {BATCH} of {FRAMES} frames, {CLASSES} classes", rows, options.json)


if __name__ == "__main__":
    main()
