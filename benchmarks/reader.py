"""How fast are shards read? Ours beside plain tf.data pipelines and less, in turn, on the same shards.

Frame level (synthetic full-size videos of rgb and audio, 234 frames on average, or --data DIR of such shards), CPU time a video:
reading the bytes, TFRecordDataset without parsing, a pipeline that parses to float32 as the starter code does, one that parses
to uint8, and ours. Short records (AudioSet's, 10 frames of 128 bytes; video level, 1,152 floats): a pipeline that parses batches,
and ours. Segments of 5 frames and 3 on both sides: rows a second of rated ones and of an M-step, with 1, 2 and 4 --num_readers,
and in 1 and 2 processes of one reader, beside rows cut from whole records. Ours shuffles all rows, checks every CRC once (not
timed: the first pass fills the index) and can go on from any step.

  PYTHONPATH=$PWD python benchmarks/reader.py --json docs/results/reader.json
"""

import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import statistics
import tempfile
import time

import numpy as np
import report
import tensorflow as tf

from yt8m.readers import batches, records, sidecars, tables
from yt8m.readers.index import index_shard
from yt8m.readers.layouts import Layout
from yt8m.readers.spec import RatedSegments, WholeVideos

BATCH, SEGMENT_BATCH, CLASSES = 128, 512, 3862
NAMES, SIZES = ("rgb", "audio"), (1024, 128)
READERS, PROCESSES = (1, 2, 4), (1, 2)
UNPARSED, STARTER, PLAIN, RAW, OURS = "TFRecordDataset, not parsed", "parsed to float32", "parsed to uint8", "bytes read", "ours"


# ---------------------------------------------------------------- shards


def write_shards(folder, videos, shards=16):
    """Random full-size videos with real lengths' spread, 5 rated segments each, and an M-step's sidecars of 3 labels a segment.

    Returns:
        (their pattern, the folder of the sidecars).
    """
    rng = np.random.default_rng(0)
    for shard in range(shards):
        lengths = np.clip(rng.normal(234, 60, videos // shards), 30, 300).astype(int)
        written = [_video(f"{shard:x}{number:03d}", length, rng) for number, length in enumerate(lengths)]
        records.write_shard(folder / f"train{shard:04d}.tfrecord", map(records.encode_video, written))
        header = sidecars.SidecarHeader(f"train{shard:04d}.tfrecord", len(written), CLASSES, dense=True)
        annotations = [(video.id, _every_segment(length, rng)) for video, length in zip(written, lengths)]
        sidecars.write_sidecar(folder / "pseudo_labels", header, annotations)
    return str(folder / "train*.tfrecord"), str(folder / "pseudo_labels")


def _video(name, length, rng):
    starts = np.sort(rng.choice(length // 5, 5, replace=False)) * 5
    rated = records.Segments(starts, starts + 5, rng.integers(0, CLASSES, 5), rng.integers(0, 2, 5).astype(np.float32))
    frames = {feature: rng.integers(0, 256, (length, size), np.uint8) for feature, size in zip(NAMES, SIZES)}
    return records.Video(name, frames, rng.integers(0, CLASSES, 3), rated)


def _every_segment(length, rng):
    starts = np.repeat(np.arange(0, length, 5), 3)
    labels = (np.arange(len(starts)) % 3) * 1000 + rng.integers(0, 800)
    return records.Segments(starts, starts + 5, labels, rng.random(len(starts)).astype(np.float32))


def write_short(folder, count, shards=4):
    """Records as AudioSet's and video-level ones; returns their patterns."""
    rng = np.random.default_rng(1)
    for shard in range(shards):
        names = [f"{shard}{number:05d}" for number in range(count // shards)]
        clips = [
            records.Video(name, {"audio_embedding": rng.integers(0, 256, (10, 128), np.uint8)}, rng.integers(0, 527, 2), None)
            for name in names
        ]
        records.write_shard(folder / f"clips{shard}.tfrecord", [records.encode_video(clip, "video_id") for clip in clips])
        means = [
            records.encode_video_features(
                name, rng.integers(0, CLASSES, 3), {"mean_rgb": rng.normal(size=1024), "mean_audio": rng.normal(size=128)}
            )
            for name in names
        ]
        records.write_shard(folder / f"means{shard}.tfrecord", means)
    return str(folder / "clips*.tfrecord"), str(folder / "means*.tfrecord")


# ---------------------------------------------------------------- what stands beside ours


def serialized(pattern):
    """The records of all shards, not parsed."""
    shards = tf.data.Dataset.from_tensor_slices(sorted(tf.io.gfile.glob(pattern)))
    return shards.interleave(tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE)


def read_bytes(pattern):
    """Reads the files; yields how many records they have, which is known."""
    for path in sorted(tf.io.gfile.glob(pattern)):
        with open(path, "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass
    yield sum(len(index_shard(path)) for path in sorted(tf.io.gfile.glob(pattern)))


def parsed(pattern, kind):
    """Padded batches of frame-level videos: uint8; or as the starter code has them, float32, dequantised, of 300 frames."""

    def parse(record):
        context, lists = tf.io.parse_single_sequence_example(
            record,
            {"id": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.VarLenFeature(tf.int64)},
            {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in NAMES},
        )
        frames = tf.concat([tf.reshape(tf.io.decode_raw(lists[n], tf.uint8), [-1, s]) for n, s in zip(NAMES, SIZES)], 1)
        count = tf.shape(frames)[0]
        if kind == "float32":
            frames = tf.cast(frames, tf.float32) * (4 / 255) + (4 / 512 - 2)
            frames = tf.pad(frames[:300], [[0, 300 - tf.minimum(count, 300)], [0, 0]])
        return {"ids": context["id"], "frames": frames, "num_frames": count, "labels": _hot(context["labels"], CLASSES)}

    return serialized(pattern).shuffle(1000).map(parse, num_parallel_calls=tf.data.AUTOTUNE).padded_batch(BATCH).prefetch(2)


def _hot(labels, classes):
    return tf.reduce_max(tf.one_hot(tf.sparse.to_dense(labels), classes), axis=-2)


def parsed_clips(pattern):
    """Batches of AudioSet's records, parsed a batch at a time."""

    def parse(batch):
        context, lists, _ = tf.io.parse_sequence_example(
            batch,
            {"video_id": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.VarLenFeature(tf.int64)},
            {"audio_embedding": tf.io.FixedLenSequenceFeature([], tf.string)},
        )
        frames = tf.io.decode_raw(lists["audio_embedding"], tf.uint8)
        return {"ids": context["video_id"], "frames": frames, "labels": _hot(context["labels"], 527)}

    return serialized(pattern).shuffle(1000).batch(BATCH).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def parsed_means(pattern):
    """Batches of video-level records, parsed a batch at a time."""

    def parse(batch):
        wanted = {"id": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.VarLenFeature(tf.int64)}
        wanted |= {f"mean_{name}": tf.io.FixedLenFeature([size], tf.float32) for name, size in zip(NAMES, SIZES)}
        example = tf.io.parse_example(batch, wanted)
        features = tf.concat([example["mean_rgb"], example["mean_audio"]], 1)
        return {"ids": example["id"], "features": features, "labels": _hot(example["labels"], CLASSES)}

    return serialized(pattern).shuffle(1000).batch(BATCH).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


@contextlib.contextmanager
def from_whole_records():
    """Within it no shard has an index of its frames, so that each row is cut from its record, decoded for it."""
    of, nothing = Layout.of, lambda self, names, sizes: (0 * self.counts, np.zeros((len(self.counts), len(names)), np.int64))
    try:
        Layout.of = nothing
        tables._TABLES.clear()
        yield
    finally:
        Layout.of = of
        tables._TABLES.clear()


# ---------------------------------------------------------------- measuring


def rate(elements):
    """(rows a second, CPU microseconds a row) of one pass over batches, records or numbers of records."""
    wall, cpu, rows = time.monotonic(), time.process_time(), 0
    for element in elements:
        rows += int(element["labels"].shape[0]) if isinstance(element, dict) else element if isinstance(element, int) else 1
    return rows / (time.monotonic() - wall), (time.process_time() - cpu) / rows * 1e6


def segment_rate(spec, rows, readers, begin=lambda: None):
    """The same of so many rows of segments after the first batches, which wait for the labels or have been read ahead.

    begin: called between the two.
    """
    endless = iter(batches.training_batches(spec, SEGMENT_BATCH, 1, num_parallel=readers))
    for _ in range(readers + 4):
        next(endless)
    begin()
    wall, cpu, count = time.monotonic(), time.process_time(), -(-rows // SEGMENT_BATCH)
    for _ in itertools.islice(endless, count):
        pass
    return count * SEGMENT_BATCH / (time.monotonic() - wall), (time.process_time() - cpu) / count / SEGMENT_BATCH * 1e6


def rate_of_processes(pattern, pseudo_labels, rows, count):
    """The same of an M-step's rows, of several processes together, one reader each, as a run's hosts are.

    They begin at once and the last to end counts for all. Each reads all rows once before, as the process of the other sides has
    in their first turns: what a process does but once (tables of the shards, pages of the files) is not timed.
    """
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(count) as pool:
        arguments = [(folder, number, count, pattern, pseudo_labels, rows) for number in range(count)]
        pairs = list(pool.map(lambda of: report.in_a_process("reader", "rate_beside_others", *of), arguments))
    return count * min(rate for rate, _ in pairs), statistics.mean(cpu for _, cpu in pairs)


def rate_beside_others(folder, number, count, pattern, pseudo_labels, rows):
    """segment_rate of one of several processes, which begin at once: when each has left its name in the folder."""
    spec = mstep_of(pattern, pseudo_labels)
    segment_rate(spec, batches.count_examples(spec), 1)

    def wait():
        pathlib.Path(folder, str(number)).touch()
        while len(os.listdir(folder)) < count:
            time.sleep(0.01)

    return segment_rate(spec, rows, 1, wait)


def mstep_of(pattern, pseudo_labels):
    return RatedSegments(pattern, NAMES, SIZES, all_segments=True, annotations=pseudo_labels, segment_expansion=3)


def in_turn(sides, repeats):
    """name -> list of what each side's function returned, turn by turn; a first turn of each fills the caches."""
    figures = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, measure in sides.items():
            figure = measure(repeat)
            if repeat:
                figures[name].append(figure)
    return figures


def beside(what, unit, figures, index, other, goal="", least=None):
    """A row of the table: ours beside another, the ratio the median of the turns'; index 0: of rates, 1: of CPU times."""
    ours, theirs = ([figure[index] for figure in figures[name]] for name in (OURS, other))
    ratio = statistics.median(a / b if index == 0 else b / a for a, b in zip(ours, theirs))
    values = statistics.median(ours), unit, other, statistics.median(theirs), ratio
    return report.row(what, *values, goal, None if least is None else ratio >= least)


def frame_level(pattern, repeats):
    spec = WholeVideos(pattern, NAMES, SIZES)
    sides = {
        OURS: lambda seed: rate(batches.training_batches(spec, BATCH, seed, num_epochs=1)),
        RAW: lambda _: rate(read_bytes(pattern)),
        UNPARSED: lambda _: rate(serialized(pattern)),
        STARTER: lambda _: rate(parsed(pattern, "float32")),
        PLAIN: lambda _: rate(parsed(pattern, "uint8")),
    }
    figures, what = in_turn(sides, repeats), "frame level"
    return [
        beside(what, "us of CPU a video", figures, 1, RAW),
        beside(what, "us of CPU a video", figures, 1, UNPARSED, "at most .7 of its time", 1 / 0.7),
        beside(what, "us of CPU a video", figures, 1, PLAIN),
        beside(what, "us of CPU a video", figures, 1, STARTER, "5 times as fast", 5.0),
        beside(what, "videos/s", figures, 0, PLAIN),
    ]


def short_records(clips, means, repeats):
    of_clips = WholeVideos(clips, ("audio_embedding",), (128,), num_classes=527, id_feature="video_id")
    of_means = WholeVideos(means, ("mean_rgb", "mean_audio"), SIZES, frame_features=False)
    rows, goal = [], ("at least as fast", 1.0)
    for what, spec, plain in (("AudioSet", of_clips, parsed_clips), ("video level", of_means, parsed_means)):
        sides = {
            OURS: lambda seed, spec=spec: rate(batches.training_batches(spec, BATCH, seed, num_epochs=1)),
            "batches parsed": lambda _, spec=spec, plain=plain: rate(plain(spec.pattern)),
        }
        figures = in_turn(sides, repeats)
        rows.append(beside(what, "us of CPU a record", figures, 1, "batches parsed", *goal))
        rows.append(beside(what, "records/s", figures, 0, "batches parsed", *goal))
    return rows


def segments(pattern, pseudo_labels, rows, repeats):
    made = pattern, pseudo_labels
    mstep = mstep_of(*made)
    rated = RatedSegments(pattern, NAMES, SIZES, segment_expansion=3)
    whole, wanted = "an M-step's from whole records, --num_readers=2", "rows of an M-step, --num_readers=2"

    def slowly(_):
        with from_whole_records():
            return segment_rate(mstep, rows // 16, 2)

    sides = {whole: slowly}
    for what, spec in (("rows of an M-step", mstep), ("rated segments, kept in memory", rated)):
        for readers in READERS:
            sides[f"{what}, --num_readers={readers}"] = lambda _, of=(spec, rows, readers): segment_rate(*of)
    for count in PROCESSES:
        sides[f"rows of an M-step, processes of one reader: {count}"] = lambda _, count=count: rate_of_processes(
            *made, rows, count
        )
    figures, found = in_turn(sides, repeats), []
    beneath = figures.pop(whole)
    for what, of_side in figures.items():
        row = beside(what, "segments/s", {OURS: of_side, whole: beneath}, 0, whole)
        if what == wanted:
            row |= {"goal": "50,000 segments/s", "met": row["value"] >= 50_000}
        found.append({**row, "cpu": statistics.median(figure[1] for figure in of_side)})
    return found


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        pattern, pseudo_labels = write_shards(folder, 320 if options.quick else 1600)
        rows = frame_level(f"{options.data}/*.tfrecord" if options.data else pattern, options.repeats)
        rows += short_records(*write_short(folder, 4000 if options.quick else 20_000), options.repeats)
        repeats = min(options.repeats, 2) if options.quick else options.repeats
        rows += segments(pattern, pseudo_labels, 40_000 if options.quick else 200_000, repeats)
    report.show("Reading shards (medians; ratio: the median of the turns')", rows, options.json)


if __name__ == "__main__":
    main()
