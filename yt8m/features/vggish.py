"""VGGish, the network that AudioSet's and YouTube-8M's sounds went through.

The last layer has no activation, as in the released embeddings; the public code had one until August 2020.

Source: Hershey et al. 2017, "CNN architectures for large-scale audio classification", and research/audioset/vggish of
tensorflow/models.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from yt8m.features import frozen_graphs
from yt8m.features.batching import in_batches
from yt8m.features.log_mel import BANDS, FRAMES, log_mel
from yt8m.features.matrices import AUDIO, audio_projection, damaged
from yt8m.features.weights import AUDIO_PARTS, needed

# The bytes of a second of silence: what 2,106 of 220,270 AudioSet frames hold, and, dequantised, the mean_audio of 350 of 23,091
# YouTube-8M videos, to 6e-8.
SILENCE = np.frombuffer(
    bytes.fromhex(
        "ad1b7e5fc259439b9aa28e447196701964ffcac400b25edb509571b8822eb7767046a8888a8fcfb66d9f44847e8587669f477a4f933d50b94d93678a688b9467"
        "9279638974927c696d68787e84825a7e898f6c81717971766c7588907094798d8a866d93817480977e96696c70818a7a828c7379667d7275797e7e82728582bb"
    ),
    np.uint8,
)
FROZEN_INPUT, FROZEN_OUTPUT = "vggish/input_features:0", "vggish/fc2/BiasAdd:0"  # of MediaPipe's frozen twin
# Names in the checkpoint -> shapes of their weights, in the network's order.
SHAPES = {
    "vggish/conv1": (3, 3, 1, 64),
    "vggish/conv2": (3, 3, 64, 128),
    "vggish/conv3/conv3_1": (3, 3, 128, 256),
    "vggish/conv3/conv3_2": (3, 3, 256, 256),
    "vggish/conv4/conv4_1": (3, 3, 256, 512),
    "vggish/conv4/conv4_2": (3, 3, 512, 512),
    "vggish/fc1/fc1_1": (12288, 4096),
    "vggish/fc1/fc1_2": (4096, 4096),
    "vggish/fc2": (4096, AUDIO),
}
_POOLED = ("conv1", "conv2", "conv3_2", "conv4_2")


class Vggish:
    """From a waveform to embeddings after the PCA, before quantisation.

    Args:
        weights_dir: folder of the published files.

    Attributes:
        files: the weights.WeightFiles that it is made from.

    Raises:
        UserError: files are missing or wrong.
    """

    def __init__(self, weights_dir):
        parts = needed(weights_dir, AUDIO_PARTS)
        (network,), pca = parts["audio network"], parts["audio PCA"]
        self.files = [network, *pca]
        self._projection = audio_projection(pca)
        if network.name.endswith(".pb"):
            self._network = frozen_graphs.load(network, FROZEN_INPUT, FROZEN_OUTPUT, [None, FRAMES, BANDS])
        else:
            self._network = _as_function(load_network(network))

    def __call__(self, samples):
        """float [n, 15600] in [-1, 1] at 16 kHz -> float32 [n, 128]."""
        return self._projection.apply(in_batches(lambda batch: self._network(tf.constant(log_mel(batch))).numpy(), samples))


def build_network():
    """VGGish as a Keras model, log-mel float32 [B, 96, 64] -> float32 [B, 128] before the PCA; 72,141,184 weights, all zeros."""
    inputs = keras.Input((FRAMES, BANDS))
    values = layers.Reshape((FRAMES, BANDS, 1))(inputs)
    for name, shape in SHAPES.items():
        name = name.rsplit("/", 1)[-1]
        settings = {"kernel_initializer": "zeros", "name": name, "activation": None if name == "fc2" else "relu"}
        if len(shape) == 4:
            values = layers.Conv2D(shape[-1], 3, padding="same", **settings)(values)
        else:
            values = layers.Dense(shape[-1], **settings)(values if len(values.shape) == 2 else layers.Flatten()(values))
        if name in _POOLED:
            values = layers.MaxPooling2D(2, 2, padding="same")(values)
    return keras.Model(inputs, values, name="vggish")


def load_network(file):
    """build_network with the weights of vggish_model.ckpt, a checkpoint of version 1: one file without an index.

    Args:
        file: a weights.WeightFile.

    Raises:
        UserError: it is damaged, or a weight is missing or has another shape.
    """
    try:
        checkpoint = tf.train.load_checkpoint(file.path)
        shapes = checkpoint.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise damaged(file, "no checkpoint") from error
    network = build_network()
    for name, expected in SHAPES.items():
        values = []
        for variable, shape in ((f"{name}/weights", expected), (f"{name}/biases", expected[-1:])):
            if variable not in shapes:
                raise damaged(file, f"no {variable} in it")
            if tuple(shapes[variable]) != shape:
                raise damaged(file, f"{variable} has shape {list(shapes[variable])}, expected {list(shape)}")
            try:
                values.append(checkpoint.get_tensor(variable))
            except (tf.errors.OpError, ValueError, RuntimeError) as error:
                raise damaged(file, f"{variable} is damaged") from error
        network.get_layer(name.rsplit("/", 1)[-1]).set_weights(values)
    return network


def _as_function(network):
    @tf.function(input_signature=[tf.TensorSpec([None, FRAMES, BANDS], tf.float32)])
    def run(values):
        return network(values, training=False)

    return run
