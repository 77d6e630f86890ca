"""What video-level models do with their features before anything else."""

import numpy as np
import pytest

from tests import harness
from yt8m import models

SIZES = (4, 2, 3)


@pytest.mark.parametrize("each", [True, False])
def test_features_are_divided_by_their_norm_each_or_together(each):
    x = harness.random_floats(5, 9)
    model = models.build_model("MlpModel", 7, SIZES, hidden_size=8, normalize_each=each)
    parts = np.split(x, [4, 6], axis=1) if each else [x]
    expected = np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts], axis=1)
    np.testing.assert_allclose(model.normalized(x), expected, atol=1e-6)
    louder = x * np.repeat([1.0, 30.0, 1.0], SIZES).astype("float32")
    same = np.allclose(model({"features": louder}), model({"features": x}), atol=1e-5)
    assert same is each, "how loud a feature is counts where all are normalised together"


def test_features_as_they_are():
    x = harness.random_floats(5, 9)
    model = models.build_model("MlpModel", 7, SIZES, hidden_size=8, normalize=False, normalize_each=True)
    np.testing.assert_array_equal(model.normalized(x), x)
