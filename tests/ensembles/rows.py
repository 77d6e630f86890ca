"""What these tests score, rate and read: rows of a few videos in stores and in rated shards."""

import numpy as np

from tests.testing import make_segments
from yt8m.cli.ensemble import COMMAND
from yt8m.metrics import segment_metrics_from_pairs
from yt8m.readers.ratings import read_ratings
from yt8m.readers.records import Video, encode_video, write_shard
from yt8m.readers.stores import StoreConfig, create_store
from yt8m.scoring.submission import read_submission

LABELS = (30, 4, 17)
VIDEOS = [["abcd", "efgh", "ijkl"], ["mnop"], ["qrst", "uvwx"]]  # a list a shard
SEGMENTS = 40  # of a video


def shard_name(number):
    return f"test{number:04d}.tfrecord"


def segments_of(number):
    ids = np.repeat(VIDEOS[number], SEGMENTS)
    return ids, np.tile(np.arange(SEGMENTS) * 5, len(VIDEOS[number]))


NAMES = [f"{v}:{s}" for n in range(len(VIDEOS)) for v, s in zip(*segments_of(n))]


def write_store(folder, scores, labels=LABELS, dtype="uint16", run=None, kind="segments"):
    """A store of the rows in NAMES (of their videos), scores [N, C]."""
    store = create_store(folder, StoreConfig(kind, labels, dtype, run=run or {"model": folder.name}))
    begin = 0
    for number, videos in enumerate(VIDEOS):
        ids, starts = segments_of(number) if kind == "segments" else (np.array(videos), None)
        with store.writer(shard_name(number)) as shard:
            shard.add(ids, starts, scores[begin : begin + len(ids)])
        begin += len(ids)
    return str(folder)


def draw(seed, levels=None, num_rows=240):
    rng = np.random.default_rng(seed)
    if levels:
        return rng.integers(0, levels, (num_rows, len(LABELS))) / 9999
    return rng.random((num_rows, len(LABELS))) ** 3


def stored(scores):
    return np.rint(np.float32(scores) * np.float32(9999))


def read(path):
    return {c: segments.tolist() for c, segments in read_submission(path)}


def expected_lists(scores, n, labels=LABELS):
    """By falling score, ties in the order of the rows."""
    return {
        label: [NAMES[i] for i in np.argsort(-column, kind="stable")[:n]] for label, column in zip(labels, np.asarray(scores).T)
    }


def run(*arguments):
    COMMAND.run([str(argument) for argument in arguments], "yt8m ensemble")


RATED = [(0, 30, 1), (5, 30, 0), (10, 30, 1), (15, 30, 0), (20, 4, 1), (25, 4, 0), (30, 4, 0), (35, 17, 0), (40, 999, 1)]


def write_ratings(folder, prefix="validate", seed=0):
    """Rated shards of the videos in VIDEOS; classes 30 and 4 have positives, 17 has none, 999 is no class of the stores."""
    rng = np.random.default_rng(seed)
    for number, videos in enumerate(VIDEOS):
        records = []
        for video in videos:
            seen = rng.random(len(RATED)) < 0.8
            ratings = [(start, label, score if label == 999 else score * own) for (start, label, score), own in zip(RATED, seen)]
            records.append(encode_video(Video(video, {}, np.array([30]), make_segments(ratings))))
        write_shard(folder / f"{prefix}{number:04d}.tfrecord", records)
    return str(folder / f"{prefix}*.tfrecord")


def pairs_of(pattern):
    """(names, label ids, scores) of the ratings of LABELS."""
    rated = read_ratings(pattern)
    kept = np.isin(rated.classes, LABELS)
    return rated.segment_ids[kept], rated.classes[kept], rated.scores[kept]


def figures_of(scores, pattern):
    """MAP and AUC by hand: scores [N, C] of NAMES."""
    names, labels, ratings = pairs_of(pattern)
    rows = np.array([NAMES.index(name) for name in names])
    classes = np.array([LABELS.index(label) for label in labels])
    metrics = segment_metrics_from_pairs(classes, np.asarray(scores, np.float64)[rows, classes], ratings, len(LABELS))
    return metrics["map"], metrics["auc"]


def assert_figures(found, scores, pattern):
    np.testing.assert_allclose((found["map"], found["auc"]), figures_of(scores, pattern), atol=1e-12)


def brute_force_lists(lists, weights, n):
    size, points, seen = max(map(len, lists)), {}, []
    for weight, own in zip(weights, lists):
        for r, segment in enumerate(own):
            if segment not in seen:
                seen.append(segment)
            if own.index(segment) == r:
                points[segment] = points.get(segment, 0) + weight * (1 - r / size)
    ranked = sorted(seen, key=lambda segment: -round(points[segment], 9))
    return [segment for segment in ranked if points[segment] > 0][:n]
