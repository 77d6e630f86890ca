"""How much a network is given at once."""

import numpy as np

BATCH = 32  # pictures, or seconds of sound


def in_batches(run, values):
    """run(of at most 32 of the values) -> arrays, one behind another."""
    return np.concatenate([run(values[first : first + BATCH]) for first in range(0, len(values), BATCH)])
