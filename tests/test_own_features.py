"""docs/own_features.md runs as it stands."""

import csv
import json
import pathlib
import re

import pytest

DOC = pathlib.Path(__file__).parent.parent / "docs" / "own_features.md"
WHOLE, TINY = "120, 40, 512, 200", "30, 20, 512, 2"


@pytest.mark.slow
def test_the_example(tmp_path, monkeypatch):
    example = re.search(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert example.count(WHOLE) == 1
    monkeypatch.chdir(tmp_path)
    exec(compile(example.replace(WHOLE, TINY), DOC.name, "exec"), {})
    with open(tmp_path / "features" / "classes.csv", newline="") as file:
        assert [line["Name"] for line in csv.DictReader(file)] == ["cat", "dog", "guitar"]
    with open(tmp_path / "features" / "model" / "predictions.names.csv", newline="") as file:
        assert {line["Name"] for line in csv.DictReader(file)} == {"cat", "dog", "guitar"}
    timelines = [json.loads(path.read_text()) for path in (tmp_path / "timelines").glob("*.timeline.json")]
    assert timelines and (tmp_path / "timelines" / "index.html").exists()
    assert {shown["name"] for timeline in timelines for shown in timeline["classes"]} <= {"cat", "dog", "guitar"}
    assert (tmp_path / "features" / "whitening-clip.npz").exists()
    backbone = json.loads((tmp_path / "features" / "model" / "model_flags.json").read_text())["backbone"]
    assert backbone["name"] == "arrays" and re.fullmatch("clip=[0-9a-f]{64}", backbone["whitening"])
    assert {timeline["model"]["backbone"] for timeline in timelines} == {"arrays"}
