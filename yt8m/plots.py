"""Pictures, drawn with matplotlib without a display."""

import dataclasses

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from yt8m.errors import UserError
from yt8m.files import replacing
from yt8m.segments import SEGMENT_SIZE


@dataclasses.dataclass(frozen=True)
class Panel:
    """One video and one topic.

    Attributes:
        video: id.
        topic: class name.
        num_frames: seconds.
        scores: float [S], the model's probability for each 5-second segment.
        truth: bool [S], where the topic is, or None.
        attention: float [T], weight of each frame, or None.
    """

    video: str
    topic: str
    num_frames: int
    scores: np.ndarray
    truth: np.ndarray | None = None
    attention: np.ndarray | None = None


def where(path, panels):
    """Writes a PNG with one row a panel: segment scores as steps, the truth shaded, attention as a thin area below.

    Args:
        path: file to write.
        panels: list of Panel.

    Raises:
        UserError: the file cannot be written, or there is no panel.
    """
    if not panels:
        raise UserError(f"{path}: no video to draw: in none of them is a topic there for a part of the time only.")
    figure = Figure(figsize=(9, 1.9 * len(panels) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels):
        _draw_panel(axes, panel)
    figure.axes[0].legend(loc="upper right", fontsize=7, ncols=3)
    figure.axes[-1].set_xlabel("seconds")
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _draw_panel(axes, panel):
    edges = np.minimum(np.arange(len(panel.scores) + 1) * SEGMENT_SIZE, panel.num_frames)
    if panel.truth is not None:
        there = np.asarray(panel.truth[: len(panel.scores)], float)
        axes.stairs(there, edges[: len(there) + 1], fill=True, color="tab:green", alpha=0.25, label="topic is there")
    axes.stairs(panel.scores, edges, color="tab:blue", linewidth=1.8, zorder=3, label="model's score")
    if panel.attention is not None and panel.attention.max() > 0:
        heights = panel.attention / panel.attention.max() * 0.3
        axes.fill_between(np.arange(len(heights)) + 0.5, 0, heights, color="tab:orange", alpha=0.6, label="attention (scaled)")
    axes.set(xlim=(0, panel.num_frames), ylim=(0, 1), ylabel="probability")
    axes.set_title(f"{panel.topic} in video {panel.video}", fontsize=9, loc="left")


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
            axes.set_title(f"{name}: {feature_names[column]}", fontsize=8)
            axes.set_ylabel("set", fontsize=7)
    grid[-1, 0].set_xlabel("seconds", fontsize=8)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
