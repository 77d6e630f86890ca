"""yt8m.write_videos: arrays in, native shards out."""

import glob
import hashlib
import os
import pathlib
import tracemalloc

import numpy as np
import pytest

import yt8m
from tests.commands import given
from yt8m import flags
from yt8m.features import whitening
from yt8m.readers.labels import read_vocabulary
from yt8m.readers.patterns import match_files
from yt8m.readers.records import decode_video
from yt8m.segments import dequantise, quantise


def clip(name="clip", frames=10, **more):
    """A video with 6 values a frame, of a standard deviation of 1."""
    rng = np.random.default_rng(list(name.encode()))
    return {"id": name, "clip": rng.normal(size=(frames, 6)).astype(np.float32), **more}


def clips(count=30, **more):
    return [clip(f"c{number:02d}", labels=[("cat", "dog", "emu")[number % 3]], **more) for number in range(count)]


def records(folder, sizes, split="*"):
    """{id: Video} of a folder."""
    import tensorflow as tf

    paths = match_files(os.path.join(folder, f"{split}-*.tfrecord"), "data")
    videos = [decode_video(raw.numpy(), tuple(sizes), tuple(sizes.values())) for raw in tf.data.TFRecordDataset(paths)]
    return {video.id: video for video in videos}


def contents(folder):
    """{name: SHA-256} of a folder's files."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in pathlib.Path(folder).iterdir()}


def test_what_is_written_is_what_was_given(tmp_path):
    bytes_ = np.arange(80, dtype=np.uint8).reshape(10, 8)
    ratings = [(5, "dog", 0), (0, "cat", True)]
    videos = [
        clip("b", labels=["dog", "cat", "dog"], ratings=ratings, split="train", sound=bytes_),
        clip("a", sound=bytes_[::-1]),
    ]
    dataset = yt8m.write_videos(tmp_path / "f", videos)
    assert (dataset.feature_sizes, dataset.names) == ({"clip": 6, "sound": 8}, {0: "cat", 1: "dog"})
    found = records(dataset.folder, dataset.feature_sizes)
    np.testing.assert_array_equal(found["b"].frames["clip"], quantise(videos[0]["clip"]))
    np.testing.assert_array_equal(found["b"].frames["sound"], bytes_)
    np.testing.assert_array_equal(found["a"].frames["sound"], bytes_[::-1])
    assert found["b"].labels.tolist() == [0, 1] and found["a"].labels.tolist() == [] and found["a"].segments is None
    segments = found["b"].segments
    assert segments.start_times.tolist() == [0, 5] and segments.end_times.tolist() == [5, 10]
    assert segments.labels.tolist() == [0, 1] and segments.scores.tolist() == [1, 0]
    assert "b" in records(dataset.folder, dataset.feature_sizes, "train")


def test_the_flags_are_those_of_training(tmp_path):
    dataset = yt8m.write_videos(tmp_path / "f", clips(), split="train:.5,validate:.5")
    values = given("train", f"--flagfile={dataset.flags_file}")
    assert values["feature_names"] == ("clip",) and values["feature_sizes"] == (6,) and values["num_classes"] == 3
    assert len(records(dataset.folder, {"clip": 6}, "train")) == dataset.splits["train"] > 5
    assert values["train_data_pattern"] == str(tmp_path / "f" / "train-*.tfrecord")
    assert read_vocabulary(values["vocabulary_file"]) == dataset.names == {0: "cat", 1: "dog", 2: "emu"}
    assert flags.read(flags.TRAIN, dataset.flags) == values
    assert "max_frames" not in values


def test_longer_videos_than_usual_are_read_whole(tmp_path):
    dataset = yt8m.write_videos(tmp_path / "f", [clip("long", frames=301), clip("short")])
    assert dataset.flags["max_frames"] == 301 and dataset.splits == {"test": 2} and "num_classes" not in dataset.flags


def test_the_same_videos_in_any_order_are_the_same_bytes(tmp_path):
    first, second = (yt8m.write_videos(tmp_path / n, v, whitening="fit") for n, v in (("a", clips()), ("b", clips()[::-1])))
    ours, theirs = contents(first.folder), contents(second.folder)
    del ours["dataset.flags"], theirs["dataset.flags"]  # they name their folder
    assert ours == theirs


def test_a_second_call_replaces_the_videos_and_keeps_the_classes(tmp_path):
    yt8m.write_videos(tmp_path, clips())
    (tmp_path / "notes.txt").write_text("mine")
    dataset = yt8m.write_videos(tmp_path, [clip("new", labels=["emu", "ant"], split="train")], extend_vocabulary=True)
    assert dataset.names == {0: "cat", 1: "dog", 2: "emu", 3: "ant"}
    found = records(tmp_path, {"clip": 6})
    assert list(found) == ["new"] and found["new"].labels.tolist() == [2, 3]
    assert (tmp_path / "notes.txt").exists() and not glob.glob(str(tmp_path.parent / ".*partial"))


def test_memory_does_not_grow_with_the_number_of_videos(tmp_path):
    frames = np.zeros((100, 1000), np.float32)

    def peak(count):
        tracemalloc.start()
        yt8m.write_videos(tmp_path / str(count), ({"id": f"v{n}", "x": frames, "labels": ["a"]} for n in range(count)))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(120) < peak(20) + 2e6  # 100 videos more: 10 MB of bytes, 40 MB of floats


# ---------------------------------------------------------------- the range of the values


@pytest.mark.parametrize(
    ("scale", "shift", "words"),
    [
        (0.04, 0, "standard deviation is 0.04"),
        (0.04, 1.5, "standard deviation is 0.04"),
        (3, 0, "of the values are beyond"),
        (1, 0, ""),
    ],
)
def test_a_line_says_that_bytes_do_not_fit(tmp_path, capsys, scale, shift, words):
    rng = np.random.default_rng(1)
    yt8m.write_videos(tmp_path, [{"id": f"v{n}", "x": rng.normal(size=(50, 20)) * scale + shift} for n in range(4)])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert len(lines) == bool(words)
    assert all(words in line and "whitening" in line for line in lines)


def test_whitening_mends_it(tmp_path, capsys):
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(20, 20)) * 0.04
    videos = [{"id": f"v{n}", "x": np.maximum(rng.normal(size=(50, 20)) @ mixing, 0) + 3, "labels": ["a"]} for n in range(20)]
    dataset = yt8m.write_videos(tmp_path, videos, whitening={"x": "fit"})
    assert "warning" not in capsys.readouterr().out
    fitted = whitening.load(str(tmp_path / "whitening-x.npz"))
    found = records(tmp_path, dataset.feature_sizes)
    frames = np.concatenate([dequantise(video.frames["x"]) for video in found.values()])
    assert 0.8 < frames.std() < 1 and abs(frames.mean()) < 0.05
    np.testing.assert_array_equal(found["v3"].frames["x"], quantise(fitted.apply(videos[3]["x"].astype(np.float32))))


def test_a_whitening_is_kept_and_used_for_other_videos(tmp_path, capsys):
    yt8m.write_videos(tmp_path / "a", clips(), whitening="fit")
    kept = (tmp_path / "a" / "whitening-clip.npz").read_bytes()
    yt8m.write_videos(tmp_path / "a", clips(10), whitening="fit")
    assert (tmp_path / "a" / "whitening-clip.npz").read_bytes() == kept and "used again" in capsys.readouterr().out
    dataset = yt8m.write_videos(tmp_path / "b", [clip("c00")], whitening={"clip": tmp_path / "a" / "whitening-clip.npz"})
    ours, theirs = records(tmp_path / "a", dataset.feature_sizes)["c00"], records(tmp_path / "b", dataset.feature_sizes)["c00"]
    np.testing.assert_array_equal(ours.frames["clip"], theirs.frames["clip"])
    assert (tmp_path / "b" / "whitening-clip.npz").read_bytes() == kept


# ---------------------------------------------------------------- bad input


FLOATS, BYTES = np.ones((10, 6), np.float32), np.ones((10, 6), np.uint8)
BAD = {
    "no video": ([], "there is none"),
    "no list": (3, "videos is a int"),
    "one video": (clip(), "videos is a dict"),
    "no dict": ([FLOATS], "video 0 is a ndarray"),
    "no id": ([{"clip": FLOATS}], "video 0: id None"),
    "bad id": ([clip("a:b")], "'a:b'"),
    "id twice": ([clip(), clip()], "video 1: id clip was given before"),
    "no feature": ([{"id": "a"}], "video a has no feature"),
    "other features": ([clip(), {"id": "a", "rgb": FLOATS}], "video a: features rgb"),
    "other size": ([clip(), {"id": "a", "clip": FLOATS[:, :5]}], r"float32 \[10, 5\]: expected float or uint8 \[T, 6\]"),
    "no frame": ([{"id": "a", "clip": FLOATS[:0]}], r"\[0, 6\]"),
    "one dimension": ([{"id": "a", "clip": FLOATS[0]}], r"\[6\]"),
    "whole numbers": ([{"id": "a", "clip": FLOATS.astype(int)}], "int64"),
    "ragged": ([{"id": "a", "clip": [[1.0], [2.0, 3.0]]}], "video a: clip is"),
    "nan": ([{"id": "a", "clip": FLOATS * np.nan}], "no finite"),
    "too large": ([{"id": "a", "clip": np.full((10, 6), 1e300)}], "no finite"),
    "bytes and floats": ([clip(), {"id": "a", "clip": BYTES}], "was not before"),
    "lengths": ([{"id": "a", "clip": FLOATS, "sound": BYTES[:9]}], "video a: .*10.*9"),
    "feature's name": ([{"id": "a", "c,d": FLOATS}], "'c,d'"),
    "label": ([clip(labels=[1.5])], "label 1.5"),
    "labels": ([clip(labels="cat")], "labels is 'cat'"),
    "ids and names": ([clip(labels=["cat", 3])], "vocabulary"),
    "rating": ([clip(ratings=[(0, "cat")])], "rating"),
    "rating's start": ([clip(ratings=[(2.5, "cat", 1)])], "whole seconds"),
    "late rating": ([clip(ratings=[(6, "cat", 1)])], "video's 10"),
    "rating's score": ([clip(ratings=[(0, "cat", 0.5)])], "0 or 1"),
    "split": ([clip(split="a/b")], "split 'a/b'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_video_is_one_line_and_nothing_is_written(tmp_path, name):
    videos, words = BAD[name]
    with pytest.raises(yt8m.UserError, match=words) as refused:
        yt8m.write_videos(tmp_path / "f", videos)
    assert "\n" not in str(refused.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_shards": 0}, "num_shards=0"),
        ({"split": "train:2"}, "name:share"),
        ({"whitening": "yes"}, "'yes'"),
        ({"whitening": {"rgb": "fit"}}, "rgb"),
        ({"whitening": {"clip": 3}}, "clip: 3"),
        ({"whitening": {"clip": "nowhere.npz"}}, "nowhere.npz"),
        ({"vocabulary": "nowhere.csv"}, "nowhere.csv"),
    ],
)
def test_bad_options(tmp_path, options, words):
    with pytest.raises(yt8m.UserError, match=words):
        yt8m.write_videos(tmp_path / "f", clips(3), **options)
    assert not list(tmp_path.iterdir())


def test_bytes_are_not_whitened(tmp_path):
    for asked in ("fit", {"clip": "fit"}):
        with pytest.raises(yt8m.UserError, match=r"bytes|floats"):
            yt8m.write_videos(tmp_path / "f", [{"id": "a", "clip": BYTES}], whitening=asked)


def test_a_new_name_and_features_of_another_kind_change_nothing(tmp_path):
    yt8m.write_videos(tmp_path, clips(), backbone="CLIP")
    before = contents(tmp_path)
    for options, words in (({"backbone": "CLIP"}, "'ant'"), ({}, "features of CLIP")):
        with pytest.raises(yt8m.UserError, match=words):
            yt8m.write_videos(tmp_path, [clip(labels=["ant"])], **options)
    assert contents(tmp_path) == before


def test_an_error_of_the_callers_passes_unchanged(tmp_path):
    def broken():
        yield clip()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        yt8m.write_videos(tmp_path / "f", broken())
    assert not list(tmp_path.iterdir())
