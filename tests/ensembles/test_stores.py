"""The mean of stores against NumPy."""

import os

import numpy as np
import pytest

from tests.ensembles.rows import LABELS, NAMES, VIDEOS, draw, expected_lists, read, run, shard_name, stored, write_store
from yt8m.ensembles import members as ensemble_members
from yt8m.errors import UserError
from yt8m.readers.stores import open_store


@pytest.mark.parametrize("weights", [None, (1, 2, 1), (0.3, 0, 0.1)])
def test_mean_is_numpys(tmp_path, three, weights):
    folders, values = three
    given = [] if weights is None else ["--weights=" + ",".join(map(str, weights))]
    run(*folders, f"--output_file={tmp_path}/out.csv", "--max_pred=90", f"--scores_output={tmp_path}/mean", *given)
    mean = np.average(values, axis=0, weights=weights)
    assert read(tmp_path / "out.csv") == expected_lists(np.round(mean, 9), 90)
    store = open_store(tmp_path / "mean")
    assert (store.config.kind, store.config.label_ids, store.config.dtype) == ("segments", LABELS, "uint16")
    assert store.config.run["ensemble"] == [{"model": f"run{k}"} for k in range(3)]
    found = [store.read(shard) for shard in store.shards()]
    np.testing.assert_allclose(np.concatenate([part.values for part in found]), mean, atol=0.5 + 1e-3)
    assert [f"{v}:{s}" for part in found for v, s in zip(part.ids, part.starts)] == NAMES


def test_equal_sums_are_ties(tmp_path):
    """Sums of seven that are equal as integers; as sums of float32 probabilities many would differ in the last bit."""
    values = np.stack([draw(k, levels=60) for k in range(7)])
    folders = [write_store(tmp_path / f"run{k}", own) for k, own in enumerate(values)]
    run(*folders, f"--output_file={tmp_path}/out.csv")
    assert read(tmp_path / "out.csv") == expected_lists(stored(values).sum(axis=0), len(NAMES))


def test_uint16_and_float16_members_mix(tmp_path):
    scores = [draw(1), draw(2)]
    folders = [write_store(tmp_path / dtype, own, dtype=dtype) for dtype, own in zip(("float16", "uint16"), scores)]
    run(*folders, f"--scores_output={tmp_path}/mean", "--weights=1,3")
    store = open_store(tmp_path / "mean")
    assert store.config.dtype == "float16"
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    np.testing.assert_allclose(found, (scores[0] + 3 * scores[1]) / 4, atol=1e-3)


def test_classes_in_another_order_and_a_choice_of_them(tmp_path):
    scores = [draw(1), draw(2)]
    folders = [write_store(tmp_path / "a", scores[0]), write_store(tmp_path / "b", scores[1][:, [2, 0, 1]], labels=(17, 30, 4))]
    run(*folders, f"--output_file={tmp_path}/out.csv")
    mean = stored(scores[0]) + stored(scores[1])
    assert read(tmp_path / "out.csv") == expected_lists(mean, len(NAMES))
    (tmp_path / "ids.csv").write_text("Index\n17\n30\n")
    run(*folders, f"--output_file={tmp_path}/out.csv", f"--segment_label_ids_file={tmp_path}/ids.csv", "--max_pred=7")
    assert read(tmp_path / "out.csv") == expected_lists(mean[:, [2, 0]], 7, (17, 30))
    assert list(read(tmp_path / "out.csv")) == [17, 30]


def test_one_store_is_written_as_it_is(tmp_path, three):
    run(three[0][1], f"--output_file={tmp_path}/out.csv", "--max_pred=50")
    assert read(tmp_path / "out.csv") == expected_lists(three[1][1], 50)


def test_more_rows_than_are_read_at_a_time(tmp_path, three, monkeypatch):
    run(*three[0], f"--output_file={tmp_path}/whole.csv", f"--scores_output={tmp_path}/whole")
    monkeypatch.setattr(ensemble_members, "ROWS_AT_A_TIME", 7)
    run(*three[0], f"--output_file={tmp_path}/parts.csv", f"--scores_output={tmp_path}/parts")
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "parts.csv").read_bytes()
    for shard in open_store(tmp_path / "whole").shards():
        whole, parts = (open_store(tmp_path / name).read(shard).values for name in ("whole", "parts"))
        np.testing.assert_array_equal(whole, parts)


def test_a_mean_that_is_partly_there_is_completed(tmp_path, three):
    run(*three[0], f"--scores_output={tmp_path}/mean")
    before = (tmp_path / "mean" / f"{shard_name(1)}.scores.npy").read_bytes()
    untouched = (tmp_path / "mean" / f"{shard_name(0)}.scores.npy").stat().st_mtime_ns
    os.remove(tmp_path / "mean" / f"{shard_name(1)}.segments.csv")
    run(*three[0], f"--scores_output={tmp_path}/mean")
    assert (tmp_path / "mean" / f"{shard_name(1)}.scores.npy").read_bytes() == before
    assert (tmp_path / "mean" / f"{shard_name(0)}.scores.npy").stat().st_mtime_ns == untouched
    with pytest.raises(UserError, match=r"scores of another run: its run.weights\[0\]"):
        run(*three[0], f"--scores_output={tmp_path}/mean", "--weights=2,1,1")


def test_scores_of_videos_give_a_store_of_videos(tmp_path):
    count = sum(map(len, VIDEOS))
    scores = [draw(k, num_rows=count) for k in range(2)]
    folders = [write_store(tmp_path / f"run{k}", own, kind="videos") for k, own in enumerate(scores)]
    run(*folders, f"--scores_output={tmp_path}/mean")
    store = open_store(tmp_path / "mean")
    assert store.config.kind == "videos"
    found = np.concatenate([store.read(shard).scores() for shard in store.shards()])
    np.testing.assert_allclose(found, np.mean(scores, axis=0), atol=1e-4)
    with pytest.raises(UserError, match="scores of videos"):
        run(*folders, f"--output_file={tmp_path}/out.csv")
