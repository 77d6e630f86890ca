"""Values that no count, rate or seed can have, refused by the name of their flag."""

import math
import os

import pytest

import yt8m
from tests.commands import given
from yt8m.errors import UserError
from yt8m.recipes import checks

BAD = {  # a number above 0, one from 0 up
    checks.positive: (0, -1, -0.5, math.nan, math.inf, -math.inf),
    checks.not_negative: (-1, -0.5, math.nan, math.inf, -math.inf),
}


@pytest.mark.parametrize("check, value", [(check, value) for check, values in BAD.items() for value in values])
def test_out_of_range(check, value):
    check({"rate": 2**62, "other": value}, "rate", "missing")
    with pytest.raises(UserError, match=rf"^--rate={value}: must ") as refused:
        check({"rate": value}, "missing", "rate")
    assert ("finite" in str(refused.value)) == (not math.isfinite(value))
    checks.not_negative({"rate": 0}, "rate")


@pytest.mark.parametrize(
    "argument",
    [
        "--seed=-1", f"--seed={2**32}", f"--seed={checks.SEEDS}", "--ema_momentum=nan", "--ema_momentum=1", "--ema_momentum=inf",
        "--base_learning_rate=nan", "--base_learning_rate=inf", "--clip_gradient_norm=nan", "--regularization_penalty=nan",
        "--optimizer_epsilon=nan", "--learning_rate_decay_examples=nan", "--weight_decay=inf", "--start_time_weight=nan",
        "--em_threshold=nan", "--distillation_weight=nan",
    ],
)  # fmt: skip
def test_training(argument):
    with pytest.raises(UserError, match=rf"{argument.split('=')[0]}=.*: must "):
        checks.training(given("train", argument))


def test_seeds_that_are_taken():
    for seed in (0, checks.SEEDS - 1):
        checks.training({"seed": seed})


@pytest.mark.parametrize("name", ["vote_temperature", "video_maximum", "rank_average"])
def test_reranking(name):
    with pytest.raises(UserError, match=rf"--{name}=nan: must "):
        yt8m.rerank(**{name: "nan"})


def test_a_folder_where_a_file_is_to_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", f"{tmp_path}/new/", "~/folder"):
        with pytest.raises(UserError, match=r"--output_file=.*: is a folder\. Name a file"):
            checks.file({"output_file": str(path)}, "output_file")
    with pytest.raises(UserError, match=r"^--output_file=/dev/null: is a pipe or a device\. Name a file"):
        checks.file({"output_file": "/dev/null"}, "output_file")
    for path in ("", str(tmp_path / "new.csv"), None):
        checks.file({"output_file": path}, "output_file", "report_output")


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for check, bad in (
        (checks.writable, ("file/x.csv", "file/new/x.csv")),
        (checks.writable_folder, ("file", "file/new")),
    ):
        for path in (*(str(tmp_path / name) for name in bad), "gs://bucket/x"):
            with pytest.raises(UserError, match=rf"^--output={path}: ") as refused:
                check({"output": path}, "other", "output")
            assert "\n" not in str(refused.value)
        for name in ("new", "folder", "new/of/new", "folder/new"):
            check({"output": str(tmp_path / name)}, "output")
        check({"output": ""}, "output")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"] and not os.listdir(tmp_path / "folder")
