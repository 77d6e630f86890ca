"""Segments read from their places in the file hold what whole records hold, bit for bit."""

import dataclasses
import os

import numpy as np
import pytest

from tests.readers.reading import arrays, assert_equal, spec_of
from tests.readers.unusual import fuzzed
from tests.testing import FEATURE_NAMES, FEATURE_SIZES, make_segments, make_video
from yt8m.errors import UserError
from yt8m.readers import decoding, kept, layouts, records, windows
from yt8m.readers.annotations import annotated_segments
from yt8m.readers.batches import evaluation_batches, training_batches
from yt8m.readers.index import open_shard
from yt8m.readers.loading import signature
from yt8m.readers.patterns import match_files
from yt8m.readers.row_labels import labels_of_segments
from yt8m.readers.rows import ordered_rows
from yt8m.readers.sidecars import SidecarHeader, write_sidecar
from yt8m.readers.spec import RatedSegments, SegmentsInVideos, VideosWithSegments
from yt8m.segments import mean_features

LENGTHS = (1, 4, 5, 6, 13, 20, 33, 7, 60, 2, 11, 8)
KINDS = {
    "rated": {},
    "with the frames around": {"segment_expansion": 3},
    "longer segments": {"segment_size": 7, "segment_expansion": 1},
    "means": {"segment_expansion": 3, "as_video_features": True},
    "some classes": {"label_ids": (7, 2, 5), "video_labels": True, "positive_ratings": True},
    "audio first": {"feature_names": ("audio", "rgb"), "feature_sizes": (8, 16)},
    "every segment": {"all_segments": True, "video_labels": True, "segment_expansion": 3},
    "chosen": {"annotations": "chosen", "video_labels": True},
    "an M-step's": {"annotations": "dense", "all_segments": True, "segment_expansion": 3},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """12 videos in 4 shards, one empty; every third record has another layout; sidecars of both kinds; the pattern."""
    folder, rng = tmp_path_factory.mktemp("windows"), np.random.default_rng(3)

    def ratings(length):
        pairs = {(int(s) * 5, int(c)) for s, c in zip(rng.integers(0, length // 5 + 2, 6), rng.integers(0, 10, 6))}
        return [(start, label, float(rng.random() < 0.5)) for start, label in sorted(pairs, key=lambda pair: pair[::-1])]

    videos = [make_video(f"v{n:03d}", length, rng.integers(0, 10, 3), ratings(length)) for n, length in enumerate(LENGTHS)]
    for shard, part in enumerate((videos[:5], [], videos[5:6], videos[6:])):
        name = f"validate{shard:04d}.tfrecord"
        written = [fuzzed(video, rng) if int(video.id[1:]) % 3 == 1 else records.encode_video(video) for video in part]
        records.write_shard(folder / "data" / name, written)
        for kind in ("chosen", "dense"):
            header = SidecarHeader(name, len(part), 10, dense=kind == "dense")
            write_sidecar(folder / kind, header, [(video.id, make_segments(ratings(len(video.frames["rgb"])))) for video in part])
    return folder, str(folder / "data" / "*.tfrecord")


def spec(data, prefix="", rows=RatedSegments, **changes):
    folder, pattern = data
    if "annotations" in changes:
        changes["annotations"] = str(folder / changes["annotations"])
    return spec_of(f"{prefix}{pattern}", kind=rows, **changes)


def from_whole_records(spec, files, rows):
    """The arrays of a batch, each row from its record."""
    videos, frames, counts = [], [], []
    for shard, number, start in rows:
        video = records.decode_video(open_shard(files[shard]).record(number), spec.feature_names, spec.feature_sizes)
        videos.append(dataclasses.replace(video, segments=annotated_segments(spec, files[shard], number, video.segments)))
        window = slice(max(start - spec.segment_expansion, 0), start + spec.segment_size + spec.segment_expansion)
        frames.append(np.concatenate([video.frames[name][window] for name in spec.feature_names], axis=1))
        counts.append(len(frames[-1]))
        frames[-1] = np.pad(frames[-1], [(0, spec.num_frames - counts[-1]), (0, 0)])
    if spec.as_video_features:
        of_frames = {"features": np.array([mean_features(row[:n], n) for row, n in zip(frames, counts)])}
    else:
        of_frames = {"frames": np.array(frames), "num_frames": np.array(counts, np.int32)}
    ids = np.array([video.id.encode() for video in videos], object)
    labels = labels_of_segments(spec, videos, rows[:, 2])
    return {"ids": ids, **of_frames, **labels, "start_times": rows[:, 2].astype(np.int32)}


@pytest.mark.parametrize("keep", (False, True))
@pytest.mark.parametrize("prefix", ("", "file://"))
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_what_whole_records_hold(data, kind, prefix, keep):
    asked = spec(data, prefix, **KINDS[kind])
    files = match_files(asked.pattern)
    rows = np.random.default_rng(0).permutation(np.concatenate(list(ordered_rows(asked, files))))
    assert len(rows) > 8
    decode, signed = decoding.decoder(asked, files, keep), signature(asked)
    for batch in np.split(rows, [7, 8, 8, 20]):
        if not len(batch):
            continue
        found, expected = decode(batch), from_whole_records(asked, files, batch)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=key)
            assert found[key].dtype == values.dtype and signed[key].dtype.as_numpy_dtype == values.dtype
    assert {len(values) for values in decode(rows[:0]).values()} == {0}  # a worker's part of a last batch


@pytest.mark.parametrize("rows", (VideosWithSegments, SegmentsInVideos))
@pytest.mark.parametrize("kind", ("rated", "every segment", "chosen", "an M-step's", "some classes"))
def test_videos_with_their_segments_are_what_their_records_hold(data, kind, rows, monkeypatch):
    options = {**KINDS[kind], "max_frames": 30}
    if rows is VideosWithSegments:
        options.pop("segment_expansion", None)
    asked = spec(data, rows=rows, **options)
    files, slow = match_files(asked.pattern), []
    decode, from_records = decoding.decoder(asked, files), decoding._decoded
    monkeypatch.setattr(decoding, "_decoded", lambda *arguments: slow.append(1) or from_records(*arguments))
    references = np.random.default_rng(0).permutation(np.concatenate(list(ordered_rows(asked, files))))
    for batch in (references, *references[:, None]):
        found, expected = decode(batch), from_records(asked, files, batch)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=key)
            assert found[key].dtype == values.dtype
    assert 0 < len(slow) < len(references)  # those with an unusual record


def test_unusual_records_alone_are_read_whole(data, monkeypatch):
    """And so is all of a remote shard, which has no index of frames."""
    read, decode = [], records.decode_video
    monkeypatch.setattr(records, "decode_video", lambda record, *a: read.append(decode(record, *a)) or read[-1])
    arrays(evaluation_batches(spec(data, segment_expansion=3), 100))
    usual = len(read)
    assert usual and all(int(video.id[1:]) % 3 == 1 for video in read)
    arrays(evaluation_batches(spec(data, "file://", segment_expansion=3), 100))
    assert len(read) - usual > usual


def test_kept_frames_are_read_once(data, monkeypatch):
    read, gather = [], windows.Windows._read
    monkeypatch.setattr(windows.Windows, "_read", lambda self, frames, *a: read.append(len(frames)) or gather(self, frames, *a))
    asked = spec(data, segment_expansion=3)
    epochs = arrays(training_batches(asked, 4, 1, num_epochs=5))
    rows = sum(len(batch["ids"]) for batch in epochs) // 5
    assert sum(read) == rows and len(read) == 3
    monkeypatch.setattr(kept, "MOST_BYTES", kept.Kept.held + 12 * 11 * 24)  # two shards' do not fit
    assert_equal(arrays(training_batches(asked, 4, 1, num_epochs=5)), epochs)
    assert sum(read) > 2 * rows
    del read[:]
    arrays(evaluation_batches(asked, 100))
    assert read == [rows] * 3  # one pass: nothing is kept


def test_what_is_kept_goes_with_the_dataset(data):
    asked, before = spec(data), kept.Kept.held
    files = match_files(asked.pattern)
    decode = decoding.decoder(asked, files, keep=True)
    decode(np.concatenate(list(ordered_rows(asked, files))))
    assert kept.Kept.held > before
    del decode
    assert kept.Kept.held == before


def test_damage_to_what_is_read_is_not_passed_on(tmp_path):
    """As when the record is read. The shard was indexed, and has changed since without a trace: no size, no time."""
    video, path = make_video("aaaa", 30, [1], [(10, 1, 1.0)]), tmp_path / "validate0000.tfrecord"
    records.write_shard(path, [records.encode_video(video)])
    of_rows, rows = windows.Windows(spec_of(str(path), kind=RatedSegments), [str(path)]), np.array([[0, 0, 10]])
    np.testing.assert_array_equal(of_rows.batch(rows)["frames"][0, :, :16], video.frames["rgb"][10:15])
    times, at = os.stat(path), path.read_bytes().index(video.frames["rgb"][12].tobytes()) - 1
    with open(path, "r+b") as file:  # in place: the map shows it
        file.seek(at)
        file.write(b"\x0f")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(UserError, match=r"shard validate0000\.tfrecord, record 0: "):
        of_rows.batch(rows)


def test_a_shard_with_other_rows_than_were_referred_to(tmp_path):
    path = tmp_path / "validate0000.tfrecord"
    records.write_shard(path, [records.encode_video(make_video("aaaa", 30, [1], [(10, 1, 1.0)]))])
    with pytest.raises(UserError, match=r"validate0000\.tfrecord changed while it was read. Run the command again."):
        windows.Windows(spec_of(str(path), kind=RatedSegments), [str(path)]).batch(np.array([[0, 0, 15]]))


# ---------------------------------------------------------------- where the frames lie


def opened(tmp_path, contents, monkeypatch):
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path / "cache"))
    records.write_shard(tmp_path / "a.tfrecord", contents)
    return open_shard(tmp_path / "a.tfrecord")


def test_layout(tmp_path, monkeypatch):
    videos = [make_video("aaaa", 3), make_video("bbbb", 1), make_video("cccc", 2, features={"rgb": 16, "audio": 9})]
    shard = opened(tmp_path, [b"", *map(records.encode_video, videos), b"no record"], monkeypatch)
    layout = layouts.layout_of(shard)
    assert layout.names == FEATURE_NAMES and layout.sizes.tolist() == list(FEATURE_SIZES)
    assert layout.counts.tolist() == [0, 3, 1, 0, 0]
    for video, begins in zip(videos[:2], layout.begins[1:]):
        for name, size, begin in zip(FEATURE_NAMES, FEATURE_SIZES, begins):
            frames = shard.data[begin:][: len(video.frames[name]) * layouts.FRAMES.stride(size)]
            np.testing.assert_array_equal(frames.reshape(-1, layouts.FRAMES.stride(size))[:, -size:], video.frames[name])
    assert layout.of(("audio",), (8,))[1].tolist() == layout.begins[:, 1:].tolist()
    for names, sizes in ((("audio",), (9,)), (("rgb", "sound"), (16, 8))):
        assert not layout.of(names, sizes)[0].any()


def test_a_layout_is_kept_and_never_misread(tmp_path, monkeypatch):
    shard = opened(tmp_path, [records.encode_video(make_video("aaaa", 3))], monkeypatch)
    made, scan = [], layouts._scanned
    monkeypatch.setattr(layouts, "_scanned", lambda *a: made.append(1) or scan(*a))
    layout = layouts.layout_of(shard)
    (file,) = (tmp_path / "cache" / "index").glob("*.npz")
    assert layouts.layout_of(shard).begins.tolist() == layout.begins.tolist() and len(made) == 1
    right = dict(np.load(file))
    wrong = [{"begins": right["begins"] + 8}, {"begins": right["begins"][:, :1]}, {"counts": right["counts"] + 1}]
    wrong += [
        {"counts": np.array([2**62])},
        {"sizes": right["sizes"].astype(float)},
        {"names": np.array([1, 2])},
        {"begins": -right["begins"]},
    ]
    for changes in wrong:
        np.savez(file, **{**right, **changes})
        assert layouts.layout_of(shard).begins.tolist() == layout.begins.tolist(), changes
    for content in (b"", b"nonsense"):
        file.write_bytes(content)
        assert layouts.layout_of(shard).counts.tolist() == [3]
    assert len(made) == 1 + len(wrong) + 2
    monkeypatch.setattr(layouts, "VERSION", 2)
    layouts.layout_of(shard)
    assert len(made) == 2 + len(wrong) + 2
