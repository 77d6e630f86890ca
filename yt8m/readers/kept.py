"""Frames that are read once and kept, because a run reads them again and again."""

import threading
import weakref

# Bytes of frames that a process keeps of rated segments: all of YouTube-8M's (237,788 of 5 frames with 1,152 bytes) take 1.4 GB.
# With 3 frames more on both sides they take 3.0 GB: then a third of them is read anew in every epoch.
MOST_BYTES = 2 << 30


class Kept:
    """What was read of shards once, as long as a dataset lives and all datasets together hold no more than MOST_BYTES."""

    held, lock = 0, threading.Lock()  # bytes of all datasets

    def __init__(self):
        self._frames, self._making, self._bytes = {}, threading.Lock(), [0]
        weakref.finalize(self, _give_back, self._bytes)

    def get(self, key, size, make):
        """What make() returned for a key, None where its `size` bytes do not fit."""
        with self._making:
            if key not in self._frames:
                with Kept.lock:
                    if Kept.held + size > MOST_BYTES:
                        return None
                    Kept.held += size
                    self._bytes[0] += size
                self._frames[key] = make()
            return self._frames[key]


def _give_back(held):
    with Kept.lock:
        Kept.held -= held[0]
