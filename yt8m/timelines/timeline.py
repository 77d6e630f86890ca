"""A video's timeline: the one form, JSON, of which the others are made."""

import dataclasses
import os

import numpy as np

from yt8m import jsonfiles
from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.intervals import intervals
from yt8m.segments import SEGMENT_SIZE
from yt8m.timelines import formats, page
from yt8m.timelines.names import class_name
from yt8m.timelines.windows import STRIDES

FORMAT, VERSION = "yt8m-timeline", 1
LOW_SHARE = 0.7  # of high, where no low is given
_BEST_BELOW = 3  # classes shown where none passes its threshold
_FIELDS = {
    "format": jsonfiles.Text(FORMAT),
    "version": jsonfiles.Integer(VERSION, VERSION),
    "video": jsonfiles.Object({"id": jsonfiles.Text(), "duration": jsonfiles.Number(), "frames": jsonfiles.Integer(0)}),
    "model": jsonfiles.Object(),
    "settings": jsonfiles.Object({"stride": jsonfiles.Integer(1, 5)}),
    "classes": jsonfiles.ListOf(
        jsonfiles.Object(
            {
                "index": jsonfiles.Integer(0),
                "name": jsonfiles.Text(),
                "peak": jsonfiles.Number(),
                "below_threshold": jsonfiles.Boolean(),
                "scores": jsonfiles.ListOf(jsonfiles.Number()),
                "segments": jsonfiles.ListOf(
                    jsonfiles.Object({name: jsonfiles.Number() for name in ("start", "end", "score", "peak")})
                ),
            }
        )
    ),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How scores become intervals, and which classes are shown.

    Attributes:
        stride: seconds between two scores, 5 or 1.
        high: from which score on a class counts as there, where it has no threshold of its own.
        low: down to which score it then goes on; None: .7 of high, of a class's own threshold too.
        merge_gap, min_length: seconds, as intervals'.
        top_classes: shown at most.
        thresholds: {label id: high} of classes with one of their own.

    Raises:
        UserError: a value out of range.
    """

    stride: int = SEGMENT_SIZE
    high: float = 0.5
    low: float | None = None
    merge_gap: float = 5.0
    min_length: float = 5.0
    top_classes: int = 10
    thresholds: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.stride not in STRIDES:
            raise UserError(f"--stride={self.stride}: use {' or '.join(map(str, STRIDES))}.")
        if not 0 <= self.high <= 1:
            raise UserError(f"--high={self.high:g}: expected a score from 0 to 1.")
        if self.low is not None and not 0 <= self.low <= self.high:
            raise UserError(f"--low={self.low:g}: expected a score from 0 to --high={self.high:g}.")
        for name in ("merge_gap", "min_length"):
            if not 0 <= getattr(self, name) < 1e6:
                raise UserError(f"--{name}={getattr(self, name):g}: expected seconds, 0 or more.")
        if self.top_classes < 1:
            raise UserError(f"--top_classes={self.top_classes}: must be above 0.")

    def limits(self, label_id):
        """(high, low) of a class."""
        high = self.thresholds.get(label_id, self.high)
        return high, LOW_SHARE * high if self.low is None else min(self.low, high)


class Timeline:
    """Where in a video which classes are. In a notebook it shows itself.

    Args:
        data: the JSON form's dict (docs/timeline.schema.json).

    Attributes:
        data: the dict.
        id, duration: of the video; seconds.
        classes: list of the shown classes' dicts, by falling peak.

    Raises:
        UserError: it is no timeline.
    """

    def __init__(self, data):
        try:
            jsonfiles.check(data, _FIELDS)
        except ValueError as error:
            raise UserError(f"not a timeline ({error}). Give what Timeline.to_json or `yt8m timeline` wrote.") from error
        self.data = data
        self.id, self.duration, self.classes = data["video"]["id"], data["video"]["duration"], data["classes"]

    @classmethod
    def read(cls, path):
        """The Timeline in a .timeline.json file.

        Raises:
            UserError: no such file, or no timeline.
        """
        try:
            return cls(jsonfiles.read(path, _FIELDS, "Write it again with `yt8m timeline`"))
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error

    def __repr__(self):
        shown = ", ".join(entry["name"] for entry in self.classes if not entry["below_threshold"]) or "no class"
        return f"Timeline({self.id!r}, {self.duration:g} s: {shown})"

    def _repr_html_(self):
        return page.notebook(self.data)

    def to_json(self):
        """The JSON text: sorted keys, one line; UTF-8, whatever a file's name is."""
        return formats.json_text(self.data)

    def to_csv(self):
        """CSV with a header, a line an interval."""
        return formats.csv_header() + formats.csv_lines(self.data)

    def to_vtt(self, kind="chapters"):
        """WebVTT: "chapters", the best class at each moment, or "classes", a JSON object an interval.

        Raises:
            UserError: another kind.
        """
        if kind not in formats.VTT:
            raise UserError(f"kind={kind!r}: use {' or '.join(formats.VTT)}.")
        return formats.VTT[kind](self.data)

    def to_html(self, video=None):
        """The page; `video`: the address of the video for it, None: the reader picks the file."""
        return page.video_page(self.data, video)

    def save(self, folder):
        """Writes <id>.timeline.json, .html and both .vtt into a folder, which is made; the page plays the video if it is known.

        Returns:
            Path of the page.

        Raises:
            UserError: one cannot be written.
        """
        folder = os.path.expanduser(folder)
        base, file, saved = os.path.join(folder, formats.file_stem(self.id)), self.data["video"].get("file"), self
        if file and os.path.isabs(file):
            file = os.path.relpath(file, folder)
            saved = Timeline({**self.data, "video": {**self.data["video"], "file": file}})
        write_text(f"{base}.timeline.json", saved.to_json())
        for kind in formats.VTT:
            write_text(f"{base}.{kind}.vtt", saved.to_vtt(kind))
        there = file and os.path.isfile(page.file_at(folder, file))
        write_text(f"{base}.html", saved.to_html(page.address(file) if there else None))
        return f"{base}.html"


def make_timeline(video, model, settings, label_ids, names, scores, attention=None):
    """The Timeline of a video's scores.

    Args:
        video: {"id", "file", "duration", "frames"}.
        model: {"name", "train_dir", "step", "backbone"}.
        settings: Settings.
        label_ids: of the C classes.
        names: {label id: name}.
        scores: float [n, C], one a stride.
        attention: function(columns) -> float [len(columns), T] or None: where the model looks for each.
    """
    peaks = scores.max(axis=0, initial=0.0)  # [C]
    highs = np.array([settings.limits(label)[0] for label in label_ids])
    order = np.lexsort((np.arange(len(peaks)), -peaks))
    shown = [column for column in order if peaks[column] >= highs[column]][: settings.top_classes]
    below = not shown
    columns = list(order[: min(_BEST_BELOW, settings.top_classes)]) if below else shown
    looked = attention(columns) if attention else None
    duration = round(float(video["duration"]), 3)
    classes = []
    for number, column in enumerate(columns if len(scores) else []):
        high, low = settings.limits(label_ids[column])
        rules = (high, low, settings.merge_gap, settings.min_length)
        entry = {
            "index": int(label_ids[column]),
            "name": class_name(names, label_ids[column]),
            "peak": _rounded(peaks[column]),
            "high": _rounded(high),
            "below_threshold": below,
            "scores": [_rounded(score) for score in scores[:, column]],
            "segments": [_segment(part) for part in intervals(scores[:, column], settings.stride, duration, *rules)],
        }
        if looked is not None:
            entry["attention"] = [_rounded(weight) for weight in looked[number]]
        classes.append(entry)
    rules = {name: getattr(settings, name) for name in ("stride", "high", "merge_gap", "min_length")}
    rules |= {"window": SEGMENT_SIZE, "low": round(settings.limits(None)[1], 6)}
    head = {"format": FORMAT, "version": VERSION, "video": {**video, "duration": duration}, "model": model, "settings": rules}
    return Timeline({**head, "classes": classes})


def _segment(part):
    """An Interval as the JSON form has it."""
    times = {"start": round(part.start, 3), "end": round(part.end, 3)}
    return {**times, "score": _rounded(part.score), "peak": _rounded(part.peak)}


def _rounded(score):
    return round(float(score), 4)
