"""The classifiers that models end in, by name."""

import inspect

import keras

from yt8m.errors import UserError
from yt8m.layers.experts import LogisticHead, MixtureOfExperts
from yt8m.layers.shared_gate_moe import SharedGateMixtureOfExperts

HEADS = {"LogisticModel": LogisticHead, "MoeModel": MixtureOfExperts, "SharedGateMoeModel": SharedGateMixtureOfExperts}


def head_class(name):
    """The layer that --video_level_classifier_model=NAME stands for.

    Raises:
        UserError: no head of that name; the line lists the known ones.
    """
    if name not in HEADS:
        raise UserError(f"video_level_classifier_model={name!r}: use one of {', '.join(sorted(HEADS))}.")
    return HEADS[name]


def head_policy():
    """Name of the dtype policy that a model's head has: mixed_bfloat16 where that is in force, else float32.

    It is about the products: a head's softmax, sigmoid and sums are float32. Logits in float16 could overflow.
    """
    policy = keras.config.dtype_policy().name
    return policy if policy == "mixed_bfloat16" else "float32"


def layer_arguments(layer):
    """Argument -> default of a head's layer, but for num_classes."""
    parameters = inspect.signature(layer).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in ("num_classes", "dtype")}
