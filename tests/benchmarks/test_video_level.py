"""benchmarks/video_level.py: what is run, once, and what the table is made of."""

import importlib
import json
import pathlib
import sys

import numpy as np
import pytest

from tests.testing import write_video_shards
from yt8m import recipes

FOLDER = pathlib.Path(__file__).parent.parent.parent / "benchmarks"
MEASURES = ("gap", "hit_at_one", "perr", "map")


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setitem(sys.modules, "report", importlib.import_module("report"))
    module = importlib.import_module("video_level")
    monkeypatch.setattr(module.report, "version_of_code", lambda: "abc")
    return module


@pytest.fixture
def data(tmp_path):
    """Eight shards, which nobody reads where training is a stub."""
    (tmp_path / "data").mkdir()
    for number in range(8):
        (tmp_path / "data" / f"validate{number:04d}.tfrecord").touch()
    return tmp_path / "data"


@pytest.fixture
def ran(benchmark, monkeypatch):
    """The rows and seeds that were trained; GAP is .7 and a hundredth of the seed, a tenth more of the recipe."""
    calls = []

    def train(module, function, name, seed, train, judged, folder, shorter):
        assert (module, function) == ("video_level", "train_and_judge")
        calls.append((name, seed, train.count(","), pathlib.Path(judged).name))
        gap = 0.7 + seed / 100 + 0.1 * (name == benchmark.RECIPE)
        return {**dict.fromkeys(MEASURES, 0.5), "gap": gap, "parameters": 7, "seconds": 1, "gb": 1.5}

    monkeypatch.setattr(benchmark.report, "in_a_process", train)
    return calls


def run(benchmark, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["video_level.py", *map(str, arguments)])
    benchmark.main()


def test_rows_times_seeds_once_each(benchmark, ran, data, monkeypatch, tmp_path):
    arguments = ("--data", data, "--work", tmp_path / "work", "--only", benchmark.RECIPE, benchmark.MOE, "--seeds", 2)
    run(benchmark, monkeypatch, *arguments, "--json", tmp_path / "rows.json")
    assert ran == [(name, seed, 6, "validate0007.tfrecord") for name in (benchmark.RECIPE, benchmark.MOE) for seed in (1, 2)]
    told = json.loads((tmp_path / "rows.json").read_text())
    assert (told["code"], told["seeds"]) == ("abc", 2)
    recipe, moe = told["rows"]
    assert recipe["seeds"]["gap"] == pytest.approx([0.81, 0.82]) and moe["value"] == pytest.approx(0.715)
    assert (recipe["baseline"], recipe["gain"]) == (benchmark.MOE, pytest.approx(0.1))
    with open(tmp_path / "work" / "results.jsonl", "a") as log:
        log.write('{"row": "rec')  # the machine stopped here
    run(benchmark, monkeypatch, *arguments)
    assert len(ran) == 4
    monkeypatch.setattr(benchmark.report, "version_of_code", lambda: "def")
    run(benchmark, monkeypatch, *arguments)
    assert len(ran) == 8  # nothing of another version counts


def test_other_videos_are_judged_by_the_same_training(benchmark, ran, data, monkeypatch, tmp_path):
    run(benchmark, monkeypatch, "--data", data, "--eval_data", tmp_path / "other*", "--only", benchmark.MOE, "--seeds", 1)
    assert ran == [(benchmark.MOE, 1, 6, "other*")]


def test_a_folder_without_shards_is_refused(benchmark, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(benchmark, monkeypatch, "--data", tmp_path)
    assert "expected at least 8" in capsys.readouterr().err


def test_every_row_is_a_training(benchmark, tmp_path):
    for name, row in benchmark.ROWS.items():
        given = {**benchmark.flags_of(row), "train_data_pattern": "*", "train_dir": str(tmp_path)}
        assert recipes.resolve(given, None, None).model.num_classes == 3862
        assert not row.baseline or row.baseline in benchmark.ROWS, name


def test_a_row_trains_and_is_judged(benchmark, tmp_path):
    rng = np.random.default_rng(0)
    shards = [
        [(f"v{shard}{i}", [i], {"mean_rgb": rng.normal(size=1024), "mean_audio": rng.normal(size=128)}) for i in range(4)]
        for shard in range(2)
    ]
    (tmp_path / "data").mkdir()
    pattern = write_video_shards(tmp_path / "data", shards)
    result = benchmark.train_and_judge(benchmark.LOGISTIC, 1, pattern, pattern, str(tmp_path / "run"), {"max_steps": 2})
    assert result["parameters"] == 1153 * 3862 and 0 <= result["gap"] <= 1
