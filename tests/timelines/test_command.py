"""yt8m timeline end to end on a small run: every file, and bad input."""

import csv
import json
import pathlib
import re
import shutil
import types

import numpy as np
import pytest

import yt8m
from tests import commands
from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import write_run
from yt8m.api import timelines
from yt8m.timelines import thresholds
from yt8m.timelines.timeline import Timeline
from yt8m.training import bundle, checkpoints

SIZES = "--feature_sizes=16,8"


def read(path):
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(run, shards, tmp_path_factory):
    """The folder that the command wrote, with a threshold that every class reaches."""
    folder = tmp_path_factory.mktemp("out") / "timelines"
    arguments = (
        f"--train_dir={run}",
        f"--input_data_pattern={shards}",
        f"--output_dir={folder}",
        "--high=0.01",
        "--top_classes=2",
    )
    assert commands.run("timeline", *arguments) is None
    return folder


def test_all_files_are_there(written):
    names = {path.name for path in written.rglob("*") if path.is_file()}
    stems = {"v0", "-v1", "v3", "v4"} | {next(name for name in names if name.startswith("v_2-")).partition(".")[0]}
    of_videos = {f"{stem}.{end}" for stem in stems for end in ("timeline.json", "html", "chapters.vtt", "classes.vtt")}
    of_all = {"timelines.csv", "index.html", "activitynet.json", "labels.json", "label_studio.json"}
    assert names == of_videos | of_all
    rows = list(csv.DictReader(read(written / "timelines.csv").splitlines()))
    assert {row["video"] for row in rows} == {"v0", "'-v1", "v/2", "v3", "v4"}
    assert len(json.loads(read(written / "fiftyone" / "labels.json"))["labels"]) == 5
    assert read(written / "index.html").count("<tr>") == 6


def test_a_timeline_is_what_the_model_says(written, run, shards):
    timeline = Timeline.read(written / "v0.timeline.json")
    assert timeline.data["model"]["name"] == "MultiAttentionModel" and timeline.data["model"]["train_dir"] == str(run)
    assert timeline.duration == 23 and [len(entry["scores"]) for entry in timeline.classes] == [5, 5]
    assert [len(entry["attention"]) for entry in timeline.classes] == [23, 23]
    assert max(timeline.classes[0]["attention"]) == 1
    video = make_video("v0", 23)
    model = yt8m.load(run)
    scores = model.predict(np.concatenate([video.frames["rgb"], video.frames["audio"]], axis=1))
    for entry in timeline.classes:
        np.testing.assert_allclose(entry["scores"], scores[:, entry["index"]], atol=1e-4)
    assert Timeline.read(next(written.glob("v_2-*.json"))).duration == 61  # longer than the model's max_frames


def test_again_the_same_bytes(written, run, shards, tmp_path):
    given = {"train_dir": run, "input_data_pattern": shards, "high": 0.01, "top_classes": 2}
    assert yt8m.timeline(**given, output_dir=tmp_path / "again", batch_size=2) == str(tmp_path / "again")
    for path in written.rglob("*.*"):
        assert (tmp_path / "again" / path.relative_to(written)).read_bytes() == path.read_bytes()


def test_a_model_of_each_fold(run, shards, tmp_path):
    """A run of --all_folds counts as its folds with commas; the timelines go to its own folder."""
    for fold in range(2):
        shutil.copytree(run, tmp_path / "bag" / f"fold_{fold}")
    given = {"input_data_pattern": shards, "max_videos": 1, "formats": "json"}
    folder = yt8m.timeline(train_dir=tmp_path / "bag", **given)
    assert folder.startswith(f"{tmp_path / 'bag'}/") and "fold_" not in folder
    named = f"{tmp_path / 'bag' / 'fold_0'},{tmp_path / 'bag' / 'fold_1'}"
    yt8m.timeline(train_dir=named, output_dir=tmp_path / "named", **given)
    (written,) = pathlib.Path(folder).glob("*.timeline.json")
    assert written.read_bytes() == (tmp_path / "named" / written.name).read_bytes()


def test_some_videos_and_some_formats(run, shards, tmp_path):
    given = {"train_dir": run, "input_data_pattern": shards, "stride": 1, "attention": False}
    yt8m.timeline(**given, output_dir=tmp_path / "some", formats=["json", "csv"], video_ids=["v4", "v3"])
    assert {path.name for path in (tmp_path / "some").iterdir()} == {"v3.timeline.json", "v4.timeline.json", "timelines.csv"}
    data = Timeline.read(tmp_path / "some" / "v4.timeline.json").data
    assert data["settings"]["stride"] == 1 and len(data["classes"][0]["scores"]) == 30 and "attention" not in data["classes"][0]
    yt8m.timeline(**given, output_dir=tmp_path / "first", formats="json", max_videos=2)
    assert len(list((tmp_path / "first").iterdir())) == 2


def test_names_files_and_durations(run, shards, tmp_path):
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n" + "".join(f"{label},Thing {label}\n" for label in range(6)) + "6,\n")
    (tmp_path / "clip é.mp4").write_bytes(b"not really")
    (tmp_path / "videos.csv").write_text("id,path,duration,frames\nv0,clip é.mp4,22.4,23\nv4,gone.mp4,,30\n", encoding="utf-8")
    given = {"train_dir": run, "input_data_pattern": shards, "vocabulary": tmp_path / "vocabulary.csv", "high": 0.01}
    given |= {"videos_csv": tmp_path / "videos.csv", "video_ids": "v0,v4", "output_dir": tmp_path / "out"}
    yt8m.timeline(**given)
    timeline = Timeline.read(tmp_path / "out" / "v0.timeline.json")
    assert timeline.duration == 22.4 and timeline.data["video"]["file"] == "../clip é.mp4"
    assert all(re.fullmatch("Thing [0-5]|label 6", entry["name"]) for entry in timeline.classes)
    assert 'src="../clip%20%C3%A9.mp4"' in read(tmp_path / "out" / "v0.html")
    assert "<video" in read(tmp_path / "out" / "v4.html") and " src=" not in read(tmp_path / "out" / "v4.html")
    yt8m.timeline(**given, embed=True)
    assert 'src="data:video/mp4;base64,bm90IHJlYWxseQ=="' in read(tmp_path / "out" / "v0.html")


def test_pages_in_a_folder_that_a_link_leads_to(run, shards, tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    (tmp_path / "clip.mp4").write_bytes(b"not really")
    (tmp_path / "videos.csv").write_text("id,path\nv0,clip.mp4\n")
    given = {"train_dir": run, "input_data_pattern": shards, "videos_csv": tmp_path / "videos.csv", "video_ids": "v0"}
    for embed, source in ((False, "../../clip.mp4"), (True, "data:video/mp4;base64,bm90IHJlYWxseQ==")):
        yt8m.timeline(**given, output_dir=tmp_path / "link" / "out", formats="html", embed=embed)
        assert f'src="{source}"' in read(tmp_path / "link" / "out" / "v0.html")


def test_what_the_extractor_leaves_beside_the_shards(tmp_path):
    run = write_run(tmp_path / "run", backbone={"name": "sketch"})
    pattern = write_frame_shards(tmp_path, [[make_video("v0", 12)]])
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n" + "".join(f"{label},Own {label}\n" for label in range(7)))
    (tmp_path / "features.json").write_text('{"backbone": {"name": "sketch", "options": {}, "files": {}}}')
    (tmp_path / "videos.csv").write_text("id,path,duration\nv0,/clips/v0.mp4,11.5\n")
    yt8m.timeline(train_dir=run, input_data_pattern=pattern, output_dir=tmp_path / "out", formats="json")
    data = Timeline.read(tmp_path / "out" / "v0.timeline.json").data
    assert data["model"]["backbone"] == "sketch" and data["classes"][0]["name"].startswith("Own ")
    assert data["video"]["duration"] == 11.5 and data["video"]["file"].endswith("clips/v0.mp4")


def test_thresholds_from_eval(run, shards, tmp_path, capsys):
    file = tmp_path / "thresholds.csv"
    rated = write_frame_shards(
        tmp_path, [[make_video(f"r{i}", 20, ratings=[(5 * (i % 4), 3, i % 2), (0, 5, 0.0)]) for i in range(8)]]
    )
    arguments = (f"--train_dir={run}", f"--eval_data_pattern={rated}", "--run_once", f"--thresholds_output={file}")
    assert commands.run("eval", "--segment_labels", *arguments) is None
    assert "thresholds of 1 classes" in capsys.readouterr().out
    (label,) = highs = thresholds.read(file)
    assert label == 3 and read(file).splitlines()[0] == "class,high,f1,positives,rated"
    given = {"train_dir": run, "input_data_pattern": shards, "thresholds_file": file, "formats": "json", "high": 0.999}
    yt8m.timeline(**given, output_dir=tmp_path / "out")
    entries = [entry for path in (tmp_path / "out").iterdir() for entry in Timeline.read(path).classes]
    there = [entry for entry in entries if not entry["below_threshold"]]
    assert {entry["high"] for entry in there if entry["index"] == 3} <= {round(highs[3], 4)}
    assert "--segment_labels" in commands.run("eval", *arguments)


def test_a_bundle_and_the_builtin_sample(run, shards, tmp_path, monkeypatch):
    """Bare, the sample's test videos by the latest run; here the sample is a small one."""
    bundle.write(str(tmp_path / "model.tgz"), str(run), checkpoints.find(str(run))[0])
    monkeypatch.chdir(tmp_path)
    flags = ("--input_model_tgz=model.tgz", f"--input_data_pattern={shards}", "--formats=json", "--max_videos=1")
    assert commands.run("timeline", *flags) is None
    assert len(list((tmp_path / "timelines").iterdir())) == 1
    sampled = write_run(tmp_path / "sampled", "LogisticModel", sample="small")
    vocabulary = tmp_path / "vocabulary.csv"
    vocabulary.write_text("Index,Name\n" + "".join(f"{label},Class {label}\n" for label in range(7)))
    ids = tmp_path / "ids.csv"
    ids.write_text("Index\n1\n2\n")
    sample = types.SimpleNamespace(test_pattern=shards, vocabulary_file=vocabulary, segment_label_ids_file=ids)
    for module in ("yt8m.training.restore", "yt8m.scoring.classes"):
        monkeypatch.setattr(f"{module}.sample_of", lambda config: sample)
    monkeypatch.setattr(timelines.sources, "folder_of_run", lambda given: str(sampled))
    assert commands.run("timeline", "--formats=json") is None
    assert {entry["name"] for entry in Timeline.read(sampled / "timelines" / "v0.timeline.json").classes} <= {
        "Class 1",
        "Class 2",
    }


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--stride=2",), "--stride=2: use 5 or 1"),
        (("--low=0.9",), "--low=0.9"),
        (("--formats=json,pdf",), "pdf: unknown. Use some of json"),
        (("--video_ids=nobody",), "--video_ids=nobody: no such video"),
        (("--saved_model=x",), "both name a model"),
        (("--vocabulary=none.csv",), "none.csv"),
        (("--thresholds_file=none.csv",), "--thresholds_file=none.csv: cannot be read"),
        (("--videos_csv=none.csv",), "--videos_csv=none.csv: cannot be read"),
        (("--max_videos=0",), "--max_videos=0: must be above 0"),
        (("--input_data_pattern=none*",), "none*"),
        (("--train_dir=none",), "none"),
        (("--segment_labels",), "segment_labels"),
    ],
)
def test_bad_input_is_one_line(arguments, words, run, shards, tmp_path):
    given = [f"--train_dir={run}", f"--input_data_pattern={shards}", f"--output_dir={tmp_path / 'out'}", *arguments]
    line = commands.run("timeline", *given)
    assert isinstance(line, str) and words in line and "\n" not in line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("score", [0.0, 1.0, 0.3, 0.1234567, 0.99999999, 1e-6, 8.76543219e-8, np.float32(3e-30)])
def test_a_threshold_is_written_with_six_digits_and_not_above_the_score(score, tmp_path):
    thresholds.write(tmp_path / "thresholds.csv", (7,), [0, 0], [score, score / 2], [1, 0])
    high = thresholds.read(tmp_path / "thresholds.csv")[7]
    assert high <= score < high * (1 + 1.1e-5) or high == score == 0


def test_files_that_are_no_such_files(tmp_path):
    for text in ("class,high\n3,2\n", "class\n3\n", "class,high\nx,0.5\n"):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(yt8m.UserError, match=r"bad\.csv: not lines of class,high"):
            thresholds.read(tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_text("id,duration\na,x\n")
    with pytest.raises(yt8m.UserError, match=r"bad\.csv: not a CSV with"):
        timelines.videos.read(tmp_path / "bad.csv")


def test_an_id_twice_and_a_folder_that_cannot_be_written(run, tmp_path, capsys):
    pattern = write_frame_shards(tmp_path, [[make_video("same", 12), make_video("same", 9, seed=2)]])
    given = {"train_dir": run, "input_data_pattern": pattern, "formats": "json"}
    yt8m.timeline(**given, output_dir=tmp_path / "out")
    assert Timeline.read(tmp_path / "out" / "same.timeline.json").duration == 12
    assert "1 videos have the id of an earlier one: left out" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    with pytest.raises(yt8m.UserError, match="cannot be written"):
        yt8m.timeline(**given, output_dir=tmp_path / "file" / "out")
