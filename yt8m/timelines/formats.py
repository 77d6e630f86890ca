"""A timeline as other tools want it: CSV, WebVTT, ActivityNet, FiftyOne, Label Studio. Of the JSON form's dicts, nothing else."""

import collections
import csv
import hashlib
import html
import io
import json
import os
import re

import numpy as np

_CSV_COLUMNS = ("video", "class", "name", "start", "end", "score", "peak")
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")
_RESERVED = {"index"}  # page of all videos
_SURROGATES = re.compile("[\ud800-\udfff]")  # what Python makes of bytes in a file's name that are no UTF-8


def file_stem(video_id):
    """A name for a video's files: its id, where that is letters, digits, _ and - (64 at most) and no name that is taken.

    Else what is left of it, and 8 hexadecimal digits of its SHA-256.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", video_id) and video_id.lower() not in _RESERVED:
        return video_id
    digest = hashlib.sha256(video_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', video_id)[:55]}-{digest}"


def json_text(value):
    """JSON on one line, keys sorted. Names stay readable; surrogates are escaped, so that it is UTF-8 and reads back the same."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return _SURROGATES.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def readable(text):
    """A text for people, with U+FFFD for each surrogate."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


# ---------------------------------------------------------------- CSV


def csv_header():
    """The first line."""
    return ",".join(_CSV_COLUMNS) + "\n"


def csv_lines(data):
    """A line an interval of a timeline; a cell that a spreadsheet would run begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    video = _cell(data["video"]["id"])
    for entry, part in _segments(data):
        times = (f"{part['start']:.3f}", f"{part['end']:.3f}", f"{part['score']:.4f}", f"{part['peak']:.4f}")
        writer.writerow((video, entry["index"], _cell(entry["name"]), *times))
    return readable(text.getvalue())


def _cell(text):
    return f"'{text}" if text.startswith(_RUN_BY_SPREADSHEETS) else text


# ---------------------------------------------------------------- WebVTT


def chapters_vtt(data):
    """A chapter for each stretch with one best class: chapters may not overlap in part, so it is one at each moment."""
    stride, best, cues, begin = data["settings"]["stride"], _best(data), [], 0
    for step in range(1, len(best) + 1):
        if step == len(best) or best[step] != best[begin]:
            if best[begin] >= 0:
                end = min(step * stride, data["video"]["duration"])
                cues.append((begin * stride, end, _title(data["classes"][best[begin]]["name"])))
            begin = step
    return _vtt(cues)


def _best(data):
    """The class at each score's time that is there with the highest score, of equal ones the first; -1: none. A list."""
    stride = data["settings"]["stride"]
    times = np.arange(-(-data["video"]["frames"] // stride)) * stride
    best, highest = np.full(len(times), -1), np.full(len(times), -np.inf)
    for number, entry in enumerate(data["classes"]):
        scores, there = np.array(entry["scores"][: len(times)], np.float64), np.zeros(len(times), bool)
        for part in entry["segments"]:
            begin, end = np.searchsorted(times, (part["start"], part["end"]))
            there[begin:end] = True
        better = np.flatnonzero(there[: len(scores)] & (scores > highest[: len(scores)]))
        best[better], highest[better] = number, scores[better]
    return best.tolist()


def classes_vtt(data):
    """For kind="metadata": a cue an interval, its payload a JSON object."""
    cues = []
    for entry, part in sorted(_segments(data), key=lambda pair: (pair[1]["start"], -pair[1]["peak"])):
        payload = {"class": entry["index"], "name": entry["name"], "score": part["score"], "peak": part["peak"]}
        cues.append((part["start"], part["end"], json.dumps(payload, sort_keys=True).replace(">", "\\u003e")))
    return _vtt(cues)


VTT = {"chapters": chapters_vtt, "classes": classes_vtt}


def _vtt(cues):
    return "WEBVTT\n\n" + "".join(f"{_clock(start)} --> {_clock(end)}\n{readable(text)}\n\n" for start, end, text in cues)


def _clock(seconds):
    """HH:MM:SS.mmm."""
    thousandths = round(seconds * 1000)
    return f"{thousandths // 3_600_000:02}:{thousandths // 60_000 % 60:02}:{thousandths // 1000 % 60:02}.{thousandths % 1000:03}"


def _title(text):
    return html.escape(" ".join(text.split()), quote=False)


# ---------------------------------------------------------------- of several videos


def activitynet(timelines):
    """ActivityNet's results file as a dict; labels are the classes' names."""
    results = {
        data["video"]["id"]: [
            {"label": entry["name"], "score": part["score"], "segment": [part["start"], part["end"]]}
            for entry, part in _segments(data)
        ]
        for data in timelines
    }
    details = "Features and weak labels as in YouTube-8M Segments; intervals by yt8m timeline."
    return {"version": "VERSION 1.3", "results": results, "external_data": {"used": True, "details": details}}


def fiftyone(timelines):
    """labels.json of a FiftyOneTemporalDetectionDataset as a dict.

    A video's key is its file's stem; its id where no file is known, and where another video has that stem, or has it as its id.
    """
    names = sorted({entry["name"] for data in timelines for entry in data["classes"]})
    count = collections.Counter(key for data in timelines for key in {_stem(data), data["video"]["id"]})
    labels = {
        _stem(data) if count[_stem(data)] == 1 else data["video"]["id"]: [
            {"label": entry["name"], "timestamps": [part["start"], part["end"]], "confidence": part["score"]}
            for entry, part in _segments(data)
        ]
        for data in timelines
    }
    return {"classes": names, "labels": labels}


def label_studio(timelines, frame_rate=24.0):
    """Label Studio's tasks with predictions as a list; frames count from 1 at the frame rate of the <Video> tag."""
    tasks = []
    for data in timelines:
        result = [
            {
                "id": f"{entry['index']}-{number}",
                "from_name": "timelineLabels",
                "to_name": "video",
                "type": "timelinelabels",
                "score": part["score"],
                "value": {
                    "ranges": [{"start": int(part["start"] * frame_rate) + 1, "end": max(round(part["end"] * frame_rate), 1)}],
                    "timelinelabels": [entry["name"]],
                },
            }
            for number, (entry, part) in enumerate(_segments(data))
        ]
        version = f"{data['model'].get('name')} step {data['model'].get('step')}"
        video = data["video"].get("file") or data["video"]["id"]
        tasks.append({"data": {"video": video}, "predictions": [{"model_version": version, "result": result}]})
    return tasks


def _stem(data):
    file = data["video"].get("file")
    return os.path.splitext(os.path.basename(file))[0] if file else data["video"]["id"]


def _segments(data):
    """(class's dict, interval's dict) of all intervals of a timeline, class after class."""
    return [(entry, part) for entry in data["classes"] for part in entry["segments"]]
