"""The losses against the starter code's formulas and the papers' equations in numpy."""

import numpy as np
import pytest
import tensorflow as tf

from yt8m import losses, registry
from yt8m.errors import UserError
from yt8m.losses import (
    CrossEntropyLoss,
    DustbinLoss,
    HingeLoss,
    MaskedCrossEntropyLoss,
    SampledNegativeLoss,
    SoftmaxLoss,
    sampled_negatives,
)

P = np.array([[0.9, 0.2, 0.6, 0.5], [0.1, 0.8, 0.3, 0.0]], "float32")
Y = np.array([[1, 0, 1, 0], [0, 1, 0, 0]], "float32")
WEIGHTS = np.array([[1, 2, 0, 0.5], [0, 1, 0, 0]], "float32")
NAMES = [
    "BranchCrossEntropyLoss",
    "CrossEntropyLoss",
    "DustbinLoss",
    "HingeLoss",
    "MaskedCrossEntropyLoss",
    "OnlineDistillationLoss",
    "SampledNegativeLoss",
    "SoftmaxLoss",
]
each = pytest.mark.parametrize("name", NAMES)

# Segments of a video each: of 7 classes some are rated and some are the video's. The last row is not rated at all.
RNG = np.random.default_rng(8)
SCORES = RNG.uniform(0.02, 0.98, (5, 7)).astype("float32")
RATED = np.float32([[1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0.5, 0], [1] * 7, [0] * 7])
RATINGS = RATED.astype(bool) * np.float32([[1] * 7, [1, 0] + [0] * 5, [0] * 5 + [1, 0], [1, 0] * 3 + [1], [0] * 7])
OF_VIDEO = np.float32([[1, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0, 0], [0] * 7, [1] * 7, [0, 0, 1, 0, 0, 0, 0]])


def entries(name):
    """What a loss needs beside labels and weights, for the tests that hold of every loss."""
    return {"video_labels": np.float32([[0, 0, 1, 0], [0, 1, 0, 0]])} if registry.get("loss", name) is SampledNegativeLoss else {}


def gradient(loss, predictions, labels, weights=None, **options):
    predictions = tf.constant(predictions)
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        total = tf.reduce_sum(loss(predictions, labels, weights, **options))
    return tape.gradient(total, predictions).numpy()


def test_registered_and_built_by_name():
    assert set(registry.names("loss")) == set(NAMES)
    assert losses.build("SampledNegativeLoss", {"num_negatives": 3}).num_negatives == 3
    with pytest.raises(UserError, match="has no margin"):
        losses.build("MaskedCrossEntropyLoss", {"margin": 1})


def test_what_is_added_inside_the_logarithms():
    """The cross entropy's is the starter's 1e-5; the others keep what they had when that was 1e-7."""
    epsilons = {name: losses.build(name).get_config().get("epsilon") for name in NAMES}
    of_sources = {"CrossEntropyLoss": 1e-5, "OnlineDistillationLoss": 1e-5, "HingeLoss": None}
    assert epsilons == {**dict.fromkeys(NAMES, 1e-7), **of_sources}
    nowhere, label = np.float32([[0.0]]), np.float32([[1.0]])
    for name in ("CrossEntropyLoss", "MaskedCrossEntropyLoss", "BranchCrossEntropyLoss"):
        np.testing.assert_allclose(losses.build(name)(nowhere, label), -np.log(epsilons[name]), rtol=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy(weights):
    terms = -(Y * np.log(P + 1e-5) + (1 - Y) * np.log(1 - P + 1e-5))
    expected = (terms * (1 if weights is None else weights)).sum(axis=1)
    np.testing.assert_allclose(CrossEntropyLoss()(P, Y, weights), expected, rtol=1e-5)


def test_cross_entropy_takes_soft_labels():
    expected = -(0.3 * np.log(0.9 + 1e-5) + 0.7 * np.log(0.1 + 1e-5))
    np.testing.assert_allclose(CrossEntropyLoss()(np.float32([[0.9]]), np.float32([[0.3]])), [expected], rtol=1e-5)


def test_cross_entropy_is_finite_at_the_ends_and_just_over_one():
    ends = np.float32([[0, 1, 0, 1, 1 + 2.4e-7]])
    labels = np.float32([[0, 1, 1, 0, 0]])
    assert np.isfinite(CrossEntropyLoss()(ends, labels)).all()
    assert np.isfinite(gradient(CrossEntropyLoss(), ends, labels)).all()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_hinge(weights):
    terms = np.maximum(0, 1 - (2 * Y - 1) * P)
    expected = (terms * (1 if weights is None else weights)).sum(axis=1)
    np.testing.assert_allclose(HingeLoss()(P, Y, weights), expected, rtol=1e-5)


def test_softmax():
    softmax = np.exp(P) / np.exp(P).sum(axis=1, keepdims=True)
    expected = -(Y / Y.sum(axis=1, keepdims=True) * np.log(softmax)).sum(axis=1)
    np.testing.assert_allclose(SoftmaxLoss()(P, Y), expected, rtol=1e-5)


def test_softmax_of_the_rated_is_that_of_a_table_without_the_others():
    rated = np.array([0, 1, 3])
    weights = np.float32([[1, 1, 0, 1], [1, 1, 0, 1]])
    np.testing.assert_allclose(SoftmaxLoss()(P, Y, weights), SoftmaxLoss()(P[:, rated], Y[:, rated]), rtol=1e-5)


def test_the_dustbin_takes_rated_negatives():
    p = np.float32([[0.5, 0.2, 0.1], [0.5, 0.2, 0.1], [0.6, 0.3, 0.1], [0.5, 0.2, 0.1]])
    rated = np.float32([[1, 0, 0], [0, 1, 1], [0.5, 0, 1], [0, 0, 0]])
    labels = np.float32([[1, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]])
    dustbin, complement, dropped = (
        DustbinLoss(negatives)(p, labels, rated) for negatives in ("dustbin", "complement", "dropped")
    )
    np.testing.assert_allclose(dustbin, [-np.log(0.5), -np.log(0.2), -np.log(0.1) - 0.5 * np.log(0.4), 0], rtol=1e-5, atol=1e-7)
    expected = [-np.log(0.5), -np.log(0.8) - np.log(0.9), -np.log(0.1) - 0.5 * np.log(0.4), 0]
    np.testing.assert_allclose(complement, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(dropped, [-np.log(0.5), 0, -np.log(0.1), 0], rtol=1e-5, atol=1e-7)
    with pytest.raises(UserError, match="use one of dustbin, complement, dropped"):
        DustbinLoss("first")


def test_the_dustbin_learns_where_no_class_is():
    """Its logit rises where a rated class is not shown, also where the classes' probabilities sum to 1 but for rounding."""
    logits = tf.Variable([[30.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(DustbinLoss()(tf.nn.softmax(logits)[:, :3], np.zeros((2, 3)), np.float32([[1, 0, 0]] * 2)))
    slopes = tape.gradient(loss, logits).numpy()
    assert np.isfinite(slopes).all() and slopes[1, 3] < 0 < slopes[1, 0]


def masked_by_hand(p, y, w):
    """Eq. 17 of paper 004: the mean over the annotated pairs of a row of their cross entropy; numerator and both divisors."""
    total = np.zeros(len(p))
    for i in range(len(p)):
        for c in range(p.shape[1]):
            if w[i, c] > 0:
                total[i] -= w[i, c] * (y[i, c] * np.log(p[i, c]) + (1 - y[i, c]) * np.log(1 - p[i, c]))
    return total, np.maximum((w > 0).sum(axis=1), 1), np.where(w.sum(axis=1) > 0, w.sum(axis=1), 1)


def test_masked_cross_entropy_is_the_mean_over_annotated_pairs():
    total, pairs, weights = masked_by_hand(SCORES, RATINGS, RATED)
    np.testing.assert_allclose(MaskedCrossEntropyLoss()(SCORES, RATINGS, RATED), total / pairs, rtol=1e-5)
    by_weight = MaskedCrossEntropyLoss(reduction="weights")(SCORES, RATINGS, RATED)
    np.testing.assert_allclose(by_weight, total / weights, rtol=1e-5)
    of_all = CrossEntropyLoss(epsilon=1e-7)(SCORES, RATINGS)
    np.testing.assert_allclose(MaskedCrossEntropyLoss()(SCORES, RATINGS), of_all / 7, rtol=1e-6)


def sampled_by_hand(p, y, w, of_video, code=False, num_negatives=None, weights=(1.5, None, 0.5)):
    """Eq. 2 of paper 002, a pair at a time; code: as the authors' code, whose sum over the examples the rows' sum must be."""
    positive, negative, unrated = weights
    negative = (0.5 if code else 1.0) if negative is None else negative
    rated, mined, counts = np.zeros(len(p)), np.zeros(len(p)), np.zeros(len(p))
    for i in range(len(p)):
        known = {c for c in range(p.shape[1]) if of_video[i, c] or (w[i, c] > 0 and (code or y[i, c] > 0))}
        outside = sorted(set(range(p.shape[1])) - known, key=lambda c: -p[i, c])[:num_negatives]
        mined[i], counts[i] = sum(np.log(1 - p[i, c]) for c in outside), len(outside)
        for j in np.flatnonzero(w[i]):
            rated[i] -= w[i, j] * (positive * y[i, j] * np.log(p[i, j]) + negative * (1 - y[i, j]) * np.log(1 - p[i, j]))
    if not code:
        return rated - unrated * w.sum(axis=1) * mined / np.maximum(counts, 1)
    examples = w.sum(axis=1)  # the code has an example a rated pair, each with its video's mask
    return rated.sum() - unrated * examples.sum() * (examples * mined).sum() / (examples * counts).sum()


@pytest.mark.parametrize("options", [{}, {"num_negatives": 2}, {"num_negatives": 50}])
def test_sampled_negatives_of_the_paper(options):
    values = SampledNegativeLoss(**options)(SCORES, RATINGS, RATED, video_labels=OF_VIDEO)
    np.testing.assert_allclose(values, sampled_by_hand(SCORES, RATINGS, RATED, OF_VIDEO, **options), rtol=1e-5)


def test_sampled_negatives_with_other_weights():
    loss = SampledNegativeLoss(positive_weight=2.0, negative_weight=0.7, unrated_weight=0.3)
    expected = sampled_by_hand(SCORES, RATINGS, RATED, OF_VIDEO, weights=(2.0, 0.7, 0.3))
    np.testing.assert_allclose(loss(SCORES, RATINGS, RATED, video_labels=OF_VIDEO), expected, rtol=1e-5)


def test_the_second_places_loss_mines_once_a_segment():
    """Sum over the rated of the cross entropy, and the mean over the classes outside the video's labels of that with 0."""
    options = {"positive_weight": 1.0, "negative_weight": 1.0, "unrated_weight": 1.0, "mined_per": "segment"}
    labels = np.maximum(OF_VIDEO, RATED > 0)  # what is rated is a label of the video
    values = losses.build("SampledNegativeLoss", options)(SCORES, RATINGS, np.sign(RATED), video_labels=labels)
    for i in range(5):
        rated = [np.log(SCORES[i, c] if RATINGS[i, c] else 1 - SCORES[i, c]) for c in range(7) if RATED[i, c]]
        outside = [np.log(1 - SCORES[i, c]) for c in range(7) if not labels[i, c]]
        expected = -sum(rated) - (np.mean(outside) if rated and outside else 0)
        np.testing.assert_allclose(values[i], expected, rtol=1e-5, atol=1e-7)
    with pytest.raises(UserError, match="mined_per='row': use one of pair, segment"):
        SampledNegativeLoss(mined_per="row")


@pytest.mark.parametrize("options", [{}, {"num_negatives": 2}])
def test_sampled_negatives_of_the_authors_code(options):
    values = SampledNegativeLoss(form="code", **options)(SCORES, RATINGS, RATED, video_labels=OF_VIDEO)
    expected = sampled_by_hand(SCORES, RATINGS, RATED, OF_VIDEO, code=True, **options)
    np.testing.assert_allclose(np.sum(values), expected, rtol=1e-5)


def test_a_rated_negative_outside_the_videos_labels_counts_twice_in_the_paper_only():
    p, y, w, of_video = np.float32([[0.3, 0.6]]), np.zeros((1, 2), "float32"), np.float32([[1, 0]]), np.float32([[0, 1]])
    paper, code = (SampledNegativeLoss(form=form)(p, y, w, video_labels=of_video) for form in ("paper", "code"))
    np.testing.assert_allclose(paper, [-1.5 * np.log(0.7)], rtol=1e-5)
    np.testing.assert_allclose(code, [-0.5 * np.log(0.7)], rtol=1e-5)


@pytest.mark.parametrize("form", sampled_negatives.FORMS)
@pytest.mark.parametrize("num_negatives", [None, 2])
def test_classes_of_the_video_that_nobody_rated_have_exactly_no_gradient(form, num_negatives):
    loss = SampledNegativeLoss(form=form, num_negatives=num_negatives)
    slopes = gradient(loss, SCORES, RATINGS, RATED, video_labels=OF_VIDEO)
    assert (slopes[(OF_VIDEO > 0) & (RATED == 0)] == 0).all()
    assert (slopes[4] == 0).all() and (slopes[RATED > 0] != 0).all()
    mined = (OF_VIDEO == 0) & (RATED == 0) & (RATED.any(axis=1, keepdims=True))
    assert (slopes[mined] > 0).sum() == (mined.sum() if num_negatives is None else np.minimum(mined.sum(axis=1), 2).sum())


def test_sampled_negatives_need_the_videos_labels_unless_every_class_is_known():
    with pytest.raises(UserError, match="no video_labels"):
        SampledNegativeLoss()(P, Y, WEIGHTS)
    expected = -(1.5 * Y * np.log(P + 1e-7) + (1 - Y) * np.log(1 - P + 1e-7)).sum(axis=1)
    np.testing.assert_allclose(SampledNegativeLoss()(P, Y), expected, rtol=1e-5)


def test_refused_arguments():
    for make in (
        lambda: MaskedCrossEntropyLoss(reduction="sum"),
        lambda: SampledNegativeLoss(form="talk"),
        lambda: SampledNegativeLoss(unrated_weight=-1.0),
        lambda: SampledNegativeLoss(num_negatives=0),
    ):
        with pytest.raises(UserError, match="use "):
            make()


@each
def test_unrated_pairs_have_exactly_no_gradient(name):
    """Of SampledNegativeLoss: those of the video, which class 2 of the first row is."""
    loss = registry.get("loss", name)()
    slopes = gradient(loss, P, Y, WEIGHTS, **entries(name))
    assert (slopes[WEIGHTS == 0] == 0).all() if not entries(name) else slopes[0, 2] == 0
    assert (slopes[0, [0, 1]] != 0).all()


@each
def test_nothing_rated_is_a_loss_of_zero(name):
    loss = registry.get("loss", name)()
    np.testing.assert_array_equal(loss(P, Y, np.zeros_like(Y), **entries(name)), [0, 0])
    assert not gradient(loss, P, Y, np.zeros_like(Y), **entries(name)).any()


@each
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_computed_in_float32_for_any_dtype(name, dtype):
    loss = registry.get("loss", name)()
    rounded = tf.cast(tf.cast(P, dtype), "float32")
    value = loss(tf.cast(P, dtype), Y.astype(bool), WEIGHTS.astype("float64"), **entries(name))
    assert value.dtype == tf.float32 and value.shape == (2,)
    np.testing.assert_array_equal(value, loss(rounded, Y, WEIGHTS, **entries(name)))
    assert type(loss)(**loss.get_config()).get_config() == loss.get_config()
