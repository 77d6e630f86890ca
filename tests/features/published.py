"""Files in the formats of the published weights, with random values or few operations."""

import io
import tarfile

import numpy as np
import tensorflow as tf

from yt8m.features.matrices import AUDIO, VIDEO_NETWORK
from yt8m.features.vggish import SHAPES
from yt8m.features.weights import Published, WeightFile
from yt8m.readers.wire import encode_varint, field


def weight_file(path, archived=False, **published):
    """A WeightFile of this path, of which no checksum is known unless `published` says so."""
    return WeightFile(Published(published.pop("name", path.name), "http://the.address", **published), str(path), archived)


def matrix_data(matrix, layout=None, packed=True):
    """A matrix as a serialized MatrixData message; layout None: the field is left out, which means column-major."""
    flat = np.asarray(matrix, "<f4").ravel(order="C" if layout == 1 else "F")
    floats = field(0x1A, flat.tobytes()) if packed else b"".join(b"\x1d" + value.tobytes() for value in flat)
    rows, columns = (encode_varint(length) for length in matrix.shape)
    return b"\x08" + rows + b"\x10" + columns + floats + (b"" if layout is None else b"\x20" + encode_varint(layout))


def write_starter_pca(folder, seed=0):
    """mean.npy, eigenvals.npy and eigenvecs.npy, as the starter's feature extractor has them; returns the three arrays."""
    random = np.random.default_rng(seed)
    arrays = {
        "mean": random.random((VIDEO_NETWORK, 1)),
        "eigenvals": np.sort(random.random((VIDEO_NETWORK, 1)), axis=0)[::-1],
        "eigenvecs": random.standard_normal((VIDEO_NETWORK, VIDEO_NETWORK)).astype(np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return arrays.values()


def write_vggish_pca(folder, seed=0):
    """vggish_pca_params.npz; returns (vectors [128, 128], means [128, 1])."""
    random = np.random.default_rng(seed)
    vectors, means = random.standard_normal((AUDIO, AUDIO)).astype(np.float32), random.random((AUDIO, 1)).astype(np.float32)
    np.savez(folder / "vggish_pca_params.npz", pca_eigen_vectors=vectors, pca_means=means)
    return vectors, means


def vggish_weights():
    """{name in the checkpoint: float32 array}: He scale for the kernels, 0.1 for the biases, in the order of SHAPES."""
    random, values = np.random.default_rng(0), {}
    for name, shape in SHAPES.items():
        kernel = random.standard_normal(shape, np.float32)
        kernel *= np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        values[f"{name}/weights"] = kernel
        values[f"{name}/biases"] = random.standard_normal(shape[-1], np.float32) * np.float32(0.1)
    return values


def write_checkpoint(path, values):
    """A checkpoint of version 1, one file without an index, as vggish_model.ckpt is."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables, feeds = {}, {}
        for name, array in values.items():
            start = tf.compat.v1.placeholder(tf.float32, array.shape)
            variables[name] = tf.compat.v1.Variable(start, name=name, use_resource=False)
            feeds[start] = array
        session.run(tf.compat.v1.global_variables_initializer(), feeds)
        saver = tf.compat.v1.train.Saver(variables, write_version=tf.compat.v1.train.SaverDef.V1)
        saver.save(session, str(path), write_meta_graph=False, write_state=False)


def frozen_inception(width=16, size=VIDEO_NETWORK, scale=True):
    """Bytes of a small frozen graph with the tensors, the old operations and the GraphDef version of the 2015 Inception graph."""
    random = np.random.RandomState(0)

    def constant(name, *shape, positive=False):
        values = random.standard_normal(shape).astype(np.float32)
        return tf.constant(np.abs(values) + 0.5 if positive else values * 0.2, name=name)

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, 3], name="DecodeJpeg")
        image = tf.expand_dims(tf.cast(image, tf.float32, name="Cast"), 0, name="ExpandDims")
        image = tf.raw_ops.ResizeBilinear(images=image, size=[299, 299], name="ResizeBilinear")
        image = tf.multiply(tf.subtract(image, 128.0, name="Sub"), 1 / 128, name="Mul")
        values = tf.nn.conv2d(image, constant("conv/kernel", 3, 3, 3, width), strides=4, padding="VALID", name="conv/Conv2D")
        mean, beta = constant("conv/mean", width), constant("conv/beta", width)
        variance, gamma = (constant(f"conv/{name}", width, positive=True) for name in ("variance", "gamma"))
        values = tf.raw_ops.FusedBatchNorm(
            x=values, scale=gamma, offset=beta, mean=mean, variance=variance, is_training=False, name="conv/batchnorm"
        ).y
        checked = tf.debugging.check_numerics(values, "no number", name="conv/CheckNumerics")
        with tf.control_dependencies([checked]):
            values = tf.nn.relu(tf.identity(values, name="conv/control_dependency"), name="conv")
        halves = [
            tf.nn.conv2d(values, constant(f"mixed/{half}/kernel", 1, 1, width, size // 2), 4, "SAME", name=f"mixed/{half}")
            for half in ("a", "b")
        ]
        values = tf.raw_ops.Concat(concat_dim=3, values=halves, name="mixed/join")
        values = tf.nn.avg_pool2d(values, values.shape[1:3], 1, "VALID", name="pool_3")
        tf.reshape(values, [1, size], name="pool_3/_reshape")
        definition = graph.as_graph_def()
    definition.versions.producer = 8
    for node in definition.node:
        for attribute in ("dilations", "explicit_paddings", "_output_shapes"):  # which were not known in 2015
            node.attr.pop(attribute, None)
    _make_old(next(node for node in definition.node if node.name == "conv/batchnorm"), scale)
    return definition.SerializeToString()


def _make_old(node, scale):
    """Makes BatchNormWithGlobalNormalization, which TensorFlow puts into no new graph, of a FusedBatchNorm."""
    values, gamma, beta, mean, variance = node.input
    node.op = "BatchNormWithGlobalNormalization"
    node.input[:] = [values, mean, variance, beta, gamma]
    node.attr.clear()
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["variance_epsilon"].f = 0.001
    node.attr["scale_after_normalization"].b = scale


def write_tgz(path, files):
    """A .tgz of {name: bytes}."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
