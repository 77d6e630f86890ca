"""Shards of the readers' tests, and what is read of them."""

import numpy as np
import pytest

from tests.testing import FEATURE_NAMES, FEATURE_SIZES, write_video_shards
from yt8m.errors import UserError
from yt8m.readers import failures
from yt8m.readers.batches import evaluation_batches
from yt8m.readers.spec import WholeVideos


def spec_of(pattern, kind=WholeVideos, **changes):
    fields = {"pattern": pattern, "feature_names": FEATURE_NAMES, "feature_sizes": FEATURE_SIZES, "num_classes": 10}
    return kind(**{**fields, **changes})


def arrays(dataset):
    return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]


def ids(batches):
    return [id.decode() for batch in batches for id in batch["ids"]]


def bytes_of(video):
    return np.concatenate([video.frames[name] for name in FEATURE_NAMES], axis=1)


def assert_equal(batches, others):
    assert len(batches) == len(others)
    for one, other in zip(batches, others):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def read_error(pattern, **changes):
    """The line of the UserError that reading it ends in."""
    with pytest.raises(UserError) as caught:
        with failures.errors_as_user_errors():
            for _ in evaluation_batches(spec_of(pattern, **changes), 4):
                pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def video_level(folder, **changes):
    rng = np.random.default_rng(0)
    rows = [(f"v{i}", [i, 9][: i % 3], {"mean_rgb": rng.normal(size=16), "mean_audio": rng.normal(size=8)}) for i in range(5)]
    names = {"feature_names": ["mean_rgb", "mean_audio"], "feature_sizes": [16, 8], "frame_features": False}
    return rows, spec_of(write_video_shards(folder, [rows[:3], rows[3:]]), **{**names, **changes})
