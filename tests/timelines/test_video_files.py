"""From a video file to a timeline: decoded, embedded and scored as the features that the model was trained on."""

import json
import os
import re

import numpy as np
import pytest

import yt8m
from tests import commands
from tests.features.clips import tone, write_clip
from tests.features.stubs import Probe
from tests.timelines.runs import write_run
from yt8m.api import training
from yt8m.errors import UserError
from yt8m.features import backbones, extract, from_files, origin
from yt8m.readers.index import open_shard
from yt8m.readers.records import decode_video
from yt8m.recipes import resolve
from yt8m.timelines import videos
from yt8m.timelines.timeline import Timeline
from yt8m.training import bundle, checkpoints

SKETCH = {"name": "sketch", "options": {}, "files": {}, "whitening": None, "flag": "sketch", "weights_dir": None}
SIZES = {"rgb": 1024, "audio": 128}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with a clip of 7 s, a sound of 6 s and a file that is neither."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "a b.mov", np.arange(35) / 5, tone(7))
    write_clip(folder / "song.wav", sound=tone(6))
    (folder / "bad.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The train_dir of a model of the sketch's features."""
    return write_run(tmp_path_factory.mktemp("run"), "LogisticModel", feature_sizes=tuple(SIZES.values()), backbone=SKETCH)


def record(folder, sizes):
    """The frames of a folder's only record, the features side by side."""
    (path,) = folder.glob("*.tfrecord")
    video = decode_video(bytes(open_shard(str(path)).record(0)), tuple(sizes), tuple(sizes.values()))
    return np.concatenate([video.frames[name] for name in sizes], axis=1)


def test_a_file_is_scored_as_its_record(clips, run, tmp_path):
    path = clips / "a b.mov"
    extract.run(extract.Job(str(path), str(tmp_path / "features")))
    model, frames = yt8m.load(run), record(tmp_path / "features", SIZES)
    np.testing.assert_array_equal(model.predict(path), model.predict(frames))
    timeline, other = (model.localize(video, stride=1, high=0.01) for video in (str(path), frames))
    assert [entry["scores"] for entry in timeline.classes] == [entry["scores"] for entry in other.classes]
    assert timeline.data["video"] == {"id": "a_b", "file": str(path), "duration": 6.84, "frames": 7}
    assert timeline.data["model"]["backbone"] == "sketch"
    assert model.localize(path, "mine").id == "mine" and model.localize(clips / "song.wav").duration == 6


def test_a_saved_page_plays_the_file(clips, run, tmp_path, monkeypatch):
    timeline = yt8m.load(run).localize(clips / "a b.mov")
    monkeypatch.chdir(tmp_path)
    assert timeline.save("out") == os.path.join("out", "a_b.html")
    relative = os.path.relpath(clips / "a b.mov", tmp_path / "out")
    assert f'src="{relative.replace(" ", "%20")}"' in (tmp_path / "out" / "a_b.html").read_text()
    assert Timeline.read(tmp_path / "out" / "a_b.timeline.json").data["video"]["file"] == relative


def test_what_is_no_video(clips, run, tmp_path):
    model = yt8m.load(run)
    for path, words in (("none.mp4", "no such file"), (clips / "bad.mp4", "cannot be opened"), (tmp_path, "is no file")):
        with pytest.raises(UserError, match=words):
            model.localize(path)


class Shades(Probe):
    """Numbers of pictures, twice, of any scale; as another network's if `name` says so."""

    name = "shades"
    SIZES = {"rgb": 2, "audio": 1}

    def video(self, prepared):
        numbers = np.array(prepared, np.float32)
        return np.stack([numbers, numbers**2], axis=1)

    def fingerprint(self):
        return {"name": self.name, "options": {}, "files": {}}


@pytest.fixture(scope="module")
def whitened(clips, tmp_path_factory):
    """(folder of features that were whitened, train_dir of a model of them) with Shades as every backbone."""
    folder = tmp_path_factory.mktemp("whitened")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "build", lambda *arguments: Shades())
        extract.run(extract.Job(str(clips / "a b.mov"), str(folder / "features"), backbone="sketch"))
    pattern = str(folder / "features" / "*.tfrecord")
    trained = origin.of_shards(pattern)
    run = write_run(folder / "run", "LogisticModel", feature_sizes=(2, 1), backbone=trained)
    from_files.keep_whitening(trained, pattern, str(run))
    return folder / "features", run


@pytest.fixture
def shades(monkeypatch):
    """Every backbone is Shades."""
    monkeypatch.setattr(backbones, "build", lambda *arguments: Shades())


def test_the_whitening_belongs_to_the_run_and_its_bundle(clips, whitened, shades, tmp_path):
    features, run = whitened
    frames = record(features, {"rgb": 2, "audio": 1})
    assert len(np.unique(frames[:, 0])) > 3
    bundle.write(str(tmp_path / "model.tgz"), str(run), checkpoints.find(str(run))[0])
    for path in (run, tmp_path / "model.tgz"):
        model = yt8m.load(path)
        np.testing.assert_array_equal(model.predict(clips / "a b.mov"), model.predict(frames))


def test_a_training_keeps_them(whitened, tmp_path):
    """From the shards' folder to model_flags.json and the run's folder."""
    features, _ = whitened
    given = commands.given("train", f"--flagfile={features}/dataset.flags", "--model=FrameLevelLogisticModel")
    given |= {"train_data_pattern": f"{features}/*.tfrecord", "train_dir": str(tmp_path), "num_classes": 3}
    config = resolve(given).model
    assert config.backbone == origin.of_shards(given["train_data_pattern"]) and config.backbone["name"] == "shades"
    training._Note(str(tmp_path), given["train_data_pattern"], config, latest=False).on_train_begin()
    assert (tmp_path / "whitening.npz").read_bytes() == (features / "whitening.npz").read_bytes()


def test_another_backbone_or_whitening_is_refused(clips, whitened, shades, monkeypatch, tmp_path):
    features, run = whitened
    path = run / origin.WHITENING
    data = path.read_bytes()
    for change, words in ((lambda: path.write_bytes(b"x"), "not the whitening"), (path.unlink, r"whitening\.npz: not there")):
        change()
        with pytest.raises(UserError, match=words):
            yt8m.load(run).localize(clips / "a b.mov")
        path.write_bytes(data)
    monkeypatch.setattr(Shades, "name", "others")
    with pytest.raises(UserError, match=r"--backbone=sketch has features of others.*was trained on shades"):
        yt8m.load(run).localize(clips / "a b.mov")
    with pytest.raises(UserError, match=r"--input_data_pattern=.*has features of shades.*was trained on sketch"):
        other = write_run(tmp_path / "run", "LogisticModel", feature_sizes=(2, 1), backbone=SKETCH)
        yt8m.timeline(train_dir=other, input_data_pattern=str(features / "*.tfrecord"), output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (None, "--weights_dir is not given"),  # YouTube-8M's own, whose files the user brings
        ({}, "features unknown.*name a --backbone"),
        ({"name": "clip", "whitening": None}, r"no backbone's of this package \(clip\)"),
        ({**SKETCH, "name": "keras_hub:x", "flag": "keras_hub:x"}, "would be downloaded"),
        ({**SKETCH, "files": {"w.h5": "00"}}, "their files differ"),
    ],
)
def test_what_made_the_features_cannot_be_had(clips, tmp_path, backbone, words):
    run = write_run(tmp_path / "run", "LogisticModel", feature_sizes=tuple(SIZES.values()), backbone=backbone)
    with pytest.raises(UserError, match=words):
        yt8m.load(run).localize(clips / "a b.mov")
    if backbone == {}:
        assert yt8m.load(run, backbone="sketch").localize(clips / "a b.mov").duration == 6.84


def test_the_sample_is_of_no_video(clips, tmp_path):
    run = write_run(tmp_path / "run", "LogisticModel", feature_sizes=tuple(SIZES.values()), sample="small")
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n0,Car\n")
    (tmp_path / "ids.csv").write_text("0\n")
    given = {"vocabulary": tmp_path / "vocabulary.csv", "segment_label_ids_file": str(tmp_path / "ids.csv")}
    with pytest.raises(UserError, match="built-in sample"):
        yt8m.load(run, **given).localize(clips / "a b.mov")
    with pytest.raises(UserError, match="built-in sample"):
        yt8m.timeline(train_dir=run, input_videos=clips, output_dir=tmp_path / "out", **given)


def test_features_that_files_do_not_give(clips, tmp_path):
    run = write_run(tmp_path / "run", "LogisticModel", feature_sizes=tuple(SIZES.values()), backbone=SKETCH)
    flags = json.loads((run / "model_flags.json").read_text())
    (run / "model_flags.json").write_text(json.dumps({**flags, "feature_names": "clip,audio"}))
    with pytest.raises(UserError, match="takes clip"):
        yt8m.load(run).localize(clips / "a b.mov")


# ---------------------------------------------------------------- the command


def test_timelines_straight_from_files(clips, run, tmp_path, capsys):
    out = tmp_path / "out"
    line = commands.run("timeline", f"--train_dir={run}", f"--input_videos={clips}", f"--output_dir={out}", "--high=0.01")
    assert re.search(r"1 files have no timeline, see .*failed\.csv, such as .*bad\.mp4: cannot be opened", line)
    assert {path.name for path in out.glob("*.html")} == {"a_b.html", "song.html", "index.html"}
    timeline = Timeline.read(out / "a_b.timeline.json")
    assert timeline.classes == yt8m.load(run).localize(clips / "a b.mov", high=0.01).classes
    assert os.path.samefile(out / timeline.data["video"]["file"], clips / "a b.mov")
    assert timeline.data["model"]["backbone"] == "sketch" and "a%20b.mov" in (out / "a_b.html").read_text()


def test_two_files_of_one_name(run, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "clips" / folder).mkdir(parents=True)
        write_clip(tmp_path / "clips" / folder / "clip.mov", np.arange(25) / 5)
    given = (f"--train_dir={run}", f"--input_videos={tmp_path / 'clips'}", f"--output_dir={tmp_path / 'out'}", "--formats=json")
    assert "Use --id_from=path" in commands.run("timeline", *given)
    assert commands.run("timeline", *given, "--id_from=path") is None
    assert len(list((tmp_path / "out").glob("clip-*.timeline.json"))) == 2

    assert commands.run("timeline", *given[:3], "--formats=fiftyone", "--id_from=path") is None
    assert len(json.loads((tmp_path / "out" / "fiftyone" / "labels.json").read_text())["labels"]) == 2


def test_a_file_whose_name_is_no_utf8(run, tmp_path):
    """videos.csv has `?` for such bytes; the page plays the file."""
    folder, name = tmp_path / os.fsdecode(b"clips \xff"), os.fsdecode(b"caf\xe9.mov")
    folder.mkdir()
    write_clip(tmp_path / "clip.mov", np.arange(25) / 5)
    (tmp_path / "clip.mov").rename(folder / name)
    (folder / "cafe.mov.txt").write_text("no video")
    out = tmp_path / "out"
    assert commands.run("timeline", f"--train_dir={run}", f"--input_videos={folder}", f"--output_dir={out}") is None
    file = Timeline.read(out / "caf_.timeline.json").data["video"]["file"]
    assert os.path.samefile(out / file, folder / name)
    assert 'src="../clips%20%FF/caf%E9.mov"' in (out / "caf_.html").read_text(encoding="utf-8")
    assert json.loads((out / "label_studio.json").read_text(encoding="utf-8"))[0]["data"]["video"] == file
    assert list(json.loads((out / "fiftyone" / "labels.json").read_text(encoding="utf-8"))["labels"]) == [name[:-4]]


def test_paths_of_a_table_with_question_marks(tmp_path):
    """Of bytes that are no UTF-8, where only one file can be meant."""
    for name in (b"a\xe9.mp4", b"b\xe9.mp4", b"b\xe8.mp4", b"c?.mp4", b"c\xe9.mp4", b"dx.mp4"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    (tmp_path / "videos.csv").write_text("id,path\n" + "".join(f"{letter},{letter}?.mp4\n" for letter in "abcd"))
    found = {id: os.path.basename(file.path) for id, file in videos.read(tmp_path / "videos.csv").items()}
    assert found == {"a": "a\udce9.mp4", "b": "b?.mp4", "c": "c?.mp4", "d": "d?.mp4"}


def test_bad_flags(clips, run, tmp_path):
    out = f"--output_dir={tmp_path / 'out'}"
    for words, *arguments in (
        ("both name the videos", f"--input_videos={clips}", "--input_data_pattern=x*"),
        ("is for --input_videos", "--backbone=sketch", "--input_data_pattern=x*"),
        ("--id_from=path is for --input_videos", "--id_from=path", "--input_data_pattern=x*"),
        ("--id_from=name: use one of stem, path", "--id_from=name", f"--input_videos={clips}"),
        ("no file gives features, such as .*bad.mp4: cannot", f"--input_videos={clips / 'bad.mp4'}"),
        ("no such folder or file", f"--input_videos={clips / 'none.mp4'}"),
    ):
        assert re.search(words, commands.run("timeline", f"--train_dir={run}", out, *arguments))


def test_every_command_refuses_features_of_another_backbone(tmp_path, shards):
    """Of shards that a features.json lies beside: what the command says before it scores anything."""
    run = write_run(tmp_path / "run", backbone=SKETCH)
    folder = tmp_path / "features"
    folder.mkdir()
    for path in sorted(os.listdir(os.path.dirname(shards))):
        os.link(os.path.join(os.path.dirname(shards), path), folder / path)
    (folder / "features.json").write_text('{"backbone": {"name": "onnx:a.onnx", "options": {}, "files": {}}, "whitening": null}')
    pattern = f"{folder}/*.tfrecord"
    for command, flag, *more in (
        ("timeline", "input_data_pattern"),
        ("inference", "input_data_pattern", "--segment_labels", f"--output_file={tmp_path / 'out.csv'}"),
        ("eval", "eval_data_pattern", "--segment_labels", "--run_once"),
    ):
        line = commands.run(command, f"--train_dir={run}", f"--{flag}={pattern}", *more)
        assert re.search(rf"--{flag}=.* has features of onnx:a.onnx, and .* was trained on sketch\. Make", line)
    assert not (tmp_path / "out.csv").exists() and not (run / "timelines").exists()
    line = commands.run("train", "--model=FrameLevelLogisticModel", f"--train_data_pattern={pattern}", f"--train_dir={run}")
    assert "MultiAttentionModel" in line or "was trained on sketch" in line
