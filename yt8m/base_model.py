"""What every model of the project is: a functional Keras graph with its constructor's arguments for a config."""

import inspect

import keras

from yt8m.errors import UserError


def constructor_arguments(cls):
    """Argument -> default (inspect.Parameter.empty: none) of a class's constructor, without self, name and dtype.

    A model that passes **options on to the model it derives from has that one's arguments too.
    """
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    own = {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in ("name", "dtype")}
    passes_on = any(p.kind is p.VAR_KEYWORD for p in parameters)
    parent = cls.__bases__[0]
    if passes_on and issubclass(parent, BaseModel) and parent is not BaseModel:
        return {**constructor_arguments(parent), **own}
    return own


def model_inputs(model, batch):
    """The entries of a batch that the model takes: a functional graph refuses a dict with ids and labels in it.

    Raises:
        UserError: the batch lacks one of them.
    """
    names = [tensor.name for tensor in model.inputs]
    missing = [name for name in names if name not in batch]
    if missing:
        raise UserError(
            f"{type(model).__name__} takes {', '.join(names)} and the batch has no {', '.join(missing)}: "
            f"read {'video-level features' if 'features' in missing else 'frame-level features'} for it."
        )
    return {name: batch[name] for name in names}


def check_sizes(num_classes, feature_sizes):
    """Raises UserError unless num_classes is a positive int and feature_sizes one or more of them; returns them as a tuple."""
    if not _is_positive_int(num_classes):
        raise UserError(f"num_classes={num_classes!r}: use the number of classes, at least 1.")
    if isinstance(feature_sizes, (str, bytes)) or not hasattr(feature_sizes, "__iter__"):
        raise UserError(f"feature_sizes={feature_sizes!r}: use a list of sizes, one a feature, such as (1024, 128).")
    feature_sizes = tuple(feature_sizes)
    if not feature_sizes or not all(_is_positive_int(size) for size in feature_sizes):
        raise UserError(f"feature_sizes={feature_sizes!r}: use one positive size a feature, such as (1024, 128).")
    return feature_sizes


def _is_positive_int(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def frame_inputs(feature_sizes):
    """The symbolic batch of a frame-level model: frames uint8 [B, T, D], num_frames int32 [B]; D is the sum of the sizes."""
    return {
        "frames": keras.Input((None, sum(feature_sizes)), dtype="uint8", name="frames"),
        "num_frames": keras.Input((), dtype="int32", name="num_frames"),
    }


class BaseModel(keras.Model):
    """A functional graph that a subclass builds in its constructor.

    A subclass keeps one attribute a constructor argument, under the argument's name: that is its config. Its dtype policy
    is the one in force when it is built and is not part of the config; variables are float32 under all of them.

    Args:
        inputs: dict of keras.Input.
        outputs: probabilities, float32.
        embedding: what the classifier sees.
        attention: weights of the frames, float32 [B, T, number of features, M], or None.
    """

    KIND = "frame"  # what it maps: "frame", "video" (features of a whole video), "sequence" or "context" with a segment
    HEAD_DEFAULTS = {}  # head's name -> options that the model gives it unless told otherwise
    RECIPE = "starter"  # which training recipe it has on named data
    SEGMENT_EXPANSION = 0  # frames on either side of a segment that it sees on named data
    NEEDS_WHOLE_VIDEOS = False  # it scores a segment by the video around it
    # On the built-in sample, so that a run takes minutes: "hyperparameters" that make it smaller, "base_learning_rate" where the
    # sample's common one does not suit it.
    SAMPLE = {}

    def __init__(self, inputs, outputs, embedding, attention=None, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        # Bound methods, not models: an attribute that is a model would be tracked and saved with the same layers again.
        self._embed = keras.Model(inputs, embedding).__call__
        self._attend = None if attention is None else keras.Model(inputs, attention).__call__

    def embed(self, inputs, training=False):
        """The vectors that the classifier sees, for a batch (entries that the model does not take are ignored)."""
        return self._embed(model_inputs(self, inputs), training=training)

    @property
    def encoder(self):
        """The graph up to the embedding: a keras.Model with the inputs, the layers and the weights of this one."""
        return self._embed.__self__

    @property
    def has_attention(self):
        """Whether `attention` can be asked."""
        return self._attend is not None

    def attention(self, inputs):
        """Weights of the frames in inference, float32 [B, T, number of features, M], 0 on padding; each sums to 1 over T.

        Raises:
            UserError: the model has no attention.
        """
        if self._attend is None:
            raise UserError(f"{type(self).__name__} has no attention over the frames: use AttentionModel or MultiAttentionModel.")
        return self._attend(model_inputs(self, inputs), training=False)

    def get_config(self):
        arguments = {name: getattr(self, name) for name in constructor_arguments(type(self))}
        return {"name": self.name, **{k: dict(v) if isinstance(v, dict) else v for k, v in arguments.items()}}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
