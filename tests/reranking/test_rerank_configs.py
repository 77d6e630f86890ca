"""The flag files of what ranks a run anew: whole headers, commands that are understood, the published sizes, nothing hidden."""

import pathlib
import re
import shlex

import numpy as np
import pytest

from tests import commands
from yt8m.reranking import localizer, rankers

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
METHODS = {"rerank_attention": "attention", "rerank_class_trees": "class_trees", "rerank_localizer": "localizer"}


def parse(name):
    return commands.given("rerank", f"--flagfile={CONFIGS / name}.flags")


def header(name):
    return "\n".join(line for line in (CONFIGS / f"{name}.flags").read_text().splitlines() if line.startswith("#"))


def test_there_are_no_others():
    assert {path.stem for path in CONFIGS.glob("rerank_*.flags")} == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_header_and_command(name):
    text, given = header(name), parse(name)
    for part in ("# Source: ", "# Published: ", "# Run:", "# Data: YouTube-8M ", "# Not in the source: "):
        assert part in text, part
    run = re.search(r"#   yt8m rerank (.*)", text)[1]
    again = commands.given("rerank", *[part.replace("configs/", f"{CONFIGS}/") for part in shlex.split(run)])
    assert given.items() <= again.items() and {"train_dir", "references", "data_pattern", "output_file"} <= set(again)


@pytest.mark.parametrize("name", METHODS)
def test_every_option_is_in_the_file(name):
    given = parse(name)
    assert given["method"] == METHODS[name]
    assert set(given["method_options"]) == set(rankers.options_of(given["method"], given["method_options"]))


@pytest.mark.parametrize("name", ["rerank_attention", "rerank_class_trees"])
def test_the_file_says_the_defaults(name):
    given = parse(name)
    assert given["method_options"] == pytest.approx(rankers.options_of(given["method"], {}))


def test_the_localiser_is_of_the_published_size_and_rates():
    options = parse("rerank_localizer")["method_options"]
    model = localizer.localizer(1000, 1152, units=options["units"], embedding=options["embedding"])
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 4_558_593 + 2 * 1152  # a batch norm more
    rates = [options["learning_rate"] * part for part in (1, options["second_rate"], options["third_rate"])]
    assert rates == pytest.approx([1e-3, 1e-4, 2e-5]) and (options["epochs"], options["batch_size"]) == (3, 512)
