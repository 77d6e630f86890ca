"""A trained model, as evaluation and inference take it from a train_dir."""

import dataclasses

import keras

from yt8m import config as configs
from yt8m import models
from yt8m.errors import UserError
from yt8m.sample.sample import ensure_sample
from yt8m.training import checkpoints, keras_files


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model with the weights of a checkpoint.

    Attributes:
        model: Keras model.
        config: its ModelConfig.
        prefix: the checkpoint, or the file of Keras's that the weights are from.
        step: its step.
    """

    model: keras.Model
    config: configs.ModelConfig
    prefix: str
    step: int


def sample_of(model_config):
    """The built-in Sample that a model was trained on, made now where it is not in the cache; None: on named data."""
    return ensure_sample(model_config.sample) if model_config.sample else None


def build(model_config):
    """The model of a config, with the config's precision."""
    keras.config.set_dtype_policy(model_config.precision)
    return models.build_model(
        model_config.model,
        num_classes=model_config.num_outputs,
        feature_sizes=model_config.feature_sizes,
        video_prediction=model_config.video_prediction,
        **models.settled(model_config.model, model_config.hyperparameters, model_config.earlier_model),
    )


def newest(train_dir, checkpoint=None, expected=None):
    """Restores a checkpoint of a run.

    Args:
        train_dir: folder of the run.
        checkpoint: one of its checkpoints; None: the newest.
        expected: {ModelConfig field: value} that the user named and that must be the run's.

    Raises:
        UserError: there is no checkpoint, or the run's model is another than expected.
    """
    config = configs.read_model_config(train_dir)
    for field, value in (expected or {}).items():
        if value != getattr(config, field):
            raise UserError(
                f"--{field}={value}: the model in --train_dir={train_dir} has {getattr(config, field)}. Leave the flag out."
            )
    prefix, _ = checkpoints.find(checkpoint or train_dir, "--checkpoint" if checkpoint else "--train_dir")
    model = build(config)
    checkpoints.load_weights(model, prefix)
    of_keras = keras_files.is_keras_file(prefix)
    return Trained(model, config, prefix, keras_files.step_of(prefix) if of_keras else checkpoints.position(prefix)[0])
