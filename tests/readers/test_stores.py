"""The scores store: what is written is read, a shard is complete or not there, runs do not mix, damage is named."""

import json
import os
import pathlib

import numpy as np
import pandas as pd
import pytest

from tests.readers.damage import flip, sign
from yt8m import files
from yt8m.errors import UserError
from yt8m.readers import quantiser, shard_scores, stores
from yt8m.readers.quantiser import decode_scores, encode_scores
from yt8m.readers.stores import StoreConfig, create_store, open_store

RUN = {"models": [{"model": "LogisticModel", "checkpoint": "run/model.ckpt-3", "weight": 1.0}], "segment_shifts": 0}
CONFIG = StoreConfig("segments", (7, 3, 500), run=RUN)
IDS, STARTS = ["null", "0012", 'a,b"c', "é"], [0, 5, 10, 0]
SHARD = "test0000.tfrecord"
ENDS = (".scores.npy", ".sums.json", ".segments.csv")


def draw(n, seed=0):
    return np.random.default_rng(seed).random((n, 3), np.float32)


def write(store, shard=SHARD, scores=None, cuts=(1, 1)):
    scores = draw(4) if scores is None else scores
    starts = STARTS if store.config.kind == "segments" else None
    with store.writer(shard) as writer:
        for part in np.split(np.arange(4), cuts):
            writer.add(np.array(IDS)[part], starts and np.array(starts)[part], scores[part])


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "a" / "store", CONFIG)


@pytest.mark.parametrize("dtype", ["uint16", "float16"])
@pytest.mark.parametrize("kind", ["segments", "videos"])
def test_round_trip(tmp_path, kind, dtype):
    config = StoreConfig(kind, [7, 3, 500], dtype, run=RUN)
    write(create_store(tmp_path, config), f"/data/{SHARD}", cuts=(0, 3))
    store = open_store(tmp_path)
    assert store.config == config
    found = store.read(SHARD)
    assert found.ids.tolist() == IDS
    assert found.starts is None if kind == "videos" else found.starts.tolist() == STARTS
    assert isinstance(found.values, np.memmap) and found.values.dtype == dtype
    np.testing.assert_array_equal(found.values, encode_scores(draw(4), dtype))
    np.testing.assert_array_equal(found.scores(slice(1, 3)), decode_scores(encode_scores(draw(4), dtype), dtype)[1:3])
    assert found.scores().dtype == np.float32


def test_read_by_the_two_documented_lines(store):
    write(store)
    scale = json.loads(pathlib.Path(store.folder, "store.json").read_text())["scale"]
    scores = np.load(f"{store.folder}/{SHARD}.scores.npy", mmap_mode="r") / scale
    segments = pd.read_csv(f"{store.folder}/{SHARD}.segments.csv", dtype={"id": str}, keep_default_na=False)
    np.testing.assert_allclose(scores, draw(4), atol=5.01e-5)
    assert segments["id"].tolist() == IDS and segments["start"].tolist() == STARTS


def test_bytes_do_not_depend_on_how_rows_were_added(store):
    def content(shard):
        return [pathlib.Path(store.folder, shard + end).read_bytes() for end in ENDS]

    write(store, "a", cuts=())
    write(store, "b", cuts=(1, 2, 3))
    assert content("a") == content("b")


def test_quantisation():
    assert encode_scores([0, 1, 0.5, 0.00004, 0.00006, 1.000001, -1e-9], "uint16").tolist() == [0, 9999, 5000, 0, 1, 9999, 0]
    levels = np.arange(10000, dtype=np.uint16)
    np.testing.assert_array_equal(encode_scores(decode_scores(levels, "uint16"), "uint16"), levels)
    halves = np.array([0, 1e-7, 0.1, 1], np.float16)
    np.testing.assert_array_equal(encode_scores(decode_scores(halves, "float16"), "float16"), halves)
    for dtype in quantiser.SCALES:
        for bad in (np.nan, np.inf, -0.1, 1.1):
            with pytest.raises(UserError, match="expected probabilities"):
                encode_scores([0.5, bad], dtype)
        assert encode_scores(np.zeros((0, 3)), dtype).shape == (0, 3)
    with pytest.raises(UserError, match="'int8'"):
        encode_scores([0.5], "int8")


def test_a_shard_is_there_when_it_is_complete(store):
    assert store.shards() == [] and not store.has(SHARD)
    with store.writer(SHARD) as writer:
        writer.add(IDS[:1], STARTS[:1], draw(1))
        assert not store.has(SHARD) and store.shards() == []
    write(store, "/elsewhere/b.tfrecord")
    assert store.has(f"/data/{SHARD}") and store.shards() == ["b.tfrecord", SHARD]
    for end in ENDS:
        other = create_store(f"{store.folder}{end}", CONFIG)
        write(other)
        os.remove(f"{other.folder}/{SHARD}{end}")
        assert not other.has(SHARD) and other.shards() == []


def test_nothing_is_left_of_a_shard_that_failed(store):
    with pytest.raises(KeyError), store.writer(SHARD) as writer:
        writer.add(IDS, STARTS, draw(4))
        raise KeyError
    assert os.listdir(store.folder) == ["store.json"]


def test_a_shard_without_rows(store):
    with store.writer(SHARD):
        pass
    found = store.read(SHARD)
    assert found.values.shape == (0, 3) and found.ids.shape == found.starts.shape == (0,)


def test_many_rows_fit_the_header(tmp_path):
    store = create_store(tmp_path, StoreConfig("videos", (1,)))
    with store.writer(SHARD) as writer:
        writer.add(np.full(123_456, "v"), None, np.full((123_456, 1), 0.5))
    assert store.read(SHARD).scores().shape == (123_456, 1) and store.read(SHARD).scores()[-1] == decode_scores(5000, "uint16")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "videos"}, 'its kind is "segments", not "videos"'),
        ({"dtype": "float16"}, "dtype"),
        ({"label_ids": (7, 3, 501)}, r"label_ids\[2\] is 500, not 501"),
        ({"label_ids": (7, 3)}, r"label_ids is \[7, 3, 500\]"),
        ({"segment_size": 10}, "segment_size is 5"),
        ({"run": {**RUN, "segment_shifts": 1}}, "run.segment_shifts is 0, not 1"),
        ({"run": {**RUN, "models": [{**RUN["models"][0], "weight": 2.0}]}}, r"run.models\[0\].weight is 1.0, not 2.0"),
        ({"run": {**RUN, "skip": [1]}}, r"run.skip is null, not \[1\]"),
    ],
)
def test_runs_do_not_mix(store, changes, message):
    with pytest.raises(UserError, match=message):
        create_store(store.folder, stores.dataclasses.replace(CONFIG, **changes))
    assert open_store(store.folder).config == CONFIG


def test_going_on_with_the_same_run(store):
    write(store)
    same = StoreConfig("segments", np.array([7, 3, 500]), run=json.loads(json.dumps(RUN)))
    assert create_store(store.folder, same).shards() == [SHARD]


@pytest.mark.parametrize(
    ("ids", "starts", "scores", "message"),
    [
        (IDS, STARTS, draw(3), r"expected \[4, 3\]"),
        (IDS, STARTS, draw(4)[:, :2], r"expected \[4, 3\]"),
        (IDS, None, draw(4), "start times"),
        (IDS, STARTS[:3], draw(4), "start times"),
        (IDS, STARTS, draw(4) * np.nan, "probabilities"),
    ],
)
def test_rows_that_do_not_fit_are_refused(store, ids, starts, scores, message):
    with pytest.raises(UserError, match=message), store.writer(SHARD) as writer:
        writer.add(ids, starts, scores)
    assert not store.has(SHARD)


def cut(path, size):
    with open(path, "rb+") as file:
        file.truncate(size)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("keep", [0, 5, -2, None])
def test_damage_is_named(store, end, keep):
    write(store)
    path = f"{store.folder}/{SHARD}{end}"
    if keep is None:
        os.remove(path)
    else:
        cut(path, keep if keep >= 0 else os.path.getsize(path) - 8)
    with pytest.raises(UserError, match=f"{SHARD}{end} is missing or damaged") as error:
        store.read(SHARD)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("dtype", ["uint16", "float16"])
@pytest.mark.parametrize("end", ENDS)
def test_every_flipped_byte_is_noticed(tmp_path, dtype, end):
    store = create_store(tmp_path, StoreConfig("segments", (7, 3, 500), dtype))
    write(store)
    path = tmp_path / f"{SHARD}{end}"
    for at in range(path.stat().st_size):
        flip(path, at)
        with pytest.raises(UserError, match=rf"{SHARD}\..* is missing or damaged.*score it again") as error:
            store.read(SHARD)
        assert "\n" not in str(error.value)
        flip(path, at)
    assert store.read(SHARD).ids.tolist() == IDS


def test_every_flipped_byte_of_store_json_is_noticed_or_means_nothing(store):
    path = pathlib.Path(store.folder, "store.json")
    for at in range(path.stat().st_size):
        flip(path, at)
        try:
            assert open_store(store.folder).config == CONFIG
        except UserError as error:
            assert "store.json" in str(error) and "\n" not in str(error)
        flip(path, at)


@pytest.mark.parametrize(
    ("dtype", "bad"), [("uint16", 10_000), ("uint16", 65_535), *(("float16", x) for x in (np.nan, np.inf, 1.001, -0.5))]
)
def test_values_beyond_the_quantisers_are_refused(tmp_path, dtype, bad):
    store = create_store(tmp_path, StoreConfig("segments", (7, 3, 500), dtype))
    write(store)
    path = tmp_path / f"{SHARD}.scores.npy"
    values = np.load(path)
    values[2, 1] = bad
    np.save(path, values)
    sign(tmp_path, SHARD)
    with pytest.raises(UserError, match=rf"{SHARD}.scores.npy is .*row 2 has scores that are not from 0 to 1.*score it again"):
        store.read(SHARD)


def test_a_shard_is_verified_once(store, monkeypatch):
    write(store)
    store.read(SHARD)
    monkeypatch.setattr(shard_scores, "checksum", None)
    monkeypatch.setattr(shard_scores, "unsound_row", None)
    assert store.read(SHARD).ids.tolist() == IDS


def test_what_a_killed_process_left_goes_and_what_another_writes_stays(store):
    left = pathlib.Path(files.temporary_name(f"{store.folder}/{SHARD}.scores.npy"))
    left.write_bytes(b"")
    with store.writer("other.tfrecord") as writer:
        create_store(store.folder, CONFIG)
        assert not left.exists()
        writer.add(IDS, STARTS, draw(4))
    assert store.shards() == ["other.tfrecord"]


def test_files_of_another_store_are_named(store, tmp_path):
    write(store)
    other = create_store(tmp_path / "other", StoreConfig("videos", (1, 2), "float16"))
    for end in ENDS:
        os.link(f"{store.folder}/{SHARD}{end}", f"{other.folder}/{SHARD}{end}")
    with pytest.raises(UserError, match=r"scores.npy .*uint16 \[4, 3\], not float16 \[N, 2\]"):
        other.read(SHARD)
    other = create_store(tmp_path / "third", StoreConfig("videos", (1, 2, 3)))
    for end in ENDS:
        os.link(f"{store.folder}/{SHARD}{end}", f"{other.folder}/{SHARD}{end}")
    with pytest.raises(UserError, match=r"segments.csv .*columns are id,start, not id"):
        other.read(SHARD)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', None])
def test_a_folder_that_is_no_store(tmp_path, text):
    if text is not None:
        (tmp_path / "store.json").write_text(text)
    with pytest.raises(UserError, match=r"store\.json"):
        open_store(tmp_path)


def test_bad_configs():
    for arguments, message in (
        (("frames", (1,)), "'frames'"),
        (("videos", ()), "0 label ids"),
        (("videos", (1, 1)), "distinct"),
        (("videos", (1,), "int8"), "'int8'"),
    ):
        with pytest.raises(UserError, match=message):
            StoreConfig(*arguments)


def test_two_shards_of_one_name():
    stores.check_basenames(["/a/x.tfrecord", "/a/y.tfrecord", "/a/x.tfrecord"])
    with pytest.raises(UserError, match=r"/a/x.tfrecord and /b/x.tfrecord"):
        stores.check_basenames(["/a/x.tfrecord", "/b/x.tfrecord"])


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        create_store(tmp_path / "file" / "store", CONFIG)


def test_another_place_than_a_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^gs://bucket/store: outputs go to this machine's disks only. Name a local path"):
        create_store("gs://bucket/store", CONFIG)
    assert os.listdir(tmp_path) == []


def test_a_shard_of_linked_files_is_written_again(store, tmp_path):
    write(store)
    linked = pathlib.Path(tmp_path / "linked")
    linked.mkdir()
    for name in os.listdir(store.folder):
        (linked / name).symlink_to(pathlib.Path(store.folder, name))
    write(open_store(linked), scores=draw(4, seed=1))
    for there in (open_store(linked), store):
        np.testing.assert_array_equal(there.read(SHARD).values, encode_scores(draw(4, seed=1), "uint16"))
