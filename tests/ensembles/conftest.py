"""Three members of an ensemble."""

import numpy as np
import pytest

from tests.ensembles.rows import LABELS, NAMES, draw, stored, write_store
from yt8m.scoring.submission import write_submission


@pytest.fixture
def three(tmp_path):
    """Three stores, mostly ties, and what they hold."""
    scores = [draw(seed, levels=4) for seed in range(3)]
    return [write_store(tmp_path / f"run{k}", own) for k, own in enumerate(scores)], [stored(own) for own in scores]


@pytest.fixture
def submissions(tmp_path):
    """Three submissions: their classes in different orders, lists of different lengths, a class missing, one empty."""
    rng = np.random.default_rng(3)
    lists = [
        {label: rng.permutation(NAMES)[: rng.integers(5, 220)].tolist() for label in rng.permutation(LABELS).tolist()}
        for _ in range(3)
    ]
    del lists[1][4]
    lists[2][17] = []
    for k, own in enumerate(lists):
        write_submission(tmp_path / f"{k}.csv", list(own), own.values())
    return [str(tmp_path / f"{k}.csv") for k in range(3)], lists
