"""Remote shards are read before they are asked for, several at a time."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

from yt8m.errors import UserError
from yt8m.readers.index import is_remote, open_shard

AT_ONCE = 4  # shards that are read at the same time, and of the next group before its turn: index.open_shard keeps 16 + 4
_threads = ThreadPoolExecutor(AT_ONCE, "remote shards")  # which start when they are needed


def open_ahead(paths):
    """Begins to open the remote ones of some shards and does not wait; what is wrong with one is said when it is asked for."""
    for path in paths:
        if is_remote(path):
            _threads.submit(_open, path)


def _open(path):
    with contextlib.suppress(UserError):
        open_shard(path)
