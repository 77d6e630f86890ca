"""Boosted trees of a class: what is planted in frames is learned, videos are not split, and the score is p u^a."""

import numpy as np
import pytest
import sklearn.ensemble

from yt8m.errors import UserError
from yt8m.reranking import class_trees, rankers
from yt8m.reranking.combined import in_video
from yt8m.reranking.frames import Pairs

SIZE, FEATURES = 6, 9
QUICK = {"num_fits": 2, "num_trees": 30, "learning_rate": 0.2, "patience": 5}


class Planted:
    """Pairs of three classes; of class c a segment has it where byte c of some frame is large. Class 2 has 20 ratings."""

    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.classes = np.where(np.arange(n) < 20, 2, np.arange(n) % 2)
        self.labels = rng.integers(0, 2, n).astype(np.float32)
        windows = rng.integers(0, 180, (n, 4, SIZE)).astype(np.uint8)
        positive = np.flatnonzero(self.labels)
        windows[positive, rng.integers(0, 3, len(positive)), self.classes[positive]] = 230
        windows[:, 3] = 0
        self.features = rng.normal(size=(n, FEATURES)).astype(np.float32)
        self.features[:, 0] += self.labels
        related = rng.normal(size=(n, 3)).astype(np.float32)
        self.videos = np.array([f"v{i // 4}" for i in range(n)])
        self.pairs = Pairs(windows, np.full(n, 3), np.arange(n), self.classes, related=related)
        self.rated = np.arange(n) % 5 < 4

    def fitted(self, **options):
        given = self.features, self.labels, self.classes, self.videos, self.pairs, self.rated
        return class_trees.fit(*given, **{"min_ratings": 30, "video_exponent": 0, **QUICK, **options})


@pytest.fixture(scope="module")
def fitted():
    return Planted(240, 1).fitted()


def test_what_is_planted_is_learned_and_a_class_of_few_ratings_keeps_the_regression(fitted):
    test = Planted(200, 2)
    said, regression = fitted(test.features, test.pairs), fitted.others(test.features)
    assert sorted(fitted.of_classes) == [0, 1] and said.dtype == np.float32
    few = test.classes == 2
    np.testing.assert_array_equal(said[few], regression[few])
    right = ((said > 0) == (test.labels > 0))[~few].mean()
    assert right > 0.9 > ((regression > 0) == (test.labels > 0))[~few].mean() + 0.1


def test_a_pairs_score_is_its_own_and_the_same_with_the_same_seed(fitted, monkeypatch):
    test, again = Planted(60, 3), Planted(240, 1).fitted()
    said = fitted(test.features, test.pairs)
    monkeypatch.setattr(class_trees, "SEGMENTS_AT_A_TIME", 17)
    np.testing.assert_array_equal(again(test.features, test.pairs), said)
    rows = np.array([3, 41, 40])
    np.testing.assert_array_equal(fitted(test.features[rows], test.pairs.some(rows)), said[rows])


def test_the_videos_score_multiplies_what_the_trees_say(fitted):
    test = Planted(80, 4)
    with_video = class_trees.ClassTrees(fitted.of_classes, fitted.others, 0.25)
    trees = test.classes != 2
    said, changed = fitted(test.features, test.pairs), with_video(test.features, test.pairs)
    np.testing.assert_array_equal(changed[~trees], said[~trees])
    np.testing.assert_allclose(changed[trees], in_video(said, test.features[:, 5], 0.25)[trees], rtol=1e-5)
    p, u = (1 / (1 + np.exp(-x[trees].astype(np.float64))) for x in (said, test.features[:, 5]))
    order = np.argsort(p**4 * u)  # as the source ranks
    assert np.diff(changed[trees][order]).min() > -1e-4


class Recorder:
    """In place of the trees: notes what it is fitted on."""

    seen = []

    def __init__(self, **options):
        self.options, self.validation_score_ = options, np.array([-0.7, -0.5, -0.3, -0.4])

    def fit(self, x, y, sample_weight, X_val, y_val, sample_weight_val):
        self.seen.append((x, y, sample_weight, X_val, y_val, sample_weight_val))


def test_a_fit_is_judged_on_videos_that_it_has_not_learned(monkeypatch):
    monkeypatch.setattr(Recorder, "seen", [])
    monkeypatch.setattr(sklearn.ensemble, "HistGradientBoostingClassifier", Recorder)
    learn = Planted(240, 1)
    number = {video: n for n, video in enumerate(np.unique(learn.videos).tolist())}
    learn.pairs.related[:, 0] = [number[video] for video in learn.videos.tolist()]
    learn.pairs.related[:, 1] = learn.rated
    ranker = learn.fitted(num_fits=3)
    assert len(Recorder.seen) == 6 and all(count == 2 for fits in ranker.of_classes.values() for _, count in fits)
    video, is_rated = 2 * SIZE, 2 * SIZE + 1
    for x, _, weights, x_judged, _, weights_judged in Recorder.seen:
        assert not set(x[:, video]) & set(x_judged[:, video])
        assert 0.2 < len(set(x_judged[:, video])) / len({*x[:, video], *x_judged[:, video]}) < 0.4
        for columns, of in ((x, weights), (x_judged, weights_judged)):
            np.testing.assert_allclose(of, np.where(columns[:, is_rated], 1, 1 / 9))


def test_trees_behind_the_best_are_not_asked():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 4)), rng.random(80) < 0.5  # nothing to learn: it gets worse
    videos = np.arange(80).astype(str)
    options = rankers.options_of("class_trees", {**QUICK, "patience": 20})
    with class_trees._one_thread():
        ((model, count), *_) = class_trees._fits(x, y, np.ones(80), videos, options)
        staged = list(model.staged_predict_proba(x))
    assert count == max(np.argmax(model.validation_score_), 1) < model.n_iter_
    np.testing.assert_allclose(class_trees._probabilities(model, count, x), staged[count - 1][:, 1], rtol=1e-6)


def test_a_class_of_one_label_or_of_one_video_has_no_trees():
    learn = Planted(240, 1)
    learn.labels[learn.classes == 1] = 1
    assert sorted(learn.fitted().of_classes) == [0]
    learn.videos[:] = "alone"
    assert not learn.fitted().of_classes


def test_a_class_whose_videos_are_all_held_out_has_no_trees():
    learn = Planted(240, 1)
    learn.videos[:] = np.resize(["a", "b", "c"], 240)
    assert learn.fitted(held_out=0.6).of_classes and not learn.fitted(held_out=0.7).of_classes


def test_frames_are_pooled_up_to_the_windows_end():
    windows = np.zeros((2, 3, 1), np.uint8)
    windows[0, :, 0], windows[1, :1, 0] = (10, 40, 10), 7
    np.testing.assert_array_equal(class_trees._pooled(windows, np.array([3, 1])), [[20, 40], [7, 7]])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"negatives": -1}, "negatives=-1: must not be below 0"),
        ({"num_fits": 0}, "num_fits=0: must be above 0"),
        ({"held_out": 0.95}, "held_out=0.95: must be at most 0.9"),
        ({"bins": 256}, "bins=256: must be at least 2 and at most 255"),
        ({"max_features": 2}, "max_features=2: must be at most 1.0"),
        ({"width": 2}, "width: --method=class_trees has min_ratings"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UserError, match=message):
        rankers.options_of("class_trees", options)
    assert rankers.options_of("class_trees", {"negatives": 0, "l2": 0})["depth"] == 4
