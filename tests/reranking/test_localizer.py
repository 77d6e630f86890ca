"""The localiser: sizes, what must not change its scores, and that no score knows the ratings of its own video."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import make_segments, write_frame_shards
from yt8m.errors import UserError
from yt8m.readers.records import Video
from yt8m.reranking import localizer, rankers
from yt8m.reranking.frames import FrameFeatures, ShardFrames, read_rated
from yt8m.reranking.whole_videos import Asked, RatedVideo, RatedVideos

SIZE, LABELS = 6, (30, 4, 17)
FEATURES = FrameFeatures(("rgb", "audio"), (4, 2))
RNG = np.random.default_rng(0)


class Told:
    """Stands for a network: the logit of a frame is `logit`, and what is asked is kept."""

    def __init__(self, logit=0.0):
        self.logit, self.asked = logit, []

    def predict_on_batch(self, inputs):
        self.asked.append(inputs)
        ramp = np.arange(inputs["frames"].shape[1])[None] + 100 * inputs["classes"][:, None]
        return (self.logit + 0.01 * ramp)[:, :, None]


def asked(id, length=12, starts=(0, 5), classes=(1, 2)):
    frames = RNG.integers(0, 256, (length, SIZE)).astype(np.uint8)
    return Asked(id, frames, np.array(starts), np.array(classes))


def rated_shards(folder, flipped=(), num_videos=12):
    """A pattern of two shards; of the videos in `flipped` every rating is the other way around."""
    rng, records = np.random.default_rng(5), []
    for v in range(num_videos):
        length = int(rng.integers(12, 24))
        frames = rng.integers(0, 256, (length, SIZE)).astype(np.uint8)
        ratings = [(5 * int(s), LABELS[int(rng.integers(3))], float(rng.integers(2))) for s in rng.permutation(length // 5)[:2]]
        ratings = [(start, label, 1 - score if v in flipped else score) for start, label, score in ratings]
        names = {"rgb": frames[:, :4], "audio": frames[:, 4:]}
        records.append(Video(f"video{v}", names, np.array([30]), make_segments(ratings)))
    return write_frame_shards(folder, [records[: num_videos // 2], records[num_videos // 2 :]], "rated")


@pytest.fixture(scope="module")
def model():
    """A small network with weights that are all random."""
    model, rng = localizer.localizer(3, SIZE, units=4, embedding=5), np.random.default_rng(1)
    model.set_weights([np.abs(rng.normal(0.2, 0.4, weight.shape)).astype(np.float32) for weight in model.get_weights()])
    return model


def test_sizes_are_those_of_the_authors_but_for_the_batch_norm():
    model = localizer.localizer(1000, 1152, units=256, embedding=32)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 4_558_593 + 2 * 1152


def test_a_score_is_the_mean_logarithm_over_the_real_frames_of_a_segment():
    told = Told()
    scores = localizer.Localizer([told], [], 4)([asked("a", 12, (0, 5, 10), (1, 2, 1)), asked("b", 3, (0,), (0,))])
    places = [(0, 5, 1), (5, 10, 2), (10, 12, 1), (0, 3, 0)]
    expected = [np.mean(-np.logaddexp(0, -(0.01 * (np.arange(begin, end) + 100 * c)))) for begin, end, c in places]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert localizer.Localizer([Told(-1e9)], [], 4)([asked("a")]) == pytest.approx(np.log(1e-7))
    assert len(localizer.Localizer([told], [], 4)([])) == 0


def test_a_video_that_was_learned_from_is_asked_of_the_model_that_left_it_out():
    models = [Told(float(number)) for number in range(3)]
    names = [f"v{number}" for number in range(9)]
    ask = localizer.Localizer(models, names[:6], 4)
    for name in names:
        alone = [localizer.Localizer([model], [], 4)([asked(name)]) for model in models]
        expected = alone[localizer.part_of(name, 3)] if name in names[:6] else np.mean(alone, axis=0)
        np.testing.assert_allclose(ask([asked(name)]), expected, rtol=1e-6)
    together = ask([asked(name) for name in names])
    np.testing.assert_allclose(together, np.concatenate([ask([asked(name)]) for name in names]), rtol=1e-6)


def test_rows_are_bounded_whatever_is_asked(monkeypatch):
    monkeypatch.setattr(localizer, "VALUES", 16)
    told = Told()
    scores = localizer.Localizer([told], [], 4)([asked(f"v{number}") for number in range(5)])
    assert len(told.asked) == 3 and max(len(inputs["classes"]) for inputs in told.asked) == 4
    np.testing.assert_allclose(scores, np.tile(scores[:2], 5))
    many = asked("v", 12, (0, 5, 0, 5, 10), (2, 0, 1, 2, 0))
    expected = localizer.Localizer([told], [], 4)([many])
    monkeypatch.setattr(localizer, "VALUES", 4)
    told.asked.clear()
    np.testing.assert_array_equal(localizer.Localizer([told], [], 4)([many]), expected)
    assert [len(inputs["classes"]) for inputs in told.asked] == [1, 1, 1]


def test_no_model_learns_its_part(tmp_path, monkeypatch):
    rated, seen = RatedVideos(rated_shards(tmp_path), "references", FEATURES, LABELS), []
    monkeypatch.setattr(localizer, "_train", lambda model, rated, videos, *rest: seen.append({video.id for video in videos}))
    localizer.fit(rated, 3, SIZE, units=4, embedding=5, parts=3)
    everything = {video.id for video in rated.videos}
    for part, learned in enumerate(seen):
        assert learned == {id for id in everything if localizer.part_of(id, 3) != part} and learned < everything


@pytest.fixture
def uncompiled(monkeypatch):
    """Networks run as they are written: to compile them takes longer than the few frames of a test."""
    monkeypatch.setattr(localizer, "STEPS", 8)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Even though")
def test_ratings_of_a_video_change_the_scores_of_others_alone(tmp_path, uncompiled):
    """Bit for bit: the same seed gives the same models, but for those that learned the video whose ratings are turned around."""
    for name in ("as", "other"):
        (tmp_path / name).mkdir()
    patterns = rated_shards(tmp_path / "as"), rated_shards(tmp_path / "other", flipped=(3,))
    both = [RatedVideos(pattern, "references", FEATURES, LABELS) for pattern in patterns]
    options = {"units": 4, "embedding": 5, "parts": 2, "epochs": 2, "batch_size": 12, "learning_rate": 0.05}
    scores = [localizer.fit(rated, 3, SIZE, **options)(rated.asked()) for rated in both]
    ids = np.concatenate([[video.id] * len(video.starts) for video in both[0].videos])
    mine = localizer.part_of("video3", 2) == np.array([localizer.part_of(id, 2) for id in ids])
    np.testing.assert_array_equal(scores[0][mine], scores[1][mine])
    assert (scores[0][~mine] != scores[1][~mine]).all()


def test_rated_videos_are_in_the_order_of_their_ratings(tmp_path):
    pattern = rated_shards(tmp_path)
    rated, pairs = RatedVideos(pattern, "references", FEATURES, LABELS), read_rated(pattern, "references", FEATURES, LABELS)
    videos = list(rated.asked())
    np.testing.assert_array_equal(np.concatenate([video.starts for video in videos]), pairs.starts)
    np.testing.assert_array_equal(np.array(LABELS)[np.concatenate([video.classes for video in videos])], pairs.classes)
    shards = ShardFrames(pattern, FEATURES, ["rated0000.tfrecord"])
    ids, starts = np.array(["video2", "video0", "video2"]), np.array([5, 0, 0])
    of_shard = list(shards.asked("rated0000.tfrecord", ids, starts, np.array([2, 1, 0])))
    assert [(video.id, video.starts.tolist(), video.classes.tolist()) for video in of_shard] == [
        ("video0", [0], [1]),
        ("video2", [5, 0], [2, 0]),
    ]
    for video in of_shard:
        np.testing.assert_array_equal(video.frames, next(other.frames for other in videos if other.id == video.id))


def test_rated_frames_are_the_targets():
    videos = [
        RatedVideo("", 0, "a", np.array([5, 0, 5]), np.array([2, 2, 1]), np.array([1.0, 0.0, 1.0])),
        RatedVideo("", 1, "b", np.array([0]), np.array([2]), np.array([1.0])),
    ]
    frames = [np.ones((length, SIZE), np.uint8) for length in (8, 3)]
    inputs, places = localizer._inputs([(of, np.unique(video.classes)) for of, video in zip(frames, videos)])
    targets, weights = localizer._targets(videos, inputs, places)
    rated = {(0, 2): (range(8), range(5, 8)), (0, 1): (range(5, 8), range(5, 8)), (1, 2): (range(3), range(3))}
    for pair, (real, positive) in rated.items():
        assert np.flatnonzero(weights[places[pair]]).tolist() == list(real)
        assert np.flatnonzero(targets[places[pair], :, 0]).tolist() == list(positive)
    assert weights.sum() == pytest.approx(1) and len(np.unique(weights)) == 2


@pytest.mark.filterwarnings("ignore:Even though")
def test_targets_of_frames_that_nobody_rated_change_nothing(tmp_path, uncompiled, monkeypatch):
    rated = RatedVideos(rated_shards(tmp_path, num_videos=2), "references", FEATURES, LABELS)
    targets_of, said = localizer._targets, []
    for turned in (lambda weights: weights < 0, lambda weights: weights == 0, lambda weights: weights > 0):

        def other_targets(*given, turned=turned):
            targets, weights = targets_of(*given)
            return np.where(turned(weights)[:, :, None], 1 - targets, targets), weights

        monkeypatch.setattr(localizer, "_targets", other_targets)
        localizer.keras.utils.set_random_seed(1)
        model = localizer.localizer(3, SIZE, units=2, embedding=3)
        localizer._train(model, rated, rated.videos, {**rankers.OPTIONS["localizer"], "epochs": 1}, 1, "")
        said.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    np.testing.assert_array_equal(said[0], said[1])
    assert np.abs(said[0] - said[2]).max() > 1e-4


def test_padding_and_other_rows_change_nothing(model):
    one = asked("a", 12, (0, 5), (1, 2))
    expected = localizer._segment_scores(model, [one])[0]
    inputs, _ = localizer._inputs([(one.frames, one.classes)])
    inputs["frames"][:, 12:] = 99
    padded = np.asarray(model.predict_on_batch(inputs))[:2, :12]
    np.testing.assert_allclose(localizer._segment_scores(model, [asked("b", 70), one])[1], expected, rtol=1e-4)
    inputs["frames"][:, 12:] = 0
    np.testing.assert_allclose(padded, np.asarray(model.predict_on_batch(inputs))[:2, :12], rtol=1e-5)


def test_renaming_classes_with_their_embeddings_changes_nothing(model):
    one, order = asked("a", 12, (0, 5, 10), (0, 1, 2)), np.array([2, 0, 1])
    expected = localizer._segment_scores(model, [one])[0]
    table = model.get_layer("class_embedding").embeddings
    table.assign(table.numpy()[order])
    renamed = one._replace(classes=np.argsort(order)[one.classes])
    np.testing.assert_allclose(localizer._segment_scores(model, [renamed])[0], expected, rtol=1e-5)
    assert np.abs(localizer._segment_scores(model, [one])[0] / expected - 1).max() > 1e-3


def test_a_class_without_ratings_is_asked_for_as_the_mean_of_the_others():
    model = localizer.localizer(4, SIZE, units=2, embedding=5)
    before = model.get_layer("class_embedding").embeddings.numpy()
    localizer._settle_unrated(model, np.array([0, 3]))
    after = model.get_layer("class_embedding").embeddings.numpy()
    np.testing.assert_array_equal(after[[0, 3]], before[[0, 3]])
    np.testing.assert_allclose(after[[1, 2]], np.tile(before[[0, 3]].mean(axis=0), (2, 1)), rtol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"parts": 1}, "--method_options: parts=1: must be at least 2"),
        ({"units": 0}, "--method_options: units=0: must be above 0"),
        ({"heads": 2}, "--method_options=heads: --method=localizer has units"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message) as error:
        rankers.options_of("localizer", options)
    assert "\n" not in str(error.value)


def test_too_few_videos(tmp_path):
    rated = RatedVideos(rated_shards(tmp_path, num_videos=2), "references", FEATURES, LABELS)
    rated.videos = rated.videos[:1]
    with pytest.raises(UserError, match="parts=2: all 1 rated videos are in one part"):
        localizer.fit(rated, 3, SIZE, parts=2, units=2)
