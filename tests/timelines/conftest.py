"""Small runs with random weights, and shards."""

import pytest

from tests import harness
from tests.testing import FEATURE_SIZES, make_video, write_frame_shards
from yt8m import config as configs
from yt8m import models
from yt8m.training.checkpoints import Checkpoints
from yt8m.training.optimizers import make_optimizer

CLASSES = 7
KINDS = {
    "MultiAttentionModel": {"hidden_size": 6, "reduced_sizes": (6, 4), "attention_sizes": (4, 3), "num_sets": 3},
    "LogisticModel": {},
    "BiGruModel": {"units": 6, "num_layers": 1},
}


def build(name, feature_sizes=FEATURE_SIZES, **changes):
    """A model with random weights and its ModelConfig."""
    model = models.build_model(name, CLASSES, feature_sizes, **KINDS[name])
    harness.randomise(model)
    config = {"feature_sizes": tuple(feature_sizes), "num_classes": CLASSES, "max_frames": 30, **changes}
    return model, configs.ModelConfig(name, KINDS[name], **config)


def write_run(folder, name="MultiAttentionModel", **changes):
    """A train_dir of such a model."""
    model, config = build(name, **changes)
    optimizer = make_optimizer("AdamOptimizer", 0.1)
    optimizer.build(model.trainable_variables)
    configs.write_model_config(str(folder), config)
    checkpoints = Checkpoints(str(folder), model, optimizer)
    checkpoints.stage.assign(1)
    checkpoints.save()
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The train_dir of a small attention model."""
    return write_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Pattern of rated shards: five videos, one longer than the models' max_frames, one with a label that they do not know."""
    lengths = {"v0": 23, "-v1": 5, "v/2": 61, "v3": 1, "v4": 30}
    videos = [
        make_video(name, length, labels=(3, 900) if name == "v4" else (3,), ratings=[(0, 3, 1.0), (0, 5, 0.0)])
        for name, length in lengths.items()
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:3], videos[3:]], "test")
