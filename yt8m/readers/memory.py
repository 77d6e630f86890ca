"""Memory that TensorFlow takes over as it is, and that is used again when nobody refers to it any longer.

Fresh memory costs a page fault for every 4 KB, about as much as what is copied into it.
"""

import math

import numpy as np

_ALIGNMENT = 64  # TensorFlow takes over numpy memory without a copy when it is aligned so
_LEAST = 1 << 16  # bytes; less is not worth keeping
_MOST_FREE = 256 << 20  # bytes that wait to be used again
_free = {}  # id -> uint8 array; a dict's single operations need no lock, which __del__ must not wait for


class _Lease:
    """What an array over kept memory refers to: it goes when the last such array does, and the memory is free again."""

    def __init__(self, memory):
        self._memory, self.__array_interface__ = memory, memory.__array_interface__

    def __del__(self):
        if _free is None:  # the interpreter ends
            return
        if sum(memory.nbytes for memory in _free.copy().values()) + self._memory.nbytes <= _MOST_FREE:
            _free[id(self._memory)] = self._memory


def aligned_empty(shape, dtype):
    """Memory with any content, at an aligned address, which TensorFlow can take over as it is."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < _LEAST:
        return _aligned(np.empty(size + _ALIGNMENT, np.uint8), size).view(dtype).reshape(shape)
    memory = _taken(size)
    if memory is None:
        memory = _aligned(np.empty(size + _ALIGNMENT, np.uint8), size)
    return np.asarray(_Lease(memory))[:size].view(dtype).reshape(shape)


def aligned_zeros(shape, dtype):
    """Zeros at an aligned address."""
    array = aligned_empty(shape, dtype)
    array.fill(0)
    return array


def _taken(size):
    """The smallest free memory that is large enough, None where there is none of about this size."""
    for memory in sorted(_free.copy().values(), key=lambda memory: memory.nbytes):
        if size <= memory.nbytes <= 2 * size and _free.pop(id(memory), None) is not None:
            return memory
    return None


def _aligned(memory, size):
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size]
