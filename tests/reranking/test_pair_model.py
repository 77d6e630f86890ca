"""Class-conditional attention: it starts at its base, sees nothing of the own video's ratings, and learns what is planted."""

import itertools

import keras
import numpy as np
import pytest

from yt8m.backend import dtype_policy
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
    learn = Planted(400, np.arange(4), 1)
    rated = np.arange(400) < 200
    learn.labels[~rated] = 0
    learn.features[:, 1] = np.where(rated, 1, -1) + 0.1 * learn.features[:, 1]
    options = {**SMALL, "epochs": 10, "batch_size": 64, "num_models": 1, "learning_rate": 0.01, "dropout": 0.1}
    rank = learn.fitted(rated=rated, negative_weight=1.0, **options)
    alone = rankers.fit("logistic", learn.features[rated], learn.labels[rated], learn.classes[rated])
    np.testing.assert_array_equal(rank.base(learn.features), alone(learn.features))
    more = rank(learn.features, learn.pairs) - rank.base(learn.features)
    assert more[~rated].mean() < more[rated].mean() - 0.5


def test_a_step_is_that_of_the_weighted_mean_of_the_rows(inputs):
    """By hand: at the start a network is its base, so that the last layer's gradients are those of a line."""
    pairs, features, base = (of if isinstance(of, Pairs) else of[:4] for of in inputs)
    rows, targets = pair_model._inputs(pairs.some(np.arange(4)), features, base), np.array([1, 0, 1, 1], np.float32)
    rows = {**rows, "windows": rows["windows"][rows["places"]], "counts": rows["counts"][rows["places"]], "places": np.arange(4)}
    for weights in ([4, 0, 0, 0], [0, 0, 0, 4], [1, 0.25, 2, 0.5]):
        model = pair_model.pair_model(3, SIZE, FEATURES, **SMALL)
        model.compile(keras.optimizers.SGD(0.1))
        model.train_on_batch(rows, targets, sample_weight=np.array(weights, np.float32))
        wrong = np.array(weights) * (1 / (1 + np.exp(-base)) - targets) / 4
        found = [model.get_layer("base_weight").kernel.numpy().item(), model.get_layer("more").bias.numpy().item()]
        np.testing.assert_allclose(found, [1 - 0.1 * wrong @ base, -0.1 * wrong.sum()], rtol=1e-5)


def test_targets_of_rows_that_weigh_nothing_change_nothing():
    learn, rated = Planted(200, np.arange(6), 1), np.arange(200) % 4 > 0
    options = {**SMALL, "epochs": 3, "batch_size": 40, "num_models": 1, "learning_rate": 0.01, "negative_weight": 0.0}
    said = []
    for target in (0, 1):
        learn.labels[~rated] = target
        rank = learn.fitted(rated=rated, **options)
        said.append(rank(learn.features, learn.pairs) - rank.base(learn.features))
    np.testing.assert_allclose(*said, atol=1e-5)
    assert np.abs(said[0]).max() > 0.01


def test_the_pairwise_term_by_hand():
    model = pair_model.pair_model(3, SIZE, FEATURES, **SMALL, pairwise_weight=0.2)
    x, y = np.array([0.3, -1, 2, 0.5, 1.5, -2], np.float32), np.array([1, 0, 0, 1, 1, 1], np.float32)
    classes, weights = np.array([0, 0, 0, 0, 1, 2]), np.array([1, 0.25, 1, 2, 1, 1], np.float32)
    terms = [
        np.log1p(np.exp(x[j] - x[i]))
        for i, j in itertools.product(range(6), repeat=2)
        if y[i] > y[j] and classes[i] == classes[j]
    ]
    assert len(terms) == 4
    cross_entropy = np.mean(weights * (np.logaddexp(0, x) - y * x))

    def loss(classes):
        return float(
            model.compute_loss({"classes": keras.ops.convert_to_tensor(classes)}, y, keras.ops.convert_to_tensor(x), weights)
        )

    assert loss(classes) == pytest.approx(cross_entropy + 0.2 * np.mean(terms), rel=1e-5)
    assert loss(np.arange(6)) == pytest.approx(cross_entropy, rel=1e-5)  # no two rows of a class
    model.pairwise_weight = 0.0
    assert loss(classes) == pytest.approx(cross_entropy, rel=1e-5)


def test_rows_of_a_class_stand_together_and_each_comes_once():
    classes = np.repeat([2, 0, 1], [50, 30, 3])
    rng = np.random.default_rng(0)
    rows = rng.permutation(83)[:80]
    order = pair_model.side_by_side(rows, classes, 8, rng)
    assert sorted(order) == sorted(rows) and order.tolist() != rows.tolist()
    runs = [len(list(group)) for _, group in itertools.groupby(classes[order])]
    assert len(runs) <= sum(-(-np.count_nonzero(classes[rows] == c) // 8) for c in range(3))
    assert pair_model.side_by_side(rows, classes, 8, rng).tolist() != order.tolist()


class Told:
    """Stands for a network that says what its base says; what it is trained with is kept."""

    def __init__(self):
        self.batches = []

    def __call__(self, inputs, training):
        return inputs["base"]

    def train_on_batch(self, inputs, targets, sample_weight):
        self.batches.append((inputs["classes"], targets, sample_weight))

    def compile(self, optimizer):
        pass

    def get_weights(self):
        return []

    def set_weights(self, weights):
        pass


@pytest.mark.parametrize("pairwise_weight", [0.0, 0.2])
def test_with_the_pairwise_term_a_batch_has_several_rows_of_few_classes(pairwise_weight):
    learn, told = Planted(400, np.arange(14), 1), Told()
    options = {"epochs": 2, "batch_size": 32, "rows_per_class": 8, "pairwise_weight": pairwise_weight}
    data = learn.features, learn.labels, np.arange(400.0), np.zeros(400), learn.pairs
    pair_model._train(told, data, np.arange(40, 400), np.arange(40), rankers.options_of("attention", options), 1)
    assert [len(classes) for classes, *_ in told.batches] == [32] * 22
    for classes, targets, weights in told.batches:
        rows = weights.astype(int)  # each row weighs its number
        np.testing.assert_array_equal(classes, learn.classes[rows])
        np.testing.assert_array_equal(targets, learn.labels[rows])
    assert all(
        len(np.unique(np.concatenate([weights for *_, weights in told.batches[of]]))) == 352 for of in (slice(11), slice(11, 22))
    )
    counts = [len(np.unique(classes)) for classes, *_ in told.batches]
    assert np.mean(counts) < 7 if pairwise_weight else np.mean(counts) > 9


def test_the_network_has_the_weight_of_the_pairwise_term(monkeypatch):
    seen = []
    monkeypatch.setattr(pair_model, "_train", lambda model, *rest: seen.append(model.pairwise_weight) or 0.0)
    for options in ({}, {"pairwise_weight": 0.2}):
        Planted(60, (0, 1), 1).fitted(**SMALL, num_models=1, **options)
    assert seen == [0.0, 0.2]


@pytest.fixture
def untrained(monkeypatch):
    """What networks are trained with: (features, targets, weights, base, pairs), rows to learn, rows to judge by; none is."""
    seen = []
    monkeypatch.setattr(
        pair_model, "_train", lambda model, data, learned, judged, *rest: seen.append((data, learned, judged)) or 0.0
    )
    return seen


def test_a_constant_in_the_logits_is_no_loss():
    """And what orders better is better, however low its logits are."""
    rng = np.random.default_rng(3)
    logits, targets, weights = rng.normal(size=200), rng.integers(0, 2, 200), rng.uniform(0.5, 2, 200)
    found, constant = pair_model.shifted_log_loss(logits, targets, weights)
    for more in np.linspace(-1, 1, 41):
        moved = logits + more
        assert found <= np.average(-np.log(1 / (1 + np.exp(np.where(targets > 0, -moved, moved)))), weights=weights) + 1e-6
        np.testing.assert_allclose(pair_model.shifted_log_loss(moved, targets, weights), (found, constant - more), atol=1e-3)
    assert pair_model.shifted_log_loss(logits + targets - 3, targets, weights)[0] < found
    assert pair_model.shifted_log_loss(logits, np.ones(200), weights)[0] < 1e-6


def test_what_unrated_negatives_lower_is_put_back():
    """Networks that learn many of them say as much of rated pairs as these ask for."""
    learn = Planted(600, np.arange(4), 1)
    rated = np.arange(600) < 200
    learn.labels[~rated] = 0
    learn.features[~rated] = np.random.default_rng(5).permutation(learn.features[rated][np.arange(400) % 200])
    options = {**SMALL, "epochs": 10, "batch_size": 64, "num_models": 2, "learning_rate": 0.01, "dropout": 0.1}
    rank = learn.fitted(rated=rated, negative_weight=1.0, **options)
    says = 1 / (1 + np.exp(-rank(learn.features, learn.pairs)[rated]))
    without = pair_model.PairRanker(rank.base, rank.models, rank.expansion)(learn.features, learn.pairs)[rated]
    assert rank.constant > 0.5 and abs(says.mean() - (learn.labels[rated] > 0).mean()) < 0.1
    assert (1 / (1 + np.exp(-without))).mean() < says.mean() - 0.1


def test_epochs_are_judged_by_rated_pairs_alone(untrained):
    learn, rated = Planted(60, (0, 1), 1), np.arange(60) % 3 > 0
    learn.fitted(rated=rated, num_models=1, **SMALL)
    ((_, learned, judged),) = untrained
    assert rated[judged].all() and not rated[learned].all() and len(judged)
    assert not set(learn.videos[learned]) & set(learn.videos[judged])


def test_the_base_that_networks_begin_with_knows_no_rating_of_the_own_video(untrained):
    """And that of the ranker knows all."""
    learn, rated = Planted(120, np.arange(4), 1), np.arange(120) % 4 < 3
    bases = []
    for turned in (False, True):
        mine = learn.videos == learn.videos[0]
        learn.labels[mine & rated] = (learn.labels[mine & rated] > 0) != turned
        bases.append(learn.fitted(rated=rated, num_models=1, **SMALL).base(learn.features))
    first, second = (data[3] for data, *_ in untrained)
    np.testing.assert_array_equal(first[mine], second[mine])
    parts = pair_model.parts_of(learn.videos, rated, 5)
    assert (first != second)[parts != parts[0]].all() and (bases[0] != bases[1]).any()
    for part in range(5):
        rows, others = parts == part, rated & (parts != part)
        alone = rankers.fit("logistic", learn.features[others], learn.labels[others], learn.classes[others])
        np.testing.assert_array_equal(second[rows], alone(learn.features[rows]))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_however_few_videos_some_are_learned_and_some_are_judged(untrained, count):
    for seed in range(2):
        learn = Planted(4 * count, (0, 1), seed)
        learn.labels[:8] = np.tile([0, 1], 4)
        rated = learn.videos != learn.videos[-1] if count > 2 else np.ones(4 * count, bool)
        learn.fitted(rated=rated, num_models=1, **SMALL)
        _, learned, judged = untrained.pop()
        assert rated[learned].any() and rated[judged].all() and len(judged)
        assert not set(learn.videos[learned]) & set(learn.videos[judged])


def test_where_the_others_have_ratings_of_one_kind_their_odds_are_the_base(untrained):
    learn = Planted(8, (0, 1), 1)
    learn.labels[:] = np.arange(8) < 4  # of two videos one has what is there, the other what is not
    learn.fitted(num_models=1, **SMALL)
    np.testing.assert_allclose(untrained[0][0][3], np.repeat([-np.log(5), np.log(5)], 4), rtol=1e-6)


def test_networks_that_nothing_judges_stay_at_the_base(capsys):
    """Else a constant of any size would have the least loss."""
    learn = Planted(200, np.arange(4), 1)
    parts = pair_model.parts_of(learn.videos, np.ones(200, bool), 5)
    learn.labels[parts == 0] = 1
    rank = learn.fitted(num_models=1, epochs=3, batch_size=32, **SMALL)
    np.testing.assert_allclose(rank(learn.features, learn.pairs), rank.base(learn.features), atol=1e-5)
    assert rank.constant == 0 and "networks are all of one kind" in capsys.readouterr().out


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_precision_of_the_run_before_is_not_the_networks(policy):
    with dtype_policy(policy):
        learn = Planted(120, np.arange(4), 1)
        rank = learn.fitted(num_models=1, epochs=1, batch_size=32, **SMALL)
        assert rank.models[0].dtype_policy.name == "float32" and keras.config.dtype_policy().name == policy
        assert all(variable.dtype == "float32" for variable in rank.models[0].trainable_variables)
        assert np.isfinite(rank(learn.features, learn.pairs)).all()


def test_one_video_is_too_few():
    with pytest.raises(UserError, match="--method=attention: all 3 ratings of --fit_on are of one video") as error:
        Planted(8, (0, 1), 1).fitted(rated=np.arange(8) < 3)
    assert "\n" not in str(error.value)


def test_options_are_checked():
    assert rankers.options_of("attention", {"pairwise_weight": 0.2})["rows_per_class"] == 8
    with pytest.raises(UserError, match="rows_per_class=1: must be at least 2"):
        rankers.options_of("attention", {"rows_per_class": 1})
    assert rankers.options_of("attention", {"heads": 2})["width"] == 128
    assert rankers.options_of("attention", {"dropout": 0, "weight_decay": 0})["dropout"] == 0
    for given, message in [
        ({"dropout": 1.0}, "dropout=1.0: must be at most 0.9"),
        ({"negatives": None}, "negatives=None: expected a number, such as 2"),
        ({"rows_per_class": 4}, "rows_per_class=4 has no effect with pairwise_weight=0. Give both, or leave it out"),
        ({"negatives": 0, "negative_weight": 0.5}, "negative_weight=0.5 has no effect with negatives=0"),
    ]:
        with pytest.raises(UserError, match=message):
            rankers.options_of("attention", given)
    with pytest.raises(UserError, match="--method_options=depth: --method=attention has width"):
        rankers.options_of("attention", {"depth": 2})
