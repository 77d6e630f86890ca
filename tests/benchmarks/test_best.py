"""The best ensemble's rows: what its student keeps, paired by seed."""

import pathlib
import sys
import types

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))
import best
import best_rankers
import beyond
import montage_rows


def of_seed(ensemble, plain, student):
    return types.SimpleNamespace(
        ensemble=ensemble, rows={best.PLAIN: {"map": plain}, best.STUDENT: {"map": student, "parameters": 10**6}}
    )


def test_the_students_share_is_of_its_own_seeds_ensemble(monkeypatch):
    monkeypatch.setattr(beyond, "best_ensemble", lambda runs, near: runs.ensemble)
    seeds = [of_seed(0.76, 0.75, 0.75), of_seed(0.77, 0.75, 0.76), of_seed(0.765, 0.752, 0.755)]
    rows = {row["name"]: row for row in best.student_rows(seeds, None)}
    ensemble, share = rows[beyond.RECIPE], rows[f"{best.STUDENT}: share of the ensemble's MAP"]
    assert ensemble["met"] and ensemble["gain"] == pytest.approx((0.01 + 0.02 + 0.013) / 3)
    assert share["value"] == pytest.approx((0.75 / 0.76 + 0.76 / 0.77 + 0.755 / 0.765) / 3) and share["met"]
    assert rows[f"{best.STUDENT}: MB of float32"]["value"] == 4
    poor = [of_seed(0.8, 0.75, 0.76)] * 2
    assert not {row["name"]: row for row in best.student_rows(poor, None)}[share["name"]]["met"]


def test_the_localisers_feature_is_added_to_the_pairs_features_and_kept(monkeypatch, tmp_path):
    near, trained = {part: np.zeros((3, 2)) for part in ("held_out", "test")}, []

    def located(made, seed):
        trained.append(seed)
        return {part: np.full((3, 1), 0.01 * seed) for part in near}

    monkeypatch.setattr(beyond, "located", located)
    monkeypatch.setattr(beyond, "best_ensemble", lambda runs, near: runs.map + near["test"].sum())
    seeds = [
        types.SimpleNamespace(made=None, seed=seed, map=0.5, path=lambda name, seed=seed: str(tmp_path / f"{name}-{seed}"))
        for seed in (1, 2, 3)
    ]
    for _ in range(2):
        row, minutes = best.localizer_rows(seeds, near)
        assert row["value"] == pytest.approx(0.56) and row["gain"] == pytest.approx(0.06) and row["met"]
        assert row["name"] == best.LOCALIZER and minutes["unit"] == "CPU minutes" and trained == [1, 2, 3]


def test_the_students_recipe_is_of_a_model_that_there_is():
    key, recipe = montage_rows.BEST_STUDENT
    assert key in montage_rows.MODELS and set(recipe) <= {"max_steps", "hyperparameters"}


class Seed:
    """Of montage_runs.Runs, where a seed's files are."""

    def __init__(self, folder, seed):
        self.folder, self.seed = folder, seed

    def path(self, name):
        place = self.folder / str(self.seed) / name
        place.mkdir(parents=True, exist_ok=True)
        return str(place)


def test_other_rankers_are_beside_the_same_command_with_the_recipes_flags(monkeypatch, tmp_path):
    asked = []

    def map_of(runs, method="logistic", **flags):
        asked.append((runs.seed, method))
        return {"logistic": 0.76, "class_trees": 0.73, "attention": 0.77}[method] + 0.001 * runs.seed

    monkeypatch.setattr(best_rankers, "map_of", map_of)
    monkeypatch.setattr(best.report, "version_of_code", lambda: "abc")
    seeds = [Seed(tmp_path, 1), Seed(tmp_path, 2)]
    (same, trees), (_, attention) = (best.ranker_rows(seeds, part) for part in ("class_trees", "negatives"))
    assert asked[:4] == [(1, "class_trees"), (1, "logistic"), (2, "class_trees"), (2, "logistic")]
    assert same["seeds"] == pytest.approx([0.761, 0.762]) and trees["baseline"] == same["name"] != attention["baseline"]
    assert trees["gain"] == pytest.approx(-0.03) and not trees["met"] and attention["met"]
    count = len(asked)
    assert best.ranker_rows(seeds, "class_trees")[1] == trees and len(asked) == count, "what a version reached is kept"
    monkeypatch.setattr(best.report, "version_of_code", lambda: "abd")
    best.ranker_rows(seeds, "class_trees")
    assert len(asked) > count
