"""Small ONNX files, written field by field: onnxruntime reads them, and nothing else needs to be installed."""

import numpy as np

from yt8m.readers.wire import encode_varint, field

FLOAT, UINT8, INT64 = 1, 2, 7  # TensorProto.DataType


def number(tag, value):
    return encode_varint(tag << 3) + encode_varint(value)


def text(tag, value):
    return field(tag << 3 | 2, value.encode())


def message(tag, *parts):
    return field(tag << 3 | 2, b"".join(parts))


def tensor(name, array):
    """TensorProto in the field `initializer` of a graph."""
    kind = {"f": FLOAT, "i": INT64}[array.dtype.kind]
    dims = b"".join(number(1, length) for length in array.shape)
    return message(5, dims, number(2, kind), text(8, name), field(9 << 3 | 2, array.tobytes()))


def value(tag, name, kind, shape):
    """ValueInfoProto; a length that is a text is any."""
    dims = [message(1, number(1, length) if isinstance(length, int) else text(2, length)) for length in shape]
    return message(tag, text(1, name), message(2, message(1, number(1, kind), message(2, *dims))))


def node(op, inputs, outputs, *attributes):
    return message(1, *(text(1, name) for name in inputs), *(text(2, name) for name in outputs), text(4, op), *attributes)


def integer_attribute(name, value):
    return message(5, text(1, name), number(3, value), number(20, 2))


def model(nodes, initializers, inputs, outputs):
    """The bytes of a ModelProto of version 13 of the operators."""
    graph = message(7, *nodes, text(2, "graph"), *initializers, *inputs, *outputs)
    return number(1, 8) + graph + message(8, text(1, ""), number(2, 13))


def colour_means(shape, matrix, kind=FLOAT, flat=True):
    """A network: the pictures' mean colour times a matrix [3, D]; the outputs `values` and, twice as large, `twice`.

    Args:
        shape: of the input, such as ["n", 3, 8, 8] or [1, 8, 8, 3].
        matrix: float32 [3, D].
        kind: of the input.
        flat: False: a third output `places` is first, the pictures as they are.
    """
    first = shape[1] == 3
    nodes = [node("Cast", ["pictures"], ["floats"], integer_attribute("to", FLOAT))]
    axes = np.array([2, 3] if first else [1, 2])
    nodes += [
        node("Identity", ["floats"], ["places"]),
        node("ReduceSum", ["floats", "axes"], ["sums"], integer_attribute("keepdims", 0)),
        node("MatMul", ["sums", "matrix"], ["values"]),
        node("Add", ["values", "values"], ["twice"]),
    ]
    outputs = [value(12, "values", FLOAT, [shape[0], matrix.shape[1]]), value(12, "twice", FLOAT, [shape[0], matrix.shape[1]])]
    if not flat:
        outputs.insert(0, value(12, "places", FLOAT, shape))
    return model(nodes, [tensor("axes", axes), tensor("matrix", matrix)], [value(11, "pictures", kind, shape)], outputs)
