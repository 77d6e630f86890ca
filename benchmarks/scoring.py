"""From TFRecords to a submission: segments a second of inference.py's work for 1,000 classes, and of context-aware scoring.

Weights are untrained, shards synthetic (full-size rgb and audio, 234 frames a video on average) or --data DIR's. As many segments
a class are kept as would be 100,000 of 1.7 million.

The logistic model's alternative is a plain user's: TensorFlow parses batches to float32 and cuts them into windows, one matrix
product scores them, a heap a class keeps the best. That of a context-aware model is the same model called with the video's
frames beside each segment's, so that the context is encoded once a segment; it is timed on some of the segments. This ratio is
bounded by the segments of a video (47 of 234 frames) and by (context + window) / window, in the time that these take.

Multi-attention's rows say as well what share of the CPU time its products would take at the rate of one large product in the same
process and type (train_step.py's).

Windows of 11 frames a segment overlap, and moved ones (--segment_shifts) do so more: what a network makes of each frame by itself
is made once. The alternative is the same model asked window by window. These rows and the context's are of CPU
time, of both cores together, which the JSON has of the others, too: work beside changes it less than the clock.
"""

import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np
import report
import tensorflow as tf
import train_step
from reader import write_shards
from topn import Heaps

from yt8m import models
from yt8m.config import ModelConfig
from yt8m.readers.batches import evaluation_batches
from yt8m.scoring import infer
from yt8m.segments import segments_of, window_indices
from yt8m.training import predict
from yt8m.training.data import frame_spec

CLASSES, BATCH, KEPT = 1000, 128, 100_000 / 1_700_000
NEXTVLAD = {"cluster_size": 64, "groups": 16, "hidden_size": 2048}
DBOF = {"cluster_size": 4096, "hidden_size": 2048}
CONTEXT_PAIRS = {  # paper 002, table 5
    "context DBoF, segment NeXtVLAD": ("GatedDbofModel", DBOF, "NeXtVladModel", NEXTVLAD),
    "context NeXtVLAD, segment NeXtVLAD": ("NeXtVladModel", NEXTVLAD, "NeXtVladModel", NEXTVLAD),
    "context NeXtVLAD, segment DBoF": ("NeXtVladModel", NEXTVLAD, "GatedDbofModel", DBOF),
}
CONTEXT_VIDEOS, CONTEXT_SEGMENTS, CONTEXT_AT_A_TIME = 8, 48, 16


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    repeats = 2 if options.quick else options.repeats
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pattern = f"{options.data}/*.tfrecord" if options.data else write_shards(folder, 160 if options.quick else 400)[0]
        rows = inference_rows(pattern, folder, repeats)
        for title in list(CONTEXT_PAIRS)[: 1 if options.quick else None]:
            rows.append(context_row(title, pattern, repeats))
        for shifts in (0, 2):
            rows.append(window_row("NeXtVladModel", pattern, shifts, repeats))
    report.show(f"Scoring segments, {CLASSES:,} classes (medians of {repeats} repeats in turn)", rows, options.json)


def inference_rows(pattern, folder, repeats):
    """Rows of whole inference runs, shards to CSV."""
    segments = sum(len(segments_of(batch["num_frames"])[0]) for batch in batches("FrameLevelLogisticModel", pattern))
    most = max(1, round(segments * KEPT))
    scorers = {name: scorer(name) for name in ("FrameLevelLogisticModel", "MultiAttentionModel")}
    scorers["MultiAttentionModel, bfloat16"] = scorer("MultiAttentionModel", "mixed_bfloat16")
    kernel, bias = (weight.numpy() for weight in scorers["FrameLevelLogisticModel"][0].weights)
    sides = {name: lambda path, s=s: ours(s, pattern, path, most) for name, (_, s) in scorers.items()}
    sides["plain"] = lambda path: plain(pattern, kernel, bias, path, most)
    rates, cpu_rates = {name: [] for name in sides}, {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, run in sides.items():
            start, started = time.perf_counter(), time.process_time()
            run(str(folder / f"{name}.csv"))
            if repeat:  # the first pass of each compiles and warms the caches
                rates[name].append(segments / (time.perf_counter() - start))
                cpu_rates[name].append(segments / (time.process_time() - started))
    check_alike(folder / "FrameLevelLogisticModel.csv", folder / "plain.csv")
    products = products_a_segment(scorers["MultiAttentionModel"][0])
    rows = []
    for name in scorers:
        ratio = statistics.median(a / b for a, b in zip(rates[name], rates["plain"]))
        rate = statistics.median(rates[name])
        goal = {"goal": "at least 2,500/s", "met": rate >= 2500} if name.startswith("MultiAttentionModel") else {}
        if name == "FrameLevelLogisticModel":
            goal = {"goal": "at least 5x", "met": ratio >= 5}
        against = ("logistic: tf.io + matmul + heaps", statistics.median(rates["plain"]), ratio)
        rows.append(report.row(f"{name}, TFRecords to CSV", rate, "segments/s", *against, **goal))
        rows[-1] |= cpu_facts(cpu_rates[name], cpu_rates["plain"])
        if name.startswith("MultiAttentionModel"):
            rate, cpu_rate = train_step.matrix_rate("mixed_bfloat16" if name.endswith("bfloat16") else "float32")
            rows[-1] |= {"operations": products, "rate": rate, "cpu_rate_of_a_product": cpu_rate}
            rows[-1]["share"] = products * rows[-1]["cpu_rate"] / cpu_rate
    return rows


def products_a_segment(model, segments=100):
    """Multiplications and additions in the products of one segment's scores."""
    frames = np.random.default_rng(0).integers(0, 256, (segments, 5, 1152), np.uint8)
    batch = {"frames": frames, "num_frames": np.full(segments, 5, np.int32)}
    return train_step.products_of(lambda: model(batch, training=False)) / segments


def cpu_facts(ours, theirs):
    """What the table of docs/speed.md shows of a row: segments a CPU second, and the ratio of these."""
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    return {"cpu_rate": statistics.median(ours), "baseline_cpu_rate": statistics.median(theirs), "cpu_ratio": ratio}


def scorer(name, precision="float32"):
    """(model, Scorer) of a registered model with its defaults."""
    keras.config.set_dtype_policy(precision)
    model = models.build_model(name, CLASSES)
    keras.config.set_dtype_policy("float32")
    return model, infer.Scorer([infer.Member(model, config(name))])


def config(name):
    """ModelConfig of a model of the first 1,000 of YouTube-8M's classes."""
    return ModelConfig(name, label_ids=tuple(range(CLASSES)))


def batches(name, pattern):
    """Batches of whole videos."""
    return evaluation_batches(frame_spec(config(name), pattern), BATCH)


def ours(scorer, pattern, path, most):
    """What inference.py --segment_labels does."""
    with report.quiet():
        infer.rank_segments(scorer, infer.Job(pattern, path, BATCH), most)


def plain(pattern, kernel, bias, path, most):
    """TensorFlow's parser, one matrix product, a heap a class."""

    def parse(serialized):
        context, lists, lengths = tf.io.parse_sequence_example(
            serialized,
            {"id": tf.io.FixedLenFeature([], tf.string)},
            {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in ("rgb", "audio")},
        )
        frames = [tf.io.decode_raw(lists[n], tf.uint8, fixed_length=s) for n, s in (("rgb", 1024), ("audio", 128))]
        frames = tf.cast(tf.concat(frames, 2), tf.float32) * (4 / 255) + (4 / 512 - 2)  # [B, T, D]
        frames = tf.nn.l2_normalize(frames, axis=2)
        left = -tf.shape(frames)[1] % 5
        frames = tf.pad(frames, [[0, 0], [0, left], [0, 0]])
        real = tf.sequence_mask(lengths["rgb"], tf.shape(frames)[1], tf.float32)[..., None]
        windows = tf.reshape(frames * real, [tf.shape(frames)[0], -1, 5, frames.shape[2]])  # [B, S, 5, D]
        counts = tf.reduce_sum(tf.reshape(real, [tf.shape(frames)[0], -1, 5]), axis=2)
        return context["id"], tf.reduce_sum(windows, axis=2), counts

    shards = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)))
    parsed = shards.batch(BATCH).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    heaps, names = Heaps(CLASSES, most), []
    for ids, sums, counts in parsed.as_numpy_iterator():
        rows, segments = np.nonzero(counts)
        means = sums[rows, segments] / counts[rows, segments][:, None]
        scores = 1 / (1 + np.exp(-(means @ kernel + bias)))
        heaps.take(len(names), scores)
        names += [f"{ids[row].decode()}:{segment * 5}" for row, segment in zip(rows, segments)]
    with open(path, "w") as file:
        file.write("Class,Segments\n")
        for c, ranked in enumerate(heaps.ranked()):
            file.write(f"{c},{' '.join(names[segment] for segment in ranked)}\n")


def check_alike(one, other):
    """Raises where two submissions list other segments (but for the last digits of scores)."""
    lines = zip(one.read_text().splitlines()[1:], other.read_text().splitlines()[1:], strict=True)
    shares = [len(set(a.split()) & set(b.split())) / len(a.split()) for a, b in lines]
    if min(shares) < 0.95:
        raise SystemExit(f"the two sides list other segments: only {min(shares):.0%} of a class are the same")


def context_row(title, pattern, repeats):
    """Row of a context-aware model: the context once a video beside once a segment."""
    context, context_options, segment, segment_options = CONTEXT_PAIRS[title]
    encoders = {"context_model": context, "context_options": context_options}
    encoders |= {"segment_model": segment, "segment_options": segment_options}
    model = models.build_model("ContextAwareModel", CLASSES, **encoders)
    ask, expansion = predict.make_predict(model), 3  # of paper 002
    batch = next(iter(batches("ContextAwareModel", pattern)))
    frames, num_frames = (batch[key].numpy()[:CONTEXT_VIDEOS] for key in ("frames", "num_frames"))
    rows, _, at, counts = window_indices(num_frames, expansion)
    rates = {"once a video": [], "once a segment": []}
    for repeat in range(repeats + 1):
        start = time.process_time()
        scores = predict.segment_scores(model, ask, {"frames": frames, "num_frames": num_frames}, expansion)[2]
        ended = time.process_time()
        repeated = []
        for begin in range(0, CONTEXT_SEGMENTS, CONTEXT_AT_A_TIME):
            part = slice(begin, begin + CONTEXT_AT_A_TIME)
            video = {"context_frames": frames[rows[part]], "context_num_frames": num_frames[rows[part]]}
            repeated.append(ask({**video, "frames": frames[rows[part, None], at[part]], "num_frames": counts[part]}))
        if repeat:
            rates["once a video"].append(len(rows) / (ended - start))
            rates["once a segment"].append(CONTEXT_SEGMENTS / (time.process_time() - ended))
    np.testing.assert_allclose(np.concatenate(repeated), scores[:CONTEXT_SEGMENTS], atol=1e-5)
    once, again = rates["once a video"], rates["once a segment"]
    ratio = statistics.median(a / b for a, b in zip(once, again))
    against = ("context once a segment", statistics.median(again), ratio, "at least 20x", ratio >= 20)
    return report.row(f"context-aware, {title}", statistics.median(once), "segments/CPU s", *against) | cpu_facts(once, again)


def window_row(name, pattern, shifts, repeats):
    """Row of a model whose windows overlap: each frame described once beside window by window."""
    model, expansion = models.build_model(name, CLASSES), 3
    ask = predict.make_predict(model)
    batch = next(iter(batches(name, pattern)))
    videos = {key: batch[key].numpy()[:CONTEXT_VIDEOS] for key in ("frames", "num_frames")}
    shared, rates = ask.shared, {"shared": [], "alone": []}
    for repeat in range(repeats + 1):
        scored = {}
        for side, halves in (("shared", shared), ("alone", lambda width: None)):
            ask.shared = halves
            start = time.process_time()
            scored[side] = predict.segment_scores(model, ask, videos, expansion, shifts=shifts)[2]
            if repeat:
                rates[side].append(len(scored[side]) / (time.process_time() - start))
    np.testing.assert_allclose(scored["shared"], scored["alone"], atol=1e-5)
    facts = cpu_facts(rates["shared"], rates["alone"])
    title = f"{name}, 11 frames a segment" + (f", --segment_shifts={shifts}" if shifts else "")
    against = ("window by window", facts["baseline_cpu_rate"], facts["cpu_ratio"])
    return report.row(title, facts["cpu_rate"], "segments/CPU s", *against) | facts


if __name__ == "__main__":
    main()
