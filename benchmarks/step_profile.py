"""Where a training step's time goes: TensorFlow's profile of the steps of benchmarks/train_step.py, on one thread.

Operations are put in six kinds. Products are matrix products, einsums and convolutions; "draws" are random numbers; "copies"
change where values lie or what type they are of; the update is the optimizer's. The rest are passes over arrays that compute a
value each, sums among them. "Rate of the products" is what they reach of one large product's rate, by the clock as they are, in
the same process and on the same thread: below 100% since theirs are smaller, or narrow, or read weights once for a few rows.

  python benchmarks/step_profile.py --json docs/results/step_profile.json
"""

import collections
import glob
import os
import tempfile

import report
import train_step

KINDS = {
    "products": "MatMul BatchMatMul BatchMatMulV2 Einsum Conv2D Conv2DBackpropInput Conv2DBackpropFilter FusedMatMul",
    "update": "ResourceApplyAdam L2Loss",
    "draws": "StatelessRandomUniformV2 StatelessRandomUniformFullIntV2 StatelessRandomNormalV2",
    "copies": "Cast ConcatV2 Split SplitV GatherV2 Transpose Slice StridedSlice StridedSliceGrad Pack Unpack Tile Pad PadV2 "
    "Reshape BroadcastTo ReadVariableOp Fill ZerosLike",
}
MODELS = (
    "AttentionModel",
    "MultiAttentionModel",
    "MultiLevelAttentionModel",
    "BertModel",
    "GatedDbofModel",
    "NetVladModel",
    "JointContextModel",
    "NeXtVladModel",
    "MoeModel",
    *train_step.OTHERS,
)
STEPS = 3


def kind_of(operation):
    """The kind of an operation, of oneDNN's by the name that it has without it."""
    plain = operation.removeprefix("_Mkl").removeprefix("Native").removeprefix("_")
    return next((kind for kind, names in KINDS.items() if plain in names.split()), "passes")


def profile(name, precision):
    """Traces some steps of one of train_step.LABELS.

    Returns:
        dict: `milliseconds` a step by operation, the matrix `rate`, and in float32 the `operations` of the products.
    """
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(precision)
    model, batch = train_step.model_and_batch(name)
    step = train_step.training_step(model)
    batches, one = iter(tf.data.Dataset.from_tensors(batch).repeat()), tf.constant(1)
    for _ in range(2):  # the second still touches memory for the first time
        step(batches, one)
    rate = train_step.matrix_rate(precision)[0]
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(STEPS):
                step(batches, one)
        milliseconds = operations_of(folder)
    operations = train_step.operations(model, batch) if precision == "float32" else None
    return {"milliseconds": milliseconds, "rate": rate, "operations": operations}


def operations_of(folder):
    """Milliseconds a step of each operation, from the trace in a folder."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space, total = xplane_pb2.XSpace(), collections.Counter()
    (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
    with open(path, "rb") as file:
        space.ParseFromString(file.read())
    for plane in space.planes:
        if "/host:CPU" in plane.name:
            names = plane.event_metadata
            for line in plane.lines:
                for event in line.events:
                    node, colon, operation = names[event.metadata_id].name.partition(":")
                    if (colon and "/" in node) or operation.startswith("ResourceApply"):  # a node of the step's graph
                        total[operation.split("#")[0]] += event.duration_ps / 1e9 / STEPS
    return dict(total)


def row_of(name, precision, profiled):
    """A row: the time of all operations, and the share of each kind."""
    milliseconds, by_kind = profiled["milliseconds"], collections.Counter()
    for operation, took in milliseconds.items():
        by_kind[kind_of(operation)] += took
    total = sum(by_kind.values())
    shares = {kind: by_kind[kind] / total for kind in (*KINDS, "passes")}
    others = sorted((took, operation) for operation, took in milliseconds.items() if kind_of(operation) != "products")
    longest = {operation.removeprefix("_Mkl"): took / total for took, operation in others[:-5:-1]}
    row = report.row(f"{name}, {precision}: all operations, one thread", total, "ms")
    row |= {"model": name, "precision": precision, "shares": shares, "longest": longest}
    if profiled["operations"]:
        row["product_rate"] = profiled["operations"] / profiled["rate"] * 1000 / by_kind["products"]
    return row


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    options = parser.parse_args()
    rows = []
    for name in options.models[: 1 if options.quick else None]:
        counted = None
        for precision in sorted(options.precisions):  # float32 counts the operations
            profiled = report.in_a_process("step_profile", "profile", name, precision)
            counted = profiled["operations"] or counted
            rows.append(row_of(name, precision, {**profiled, "operations": counted}))
            shares = ", ".join(f"{kind} {share:.0%}" for kind, share in rows[-1]["shares"].items())
            longest = ", ".join(f"{operation} {share:.1%}" for operation, share in rows[-1]["longest"].items())
            print(f"{rows[-1]['name']}: {shares}; products at {rows[-1].get('product_rate', 0):.0%}; {longest}", flush=True)
    report.show("Where a training step's time goes", rows, options.json)


if __name__ == "__main__":
    main()
