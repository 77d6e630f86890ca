"""Pictures, drawn with matplotlib without a display."""

import dataclasses
import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from yt8m.errors import UserError
from yt8m.files import replacing
from yt8m.segments import SEGMENT_SIZE

# What became of a stretch of video. The colours are Okabe and Ito's, for the colour-blind; hatch, outline and word say it, too.
BLUE, VERMILION, ORANGE, GREY = "#0072B2", "#D55E00", "#E69F00", "#4D4D4D"
VERDICTS = {
    "found": {"facecolor": BLUE, "edgecolor": BLUE},
    "missed": {"facecolor": "white", "edgecolor": VERMILION, "linestyle": (0, (3, 2)), "linewidth": 1.6},
    "false alarm": {"facecolor": "#FBE3B5", "edgecolor": VERMILION, "hatch": "////"},
    "not rated": {"facecolor": "white", "edgecolor": BLUE},
}
_WORDS = {"found": "\u2713 found", "missed": "missed", "false alarm": "\u2717 false alarm", "not rated": "?"}
_LANES = {
    "truth": (1.62, 0.36),
    "model": (1.16, 0.36),
    "attention": (-0.62, 0.45),
}  # of a panel, above and below the score's 0 to 1
_LONGEST = 60  # letters of a title, and of what stands beside it


@dataclasses.dataclass(frozen=True)
class Panel:
    """One video and one topic.

    Attributes:
        video: id.
        topic: class name.
        num_frames: seconds.
        scores: float [S], the model's probability for each 5-second segment.
        intervals: (start, end) pairs in seconds where the model says that the topic is; whole segments.
        threshold: the score that opens an interval.
        truth: [S], 1 where the topic is, 0 where it is not, NaN where nobody knows; None: nothing is known.
        attention: float [T], weight of each frame, or None.
    """

    video: str
    topic: str
    num_frames: int
    scores: np.ndarray
    intervals: tuple = ()
    threshold: float = 0.5
    truth: np.ndarray | None = None
    attention: np.ndarray | None = None


def stretches(panel):
    """What became of each stretch of a panel's video: list of (start, end, verdict) in seconds, in the order of time.

    A verdict is one of VERDICTS. Stretches of which the model says rightly that the topic is not there, and those of which it
    says so and nobody knows, are left out.
    """
    starts = np.arange(len(panel.scores)) * SEGMENT_SIZE
    truth = np.full(len(starts), np.nan) if panel.truth is None else np.asarray(panel.truth[: len(starts)], float)
    said = np.zeros(len(starts), bool)
    for start, end in panel.intervals:
        said |= (starts >= start) & (starts < end)
    verdicts = np.full(len(starts), "", object)
    verdicts[said & (truth > 0)], verdicts[~said & (truth > 0)] = "found", "missed"
    verdicts[said & (truth == 0)], verdicts[said & np.isnan(truth)] = "false alarm", "not rated"
    edges = np.flatnonzero(np.r_[True, verdicts[1:] != verdicts[:-1], True])
    pieces = [
        (int(b * SEGMENT_SIZE), min(int(e * SEGMENT_SIZE), panel.num_frames), verdicts[b]) for b, e in itertools.pairwise(edges)
    ]
    return [piece for piece in pieces if piece[2]]


def where(path, panels):
    """Writes a PNG with one row a panel: where the topic is, where the model says it is, its score, and where it looks.

    Args:
        path: file to write.
        panels: list of Panel.

    Raises:
        UserError: the file cannot be written, or there is no panel.
    """
    if not panels:
        raise UserError(f"{path}: no video to draw: in none of them is a topic there for a part of the time only.")
    looks = any(panel.attention is not None for panel in panels)
    figure = Figure(figsize=(9, (2.1 if looks else 1.8) * len(panels) + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(hspace=0.06)
    for axes, panel in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels):
        _draw_panel(axes, panel)
    figure.axes[-1].set_xlabel("seconds", fontsize=9)
    figure.suptitle(
        "Where in the video is the topic? What is true, and what the model says",
        fontsize=12,
        fontweight="bold",
        x=0.01,
        ha="left",
    )
    seen = {verdict for panel in panels for *_, verdict in stretches(panel)}
    shown = [verdict for verdict in VERDICTS if verdict in seen]
    names = {"found": "found: there, and the model says so", "missed": "missed: there, and the model says no"}
    names |= {"false alarm": "false alarm: not there", "not rated": "nobody rated it"}
    handles = [Patch(label=names[verdict], **VERDICTS[verdict]) for verdict in shown]
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", fontsize=8, ncols=len(handles), frameon=False, handlelength=2.6
        )
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _draw_panel(axes, panel):
    """One video: lanes for the truth and the answer above the score, one for the attention below."""
    ticks = {}
    if panel.truth is not None:
        ticks["topic is there"] = _centre("truth")
        there = np.flatnonzero(np.diff(np.r_[0, np.asarray(panel.truth, float) > 0, 0])).reshape(-1, 2) * SEGMENT_SIZE
        _bars(axes, "truth", [(start, min(end, panel.num_frames)) for start, end in there], facecolor=GREY)
        unknown = np.flatnonzero(np.diff(np.r_[0, np.isnan(np.asarray(panel.truth, float)), 0])).reshape(-1, 2) * SEGMENT_SIZE
        _bars(axes, "truth", unknown, facecolor="white", edgecolor="0.75", linestyle=":")
    ticks["model says"] = _centre("model")
    for start, end, verdict in stretches(panel):
        _bars(axes, "model", [(start, end)], **VERDICTS[verdict])
        if (end - start) > 0.018 * len(_WORDS[verdict]) * panel.num_frames:
            colour = {"color": "white"} if verdict == "found" else {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
            place = {"ha": "center", "va": "center", "fontsize": 8}
            axes.text((start + end) / 2, _centre("model"), _WORDS[verdict], **place, **colour)
    ticks["its score"] = 0.5
    edges = np.minimum(np.arange(len(panel.scores) + 1) * SEGMENT_SIZE, panel.num_frames)
    axes.stairs(panel.scores, edges, fill=True, color=BLUE, alpha=0.15)
    axes.stairs(panel.scores, edges, color=BLUE, linewidth=1.6)
    axes.axhline(panel.threshold, color=GREY, linewidth=0.9, linestyle="--")
    axes.text(panel.num_frames, panel.threshold, " threshold", ha="left", va="center", fontsize=7, color=GREY)
    if panel.attention is not None and panel.attention.max() > 0:
        base, height = _LANES["attention"]
        ticks["it looks at"] = _centre("attention")
        weights = panel.attention / panel.attention.max() * height
        axes.stairs(base + weights, np.arange(len(weights) + 1), baseline=base, fill=True, color=ORANGE)
    bottom = (_LANES["attention"][0] if "it looks at" in ticks else 0) - 0.04
    axes.set(xlim=(0, panel.num_frames), ylim=(bottom, sum(_LANES["truth" if panel.truth is not None else "model"]) + 0.06))
    axes.set_yticks(list(ticks.values()), list(ticks), fontsize=9)
    axes.tick_params(left=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(_shortened(panel.topic), fontsize=10, fontweight="bold", loc="left", parse_math=False)
    axes.set_title(_shortened(_summary(panel)), fontsize=9, loc="right", parse_math=False)


def _shortened(text):
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\u2026"


def _summary(panel):
    """How many of the topic's seconds were found, and in which video."""
    seconds = {verdict: sum(end - start for start, end, other in stretches(panel) if other == verdict) for verdict in VERDICTS}
    if panel.truth is None:
        return f"video {panel.video}"
    extra = f", {seconds['false alarm']} s too many" if seconds["false alarm"] else ""
    return f"{seconds['found']} of {seconds['found'] + seconds['missed']} s found{extra}; video {panel.video}"


def _bars(axes, lane, spans, **look):
    base, height = _LANES[lane]
    axes.broken_barh([(start, end - start) for start, end in spans], (base, height), **look)


def _centre(lane):
    base, height = _LANES[lane]
    return base + height / 2


def attention_image(ids, weights, num_frames, feature_names):
    """Attention of a few videos as one image.

    Args:
        ids: names of the videos.
        weights: float [B, T, features, M].
        num_frames: int [B].
        feature_names: names of the features.

    Returns:
        uint8 [height, width, 3].
    """
    rows, columns = len(ids), weights.shape[2]
    figure = Figure(figsize=(5 * columns, 1.6 * rows + 0.4), dpi=80)
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    # Margins in inches: a layout that measures every text takes several times as long as the drawing, at every checkpoint.
    width, height = figure.get_size_inches()
    figure.subplots_adjust(0.5 / width, 0.45 / height, 1 - 0.1 / width, 1 - 0.25 / height, 0.5 * columns / width, 0.7)
    for row, name in enumerate(ids):
        for column in range(columns):
            axes = grid[row, column]
            axes.imshow(weights[row, : num_frames[row], column].T, aspect="auto", interpolation="nearest")
            axes.set_title(f"{name}: {feature_names[column]}", fontsize=8, parse_math=False)
            axes.set_ylabel("set", fontsize=7)
    grid[-1, 0].set_xlabel("seconds", fontsize=8)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
