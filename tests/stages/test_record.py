"""Flags that have changed since a stage was started: refused, or taken and said; never ignored."""

import dataclasses
import json
import pathlib
import shutil

import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config
from yt8m.stages import rules

STEPS = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    videos = [make_video(f"v{i:02d}", 9, labels=[i % 7], ratings=[(0, i % 7, 1.0), (0, (i + 1) % 7, 0.0)]) for i in range(16)]
    write_frame_shards(folder, [videos[:8], videos[8:]])
    return folder


def train(data, folder, *more, steps=STEPS):
    flags = ["--model=FrameLevelLogisticModel", "--batch_size=4", "--save_steps=2", "--log_steps=2", "--base_learning_rate=0.01"]
    return commands.run(
        "train",
        f"--train_data_pattern={data}/*.tfrecord",
        *flags,
        *commands.TINY,
        f"--train_dir={folder}",
        f"--max_steps={steps}",
        *more,
    )


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert train(data, folder) is None
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run, in another folder."""
    return pathlib.Path(shutil.copytree(trained, tmp_path / "run"))


def test_every_field_has_a_rule():
    fields = [field.name for kind in (config.TrainConfig, config.ModelConfig) for field in dataclasses.fields(kind)]
    assert sorted(fields) == sorted(rules.RULES)
    assert all(rule.why for rule in rules.RULES.values())


REFUSED = (
    ("--optimizer=RMSPropOptimizer", "RMSPropOptimizer", "AdamOptimizer"),
    ("--seed=2", "2", "1"),
    ("--batch_size=8", "8", "4"),
    ("--ema_momentum=0.9", "0.9", "0.0"),
    ("--label_loss=HingeLoss", "HingeLoss", "CrossEntropyLoss"),
    ("--loss_options=epsilon=0.1", "0.1", "{}"),
    ("--segment_expansion=1", "1", "0"),
    ("--max_frames=200", "200", "300"),
    ("--augment_noise=0.1", "0.1", "{}"),
    ("--class_balanced_sampling=0.5", "0.5", "0.0"),
    ("--precision=mixed_float16", "mixed_float16", "float32"),
)


@pytest.mark.parametrize("flag, new, old", REFUSED)
def test_refused_with_both_values_and_the_way_out(data, run, flag, new, old):
    before = (run / "train_flags.json").read_bytes(), (run / "model_flags.json").read_bytes()
    line = train(data, run, flag, steps=2 * STEPS)
    assert line and "\n" not in line and new in line and old in line
    assert flag.split("_")[0].split("=")[0] in line
    assert "--start_new_model" in line and "another --train_dir" in line
    assert ((run / "train_flags.json").read_bytes(), (run / "model_flags.json").read_bytes()) == before
    assert not (run / "model.ckpt-6.index").exists()
    assert train(data, run, flag, "--start_new_model", steps=2) is None


TAKEN = (
    ("--base_learning_rate=0.02", "--base_learning_rate 0.01 -> 0.02"),
    ("--schedule=cosine", "--schedule staircase -> cosine"),
    ("--weight_decay=0.1", "--weight_decay none -> 0.1"),
    ("--clip_gradient_norm=2", "--clip_gradient_norm 1.0 -> 2.0"),
    ("--save_steps=3", "--save_steps 2 -> 3"),
    ("--num_readers=3", "--num_readers 2 -> 3"),
    ("--precision=mixed_bfloat16", "--precision float32 -> mixed_bfloat16"),
)


@pytest.mark.parametrize("flag, said", TAKEN)
def test_taken_in_mid_run_and_said_in_one_line(data, run, flag, said, capsys):
    assert train(data, run, flag, steps=2 * STEPS) is None
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " -> " in line]
    assert line.startswith("pretrain: ") and said in line and line.endswith(f"from step {STEPS} on.")
    assert f"--max_steps {STEPS} -> {2 * STEPS}" in line
    noted = json.loads((run / "train_flags.json").read_text())["stages"]["pretrain"]
    name = flag[2:].split("=")[0]
    assert noted["changes"][0]["step"] == STEPS and name in noted["changes"][0]["before"]
    assert train(data, run, flag, steps=2 * STEPS) is None
    assert " -> " not in capsys.readouterr().out


def test_a_finished_run_refuses_what_it_would_have_no_step_for(data, run, capsys):
    line = train(data, run, "--base_learning_rate=0.02")
    assert "0.01" in line and "0.02" in line and f"finished at step {STEPS}" in line and "--max_steps" in line
    assert train(data, run, "--log_steps=1") is None
    assert "--log_steps 2 -> 1 changes nothing" in capsys.readouterr().out


def test_moved_folders_are_no_change(data, run, tmp_path, capsys):
    moved = shutil.copytree(data, tmp_path / "elsewhere")
    assert train(moved, run) is None
    assert " -> " not in capsys.readouterr().out
    names = ",".join(str(path) for path in sorted(data.iterdir()))
    assert train(data, run, f"--train_data_pattern={names}") is None


def test_other_files_are_refused(data, run, tmp_path):
    line = train(data, run, f"--train_data_pattern={data}/validate0000.tfrecord")
    assert "--train_data_pattern" in line and "--start_new_model" in line
    grown = shutil.copytree(data, tmp_path / "elsewhere")
    assert train(grown, run) is None
    shutil.copy(grown / "validate0000.tfrecord", grown / "validate0002.tfrecord")
    assert "--train_data_pattern" in train(grown, run)


def test_a_run_of_an_earlier_version_goes_on(data, run):
    (run / "train_flags.json").unlink()
    assert train(data, run, "--seed=2", steps=2 * STEPS) is None
    assert "--seed" in train(data, run, steps=2 * STEPS)


def test_stages_are_compared_each_with_itself(data, run):
    assert train(data, run, "--segment_labels", "--label_loss=HingeLoss", "--seed=3", steps=2) is None
    assert "--seed" in train(data, run, "--segment_labels", "--label_loss=HingeLoss", "--seed=4", steps=2)


@pytest.mark.parametrize("content", ["", "[]", "[" * 5000, '{"stages": {"pretrain": 3}}', '{"stages": 1e999999}', "\x00"])
def test_a_damaged_file_is_one_line(data, run, content):
    (run / "train_flags.json").write_text(content)
    line = train(data, run)
    assert "train_flags.json: damaged" in line and "delete it" in line and "\n" not in line
