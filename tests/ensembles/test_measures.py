"""Ranks of stores against SciPy."""

import numpy as np
import pytest
from scipy.stats import rankdata

from tests.ensembles.rows import LABELS, NAMES, draw, expected_lists, read, run, stored, write_store
from yt8m.ensembles import measures
from yt8m.ensembles import members as ensemble_members
from yt8m.ensembles import stores as ensemble_stores
from yt8m.readers.stores import open_store


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


def test_hyperbolic_points_of_stores(tmp_path):
    scores = [draw(seed, 4) for seed in range(2)]
    folders = [write_store(tmp_path / f"run{k}", of_run) for k, of_run in enumerate(scores)]
    run(*folders, "--method=hyperbolic", "--half_rank=3", "--weights=1,2", f"--output_file={tmp_path}/out.csv")
    points = [3 / (3 + len(NAMES) - rankdata(stored(of_run), axis=0)) for of_run in scores]
    assert read(tmp_path / "out.csv") == expected_lists(np.round((points[0] + 2 * points[1]) / 3, 12), len(NAMES))


@pytest.mark.parametrize("dtype", ["uint16", "float16"])
def test_a_geometric_mean_is_the_weighted_product(tmp_path, dtype):
    scores = [draw(seed) for seed in range(3)]
    scores[0][3] = 0
    folders = [write_store(tmp_path / f"run{k}", of_run, dtype=dtype) for k, of_run in enumerate(scores)]
    weights, output = (0.3, 0.3, 0.4), tmp_path / "mean"
    run(*folders, "--method=geometric", "--weights=0.3,0.3,0.4", f"--scores_output={output}")
    values = [np.float64(np.float16(of_run)) if dtype == "float16" else stored(of_run) / 9999 for of_run in scores]
    expected = np.prod([np.maximum(value, 1e-7) ** weight for value, weight in zip(values, weights)], axis=0)
    store = open_store(output)
    assert store.config.run["method"] == "geometric"
    written = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    np.testing.assert_allclose(written, expected, atol=6e-5, rtol=1e-3)
    np.testing.assert_allclose(written[3], np.maximum(expected[3], 0), atol=6e-5)
