"""Small models with random weights, and their train_dirs."""

from tests import harness
from tests.testing import FEATURE_SIZES
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


def build(name, feature_sizes=FEATURE_SIZES, sample=None, backbone=None, num_classes=CLASSES, label_ids=None, **more):
    """A model of CLASSES outputs with random weights and its ModelConfig; `more`: hyperparameters beside the kind's."""
    hyperparameters = {**KINDS[name], **more}
    model = models.build_model(name, CLASSES, feature_sizes, **hyperparameters)
    harness.randomise(model)
    config = {
        "feature_sizes": tuple(feature_sizes),
        "num_classes": num_classes,
        "label_ids": label_ids,
        "max_frames": 30,
        "sample": sample,
        "backbone": backbone,
    }
    return model, configs.ModelConfig(name, hyperparameters, **config)


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
