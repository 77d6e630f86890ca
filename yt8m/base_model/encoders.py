"""The models that context models begin with: built under their names, cut at a layer, and filled with trained weights."""

import keras

from yt8m import registry
from yt8m.base_model.base import constructor_arguments
from yt8m.errors import UserError


def build_encoder(argument, name, feature_sizes, options, scope, num_classes=1, cut=False):
    """The frame-level model `name`, its weights' paths under `scope`.

    Args:
        argument: constructor argument that named it, for errors.
        name: registered name.
        feature_sizes: of the frames.
        options: arguments of its constructor, or None.
        scope: first part of the paths.
        num_classes: of its classifier, where that is used.
        cut: the ends of what it sees are cut off already: it leaves out none.

    Raises:
        UserError: no model of frames, or an option that it does not have.
    """
    model = registry.get("model", name)
    if not (model.TAKES_FRAMES and model.SCORES_VIDEOS):
        raise UserError(f"{argument}={name!r}: use a model of frames, such as GatedDbofModel or NeXtVladModel.")
    known = sorted(set(constructor_arguments(model)) - {"num_classes", "feature_sizes"})
    for option in options or {}:
        if option not in known:
            raise UserError(f"{argument.replace('_model', '_options')}: {name} has no {option!r}; use {', '.join(known)}.")
    no_ends = {end: 0 for end in ("skip_head", "skip_tail") if cut and end in model.ARGUMENTS}
    with keras.name_scope(scope):
        return model(num_classes, feature_sizes, **{**(options or {}), **no_ends})


def encoder_of(model, layer, name, activation=True):
    """The graph of a model up to a layer's output, or up to its embedding, as a keras.Model.

    Args:
        model: BaseModel.
        layer: name of a layer whose output is [B, E], or None: the embedding.
        name: of the result.
        activation: of a layer that an activation follows: whether it is the output after that. A layer NAME with an activation
            layer of its own has it under the name NAME_activation.

    Raises:
        UserError: no such layer, one with an output of another rank, or one that applies its activation itself, which is to be
            left out.
    """
    if layer is None:
        return keras.Model(model.input, model.encoder.output, name=name)
    vectors = [x.name for x in model.layers if isinstance(x.output, keras.KerasTensor) and len(x.output.shape) == 2]
    if layer not in vectors:
        raise UserError(
            f"segment_layer={layer!r}: {type(model).__name__} has no layer of that name that gives a vector; "
            f"use None for its embedding, or one of {', '.join(vectors)}."
        )
    chosen = model.get_layer(layer)
    if activation and f"{layer}_activation" in vectors:
        chosen = model.get_layer(f"{layer}_activation")
    elif not activation and getattr(chosen, "activation", keras.activations.linear) is not keras.activations.linear:
        raise UserError(
            f"segment_activation=False: {layer} of {type(model).__name__} applies its activation itself. Use True, or another "
            "segment_layer."
        )
    return keras.Model(model.input, chosen.output, name=name)


def whole_of(model, name):
    """The graph of a model up to its embedding and its output, as a keras.Model with these two outputs."""
    return keras.Model(model.input, [model.encoder.output, model.output], name=name)


def copy_weights(source, target, argument):
    """Copies a graph's weights to a graph of the same kind; UserError if their shapes differ."""
    if [w.shape for w in source.weights] != [w.shape for w in target.weights]:
        raise UserError(f"{argument}: the pre-trained weights do not fit: use a {argument}_model with {argument}_options.")
    target.set_weights(source.get_weights())
