"""The demo: clips that are always the same, and the whole path from them to records that the project's readers take."""

import csv
import functools
import os
import pathlib
import sys

import numpy as np
import pytest

import yt8m
from tests import commands
from tests.features.clips import write_clip
from yt8m.features import demo
from yt8m.features.demo import CLASSES, Scene, scenes_of
from yt8m.readers.batches import evaluation_batches
from yt8m.readers.spec import RatedSegments, WholeVideos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder that `extract_features.py --demo` fills, with four clips of 15 s, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "features"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "ensure_clips", functools.partial(demo.ensure_clips, count=4, lengths=(15, 16)))
        assert commands.run("extract_features", "--demo", f"--output_dir={folder}") is None
    return folder


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_path_from_clips_to_batches(folder):
    flags = commands.given("train", f"--flagfile={folder}/dataset.flags")
    names = {name: flags[name] for name in ("feature_names", "feature_sizes", "num_classes")}
    labels = {pathlib.Path(row["video"]).stem: row["labels"].split(";") for row in table(folder / "clips" / "videos.csv")}
    classes = [row["Name"] for row in table(folder / "vocabulary.csv")]
    seen = {}
    for pattern in (flags["train_data_pattern"], flags["eval_data_pattern"]):
        for batch in evaluation_batches(WholeVideos(pattern, **names), 8):
            assert batch["frames"].shape[1:] == (15, 1152) and set(np.asarray(batch["num_frames"])) == {15}
            for id_, row in zip(np.asarray(batch["ids"]), np.asarray(batch["labels"])):
                seen[id_.decode()] = [name for name, label in zip(classes, row) if label]
    assert seen == labels and len(labels) == 4
    (batch,) = evaluation_batches(RatedSegments(flags["eval_data_pattern"], **names), 8)
    assert len(batch["ids"]) == 3


@pytest.mark.slow
def test_a_second_run_changes_nothing(folder, capsys):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.webm")}
    shards = {path: path.read_bytes() for path in folder.glob("*.tfrecord")}
    assert commands.run("extract_features", "--demo", f"--output_dir={folder}") is None
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.webm")} == before
    assert {path: path.read_bytes() for path in folder.glob("*.tfrecord")} == shards
    printed = capsys.readouterr().out
    assert "4 of 4 files were extracted before" in printed and "stand-in" in printed
    train, timeline = printed[printed.index("Next:\n") :].splitlines()[1:]
    assert train.split()[:2] == ["python", "train.py"] and "timeline" in timeline
    arguments = [argument.replace("'", "") for argument in train.split()[2:]]
    assert commands.given("train", *arguments)["num_classes"] == len({row["Name"] for row in table(folder / "vocabulary.csv")})


@pytest.mark.parametrize("seconds", [15, 18, 25, 40])
def test_scenes_fill_a_clip(seconds):
    scenes = scenes_of(np.random.default_rng(seconds), seconds)
    assert scenes[0].start == 0 and scenes[-1].end == seconds
    assert all(scene.end - scene.start >= 5 for scene in scenes)
    assert [scene.end for scene in scenes[:-1]] == [scene.start for scene in scenes[1:]]
    assert {scene.label for scene in scenes} <= {None, *CLASSES} and scenes[1].label


def test_ratings_lie_within_scenes():
    scenes = [Scene(None, 0, 7), Scene("Rain", 7, 16), Scene(None, 16, 21)]
    ratings = [row[1:] for row in demo._ratings("x", scenes) if row[2] == "Rain"]
    assert ratings == [(0, "Rain", 0), (10, "Rain", 1)]


# ---------------------------------------------------------------- the command


def failure(*arguments):
    """The line that the command ends with."""
    line = commands.run("extract_features", *arguments)
    assert isinstance(line, str) and len(line.splitlines()) == 1
    return line


def test_bad_input_is_a_line(tmp_path):
    (tmp_path / "empty").mkdir()
    clip = write_clip(tmp_path / "clip.mov", [0])
    out = f"--output_dir={tmp_path / 'out'}"
    assert "empty" in failure(f"--input_videos={tmp_path / 'empty'}", out)
    assert "--output_dir" in failure(f"--input_videos={clip}")
    assert "--num_workers=0" in failure(f"--input_videos={clip}", "--num_workers=0", out)
    assert "--max_frames=0" in failure(f"--input_videos={clip}", "--max_frames=0", out)
    assert "--missing_audio=loud" in failure(f"--input_videos={clip}", "--missing_audio=loud", out)
    assert "--backbone=resnet" in failure(f"--input_videos={clip}", "--backbone=resnet", out)
    assert "--nodemo" in failure("--nodemo", out)
    assert "do not go together" in failure("--demo", f"--input_videos={clip}", out)
    assert "do not go together" in failure("--from_mediapipe=x.pb", f"--input_videos={clip}", out)
    assert str(clip) in failure(f"--input_videos={clip}", f"--output_dir={clip}/out")
    (tmp_path / "videos.csv").write_text("clip.mov,Car;7\n")
    assert "ids beside names" in failure(f"--input_videos={tmp_path / 'videos.csv'}", out)
    assert not (tmp_path / "out").exists()


def test_a_label_that_is_no_class_is_a_line(tmp_path):
    """Of a vocabulary that is given, and of the one that an earlier run made: its shards stay as they are."""
    write_clip(tmp_path / "clip.mov", [0])
    table, out = tmp_path / "videos.csv", tmp_path / "out"
    arguments = f"--input_videos={table}", f"--output_dir={out}"
    (tmp_path / "classes.csv").write_text("Index,Name\n0,Car\n")
    table.write_text("video,labels\nclip.mov,Cra\n")
    words = r"clip.mov: label 'Cra' is not in the vocabulary. Correct it, or add it by --extend_vocabulary."
    assert words in failure(*arguments, f"--vocabulary={tmp_path / 'classes.csv'}") and not out.exists()
    assert commands.run("extract_features", *arguments) in (0, None)
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    table.write_text("video,labels\nclip.mov,Car\n")
    assert "label 'Car' is not in the vocabulary" in failure(*arguments)
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


def test_an_empty_folder_a_playlist_and_odd_names(tmp_path, capsys):
    """What can be read is there, what cannot is in failed.csv, and the exit status says so."""
    folder = tmp_path / "clips"
    folder.mkdir()
    out = f"--output_dir={tmp_path / 'out'}"
    assert "no video or sound in this folder" in failure(f"--input_videos={folder}", out) and not (tmp_path / "out").exists()
    write_clip(folder / "a:b, c.mov", [0])
    (folder / "list.ts").write_text("#EXTM3U\n#EXTINF:5,\na:b, c.mov\n")
    assert commands.run("extract_features", f"--input_videos={folder}", out) == 1
    with open(tmp_path / "out" / "failed.csv", newline="") as file:
        assert [(row["path"], row["reason"][:13]) for row in csv.DictReader(file)] == [(f"{folder}/list.ts", "is a playlist")]
    with open(tmp_path / "out" / "videos.csv", newline="") as file:
        assert [(row["id"], row["frames"]) for row in csv.DictReader(file)] == [("a_b__c", "1")]


def test_a_file_that_failed_is_said_at_the_end(tmp_path, capsys):
    write_clip(tmp_path / "clip.mov", [0])
    (tmp_path / "bad.mp4").write_bytes(b"bad")
    assert commands.run("extract_features", f"--input_videos={tmp_path}", f"--output_dir={tmp_path / 'out'}") == 1
    printed = capsys.readouterr().out
    assert "1 failures" in printed and "bad.mp4: cannot be opened" in printed and "1 videos (1 test)" in printed


def test_without_pyav_a_line_says_what_to_install(tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "clip.mov", [0])
    monkeypatch.setitem(sys.modules, "av", None)
    assert 'pip install "yt8m[video]"' in failure(f"--input_videos={clip}", f"--output_dir={tmp_path / 'out'}")
    assert not os.path.exists(tmp_path / "out")


def test_from_python(tmp_path):
    features = yt8m.extract_features(input_videos=write_clip(tmp_path / "a b.mov", [0, 1]), output_dir=tmp_path / "out")
    assert list(features.videos) == ["a_b"] and features.videos["a_b"].frames == 2
