"""Whole videos copied from their places in the files hold what their records hold, bit for bit."""

import os

import numpy as np
import pytest

from tests.readers.reading import arrays, read_error, spec_of, video_level
from tests.readers.unusual import fuzzed
from tests.testing import FEATURE_NAMES, FEATURE_SIZES, make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.readers import decoding, records, videos
from yt8m.readers.batches import evaluation_batches
from yt8m.readers.index import open_shard
from yt8m.readers.loading import signature
from yt8m.readers.patterns import match_files
from yt8m.readers.rows import ordered_rows
from yt8m.readers.spec import SegmentsInVideos, VideosWithSegments, WholeVideos
from yt8m.readers.wire import strided_frames

KINDS = {
    "frames": {},
    "at most 20": {"max_frames": 20},
    "all padded": {"max_frames": 40, "pad_frames": True},
    "means": {"as_video_features": True},
    "some classes": {"label_ids": (7, 2, 5), "only_videos_with_label_ids": True},
    "audio": {"feature_names": ("audio",), "feature_sizes": (8,)},
}


def from_records(spec, files, rows):
    """The arrays of a batch, each row from its record."""
    return decoding._decoded(spec, files, rows)


def assert_same(spec, decode, batches):
    files, signed = match_files(spec.pattern), signature(spec)
    for rows in batches:
        found, expected = decode(rows), from_records(spec, files, rows)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=key)
            assert found[key].dtype == values.dtype and signed[key].dtype.as_numpy_dtype == values.dtype


def usual(spec):
    """A decoder of batches that no record of may be decoded in, and the references."""

    def decode(rows):
        raise AssertionError("decoded")

    files = match_files(spec.pattern)
    rows = np.random.default_rng(0).permutation(np.concatenate(list(ordered_rows(spec, files))))
    return videos.Videos(spec, files, decode).batch, rows


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    rng = np.random.default_rng(2)
    of_all = [
        make_video(f"v{n:02d}", n, rng.integers(0, 10, n % 4), [(0, 3, 1.0)] if n % 2 else ()) for n in (1, 5, 50, 33, 12, 2, 7)
    ]
    return write_frame_shards(tmp_path_factory.mktemp("videos"), [of_all[:3], [], of_all[3:]])


@pytest.mark.parametrize("short", (0, 1000))
@pytest.mark.parametrize("kind", KINDS)
def test_videos_are_what_their_records_hold(pattern, kind, short, monkeypatch):
    monkeypatch.setattr(videos, "_SHORT", short)
    spec = spec_of(pattern, **KINDS[kind])
    decode, rows = usual(spec)
    assert_same(spec, decode, (rows[:4], rows[4:], rows[::2], rows))
    if not spec.frame_features or spec.num_frames:
        assert {len(values) for values in decode(rows[:0]).values()} == {0}


def test_features_of_videos_are_what_their_records_hold(tmp_path):
    _, spec = video_level(tmp_path)
    decode, rows = usual(spec)
    assert_same(spec, decode, (rows[:2], rows))


def test_a_batch_with_an_unusual_record_is_decoded(tmp_path):
    rng, of_all = np.random.default_rng(1), [make_video(f"v{n}", n, [n]) for n in range(1, 8)]
    written = [records.encode_video(video) for video in of_all]
    while strided_frames(written[2], FEATURE_NAMES, FEATURE_SIZES) is not None:
        written[2] = fuzzed(of_all[2], rng)
    records.write_shard(tmp_path / "a.tfrecord", written)
    for prefix, count in (("", 1), ("file://", 4)):
        spec, decoded = spec_of(f"{prefix}{tmp_path}/a.tfrecord"), []
        files = match_files(spec.pattern)

        def decode(rows, spec=spec, files=files, decoded=decoded):
            decoded.append(rows)
            return from_records(spec, files, rows)

        (rows,) = ordered_rows(spec, files)
        assert_same(spec, videos.Videos(spec, files, decode).batch, (rows[:2], rows[2:4], rows[4:6], rows[6:]))
        assert len(decoded) == count


def test_what_is_wrong_with_a_record_is_said_when_it_is_read(tmp_path):
    """Not when others of its shard are."""
    pattern = write_frame_shards(tmp_path / "labels", [[make_video("aaaa"), make_video("bbbb"), make_video("cccc", labels=[10])]])
    batches = iter(evaluation_batches(spec_of(pattern), 2, num_parallel=1))
    assert next(batches)["ids"].numpy().tolist() == [b"aaaa", b"bbbb"]
    assert read_error(pattern).startswith("shard validate0000.tfrecord, record 2: has label 10")
    whole = records.encode_video(make_video("aaaa"))
    records.write_shard(tmp_path / "a.tfrecord", [whole, whole.replace(b"aaaa", b"\xff\xff\xff\xff")])
    assert read_error(str(tmp_path / "a.tfrecord")).startswith("shard a.tfrecord, record 1: has the id")


def test_numbers_that_are_none(tmp_path):
    rows = [("v0", [1], {"mean_rgb": np.full(16, value), "mean_audio": np.ones(8)}) for value in (1.0, np.nan)]
    records.write_shard(tmp_path / "a.tfrecord", [records.encode_video_features(*row) for row in rows])
    names = {"feature_names": ("mean_rgb", "mean_audio"), "feature_sizes": (16, 8), "frame_features": False}
    assert "record 1: has 16 values of `mean_rgb` that are no finite numbers" in read_error(str(tmp_path / "a.tfrecord"), **names)


def test_damage_after_the_shard_was_indexed(pattern, tmp_path):
    """What precedes a frame is looked at whenever it is read."""
    video, path = make_video("aaaa", 40), tmp_path / "a.tfrecord"
    records.write_shard(path, [records.encode_video(video)])
    spec, rows = spec_of(str(path)), np.array([[0, 0, 0]])
    decode = decoding.decoder(spec, [str(path)])
    np.testing.assert_array_equal(decode(rows)["frames"][0, :, :16], video.frames["rgb"])
    times, at = os.stat(path), path.read_bytes().index(video.frames["rgb"][12].tobytes()) - 1
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"\x0f")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(UserError, match=r"shard a\.tfrecord, record 0: "):
        decode(rows)


def test_names_of_features(pattern):
    (batch,) = arrays(
        evaluation_batches(spec_of(pattern, feature_names=FEATURE_NAMES[::-1], feature_sizes=FEATURE_SIZES[::-1]), 9)
    )
    (other,) = arrays(evaluation_batches(spec_of(pattern), 9))
    np.testing.assert_array_equal(batch["frames"][..., 8:], other["frames"][..., :16])


@pytest.mark.parametrize("kind", [WholeVideos, VideosWithSegments, SegmentsInVideos, None])
def test_a_shard_that_a_shorter_one_took_the_place_of(tmp_path, kind):
    """None: of video-level records."""
    path = tmp_path / "validate0000.tfrecord"
    if kind is None:
        _, spec = video_level(tmp_path)
    else:
        write_frame_shards(tmp_path, [[make_video(id, 9, [1], [(0, 1, 1.0)]) for id in ("aaaa", "bbbb", "cccc")]])
        spec = spec_of(str(path), kind)
    decode = decoding.decoder(spec, [str(path)])
    rows = np.array([[0, number, 1] for number in range(3)])
    assert len(decode(rows)["ids"]) == 3
    records.write_shard(path, [bytes(open_shard(path).record(0))])
    with pytest.raises(UserError, match=f"^shard {path} changed while it was read. Run the command again.$"):
        decode(rows)
