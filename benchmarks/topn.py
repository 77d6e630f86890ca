"""The 100,000 best of 1.7 million segments for each of 1,000 classes: CPU time, minutes by the clock and peak memory.

Each side runs in a process of its own; ratios are those of CPU times. Ours takes the whole stream. The alternatives take all
segments of few classes, extrapolated to all of them: a heap a class, as the starter's inference keeps (without the text file that
it writes and reads again in between), and 10,000 buckets a class of scores rounded as round(p * 9999) and pruned every 100,000
segments, as paper 002 describes. Scores are sigmoids of correlated topics, made while the clocks stand.

  PYTHONPATH=$PWD python benchmarks/topn.py --json docs/results/topn.json
"""

import collections
import heapq
import resource
import statistics
import time

import numpy as np
import report

SEGMENTS, CLASSES, CAPACITY, SLICE = 1_700_000, 1_000, 100_000, 5
TOPICS, SEGMENTS_A_VIDEO, VIDEOS_A_BLOCK = 32, 46, 128  # 128 videos: inference's default batch
BUCKETS, PRUNE_EVERY = 10_000, 100_000


def blocks(segments, classes):
    """Yields (index of the first segment, float32 [n, classes] scores); the segments of a video resemble each other."""
    rng = np.random.default_rng(0)
    of_topics = rng.normal(0, 1.5 / TOPICS**0.5, (TOPICS, classes)).astype(np.float32)
    base = rng.uniform(-6, -2, classes).astype(np.float32)
    for first in range(0, segments, VIDEOS_A_BLOCK * SEGMENTS_A_VIDEO):
        videos = rng.standard_normal((VIDEOS_A_BLOCK, TOPICS), np.float32)
        topics = np.repeat(videos, SEGMENTS_A_VIDEO, axis=0)[: segments - first]
        topics += 0.7 * rng.standard_normal(topics.shape, np.float32)
        scores = topics @ of_topics
        scores += base
        np.negative(scores, out=scores)
        np.exp(scores, out=scores)
        scores += 1
        yield first, np.reciprocal(scores, out=scores)


class Ours:
    """The package's accumulator."""

    def __init__(self, classes, capacity):
        from yt8m.scoring.topk import TopSegments

        self.top, self.classes = TopSegments(classes, capacity), classes

    def take(self, first, scores):
        self.top.update(scores, first)

    def ranked(self):
        return (self.top.top(c)[0] for c in range(self.classes))


class Heaps:
    """A heap a class."""

    def __init__(self, classes, capacity):
        self.heaps, self.capacity = [[] for _ in range(classes)], capacity

    def take(self, first, scores):
        for heap, column in zip(self.heaps, scores.T.tolist()):
            for segment, score in enumerate(column, first):
                if len(heap) >= self.capacity:
                    heapq.heappushpop(heap, (score, segment))
                else:
                    heapq.heappush(heap, (score, segment))

    def ranked(self):
        return ([segment for _, segment in sorted(heap, reverse=True)] for heap in self.heaps)


class Buckets:
    """A dict a class of rounded score -> segments; a class's lowest useful score is found anew now and then."""

    def __init__(self, classes, capacity):
        self.buckets = [collections.defaultdict(list) for _ in range(classes)]
        self.lowest, self.capacity, self.next_prune = np.zeros(classes, np.uint16), capacity, PRUNE_EVERY

    def take(self, first, scores):
        rounded = np.round(scores * (BUCKETS - 1)).astype(np.uint16)
        rows, classes = np.nonzero(rounded >= self.lowest)
        for c, score, segment in zip(classes.tolist(), rounded[rows, classes].tolist(), (rows + first).tolist()):
            self.buckets[c][score].append(segment)
        if first + len(scores) >= self.next_prune:
            self.next_prune += PRUNE_EVERY
            self.prune()

    def prune(self):
        for c, buckets in enumerate(self.buckets):
            count = 0
            for score in sorted(buckets, reverse=True):
                if count >= self.capacity:
                    del buckets[score]
                else:
                    count += len(buckets[score])
                    self.lowest[c] = score if count >= self.capacity else 0

    def ranked(self):
        for buckets in self.buckets:
            yield [segment for score in sorted(buckets, reverse=True) for segment in buckets[score]][: self.capacity]


def measure(side, segments, classes, capacity):
    """Ranks a stream; returns seconds, CPU seconds and peak memory."""
    before, took = peak_gb(), np.zeros(2)
    keeper = {"ours": Ours, "heaps": Heaps, "buckets": Buckets}[side](classes, capacity)
    for first, scores in blocks(segments, classes):
        start = clocks()
        keeper.take(first, scores)
        took += clocks() - start
    start = clocks()
    kept = sum(len(segments) for segments in keeper.ranked())
    seconds, cpu = took + clocks() - start
    return {"seconds": seconds, "cpu": cpu, "gb": peak_gb(), "gained_gb": peak_gb() - before, "kept": kept}


def clocks():
    """Seconds of the clock, and of CPU, all threads' together: float64 [2]."""
    return np.array([time.perf_counter(), time.process_time()])


def peak_gb():
    """Most memory that this process has held so far, in 1e9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def rows_of(figures):
    """The rows of the table from {side: list of what `measure` returned, a turn each}."""
    ours = figures["ours"]
    cpu, minutes = statistics.median(f["cpu"] for f in ours), statistics.median(f["seconds"] for f in ours) / 60
    memory = max(f["gb"] for f in ours)
    rows = [
        report.row("by the clock", minutes, "min", goal="under 3 min", met=minutes < 3),
        report.row("peak memory of the process", memory, "GB", goal="under 1 GB", met=memory < 1),
    ]
    for side in ("heaps", "buckets"):
        theirs = [f["cpu"] * CLASSES / SLICE for f in figures[side]]
        ratio = statistics.median(b / a["cpu"] for a, b in zip(ours, theirs))
        goal = {"goal": "at least 20x", "met": ratio >= 20} if side == "heaps" else {}
        rows.append(report.row("CPU time", cpu, "s", f"{side} a class", statistics.median(theirs), ratio, **goal))
        gb = max(f["gained_gb"] for f in figures[side]) * CLASSES / SLICE
        rows.append(report.row("peak memory", memory, "GB", f"{side} a class", gb, gb / memory))
    return rows


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--segments", type=int, default=SEGMENTS)
    options = parser.parse_args()
    figures = collections.defaultdict(list)
    for repeat in range(1 if options.quick else options.repeats):
        for side, classes in (("ours", CLASSES), ("heaps", SLICE), ("buckets", SLICE)):
            figures[side].append(report.in_a_process("topn", "measure", side, options.segments, classes, CAPACITY))
        print(f"repeat {repeat + 1}:", {side: round(values[-1]["cpu"], 1) for side, values in figures.items()}, flush=True)
    rows = rows_of(figures)
    title = f"{options.segments:,} segments x {CLASSES:,} classes -> {CLASSES:,} x {CAPACITY:,}"
    report.show(f"{title} (alternatives: {SLICE} classes, extrapolated)", rows, options.json)


if __name__ == "__main__":
    main()
