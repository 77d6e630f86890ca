"""Which picture and which samples stand for each second of a file. Frame k stands for the time k s after the file's start.

Source: MediaPipe's YouTube-8M graph (a resampler at 1 Hz; patches of 0.96 s every second).
"""

import math

import numpy as np

from yt8m.features.log_mel import PATCH, RATE

_ROUNDING = 1e-3  # seconds; containers round time stamps to milliseconds
_SOUND_ROUNDING = 0.05  # encoders of sound add up to two blocks of some 23 ms


class Pictures:
    """Of the pictures in [k - 0.5, k + 0.5) the one nearest to k counts, on a tie the later.

    Args:
        limit: seconds; later pictures are not taken.
        take: function of a frame, called for each that counts when its period is over; returns whether it could be taken.

    Attributes:
        end: of the last picture, in seconds.
        taken: how many were.
    """

    def __init__(self, limit, take):
        self.limit, self.take = limit, take
        self.end, self.taken = 0.0, 0
        self._seconds = []  # of the pictures taken
        self._candidate = None  # (second, distance, frame)

    def add(self, time, end, frame):
        """A picture; times must rise."""
        self.end = max(self.end, end)
        second = math.floor(time + 0.5)
        if second >= self.limit:
            return
        if self._candidate and self._candidate[0] != second:
            self.close()
        if self._candidate is None or abs(time - second) <= self._candidate[1]:
            self._candidate = second, abs(time - second), frame

    def close(self):
        """The period is over."""
        if self._candidate:
            second, _, frame = self._candidate
            self._candidate = None
            if self.take(frame):
                self._seconds.append(second)
                self.taken += 1

    def count(self):
        """Frames of the file: its seconds, begun ones too, at least 1 and at most `limit`."""
        return _whole(self.end, _ROUNDING, self.limit)

    def numbers(self, count):
        """int [count]: which of the taken pictures each second has. An empty period has the latest earlier one, or the first."""
        return np.maximum(np.searchsorted(self._seconds, np.arange(count), side="right") - 1, 0)


class Waveform:
    """Places samples by their times: holes are zeros, overlaps are cut, and every second's patch is passed on when it is over.

    Args:
        limit: seconds; later samples are dropped.
        take: function of (second, patch float32 [15600]), called for each second with a sample in its patch, in order.
    """

    def __init__(self, limit, take):
        self.limit, self.take = limit, take
        self._head = 0  # index behind the last sample
        self._second, self._patch = None, None

    def add(self, position, samples):
        """Samples float32 [n] at 16 kHz, the first of which has this index."""
        cut = max(self._head - position, 0)
        position, samples = position + cut, samples[cut:]
        self._head = max(self._head, position + len(samples))
        samples = samples[: max(self.limit * RATE - position, 0)]
        while len(samples):
            second, offset = divmod(position, RATE)
            here = min(RATE - offset, len(samples))
            in_patch = min(PATCH - offset, here)
            if in_patch > 0:
                self._open(second)
                self._patch[offset : offset + in_patch] = samples[:in_patch]
            position, samples = position + here, samples[here:]

    def close(self):
        """The second is over."""
        if self._second is not None:
            second, self._second = self._second, None
            self.take(second, self._patch)

    @property
    def end(self):
        """Of the last sample, in seconds."""
        return self._head / RATE

    def count(self):
        """Frames of a file with sound alone: its seconds, begun ones too, at least 1 and at most `limit`."""
        return _whole(self.end, _SOUND_ROUNDING, self.limit)

    def _open(self, second):
        if second != self._second:
            self.close()
            self._second, self._patch = second, np.zeros(PATCH, np.float32)


def _whole(seconds, rounding, limit):
    return int(min(max(math.ceil(seconds - rounding), 1), limit))
