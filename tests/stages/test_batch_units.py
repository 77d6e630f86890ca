"""What --batch_size counts: videos, rated segments, or rated segments in whole videos."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from tests import commands
from tests.testing import make_segments, make_video, write_frame_shards
from yt8m import config
from yt8m.errors import UserError
from yt8m.readers.sidecars import SidecarHeader, write_sidecar
from yt8m.recipes.stages import stage_config
from yt8m.stages import batches
from yt8m.stages.finetune import rated_spec
from yt8m.training import checkpoints, restore
from yt8m.training.objectives import Objective

TRANSFORMER = ("--model=TransformerModel", "--hyperparameters=num_blocks=1,feed_forward_size=8")
RATED = 3  # segments of each video


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    videos = [
        make_video(f"v{i:02d}", 16 + i % 5, labels=[i % 7], ratings=[(0, i % 7, 1.0), (5, 3, 0.0), (10, 2, i % 2)])
        for i in range(20)
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:9], videos[9:]])


def train(data, folder, *more):
    flags = ["--segment_labels", "--batch_size=7", "--save_steps=2", f"--train_data_pattern={data}", f"--train_dir={folder}"]
    return commands.run("train", *flags, *commands.TINY, *more)


def line_of(capsys):
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " parameters, " in line]
    return line


@pytest.mark.parametrize(
    "flags, said, steps",
    [
        ([*TRANSFORMER, "--batch_unit=segments"], "7 rated segments in whole videos a step", 20),  # 2 videos of 3 fit
        (TRANSFORMER, "7 videos with all their rated segments a step", 6),  # paper 004's batches are of videos
        (["--model=FrameLevelLogisticModel"], "7 rated segments a step", 18),
    ],
)
def test_epochs_and_the_line_count_the_same(data, tmp_path, capsys, flags, said, steps):
    assert train(data, tmp_path, *flags, "--num_epochs=2") is None
    assert said in line_of(capsys)
    assert checkpoints.position(checkpoints.latest(str(tmp_path)))[2] == steps  # of 20 videos with 3 segments, twice


@pytest.mark.parametrize(
    "model, unit, steps, of_two",
    [
        ("FrameLevelLogisticModel", "segments", 40, 20),  # of 7 rows 4 have pseudo-labels, of 14 on two devices 8
        ("TransformerModel", "segments", 40, 20),
        ("TransformerModel", "videos", 14, 6),
    ],
)
def test_an_epoch_is_one_of_the_rated_rows_where_others_are_blended_in(data, tmp_path, model, unit, steps, of_two):
    for shard, videos in ((0, range(9)), (1, range(9, 20))):
        header = SidecarHeader(f"validate000{shard}.tfrecord", len(videos), 7)
        write_sidecar(tmp_path, header, [(f"v{i:02d}", make_segments([(0, 2, 1.0), (10, 6, 0.0)])) for i in videos])
    stage = config.TrainConfig(
        "run", "finetune", data, 7, 0.01, 1.0, 1000, batch_unit=unit, num_epochs=2, pseudo_labels=str(tmp_path),
        pseudo_data_pattern=data, pseudo_share=0.6,
    )  # fmt: skip
    spec = rated_spec(stage, config.ModelConfig(model, feature_sizes=(16, 8), num_classes=7))
    length = batches.stage_length(stage, spec, 1)
    assert length.total_steps == steps == sum(1 for _ in batches.batches_from(stage, spec, length, 0, 1)((0, 1)))
    assert batches.stage_length(stage, spec, 2).total_steps == of_two


UNITS = (
    ("ContextAwareModel", "finetune", [], "segments"),
    ("JointContextModel", "finetune", [], "segments"),
    ("TransformerModel", "finetune", [], "videos"),
    ("TransformerModel", "mstep", [], "videos"),
    ("TransformerModel", "finetune", ["--batch_unit=segments"], "segments"),
    ("AttentionModel", "finetune", ["--start_time_weight=1"], "segments"),
    ("ContextAwareModel", "finetune", ["--batch_unit=videos"], "videos"),
)


@pytest.mark.parametrize("model, stage, flags, unit", UNITS)
def test_papers_002_and_003_count_segments_and_004_videos(model, stage, flags, unit):
    assert stage_config(commands.given("train", *flags), stage, model, None, "dir", "*").batch_unit == unit


@pytest.mark.parametrize("model", ["ContextAwareModel", "TransformerModel", "AttentionModel"])
def test_the_sample_has_one_unit_for_all_models(model):
    stage = stage_config({}, "finetune", model, object(), "dir", "*")
    assert stage.batch_size == 64
    assert stage.batch_unit == ("videos" if model == "AttentionModel" else "segments")  # of AttentionModel a row is a segment


@pytest.mark.parametrize(
    "model, stage, flag, words",
    [
        ("AttentionModel", "finetune", "videos", "counts segments in --stage=finetune with AttentionModel"),
        ("TransformerModel", "pretrain", "segments", "counts videos in --stage=pretrain with TransformerModel"),
    ],
)
def test_a_unit_that_a_stage_does_not_have_is_refused(model, stage, flag, words):
    given = commands.given("train", f"--batch_unit={flag}", f"--stage={stage}")
    with pytest.raises(UserError, match=f"--batch_unit={flag}: .*{words}"):
        stage_config(given, stage, model, None, "dir", "*")


@pytest.mark.slow
def test_a_run_that_goes_on_is_one_that_never_stopped(data, tmp_path):
    flags = (*TRANSFORMER, "--batch_unit=segments")
    assert train(data, tmp_path / "whole", *flags, "--max_steps=9") is None
    for steps in (4, 9):
        assert train(data, tmp_path / "stopped", *flags, f"--max_steps={steps}") is None
    whole, stopped = (restore.newest(str(tmp_path / name)).model for name in ("whole", "stopped"))
    for ours, theirs in zip(whole.weights, stopped.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_batches_of_all_sizes_take_one_graph(data, tmp_path, monkeypatch):
    traced, call = [], Objective.__call__
    monkeypatch.setattr(Objective, "__call__", lambda self, *batch: traced.append(1) or call(self, *batch))
    assert train(data, tmp_path, *TRANSFORMER, "--batch_unit=segments", "--max_steps=9", "--log_steps=2") is None
    assert len(traced) <= 2  # of the last step of a stretch, and of those before it


@pytest.mark.slow
def test_a_run_of_an_earlier_version_counted_videos(data, tmp_path):
    assert train(data, tmp_path, *TRANSFORMER, "--max_steps=2", "--batch_unit=segments") is None
    path = tmp_path / "train_flags.json"
    noted = json.loads(path.read_text())
    del noted["stages"]["finetune"]["fields"]["batch_unit"]
    path.write_text(json.dumps(noted))
    line = train(data, tmp_path, *TRANSFORMER, "--max_steps=4", "--batch_unit=segments")
    assert "--batch_unit=segments: " in line and "was started with videos" in line
    assert train(data, tmp_path, *TRANSFORMER, "--max_steps=4") is None


@pytest.mark.slow
def test_two_devices_do_what_one_does(data, tmp_path):
    flags = (*TRANSFORMER, "--batch_unit=segments", "--optimizer=GradientDescentOptimizer", "--max_steps=4")
    flags += ("--segment_labels", f"--train_data_pattern={data}", "--base_learning_rate=0.5", *commands.TINY)
    process = subprocess.run(
        [sys.executable, "train.py", *flags, "--batch_size=5", "--devices=2", f"--train_dir={tmp_path / 'two'}"],
        cwd=commands.ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert re.search(r"2 devices, 10 rated segments in whole videos a step", process.stdout)
    assert commands.run("train", *flags, "--batch_size=10", f"--train_dir={tmp_path / 'one'}") is None
    one, two = (restore.newest(str(tmp_path / name)).model for name in ("one", "two"))
    for ours, theirs in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
