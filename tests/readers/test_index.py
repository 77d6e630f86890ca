"""The record index: right offsets, damage named, cached by what the file is."""

import os

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from yt8m.errors import UserError
from yt8m.readers import index
from yt8m.readers.records import write_shard

RECORDS = [b"first", b"", b"third record" * 100]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "index"


@pytest.fixture
def shard(tmp_path):
    write_shard(tmp_path / "a.tfrecord", RECORDS)
    return tmp_path / "a.tfrecord"


def forget():
    index._lengths.cache_clear()


def test_records_by_number(shard):
    opened = index.open_shard(shard)
    assert len(opened) == len(index.index_shard(shard)) == 3
    assert [bytes(opened.record(i)) for i in (2, 0, 1)] == [RECORDS[2], RECORDS[0], RECORDS[1]]


def test_offsets_point_into_the_file(shard):
    found, data = index.index_shard(shard), shard.read_bytes()
    assert [data[o : o + n] for o, n in zip(found.offsets, found.lengths)] == RECORDS


def test_remote_path_gives_the_same(shard):
    remote = index.open_shard(f"file://{shard}")
    assert isinstance(remote, index.RemoteShard)
    assert [remote.record(i) for i in range(len(remote))] == RECORDS
    np.testing.assert_array_equal(index.index_shard(f"file://{shard}").offsets, index.index_shard(shard).offsets)


def test_empty_shard(tmp_path):
    write_shard(tmp_path / "empty.tfrecord", [])
    assert len(index.open_shard(tmp_path / "empty.tfrecord")) == 0


@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("number, at", [(0, 14), (2, 16 + 5 + 16 + 30), (2, 16 + 5 + 16 + 3)])
def test_corrupt_byte_is_named(shard, number, at, prefix):
    data = bytearray(shard.read_bytes())
    data[at] ^= 1
    shard.write_bytes(data)
    with pytest.raises(UserError, match=rf"a\.tfrecord is corrupt: the checksum of record {number} .*Fetch the file again"):
        index.index_shard(f"{prefix}{shard}")


@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("cut, number", [(1, 2), (1200, 2), (1212, 2), (1220, 1)])
def test_truncated_shard_is_named(shard, cut, number, prefix):
    shard.write_bytes(shard.read_bytes()[:-cut])
    with pytest.raises(UserError, match=rf"a\.tfrecord is truncated: it ends within record {number} "):
        index.index_shard(f"{prefix}{shard}")


def test_a_cut_between_records_is_a_shorter_shard(shard):
    shard.write_bytes(shard.read_bytes()[: 16 + 5 + 16])
    assert len(index.index_shard(shard)) == 2


def test_no_tfrecord_file(tmp_path):
    (tmp_path / "a.tfrecord").write_text("<html>404 not found, and some more text</html>")
    with pytest.raises(UserError, match="is no TFRecord file"):
        index.index_shard(tmp_path / "a.tfrecord")


@pytest.mark.parametrize("name", ["missing.tfrecord", "folder"])
def test_unreadable_path(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=f"{name}.*Check the path"):
        index.index_shard(tmp_path / name)


def test_second_time_reads_the_cache_only(shard, cache, monkeypatch):
    first = index.index_shard(shard)
    assert len(list(cache.iterdir())) == 1
    forget()
    monkeypatch.setattr(index, "_verified_lengths", lambda *arguments: pytest.fail("verified twice"))
    np.testing.assert_array_equal(index.index_shard(shard).offsets, first.offsets)


def test_changed_file_is_indexed_again(shard):
    index.index_shard(shard)
    write_shard(shard, RECORDS[::-1])
    os.utime(shard, ns=(1, 1))
    np.testing.assert_array_equal(index.index_shard(shard).lengths, [len(r) for r in RECORDS[::-1]])


def test_a_file_that_changed_within_a_second_is_indexed_again(shard):
    for time, records in enumerate((RECORDS, RECORDS[::-1])):
        write_shard(shard, records)
        os.utime(shard, ns=(10**9 + time, 10**9 + time))
        np.testing.assert_array_equal(index.index_shard(shard).lengths, [len(r) for r in records])
        assert bytes(index.open_shard(shard).record(0)) == records[0]


@pytest.mark.parametrize("kind, prefix", [(index.LocalShard, ""), (index.RemoteShard, "file://")])
def test_a_record_that_is_not_there_any_more(shard, kind, prefix):
    opened = kind(f"{prefix}{shard}")
    with pytest.raises(UserError, match=f"^shard {prefix}{shard} changed while it was read. Run the command again.$"):
        opened.record(3)


def test_damaged_cache_is_made_again(shard, cache):
    index.index_shard(shard)
    (path,) = cache.iterdir()
    for content in (b"", b"nonsense"):
        path.write_bytes(content)
        forget()
        assert len(index.index_shard(shard)) == 3
    np.save(path.with_suffix(""), np.array([1, 2]))
    forget()
    assert len(index.index_shard(shard)) == 3


def test_unwritable_cache_is_no_error(shard, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path / "file"))
    assert len(index.index_shard(shard)) == 3


def test_cache_folder(monkeypatch, tmp_path):
    assert index.cache_folder("index") == tmp_path / "cache" / "index"
    monkeypatch.delenv("YT8M_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert index.cache_folder("index") == tmp_path / "yt8m" / "index"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert index.cache_folder("index").parts[-3:] == (".cache", "yt8m", "index")


def test_rewritten_shard_is_opened_anew(shard):
    before = index.open_shard(shard)
    write_shard(shard, [b"other"])
    assert bytes(index.open_shard(shard).record(0)) == b"other"
    assert bytes(before.record(0)) == b"first"


@pytest.mark.parametrize("length", [2**31, 2**40, 2**60, 2**62, 2**63, 2**64 - 1])
@pytest.mark.parametrize("number, at", [(0, 0), (2, 16 + 5 + 16)])
def test_a_length_that_the_file_cannot_hold_never_reaches_the_reader(shard, length, number, at):
    """TensorFlow's reader asks for the memory, and ends the process where it gets none."""
    header = length.to_bytes(8, "little")
    data = bytearray(shard.read_bytes())
    data[at : at + 12] = header + masked_crc32c(header).to_bytes(4, "little")
    shard.write_bytes(data)
    with pytest.raises(UserError, match=f"truncated: it ends within record {number} .*at byte {at}"):
        index.index_shard(shard)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.tfrecord")
    with pytest.raises(UserError, match=r"pipe.*Check the path"):
        index.index_shard(tmp_path / "pipe.tfrecord")


@pytest.mark.parametrize(
    "content",
    [np.array([1.5, 2.5]), np.array(["a"]), np.array([[3]]), np.array([2**62, -(2**62)]), np.array([True]), np.int64(7)],
)
def test_a_cached_index_of_another_kind_is_made_again(shard, content):
    right = index.index_shard(shard).lengths
    (cached,) = index.cache_folder("index").glob("*.npy")
    np.save(cached, content)
    index._lengths.cache_clear()
    np.testing.assert_array_equal(index.index_shard(shard).lengths, right)
    np.testing.assert_array_equal(np.load(cached), right)
