"""What MlpModel does with its features before anything else."""

import numpy as np
import pytest

from tests import harness
from yt8m import models
from yt8m.errors import UserError

SIZES, LENGTHS = (4, 2, 3), [1.0, 0.5, 2.0]


def model(**options):
    return models.build_model("MlpModel", 7, SIZES, hidden_size=8, **options)


@pytest.mark.parametrize("lengths", [LENGTHS, None])
def test_features_are_normalised_each_or_together(lengths):
    x = harness.random_floats(5, 9)
    network, parts = model(feature_lengths=lengths), np.split(x, [4, 6], axis=1) if lengths else [x]
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    expected = np.concatenate([length * part for length, part in zip(lengths or [1.0], unit)], axis=1)
    np.testing.assert_allclose(network.normalized(x), expected, atol=1e-6)
    louder = x * np.repeat([1.0, 30.0, 1.0], SIZES).astype("float32")
    same = np.allclose(network({"features": louder}), network({"features": x}), atol=1e-5)
    assert same is bool(lengths), "how long a feature is counts where all are normalised together"


def test_features_as_they_are():
    x = harness.random_floats(5, 9)
    np.testing.assert_array_equal(model(normalize=False, feature_lengths=LENGTHS).normalized(x), x)


@pytest.mark.parametrize("lengths", [[1.0, 0.7], [1.0, 0.0, 1.0]])
def test_lengths_that_fit_no_features_are_refused(lengths):
    with pytest.raises(UserError, match=r"feature_lengths=.*use a positive length for each of the 3 features"):
        model(feature_lengths=lengths)
