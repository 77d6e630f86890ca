"""Fitted weights against an optimizer, and files of them."""

import json

import numpy as np
import pytest
from scipy import optimize

from tests.ensembles.rows import LABELS, NAMES, draw, expected_lists, pairs_of, read, run, write_ratings, write_store
from yt8m.ensembles import weights as ensemble_weights
from yt8m.errors import UserError
from yt8m.readers.stores import open_store


def planted(seed, num_members=3, num_classes=2, n=400):
    """Ratings of classes; in class c member c % K knows them, the others say noise."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(num_classes), n)
    labels = rng.integers(0, 2, len(classes))
    probabilities = rng.uniform(0.05, 0.95, (len(classes), num_members))
    knows = np.where(labels > 0, rng.uniform(0.6, 0.95, len(labels)), rng.uniform(0.05, 0.4, len(labels)))
    probabilities[np.arange(len(classes)), classes % num_members] = knows
    order = rng.permutation(len(classes))
    return probabilities[order], labels[order], classes[order]


def test_fitted_weights_find_the_good_member():
    probabilities, labels, classes = planted(0)
    weights = ensemble_weights.fit(probabilities, labels, classes, 3, prior=0)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert weights[0, 0] > 0.99 and weights[1, 1] > 0.99
    np.testing.assert_allclose(weights[:, 2], 1 / 3)  # a class without ratings


@pytest.mark.parametrize("prior", [0, 5, 30])
@pytest.mark.parametrize("seed", range(3))
def test_fitted_weights_are_the_minimum(seed, prior):
    """Against SciPy's constrained minimiser; few, alike and correlated members, which is the slow case."""
    rng = np.random.default_rng(seed)
    n, k = 60, 5
    labels = rng.integers(0, 2, n)
    shared = np.where(labels > 0, 0.6, -0.6) + rng.normal(size=n)
    probabilities = 1 / (1 + np.exp(-(shared[:, None] + rng.normal(size=(n, k)) * np.linspace(0.3, 1.5, k))))
    likelihoods = ensemble_weights.likelihoods_of(probabilities, labels)

    def objective(weights):
        return (-np.log(likelihoods @ weights).sum() - prior / k * np.log(weights).sum()) / (n + prior)

    found = ensemble_weights.fit(probabilities, labels, np.zeros(n, int), 1, prior, tolerance=1e-7, max_iterations=100_000)[:, 0]
    best = optimize.minimize(
        objective,
        np.full(k, 1 / k),
        method="SLSQP",
        bounds=[(1e-9, 1)] * k,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert best.success
    assert objective(np.maximum(found, 1e-300)) <= best.fun + 2e-7
    if prior:
        np.testing.assert_allclose(found, best.x, atol=2e-3)


def test_the_prior_pulls_to_equal_weights():
    probabilities, labels, classes = planted(1)
    spread = [np.ptp(ensemble_weights.fit(probabilities, labels, classes, 2, prior)[:, 0]) for prior in (0, 30, 300, 1e9)]
    assert spread == sorted(spread, reverse=True) and spread[0] > 0.9 and spread[-1] < 1e-3


def test_scores_of_zero_and_one_do_not_break_the_fit():
    probabilities = np.array([[0, 1, 0.5], [1, 0, 0.5], [0, 0, 0.5]])
    weights = ensemble_weights.fit(probabilities, np.array([1, 0, 1]), np.zeros(3, int), 1)
    assert np.isfinite(weights).all() and weights[1, 0] > weights[0, 0]


def knowing(pattern, label, seed):
    """Scores that know the ratings of one class and guess the others."""
    scores = draw(seed)
    for name, own, rating in zip(*pairs_of(pattern)):
        if own == label:
            scores[NAMES.index(name), LABELS.index(label)] = 0.8 if rating else 0.2
    return scores


def test_fit_write_read_and_use(tmp_path, capsys):
    pattern = write_ratings(tmp_path)
    scores = [knowing(pattern, label, k) for k, label in enumerate((30, 4))]
    folders = [write_store(tmp_path / f"run{k}", own, run={"members": [k], "skip": 0}) for k, own in enumerate(scores)]
    skipping = [write_store(tmp_path / f"skip{k}", own, run={"members": [k], "skip": 6}) for k, own in enumerate(scores)]
    fit = [*folders, f"--fit_on={pattern}", "--fit_prior=2"]
    run(*fit, f"--weights_output={tmp_path}/w.json", f"--output_file={tmp_path}/fitted.csv")
    assert "Fitted the weights of 3 classes on 48 rated pairs" in capsys.readouterr().out
    weights = ensemble_weights.read(f"{tmp_path}/w.json", LABELS)
    assert weights[0, 0] > 0.75 and weights[1, 1] > 0.75
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-5)
    run(*skipping, f"--weights={tmp_path}/w.json", f"--output_file={tmp_path}/used.csv")
    assert "Note" not in capsys.readouterr().out
    assert read(tmp_path / "used.csv") == read(tmp_path / "fitted.csv")
    values = [np.concatenate([open_store(f).read(s).values for s in open_store(f).shards()]) for f in folders]
    mean = np.float32(sum(w * v for w, v in zip(weights, values)) / weights.sum(axis=0) / 9999)
    assert read(tmp_path / "used.csv") == expected_lists(mean, len(NAMES))

    with pytest.raises(UserError, match="member 1 here was member 2"):
        run(*skipping[::-1], f"--weights={tmp_path}/w.json", f"--output_file={tmp_path}/used.csv")
    with pytest.raises(UserError, match="weights of 2 members, not of 1"):
        run(folders[0], f"--weights={tmp_path}/w.json", f"--output_file={tmp_path}/used.csv")
    other = write_store(tmp_path / "other", draw(9), run={"members": [9]})
    run(folders[0], other, f"--weights={tmp_path}/w.json", f"--output_file={tmp_path}/used.csv")
    assert "member 2 in" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"no weights for 1 of 2 classes \(5, \.\.\.\)"):
        ensemble_weights.read(f"{tmp_path}/w.json", [30, 5])


def test_leave_one_out_fits_anew_and_says_when_it_flatters(tmp_path, capsys):
    pattern = write_ratings(tmp_path)
    scores = [knowing(pattern, 30, 0), draw(1), knowing(pattern, 4, 2)]
    folders = [write_store(tmp_path / f"run{k}", own) for k, own in enumerate(scores)]
    one = str(tmp_path / "validate0001.tfrecord")
    judged = [f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json"]
    run(*folders, f"--fit_on={one}", *judged)
    report = json.loads((tmp_path / "r.json").read_text())
    assert "fitted on 1 of these 3 shards" in report["warning"]
    assert "fitted on 1 of these 3 shards" in capsys.readouterr().out
    for k in range(3):
        rest = [folder for i, folder in enumerate(folders) if i != k]
        run(*rest, f"--fit_on={one}", f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/rest.json")
        separate = json.loads((tmp_path / "rest.json").read_text())["ensemble"]
        assert report["members"][k]["without"] == pytest.approx(separate, abs=1e-9)


@pytest.mark.parametrize(
    "text, message",
    [
        ("no json", "no file of --weights_output"),
        ('{"version": 1, "members": [], "weights": []}', "no file of --weights_output"),
        ('{"version": 1, "members": [{"run": 1}], "weights": {"30": [1, 2]}}', "not one a member"),
        ('{"version": 1, "members": [{"run": 1}], "weights": {"30": [0]}}', "all weights are 0"),
        ('{"version": 1, "members": [{"run": 1}], "weights": {"30": [-1]}}', "negative"),
    ],
)
def test_bad_weight_files(tmp_path, text, message):
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(UserError, match=message):
        ensemble_weights.read(str(tmp_path / "w.json"), [30])
