"""Features of an hour of video: time, processor time and peak memory of decoding and embedding, a process for each backbone.

The clip is 720p at 25 pictures a second with stereo sound: 20 seconds, encoded here, repeated. It lasts 3 minutes (--quick:
1, --minutes=60: an hour), and `of an hour` scales what was measured, without the start of the process and of the backbone. Peak
memory is the process's, TensorFlow's own included. Networks have random weights: `keras:InceptionV3` is of the size of the graph
of 2015, its sound the sketch's; `yt8m` is that network in the form of 2015's file, with its PCA, and VGGish for the sound.
"""

import os
import pathlib
import re
import sys
import tempfile
import time
from fractions import Fraction

import numpy as np
import report

BACKBONES = ("sketch", "keras:InceptionV3,weights=none", "yt8m:checksums=any")
WIDTH, HEIGHT, RATE, SOUND_RATE, LOOP = 1280, 720, 25, 44_100, 20


def write_clip(path, minutes):
    """The clip; returns the codec of its pictures."""
    import av

    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=RATE, options={"preset": "veryfast"} if codec == "libx264" else {})
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 3_000_000
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        packets = [packet for frame in (*_sounds(av, audio), None) for packet in audio.encode(frame)]
        packets += [packet for frame in (*_pictures(av), None) for packet in video.encode(frame)]
        packets = sorted((float(packet.dts * packet.time_base), packet.stream is video, packet) for packet in packets)
        for loop in range(round(minutes * 60 / LOOP)):
            for _, _, packet in packets:
                again = av.Packet(bytes(packet))
                again.stream, again.time_base, again.is_keyframe = packet.stream, packet.time_base, packet.is_keyframe
                again.pts, again.dts = (time + round(loop * LOOP / packet.time_base) for time in (packet.pts, packet.dts))
                again.duration = packet.duration
                container.mux(again)
    return codec


def _pictures(av):
    """A scene that moves, with texture, noise and a cut."""
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 240, (2, HEIGHT // 40, 2 * WIDTH // 40, 3), np.uint8).repeat(40, 1).repeat(40, 2)
    noise = rng.integers(0, 16, (4, HEIGHT, WIDTH, 1), np.uint8)
    for number in range(RATE * LOOP):
        scene = scenes[number // (RATE * LOOP // 2)][:, number : number + WIDTH]
        frame = av.VideoFrame.from_ndarray(scene + noise[number % 4], format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        yield frame


def _sounds(av, stream):
    rng = np.random.default_rng(1)
    size = stream.codec_context.frame_size or 1024
    for first in range(0, SOUND_RATE * LOOP - size + 1, size):
        frame = av.AudioFrame.from_ndarray(rng.normal(0, 0.1, (2, size)).astype(np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, first, Fraction(1, SOUND_RATE)
        yield frame


def write_weights(folder):
    """A --weights_dir of random values: networks and matrices of the published sizes, in the published formats."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    from tests.features.published import write_checkpoint
    from yt8m.features.vggish import SHAPES

    rng = np.random.default_rng(0)
    vectors = {"mean": (2048, 1), "eigenvals": (2048, 1), "eigenvecs": (2048, 2048)}
    for name, shape in vectors.items():
        np.save(os.path.join(folder, f"{name}.npy"), rng.random(shape).astype(np.float32))
    matrices = {"pca_eigen_vectors": rng.random((128, 128), np.float32), "pca_means": rng.random((128, 1), np.float32)}
    np.savez(os.path.join(folder, "vggish_pca_params.npz"), **matrices)
    values = {f"{name}/weights": 0.02 * rng.standard_normal(shape, np.float32) for name, shape in SHAPES.items()}
    values |= {f"{name}/biases": np.zeros(shape[-1], np.float32) for name, shape in SHAPES.items()}
    write_checkpoint(os.path.join(folder, "vggish_model.ckpt"), values)
    _write_graph(os.path.join(folder, "classify_image_graph_def.pb"))


def _write_graph(path):
    """A frozen graph of Inception-v3's size with the tensors of 2015's."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from yt8m.features import inception

    network = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    shape = tf.TensorSpec([None, inception.SIDE, inception.SIDE, 3], tf.float32)
    function = tf.function(lambda images: network(images / 128 - 1)[:, None, None]).get_concrete_function(shape)
    definition = convert_variables_to_constants_v2(function).graph.as_graph_def()
    source = next(node.name for node in definition.node if node.op == "Placeholder")
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, shape.shape, inception.INPUT.removesuffix(":0"))
        outputs = tf.graph_util.import_graph_def(definition, {f"{source}:0": images}, [f"{definition.node[-1].name}:0"])
        tf.identity(outputs[0], inception.OUTPUT.removesuffix(":0"))
    pathlib.Path(path).write_bytes(graph.as_graph_def().SerializeToString())


def measure(text, path, weights_dir):
    """What the features of the clip cost with a backbone: {"seconds", "processor", "megabytes", "frames"}."""
    from yt8m.features import backbones
    from yt8m.features.extraction import Settings, extract
    from yt8m.features.processes import threads_of

    backbone = backbones.build(text, weights_dir)
    backbone.audio(np.zeros((1, 15_600), np.float32))  # builds what is built once
    before, processor = time.perf_counter(), time.process_time()
    _, facts = extract(path, backbone, Settings(max_frames=100_000), threads_of(1))
    return {
        "seconds": time.perf_counter() - before,
        "processor": time.process_time() - processor,
        "megabytes": _peak(),
        "frames": facts.frames,
    }


def _peak():
    """Megabytes that this process had at most; ru_maxrss would count those of the process that started it."""
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1e3


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--minutes", type=float, help="of the clip; default: 3, with --quick 1")
    parser.add_argument("--backbones", default=" ".join(BACKBONES), help="with spaces between them")
    options = parser.parse_args()
    minutes, rows = options.minutes or (1 if options.quick else 3), []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "clip.mkv")
        codec, texts = write_clip(path, minutes), options.backbones.split()
        if any(text.startswith("yt8m") for text in texts):
            report.in_a_process("extraction", "write_weights", folder)
        for text in texts:
            cost = report.in_a_process("extraction", "measure", text, path, folder if text.startswith("yt8m") else None)
            scale = 3600 / cost["frames"]
            rows += [
                report.row(f"{text}: time of an hour", cost["seconds"] * scale / 60, "min"),
                report.row(f"{text}: processor time of an hour", cost["processor"] * scale / 60, "min"),
                report.row(f"{text}: peak memory", cost["megabytes"], "MB", goal="below 1,000", met=cost["megabytes"] < 1000),
            ]
    title = f"Features of {minutes:g} minutes of 720p ({codec} and AAC), scaled to an hour; load {os.getloadavg()[0]:.0f}"
    report.show(title, rows, options.json)


if __name__ == "__main__":
    main()
