"""What a row holds; errors that name the record."""

import numpy as np
import pytest
import tensorflow as tf

from tests.readers.reading import arrays, assert_equal, bytes_of, ids, read_error, spec_of, video_level
from tests.testing import make_video, write_frame_shards
from yt8m.readers import decoding
from yt8m.readers.batches import count_examples, evaluation_batches
from yt8m.readers.index import open_shard
from yt8m.readers.records import write_shard
from yt8m.readers.spec import RatedSegments, VideosWithSegments, WholeVideos


def test_frame_level_batch(tmp_path):
    videos = [make_video("one", 1, [3]), make_video("long", 301, [0, 9]), make_video("none", 4, [])]
    dataset = evaluation_batches(spec_of(write_frame_shards(tmp_path, [videos])), 8)
    (batch,) = arrays(dataset)
    assert batch["frames"].shape == (3, 300, 24) and batch["frames"].dtype == np.uint8
    np.testing.assert_array_equal(batch["num_frames"], [1, 300, 4])
    for row, video in zip(batch["frames"], videos):
        frames = bytes_of(video)[:300]
        np.testing.assert_array_equal(row[: len(frames)], frames)
        assert not row[len(frames) :].any()
    np.testing.assert_array_equal(batch["labels"].nonzero(), [[0, 1, 1], [3, 0, 9]])
    assert (batch["label_weights"] == 1).all() and ids([batch]) == ["one", "long", "none"]
    assert dataset.element_spec == {
        "ids": tf.TensorSpec([None], tf.string),
        "frames": tf.TensorSpec([None, None, 24], tf.uint8),
        "num_frames": tf.TensorSpec([None], tf.int32),
        "labels": tf.TensorSpec([None, 10], tf.float32),
        "label_weights": tf.TensorSpec([None, 10], tf.float32),
    }


def test_padding_to_the_batch_or_to_max_frames(many):
    short, *_ = arrays(evaluation_batches(spec_of(many, max_frames=3), 2))
    assert short["frames"].shape == (2, 2, 24)
    padded = evaluation_batches(spec_of(many, max_frames=3, pad_frames=True), 2)
    assert padded.element_spec["frames"].shape[1] == 3
    assert {batch["frames"].shape[1] for batch in arrays(padded)} == {3}


def test_feature_order_follows_the_names(tmp_path):
    video = make_video("aaaa", 5)
    pattern = write_frame_shards(tmp_path, [[video]])
    (batch,) = arrays(evaluation_batches(spec_of(pattern, feature_names=["audio", "rgb"], feature_sizes=[8, 16]), 1))
    np.testing.assert_array_equal(batch["frames"][0], np.concatenate([video.frames["audio"], video.frames["rgb"]], axis=1))
    (batch,) = arrays(evaluation_batches(spec_of(pattern, feature_names=["audio"], feature_sizes=[8]), 1))
    np.testing.assert_array_equal(batch["frames"][0], video.frames["audio"])


def test_audioset_is_a_matter_of_names(tmp_path):
    video = make_video("LoTRWc9WK9Q", 10, [0, 526], features={"audio_embedding": 128})
    pattern = write_frame_shards(tmp_path, [[video]], id_feature="video_id")
    spec = WholeVideos(pattern, ("audio_embedding",), (128,), num_classes=527, id_feature="video_id")
    (batch,) = arrays(evaluation_batches(spec, 4))
    np.testing.assert_array_equal(batch["frames"][0], video.frames["audio_embedding"])
    assert ids([batch]) == ["LoTRWc9WK9Q"] and batch["labels"].nonzero()[1].tolist() == [0, 526]


def test_means_for_a_video_level_model(tmp_path):
    videos = [make_video("one", 1), make_video("more", 7), make_video("long", 301)]
    dataset = evaluation_batches(spec_of(write_frame_shards(tmp_path, [videos]), as_video_features=True), 4)
    (batch,) = arrays(dataset)
    assert "frames" not in batch and dataset.element_spec["features"].shape.as_list() == [None, 24]
    for row, video in zip(batch["features"], videos):
        dequantised = bytes_of(video)[:300].astype(np.float64) * 4 / 255 - 2 + 4 / 512
        np.testing.assert_allclose(row, dequantised.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("bulk", [True, False])
def test_video_level_batch(tmp_path, monkeypatch, bulk):
    rows, spec = video_level(tmp_path)
    if not bulk:
        monkeypatch.setattr(decoding, "_parsed_in_bulk", lambda *arguments: None)
    (batch,) = arrays(evaluation_batches(spec, 5))
    wanted = [np.concatenate([features["mean_rgb"], features["mean_audio"]]) for _, _, features in rows]
    np.testing.assert_array_equal(batch["features"], np.array(wanted, np.float32))
    assert ids([batch]) == ["v0", "v1", "v2", "v3", "v4"] and batch.keys() == {"ids", "features", "labels", "label_weights"}
    np.testing.assert_array_equal(batch["labels"].nonzero(), [[1, 2, 2, 4], [1, 2, 9, 4]])
    assert (batch["label_weights"] == 1).all()


def test_columns_of_some_labels_and_only_their_videos(tmp_path):
    videos = [make_video(id, labels=labels) for id, labels in (("aa", [7, 2]), ("bb", [1]), ("cc", []), ("dd", [2]))]
    pattern = write_frame_shards(tmp_path, [videos])
    (batch,) = arrays(evaluation_batches(spec_of(pattern, label_ids=[7, 5, 2]), 4))
    np.testing.assert_array_equal(batch["labels"], [[1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 1]])
    some = spec_of(pattern, label_ids=[7, 5, 2], only_videos_with_label_ids=True)
    assert ids(arrays(evaluation_batches(some, 4))) == ["aa", "dd"] and count_examples(some) == 2
    _, spec = video_level(tmp_path / "video", label_ids=[9, 4], only_videos_with_label_ids=True)
    assert ids(arrays(evaluation_batches(spec, 4))) == ["v2", "v4"]


# ---------------------------------------------------------------- rated segments


def test_rated_rows(rated, capsys):
    videos, pattern = rated
    dataset = evaluation_batches(spec_of(pattern, kind=RatedSegments), 16)
    (batch,) = arrays(dataset)
    assert ids([batch]) == ["aaaa", "aaaa", "aaaa", "cccc", "cccc"]
    np.testing.assert_array_equal(batch["start_times"], [0, 10, 15, 5, 10])
    np.testing.assert_array_equal(batch["num_frames"], [5, 5, 5, 5, 2])
    assert batch["frames"].shape == (5, 5, 24) and dataset.element_spec["frames"].shape.as_list() == [None, 5, 24]
    np.testing.assert_array_equal(batch["frames"][1], bytes_of(videos[0])[10:15])
    np.testing.assert_array_equal(batch["frames"][4, :2], bytes_of(videos[2])[10:12])
    assert not batch["frames"][4, 2:].any()
    np.testing.assert_array_equal(batch["label_weights"].nonzero(), [[0, 1, 1, 2, 3, 4], [2, 1, 2, 8, 7, 1]])
    np.testing.assert_array_equal(batch["labels"].nonzero(), [[0, 1, 2, 4], [2, 1, 8, 1]])
    assert "validate0001.tfrecord: 2 rated segment(s) start past" in capsys.readouterr().err
    assert count_examples(spec_of(pattern, kind=RatedSegments)) == 5
    assert capsys.readouterr().err == ""


def test_expanded_windows_are_clipped_and_moved_to_the_front(rated):
    videos, pattern = rated
    (batch,) = arrays(evaluation_batches(spec_of(pattern, kind=RatedSegments, segment_expansion=3), 16))
    assert batch["frames"].shape[1] == 11
    for row, count, (video, begin, end) in zip(
        batch["frames"], batch["num_frames"], [(0, 0, 8), (0, 7, 18), (0, 12, 20), (2, 2, 12), (2, 7, 12)], strict=True
    ):
        assert count == end - begin
        np.testing.assert_array_equal(row[:count], bytes_of(videos[video])[begin:end])
        assert not row[count:].any()


def test_rated_segments_beyond_max_frames_are_read(rated):
    videos, pattern = rated
    (batch,) = arrays(evaluation_batches(spec_of(pattern, kind=RatedSegments, max_frames=3), 16))
    np.testing.assert_array_equal(batch["frames"][2], bytes_of(videos[0])[15:20])


def test_ratings_of_other_classes_are_dropped(rated):
    _, pattern = rated
    (batch,) = arrays(evaluation_batches(spec_of(pattern, kind=RatedSegments, label_ids=[8, 2]), 16))
    np.testing.assert_array_equal(batch["start_times"], [0, 10, 15])
    np.testing.assert_array_equal(batch["label_weights"], [[0, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(batch["labels"], [[0, 1], [0, 0], [1, 0]])


def test_means_of_rated_segments(rated):
    videos, pattern = rated
    (batch,) = arrays(evaluation_batches(spec_of(pattern, kind=RatedSegments, as_video_features=True), 16))
    dequantised = bytes_of(videos[2])[10:12].astype(np.float64) * 4 / 255 - 2 + 4 / 512
    np.testing.assert_allclose(batch["features"][4], dequantised.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(batch["start_times"], [0, 10, 15, 5, 10])


def test_a_record_is_not_parsed_for_its_segments_and_a_remote_one_once(rated, monkeypatch):
    parsed, decode = [], decoding.records.decode_video
    monkeypatch.setattr(decoding.records, "decode_video", lambda *a: parsed.append(1) or decode(*a))
    local = arrays(evaluation_batches(spec_of(rated[1], kind=RatedSegments), 16))
    assert not parsed
    assert_equal(arrays(evaluation_batches(spec_of(f"file://{rated[1]}", kind=RatedSegments), 16)), local)
    assert len(parsed) == 2


# ---------------------------------------------------------------- what users get wrong


def test_errors_name_shard_and_record(tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("aaaa")], [make_video("bbbb"), make_video("cccc", labels=[10])]])
    assert read_error(pattern).startswith("shard validate0001.tfrecord, record 1: has label 10")
    assert "Use --num_classes=11" in read_error(pattern)
    assert read_error(pattern, feature_sizes=[10, 8], num_classes=11) == (
        "shard validate0000.tfrecord, record 0: has 16 bytes a frame in `rgb`, not 10. Use --feature_sizes=16,8.")  # fmt: skip
    assert "it has `audio`, `rgb`" in read_error(pattern, feature_names=["rgb", "sound"])
    assert "Set --id_feature" in read_error(pattern, id_feature="video_id")


def test_video_level_errors_name_shard_and_record(tmp_path):
    _, spec = video_level(tmp_path, num_classes=4)
    common = {"feature_names": spec.feature_names, "feature_sizes": spec.feature_sizes, "frame_features": False}
    line = read_error(spec.pattern, **common, num_classes=9)
    assert line.startswith("shard validate0000.tfrecord, record 2: has label 9")
    assert "Use --feature_sizes=16,8" in read_error(spec.pattern, **{**common, "feature_sizes": [16, 9]})
    assert "it has `mean_audio`, `mean_rgb`" in read_error(spec.pattern, **{**common, "feature_names": ["mean_rgb", "x"]})


def test_wrong_kind_of_record(tmp_path, many):
    assert "Use --frame_features." in read_error(many, frame_features=False)
    _, spec = video_level(tmp_path)
    assert "Use --noframe_features." in read_error(spec.pattern)
    assert "needs version-3 validate shards" in read_error(spec.pattern, kind=RatedSegments)


def test_damaged_shards(tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video("aaaa"), make_video("bbbb")]])
    path = tmp_path / "validate0000.tfrecord"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert "is truncated: it ends within record 1" in read_error(pattern)
    path.write_bytes(whole[:-100] + b"\x00" * 100)
    assert "is corrupt: the checksum of record 1" in read_error(pattern)


def test_undecodable_and_empty_records(tmp_path):
    write_shard(tmp_path / "x.tfrecord", [b"garbage of any kind"])
    assert "record 0: is neither" in read_error(str(tmp_path / "x.tfrecord"))
    pattern = write_frame_shards(tmp_path / "zero", [[make_video("zero", 0)]])
    assert "record 0: has no frame" in read_error(pattern)
    pattern = write_frame_shards(tmp_path / "nothing", [[]])
    assert "the shards are empty" in read_error(pattern)


@pytest.mark.parametrize("kind", ["bytes_list", "float_list"])
@pytest.mark.parametrize("rows", [WholeVideos, RatedSegments, VideosWithSegments, None])
def test_labels_that_are_no_whole_numbers(tmp_path, kind, rows):
    """Frame-level rows of every kind; None: of video-level records."""
    if rows is None:
        _, spec = video_level(tmp_path)
        changes = {"feature_names": spec.feature_names, "feature_sizes": spec.feature_sizes, "frame_features": False}
        message, pattern = tf.train.Example, spec.pattern
    else:
        changes, message = {"kind": rows}, tf.train.SequenceExample
        videos = [make_video(id, 12, [1], [(5, 1, 1.0)]) for id in ("aa", "bb")]
        pattern = write_frame_shards(tmp_path, [videos])
    path = tmp_path / "validate0000.tfrecord"
    first, second, *_ = (bytes(open_shard(path).record(number)) for number in range(len(open_shard(path))))
    second = message.FromString(second)
    context = second.features if rows is None else second.context
    getattr(context.feature["labels"], kind).value.append(b"1" if kind == "bytes_list" else 1.0)
    write_shard(path, [first, second.SerializeToString()])
    words = {"bytes_list": "byte strings", "float_list": "floats"}[kind]
    assert read_error(pattern, **changes).startswith(f"shard {path.name}, record 1: has {words} in `labels`, not whole numbers")
