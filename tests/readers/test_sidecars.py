"""Sidecars: what is written is read back beside its shard, and beside no other."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import make_segments, make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.files import temporary_name
from yt8m.readers import records
from yt8m.readers.index import open_shard
from yt8m.readers.sidecars import (
    SidecarHeader,
    check_destination,
    ensure_sidecars_done,
    missing_sidecars,
    open_sidecar,
    remove_sidecars,
    size_of,
    write_sidecar,
)

SHARD = "test0000.tfrecord"
HEADER = SidecarHeader(SHARD, 3, 10, (7, 3), False, {"run": {"top": 5}})
ANNOTATIONS = [
    ("aaaa", make_segments([(0, 7, 1.0), (0, 3, 0.25), (295, 7, 0.0)])),
    ("bbbb", None),
    ("cccc", make_segments([(12, 3, 0.5)])),
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def features(tmp_path):
    """A folder with the shard, which HEADER and ANNOTATIONS are about, and another one."""
    write_frame_shards(tmp_path / "features", [[make_video(id) for id in ids] for ids in (("aaaa", "bbbb", "cccc"), "d")], "test")
    return tmp_path / "features"


@pytest.fixture
def folder(tmp_path):
    write_sidecar(tmp_path / "labels", HEADER, ANNOTATIONS)
    return tmp_path / "labels"


def changed(header=HEADER, **values):
    return SidecarHeader(**{**vars(header), **values})


def refused(line, function, *arguments, **keywords):
    with pytest.raises(UserError, match=line) as caught:
        function(*arguments, **keywords)
    assert "\n" not in str(caught.value)


def check(folder, path, num_classes=10, label_ids=(7, 3), **keywords):
    open_sidecar(folder, path).check(open_shard(path), path, num_classes, label_ids, **keywords)


def test_round_trip(folder, features):
    sidecar = open_sidecar(folder, features / SHARD)
    assert sidecar.header == HEADER
    assert [sidecar.id(number) for number in range(3)] == ["aaaa", "bbbb", "cccc"]
    assert sidecar.segments(1) is None
    for number in (0, 2):
        for name, values in vars(ANNOTATIONS[number][1]).items():
            found = getattr(sidecar.segments(number), name)
            np.testing.assert_array_equal(found, values)
            assert found.dtype == values.dtype
    check(folder, features / SHARD)


def test_its_records_are_examples_with_the_keys_of_rated_segments(folder):
    header, first, second, third = tf.data.TFRecordDataset(str(folder / SHARD)).as_numpy_iterator()
    assert json.loads(tf.train.Example.FromString(header).features.feature["sidecar"].bytes_list.value[0]) == {
        "version": 1, "shard": SHARD, "num_records": 3, "num_classes": 10, "label_ids": [7, 3], "dense": False,
        "source": {"run": {"top": 5}},
    }  # fmt: skip
    feature = tf.train.Example.FromString(first).features.feature
    assert feature["id"].bytes_list.value[0] == b"aaaa"
    assert list(feature["segment_start_times"].int64_list.value) == [0, 0, 295]
    assert list(feature["segment_end_times"].int64_list.value) == [5, 5, 300]
    assert list(feature["segment_labels"].int64_list.value) == [7, 3, 7]
    assert list(feature["segment_scores"].float_list.value) == [1, 0.25, 0]
    assert set(tf.train.Example.FromString(second).features.feature) == {"id"}
    assert records.decode_context(third).segments.start_times.tolist() == [12]


def test_size_is_that_of_the_sidecars_alone(folder, features):
    size = write_sidecar(folder, changed(shard="other.tfrecord", num_records=0), [])
    assert size == os.path.getsize(folder / "other.tfrecord")
    (folder / "report.json").write_text('{"sidecar": 1}')
    Path(temporary_name(folder / SHARD)).write_bytes((folder / SHARD).read_bytes())
    assert size_of(folder) == size + os.path.getsize(folder / SHARD)
    assert size_of(features) == 0
    refused("cannot read folder .*missing.*Name a folder", size_of, folder / "missing")


def test_ids_may_be_bytes_and_no_segment_is_none(tmp_path):
    write_sidecar(tmp_path, changed(num_records=2, label_ids=None), [(b"aaaa", None), ("é", make_segments([(5, 9, 1)]))])
    sidecar = open_sidecar(tmp_path, SHARD)
    assert [sidecar.id(0), sidecar.id(1)] == ["aaaa", "é"] and sidecar.header.label_ids is None
    empty = records.Segments(*(np.zeros(0, np.int64) for _ in range(3)), np.zeros(0, np.float32))
    write_sidecar(tmp_path, changed(num_records=1), [("aaaa", empty)])
    assert open_sidecar(tmp_path, SHARD).segments(0) is None


# ---------------------------------------------------------------- a wrong sidecar


def test_of_another_shard(folder, features):
    os.rename(folder / SHARD, folder / "test0001.tfrecord")
    refused(
        f"labels/test0001.tfrecord is of shard {SHARD}, not test0001.tfrecord. Name",
        check,
        folder,
        features / "test0001.tfrecord",
    )


@pytest.mark.parametrize("count", [2, 4])
def test_of_another_count(tmp_path, features, count):
    write_sidecar(tmp_path / "labels", changed(num_records=count), [*ANNOTATIONS, ("dddd", None)][:count])
    refused(f"annotates {count} records, shard .*{SHARD} has 3. Name", check, tmp_path / "labels", features / SHARD)


@pytest.mark.parametrize("number, id", [(0, "aaab"), (2, "bbbb")])
def test_of_other_videos(tmp_path, features, number, id):
    annotations = list(ANNOTATIONS)
    annotations[number] = id, None
    write_sidecar(tmp_path / "labels", HEADER, annotations)
    expected = ANNOTATIONS[number][0]
    refused(
        f"has video '{id}' as record {number}, shard .*{SHARD} has '{expected}'", check, tmp_path / "labels", features / SHARD
    )


@pytest.mark.parametrize(
    "num_classes, label_ids, line",
    [
        (11, (7, 3), "has labels of 10 classes, the model is of 11 .--num_classes"),
        (10, (7, 4), "about 2 classes, the model about 2: 3, which the model has not"),
        (10, (7,), "about 2 classes, the model about 1: 3, which the model has not"),
    ],
)
@pytest.mark.parametrize("dense", [True, False])
def test_of_other_classes(tmp_path, features, num_classes, label_ids, line, dense):
    write_sidecar(tmp_path / "labels", changed(dense=dense), ANNOTATIONS)
    refused(line, check, tmp_path / "labels", features / SHARD, num_classes, label_ids)


@pytest.mark.parametrize("label_ids", [None, (1, 3, 7)])
def test_a_class_that_nobody_annotated_is_unknown_but_in_a_dense_sidecar_an_error(folder, features, label_ids):
    check(folder, features / SHARD, 10, label_ids)
    write_sidecar(folder, changed(dense=True), ANNOTATIONS)
    refused("the model about .*: not [01], which the model has", check, folder, features / SHARD, 10, label_ids)
    check(folder, features / SHARD, 10, (3, 7))


def test_all_classes_are_none_or_named(tmp_path, features):
    write_sidecar(tmp_path, changed(label_ids=None, dense=True), ANNOTATIONS)
    check(tmp_path, features / SHARD, 10, None)
    check(tmp_path, features / SHARD, 10, range(10))
    refused("0, which the model has not", check, tmp_path, features / SHARD, 10, (7, 3))


def test_the_features_have_an_id_of_another_name(tmp_path, folder):
    write_frame_shards(tmp_path / "other", [[make_video(id) for id in ("aaaa", "bbbb", "cccc")]], "test", id_feature="video_id")
    check(folder, tmp_path / "other" / SHARD, id_feature="video_id")
    refused(f"shard {SHARD}, record 0: has no id `id`", check, folder, tmp_path / "other" / SHARD)


# ---------------------------------------------------------------- no sidecar


def test_missing(folder, features):
    refused(r"no sidecar .*labels/test0001.tfrecord for shard .*features/test0001.tfrecord. Make",
            open_sidecar, folder, features / "test0001.tfrecord")  # fmt: skip


def test_features_are_no_sidecar(features):
    refused(f"{SHARD} is no sidecar. Name", open_sidecar, features, SHARD)


@pytest.mark.parametrize("content", [b"", b"some text that is much longer than what comes before a record"])
def test_another_file_is_no_sidecar(tmp_path, content):
    (tmp_path / SHARD).write_bytes(content)
    refused(f"{SHARD} is no (sidecar. Name|TFRecord file.*It should be a sidecar: delete it)", open_sidecar, tmp_path, SHARD)


def test_corrupt(folder):
    data = bytearray((folder / SHARD).read_bytes())
    data[-20] ^= 1
    (folder / SHARD).write_bytes(data)
    refused(f"{SHARD} is corrupt: the checksum of record 3 .*It should be a sidecar: delete it", open_sidecar, folder, SHARD)


def test_truncated_within_a_record_and_between_two(folder):
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[:-3])
    refused(f"{SHARD} is truncated: it ends within record 3 .*should be a sidecar: delete it", open_sidecar, folder, SHARD)
    serialized = list(tf.data.TFRecordDataset(write_again(folder, data)).as_numpy_iterator())
    records.write_shard(folder / SHARD, serialized[:-1])
    refused(f"sidecar .*{SHARD} is truncated: it has 2 of its 3 records. Delete it", open_sidecar, folder, SHARD)


def write_again(folder, data):
    (folder / SHARD).write_bytes(data)
    return str(folder / SHARD)


@pytest.mark.parametrize(
    "content, line",
    [
        ("[1]", "bad header"),
        ("{}", "bad header .*version"),
        ("no json", "bad header"),
        ('{"version": 2, "shard": "a"}', "of version 2, not 1. Make it again"),
        ('{"version": 1, "shard": "a"}', "bad header .*num_records"),
        ('{"version": 1, "shard": "a", "num_records": 0, "num_classes": 1, "more": 1}', "bad header .*more"),
        ('{"version": 1, "shard": "a", "num_records": 0, "num_classes": 1, "label_ids": [1]}', "bad header .*label id 1"),
        ('{"version": 1, "shard": "a", "num_records": 0, "num_classes": "x"}', "bad header"),
    ],
)
def test_bad_headers(tmp_path, content, line):
    feature = {"sidecar": tf.train.Feature(bytes_list=tf.train.BytesList(value=[content.encode()]))}
    record = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    records.write_shard(tmp_path / SHARD, [record])
    refused(f"{SHARD}.*{line}", open_sidecar, tmp_path, SHARD)


def test_no_such_record(folder):
    for number in (-1, 3):
        refused(f"has no record {number}: expected 0 to 2", open_sidecar(folder, SHARD).id, number)


# ---------------------------------------------------------------- what is not written


@pytest.mark.parametrize(
    "annotations, line",
    [
        (ANNOTATIONS[:2], "fewer annotations than its 3 records"),
        ([*ANNOTATIONS, ("dddd", None)], "more annotations than its 3 records"),
        ([("a", make_segments([(-5, 3, 1)]))], r"record 0 \(video a\): start time -5; expected 0 or more"),
        ([("a", None), ("b", make_segments([(0, 4, 1)]))], r"record 1 \(video b\): label 4, .*header's 2 classes"),
        ([("a", make_segments([(0, -1, 1)]))], "label -1"),
        ([("a", make_segments([(0, 3, 1.5)]))], "score 1.5; expected 0 to 1"),
        ([("a", make_segments([(0, 3, float("nan"))]))], "score nan"),
        ([("a", make_segments([(0, 7, 0), (5, 3, 1), (5, 3, 0)]))], "segment at 5 has label 3 more than once"),
        ([("a", records.Segments(*(np.zeros(n, np.int64) for n in (2, 2, 1)), np.zeros(2)))], "arrays of 1 to 2 values"),
    ],
)
def test_bad_annotations(folder, annotations, line):
    before = (folder / SHARD).read_bytes()
    refused(f"sidecar of {SHARD}.*{line}", write_sidecar, folder, HEADER, annotations)
    assert os.listdir(folder) == [SHARD] and (folder / SHARD).read_bytes() == before


def test_an_error_of_the_caller_passes_and_leaves_nothing(tmp_path):
    def annotations():
        yield "aaaa", None
        raise OSError("the scores are gone")

    with pytest.raises(OSError, match="scores are gone") as caught:
        write_sidecar(tmp_path / "labels", HEADER, annotations())
    assert not isinstance(caught.value, UserError) and not (tmp_path / "labels").exists()


def test_the_features_are_never_overwritten(features):
    before = (features / SHARD).read_bytes()
    refused(f"{SHARD} is there and no sidecar: not overwritten", write_sidecar, features, HEADER, ANNOTATIONS)
    assert (features / SHARD).read_bytes() == before


def test_an_older_sidecar_is(folder):
    write_sidecar(folder, changed(num_records=1), [("xxxx", None)])
    assert open_sidecar(folder, SHARD).id(0) == "xxxx"


@pytest.mark.parametrize(
    "values, line",
    [
        ({"shard": "folder/a.tfrecord"}, "without its folder"),
        ({"shard": ""}, "without its folder"),
        ({"num_records": -1}, "num_records=-1"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"label_ids": (3, 10)}, "label id 10 is not below 10"),
        ({"label_ids": (3, 3)}, "distinct ids"),
        ({"label_ids": ()}, "one or more"),
    ],
)
def test_a_header_that_cannot_be(values, line):
    refused(line, changed, **values)


def test_a_source_that_is_not_for_json(tmp_path):
    refused("its source is not for JSON", write_sidecar, tmp_path, changed(source={"a": object()}), ANNOTATIONS)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    refused("file/test0000.tfrecord: cannot be written", write_sidecar, tmp_path / "file", HEADER, ANNOTATIONS)


def test_another_place_than_a_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "^gs://bucket/x: outputs go to this machine's disks only. Name a local path"
    refused(line, write_sidecar, "gs://bucket/x", HEADER, ANNOTATIONS)
    refused(line, check_destination, "gs://bucket/x", [])
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------- a folder of them


def test_several_write_into_one_folder(tmp_path):
    folder, names = tmp_path / "new" / "labels", [f"s{number}" for number in range(12)]

    def write(name):
        write_sidecar(folder, changed(shard=name, num_records=1), [(name, None)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, names))
    assert sorted(os.listdir(folder)) == sorted(names)
    assert [open_sidecar(folder, name).id(0) for name in names] == names


def test_what_is_missing(folder, features):
    files = [str(features / SHARD), str(features / "test0001.tfrecord")]
    assert missing_sidecars(folder, files) == files[1:]
    assert missing_sidecars(folder / "none", files) == files
    ensure_sidecars_done(folder, files[:1])
    refused("1 of 2 shards have no sidecar in .*labels: .*features/test0001.tfrecord. Make", ensure_sidecars_done, folder, files)
    refused("a/x and b/x have one name", ensure_sidecars_done, folder, ["a/x", "b/x"])


def test_a_destination_is_refused_before_the_work(folder, features, tmp_path):
    files = [str(features / SHARD), str(features / "test0001.tfrecord")]
    check_destination(folder, files)
    check_destination(tmp_path / "a" / "b", files)
    assert os.listdir(tmp_path / "a" / "b") == []
    refused(f"{SHARD} is there and no sidecar", check_destination, features, files)
    refused("have one name", check_destination, folder, ["a/x", "b/x"])
    (tmp_path / "file").write_text("")
    refused("cannot make folder .*file", check_destination, tmp_path / "file", files)


def test_removing_takes_these_sidecars_and_nothing_else(folder, features):
    for name in (SHARD, "test0001.tfrecord", "other.tfrecord"):
        write_sidecar(folder, changed(shard=name), ANNOTATIONS)
    remove_sidecars(folder, [str(features / SHARD), str(features / "test0001.tfrecord")])
    assert os.listdir(folder) == ["other.tfrecord"]
    refused("is there and no sidecar", remove_sidecars, features, [str(features / SHARD)])
    assert sorted(os.listdir(features)) == [SHARD, "test0001.tfrecord"]
