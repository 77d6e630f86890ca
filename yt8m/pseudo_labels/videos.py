"""The videos of features shards: their ids and labels, and how many seconds they have."""

import os

from yt8m.errors import UserError
from yt8m.readers import records
from yt8m.readers.index import open_shard


def ids_and_labels(file, id_feature):
    """The ids (list of str) and labels (list of int64 arrays) of a shard's records.

    Raises:
        UserError: a bad shard, or a video that it holds twice.
    """
    videos = decoded_records(file, lambda record: records.decode_context(record, id_feature))
    ids = [video.id for video in videos]
    if len(set(ids)) < len(ids):
        twice = next(id for number, id in enumerate(ids) if id in ids[:number])
        raise UserError(f"shard {file} has video {twice!r} more than once. Write it anew, each video once.")
    return ids, [video.labels for video in videos]


def decoded_records(file, decode):
    """decode(record) of all records of a shard; an error names the record."""
    shard, values = open_shard(file), []
    for number in range(len(shard)):
        try:
            values.append(decode(shard.record(number)))
        except UserError as error:
            raise UserError(f"shard {os.path.basename(file)}, record {number}: {error}") from error
    return values
