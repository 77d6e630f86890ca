"""Members that do not fit together."""

import os

import numpy as np
import pytest

from tests.ensembles.rows import LABELS, VIDEOS, draw, run, segments_of, shard_name, write_ratings, write_store
from tests.readers.damage import sign
from tests.testing import make_segments
from yt8m.errors import UserError
from yt8m.readers.records import Video, encode_video, write_shard
from yt8m.readers.stores import StoreConfig, create_store


def test_stores_of_other_rows_shards_or_classes(tmp_path, three):
    first = three[0][0]

    def refused(folder, message):
        with pytest.raises(UserError, match=message):
            run(first, folder, f"--output_file={tmp_path}/out.csv", f"--scores_output={tmp_path}/mean")
        assert not os.path.exists(tmp_path / "out.csv")

    fewer = write_store(tmp_path / "fewer", draw(1))
    os.remove(tmp_path / "fewer" / f"{shard_name(1)}.segments.csv")
    refused(fewer, r"fewer has no complete shard test0001\.tfrecord, .*run0 has")
    refused(write_store(tmp_path / "classes", draw(1)[:, :2], labels=LABELS[:2]), r"no scores of 1 of the 3 classes \(17,")

    store = create_store(tmp_path / "rows", StoreConfig("segments", LABELS))
    for number in range(len(VIDEOS)):
        ids, starts = segments_of(number)
        kept = np.arange(len(ids)) != (3 if number == 1 else -1)
        with store.writer(shard_name(number)) as shard:
            shard.add(ids[kept], starts[kept], draw(1)[: kept.sum()])
    refused(str(tmp_path / "rows"), r"shard test0001\.tfrecord, row 4: .*run0 has mnop:15, .*rows has mnop:20")
    assert [name for name in os.listdir(tmp_path / "mean") if "partial" in name] == []


@pytest.mark.parametrize("dtype, bad", [("uint16", 10_000), ("float16", np.nan), ("float16", np.inf), ("float16", -0.5)])
@pytest.mark.parametrize("method", ["mean", "rank"])
def test_a_score_that_is_no_probability_is_named(tmp_path, dtype, bad, method):
    folder = write_store(tmp_path / "bad", draw(1), dtype=dtype)
    values = np.load(f"{folder}/{shard_name(1)}.scores.npy")
    values[3, 2] = bad
    np.save(f"{folder}/{shard_name(1)}.scores.npy", values)
    sign(folder, shard_name(1))
    with pytest.raises(UserError, match=r"bad/test0001\.tfrecord\.scores\.npy is .*row 3 has scores that are not from 0 to 1"):
        run(folder, f"--method={method}", f"--output_file={tmp_path}/out.csv")
    assert not os.path.exists(tmp_path / "out.csv")


def test_rated_segments_that_were_not_scored_are_named(tmp_path, three):
    pattern = write_ratings(tmp_path)
    write_shard(
        tmp_path / "validate0009.tfrecord",
        [encode_video(Video("zzzz", {}, np.array([30]), make_segments([(0, 30, 1), (5, 30, 0), (5, 4, 0)])))],
    )
    for flag in ("fit_on", "eval_data_pattern"):
        with pytest.raises(UserError, match=rf"--{flag}: 2 of 50 rated segments are not in the stores \(zzzz:0, \.\.\.\)"):
            run(*three[0], f"--{flag}={pattern}", f"--output_file={tmp_path}/out.csv")
    (tmp_path / "ids.csv").write_text("17\n")
    other = tmp_path / "other"
    write_shard(other / "validate0000.tfrecord", [encode_video(Video("zzzz", {}, np.array([3]), make_segments([(0, 999, 1)])))])
    with pytest.raises(UserError, match="no rating of the 3 classes"):
        run(*three[0], f"--fit_on={other}/*", f"--output_file={tmp_path}/out.csv")
