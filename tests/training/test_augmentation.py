"""Augmentation of batches: what each option does to frames, labels and start times, and that it depends on the seed only."""

import numpy as np
import pytest
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.losses import CrossEntropyLoss
from yt8m.training.augmentation import Augmentation, augment, augmented

T, D, C = 17, 6, 4
RNG = np.random.default_rng(2)
EVERYTHING = Augmentation(virtual_segments=0.4, reverse=0.5, drop_frames=0.3, drop_segments=0.2, noise=0.05, subsample=2)


def frames_of(lengths, length=T):
    """Frames of 1..250, zero past each row's end."""
    frames = RNG.integers(1, 251, (len(lengths), length, D)).astype("uint8")
    return frames * (np.arange(length)[None, :, None] < np.array(lengths)[:, None, None])


def labels_of(rows):
    """Scores where they are rated."""
    weights = RNG.integers(0, 2, (rows, C)).astype("float32")
    return {"labels": weights * RNG.integers(0, 2, (rows, C)).astype("float32"), "label_weights": weights}


def rows_batch(lengths=(17, 12, 5, 1, 17), length=T):
    batch = {"frames": frames_of(lengths, length).astype("uint8"), "num_frames": np.array(lengths, "int32")}
    return tensors({"ids": np.array([f"v{i}" for i in range(len(lengths))]), **batch, **labels_of(len(lengths))})


def rated_batch():
    """Three whole videos of 17, 10 and 4 frames with rated segments; the one at 15 lies in a part that fills no segment."""
    videos, starts = np.array([0, 0, 0, 1, 1, 2], "int32"), np.array([0, 5, 15, 0, 5, 0], "int32")
    lengths = np.array([17, 10, 4], "int32")
    frames = frames_of(lengths).astype("uint8")
    counts = np.minimum(lengths[videos] - starts, 5).astype("int32")
    windows = np.stack([np.pad(frames[v, s : s + 5], ((0, max(0, s + 5 - T)), (0, 0))) for v, s in zip(videos, starts)])
    batch = {"ids": np.array(["a", "b", "c"]), "context_frames": frames, "context_num_frames": lengths, "segment_rows": videos}
    batch |= {"start_times": starts, "frames": windows, "num_frames": counts, **labels_of(6)}
    batch["label_weights"] = np.ones((6, C), "float32")
    return tensors(batch)


def tensors(batch):
    return {key: tf.constant(value) for key, value in batch.items()}


def run(batch, seed=(3, 4), **options):
    """The augmented batch in numpy; checks what holds of every one."""
    result = augment(batch, Augmentation(**options), tf.constant(seed, tf.int32))
    assert list(result) == list(batch)
    for key, value in result.items():
        assert value.dtype == batch[key].dtype and value.shape == batch[key].shape
    for frames, count in (("frames", "num_frames"), ("context_frames", "context_num_frames")):
        if frames in batch:
            real = np.arange(result[frames].shape[1])[None] < result[count].numpy()[:, None]
            assert not result[frames].numpy()[~real].any()
            assert (result[count].numpy() >= np.minimum(batch[count], 1)).all()
            assert (result[count].numpy() <= batch[count].numpy()).all()
    return {key: value.numpy() for key, value in result.items()}


def same(batch, other, *but):
    for key in batch:
        if key not in but:
            np.testing.assert_array_equal(batch[key], other[key], err_msg=key)


@pytest.mark.parametrize("make", [rows_batch, rated_batch])
def test_nothing_happens_unless_asked_for(make):
    batch = make()
    same(batch, run(batch))
    dataset = tf.data.Dataset.from_tensors(batch)
    assert augmented(dataset, Augmentation(), seed=1) is dataset and not Augmentation().active
    assert EVERYTHING.active and len(EVERYTHING.chosen) == 6


def test_the_seed_decides():
    batch = rows_batch()
    options = {name: getattr(EVERYTHING, name) for name in EVERYTHING.chosen}
    first = run(batch, **options)
    same(first, run(batch, **options))
    assert (first["frames"] != run(batch, seed=(3, 5), **options)["frames"]).any()
    assert (first["frames"] != run(batch, seed=(4, 4), **options)["frames"]).any()


# ---------------------------------------------------------------- frames


def test_reversed_rows_and_twice_is_the_original():
    batch = rows_batch()
    backwards = run(batch, reverse=1.0)
    for row, n in enumerate(batch["num_frames"]):
        np.testing.assert_array_equal(backwards["frames"][row, :n], batch["frames"][row, :n][::-1])
    same(batch, backwards, "frames")
    same(batch, run(tensors(backwards), reverse=1.0))


def test_as_many_rows_are_reversed_as_asked_for():
    batch = rows_batch((9,) * 2000, length=9)
    changed = (run(batch, reverse=0.3)["frames"] != batch["frames"].numpy()).any(axis=(1, 2))
    assert abs(changed.mean() - 0.3) < 0.04


def test_reversed_videos_keep_the_bounds_of_their_rated_segments():
    batch = rated_batch()
    backwards = run(batch, reverse=1.0)
    np.testing.assert_array_equal(backwards["context_num_frames"], [15, 10, 4])  # the last is too short for a segment: as it was
    np.testing.assert_array_equal(backwards["start_times"], [10, 5, 0, 5, 0, 0])
    np.testing.assert_array_equal(backwards["label_weights"].any(axis=1), [True, True, False, True, True, True])
    assert not backwards["labels"][2].any()
    for row in (0, 1, 3, 4):
        video, start = backwards["segment_rows"][row], backwards["start_times"][row]
        np.testing.assert_array_equal(backwards["context_frames"][video, start : start + 5], batch["frames"][row].numpy()[::-1])
        np.testing.assert_array_equal(backwards["frames"][row], batch["frames"][row].numpy()[::-1])
    for key in ("context_frames", "frames"):
        np.testing.assert_array_equal(backwards[key][-1], batch[key][-1])
    twice = run(tensors(backwards), reverse=1.0)
    np.testing.assert_array_equal(twice["context_frames"][0, :15], batch["context_frames"][0, :15])
    np.testing.assert_array_equal(twice["start_times"][[0, 1, 3, 4]], [0, 5, 0, 5])
    same(batch, twice, "context_frames", "context_num_frames", "start_times", "labels", "label_weights")


def test_a_video_and_its_segments_are_reversed_together():
    batch = rated_batch()
    seen = set()
    for seed in range(12):
        result = run(batch, seed=(seed, 0), reverse=0.5)
        flipped = result["start_times"] != batch["start_times"]
        windows = (result["frames"] != batch["frames"].numpy()).any(axis=(1, 2))
        np.testing.assert_array_equal(windows[[0, 1, 3, 4]], flipped.numpy()[[0, 0, 3, 3]])
        np.testing.assert_array_equal(result["context_num_frames"][0] == 15, flipped[0])
        seen.add((bool(flipped[0]), bool(flipped[3])))
    assert len(seen) > 2


def numbered(lengths, length=T):
    """A batch in which each frame is its number plus 1."""
    batch = rows_batch(lengths, length)
    numbers = np.where(batch["frames"].numpy() > 0, np.arange(1, length + 1)[None, :, None], 0)
    return {**batch, "frames": tf.constant(numbers.astype("uint8"))}


def numbers_of(result):
    """Rows of the frames that are left, as numbers."""
    return [frames[:n, 0].astype(int) - 1 for frames, n in zip(result["frames"], result["num_frames"])]


def test_dropped_frames():
    lengths = [17] * 400 + [1, 2]
    rows = numbers_of(run(numbered(lengths), drop_frames=0.6))
    assert all((np.diff(row) > 0).all() for row in rows)
    assert abs(np.mean([len(row) for row in rows[:400]]) / 17 - 0.4) < 0.02
    assert len(set(map(tuple, rows))) > 300
    assert min(len(row) for row in numbers_of(run(numbered(lengths), drop_frames=0.999))) == 1


def test_dropped_segments_are_whole_ones():
    rows = numbers_of(run(numbered([17] * 300 + [3, 10]), drop_segments=0.5))
    for row, n in zip(rows, [17] * 300 + [3, 10]):
        kept = {number // 5 for number in row}
        np.testing.assert_array_equal(row, [number for number in range(n) if number // 5 in kept])
        assert kept
    # Of four segments half stay, and one where none would: 4 * .5 + .5 ** 4
    assert abs(np.mean([len({number // 5 for number in row}) for row in rows[:300]]) - 2.0625) < 0.2


def test_every_third_frame_from_a_random_one():
    lengths = [17] * 60 + [1, 2, 4]
    rows = numbers_of(run(numbered(lengths), subsample=3))
    for row, n in zip(rows, lengths):
        np.testing.assert_array_equal(row, np.arange(row[0], n, 3))
        assert row[0] < min(n, 3)
    assert {row[0] for row in rows[:60]} == {0, 1, 2}


def test_the_frames_of_rated_videos_and_their_segments_are_dropped_alike():
    batch = rated_batch()
    result = run(batch, drop_frames=0.5)
    assert result["context_num_frames"].sum() < 31 and result["num_frames"].sum() < batch["num_frames"].numpy().sum()
    same(batch, result, "context_frames", "context_num_frames", "frames", "num_frames")


# ---------------------------------------------------------------- noise


@pytest.mark.parametrize("noise", [1e-3, 0.005, 0.0111, 0.02, 0.1])
def test_noise_on_bytes_has_mean_0_and_the_deviation_asked_for(noise):
    frames = np.full((40, 50, 200), 128, "uint8")
    batch = tensors({"frames": frames, "num_frames": np.full(40, 50, "int32"), **labels_of(40)})
    difference = (run(batch, noise=noise)["frames"].astype(float) - 128) * 4 / 255
    assert abs(difference.mean()) < 4 * noise / frames.size**0.5
    np.testing.assert_allclose(difference.std(), noise, rtol=0.05)


def test_noise_stays_in_a_bytes_range_and_differs_from_frame_to_frame():
    frames = np.concatenate([np.zeros((1, 30, D)), np.full((1, 30, D), 255)]).astype("uint8")
    batch = tensors({"frames": frames, "num_frames": np.array([30, 30], "int32"), **labels_of(2)})
    noisy = run(batch, noise=0.5)["frames"]
    assert noisy[0].max() < 128 < noisy[1].min() and len(np.unique(noisy)) > 50


def test_noise_on_segments_of_rated_videos_and_on_features():
    batch = rated_batch()
    noisy = run(batch, noise=0.2)
    assert (noisy["context_frames"] != batch["context_frames"].numpy()).any() and (
        noisy["frames"] != batch["frames"].numpy()
    ).any()
    same(batch, noisy, "context_frames", "frames")
    features = tensors({"features": np.ones((300, 50), "float32"), **labels_of(300)})
    difference = run(features, noise=0.2)["features"] - 1
    assert abs(difference.mean()) < 0.01 and abs(difference.std() - 0.2) < 0.01


# ---------------------------------------------------------------- virtual segments


def mixture(rows, alpha=0.7, seed=(3, 4)):
    """The matrix A [B, B] of a seed: row i of the result is the mean of the rows with weights A_i."""
    batch = {"features": np.eye(rows, dtype="float32"), "labels": np.zeros((rows, 1), "float32")}
    matrix = run(tensors(batch), virtual_segments=alpha, seed=seed)["features"]
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    return matrix


def test_rows_are_mixed_with_others_in_shares_from_a_beta_distribution():
    matrix = mixture(3000)
    partners = np.argmax(np.where(np.eye(3000), -1, matrix), axis=1)
    np.testing.assert_array_equal(np.sort(partners), np.arange(3000))
    assert ((matrix > 0).sum(axis=1) <= 2).all()
    shares = np.diag(matrix)
    np.testing.assert_allclose([shares.mean(), shares.var()], [0.5, 0.25 / 2.4], atol=0.01)  # of Beta(.7, .7)
    assert np.isfinite(mixture(500, alpha=1e-3)).all()


def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses():
    rows = 8
    batch = {"features": RNG.normal(size=(rows, D)).astype("float32"), **labels_of(rows)}
    mixed = run(tensors(batch), virtual_segments=0.7)
    matrix = mixture(rows)
    assert (matrix > 0).sum() > rows
    np.testing.assert_allclose(mixed["features"], matrix @ batch["features"], atol=1e-5)
    scores, loss = RNG.uniform(0.05, 0.95, (rows, C)).astype("float32"), CrossEntropyLoss()
    expected = np.zeros(rows)
    for i in range(rows):
        for j in range(rows):
            expected[i] += (
                matrix[i, j] * loss(scores[i : i + 1], batch["labels"][j : j + 1], batch["label_weights"][j : j + 1])[0]
            )
    np.testing.assert_allclose(loss(scores, mixed["labels"], mixed["label_weights"]), expected, rtol=1e-5)
    assert ((mixed["labels"] >= 0) & (mixed["labels"] <= 1 + 1e-6)).all()
    assert not mixed["labels"][mixed["label_weights"] == 0].any()


def test_soft_labels_and_the_videos_labels_are_mixed_too():
    batch = {"features": np.zeros((6, D), "float32"), **labels_of(6), "video_labels": np.eye(6, dtype="float32")}
    batch |= {
        "soft_labels": RNG.uniform(size=(6, C)).astype("float32"),
        "soft_weights": RNG.integers(0, 2, (6, C)).astype("float32"),
    }
    mixed, matrix = run(tensors(batch), virtual_segments=0.7), mixture(6)
    np.testing.assert_allclose(mixed["soft_weights"], matrix @ batch["soft_weights"], atol=1e-6)
    products = matrix @ (batch["soft_weights"] * batch["soft_labels"])
    np.testing.assert_allclose(mixed["soft_labels"] * mixed["soft_weights"], products, atol=1e-6)
    np.testing.assert_array_equal(mixed["video_labels"], matrix > 0)
    alone = run(
        tensors({key: batch[key] for key in ("features", "labels", "label_weights", "soft_labels")}), virtual_segments=0.7
    )
    np.testing.assert_allclose(alone["soft_labels"], matrix @ batch["soft_labels"], atol=1e-6)


def test_frames_of_equal_length_are_mixed_one_by_one_and_rounded_without_bias():
    batch = rows_batch((T,) * 6)
    matrix = mixture(6)
    exact = np.einsum("ij,jtd->itd", matrix, batch["frames"].numpy().astype(float))
    mixed = run(batch, virtual_segments=0.7)["frames"]
    assert np.abs(mixed - exact).max() < 1.001
    constant = tensors(
        {"frames": np.repeat([[[10]], [[11]]], 5000, axis=2).astype("uint8"), "num_frames": np.ones(2, "int32"), **labels_of(2)}
    )
    seed = next((k, 0) for k in range(20) if 0.2 < mixture(2, seed=(k, 0))[0, 1] < 0.8)
    np.testing.assert_allclose(
        run(constant, seed=seed, virtual_segments=0.7)["frames"].mean(axis=(1, 2)), mixture(2, seed=seed) @ [10, 11], atol=0.03
    )


def test_a_partner_of_another_length_is_spread_over_the_row():
    batch = rows_batch((17, 12, 5, 1, 0, 9))
    frames, lengths = batch["frames"].numpy().astype(float), batch["num_frames"].numpy()
    for seed in range(8):
        matrix = mixture(6, seed=(seed, 1))
        result = run(batch, seed=(seed, 1), virtual_segments=0.7)
        np.testing.assert_array_equal(result["num_frames"], lengths)
        for i in range(6):
            partners = [j for j in range(6) if j != i and matrix[i, j] > 0]
            if not partners or lengths[i] == 0 or lengths[partners[0]] == 0:  # as it was, with its own labels
                for key in ("frames", "labels", "label_weights"):
                    np.testing.assert_array_equal(result[key][i], batch[key][i])
                continue
            j, share = partners[0], matrix[i, i]
            for t in range(lengths[i]):
                exact = share * frames[i, t] + (1 - share) * frames[j, t * lengths[j] // lengths[i]]
                assert np.abs(result["frames"][i, t] - exact).max() < 1.001
            np.testing.assert_allclose(result["label_weights"], result["label_weights"].clip(0, 1))


def test_of_rated_videos_the_segments_are_mixed():
    batch = {**rated_batch(), "video_labels": tf.eye(6)}
    mixed = run(batch, virtual_segments=0.7)
    assert (mixed["frames"] != batch["frames"].numpy()).any()
    assert ((mixed["video_labels"] > 0).sum(axis=1) == 2).any()
    same(batch, mixed, "frames", "labels", "label_weights", "video_labels")


# ---------------------------------------------------------------- datasets


def batches(count, length=None):
    """A dataset of `count` batches whose T is not known beforehand, or is."""

    def some():
        for number in range(count):
            lengths = [T, 4 + number, 1]
            frames = (
                np.random.default_rng(number).integers(1, 250, (3, T, D)) * (np.arange(T) < np.array(lengths)[:, None])[..., None]
            )
            yield {
                "frames": frames.astype("uint8"),
                "num_frames": lengths,
                "labels": np.eye(3, C),
                "label_weights": np.ones((3, C)),
            }

    signature = {
        "frames": tf.TensorSpec([None, length, D], tf.uint8),
        "num_frames": tf.TensorSpec([None], tf.int32),
        "labels": tf.TensorSpec([None, C], tf.float32),
        "label_weights": tf.TensorSpec([None, C], tf.float32),
    }
    return tf.data.Dataset.from_generator(some, output_signature=signature)


@pytest.mark.parametrize("length", [None, T])
def test_a_run_that_goes_on_sees_the_batches_that_it_would_have_seen(length):
    whole = list(augmented(batches(6, length), EVERYTHING, seed=5).as_numpy_iterator())
    rest = list(augmented(batches(6, length).skip(3), EVERYTHING, seed=5, start_step=3, num_parallel=2).as_numpy_iterator())
    assert len(whole) == 6 and len(rest) == 3
    for batch, other in zip(whole[3:], rest):
        same(batch, other)
    others = augmented(batches(6, length), EVERYTHING, seed=6).as_numpy_iterator()
    assert any(batch["frames"].tobytes() != other["frames"].tobytes() for batch, other in zip(whole, others))
    for number, batch in enumerate(batches(6, length)):
        same(whole[number], augment(batch, EVERYTHING, tf.constant([5, number], tf.int32)))


def test_shapes_that_are_known_stay_known():
    spec = augmented(batches(1, T), EVERYTHING, seed=5).element_spec
    assert spec["frames"].shape[1:] == (T, D) and spec["labels"].shape[1:] == (C,) and spec["num_frames"].shape.rank == 1


def test_a_batch_without_rows():
    result = run(
        {key: value[:0] for key, value in rows_batch().items()}, **{n: getattr(EVERYTHING, n) for n in EVERYTHING.chosen}
    )
    assert result["frames"].shape == (0, T, D)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "name, value",
    [("virtual_segments", -1.0), ("virtual_segments", float("nan")), ("reverse", 1.5), ("drop_frames", 1.0),
     ("drop_segments", -0.1), ("noise", float("inf")), ("subsample", 0), ("subsample", 1.5)],
)  # fmt: skip
def test_values_out_of_range(name, value):
    with pytest.raises(UserError, match=f"--augment_{name}={value}: use"):
        Augmentation(**{name: value})


@pytest.mark.parametrize(
    "kind, rows, refused",
    [
        ("frame", {}, ()),
        ("frame", {"segment_labels": True}, ("drop_segments",)),
        ("frame", {"whole_videos": True}, ("virtual_segments", "drop_frames", "drop_segments", "subsample")),
        ("sequence", {}, ()),
        ("sequence", {"whole_videos": True}, ("virtual_segments", "drop_frames", "drop_segments", "subsample")),
        ("context", {"whole_videos": True}, ("drop_segments",)),
        ("video", {}, ("reverse", "drop_frames", "drop_segments", "subsample")),
    ],
)
def test_what_goes_with_which_rows(kind, rows, refused):
    for name in EVERYTHING.chosen:
        options = Augmentation(**{name: getattr(EVERYTHING, name)})
        if name in refused:
            with pytest.raises(UserError, match=f"--augment_{name}="):
                options.check(kind, **rows)
        else:
            options.check(kind, **rows)


def test_no_segments_are_dropped_from_rated_segments():
    dataset = tf.data.Dataset.from_tensors({**rows_batch(), "start_times": tf.zeros([5], tf.int32)})
    with pytest.raises(UserError, match=r"--augment_drop_segments=0\.5: the rows are rated segments"):
        augmented(dataset, Augmentation(drop_segments=0.5), seed=1)
