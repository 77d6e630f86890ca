"""Timelines of made-up scores."""

import numpy as np

from yt8m.timelines.timeline import Settings, make_timeline

MODEL = {"name": "Model", "train_dir": "run", "step": 3, "backbone": None}
NASTY = '=1+1</script><script>document.title="hacked"</script><img src=x onerror=alert(1)> --> "x" \u2028 & \'y\''


def timeline(scores, video_id="abc", names=None, file=None, attention=None, model=MODEL, **settings):
    """The Timeline of scores {label id: [one a stride]}."""
    settings = Settings(**settings)
    label_ids, columns = tuple(scores), np.array(list(scores.values()), np.float32).T.reshape(-1, len(scores))
    frames = len(columns) * settings.stride
    video = {"id": video_id, "file": file, "duration": frames, "frames": frames}
    return make_timeline(video, model, settings, label_ids, names or {}, columns, attention)


def typical(**changes):
    """60 seconds, two classes and one that does not show."""
    scores = {
        7: [0.9, 0.8, 0.1, 0.1, 0.1, 0.1, 0.7, 0.1, 0.1, 0.1, 0.1, 0.1],
        3: [0.1, 0.6, 0.6, 0.6, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.55],
        5: [0.2] * 12,
    }
    return timeline(scores, names={7: "Car", 3: "Boat"}, **changes)
