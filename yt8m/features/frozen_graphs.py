"""Frozen graphs of TensorFlow 1 as functions, those with the old batch normalisation included.

TensorFlow 2 imports no graph with BatchNormWithGlobalNormalization into a function: the operation ended with version 9 of
GraphDef. It becomes FusedBatchNorm before the import.
"""

import tensorflow as tf
from google.protobuf.message import DecodeError

from yt8m.features.matrices import damaged

_OLD = "BatchNormWithGlobalNormalization"
_HARMLESS = {"Assert", "CheckNumerics"}  # operations that count as stateful, lest they be left out


def load(file, input_name, output_name, shape):
    """A part of the frozen graph in a weight file as a function; args as read_graph's and as_function's.

    Raises:
        UserError: it is damaged, or another graph.
    """
    graph = read_graph(file, input_name, output_name)
    try:
        return as_function(graph, input_name, output_name, shape)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise damaged(file, " ".join(str(error).split())[:200]) from error


def read_graph(file, input_name, output_name):
    """The GraphDef of a weight file.

    Args:
        file: a weights.WeightFile.
        input_name, output_name: names of tensors that it must have, such as "pool_3:0".

    Raises:
        UserError: it is damaged, or has no such tensors.
    """
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(file.read())
    except DecodeError as error:
        raise damaged(file, "no frozen graph") from error
    nodes = {node.name for node in graph.node}
    for name in (input_name, output_name):
        if _node_of(name) not in nodes:
            raise damaged(file, f"no frozen graph with {name}")
    return graph


def as_function(graph, input_name, output_name, shape):
    """A part of a frozen graph as a function of float32 tensors.

    Args:
        graph: GraphDef.
        input_name: of the tensor that the argument takes the place of.
        output_name: of the tensor that is returned.
        shape: of the argument.

    Raises:
        ValueError: the graph cannot be imported (or another error of TensorFlow's), or does more than compute.
    """
    graph = without_old_batch_norm(needed_part(graph, input_name, output_name))

    def imported(values):
        return tf.compat.v1.import_graph_def(graph, {input_name: values}, [output_name], name="")[0]

    function = tf.compat.v1.wrap_function(imported, [tf.TensorSpec(shape, tf.float32)])
    for operation in function.graph.get_operations():
        acts = operation.op_def.is_stateful and operation.type not in _HARMLESS
        if acts or "File" in operation.type:  # a graph is a program, and may come from anyone
            raise ValueError(f"operation {operation.type}, which a network has no need of")
    return function


def needed_part(graph, input_name, output_name):
    """The nodes of a GraphDef that the output needs when the input is given; the input's node becomes a placeholder.

    Functions of the graph's own are left out: frozen graphs have none.
    """
    nodes = {node.name: node for node in graph.node}
    kept, waiting = set(), [_node_of(output_name)]
    while waiting:
        name = waiting.pop()
        if name in kept or name not in nodes:
            continue
        kept.add(name)
        if name != _node_of(input_name):
            waiting += [_node_of(source) for source in nodes[name].input]
    part = tf.compat.v1.GraphDef()
    part.versions.CopyFrom(graph.versions)
    for node in graph.node:
        if node.name == _node_of(input_name):
            placeholder = part.node.add(name=node.name, op="Placeholder")
            placeholder.attr["dtype"].type = tf.float32.as_datatype_enum
        elif node.name in kept:
            part.node.add().CopyFrom(node)
    return part


def without_old_batch_norm(graph):
    """A GraphDef with FusedBatchNorm in the place of each BatchNormWithGlobalNormalization."""
    rewritten = tf.compat.v1.GraphDef()
    rewritten.versions.CopyFrom(graph.versions)
    for node in graph.node:
        if node.op == _OLD:
            _add_fused_batch_norm(rewritten, node)
        else:
            rewritten.node.add().CopyFrom(node)
    return rewritten


def _add_fused_batch_norm(graph, old):
    values, mean, variance, beta, gamma, *controls = old.input
    dtype = old.attr["T"].type
    if not old.attr["scale_after_normalization"].b:
        ones = graph.node.add(name=f"{old.name}/ones", op="OnesLike", input=[gamma])
        ones.attr["T"].type = dtype
        gamma = ones.name
    node = graph.node.add(name=old.name, op="FusedBatchNorm", device=old.device)
    node.input.extend([values, gamma, beta, mean, variance, *controls])
    node.attr["T"].type = dtype
    node.attr["epsilon"].f = old.attr["variance_epsilon"].f
    node.attr["is_training"].b = False
    node.attr["data_format"].s = b"NHWC"


def _node_of(tensor):
    """The name of the node that a tensor, or a control input, comes from."""
    return tensor.removeprefix("^").split(":")[0]
