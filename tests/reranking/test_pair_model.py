"""Class-conditional attention: it starts at its base, sees nothing of the own video's ratings, and learns what is planted."""

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.reranking import pair_model, rankers
from yt8m.reranking.frames import Pairs
from yt8m.reranking.references import Descriptors, References, unit

SIZE, FEATURES = 12, 5
SMALL = {"width": 8, "hidden": 16, "heads": 2, "embedding": 6}


def some_pairs(n, num_classes=3, seed=0, width=7):
    """Random pairs of n / 2 segments."""
    rng = np.random.default_rng(seed)
    windows = rng.integers(0, 256, (n // 2, width, SIZE)).astype(np.uint8)
    counts = rng.integers(1, width + 1, n // 2)
    contrast = rng.normal(size=(n, SIZE)).astype(np.float32)
    return Pairs(windows, counts, rng.integers(0, n // 2, n), rng.integers(0, num_classes, n), contrast)


def logits(model, pairs, features, base):
    return pair_model._logits(model, pair_model._inputs(pairs, features, base))


def randomised(num_classes=3, seed=4):
    """A network whose weights are all random, so that everything counts."""
    model = pair_model.pair_model(num_classes, SIZE, FEATURES, **SMALL)
    rng = np.random.default_rng(seed)
    model.set_weights([np.abs(rng.normal(0.3, 0.3, w.shape)).astype(np.float32) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(1)
    return some_pairs(20), rng.normal(size=(20, FEATURES)).astype(np.float32), rng.normal(size=20).astype(np.float32)


def test_training_begins_exactly_at_the_base(inputs):
    pairs, features, base = inputs
    model = pair_model.pair_model(3, SIZE, FEATURES, **SMALL)
    np.testing.assert_array_equal(logits(model, pairs, features, base), base)


def test_sizes_are_those_of_the_specification():
    for num_classes, trained in ((1000, 496_818), (44, 466_226)):
        model = pair_model.pair_model(num_classes, 1152, 24)
        assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == trained
    assert sum(int(np.prod(w.shape)) for w in model.non_trainable_weights) == 2_864


def test_renaming_classes_with_their_embeddings_changes_nothing(inputs):
    pairs, features, base = inputs
    model, order = randomised(), np.array([2, 0, 1])
    expected = logits(model, pairs, features, base)
    table = model.get_layer("class_embedding").embeddings
    table.assign(table.numpy()[order])
    renamed = np.argsort(order)[pairs.classes]
    np.testing.assert_allclose(logits(model, pairs._replace(classes=renamed), features, base), expected, rtol=1e-5)
    assert np.abs(logits(model, pairs, features, base) - expected).max() > 1e-3


def test_padding_and_other_segments_change_nothing(inputs):
    pairs, features, base = inputs
    model = randomised()
    expected = logits(model, pairs, features, base)
    longer = np.concatenate([pairs.windows, np.full_like(pairs.windows, 77)], axis=1)
    behind = np.arange(longer.shape[1]) >= pairs.counts[:, None]
    longer[behind] = 99
    np.testing.assert_allclose(logits(model, pairs._replace(windows=longer), features, base), expected, rtol=1e-4)
    for rows in (np.arange(3), np.array([5, 17])):
        np.testing.assert_allclose(logits(model, pairs.some(rows), features[rows], base[rows]), expected[rows], rtol=1e-4)


def test_what_a_class_looks_like_has_nothing_of_the_own_video():
    rng = np.random.default_rng(2)
    described = Descriptors(*(unit(rng.normal(size=(30, size))) for size in (8, 4, 5)))  # the embedding is not looked at
    videos, classes, labels = np.arange(30) // 3, np.arange(30) % 2, rng.random(30) < 0.5
    everything = References(described, videos, classes, labels, 3)
    for row in (0, 14, 29):
        others = videos != videos[row]
        alone = References(described.rows(others), videos[others], classes[others], labels[others], 3)
        pair = videos[[row]], classes[[row]]
        np.testing.assert_allclose(everything.contrast(*pair), alone.contrast(*pair), atol=1e-6)
        mine = (classes == classes[row]) & others
        joined = np.concatenate([described.rgb, described.audio], axis=1)
        means = [joined[mine & (labels == there)].mean(axis=0) for there in (True, False)]
        np.testing.assert_allclose(everything.contrast(*pair)[0], means[0] - means[1], atol=1e-6)
    assert not everything.contrast(np.array([0]), np.array([2])).any()  # a class without references


class Planted:
    """Pairs whose class is there where the frames of the segment look like it; of the features the first tells a little.

    Args:
        learned: classes of the pairs, of 16; contrast tells what each looks like.
    """

    def __init__(self, n, learned, seed):
        rng = np.random.default_rng(seed)
        looks = np.random.default_rng(9).normal(size=(16, SIZE))
        self.classes, self.labels = rng.choice(learned, n), rng.integers(0, 2, n).astype(np.float32)
        others = (self.classes % 14 + rng.integers(1, 14, n)) % 14  # 14 and 15 are never shown where they are not asked for
        shown = looks[np.where(self.labels > 0, self.classes, others)]
        frames = 128 + 30 * shown[:, None] + rng.normal(0, 20, (n, 5, SIZE))
        self.features = rng.normal(size=(n, FEATURES)).astype(np.float32)
        self.features[:, 0] += self.labels
        self.videos = np.array([f"{seed}v{i // 4}" for i in range(n)])
        contrast = unit(looks)[self.classes] - unit(looks).mean(axis=0)
        windows = np.clip(frames, 0, 255).astype(np.uint8)
        self.pairs = Pairs(windows, np.full(n, 5), np.arange(n), self.classes, contrast.astype(np.float32))

    def fitted(self, **options):
        return pair_model.fit(self.features, self.labels, self.classes, self.videos, self.pairs, 16, **options)

    def right(self, rank):
        """Share of the pairs whose logit has the right sign."""
        return ((rank(self.features, self.pairs) > 0) == (self.labels > 0)).mean()


def test_what_is_planted_is_learned_and_a_class_without_ratings_keeps_working():
    learned = np.arange(14)
    learn, test, unseen = Planted(1200, learned, 1), Planted(300, learned, 2), Planted(300, (14, 15), 3)
    options = {**SMALL, "epochs": 15, "batch_size": 64, "num_models": 1, "learning_rate": 0.01, "dropout": 0.1}
    rank = learn.fitted(**options)
    assert test.right(rank) > test.right(rank.base) + 0.08
    assert unseen.right(rank) > 0.62


def test_no_epoch_is_kept_that_is_worse_than_the_start():
    learn = Planted(60, (0, 1), 1)
    rank = learn.fitted(**SMALL, epochs=1, num_models=1, learning_rate=50.0)
    np.testing.assert_allclose(rank(learn.features, learn.pairs), rank.base(learn.features), atol=1e-5)


def test_negatives_are_learned_and_the_base_does_not_know_them():
    """Unrated pairs look as others do, but for a feature of which the ratings tell nothing."""
    learn = Planted(400, np.arange(14), 1)
    rated = np.arange(400) < 200
    learn.labels[~rated] = 0
    learn.features[:, 1] = np.where(rated, 1, -1) + 0.1 * learn.features[:, 1]
    options = {**SMALL, "epochs": 10, "batch_size": 64, "num_models": 1, "learning_rate": 0.01, "negative_weight": 1.0}
    rank = pair_model.fit(learn.features, learn.labels, learn.classes, learn.videos, learn.pairs, 16, rated, **options)
    alone = rankers.fit("logistic", learn.features[rated], learn.labels[rated], learn.classes[rated])
    np.testing.assert_array_equal(rank.base(learn.features), alone(learn.features))
    more = rank(learn.features, learn.pairs) - rank.base(learn.features)
    assert more[~rated].mean() < more[rated].mean() - 0.5


def test_epochs_are_judged_by_rated_pairs_alone(monkeypatch):
    learn, judged = Planted(60, (0, 1), 1), []
    monkeypatch.setattr(pair_model, "_train", lambda model, data, learned, held_out, *rest: judged.append((learned, held_out)))
    rated = np.arange(60) % 3 > 0
    learn.fitted(rated=rated, num_models=1, **SMALL)
    ((learned, held_out),) = judged
    assert rated[held_out].all() and not rated[learned].all() and len(held_out)
    assert not set(learn.videos[learned]) & set(learn.videos[held_out])


def test_options_are_checked():
    assert rankers.options_of("attention", {"heads": 2})["width"] == 128
    with pytest.raises(UserError, match="--method_options=depth: --method=attention has width"):
        rankers.options_of("attention", {"depth": 2})
