"""How fast are shards read into uint8 batches? Ours beside a plain tf.data pipeline, in turn, on the same shards.

The plain pipeline is what a user writes: TFRecordDataset, shuffle, tf.io.parse_single_sequence_example, decode to uint8, padded
batches, prefetch. Ours shuffles all rows, checks every CRC once (not timed: the first pass fills the index) and can go on
from any step. Shards: synthetic full-size ones (rgb and audio, 234 frames on average), or --data DIR of frame-level shards.
"""

import pathlib
import statistics
import tempfile
import time

import numpy as np
import report
import tensorflow as tf

from yt8m.readers import batches, records
from yt8m.readers.spec import WholeVideos

BATCH = 128


def write_shards(folder, videos, shards=4):
    """Random full-size videos with real lengths' spread; returns their pattern."""
    rng = np.random.default_rng(0)
    for shard in range(shards):
        lengths = np.clip(rng.normal(234, 60, videos // shards), 1, 300).astype(int)
        made = [
            records.encode_video(
                records.Video(
                    f"{shard}{i:03d}",
                    {"rgb": rng.integers(0, 256, (n, 1024), np.uint8), "audio": rng.integers(0, 256, (n, 128), np.uint8)},
                    rng.integers(0, 3862, 3),
                    None,
                )
            )
            for i, n in enumerate(lengths)
        ]
        records.write_shard(folder / f"train{shard:04d}.tfrecord", made)
    return str(folder / "train*.tfrecord")


def plain(pattern):
    """The batches of a plain pipeline."""

    def parse(serialized):
        context, lists = tf.io.parse_single_sequence_example(
            serialized,
            {"id": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.VarLenFeature(tf.int64)},
            {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in ("rgb", "audio")},
        )
        frames = tf.concat(
            [tf.reshape(tf.io.decode_raw(lists[n], tf.uint8), [-1, s]) for n, s in (("rgb", 1024), ("audio", 128))], 1
        )
        labels = tf.reduce_max(tf.one_hot(tf.sparse.to_dense(context["labels"]), 3862), axis=0)
        return {"ids": context["id"], "frames": frames, "num_frames": tf.shape(frames)[0], "labels": labels}

    shards = tf.data.Dataset.from_tensor_slices(sorted(tf.io.gfile.glob(pattern)))
    serialized = shards.interleave(tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE)
    return serialized.shuffle(1000).map(parse, num_parallel_calls=tf.data.AUTOTUNE).padded_batch(BATCH).prefetch(2)


def rate(batches):
    """(videos a second, CPU microseconds a video) of one pass."""
    wall, cpu, videos = time.monotonic(), time.process_time(), 0
    for batch in batches:
        videos += int(batch["num_frames"].shape[0])
    return videos / (time.monotonic() - wall), (time.process_time() - cpu) / videos * 1e6


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pattern = (
            f"{options.data}/*.tfrecord" if options.data else write_shards(pathlib.Path(folder), 600 if options.quick else 2000)
        )
        spec = WholeVideos(pattern, ("rgb", "audio"), (1024, 128))
        sides = {
            "ours": lambda seed: batches.training_batches(spec, BATCH, seed, num_epochs=1),
            "plain tf.data": lambda seed: plain(pattern),
        }
        figures = {name: [] for name in sides}
        for repeat in range(options.repeats + 1):
            for name, make in sides.items():
                figure = rate(make(repeat))
                if repeat:  # the first pass of each warms the caches
                    figures[name].append(figure)
    rows = []
    for index, (what, unit) in enumerate((("frame-level reader, wall", "videos/s"), ("frame-level reader, CPU", "us/video"))):
        ours, theirs = ([figure[index] for figure in figures[name]] for name in sides)
        ratios = [a / b if index == 0 else b / a for a, b in zip(ours, theirs)]
        rows.append(
            report.row(
                what,
                statistics.median(ours),
                unit,
                "plain tf.data",
                statistics.median(theirs),
                statistics.median(ratios),
                "at least as fast",
                statistics.median(ratios) >= 1,
            )
        )
    report.show("Reading frame-level shards (medians; ratio: the median of the passes in turn)", rows, options.json)


if __name__ == "__main__":
    main()
