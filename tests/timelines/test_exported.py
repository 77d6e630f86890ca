"""Timelines of a run whose columns are not label ids, and of the SavedModels that were made of it."""

import json
import shutil

import pytest

import yt8m
from tests import commands
from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import CLASSES, build, write_run
from yt8m.errors import UserError
from yt8m.export import export, signatures
from yt8m.export import formats as exported_formats
from yt8m.timelines import models
from yt8m.timelines.models import SavedModelScorer
from yt8m.timelines.timeline import Timeline

LABEL_IDS = (5, 2, 3, 6, 0, 1, 40)
SIZES = (("rgb", "audio"), (16, 8))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The train_dir of a model with label_ids."""
    return write_run(tmp_path_factory.mktemp("runs") / "run", num_classes=50, label_ids=LABEL_IDS)


@pytest.fixture(scope="module")
def exported(run):
    """The folder of its export, both SavedModels."""
    assert commands.run("export_model", f"--train_dir={run}", "--formats=saved_model,mediapipe") is None
    return run / "export"


@pytest.fixture
def given(tmp_path):
    """Shards, the names of some classes, and what is written."""
    pattern = write_frame_shards(tmp_path, [[make_video("a", 23), make_video("b", 12)]])
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n5,Car\n2,Boat\n3,Dog\n40,Cat\n1,Column\n")
    given = {"input_data_pattern": pattern, "vocabulary": tmp_path / "vocabulary.csv", "high": 0.01, "attention": False}
    return {**given, "formats": ["json", "csv"]}


def timelines(folder, **given):
    """({video: classes} of the timelines, timelines.csv) that a command writes into a folder."""
    yt8m.timeline(**given, output_dir=folder)
    found = {path.name: Timeline.read(path).classes for path in folder.glob("*.timeline.json")}
    assert len(found) == 2
    return found, (folder / "timelines.csv").read_text()


def entries(found):
    return [entry for classes in found.values() for entry in classes]


@pytest.mark.parametrize("name", ["saved_model", "mediapipe"])
def test_a_saved_model_has_the_ids_names_and_scores_of_its_run(name, run, exported, given, tmp_path):
    ours, csv = timelines(tmp_path / "ours", train_dir=run, **given)
    assert {entry["index"] for entry in entries(ours)} == set(LABEL_IDS)
    assert {entry["name"] for entry in entries(ours) if entry["index"] in (5, 40)} == {"Car", "Cat"}
    of_model = {"saved_model": str(exported / name), "feature_sizes": [16, 8], **given}
    theirs, their_csv = timelines(tmp_path / "theirs", **of_model)
    assert [(entry["index"], entry["name"]) for entry in entries(theirs)] == [
        (entry["index"], entry["name"]) for entry in entries(ours)
    ]
    for one, other in zip(entries(ours), entries(theirs)):
        assert one["scores"] == pytest.approx(other["scores"], abs=2e-4)
    assert [line.split(",")[:3] for line in csv.splitlines()] == [line.split(",")[:3] for line in their_csv.splitlines()]


def test_thresholds_and_classes_by_label_id(run, exported, given, tmp_path):
    (tmp_path / "thresholds.csv").write_text("class,high\n40,0.02\n3,0.03\n")
    (tmp_path / "ids.csv").write_text("Index\n40\n3\n5\n")
    given |= {"thresholds_file": str(tmp_path / "thresholds.csv"), "segment_label_ids_file": str(tmp_path / "ids.csv")}
    ours, _ = timelines(tmp_path / "ours", train_dir=run, **given)
    theirs, _ = timelines(tmp_path / "theirs", saved_model=str(exported / "mediapipe"), feature_sizes=[16, 8], **given)
    told = [[(entry["index"], entry["high"], entry["name"]) for entry in entries(found)] for found in (ours, theirs)]
    assert told[0] == told[1] and set(told[0]) == {(40, 0.02, "Cat"), (3, 0.03, "Dog"), (5, 0.01, "Car")}
    for one, other in zip(entries(ours), entries(theirs)):
        assert one["scores"] == pytest.approx(other["scores"], abs=2e-4)
    with pytest.raises(UserError, match=r"--segment_label_ids_file: class 4 is none of the 7 of --saved_model="):
        SavedModelScorer(str(exported / "mediapipe"), *SIZES, label_ids=(5, 4))


def test_a_folder_that_was_moved_or_that_a_link_leads_to(exported, tmp_path):
    shutil.copytree(exported / "mediapipe", tmp_path / "alone")
    (tmp_path / "link").symlink_to(exported / "mediapipe")
    for folder in (tmp_path / "alone", tmp_path / "link", f"{exported / 'saved_model'}/"):
        assert SavedModelScorer(str(folder), *SIZES).label_ids == LABEL_IDS


def test_an_export_of_before_has_them_beside_it_only(tmp_path):
    model, config = build("MultiAttentionModel")
    exported_formats.save(model, {"serving_default": signatures.mediapipe(model, config)}, str(tmp_path / "mediapipe"))
    assert SavedModelScorer(str(tmp_path / "mediapipe"), *SIZES).label_ids == tuple(range(CLASSES))
    (tmp_path / export.REPORT).write_text(json.dumps({"label_ids": LABEL_IDS}))
    assert SavedModelScorer(str(tmp_path / "mediapipe"), *SIZES).label_ids == LABEL_IDS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"version": 1}', r"damaged \(no label_ids\)"),
        ('{"label_ids": [5, "x"]}', r"damaged \(label_ids="),
        ('{"label_ids": [5, 2, 3]}', "are not those of the 7 outputs"),
        ('{"label_ids": [5, 2, 3, 3, 0, 1, 40]}', r"\(7, 6 of them different\) are not those of the 7 outputs"),
        ('{"label_ids": [0, 1, 2, 3, 4, 5, 6]}', "are not those of the 7 outputs"),  # another model's
    ],
)
def test_a_damaged_description_is_one_line(text, words, exported, given, tmp_path):
    shutil.copytree(exported / "mediapipe", tmp_path / "mediapipe")
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(UserError, match=words) as raised:
        yt8m.timeline(saved_model=tmp_path / "mediapipe", feature_sizes=[16, 8], output_dir=tmp_path / "out", **given)
    line = str(raised.value)
    assert str(tmp_path / "export.json") in line and "\n" not in line and "Export the model again" in line
    assert not (tmp_path / "out").exists()


def test_a_description_that_cannot_be_read(exported, tmp_path):
    shutil.copytree(exported / "mediapipe", tmp_path / "mediapipe")
    (tmp_path / "export.json").mkdir()
    with pytest.raises(UserError, match=r"export\.json: cannot be read"):
        SavedModelScorer(str(tmp_path / "mediapipe"), *SIZES)


def test_the_description_is_the_exports():
    assert models._REPORT == export.REPORT
