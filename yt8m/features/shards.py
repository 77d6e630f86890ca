"""Records into shards: split and shard of a video by the SHA-256 of its id, so that a new video moves no other."""

import collections
import hashlib
import os
import re

from yt8m.errors import UserError
from yt8m.readers.records import write_shard

_NAME = re.compile(r"[A-Za-z0-9_-]+-\d{5}-of-\d{5}\.tfrecord")
_SPLIT = re.compile(r"[A-Za-z0-9_-]+")


def parse_split(text):
    """{name: share} of "train:.8,validate:.1,test:.1".

    Raises:
        UserError: an entry that is not name:share, a name given twice, or shares that do not sum to 1.
    """
    shares = {}
    for entry in text.split(","):
        name, _, share = (part.strip() for part in entry.partition(":"))
        try:
            share = float(share)
        except ValueError:
            share = -1.0
        if not _SPLIT.fullmatch(name) or name in shares or not 0 <= share <= 1:
            raise UserError(f"--split={text}: {entry!r} is not name:share. Write for example train:.8,validate:.1,test:.1.")
        shares[name] = share
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UserError(f"--split={text}: the shares sum to {sum(shares.values()):g}, not to 1. Correct them.")
    return shares


def check_name(name, where):
    """Raises a UserError for a name that no split can have."""
    if not _SPLIT.fullmatch(name):
        raise UserError(f"{where}: split {name!r}: use A-Z a-z 0-9 _ and -, as in train.")


def split_of(id_, shares):
    """The split of a video, by its id."""
    place, total = _numbers(id_)[0] / 2**64, 0.0
    for name, share in shares.items():
        total += share
        if place < total:
            return name
    return max(shares, key=shares.get)


def shard_of(id_, num_shards):
    """The number of a video's shard, by its id."""
    return _numbers(id_)[1] % num_shards


def write(folder, splits, num_shards, record):
    """Writes the shards; those of earlier runs that have no video any more go.

    Args:
        folder: of the shards.
        splits: {id: split}.
        num_shards: of each split; those without a video are not written.
        record: function of an id that returns the serialized record.

    Raises:
        UserError: a shard cannot be written.
    """
    ids = collections.defaultdict(list)
    for id_ in sorted(splits):
        ids[f"{splits[id_]}-{shard_of(id_, num_shards):05d}-of-{num_shards:05d}.tfrecord"].append(id_)
    for name in sorted(ids):
        write_shard(os.path.join(folder, name), map(record, ids[name]))
    remove_others(folder, ids)


def remove_others(folder, names):
    """Removes the shards in a folder that do not have one of these names."""
    for name in os.listdir(folder):
        if _NAME.fullmatch(name) and name not in names:
            os.remove(os.path.join(folder, name))


def _numbers(id_):
    digest = hashlib.sha256(id_.encode()).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")
