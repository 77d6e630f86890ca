"""The JSON form and what is made of it."""

import csv
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.commands import ROOT
from tests.timelines import cases
from yt8m.errors import UserError
from yt8m.timelines import formats, page
from yt8m.timelines.timeline import Settings, Timeline


@pytest.fixture
def nasty():
    """A timeline whose video and class have names that would break every format."""
    return cases.timeline({4: [0.9, 0.9, 0.1, 0.8]}, cases.NASTY, {4: cases.NASTY}, file="../a b#?.mp4")


def test_the_form():
    data = cases.typical().data
    assert [entry["name"] for entry in data["classes"]] == ["Car", "Boat"]
    assert data["classes"][0]["segments"] == [
        {"start": 0.0, "end": 10.0, "score": 0.85, "peak": 0.9},
        {"start": 30.0, "end": 35.0, "score": 0.7, "peak": 0.7},
    ]
    assert data["classes"][1]["scores"][:3] == [0.1, 0.6, 0.6] and not data["classes"][0]["below_threshold"]
    assert data["settings"] == {"window": 5, "stride": 5, "high": 0.5, "low": 0.35, "merge_gap": 5.0, "min_length": 5.0}


def test_the_schema_is_kept(nasty):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "timeline.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    looked = cases.typical(attention=lambda columns: [[0.5] * 59 + [1.0]] * len(columns))
    for timeline in (cases.typical(), nasty, looked, cases.timeline({1: []}), cases.timeline({1: [0.3] * 9}, stride=1)):
        validator.validate(json.loads(timeline.to_json()))
    broken = json.loads(nasty.to_json())
    broken["classes"][0]["segments"][0]["start"] = -1
    assert not validator.is_valid(broken)


def test_classes_below_their_thresholds():
    below = cases.timeline({1: [0.1, 0.2], 2: [0.4, 0.3], 3: [0.3, 0.1], 4: [0.05, 0.0]})
    assert [(entry["index"], entry["below_threshold"]) for entry in below.classes] == [(2, True), (3, True), (1, True)]
    assert not any(entry["segments"] for entry in below.classes)
    own = cases.timeline({1: [0.1, 0.2], 2: [0.4, 0.3]}, thresholds={2: 0.35})
    assert [(entry["index"], entry["high"]) for entry in own.classes] == [(2, 0.35)]
    assert own.classes[0]["segments"] == [{"start": 0.0, "end": 10.0, "score": 0.35, "peak": 0.4}]  # low is .7 of .35
    many = cases.timeline({label: [0.5 + label / 100] for label in range(20)}, top_classes=4)
    assert [entry["index"] for entry in many.classes] == [19, 18, 17, 16] and many.classes[0]["name"] == "label 19"


@pytest.mark.parametrize(
    "settings",
    [{"stride": 2}, {"high": 1.5}, {"low": 0.6}, {"low": -0.1}, {"merge_gap": -1}, {"min_length": -1}, {"top_classes": 0}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(UserError, match=f"--{next(iter(settings))}="):
        Settings(**settings)


def test_json_and_back(tmp_path):
    timeline = cases.typical()
    page_path = timeline.save(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "abc.chapters.vtt", "abc.classes.vtt", "abc.html", "abc.timeline.json",
    ]  # fmt: skip
    assert page_path.endswith("abc.html")
    assert Timeline.read(tmp_path / "out" / "abc.timeline.json").data == timeline.data
    assert repr(timeline) == "Timeline('abc', 60 s: Car, Boat)"
    (tmp_path / "bad.json").write_text('{"format": "other"}')
    for path in ("bad.json", "none.json"):
        with pytest.raises(UserError, match=path):
            Timeline.read(tmp_path / path)
    with pytest.raises(UserError, match="not a timeline"):
        Timeline({})


def test_the_page_plays_a_file_from_a_folder_that_a_link_leads_to(tmp_path):
    """Its path goes up in the text, as a browser goes, not in the folder that the link leads to."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    (tmp_path / "clip.mp4").write_bytes(b"not really")
    path = cases.typical(file=str(tmp_path / "clip.mp4")).save(tmp_path / "link" / "out")
    assert 'src="../../clip.mp4"' in pathlib.Path(path).read_text(encoding="utf-8")


def test_a_file_whose_name_is_no_utf8(tmp_path):
    """Readable names stay as they are; other bytes come back from the JSON, and the page finds the file."""
    for name in (b"caf\xe9 \xc3\xbc.mp4", "é日本.mp4".encode()):
        file = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        pathlib.Path(file).write_bytes(b"not really")
        path = cases.typical(file=file).save(tmp_path / "out")
        assert f'src="../{urllib.parse.quote(name)}"' in pathlib.Path(path).read_text(encoding="utf-8")
        text = (tmp_path / "out" / "abc.timeline.json").read_bytes().decode("utf-8")
        for data in (json.loads(text), Timeline.read(tmp_path / "out" / "abc.timeline.json").data):
            assert data["video"]["file"] == os.path.join("..", os.fsdecode(name))
    assert "é日本.mp4" in text


def test_an_id_and_a_class_whose_name_is_no_utf8(tmp_path):
    timeline = cases.timeline({4: [0.9]}, "x\udcff", {4: "y\udcfe"})
    timeline.save(tmp_path)
    (path,) = tmp_path.glob("*.json")
    assert Timeline.read(path).data == timeline.data
    for text in (timeline.to_csv(), timeline.to_vtt(), timeline.to_html(), timeline._repr_html_()):
        assert "y\ufffd" in text and text.encode()


def test_a_timeline_needs_no_tensorflow():
    code = "import sys, yt8m; yt8m.Timeline; print({'tensorflow', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "set()\n"


def test_csv(nasty):
    rows = list(csv.DictReader(io.StringIO(cases.typical().to_csv())))
    assert len(rows) == 4 and rows[0] == {
        "video": "abc", "class": "7", "name": "Car", "start": "0.000", "end": "10.000", "score": "0.8500", "peak": "0.9000",
    }  # fmt: skip
    for row in csv.DictReader(io.StringIO(nasty.to_csv())):
        assert row["video"] == f"'{cases.NASTY}" and row["name"].startswith("'=1+1")  # no spreadsheet runs it
    for sign in "=+-@":
        assert f"'{sign}x" in cases.timeline({1: [0.9]}, f"{sign}x").to_csv()


def cues(text):
    """(start, end, payload) of each cue; checks the form that WebVTT wants."""
    assert text.startswith("WEBVTT\n\n")
    found = []
    for block in filter(None, text[len("WEBVTT\n\n") :].split("\n\n")):
        times, payload = block.split("\n")
        start, end = re.fullmatch(r"(\d\d:\d\d:\d\d\.\d{3}) --> (\d\d:\d\d:\d\d\.\d{3})", times).groups()
        assert start < end and "-->" not in payload
        found.append((start, end, payload))
    return found


def test_vtt(nasty):
    assert cues(cases.typical().to_vtt()) == [
        ("00:00:00.000", "00:00:10.000", "Car"),
        ("00:00:10.000", "00:00:20.000", "Boat"),
        ("00:00:30.000", "00:00:35.000", "Car"),
        ("00:00:55.000", "00:01:00.000", "Boat"),
    ]
    payloads = [json.loads(payload) for _, _, payload in cues(cases.typical().to_vtt("classes"))]
    assert [(payload["class"], payload["name"]) for payload in payloads] == [(7, "Car"), (3, "Boat"), (7, "Car"), (3, "Boat")]
    assert all("<" not in payload and "&lt;/script&gt;" in payload for _, _, payload in cues(nasty.to_vtt()))
    assert json.loads(cues(nasty.to_vtt("classes"))[0][2])["name"] == nasty.classes[0]["name"]
    hours = cases.timeline({1: [0.0] * 800 + [0.9] * 20})
    assert cues(hours.to_vtt()) == [("01:06:40.000", "01:08:20.000", "label 1")]
    with pytest.raises(UserError, match="chapters"):
        hours.to_vtt("srt")


def plain_chapters(data):
    """What chapters are, word for word: at each score's time the class with the highest one of those that are there."""
    stride, found = data["settings"]["stride"], []
    for step in range(-(-data["video"]["frames"] // stride)):
        there = [
            (-entry["scores"][step], number)
            for number, entry in enumerate(data["classes"])
            if any(part["start"] <= step * stride < part["end"] for part in entry["segments"])
        ]
        name = data["classes"][min(there)[1]]["name"] if there else None
        if found and found[-1][2] == name:
            found[-1][1] = (step + 1) * stride
        else:
            found.append([step * stride, (step + 1) * stride, name])
    clock = formats._clock
    return [(clock(start), clock(min(end, data["video"]["duration"])), name) for start, end, name in found if name]


@pytest.mark.parametrize("stride", [1, 5])
def test_chapters_are_the_best_class_at_each_moment(stride):
    rng = np.random.default_rng(stride)
    found = 0
    for _ in range(50):
        scores = {label: (rng.integers(0, 5, rng.integers(1, 60)) / 4).tolist() for label in range(1)}
        scores |= {label: (rng.integers(0, 5, len(scores[0])) / 4).tolist() for label in range(1, 6)}
        timeline = cases.timeline(scores, stride=stride, merge_gap=float(rng.integers(0, 9)), min_length=0.0)
        assert cues(timeline.to_vtt()) == plain_chapters(timeline.data)
        found += len(plain_chapters(timeline.data))
    assert found > 200


def test_chapters_of_ten_hours_take_no_time():
    scores = {label: [float(second // 20 % 10 in (label, 9 - label)) for second in range(36_000)] for label in range(10)}
    timeline = cases.timeline(scores, stride=1, min_length=0.0)
    start = time.process_time()
    assert len(cues(timeline.to_vtt())) > 1000
    assert time.process_time() - start < 5


def test_activitynet():
    result = formats.activitynet([cases.typical().data, cases.timeline({1: [0.1]}, "none").data])
    assert set(result) == {"version", "results", "external_data"} and result["version"] == "VERSION 1.3"
    assert result["results"]["abc"][1] == {"label": "Car", "score": 0.7, "segment": [30.0, 35.0]}
    assert result["results"]["none"] == []


def test_fiftyone():
    result = formats.fiftyone([cases.typical(file="../clips/my clip.mp4").data])
    assert result["classes"] == ["Boat", "Car"]
    assert result["labels"]["my clip"][0] == {"label": "Car", "timestamps": [0.0, 10.0], "confidence": 0.85}


def test_fiftyone_of_files_with_one_name():
    """Stems that are no video's alone give way to ids, which are."""
    files = {"clip-1": "a/clip.mp4", "clip-2": "b/clip.mp4", "b": "x/alone.mp4", "none": None, "c": "y/none.mp4"}
    data = [cases.typical(video_id=id, file=file).data for id, file in files.items()]
    result = formats.fiftyone(data)
    assert set(result["labels"]) == {"clip-1", "clip-2", "alone", "none", "c"}
    assert all(len(segments) == 4 for segments in result["labels"].values())


def test_label_studio():
    (task,) = formats.label_studio([cases.typical().data], frame_rate=25)
    (prediction,) = task["predictions"]
    part = prediction["result"][1]
    assert task["data"] == {"video": "abc"} and prediction["model_version"] == "Model step 3"
    assert part["value"] == {"ranges": [{"start": 751, "end": 875}], "timelinelabels": ["Car"]}  # frames from 1
    assert (part["type"], part["from_name"], part["to_name"]) == ("timelinelabels", "timelineLabels", "video")
    assert len({part["id"] for part in prediction["result"]}) == 4


def schema(**properties):
    """Of an object with these properties and no others."""
    return {"type": "object", "required": list(properties), "additionalProperties": False, "properties": properties}


TEXT, NUMBER, SCORE = {"type": "string", "minLength": 1}, {"type": "number", "minimum": 0}, {"type": "number", "maximum": 1}
PAIR = {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}
FRAME = {"type": "integer", "minimum": 1}


def lists(**properties):
    return {"type": "array", "items": schema(**properties)}


# What their readers ask for: ActivityNet's eval_detection.py, FiftyOne 1.22's FiftyOneTemporalDetectionDatasetImporter, and the
# TimelineLabels of label_studio_sdk 2.1.
SCHEMAS = {
    "activitynet": schema(
        version=TEXT,
        results={"type": "object", "additionalProperties": lists(label=TEXT, score=SCORE, segment=PAIR)},
        external_data=schema(used={"type": "boolean"}, details=TEXT),
    ),
    "fiftyone": schema(
        classes={"type": "array", "items": TEXT, "uniqueItems": True},
        labels={"type": "object", "additionalProperties": lists(label=TEXT, timestamps=PAIR, confidence=SCORE)},
    ),
    "label_studio": lists(
        data=schema(video=TEXT),
        predictions=lists(
            model_version=TEXT,
            result=lists(
                id=TEXT,
                from_name={"const": "timelineLabels"},
                to_name={"const": "video"},
                type={"const": "timelinelabels"},
                score=SCORE,
                value=schema(
                    ranges=lists(start=FRAME, end=FRAME) | {"minItems": 1},
                    timelinelabels={"type": "array", "items": TEXT, "minItems": 1, "maxItems": 1},
                ),
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_the_tools_read(name, nasty):
    """A video with intervals, one without, one of a single frame."""
    jsonschema = pytest.importorskip("jsonschema")
    data = [cases.typical().data, nasty.data, cases.timeline({1: [0.1]}, "none").data, cases.timeline({1: [0.9]}, "s").data]
    result = json.loads(json.dumps(getattr(formats, name)(data)))
    jsonschema.validate(result, SCHEMAS[name])
    found = re.findall(r'"(?:segment|timestamps)": \[([0-9.]+), ([0-9.]+)\]|"start": (\d+), "end": (\d+)', json.dumps(result))
    times = [[float(time) for time in match if time] for match in found]
    assert len(times) > 4 and all(start < end for start, end in times)


def test_file_names():
    assert formats.file_stem("dQw4_-9xQ") == "dQw4_-9xQ"
    stems = [formats.file_stem(name) for name in ("a/../b", "a_.._b", "index", "", "ü" * 100, cases.NASTY, "x" * 65)]
    assert len(set(stems)) == 7 and all(re.fullmatch(r"[A-Za-z0-9_-]{9,64}", stem) for stem in stems)


class Parsed(HTMLParser):
    """What a browser would see: the elements, the text, and what is in scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.scripts, self._in = [], "", [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._in = tag

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in == "script":
            self.scripts.append(data)
        elif self._in != "style":
            self.text += data


def test_the_page_holds_data_as_text_only(nasty):
    for text in (nasty.to_html(), page.index_page([(cases.NASTY, "x-1.html", 20, [cases.NASTY])]), nasty._repr_html_()):
        parsed, plain = Parsed(text), cases.NASTY.replace("\u2028", " ")
        assert plain.split("\u2028")[0][:80] in parsed.text
        assert not any(name.startswith("on") for _, attributes in parsed.elements for name in attributes)
        assert not any(tag == "img" for tag, _ in parsed.elements)
        assert len(parsed.scripts) == (2 if "application/json" in text else 0)
    data = json.loads(Parsed(nasty.to_html()).scripts[0])
    assert data["classes"][0]["name"] == nasty.classes[0]["name"]


def test_the_page_asks_nothing_of_the_network():
    text = cases.typical().to_html("a%20b.mp4")
    parsed = Parsed(text)
    policy = next(attributes["content"] for tag, attributes in parsed.elements if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert [value for _, attributes in parsed.elements for name, value in attributes.items() if name in ("src", "href")] == [
        "a%20b.mp4"
    ]
    assert text.count("<tr>") == 5  # without JavaScript: a head and four intervals


def test_a_page_stays_small():
    """An hour, a score and a look each second, ten classes that come and go."""
    scores = {label: [0.9 if second // 20 % 2 else 0.123 for second in range(3600)] for label in range(10)}
    text = cases.timeline(scores, stride=1, attention=lambda columns: [[0.1234] * 3600] * len(columns)).to_html()
    assert len(text.encode()) < 300_000


def test_a_notebook_shows_it(nasty):
    text = cases.typical()._repr_html_()
    assert text.count("<svg") == 2 and "0:30 to 0:35" in text and "<script" not in text
    assert "below its threshold" in cases.timeline({1: [0.1]})._repr_html_()
