"""Memory that TensorFlow takes over as it is."""

import numpy as np

_ALIGNMENT = 64  # TensorFlow takes over numpy memory without a copy when it is aligned so


def aligned_zeros(shape, dtype):
    """Zeros at an aligned address, which TensorFlow can take over as they are."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)
