"""A context model from two encoders that are pre-trained as video models (papers 002, section 3.8, and 003, section 4.2)."""

import dataclasses
import json
import os

import keras

from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.stages.start import prepare_folder, whereabouts
from yt8m.training import checkpoints as ckpt
from yt8m.training import hosts, stopping
from yt8m.training.devices import choose_strategy
from yt8m.training.optimizers import make_optimizer
from yt8m.training.restore import build


def join(stage, model_config, pretrain=None):
    """Saves in the train_dir, as a pre-trained model, a context model with trained encoders.

    An encoder that no checkpoint names is pre-trained in the folder `context` or `segment` of the train_dir; an encoder that
    both sides share is trained once. What the whole model adds to the encoders is as it was initialised.

    Args:
        stage: TrainConfig, with context_checkpoint and segment_checkpoint where there are such runs.
        model_config: ModelConfig of the context model.
        pretrain: function (TrainConfig, ModelConfig) -> keras.Model, or None when SIGTERM stopped it. Not needed where both
            encoders are named by checkpoints.

    Returns:
        The context model, or None when SIGTERM stopped the training of an encoder.

    Raises:
        UserError: no such checkpoint, one of another model, or the train_dir holds a later stage.
    """
    stopping.forget()
    whereabouts(stage)
    choose_strategy(stage.devices)  # several of a CPU, before the model is built: TensorFlow divides none that has computed
    keras.utils.set_random_seed(stage.seed)
    model = build(model_config)
    prepare_folder(stage)
    trained = {}
    for part in ("context", "segment"):
        name, options = getattr(model, f"{part}_model"), getattr(model, f"{part}_options") or {}
        checkpoint = getattr(stage, f"{part}_checkpoint")
        key = checkpoint or json.dumps([name, options], sort_keys=True)
        if checkpoint:
            trained[key] = encoder_from(checkpoint, part, name)
        elif key not in trained:
            print(f"pretrain: the {part} encoder")
            trained[key] = pretrain(
                encoder_stage(stage, part), dataclasses.replace(model_config, model=name, hyperparameters=dict(options))
            )
            if trained[key] is None or stopping.stops_after(f"the {part} encoder"):
                return None
        model.load_encoders(**{part: trained[key]})
    if hosts.is_chief():
        optimizer = make_optimizer(stage.optimizer, stage.base_learning_rate)
        optimizer.build(model.trainable_variables)
        configs.write_model_config(stage.train_dir, model_config)
        ckpt.Checkpoints(stage.train_dir, model, optimizer).save()
    hosts.wait()
    return model


def encoder_stage(stage, part):
    """The TrainConfig of an encoder, from that of the whole model."""
    return dataclasses.replace(
        stage, train_dir=os.path.join(stage.train_dir, part), start_new_model=False, learning_rate_multipliers=None
    )


def encoder_from(checkpoint, part, name):
    """The trained model that --context_checkpoint or --segment_checkpoint names.

    Raises:
        UserError: there is none, it is another model than the context model's encoder, or a context encoder that was
            trained on segments only.
    """
    prefix, folder = ckpt.find(checkpoint, f"--{part}_checkpoint")
    config = configs.read_model_config(folder)
    if config.model != name:
        raise UserError(f"--{part}_checkpoint={checkpoint}: a {config.model}. Use a {name}, or another {part}_model.")
    if part == "context" and config.video_prediction != "whole":
        raise UserError(
            f"--context_checkpoint={checkpoint}: trained with --video_prediction={config.video_prediction}, so that it has seen "
            "segments only, and here it would see whole videos. Use a run with --video_prediction=whole."
        )
    model = build(config)
    ckpt.load_weights(model, prefix)
    return model
