"""From files to shards: what is written, resumed, refused and reported."""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

import yt8m
from tests.commands import ROOT, given
from tests.features.clips import tone, write_clip
from tests.features.stubs import Probe
from yt8m.errors import UserError
from yt8m.features import backbones, extract, extractor, parts, shards
from yt8m.features.extract import Job
from yt8m.features.extraction import Settings, source_of
from yt8m.readers.index import open_shard
from yt8m.readers.records import decode_video
from yt8m.segments import quantise

SIZES = {"rgb": 1024, "audio": 128}
LABELS = "video,labels,split\n0.mov,Car;Dog,train\n1.mov,Dog,validate\n2.mov,Car,train\n3.mov,,test\n"
RATINGS = "video,start,label,score\n0,0,Car,1\n0,0,Dog,0\n"


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with four clips of 5 to 8 s, one of them without sound, and tables of labels and ratings."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(4):
        seconds = 5 + number
        write_clip(folder / f"{number}.mov", np.arange(seconds * 5) / 5, tone(seconds) if number else None)
    (folder / "videos.csv").write_text(LABELS)
    (folder / "segments.csv").write_text(RATINGS)
    return folder


@pytest.fixture(scope="module")
def features(clips, tmp_path_factory):
    """The Features of the clips with labels and ratings."""
    folder = tmp_path_factory.mktemp("features")
    return extract.run(Job(str(clips / "videos.csv"), str(folder), segments_csv=str(clips / "segments.csv")))


def shard_bytes(folder):
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).glob("*.tfrecord")}


def videos(folder, sizes=SIZES):
    """{id: Video} of all shards of a folder."""
    records = {}
    for name in sorted(shard_bytes(folder)):
        shard = open_shard(os.path.join(folder, name))
        for number in range(len(shard)):
            video = decode_video(bytes(shard.record(number)), tuple(sizes), tuple(sizes.values()))
            records[video.id] = video
    return records


def rows(folder, name):
    with open(os.path.join(folder, name), newline="") as file:
        return list(csv.DictReader(file))


def test_the_shards_hold_what_was_given(features):
    records = videos(features.folder)
    assert {id_: len(video.frames["rgb"]) for id_, video in records.items()} == {"0": 5, "1": 6, "2": 7, "3": 8}
    assert {id_: video.labels.tolist() for id_, video in records.items()} == {"0": [0, 1], "1": [1], "2": [0], "3": []}
    ratings = records["0"].segments
    assert (ratings.start_times.tolist(), ratings.end_times.tolist()) == ([0, 0], [5, 5])
    assert (ratings.labels.tolist(), ratings.scores.tolist()) == ([0, 1], [1, 0])
    assert records["1"].segments is None
    silence = backbones.build("sketch").silence()
    assert (records["0"].frames["audio"] == silence).all() and (records["1"].frames["audio"] != silence).any(axis=1).all()
    assert features.splits == {"test": 1, "train": 2, "validate": 1} and not features.failed


def test_names_of_shards(features):
    for name in shard_bytes(features.folder):
        split, number, of, count = name.removesuffix(".tfrecord").split("-")
        assert split in ("train", "validate", "test") and int(number) < int(count) == 16 and of == "of"


def test_the_reports(features):
    table = rows(features.folder, "videos.csv")
    assert [row["id"] for row in table] == ["0", "1", "2", "3"]
    assert [row["has_audio"] for row in table] == ["0", "1", "1", "1"]
    assert (table[0]["frames"], table[0]["width"], table[0]["height"], table[0]["decode_errors"]) == ("5", "64", "48", "0")
    assert rows(features.folder, "failed.csv") == []
    manifest = json.loads(pathlib.Path(features.folder, "features.json").read_text())
    assert manifest["backbone"] == {"name": "sketch", "options": {}, "files": {}} and manifest["feature_sizes"] == SIZES


def test_training_takes_the_flags(features):
    values = given("train", f"--flagfile={features.flags_file}")
    assert values["num_classes"] == 2 and values["feature_sizes"] == (1024, 128)
    assert values["train_data_pattern"].endswith("train-*.tfrecord") and "eval_data_pattern" in values
    assert values["vocabulary_file"] == str(features.folder) + "/vocabulary.csv" and "max_frames" not in values


def test_training_reads_longer_videos_than_usual_whole(tmp_path):
    path = write_clip(tmp_path / "long.mov", np.arange(0, 320, 2))
    for max_frames, said in ((310, 310), (300, None)):
        result = extract.run(Job(str(path), str(tmp_path / "features"), split="train:1", settings=Settings(max_frames)))
        assert given("train", f"--flagfile={result.flags_file}").get("max_frames") == said


def test_the_same_input_gives_the_same_bytes_and_nothing_is_decoded_twice(clips, features, monkeypatch):
    before = shard_bytes(features.folder)
    monkeypatch.setattr(extractor, "extract", None)
    job = Job(str(clips / "videos.csv"), features.folder, segments_csv=str(clips / "segments.csv"))
    assert extract.run(job).videos == features.videos
    assert shard_bytes(features.folder) == before


def test_other_labels_need_no_decoding(clips, features, tmp_path, monkeypatch):
    folder = copy(features.folder, tmp_path / "features")
    monkeypatch.setattr(extractor, "extract", None)
    (tmp_path / "videos.csv").write_text(f"{clips}/0.mov,1\n")
    extract.run(Job(str(tmp_path / "videos.csv"), folder, split="all:1"))
    assert videos(folder)["0"].labels.tolist() == [1] and len(shard_bytes(folder)) == 1


def test_a_new_video_moves_no_other(clips, features, tmp_path):
    folder = copy(features.folder, tmp_path / "features")
    write_clip(tmp_path / "new.mov", [0])
    (tmp_path / "videos.csv").write_text("".join(f"{clips}/{number}.mov,Car\n" for number in range(4)) + "new.mov,Dog\n")
    split = "train:.5,test:.5"
    extract.run(Job(str(clips), folder, split=split))
    before = shard_bytes(folder)
    result = extract.run(Job(str(tmp_path / "videos.csv"), folder, split=split))
    after = shard_bytes(folder)
    assert len(result.videos) == 5 and set(before) <= set(after) and len(set(after) - set(before)) <= 1


def test_a_changed_file_is_decoded_again(clips, features, tmp_path):
    folder = copy(features.folder, tmp_path / "features")
    path = write_clip(tmp_path / "0.mov", [0, 1, 2])
    extract.run(Job(str(path), folder))
    assert list(videos(folder)) == ["0"] and len(videos(folder)["0"].frames["rgb"]) == 3


def test_a_damaged_part_is_said_and_one_without_its_facts_is_made_again(clips, features, tmp_path):
    folder = copy(features.folder, tmp_path / "features")
    path = pathlib.Path(folder, "parts", "0.tfrecord")
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"0\.tfrecord: damaged"):
        extract.run(Job(str(clips), folder))
    path.with_suffix(".json").write_text("{")
    assert len(extract.run(Job(str(clips), folder)).videos) == 4


def test_one_bad_file_never_ends_a_run(clips, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n0.mov\n")
    names = [f"{clips}/1.mov", "bad.mp4", "list.m3u8", "none.mp4", str(tmp_path)]
    (tmp_path / "videos.csv").write_text("".join(f"{name},\n" for name in names))
    result = extract.run(Job(str(tmp_path / "videos.csv"), str(tmp_path / "features")))
    assert list(result.videos) == ["1"] and len(result.failed) == 4
    reasons = {os.path.basename(row["path"]): row["reason"] for row in rows(result.folder, "failed.csv")}
    assert "cannot be opened" in reasons["bad.mp4"] and "playlist" in reasons["list.m3u8"] and "not there" in reasons["none.mp4"]
    assert list(videos(result.folder)) == ["1"]


def test_errors_of_a_backbone_fail_a_file(clips, tmp_path, monkeypatch):
    class Broken(Probe):
        def prepare(self, frame):
            raise RuntimeError("broken\nindeed")

        def video(self, prepared):
            return np.full((len(prepared), 1), np.nan)

    monkeypatch.setattr(backbones, "build", lambda *arguments: Broken())
    result = extract.run(Job(str(clips / "0.mov"), str(tmp_path / "features")))
    assert "broken indeed" in result.failed[0][1] and not result.videos
    monkeypatch.setattr(Broken, "prepare", lambda self, frame: 0)
    assert "no finite numbers" in extract.run(Job(str(clips / "0.mov"), str(tmp_path / "features"))).failed[0][1]


def test_files_without_sound_are_left_out_where_it_is_asked_for(clips, tmp_path):
    settings = Settings(missing_audio="skip")
    result = extract.run(Job(str(clips), str(tmp_path), settings=settings))
    assert sorted(result.videos) == ["1", "2", "3"] and not result.failed and len(result.skipped) == 1


def test_ratings_behind_the_end_are_left_out_and_said(clips, tmp_path):
    (tmp_path / "segments.csv").write_text(RATINGS + "0,1,Car,1\n")
    result = extract.run(Job(str(clips), str(tmp_path / "features"), segments_csv=str(tmp_path / "segments.csv")))
    assert len(result.videos) == 4 and "1 ratings left out: that at 1 s" in result.failed[0][1]
    assert videos(result.folder)["0"].segments.start_times.tolist() == [0, 0]


def test_bad_input_leaves_nothing(clips, tmp_path):
    folder = tmp_path / "features"
    for options, words in (
        ({"vocabulary": str(tmp_path / "none.csv")}, "none.csv"),
        ({"split": "train:.5"}, "sum to 0.5"),
        ({"split": "train"}, "name:share"),
        ({"whitening": "x.npz"}, "needs none"),
    ):
        with pytest.raises(UserError, match=words):
            extract.run(Job(str(clips / "videos.csv"), str(folder), **options))
        assert not folder.exists()
    with pytest.raises(UserError, match="data patterns"):
        extract.run(Job(str(clips), str(tmp_path / "a,b")))


def test_a_folder_of_another_backbone_is_refused(clips, features, monkeypatch):
    before = sorted(os.listdir(features.folder))
    monkeypatch.setattr(backbones, "build", lambda *arguments: Probe())
    with pytest.raises(UserError, match=r"has features of .*sketch.*probe"):
        extract.run(Job(str(clips), features.folder))
    assert sorted(os.listdir(features.folder)) == before


def test_whitening_is_fitted_once(clips, tmp_path, monkeypatch):
    """With a whitening that counts how often it is fitted, and takes 3 from the values."""
    fits = []

    class Whitening:
        size = 1

        def apply(self, outputs):
            return outputs / 100 - 1

        def save(self, path):
            pathlib.Path(path).write_bytes(b"whitening")

    class FrameSample:
        def __init__(self):
            self.rows = []

        def wants(self, id_, seconds):
            return seconds % 2 == 0

        def add(self, id_, seconds, outputs):
            self.rows += outputs.ravel().tolist()

        def outputs(self):
            return np.array(self.rows)

    module = types.ModuleType("yt8m.features.whitening")
    module.fit = lambda outputs, fingerprint: fits.append(sorted(outputs.tolist())) or Whitening()
    module.load = lambda path, fingerprint: Whitening()
    module.FrameSample = FrameSample
    monkeypatch.setitem(sys.modules, "yt8m.features.whitening", module)
    monkeypatch.setattr("yt8m.features.whitening", module, raising=False)
    monkeypatch.setattr(backbones, "build", lambda *arguments: Probe())
    folder = str(tmp_path / "features")
    extract.run(Job(str(clips / "1.mov"), folder))
    assert fits == [[0, 10, 20]]
    sizes = {"rgb": 1, "audio": 1}
    expected = quantise(np.arange(0, 30, 5) / 100 - 1)[:, None]
    np.testing.assert_array_equal(videos(folder, sizes)["1"].frames["rgb"], expected)
    extract.run(Job(str(clips), folder))
    assert len(fits) == 1 and len(videos(folder, sizes)) == 4
    (tmp_path / "other.npz").write_bytes(b"another")
    with pytest.raises(UserError, match=r"other\.npz.*is another"):
        extract.run(Job(str(clips), folder, whitening=str(tmp_path / "other.npz")))


@pytest.mark.slow
def test_kill_minus_nine_between_parts_changes_nothing(clips, features, tmp_path):
    """A process that takes its time for each file is killed when it has two, and the same command goes on."""
    job = Job(str(clips / "videos.csv"), str(tmp_path / "features"), segments_csv=str(clips / "segments.csv"))
    code = (
        "import sys, time\n"
        "from yt8m.features import extract, extractor\n"
        "original = extractor.extract\n"
        "extractor.extract = lambda *arguments: time.sleep(0.5) or original(*arguments)\n"
        "extract.run(extract.Job(sys.argv[1], sys.argv[2], segments_csv=sys.argv[3]))\n"
    )
    command = [sys.executable, "-c", code, job.input_videos, job.output_dir, job.segments_csv]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    ready = tmp_path / "features" / "parts" / "1.json"
    while not ready.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not shard_bytes(job.output_dir)
    source = source_of(str(clips / "1.mov"), job.settings, backbones.build("sketch").fingerprint())
    assert parts.facts(job.output_dir, "1", source)
    extract.run(job)
    assert shard_bytes(job.output_dir) == shard_bytes(features.folder)


def test_processes_give_the_same_shards(clips, features, tmp_path):
    job = Job(str(clips / "videos.csv"), str(tmp_path), segments_csv=str(clips / "segments.csv"), num_workers=2)
    extract.run(job)
    assert shard_bytes(job.output_dir) == shard_bytes(features.folder)


def test_a_single_file_is_decoded_in_a_process_of_its_own_if_there_are_several(clips, tmp_path, monkeypatch):
    """As what is left of a run that a file has stopped before."""
    monkeypatch.setattr(extractor, "extract", None)  # of this process
    result = extract.run(Job(str(clips / "1.mov"), str(tmp_path), num_workers=2))
    assert list(result.videos) == ["1"] and not result.failed


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems have no such names")
def test_a_name_that_is_no_utf8(tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/clips/caf\xe9.mp4")).write_bytes(b"no video")
    result = yt8m.extract_features(input_videos=tmp_path / "clips", output_dir=tmp_path / "features")
    assert len(result.failed) == 1 and r"caf\udce9.mp4: cannot be opened" in capsys.readouterr().out


# ---------------------------------------------------------------- splits


def test_splits_and_shards_are_even():
    ids = [f"v{number}" for number in range(4000)]
    shares = shards.parse_split("train:.8,validate:.1,test:.1")
    splits = [shards.split_of(id_, shares) for id_ in ids]
    assert abs(splits.count("train") / 4000 - 0.8) < 0.03 and abs(splits.count("test") / 4000 - 0.1) < 0.02
    assert min(np.bincount([shards.shard_of(id_, 16) for id_ in ids])) > 180
    assert shards.split_of("v0", {"only": 1.0}) == "only"


def copy(folder, to):
    shutil.copytree(folder, to)
    return str(to)
