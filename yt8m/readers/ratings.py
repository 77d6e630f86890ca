"""All ratings of a set of shards, without their frames."""

import numpy as np

from yt8m.errors import UserError
from yt8m.metrics.segments import Ratings
from yt8m.progress import track
from yt8m.readers import records
from yt8m.readers.failures import naming_record
from yt8m.readers.index import open_shard
from yt8m.readers.patterns import match_files


def read_ratings(pattern, id_feature="id", pattern_flag="data_pattern"):
    """The ratings in the shards, read from the records' contexts alone (their frames may be missing).

    Returns:
        metrics.segments.Ratings; segment_ids str, classes int64, scores float32.

    Raises:
        UserError: no file, a damaged shard or record, or no rating at all.
    """
    ids, rated = [], []
    for path in track(match_files(pattern, pattern_flag), "Reading the ratings", "shards"):
        shard = open_shard(path)
        for number in range(len(shard)):
            with naming_record(path, number):
                video = records.decode_context(shard.record(number), id_feature)
            if video.segments is not None:
                rated.append(video.segments)
                ids += [f"{video.id}:{start}" for start in video.segments.start_times.tolist()]
    if not rated:
        raise UserError(f"no rated segment in --{pattern_flag}='{pattern}': needs version-3 validate shards.")
    return Ratings(np.array(ids), np.concatenate([s.labels for s in rated]), np.concatenate([s.scores for s in rated]))
