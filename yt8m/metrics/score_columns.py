"""A table of scores that is written by rows and read by columns, in bounded memory."""

import numpy as np

from yt8m.files import ScratchFile
from yt8m.folders import cache_folder

MEMORY = 2**27  # bytes
_CLASSES_AT_A_TIME = 64


class ScoreColumns:
    """Scores [N, C] that come in batches of rows, all kept, for measures that need every score of a class.

    Up to `memory` bytes are in memory. Beyond that they go to a nameless file in the cache folder ($YT8M_CACHE), so many rows at
    a time, in which a class's scores lie side by side: one pass over the classes reads the file once.

    Args:
        num_classes: C.
        memory: bytes of scores to hold; reading takes no more than as much again.
    """

    def __init__(self, num_classes, memory=MEMORY):
        self.num_classes = num_classes
        self.num_rows = 0
        self._memory = memory
        self._file, self._blocks = None, []  # (offset, rows, type) of what is in the file
        self._rows, self._held = [], 0

    def append(self, rows):
        """Adds a batch [n, C].

        Raises:
            UserError: the cache folder cannot be written to, or is full.
        """
        if not len(rows):
            return
        self._rows.append(rows.copy())
        self._held += rows.nbytes
        self.num_rows += len(rows)
        if self._held > self._memory:
            self._spill()

    def blocks(self):
        """Yields [k, N]: the scores of the next k classes, a row a class."""
        types = [dtype for _, _, dtype in self._blocks] + [rows.dtype for rows in self._rows]
        dtype = np.result_type(*types) if types else np.dtype(np.float32)
        step = int(np.clip(self._memory // max(self.num_rows * dtype.itemsize, 1), 1, _CLASSES_AT_A_TIME))
        for first in range(0, self.num_classes, step):
            last, done = min(first + step, self.num_classes), 0
            scores = np.empty((last - first, self.num_rows), dtype)
            for offset, count, stored in self._blocks:
                start = offset + first * count * stored.itemsize
                scores[:, done : done + count] = self._file.read(start, (last - first, count), stored)
                done += count
            for rows in self._rows:
                scores[:, done : done + len(rows)] = rows[:, first:last].T
                done += len(rows)
            yield scores

    def _spill(self):
        """Moves the rows in memory to the file, a class after the other."""
        if self._file is None:
            folder = cache_folder("evaluation")
            self._file = ScratchFile(folder, f"the scores of all videos, in {folder} ($YT8M_CACHE)")
        dtype = np.result_type(*(rows.dtype for rows in self._rows))
        count = sum(map(len, self._rows))
        offset = self._file.size
        for first in range(0, self.num_classes, _CLASSES_AT_A_TIME):
            columns = [rows[:, first : first + _CLASSES_AT_A_TIME].T for rows in self._rows]
            self._file.append(np.concatenate(columns, axis=1, dtype=dtype))
        self._blocks.append((offset, count, dtype))
        self._rows, self._held = [], 0
