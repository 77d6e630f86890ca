"""Which videos are drawn, and what of them."""

import numpy as np
import pytest

from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import build
from yt8m import plots
from yt8m.intervals import intervals
from yt8m.stages import pictures
from yt8m.training.predict import deciding_attention


@pytest.mark.parametrize("name", ["MultiAttentionModel", "LogisticModel"])
def test_where_a_topic_is(tmp_path, monkeypatch, name):
    """A video whose topic is there for a part of it, with the intervals of a timeline and the attention of the deciding set."""
    drawn = []
    monkeypatch.setattr(plots, "where", lambda path, panels: drawn.extend(panels))
    videos = [make_video(f"v{i}", length, []) for i, length in enumerate((33, 33, 12))]
    model, config = build(name)
    part, whole = np.array([0, 0, 1, 1, 0, 0, 0], bool), np.ones(7, bool)
    truth = {"v0": {2: whole, 5: part}, "v1": {2: whole}, "v2": {5: part[:3]}}
    columns = {label: label for label in range(7)}
    pictures.where("where.png", model, config, write_frame_shards(tmp_path, [videos]), truth, {}, columns)
    (panel,) = drawn
    assert (panel.video, panel.topic, panel.num_frames) == ("v0", "label 5", 30)  # the model's max_frames
    expected = [(part.start, part.end) for part in intervals(panel.scores, 5, panel.num_frames)]
    assert list(panel.intervals) == expected and len(panel.scores) == -(-panel.num_frames // 5)
    if name == "LogisticModel":
        assert panel.attention is None
    else:
        frames = np.concatenate([videos[0].frames[key] for key in ("rgb", "audio")], axis=1)[:30]
        np.testing.assert_allclose(panel.attention, deciding_attention(model, frames, [5])[0], rtol=1e-5)
