"""Models by name: what --model=NAME and the hyper-parameters beside it build."""

import importlib
import pkgutil

from keras import ops

import yt8m.video_level_models as video_level_models
from yt8m import frame_level_models, registry
from yt8m.base_model import constructor_arguments, model_inputs
from yt8m.errors import UserError
from yt8m.frame_level_models.attention import MultiAttentionModel

__all__ = [
    "ALIASES",
    "build_model",
    "check_hyperparameters",
    "has_attention",
    "hyperparameters",
    "kind",
    "model_inputs",
    "model_names",
    "needs_whole_videos",
    "predict",
    "takes_frames",
]

for _module in pkgutil.iter_modules(frame_level_models.__path__):
    importlib.import_module(f"{frame_level_models.__name__}.{_module.name}")

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


def kind(name):
    """KIND of a registered model: "frame", "video", "sequence" or "context"; UserError for an unknown name."""
    return registry.get("model", name).KIND


def takes_frames(name):
    """Whether the model takes frames, not video-level features; UserError for an unknown name."""
    return kind(name) != "video"


def hyperparameters(name, head=None):
    """Hyper-parameter -> default of a model, those of its head included.

    Args:
        name: of the model.
        head: name of the head; None: the model's default. Ignored where the model has no choice of heads.

    Raises:
        UserError: an unknown model or head.
    """
    model = registry.get("model", name)
    arguments = {k: v for k, v in constructor_arguments(model).items() if k not in _SIZES}
    if _HEAD not in arguments:
        return arguments
    head = head or arguments[_HEAD]
    head_arguments = {**constructor_arguments(video_level_models.head_class(head)), **model.HEAD_DEFAULTS.get(head, {})}
    return {**{k: v for k, v in head_arguments.items() if k not in _SIZES}, **arguments, _HEAD: head}


def check_scores_videos(name):
    """Raises UserError for a model that scores segments only."""
    if kind(name) == "context":
        raise UserError(f"{name} scores segments in their videos, not whole videos. Use --segment_labels.")


def predict(model, batch, training=False):
    """Probabilities of a batch's rows, whatever kind of model and of batch.

    Args:
        model: BaseModel.
        batch: rows for the model itself (entries that it does not take are ignored); or N segments of B videos: for a sequence
            model `frames` uint8 [B, T, D], `num_frames` [B] and, int [N], `segment_rows`, the video of each segment, and
            `start_times`; for a context model `frames` uint8 [N, W, D], `num_frames` [N], `segment_rows`, and of the videos
            `context_frames` uint8 [B, T, D], `context_num_frames` [B].
        training: for a training step.

    Returns:
        float32 [B, C], or [N, C] for segments of whole videos.
    """
    if "segment_rows" not in batch or model.KIND in ("frame", "video"):
        return model(model_inputs(model, batch), training=training)
    rows = batch["segment_rows"]
    if model.KIND == "sequence":
        scores = model.segment_probabilities(batch, training=training)  # [B, S, C]
        at = rows * ops.shape(scores)[1] + batch["start_times"] // model.segment_size
        return ops.take(ops.reshape(scores, (-1, scores.shape[-1])), at, axis=0)
    context = ops.take(model.encode_context(batch, training=training), rows, axis=0)  # each video is encoded once
    return model.predict_segments(context, batch["frames"], batch["num_frames"], training=training)


def has_attention(name):
    """Whether the model weighs the frames by attentions that start-time supervision can teach."""
    return issubclass(registry.get("model", name), MultiAttentionModel)


def needs_whole_videos(name):
    """Whether the model scores a segment by the video around it."""
    return kind(name) in ("sequence", "context")


_known = hyperparameters  # build_model has an argument of that name


def build_model(name, num_classes, feature_sizes=(1024, 128), **hyperparameters):
    """Builds a registered model.

    Args:
        name: of the model.
        num_classes: C, columns of the predictions.
        feature_sizes: values of each feature, in the order in which they are concatenated.
        **hyperparameters: arguments of the model's constructor, or of its head's layer (they go to head_options; where both
            have one of that name, as momentum, the model's is meant), or names in ALIASES.

    Returns:
        A keras.Model, {frames uint8 [B, T, D], num_frames int32 [B]} or {features float32 [B, D]} -> float32 [B, C].

    Raises:
        UserError: an unknown model, head or hyper-parameter, one given twice, or a value that the model refuses.
    """
    model = registry.get("model", name)
    check_hyperparameters(name, hyperparameters)
    given = _without_aliases(hyperparameters)
    own = constructor_arguments(model)
    arguments = {k: v for k, v in given.items() if k in own}
    head_options = {k: v for k, v in given.items() if k not in own}
    if head_options:
        arguments[_HEAD_OPTIONS] = {**(arguments.get(_HEAD_OPTIONS) or {}), **head_options}
    return model(num_classes, feature_sizes, **arguments)


def check_hyperparameters(name, hyperparameters):
    """Raises a UserError that lists the known ones for a name that build_model would refuse."""
    given = _without_aliases(hyperparameters)
    known = _known(name, given.get(_HEAD))
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UserError(f"unknown hyperparameter {unknown[0]!r} of {name}: use one of {', '.join(sorted(known))}.")


def _without_aliases(hyperparameters):
    """The same under our own names."""
    given = {}
    for key, value in hyperparameters.items():
        name = ALIASES.get(key, key)
        if name in given:
            raise UserError(f"{key}={value!r}: {name} was given already ({given[name]!r}); leave one of the two.")
        given[name] = value
    return given
