"""Ranks of stores against SciPy."""

import numpy as np
import pytest
from scipy.stats import rankdata

from tests.ensembles.rows import LABELS, NAMES, draw, expected_lists, read, run, stored, write_store
from yt8m.ensembles import measures
from yt8m.ensembles import members as ensemble_members
from yt8m.ensembles import stores as ensemble_stores


@pytest.mark.parametrize("dtype, levels", [("uint16", 4), ("uint16", None), ("float16", 4), ("float16", None)])
@pytest.mark.parametrize("weights", [None, (1, 5, 2)])
def test_ranks_are_scipys(tmp_path, dtype, levels, weights):
    scores = [draw(seed, levels) for seed in range(3)]
    folders = [write_store(tmp_path / f"run{k}", own, dtype=dtype) for k, own in enumerate(scores)]
    given = [] if weights is None else ["--weights=" + ",".join(map(str, weights))]
    run(*folders, "--method=rank", f"--output_file={tmp_path}/out.csv", *given)
    values = [np.float16(own) if dtype == "float16" else stored(own) for own in scores]
    ranks = [(rankdata(np.float64(own), axis=0) - len(own)) / (len(own) - 1) for own in values]
    mean = np.average(ranks, axis=0, weights=weights)
    assert read(tmp_path / "out.csv") == expected_lists(np.round(mean, 12), len(NAMES))

    members = ensemble_members.MemberStores(folders)
    measure = measures.Ranks(members)
    given = np.ones((3, 1)) if weights is None else np.array(weights, float)[:, None]
    found = [s for _, _, s in ensemble_stores.averaged_blocks(members, measure, np.repeat(given, 3, axis=1))]
    np.testing.assert_allclose(np.concatenate(found), mean, rtol=2e-7, atol=1e-9)


def test_a_float16_that_rounding_put_below_zero_ranks_as_zero(tmp_path):
    scores = draw(0)
    scores[5], scores[6], scores[7] = -1e-6, -0.0, 0.0
    members = ensemble_members.MemberStores([write_store(tmp_path / "a", scores, dtype="float16")])
    blocks = ensemble_stores.averaged_blocks(members, measures.Ranks(members), np.ones((1, len(LABELS))))
    found = np.concatenate([scores for _, _, scores in blocks])
    expected = (rankdata(np.float64(np.maximum(np.float16(scores), 0)), axis=0) - len(NAMES)) / (len(NAMES) - 1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_ranks_of_one_row():
    counts = np.array([[0, 1, 0]], np.uint32)
    assert measures._twice_the_rows_above(counts, 1).tolist() == [0, 0, 0]
