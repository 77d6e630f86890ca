"""What every model of the project is: a functional Keras graph with its constructor's arguments for a config."""

import inspect

import keras
from keras import layers, ops

from yt8m.base_model.checks import check_sizes
from yt8m.base_model.heads import head_class, head_policy
from yt8m.base_model.parts import Graph, Part
from yt8m.errors import UserError
from yt8m.readers.spec import RatedSegments
from yt8m.segments import windows_of


def constructor_arguments(model):
    """Argument -> default (inspect.Parameter.empty: none) of a model class's constructor, but for its name."""
    return {"num_classes": inspect.Parameter.empty, "feature_sizes": (1024, 128), **model.ARGUMENTS}


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


class BaseModel(keras.Model):
    """A functional graph, drawn by `graph` from the constructor's arguments.

    The arguments that a model has besides these here stand in its ARGUMENTS, with their defaults. Each is an attribute of the
    same name (NAME_name where that is a method's, as `attention`) once check_arguments has seen to it, and all are the config.
    The dtype policy is the one in force when the model is built and is not part of the config; variables are float32 under all
    of them.

    Args:
        num_classes: C.
        feature_sizes: sizes of the features, in the order in which they are concatenated; D is their sum.
        name: of the model.
        video_prediction: one of VIDEO_PREDICTIONS; kept in the config where it is not "whole".
        **arguments: of ARGUMENTS.

    Raises:
        UserError: sizes that are not positive, a video_prediction that the model has not, or as check_arguments and `graph`.
    """

    ARGUMENTS = {}  # constructor's argument -> default
    # Head's name -> options that the model gives it unless told otherwise; None: it gives none, head_options stay as they come.
    HEAD_DEFAULTS = None
    # Argument -> what it was, or was as if it were, before its default changed or it came: a record that does not name it and is
    # of before then means that.
    EARLIER_DEFAULTS = {}
    # As the segment encoder of ContextAwareModel: the layer whose output before its activation is the segment's vector; None: the
    # embedding is.
    SEGMENT_LAYER = None
    GAINS_BY_BFLOAT16 = False  # on a CPU that multiplies bfloat16 faster: docs/speed.md says of what that was measured
    RECIPE = "starter"  # which training recipe it has on named data
    SEGMENT_EXPANSION = 0  # frames on either side of a segment that it sees on named data
    # On the built-in sample, so that a run takes minutes: "hyperparameters" that make it smaller, "base_learning_rate" where the
    # sample's common one does not suit it.
    SAMPLE = {}

    TAKES_FRAMES = True  # not video-level features
    NEEDS_WHOLE_VIDEOS = False  # it scores a segment by the video around it
    SCORES_VIDEOS = True  # not only segments in their videos
    # How a video's prediction comes about: "whole", of all its frames (as they are given) at once, or "segments_mean".
    VIDEO_PREDICTIONS = ("whole",)
    NO_SEGMENTS_MEAN = ""  # why it has no "segments_mean"
    SCORES_WINDOWS = True  # a segment is a window of frames to it; False: it cuts the video into segments itself
    FINDS_SEGMENTS_BY_POSITION = True  # in whole videos with their rated segments; False: the batch has the segments' frames
    HAS_ENCODERS = False  # models of their own that are pre-trained in its place; a video's is asked once for all its segments
    RATED_ROWS = RatedSegments  # the kind of rows in which it takes rated segments

    def __init__(self, num_classes, feature_sizes=(1024, 128), *, name=None, video_prediction="whole", **arguments):
        unknown = sorted(set(arguments) - set(self.ARGUMENTS))
        if unknown:
            raise TypeError(f"{type(self).__name__} has no argument {unknown[0]!r}.")
        self.check_video_prediction(video_prediction)
        self.video_prediction = video_prediction
        self.num_classes, self.feature_sizes = num_classes, check_sizes(num_classes, feature_sizes)
        for argument, value in {**self.ARGUMENTS, **arguments}.items():
            setattr(self, self._attribute(argument), value)
        if self.HEAD_DEFAULTS is not None:
            defaults = self.HEAD_DEFAULTS.get(self.video_level_classifier_model, {})
            self.head_options = {**defaults, **(self.head_options or {})}
        self.check_arguments()
        graph = self.of_videos(self.graph())
        super().__init__(inputs=graph.inputs, outputs=graph.outputs, name=name)
        # Bound methods, not models: an attribute that is a model would be tracked and saved with the same layers again.
        self._embed = keras.Model(graph.inputs, graph.embedding).__call__
        self._predict_with = graph.beside and keras.Model(graph.inputs, {"predictions": graph.outputs, **graph.beside}).__call__
        self.loss_entries = tuple(graph.beside or ())  # names of what training_outputs gives a loss
        self._attend = None if graph.attention is None else keras.Model(graph.inputs, graph.attention).__call__

    def __init_subclass__(cls, **options):
        """Python's help shows a model's arguments."""
        super().__init_subclass__(**options)
        defaults = {**constructor_arguments(cls), "name": None, "video_prediction": "whole"}
        kinds = dict.fromkeys(defaults, inspect.Parameter.KEYWORD_ONLY)
        kinds["num_classes"] = kinds["feature_sizes"] = inspect.Parameter.POSITIONAL_OR_KEYWORD
        cls.__signature__ = inspect.Signature([inspect.Parameter(n, kinds[n], default=defaults[n]) for n in defaults])

    @classmethod
    def _attribute(cls, argument):
        """Name of the attribute that keeps an argument."""
        return f"{argument}_name" if callable(getattr(cls, argument, None)) else argument

    def check_arguments(self):
        """Refuses arguments that make no model, and puts the others in the form that the config keeps.

        Raises:
            UserError: names the argument.
        """

    def graph(self):
        """The Graph. Its layers are created here; their order decides which of a seeded run's random numbers each gets."""
        raise NotImplementedError

    def of_videos(self, graph):
        """The Graph whose rows are what the model was given, from the one of `graph`."""
        return graph

    def head(self, name="head"):
        """The classifier that video_level_classifier_model and head_options stand for."""
        layer = head_class(self.video_level_classifier_model)
        return layer(self.num_classes, name=name, dtype=head_policy(), **(self.head_options or {}))

    def graph_of_branches(self, inputs, branch):
        """The Graph of num_branches networks side by side, which share the inputs; the prediction is the mean of theirs.

        With more than one a loss gets `branch_predictions` float32 [B, N, C].

        Args:
            inputs: dict of keras.Input.
            branch: function of what the names of a branch's layers begin with ("" where it is the only one) that gives what its
                head sees, [B, E].
        """
        names = [f"branch_{n}_" for n in range(1, self.num_branches + 1)] if self.num_branches > 1 else [""]
        seen = [branch(name) for name in names]
        predictions = [self.head(f"{name}head")(x) for name, x in zip(names, seen)]
        if self.num_branches == 1:
            return Graph(inputs, predictions[0], seen[0])
        of_branches = ops.stack(predictions, axis=1)  # [B, N, C]
        beside = {"branch_predictions": of_branches}
        return Graph(inputs, ops.mean(of_branches, axis=1), ops.concatenate(seen, axis=-1), beside=beside)

    def get_config(self):
        arguments = {name: getattr(self, self._attribute(name)) for name in constructor_arguments(type(self))}
        if self.video_prediction != "whole":
            arguments["video_prediction"] = self.video_prediction
        return {"name": self.name, **{k: dict(v) if isinstance(v, dict) else v for k, v in arguments.items()}}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**cls.settled(config, earlier=True))  # get_config names all arguments that there are

    @classmethod
    def settled(cls, arguments, earlier=False):
        """The arguments, and beside them those of EARLIER_DEFAULTS that they do not name.

        Args:
            arguments: of the constructor, as a record has them.
            earlier: the record is of before these defaults changed; False: of since then.
        """
        values = cls.EARLIER_DEFAULTS if earlier else {name: cls.ARGUMENTS[name] for name in cls.EARLIER_DEFAULTS}
        return {**values, **arguments}

    # ------------------------------------------------------------ what it sees

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

    # ------------------------------------------------------------ rows and segments

    @classmethod
    def check_scores_videos(cls):
        """Raises UserError for a model that scores segments only."""
        if not cls.SCORES_VIDEOS:
            raise UserError(f"{cls.__name__} scores segments in their videos, not whole videos. Use --segment_labels.")

    @classmethod
    def ends(cls, arguments):
        """Frames (at the beginning, at the end) that a model of these arguments leaves out of a video, as FrameSampling says."""
        return 0, 0

    @classmethod
    def judges_described(cls, arguments, width):
        """Whether a model of these arguments can judge a window of `width` frames by what was made of each frame before."""
        return False

    @classmethod
    def check_video_prediction(cls, video_prediction):
        """Raises UserError for a video_prediction that is none of VIDEO_PREDICTIONS."""
        if video_prediction not in cls.VIDEO_PREDICTIONS:
            known = f"Use {' or '.join(cls.VIDEO_PREDICTIONS)}"
            raise UserError(f"--video_prediction={video_prediction}: not for {cls.__name__}{cls.NO_SEGMENTS_MEAN}. {known}.")

    @property
    def suits_xla(self):
        """Whether compiling its training step pays: shapes stay the same, and there is no recurrent layer, which cuDNN has."""
        return not any(isinstance(layer, layers.RNN) for layer in self.layers)

    def predict_rated(self, batch, training=False):
        """Probabilities of a batch's rows, whatever these are.

        Args:
            batch: rows for the model itself (entries that it does not take are ignored), or, with `segment_rows` int [N], N
                segments of B videos as the reader gives them for this kind of model (RATED_ROWS).
            training: for a training step.

        Returns:
            float32 [B, C], or [N, C] for segments.
        """
        return self(model_inputs(self, batch), training=training)

    def training_outputs(self, batch):
        """Probabilities of a batch's rows in a training step, as predict_rated's, and {name: tensor} of what a loss may need."""
        if self._predict_with is None:
            return self.predict_rated(batch, training=True), {}
        outputs = self._predict_with(model_inputs(self, batch), training=True)
        return outputs.pop("predictions"), outputs

    def window_inputs(self, frames, num_frames):
        """A batch for predict_rated in which a row is a window of frames, uint8 [N, W, D] with their real ones, int [N]."""
        return {"frames": frames, "num_frames": num_frames}

    def segment_inputs(self, segments):
        """A batch for predict_rated in which a row is a segment.

        Args:
            segments: N segments in their B videos: their windows `frames` uint8 [N, W, D] and `num_frames` int32 [N], int [N]
                `segment_rows`, the video of each, and `start_times`, and the videos' `context_frames` uint8 [B, T, D] and
                `context_num_frames` int32 [B].
        """
        return self.window_inputs(segments["frames"], segments["num_frames"])

    def segment_batches(self, frames, num_frames, windows, chunk):
        """Batches for predict_rated whose rows, batch after batch, are the segments of the windows.

        Args:
            frames, num_frames: the videos, uint8 [B, T, D] and int [B], NumPy.
            windows: Windows.
            chunk: windows a batch.

        Yields:
            dicts; of a model that HAS_ENCODERS without the videos: `context_embedding` [B, E] stands for them (encode_context).
        """
        for begin in range(0, len(windows.rows), chunk):
            rows, starts, indices, counts = (part[begin : begin + chunk] for part in windows[:4])
            seen = {"frames": windows_of(frames, rows, indices, counts), "num_frames": counts}
            yield self.segment_inputs({**seen, "segment_rows": rows, "start_times": starts})

    def shared_frames(self, width):
        """The SharedFrames that judge windows of `width` frames as predict_rated does; None: only whole windows can be judged."""
        return None

    def serving_parts(self):
        """The Parts that serve the model's segments, in the order in which they are asked; the last gives probabilities."""
        return [Part("segment", "probabilities", lambda row: self.predict_rated(self.window_inputs(**row)))]
