"""Arrays from .npy files that may be damaged."""

import numpy as np


def read_array(path, mmap_mode=None):
    """The array of a .npy file; mmap_mode as numpy.load's.

    Raises:
        ValueError: the file cannot be read, or holds no array. NumPy itself raises whatever its parser of headers meets, a
            TokenError, a SyntaxError or a MemoryError among them.
    """
    try:
        array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError("it is an archive, not one array")
    return array
