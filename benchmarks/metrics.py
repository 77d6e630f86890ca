"""MAP@100,000 of a full submission, 1,000 classes x 100,000 segments: seconds, of the clock and of CPU, and peak memory, from
memory and from a CSV file.
MAP and GAP of whole videos, the same.

The ratings are as many as the real ones, about 243 a class. The alternative is what the starter's segment_eval_inference does, a
lookup in a dict of all ratings for every entry (and for the file a split of every line), on some of the classes, extrapolated.
--quick takes a tenth of the file, and of the videos.

Of whole videos MAP needs every prediction, 4 * 3,862 bytes a video. The alternative to the file that they go to is to keep them
in memory, which VideoMetrics does when it is given that much. All of the validation set: --videos=1114000 --streamed_only, which
takes 17 GB in the cache folder.

  PYTHONPATH=$PWD python benchmarks/metrics.py --json docs/results/metrics.json
"""

import collections
import os
import resource
import statistics
import tempfile
import time

import numpy as np
import report

CLASSES, ENTRIES, RATINGS_A_CLASS, VIDEOS, SLICE = 1_000, 100_000, 243, 37_000, 20
LABELLED_CLASSES, LABELS_A_VIDEO, ALL_IN_MEMORY = 3_862, 3, 2**50
LETTERS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)


def draw(classes):
    """(a function class -> its ranked segment ids, str [ENTRIES]; ratings) of as many videos as the test set has."""
    from yt8m.metrics.segments import Ratings

    rng = np.random.default_rng(0)
    videos = np.unique(rng.choice(LETTERS, (VIDEOS, 4)).view("S4")).astype(str)
    segments = np.array([f"{video}:{start}" for video in videos for start in range(0, 230, 5)])
    order, shifts = rng.permutation(len(segments)), rng.integers(0, len(segments), classes)

    def ranked(c):
        return segments[(order[:ENTRIES] + shifts[c]) % len(segments)]

    rated = rng.integers(0, len(segments), classes * RATINGS_A_CLASS)
    listed = np.concatenate([(rng.choice(order[:ENTRIES], RATINGS_A_CLASS) + shifts[c]) % len(segments) for c in range(classes)])
    rated = np.where(rng.random(len(rated)) < 0.5, rated, listed)
    return ranked, Ratings(segments[rated], np.repeat(np.arange(classes), RATINGS_A_CLASS), (rated % 9 < 5).astype(np.float32))


def starter(lines, ratings):
    """The starter's way: (class, list of segment ids) pairs -> MAP."""
    rated = {
        (segment, c): score
        for segment, c, score in zip(ratings.segment_ids.tolist(), ratings.classes.tolist(), ratings.scores.tolist())
    }
    positives = collections.Counter(c for (_, c), score in rated.items() if score > 0)
    precisions, start = [], time.perf_counter()
    for c, segments in lines:
        found = [rated[segment, c] for segment in segments[:ENTRIES] if (segment, c) in rated]
        right = np.cumsum(found)
        precisions.append(np.sum(right / np.arange(1, len(found) + 1) * found) / positives[c])
    return float(np.mean(precisions)), time.perf_counter() - start


def split_lines(path):
    """The first classes of a CSV file, as the starter splits them."""
    with open(path) as file:
        next(file)
        for _, line in zip(range(SLICE), file):
            label, segments = line.strip().split(",")
            yield int(label), segments.split(" ")


def from_memory(repeats, classes):
    """Seconds of both sides with all entries in memory, and the peak memory of ours."""
    from yt8m.metrics.segments import segment_average_precisions

    ranked, ratings = draw(classes)
    submission = {c: ranked(c) for c in range(classes)}
    figures = {"ours": [], "cpu": [], "starter": []}
    for repeat in range(repeats):
        result, seconds, cpu = timed(lambda: segment_average_precisions(submission, ratings, ENTRIES))
        figures["ours"].append(seconds)
        figures["cpu"].append(cpu)
        if not repeat:
            figures["gb"] = peak_gb()
        expected, seconds = starter([(c, submission[c].tolist()) for c in range(SLICE)], ratings)
        check(result, expected)
        figures["starter"].append(seconds * classes / SLICE)
    return figures


def from_file(repeats, classes):
    """The same with the entries in a CSV file, and the seconds that writing it took."""
    from yt8m.metrics.segments import segment_average_precisions
    from yt8m.scoring.submission import read_submission, write_submission

    ranked, ratings = draw(classes)
    figures = {"ours": [], "cpu": [], "starter": []}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "submission.csv")
        ids = (ranked(c) for c in range(classes))
        _, *figures["write"] = timed(lambda: write_submission(path, range(classes), ids, ENTRIES))
        figures["file_gb"] = os.path.getsize(path) / 1e9
        for repeat in range(repeats):
            result, seconds, cpu = timed(lambda: segment_average_precisions(read_submission(path), ratings, ENTRIES))
            figures["ours"].append(seconds)
            figures["cpu"].append(cpu)
            if not repeat:
                figures["gb"] = peak_gb()
            expected, seconds = starter(split_lines(path), ratings)
            check(result, expected)
            figures["starter"].append(seconds * classes / SLICE)
    return figures


def timed(call):
    """(what it returns, seconds, CPU seconds)"""
    start, started = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - start, time.process_time() - started


def whole_videos(count, memory):
    """Seconds, CPU seconds and peak memory of the metrics of so many videos, and their MAP; `memory` as VideoMetrics's."""
    result, seconds, cpu = timed(lambda: _metrics_of_videos(count, memory))
    return {"map": result["map"], "gap": result["gap"], "seconds": seconds, "cpu": cpu, "gb": peak_gb()}


def _metrics_of_videos(count, memory):
    from yt8m.metrics import VideoMetrics

    rng = np.random.default_rng(0)
    collected = VideoMetrics(LABELLED_CLASSES, memory=memory)
    for first in range(0, count, 128):
        n = min(128, count - first)
        labels = np.zeros((n, LABELLED_CLASSES), np.float32)
        np.put_along_axis(labels, rng.integers(0, LABELLED_CLASSES, (n, LABELS_A_VIDEO)), 1, axis=1)
        predictions = rng.random((n, LABELLED_CLASSES), np.float32)
        collected.update(np.where(labels > 0, np.sqrt(predictions), predictions), labels)
    return collected.result()


def rows_of_videos(count, streamed_only):
    """Rows of the table: the metrics of whole videos, their predictions in a file and in memory."""
    from yt8m.metrics.score_columns import MEMORY

    streamed = report.in_a_process("metrics", "whole_videos", count, MEMORY)
    kept = {} if streamed_only else report.in_a_process("metrics", "whole_videos", count, ALL_IN_MEMORY)
    if kept and (kept["map"], kept["gap"]) != (streamed["map"], streamed["gap"]):
        raise SystemExit(f"the two sides differ: {streamed} and {kept}")
    name = f"MAP and GAP of {count:,} videos x {LABELLED_CLASSES:,} classes"
    ratios = [kept[key] / streamed[key] if kept else None for key in ("seconds", "gb")]
    return [
        {**report.row(name, streamed["seconds"], "s", "all in memory", kept.get("seconds"), ratios[0]), "cpu": streamed["cpu"]},
        report.row(f"peak memory, {name}", streamed["gb"], "GB", "all in memory", kept.get("gb"), ratios[1]),
    ]


def check(result, expected):
    """Raises where the two sides do not agree on the slice."""
    ours = np.mean([result.per_class[c] for c in range(SLICE)])
    if abs(ours - expected) > 1e-9:
        raise SystemExit(f"the two sides differ: {ours} and {expected}")


def peak_gb():
    """Most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--videos", type=int, help="whole videos to measure; 0: none")
    parser.add_argument("--streamed_only", action="store_true", help="of whole videos only ours, not all in memory")
    parser.add_argument("--videos_only", action="store_true", help="nothing but whole videos")
    options = parser.parse_args()
    videos = (10_000 if options.quick else 100_000) if options.videos is None else options.videos
    rows = rows_of_videos(videos, options.streamed_only) if videos else []
    if options.videos_only:
        report.show("Metrics of whole videos", rows, options.json)
        return
    repeats = 3 if options.quick else options.repeats
    file_classes = CLASSES // 10 if options.quick else CLASSES
    for function, classes in (("from_memory", CLASSES), ("from_file", file_classes)):
        figures = report.in_a_process("metrics", function, repeats, classes)
        millions = f"{classes * ENTRIES / 1e6:.0f} M entries {function.replace('_', ' ')}"
        seconds, theirs = statistics.median(figures["ours"]), statistics.median(figures["starter"])
        ratio = statistics.median(b / a for a, b in zip(figures["ours"], figures["starter"]))
        in_memory = function == "from_memory"
        goal = {"goal": "under 10 s", "met": seconds < 10} if in_memory else {}
        row = report.row(f"MAP@{ENTRIES:,}, {millions}", seconds, "s", "dict lookups", theirs, ratio, **goal)
        rows.append({**row, "cpu": statistics.median(figures["cpu"])})
        rows.append(report.row(f"peak memory, {millions}", figures["gb"], "GB", goal="under 4 GB", met=figures["gb"] < 4))
        if not in_memory:
            seconds, cpu = figures["write"]
            rows.append({**report.row(f"writing the file of {figures['file_gb']:.2g} GB", seconds, "s"), "cpu": cpu})
    title = f"Scoring a submission (medians of {repeats} repeats in turn; lookups: {SLICE} classes, extrapolated)"
    report.show(title, rows, options.json)


if __name__ == "__main__":
    main()
