"""Records: what is written is read back, by both parsers alike, and a record that is not as asked for says so in one line."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.readers.unusual import fuzzed
from tests.testing import FEATURE_NAMES, FEATURE_SIZES, make_segments, make_video
from yt8m.errors import UserError
from yt8m.readers import records, wire

VIDEO = make_video("aaaa", 7, [3, 1], [(0, 3, 1.0), (0, 1, 0.0), (5, 3, 0.0)])


def decode(record, names=FEATURE_NAMES, sizes=FEATURE_SIZES, **kwargs):
    return records.decode_video(record, names, sizes, **kwargs)


def assert_same(one, other):
    assert one.id == other.id
    np.testing.assert_array_equal(one.labels, other.labels)
    assert set(one.frames) == set(other.frames)
    for name in one.frames:
        np.testing.assert_array_equal(one.frames[name], other.frames[name])
    assert (one.segments is None) == (other.segments is None)
    if one.segments is not None:
        for key, values in dataclasses.asdict(one.segments).items():
            np.testing.assert_array_equal(values, getattr(other.segments, key))


def example(**features):
    kinds = {"b": records._bytes, "i": records._ints, "f": records._floats}
    feature = {name: kinds[kind](value) for name, (kind, value) in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


@pytest.mark.parametrize("size", [1, 127, 128, 1024, 20000])
@pytest.mark.parametrize("num_frames", [1, 301])
def test_video_round_trip(size, num_frames):
    video = make_video("round", num_frames, [0, 3861], features={"x": size})
    record = records.encode_video(video)
    assert wire.strided_frames(record, ["x"], [size]) is not None
    assert_same(decode(record, ["x"], [size]), video)


def test_written_bytes_are_what_protobuf_reads():
    message = tf.train.SequenceExample.FromString(records.encode_video(VIDEO))
    assert message.context.feature["id"].bytes_list.value[0] == b"aaaa"
    assert list(message.context.feature["segment_start_times"].int64_list.value) == [0, 0, 5]
    assert list(message.context.feature["segment_end_times"].int64_list.value) == [5, 5, 10]
    assert list(message.context.feature["segment_scores"].float_list.value) == [1, 0, 0]
    for name in FEATURE_NAMES:
        frames = [feature.bytes_list.value[0] for feature in message.feature_lists.feature_list[name].feature]
        assert frames == [row.tobytes() for row in VIDEO.frames[name]]


def test_protobuf_layout_takes_the_strided_path_with_the_wire_costs_of_the_dataset():
    message = tf.train.SequenceExample()
    for name, size in (("rgb", 1024), ("audio", 128)):
        assert len(wire.frame_header(size)) == 9
        for i in range(3):
            message.feature_lists.feature_list[name].feature.add().bytes_list.value.append(bytes([i]) * size)
    frames = wire.strided_frames(message.SerializeToString(), ["rgb", "audio"], [1024, 128])
    np.testing.assert_array_equal(frames["rgb"], np.repeat([[0], [1], [2]], 1024, axis=1))
    np.testing.assert_array_equal(frames["audio"], np.repeat([[0], [1], [2]], 128, axis=1))


def test_every_layout_gives_the_same_video():
    rng, strided = np.random.default_rng(0), 0
    for number in range(60):
        video = make_video(f"v{number}", int(rng.integers(1, 9)), rng.integers(0, 9, 3), [(5, 2, 1.0)] if number % 2 else ())
        record = fuzzed(video, rng)
        assert_same(decode(record), video)
        frames = wire.strided_frames(record, FEATURE_NAMES, FEATURE_SIZES)
        general = records._parsed_frames(record, FEATURE_NAMES, FEATURE_SIZES)
        for name in FEATURE_NAMES:
            np.testing.assert_array_equal(general[name], video.frames[name])
            if frames is not None:
                np.testing.assert_array_equal(frames[name], video.frames[name])
        strided += frames is not None
        assert records.count_frames(record, FEATURE_NAMES, FEATURE_SIZES) == len(video.frames["rgb"])
    assert 5 < strided < 55


def test_a_wrong_header_in_the_middle_leaves_the_strided_path():
    record = bytearray(records.encode_video(VIDEO))
    at = bytes(record).index(VIDEO.frames["rgb"][3].tobytes())
    record[at - 1] -= 1  # the value is now a byte shorter than its message
    assert wire.strided_frames(bytes(record), FEATURE_NAMES, FEATURE_SIZES) is None
    with pytest.raises(UserError):
        decode(bytes(record))


def test_video_without_labels_or_segments():
    video = decode(records.encode_video(make_video("none", 1, [])))
    assert video.labels.shape == (0,) and video.labels.dtype == np.int64 and video.segments is None


def test_context_needs_no_frames():
    bare = dataclasses.replace(VIDEO, frames={})
    assert_same(records.decode_context(records.encode_video(bare)), bare)
    assert_same(records.decode_context(records.encode_video(VIDEO)), bare)


def test_audioset_layout():
    video = make_video("LoTRWc9WK9Q", 10, [0, 526], features={"audio_embedding": 128})
    message = tf.train.SequenceExample.FromString(records.encode_video(video, id_feature="video_id"))
    message.context.feature["start_time_seconds"].float_list.value.append(30.0)
    record = message.SerializeToString()
    assert_same(decode(record, ["audio_embedding"], [128], id_feature="video_id"), video)


def test_video_level_round_trip_and_both_parsers():
    features = {"mean_rgb": np.linspace(-2, 2, 16, dtype=np.float32), "mean_audio": np.arange(8, dtype=np.float32)}
    record = records.encode_video_features("abcd", [7, 2], features)
    video = records.decode_video_features(record, ["mean_audio", "mean_rgb"], [8, 16])
    general = records._parsed_floats(records._Context(record), ["mean_audio", "mean_rgb"], [8, 16])
    fast = wire.strided_floats(records._Context(record).payload, ["mean_audio", "mean_rgb"], [8, 16])
    assert video.id == "abcd" and sorted(video.labels) == [2, 7]
    for name, values in features.items():
        for found in (video.features, general, fast):
            np.testing.assert_array_equal(found[name], values)


def test_video_level_unpacked_floats():
    record = records.encode_video_features("abcd", [1], {"x": [1.5]})
    packed = b"\x12\x06\x0a\x04" + np.float32(1.5).tobytes()
    assert packed in record
    unpacked = b"\x12\x05\x0d" + np.float32(1.5).tobytes()
    entry = wire.field(0x0A, b"x") + wire.field(0x12, unpacked)
    context = wire.field(0x0A, entry) + wire.field(
        0x0A, wire.field(0x0A, b"id") + wire.field(0x12, records._bytes("abcd").SerializeToString())
    )
    video = records.decode_video_features(wire.field(0x0A, context), ["x"], [1])
    np.testing.assert_array_equal(video.features["x"], [1.5])


@pytest.mark.parametrize(
    "record, names, sizes, line",
    [
        (records.encode_video(VIDEO), ["rgb", "sound"], [16, 8], r"no feature `sound`; it has `audio`, `rgb`\. Use --f"),
        (records.encode_video(VIDEO), ["rgb", "audio"], [10, 8], r"16 bytes a frame in `rgb`, not 10.*--feature_sizes=16,8\."),
        (records.encode_video(VIDEO), ["rgb", "audio"], [16, 4], r"8 bytes a frame in `audio`, not 4.*--feature_sizes=16,8\."),
        (records.encode_video(make_video("aaaa", 0)), FEATURE_NAMES, FEATURE_SIZES, "no frame"),
        (b"\x0a\xff\xff", FEATURE_NAMES, FEATURE_SIZES, "neither a tf.train.SequenceExample"),
        (b"garbage of any kind", FEATURE_NAMES, FEATURE_SIZES, "neither a tf.train.SequenceExample"),
        (b"", FEATURE_NAMES, FEATURE_SIZES, "no feature `rgb`; it has none"),
        (
            records.encode_video_features("abcd", [1], {"mean_rgb": np.zeros(16), "mean_audio": np.zeros(8)}),
            FEATURE_NAMES, FEATURE_SIZES, r"video-level record \(with `mean_audio`, `mean_rgb`\).*--noframe_features",
        ),
    ],
)  # fmt: skip
def test_frame_level_errors(record, names, sizes, line):
    with pytest.raises(UserError, match=line) as caught:
        decode(record, names, sizes)
    assert "\n" not in str(caught.value)


def test_different_frame_counts():
    record = tf.train.SequenceExample.FromString(records.encode_video(VIDEO))
    record.feature_lists.feature_list["audio"].feature.pop()
    with pytest.raises(UserError, match="7 of `rgb`, 6 of `audio`"):
        decode(record.SerializeToString())


def test_missing_id_names_the_candidates():
    with pytest.raises(UserError, match=r"no id `video_id`; it has `id`. Set --id_feature"):
        decode(records.encode_video(VIDEO), id_feature="video_id")


def test_unequal_segment_lists():
    message = tf.train.SequenceExample.FromString(records.encode_video(VIDEO))
    message.context.feature["segment_scores"].float_list.value.pop()
    with pytest.raises(UserError, match="3 start times, 3 end times, 3 labels and 2 scores"):
        decode(message.SerializeToString())


@pytest.mark.parametrize(
    "record, line",
    [
        (records.encode_video(VIDEO), r"frame-level record \(with `audio`, `rgb`\).*Use --frame_features"),
        (example(id=("b", "a"), mean_rgb=("f", [0.0] * 9)), r"no feature `mean_audio`; it has `mean_rgb`"),
        (example(id=("b", "a"), mean_rgb=("f", [0.0] * 9), mean_audio=("f", [0.0] * 8)), "9 values in `mean_rgb`, not 16.*=9,8"),
        (example(mean_rgb=("f", [0.0] * 16), mean_audio=("f", [0.0] * 8)), "no id `id`"),
    ],
)
def test_video_level_errors(record, line):
    with pytest.raises(UserError, match=line):
        records.decode_video_features(record, ["mean_rgb", "mean_audio"], [16, 8])


def test_an_empty_field_2_is_no_frame_level_record():
    record = records.encode_video_features("abcd", [1], {"mean_rgb": np.zeros(16)}) + b"\x12\x00"
    assert records.decode_video_features(record, ["mean_rgb"], [16]).id == "abcd"


@pytest.mark.parametrize("label, line", [(10, "label 10.*--num_classes=10.*Use --num_classes=11"), (-1, "label -1")])
def test_labels_out_of_range(label, line):
    with pytest.raises(UserError, match=line):
        records.check_labels(np.array([0, 9, label]), 10)
    records.check_labels(np.array([0, 9]), 10)
    records.check_labels(np.array([], np.int64), 10)


@pytest.mark.parametrize("frames", [{"x": np.zeros((2, 3))}, {"x": np.zeros((2, 3), np.uint8), "y": np.zeros((3, 3), np.uint8)}])
def test_encoder_refuses_bad_frames(frames):
    with pytest.raises(UserError, match="video aaaa"):
        records.encode_video(records.Video("aaaa", frames, np.array([0])))


def test_write_shard_leaves_nothing_unfinished(tmp_path):
    def failing():
        yield records.encode_video(VIDEO)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        records.write_shard(tmp_path / "new" / "a.tfrecord", failing())
    assert list((tmp_path / "new").iterdir()) == []
    records.write_shard(tmp_path / "new" / "a.tfrecord", [b"one", b"two"])
    assert list(tf.data.TFRecordDataset(str(tmp_path / "new" / "a.tfrecord")).as_numpy_iterator()) == [b"one", b"two"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.tfrecord"]


def test_make_segments_is_five_seconds():
    np.testing.assert_array_equal(make_segments([(15, 1, 1)]).end_times, [20])


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf, 5.0, -0.01])
def test_scores_outside_0_to_1_are_refused(score):
    record = records.encode_video(make_video("v", ratings=[(0, 1, 1.0), (5, 1, score)]))
    for read in (records.decode_context, decode):
        with pytest.raises(UserError, match=rf"segment score of {score:g}; a score is from 0"):
            read(record)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers_are_refused(value):
    features = {"mean_rgb": np.array([0, value, 1], np.float32), "mean_audio": np.zeros(2, np.float32)}
    record = records.encode_video_features("v", [1], features)
    with pytest.raises(UserError, match="has 1 values of `mean_rgb` that are no finite numbers"):
        records.decode_video_features(record, list(features), [3, 2])


def test_ids_that_are_not_utf_8_are_refused_and_never_alike():
    example = tf.train.SequenceExample.FromString(records.encode_video(make_video("v")))
    for value in (b"\xff\xfe", b"\xfe\xff"):
        example.context.feature["id"].bytes_list.value[:] = [value]
        with pytest.raises(UserError, match=r"has the id b'\\x.*not UTF-8"):
            decode(example.SerializeToString())


def damaged(record, rng):
    """A record with some bytes changed, left out or repeated."""
    record = bytearray(record)
    for _ in range(rng.integers(1, 4)):
        at = rng.integers(len(record))
        match rng.integers(4):
            case 0:
                record[at] = rng.integers(256)
            case 1:
                del record[at : at + rng.integers(1, 20)]
            case 2:
                record[at:at] = record[at : at + rng.integers(1, 20)]
            case 3:
                record = record[: at + 1]
    return bytes(record) or b"\x00"


def test_damaged_records_end_in_a_line_or_in_a_video():
    rng, refused = np.random.default_rng(1), 0
    frames = records.encode_video(make_video("frames", 4, [1, 2], [(0, 1, 1.0)]))
    features = records.encode_video_features("features", [1], dict(zip(FEATURE_NAMES, map(np.zeros, FEATURE_SIZES))))
    for _ in range(1500):
        for record, read in ((frames, records.decode_video), (features, records.decode_video_features)):
            try:
                read(damaged(record, rng), FEATURE_NAMES, FEATURE_SIZES)
            except UserError as error:
                refused += 1
                assert "\n" not in str(error)
    assert 300 < refused < 3000


@pytest.mark.parametrize("name", ["labels", "segment_start_times", "segment_end_times", "segment_labels"])
def test_whole_numbers_of_another_kind_are_refused_and_not_left_out(name):
    message = tf.train.SequenceExample.FromString(records.encode_video(VIDEO))
    feature = message.context.feature[name]
    for kind, values, words in (("bytes_list", [b"3"], "byte strings"), ("float_list", [3.0], "floats")):
        getattr(feature, kind).value[:] = values
        for read in (records.decode_context, decode):
            with pytest.raises(UserError, match=rf"^has {words} in `{name}`, not whole numbers \(int64_list\)\. Rewrite"):
                read(message.SerializeToString())


def test_no_label_of_any_kind_is_no_label():
    for kind in ("bytes_list", "float_list", "int64_list", None):
        message = tf.train.SequenceExample.FromString(records.encode_video(make_video("none", 1, [])))
        message.context.feature["labels"].Clear()
        if kind:
            getattr(message.context.feature["labels"], kind).SetInParent()
        assert decode(message.SerializeToString()).labels.tolist() == []
