"""What the pictures say; that they can be drawn."""

import numpy as np
import pytest

from yt8m import plots
from yt8m.errors import UserError

NAN = np.nan


def panel(truth, spans, num_frames=28, **more):
    scores = np.linspace(0, 1, -(-num_frames // 5))
    return plots.Panel("v", "Car", num_frames, scores, spans, truth=None if truth is None else np.array(truth), **more)


@pytest.mark.parametrize(
    ("truth", "spans", "expected"),
    [
        ([0, 1, 1, 0, 0, 0], ((5.0, 15.0),), [(5, 15, "found")]),
        ([0, 1, 1, 0, 0, 1], ((0.0, 10.0),), [(0, 5, "false alarm"), (5, 10, "found"), (10, 15, "missed"), (25, 28, "missed")]),
        ([NAN, 1.0, NAN, 0.0, NAN, NAN], ((0.0, 28.0),), [(0, 5, "not rated"), (5, 10, "found"), (10, 15, "not rated"),
                                                       (15, 20, "false alarm"), (20, 28, "not rated")]),
        ([0] * 6, (), []),
        (None, ((20.0, 28.0),), [(20, 28, "not rated")]),
    ],
)  # fmt: skip
def test_what_became_of_each_stretch(truth, spans, expected):
    assert plots.stretches(panel(truth, spans)) == expected


def test_a_picture_of_any_names(tmp_path, recwarn):
    """Names are no mathematics, however they look, and may be long; a panel may know neither truth nor attention."""
    names = ("$5 a_^$b$", "x" * 300)
    panels = [
        plots.Panel(name, name, 28, np.zeros(6), ((0.0, 10.0),), truth=np.array([0, 1, 1, 0, 0, NAN]), attention=np.ones(28))
        for name in names
    ]
    path = tmp_path / "where.png"
    plots.where(path, [*panels, panel(None, ((0.0, 28.0),)), panel(None, (), attention=np.zeros(28))])
    assert path.read_bytes().startswith(b"\x89PNG") and not [str(w.message) for w in recwarn]
    weights = np.ones((1, 4, 1, 2))
    assert plots.attention_image(["$a_^$b$"], weights, [4], ["$_^$"]).shape[-1] == 3


def test_no_panel(tmp_path):
    with pytest.raises(UserError, match="no video to draw"):
        plots.where(tmp_path / "where.png", [])
    assert not list(tmp_path.iterdir())
