"""What a stage starts from: its own checkpoint, --init_checkpoint, an earlier stage's, scratch; in the order that is written."""

import inspect
import pathlib
import re

import numpy as np
import pytest

from tests.testing import make_video, write_frame_shards
from yt8m import config
from yt8m.errors import UserError
from yt8m.stages import by_name, start
from yt8m.training import checkpoints, restore

DOCS = pathlib.Path(__file__).parent.parent.parent / "docs" / "training.md"
EARLIER_STEPS, STEPS = 3, 2


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    videos = [make_video(f"v{i}", 7 + i, labels=[i % 7], ratings=[(0, i % 7, 1.0), (0, (i + 1) % 7, 0.0)]) for i in range(8)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos])


def run(pattern, folder, stage, **changes):
    """Trains a stage of a few steps; returns its weights."""
    values = dict(batch_size=4, base_learning_rate=0.1, learning_rate_decay=1.0, learning_rate_decay_examples=1000)
    values |= {"max_steps": STEPS, **changes}
    model = config.ModelConfig("FrameLevelLogisticModel", feature_sizes=(16, 8), num_classes=7)
    trained = by_name.FUNCTIONS[stage](config.TrainConfig(str(folder), stage, pattern, **values), model)
    return [np.array(weight) for weight in trained.weights]


def weights_of(folder):
    return [np.array(weight) for weight in restore.newest(str(folder)).model.weights]


@pytest.fixture(scope="module")
def elsewhere(pattern, tmp_path_factory):
    """A run whose weights --init_checkpoint may name."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run(pattern, folder, "pretrain", seed=5)
    return folder


# What is there -> what a fine-tuning stage starts from, and the steps of all stages before it.
CASES = (
    (("this stage", "init_checkpoint", "earlier stage"), start.THIS_STAGE, 0),
    (("this stage", "earlier stage"), start.THIS_STAGE, EARLIER_STEPS),
    (("this stage", "init_checkpoint"), start.THIS_STAGE, 0),
    (("init_checkpoint", "earlier stage"), start.INIT_CHECKPOINT, 0),
    (("init_checkpoint",), start.INIT_CHECKPOINT, 0),
    (("earlier stage",), start.EARLIER_STAGE, EARLIER_STEPS),
    ((), start.SCRATCH, 0),
)


@pytest.mark.parametrize("there, kind, steps_before", CASES)
def test_order(pattern, elsewhere, tmp_path, there, kind, steps_before):
    """A stage of learning rate 0 ends with the weights that it started from."""
    expected = {start.INIT_CHECKPOINT: weights_of(elsewhere)}
    if "earlier stage" in there:
        expected[start.EARLIER_STAGE] = run(pattern, tmp_path, "pretrain", max_steps=EARLIER_STEPS)
    init = {"init_checkpoint": str(elsewhere)} if "init_checkpoint" in there else {}
    if "this stage" in there:
        expected[start.THIS_STAGE] = run(pattern, tmp_path, "finetune", **init)
    done = STEPS if kind == start.THIS_STAGE else 0
    ended = run(pattern, tmp_path, "finetune", base_learning_rate=0.0, max_steps=done + STEPS, **init)
    for name, values in expected.items():
        assert all(np.array_equal(*pair) for pair in zip(values, ended)) == (name == kind), name
    if kind == start.SCRATCH:
        fresh = run(pattern, tmp_path / "fresh", "pretrain", base_learning_rate=0.0)
        assert all(np.array_equal(*pair) for pair in zip(fresh, ended))
    newest = checkpoints.position(checkpoints.latest(str(tmp_path)))
    assert newest == (steps_before + done + STEPS, "finetune", done + STEPS)


def test_start_new_model_comes_before_the_order(pattern, elsewhere, tmp_path):
    run(pattern, tmp_path, "finetune")
    ended = run(pattern, tmp_path, "finetune", base_learning_rate=0.0, start_new_model=True, init_checkpoint=str(elsewhere))
    assert all(np.array_equal(*pair) for pair in zip(weights_of(elsewhere), ended))


def test_a_later_stage_is_refused_whatever_else_is_there(pattern, elsewhere, tmp_path):
    run(pattern, tmp_path, "finetune")
    with pytest.raises(UserError, match="--start_new_model"):
        run(pattern, tmp_path, "pretrain", init_checkpoint=str(elsewhere))


def test_remaining_stages(pattern, tmp_path):
    stages = tuple(config.TrainConfig(str(tmp_path), name, pattern, 4, 0.1, 1.0, 1000) for name in ("pretrain", "finetune"))
    assert start.remaining(stages) == stages
    run(pattern, tmp_path, "pretrain")
    assert start.remaining(stages) == stages
    assert start.remaining(stages[1:]) == stages[1:]
    run(pattern, tmp_path, "finetune")
    assert start.remaining(stages) == stages[1:]
    anew = (config.dataclasses.replace(stages[0], start_new_model=True), stages[1])
    assert start.remaining(anew) == anew


def numbered(text):
    """The entries of a numbered list, each on one line."""
    return [" ".join(entry.split()) for entry in re.findall(r"^\d\. (.+?)(?=^\d\. |^$)", text, re.MULTILINE | re.DOTALL)]


def test_the_docs_state_the_order_of_the_code():
    section = DOCS.read_text().split("## What a stage starts from")[1].split("\n## ")[0]
    assert len(numbered(section)) == 4
    assert numbered(section) == numbered(inspect.getdoc(start))


def test_every_stage_has_a_function():
    assert tuple(by_name.FUNCTIONS) == config.STAGES
