"""Scoring a submission file against the ratings in shards."""

import csv
import os

import numpy as np

from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.metrics.segments import Ratings, segment_average_precisions
from yt8m.readers import datasets
from yt8m.scoring.submission import read_submission


def read(pattern, id_feature="id", cache=None):
    """The ratings of all shards; only the contexts of the records are read.

    Args:
        pattern: shards; not looked at when the cache is there.
        id_feature: name of a record's id.
        cache: CSV file (segment,class,score) to read instead when it is there, and to write when it is not.

    Returns:
        metrics.segments.Ratings.

    Raises:
        UserError: the cache is not such a file or cannot be written, or a shard is bad.
    """
    if cache and os.path.exists(cache):
        print(f"Ratings: {cache}")
        return _read_cache(cache)
    rated = datasets.read_ratings(pattern, id_feature, pattern_flag="eval_data_pattern")
    if cache:
        rows = zip(rated.segment_ids, rated.classes, rated.scores)
        write_text(cache, "".join(f"{segment},{label},{score}\n" for segment, label, score in rows))
    return rated


def _read_cache(cache):
    """The Ratings of a --label_cache file."""
    try:
        with open(cache, encoding="utf-8", newline="") as file:
            rows = [(segment, int(label), float(score)) for segment, label, score in csv.reader(file)]
        segments, classes, scores = (np.array(column) for column in zip(*rows, strict=True))
    except (ValueError, OSError, csv.Error) as error:
        text = " ".join(str(error).split())
        raise UserError(f"--label_cache={cache}: not lines of segment,class,score ({text}). Delete it.") from error
    return Ratings(segments, classes, scores)


def score(submission, ratings, top_n):
    """Prints MAP@top_n of a submission.

    Args:
        submission: CSV file.
        ratings: metrics.segments.Ratings.
        top_n: segments a class that count; 0: all.

    Returns:
        metrics.segments.SegmentPrecisions.
    """
    limit = top_n or 2**62
    result = segment_average_precisions(read_submission(submission), ratings, limit)
    for name, classes in (
        ("have no rated positive: left out of the mean", result.classes_without_positives),
        ("are missing from the submission: they count 0", result.missing_classes),
    ):
        if classes:
            print(f"{len(classes)} classes {name}: {', '.join(map(str, classes[:10]))}{', ...' if len(classes) > 10 else ''}")
    print(f"Rated pairs: {result.num_rated:,}, ranked: {result.num_found:,}")
    print(f"Num classes: {len(result.per_class)} | mAP@{top_n or 'all'}: {result.mean:.6f}")
    return result
