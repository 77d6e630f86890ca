"""The class-conditional BiLSTM localiser: a whole video and a class in, how likely each frame shows it out.

Its score of a segment is one more feature of a pair. It has learned ratings, and a feature must not know what it is asked about.
So there are several localisers, each of which has left out another part of the videos, and of a video that was learned from only
the one is asked that left it out.

Source: the fifth place of 2019 (Last Top GB Model), read in its authors' code, with the specification's changes (section 3.1): a
row for each class that a video is rated for, the loss divided by the rated frames, batch norm on the input, and the first
layer's input product once a video.
"""

import zlib

import keras
import numpy as np
from keras import layers, ops

from yt8m.backend import dtype_policy
from yt8m.errors import UserError
from yt8m.layers.conditioned_lstm import ConditionedLSTM
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.recurrence import LSTM
from yt8m.progress import track
from yt8m.reranking import rankers
from yt8m.segments import SEGMENT_SIZE

NAME = "localizer"
LEAST = np.log(1e-7)  # of a segment's score, the mean logarithm of its frames' probabilities
STEPS = 60  # lengths are rounded up to so many frames, and rows to a power of two: fewer shapes, fewer compilations
VALUES = 2**15  # rows x units that are computed at a time


@dtype_policy("float32")
def localizer(num_classes, size, units=64, embedding=32):
    """The network.

    Args:
        num_classes: C.
        size: D, values of a frame.
        units: of each LSTM: two layers, each of one that reads ahead and one that reads back.
        embedding: of the class.

    Returns:
        keras.Model of a dict: frames uint8 [V, T, D], counts int [V], places int [N] (each row's video), classes int [N] ->
        logits float32 [N, T, 1]; at padding they mean nothing. The published sizes, units=256 and 1,000 classes, have 4,558,593
        trained values, and 2,304 of the batch norm, which is ours.
    """
    frames = keras.Input((None, size), dtype="uint8", name="frames")
    counts, places, classes = (keras.Input((), dtype="int32", name=name) for name in ("counts", "places", "classes"))
    real = FrameMask(name="mask")(frames, counts)
    x = layers.BatchNormalization(name="frame_norm")(Dequantize(name="dequantize")(frames, counts), mask=real)
    asked = layers.Embedding(num_classes, embedding, keras.initializers.RandomNormal(stddev=1.0), name="class_embedding")(classes)
    rows = {"vectors": asked, "places": places, "mask": ops.take(real, places, axis=0)}
    ahead = ConditionedLSTM(units, name="ahead")(x, **rows)
    back = ConditionedLSTM(units, backwards=True, name="back")(x, **rows)
    second = layers.Bidirectional(LSTM(units, return_sequences=True), name="second")
    h = second(ops.concatenate([ahead, back], axis=-1), mask=rows["mask"])  # [N, T, 2 U]
    inputs = [frames, counts, places, classes]
    return keras.Model({tensor.name: tensor for tensor in inputs}, layers.Dense(1, name="frame_logit")(h), name=NAME)


class Localizer:
    """Scores of segments by some localisers, each of which has left out the videos of its part.

    Args:
        models: of `localizer`, one a part, in the order of the parts.
        learned: ids of the videos that were learned from, by all models but their part's.
        units: of the models.
    """

    def __init__(self, models, learned, units):
        self.models, self._learned, self._rows = models, frozenset(learned), max(VALUES // units, 1)

    def __call__(self, videos):
        """float32 [sum of m]: the mean over a segment's real frames of log p, at least LEAST, of all that is asked of the videos.

        Of a video that was learned from, the model counts that did not; of any other, the mean of all.

        Args:
            videos: whole_videos.Asked each, read as they are needed.
        """
        scores, places, count, waiting, rows = [], [], 0, [], 0
        for asked in videos:
            for chosen, classes in _pieces(asked, self._rows):
                if rows + classes > self._rows:
                    scores.append(self._scores(waiting))
                    waiting, rows = [], 0
                waiting.append(asked._replace(starts=asked.starts[chosen], classes=asked.classes[chosen]))
                places.append(count + chosen)
                rows += classes
            count += len(asked.starts)
        if waiting:
            scores.append(self._scores(waiting))
        found = np.zeros(count, np.float32)
        if count:
            found[np.concatenate(places)] = np.concatenate(scores)
        return found

    def asked_of(self, id):
        """Numbers of the models that are asked about a video."""
        return [part_of(id, len(self.models))] if id in self._learned else list(range(len(self.models)))

    def _scores(self, videos):
        """__call__ of a list."""
        totals = [np.zeros(len(asked.starts), np.float64) for asked in videos]
        of_videos = [self.asked_of(asked.id) for asked in videos]
        for number, model in enumerate(self.models):
            chosen = [v for v, numbers in enumerate(of_videos) if number in numbers]
            if chosen:
                for v, scores in zip(chosen, _segment_scores(model, [videos[v] for v in chosen])):
                    totals[v] += scores / len(of_videos[v])
        return np.concatenate(totals).astype(np.float32)


def _pieces(asked, most):
    """Yields (places int [m], classes among them) of what is asked of a video, at most so many classes at a time."""
    classes, numbers = np.unique(asked.classes, return_inverse=True)
    for first in range(0, len(classes), most):
        chosen = np.flatnonzero((numbers >= first) & (numbers < first + most))
        yield chosen, min(most, len(classes) - first)


def part_of(id, parts):
    """The part, 0 to parts - 1, of a video's id."""
    return zlib.crc32(id.encode()) % parts


def fit(rated, num_classes, size, **options):
    """A Localizer that has learned rated videos.

    Args:
        rated: whole_videos.RatedVideos.
        num_classes: C; size: D.
        **options: as in rankers.OPTIONS["localizer"].

    Raises:
        UserError: an option that is none, or a part that would leave no video to learn from.
    """
    options = rankers.options_of(NAME, options)
    parts, models = options["parts"], []
    of_videos = [part_of(video.id, parts) for video in rated.videos]
    for part in range(parts):
        learned = [video for video, of_video in zip(rated.videos, of_videos) if of_video != part]
        if not learned:
            raise UserError(
                f"--method_options: parts={parts}: all {len(rated.videos)} rated videos are in one part, and nothing is left to "
                "learn from. Name more references."
            )
        keras.utils.set_random_seed(options["seed"] + part)
        model = localizer(num_classes, size, options["units"], options["embedding"])
        _train(model, rated, learned, options, options["seed"] + part, f"Training localiser {part + 1} of {parts}")
        _settle_unrated(model, np.unique(np.concatenate([video.classes for video in learned])))
        models.append(model)
    return Localizer(models, {video.id for video in rated.videos}, options["units"])


def _train(model, rated, videos, options, seed, title):
    """Trains a model on some RatedVideos: Adam, the rate falling in two steps."""
    batch, rng = min(options["batch_size"], len(videos)), np.random.default_rng(seed)
    steps = -(-len(videos) // batch)
    third, factors = max(steps * options["epochs"] // 3, 1), (1.0, options["second_rate"], options["third_rate"])
    rates = [options["learning_rate"] * factor for factor in factors]
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([third, 2 * third], rates)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction="sum")  # weighted by 1 / rated frames
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=options["clip_norm"]), loss=loss)
    for _ in track(range(options["epochs"]), title, "epochs"):
        order = rng.permutation(len(videos))
        for first in range(0, len(videos), batch):
            chosen = [videos[v] for v in order[first : first + batch]]
            inputs, places = _inputs([(rated.frames(video), np.unique(video.classes)) for video in chosen])
            model.train_on_batch(inputs, *_targets(chosen, inputs, places))


def _targets(videos, inputs, places):
    """(targets, weights) float32 [N, T, 1] and [N, T] of a batch: rated frames weigh 1 / their number, all others 0."""
    shape = len(inputs["classes"]), inputs["frames"].shape[1]
    targets, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for v, video in enumerate(videos):
        for start, c, label in zip(video.starts.tolist(), video.classes.tolist(), video.labels.tolist()):
            frames = slice(start, min(start + SEGMENT_SIZE, inputs["counts"][v]))
            targets[places[v, c], frames], weights[places[v, c], frames] = label > 0, 1.0
    return targets[:, :, None], weights / max(weights.sum(), 1.0)


def _settle_unrated(model, rated):
    """Asks for a class without ratings as for the mean of those that have some: its own vector is as it was drawn."""
    table = model.get_layer("class_embedding").embeddings
    values = ops.convert_to_numpy(table).copy()
    values[np.setdiff1d(np.arange(len(values)), rated)] = values[rated].mean(axis=0)
    table.assign(values)


def _inputs(videos):
    """The network's inputs of (frames uint8 [T, D], classes int [m], each once) each, and {(video, class): row}.

    Lengths and rows are rounded up: frames behind a video's end are padding, and rows behind the last ask the first video.
    """
    counts = np.array([len(frames) for frames, _ in videos], np.int32)
    frames = np.zeros((len(videos), -(-counts.max() // STEPS) * STEPS, videos[0][0].shape[1]), np.uint8)
    for v, (of_video, _) in enumerate(videos):
        frames[v, : len(of_video)] = of_video
    asked = [(v, c) for v, (_, classes) in enumerate(videos) for c in classes.tolist()]
    rows = np.zeros((2, 1 << (len(asked) - 1).bit_length()), np.int32)
    rows[:, : len(asked)] = np.transpose(asked)
    inputs = {"frames": frames, "counts": counts, "places": rows[0], "classes": rows[1]}
    return inputs, {pair: row for row, pair in enumerate(asked)}


def _segment_scores(model, videos):
    """Of Asked each float64 [m]."""
    inputs, places = _inputs([(asked.frames, np.unique(asked.classes)) for asked in videos])
    logits = np.asarray(model.predict_on_batch(inputs), np.float64)[:, :, 0]  # [N, T]
    logs, scores = -np.logaddexp(0.0, -logits), []
    for v, asked in enumerate(videos):
        segments = zip(asked.starts.tolist(), asked.classes.tolist())
        means = [logs[places[v, c], start : min(start + SEGMENT_SIZE, len(asked.frames))].mean() for start, c in segments]
        scores.append(np.maximum(means, LEAST))
    return scores
