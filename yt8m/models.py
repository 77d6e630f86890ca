"""Models by name: what --model=NAME and the hyper-parameters beside it build."""

import importlib
import pkgutil

from yt8m import frame_level_models, jsonfiles, registry
from yt8m.base_model import constructor_arguments, model_inputs
from yt8m.base_model.heads import head_class, layer_arguments
from yt8m.errors import UserError
from yt8m.flags.values import check_like
from yt8m.frame_level_models.attention import MultiAttentionModel

__all__ = [
    "ALIASES",
    "build_model",
    "check_hyperparameters",
    "check_scores_videos",
    "has_attention",
    "hyperparameters",
    "model_class",
    "model_inputs",
    "model_names",
    "needs_whole_videos",
    "settled",
    "takes_frames",
]

_FILES = [f"yt8m.frame_level_models.{module.name}" for module in pkgutil.iter_modules(frame_level_models.__path__)]
for _file in ("yt8m.video_level_models", *_FILES):
    importlib.import_module(_file)

# Flag names of the starter code and of its descendants -> ours.
ALIASES = {
    "moe_num_mixtures": "num_mixtures",
    "moe_l2": "l2_penalty",
    "moe_low_rank_gating": "low_rank_gates",
    "moe_prob_gating": "probability_gating",
    "moe_probability_gating": "probability_gating",
    "moe_prob_gating_input": "gating_input",
    "gating_remove_diag": "remove_diagonal",
    "iterations": "num_samples",
    "dbof_cluster_size": "cluster_size",
    "dbof_hidden_size": "hidden_size",
    "dbof_pooling_method": "pooling_method",
    "dbof_add_batch_norm": "add_batch_norm",
    "dbof_activation": "activation",
    "netvlad_cluster_size": "cluster_size",
    "netvlad_hidden_size": "hidden_size",
    "netvlad_add_batch_norm": "add_batch_norm",
    "netvlad_relu": "relu",
    "lstm_cells": "units",
    "lstm_layers": "num_layers",
    "gru_cells": "units",
    "gru_layers": "num_layers",
}
_SIZES = ("num_classes", "feature_sizes")
_HEAD, _HEAD_OPTIONS = "video_level_classifier_model", "head_options"


def model_names():
    """Names that build_model knows, sorted."""
    return registry.names("model")


def model_class(name):
    """The class registered under a name; UserError for an unknown name."""
    return registry.get("model", name)


def takes_frames(name):
    """Whether the model takes frames, not video-level features; UserError for an unknown name."""
    return model_class(name).TAKES_FRAMES


def hyperparameters(name, head=None):
    """Hyper-parameter -> default of a model, those of its head included.

    Args:
        name: of the model.
        head: name of the head; None: the model's default. Ignored where the model has no choice of heads.

    Raises:
        UserError: an unknown model or head.
    """
    model = model_class(name)
    arguments = {k: v for k, v in constructor_arguments(model).items() if k not in _SIZES}
    if _HEAD not in arguments:
        return arguments
    head = head or arguments[_HEAD]
    head_arguments = {**layer_arguments(head_class(head)), **(model.HEAD_DEFAULTS or {}).get(head, {})}
    return {**head_arguments, **arguments, _HEAD: head}


def check_scores_videos(name):
    """Raises UserError for a model that scores segments only."""
    model_class(name).check_scores_videos()


def has_attention(name):
    """Whether the model weighs the frames by attentions that start-time supervision can teach."""
    return issubclass(model_class(name), MultiAttentionModel)


def needs_whole_videos(name):
    """Whether the model scores a segment by the video around it."""
    return model_class(name).NEEDS_WHOLE_VIDEOS


_known = hyperparameters  # build_model has an argument of that name


def build_model(name, num_classes, feature_sizes=(1024, 128), video_prediction="whole", **hyperparameters):
    """Builds a registered model.

    Args:
        name: of the model.
        num_classes: C, columns of the predictions.
        feature_sizes: values of each feature, in the order in which they are concatenated.
        video_prediction: "whole" or "segments_mean", as in FrameModel.
        **hyperparameters: arguments of the model's constructor, or of its head's layer (they go to head_options; where both
            have one of that name, as momentum, the model's is meant), or names in ALIASES.

    Returns:
        A keras.Model, {frames uint8 [B, T, D], num_frames int32 [B]} or {features float32 [B, D]} -> float32 [B, C].

    Raises:
        UserError: an unknown model, head or hyper-parameter, one given twice, or a value that the model refuses.
    """
    model = model_class(name)
    check_hyperparameters(name, hyperparameters)
    given = _without_aliases(hyperparameters)
    known = constructor_arguments(model)
    arguments = {k: v for k, v in given.items() if k in known}
    head_options = {k: v for k, v in given.items() if k not in known}
    if head_options:
        arguments[_HEAD_OPTIONS] = {**(arguments.get(_HEAD_OPTIONS) or {}), **head_options}
    try:
        return model(num_classes, feature_sizes, video_prediction=video_prediction, **arguments)
    except UserError:
        raise
    except Exception as error:
        if not hyperparameters:
            raise
        reason, given = (str(error).splitlines() or [type(error).__name__])[0][:150], jsonfiles.shown(hyperparameters, 200)
        raise UserError(
            f"--hyperparameters={given}: no {name} can be built with them ({reason}). Check their types and sizes."
        ) from error


def settled(name, hyperparameters, earlier=False):
    """Hyper-parameters as a record has them, and beside them those whose defaults have changed (BaseModel.settled).

    Args:
        name: of the model.
        hyperparameters: as build_model's.
        earlier: the record is of before the defaults changed.
    """
    return model_class(name).settled(_without_aliases(hyperparameters), earlier)


def check_hyperparameters(name, hyperparameters):
    """Refuses names that the model does not know, and lists those that it does; and values of other types than the defaults'.

    Raises:
        UserError: names the hyper-parameter.
    """
    given = _without_aliases(hyperparameters)
    known = _known(name, given.get(_HEAD))
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UserError(f"unknown hyperparameter {unknown[0]!r} of {name}: use one of {', '.join(sorted(known))}.")
    for argument, value in given.items():
        check_like(argument, value, known[argument])


def _without_aliases(hyperparameters):
    """The hyper-parameters under the names of the constructors' arguments."""
    given = {}
    for key, value in hyperparameters.items():
        name = ALIASES.get(key, key)
        if name in given:
            raise UserError(f"{key}={value!r}: {name} was given already ({given[name]!r}); leave one of the two.")
        given[name] = value
    return given
