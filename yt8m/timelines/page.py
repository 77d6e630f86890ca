"""The page of a video, in one file that asks nothing of the network; the index of all; what a notebook shows.

What comes from data is text: in the page's table it is escaped, its script reads JSON and sets textContent and attributes.
"""

import base64
import functools
import hashlib
import html
import json
import os
import pathlib
import urllib.parse

from yt8m.timelines import formats

_FOLDER = pathlib.Path(__file__).parent
_POINTS = 20_000  # numbers drawn on a page at most, over all rows
_POINTS_A_ROW = 600


def video_page(data, video=None):
    """The page of a timeline.

    Args:
        data: the JSON form's dict.
        video: address of the video: a relative one, a file's, or a data address; None: the reader picks the file.

    Returns:
        str, HTML.
    """
    source = f' src="{html.escape(video)}"' if video else " hidden"
    body = _read("video.html").format(
        id=html.escape(data["video"]["id"]),
        facts=html.escape(_facts(data)),
        source=source,
        table=_table(data),
        data=_json_in_html(_shown(data)),
        script=_read("page.js"),
    )
    return _page(f"{data['video']['id']}: where in the video", body, script=_read("page.js"))


def index_page(rows):
    """The page that lists videos.

    Args:
        rows: (id, its page's file name, duration, names of the classes that are there) of each.

    Returns:
        str, HTML without a script.
    """
    lines = [
        f'<tr><td><a href="{html.escape(urllib.parse.quote(page))}">{html.escape(video)}</a></td>'
        f'<td class="number">{clock(duration)}</td><td>{html.escape(", ".join(names)) or "none above its threshold"}</td></tr>'
        for video, page, duration, names in rows
    ]
    facts = f"{len(rows):,} video{'' if len(rows) == 1 else 's'}; a class is named where it is above its threshold."
    return _page("Timelines", _read("index.html").format(facts=facts, rows="\n".join(lines)))


def notebook(data):
    """What a notebook shows of a timeline: HTML without a script or a style sheet, the colours those around it."""
    rows = []
    for entry in data["classes"]:
        said = ", ".join(f"{clock(part['start'])} to {clock(part['end'])}" for part in entry["segments"])
        said = html.escape(said or ("below its threshold" if entry["below_threshold"] else "too short"))
        rows.append(
            f'<tr><th scope="row" style="text-align:left">{html.escape(entry["name"])}</th><td>{entry["peak"]:.2f}</td>'
            f'<td style="min-width:22em">{_bars(entry, data)}</td><td style="text-align:left">{said}</td></tr>'
        )
    caption = f"{data['video']['id']}: {_facts(data)}"
    return formats.readable(
        f'<table><caption style="text-align:left">{html.escape(caption)}</caption><thead><tr><th>class</th><th>highest</th>'
        f"<th>score, and where it is there</th><th>intervals</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def address(file):
    """The address of a file by its path relative to the page: of its bytes, which may be no UTF-8."""
    return urllib.parse.quote(os.fsencode(file.replace(os.sep, "/")))


def file_at(folder, file):
    """Path of the file that a page in `folder` finds by its relative path: `..` goes up in the text, wherever links lead."""
    return os.path.normpath(os.path.join(folder, file))


def embedded(path, kind):
    """The address of a file's content itself; `kind`: its media type."""
    return f"data:{kind};base64,{base64.b64encode(pathlib.Path(path).read_bytes()).decode()}"


def clock(seconds):
    """Seconds as 1:05, or 1:02:05 from an hour on."""
    whole = int(seconds + 1e-6)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _page(title, body, script=None):
    """A page that allows its own style and script, by their hashes, and media; nothing else is loaded or run."""
    style = _read("page.css")
    policy = [f"default-src 'none'; style-src {_hash(style)}"]
    if script:
        policy.append(f"script-src {_hash(script)}; media-src file: blob: data: 'self'")
    policy.append("base-uri 'none'; form-action 'none'")
    text = _read("page.html").format(policy="; ".join(policy), title=html.escape(title), style=style, body=body)
    return formats.readable(text)


@functools.cache
def _read(name):
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _facts(data):
    model, settings = data["model"], data["settings"]
    step = "" if model.get("step") is None else f", step {model['step']}"
    return f"{clock(data['video']['duration'])} long; {model.get('name')}{step}; a score every {settings['stride']} s"


def _table(data):
    """All intervals, and where there is none the classes that come nearest."""
    cells = '<td class="number">{}</td>' * 4
    rows = []
    for entry in data["classes"]:
        name = f'<th scope="row">{html.escape(entry["name"])}</th>'
        for part in entry["segments"]:
            scores = (f"{part['score']:.2f}", f"{part['peak']:.2f}")
            rows.append(f"<tr>{name}{cells.format(clock(part['start']), clock(part['end']), *scores)}</tr>")
        if not entry["segments"]:
            why = "below its threshold" if entry["below_threshold"] else "too short"
            rows.append(f'<tr>{name}<td colspan="3">{why}</td><td class="number">{entry["peak"]:.2f}</td></tr>')
    head = "".join(f'<th scope="col" class="number">{name}</th>' for name in ("From", "To", "Mean score", "Highest"))
    return (
        "<table><caption>Intervals, the class with the highest score first</caption>"
        f'<thead><tr><th scope="col">Class</th>{head}</tr></thead><tbody>\n' + "\n".join(rows) + "\n</tbody></table>"
    )


def _shown(data):
    """What the page's script draws: scores and attention in so many points that the page stays small."""
    lines = sum(1 + ("attention" in entry) for entry in data["classes"])
    points = max(min(_POINTS_A_ROW, _POINTS // max(lines, 1)), 20)
    stride, step, attention_step, classes = data["settings"]["stride"], 1, 1, []
    for entry in data["classes"]:
        scores, step = _fewer(entry["scores"], points)
        row = {name: entry[name] for name in ("name", "peak")} | {"below": entry["below_threshold"], "scores": scores}
        row["high"] = entry.get("high", data["settings"].get("high"))
        row["segments"] = [[part["start"], part["end"], part["score"]] for part in entry["segments"]]
        if "attention" in entry:
            row["attention"], attention_step = _fewer(entry["attention"], points)
        classes.append(row)
    return {"duration": data["video"]["duration"], "step": step * stride, "attentionStep": attention_step, "classes": classes}


def _fewer(values, points):
    """The highest of every so many values, at most `points`; how many values each stands for."""
    step = max(-(-len(values) // points), 1)
    return [round(max(values[at : at + step]), 3) for at in range(0, len(values), step)], step


def _bars(entry, data):
    """A small picture of a class: its scores as an area, its intervals as bars under it."""
    duration, stride = max(data["video"]["duration"], 1e-3), data["settings"]["stride"]
    scores, step = _fewer(entry["scores"], 200)
    steps = "".join(f"V{20 - 20 * score:g}H{min((i + 1) * step * stride, duration):g}" for i, score in enumerate(scores))
    bars = "".join(
        f'<rect x="{part["start"]:g}" y="21" width="{part["end"] - part["start"]:g}" height="5" fill="#0072b2"/>'
        for part in entry["segments"]
    )
    return (
        f'<svg role="img" aria-label="scores" viewBox="0 0 {duration:g} 26" preserveAspectRatio="none" width="100%" height="26">'
        f'<path d="M0 20{steps}V20Z" fill="currentColor" opacity=".3"/>{bars}</svg>'
    )


def _json_in_html(value):
    """JSON that no HTML parser sees an end of a script in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def page_name(video_id):
    """File name of a video's page."""
    return f"{formats.file_stem(video_id)}.html"
