"""What MediaPipe's YouTube-8M graph writes, features.pb: a bare SequenceExample with floats under keys of its own."""

import numpy as np
import tensorflow as tf

from yt8m.features.backbones import Backbone
from yt8m.features.decode import Unusable
from yt8m.features.extraction import Facts
from yt8m.segments import quantise

ENDINGS = frozenset({".pb"})
_KEYS = {"rgb": "RGB/feature/floats", "audio": "AUDIO/feature/floats"}
_MAX_BYTES = 1 << 30


class MediaPipe(Backbone):
    """Stands for the features in the files: those of the backbone yt8m."""

    def fingerprint(self):
        return {"name": "yt8m", "options": {"from": "mediapipe"}, "files": {}}


def convert(path, backbone, settings, threads):
    """The features of a features.pb, as extraction.extract returns those of a video; `threads` is not used.

    Raises:
        Unusable: the file is none, or has features of other sizes.
    """
    with open(path, "rb") as file:
        data = file.read(_MAX_BYTES)
    try:
        lists = tf.train.SequenceExample.FromString(data).feature_lists.feature_list
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise Unusable("is no features.pb of MediaPipe (no SequenceExample)") from error
    frames = {}
    for name, key in _KEYS.items():
        rows = [feature.float_list.value for feature in lists[key].feature] if key in lists else []
        size = backbone.SIZES[name]
        if not rows or {len(row) for row in rows} != {size}:
            raise Unusable(f"has no {size} floats a second under {key}; it has {', '.join(sorted(lists)) or 'nothing'}")
        values = np.array(rows, np.float32)
        if not np.isfinite(values).all():
            raise Unusable(f"has values under {key} that are no finite numbers")
        frames[name] = quantise(values)
    count = min(settings.max_frames, *map(len, frames.values()))
    return {name: values[:count] for name, values in frames.items()}, Facts(float(count), count, 0, 0, True, 0)
