"""Frozen graphs with the old batch normalisation, and pictures as the 2015 graph resizes them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.features.published import frozen_inception, weight_file
from yt8m.errors import UserError
from yt8m.features.inception import Inception, resized
from yt8m.features.matrices import VIDEO_NETWORK

NAME = "classify_image_graph_def.pb"


def pictures(count, height=40, width=60):
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8))


def in_session(data, fetch, feeds):
    """A graph in a session of TensorFlow 1's, which has the old operation still."""
    definition = tf.compat.v1.GraphDef.FromString(data)
    with tf.Graph().as_default():
        tf.compat.v1.import_graph_def(definition, name="")
        with tf.compat.v1.Session() as session:
            return session.run(fetch, feeds)


@pytest.mark.parametrize("scale", [True, False])
def test_the_rewritten_graph_computes_what_the_old_one_does(tmp_path, scale):
    (tmp_path / NAME).write_bytes(frozen_inception(scale=scale))
    network = Inception(weight_file(tmp_path / NAME))
    prepared = [resized(picture) for picture in pictures(3)]
    data = (tmp_path / NAME).read_bytes()
    expected = np.concatenate([in_session(data, "pool_3:0", {"ResizeBilinear:0": values[None]}) for values in prepared])
    computed = network(prepared)
    assert computed.shape == (3, VIDEO_NETWORK) and computed.dtype == np.float32 and np.ptp(computed) > 0.1
    np.testing.assert_allclose(computed, expected[:, 0, 0], atol=1e-6)


def test_a_picture_is_resized_as_in_the_graph():
    """To the bit: it is fed behind the graph's own resize."""
    data = frozen_inception()
    for height, width in ((40, 60), (299, 299), (500, 301), (1, 1)):
        picture = pictures(1, height, width)[0]
        values = resized(picture)
        assert values.shape == (299, 299, 3) and values.dtype == np.float32
        np.testing.assert_array_equal(values, in_session(data, "ResizeBilinear:0", {"DecodeJpeg:0": picture})[0])


def test_the_resize_is_not_the_present_one():
    picture = pictures(1, 500, 301)[0]
    assert np.abs(resized(picture) - tf.image.resize(picture, (299, 299)).numpy()).max() > 1


def test_any_number_of_pictures(tmp_path):
    """More than a batch, and one: the same values."""
    (tmp_path / NAME).write_bytes(frozen_inception(width=4))
    network = Inception(weight_file(tmp_path / NAME))
    prepared = [resized(picture) for picture in pictures(34)]
    np.testing.assert_allclose(network(prepared)[33:], network(prepared[33:]), atol=1e-5)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "no frozen graph with ResizeBilinear:0"),
        (b"no graph at all", "no frozen graph"),
        (frozen_inception()[:-5000], "no frozen graph"),
        (frozen_inception(size=1000), "pool_3:0 has shape"),
        (frozen_inception().replace(b"AvgPool", b"NoSuchP"), "NoSuchP"),
    ],
    ids=["empty", "text", "cut", "size", "operation"],
)
def test_damaged_and_other_graphs(tmp_path, data, words):
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(UserError, match=words) as error:
        Inception(weight_file(tmp_path / NAME))
    assert str(error.value).startswith(str(tmp_path / NAME)) and "\n" not in str(error.value)


@pytest.mark.parametrize("operation", ["WriteFile", "ReadFile"])
def test_a_graph_may_only_compute(tmp_path, operation):
    """It is a program: one that touches files is refused before it runs."""
    with tf.Graph().as_default() as graph:
        name = tf.constant(str(tmp_path / "written"), name="file")
        if operation == "WriteFile":
            tf.raw_ops.WriteFile(filename=name, contents=name, name="touch")
        else:
            tf.raw_ops.ReadFile(filename=name, name="touch")
    definition = tf.compat.v1.GraphDef.FromString(frozen_inception())
    definition.node.extend(graph.as_graph_def().node)
    next(node for node in definition.node if node.name == "mixed/join").input.append("^touch")
    (tmp_path / NAME).write_bytes(definition.SerializeToString())
    with pytest.raises(UserError, match=f"operation {operation}, which a network has no need of"):
        Inception(weight_file(tmp_path / NAME))
    assert not (tmp_path / "written").exists()
