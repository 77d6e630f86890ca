"""Arrays from .npy and .npz files that may be damaged."""

import numpy as np


def read_array(path, mmap_mode=None):
    """The array of a .npy file, a path or an open file; mmap_mode as numpy.load's.

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


def read_arrays(path, names):
    """Arrays of an .npz file, a path or an open file.

    Args:
        path: the file.
        names: of the arrays that it must have.

    Returns:
        {name: array}.

    Raises:
        ValueError: the file cannot be read, or lacks one.
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if isinstance(archive, np.ndarray):
        raise ValueError("it is one array, not an archive")
    with archive:
        missing = [name for name in names if name not in archive.files]
        if missing:
            raise ValueError(f"no array {missing[0]!r}, but {', '.join(map(repr, archive.files)) or 'none'}")
        try:
            return {name: archive[name] for name in names}
        except Exception as error:
            raise ValueError(str(error) or type(error).__name__) from error
