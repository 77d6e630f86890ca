"""A trained model from Python, and the README's snippet as it stands there."""

import re

import numpy as np
import pytest

import yt8m
from tests.commands import ROOT
from tests.timelines.runs import CLASSES, write_run
from yt8m.recipes import sources
from yt8m.training import bundle, checkpoints

FRAMES = np.random.default_rng(7).integers(0, 256, (23, 24)).astype("uint8")


def test_frames_in_probabilities_and_timelines_out(run, tmp_path):
    model = yt8m.load(run)
    assert model.label_ids == tuple(range(CLASSES)) and model.vocabulary[3] == "label 3" and "MultiAttention" in repr(model)
    scores = model.predict(FRAMES)
    assert scores.shape == (5, CLASSES) and model.predict(FRAMES, stride=1).shape == (23, CLASSES)
    timeline = model.localize(FRAMES, "mine", high=0.01, top_classes=3)
    assert isinstance(timeline, yt8m.Timeline) and timeline.id == "mine"
    peaks = {label: round(float(peak), 4) for label, peak in enumerate(scores.max(axis=0))}
    assert [(entry["index"], entry["peak"]) for entry in timeline.classes] == sorted(peaks.items(), key=lambda p: -p[1])[:3]
    assert "attention" in timeline.classes[0] and "<table" in timeline._repr_html_()


def test_a_bundle_is_the_same_model(run, tmp_path):
    path = tmp_path / "model.tgz"
    bundle.write(str(path), str(run), checkpoints.find(str(run))[0])
    np.testing.assert_array_equal(yt8m.load(path).predict(FRAMES), yt8m.load(run).predict(FRAMES))


def test_its_classes_and_their_names(run, tmp_path):
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n1,Car\n2,\n")
    (tmp_path / "ids.csv").write_text("2\n1\n")
    model = yt8m.load(run, vocabulary=tmp_path / "vocabulary.csv", segment_label_ids_file=str(tmp_path / "ids.csv"))
    assert model.vocabulary == {2: "label 2", 1: "Car"} and model.predict(FRAMES).shape == (5, 2)


@pytest.mark.parametrize("frames", [FRAMES.astype("float32"), FRAMES[:, :9], FRAMES[0], FRAMES[:0]])
def test_other_frames_are_refused(run, frames):
    with pytest.raises(yt8m.UserError, match=r"expected.*uint8"):
        yt8m.load(run).predict(frames)


def test_bad_arguments(run, tmp_path):
    with pytest.raises(yt8m.UserError, match="Use some of stride"):
        yt8m.load(run).localize(FRAMES, heigh=0.3)
    with pytest.raises(yt8m.UserError, match="none"):
        yt8m.load(tmp_path / "none")


def test_it_exports_itself(run, monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr("yt8m.api.exporting.export_model", lambda **given: seen.update(given) or "written")
    assert yt8m.load(run).export(tmp_path, formats=["saved_model"]) == "written"
    assert seen["train_dir"] == str(run) and seen["formats"] == ["saved_model"] and seen["checkpoint"].startswith(str(run))


def test_the_snippet_of_the_readme(tmp_path, monkeypatch):
    """It takes the latest run, which here is a small one of YouTube-8M's features."""
    monkeypatch.setenv("YT8M_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run", feature_sizes=(1024, 128))
    sources.note_latest(str(run))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "yt8m.load(" in block)
    exec(compile(code, "README.md", "exec"), {})
    assert sorted(path.suffix for path in (tmp_path / "timelines").iterdir()) == [".html", ".json", ".vtt", ".vtt"]
