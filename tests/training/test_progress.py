"""What a run says of itself while it trains."""

import re

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.testing import make_video, write_frame_shards
from tests.training.test_loop import configs
from yt8m.metrics import ranking
from yt8m.stages.finetune import finetune
from yt8m.stages.pretrain import pretrain
from yt8m.training.progress import RatedPairs


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    videos = [make_video(f"v{i:02d}", 12, labels=[i % 7], ratings=[(0, i % 7, 1.0), (5, (i + 1) % 7, 0.0)]) for i in range(30)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos])


def scalars_of(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return set(accumulator.Tags()["tensors"])


def lines_of(printed):
    return [line for line in printed.splitlines() if line.startswith("training step")]


def test_fine_tuning_shows_the_auc_of_rated_pairs_and_map_at_each_save(pattern, tmp_path, capsys):
    finetune(*configs(pattern, tmp_path, "finetune", max_steps=6, eval_data_pattern=pattern))
    printed = capsys.readouterr().out
    assert all(re.search(r"\| AUC of rated pairs: (0\.\d{3}|1\.000) \|", line) for line in lines_of(printed))
    assert "Hit@1" not in printed and "PERR" not in printed
    assert len(re.findall(r"^eval step \d \| map: \d\.\d{3} \| auc: \d\.\d{3}$", printed, re.M)) == 2
    shown = scalars_of(tmp_path)
    assert {"train/loss", "train/rated_auc"} <= shown and not {"train/hit_at_one", "train/perr", "train/gap"} & shown


def test_pre_training_shows_what_the_starter_shows(pattern, tmp_path, capsys):
    pretrain(*configs(pattern, tmp_path))
    assert all(re.search(r"Hit@1: [\d.]+ PERR: [\d.]+ GAP: [\d.]+", line) for line in lines_of(capsys.readouterr().out))
    shown = scalars_of(tmp_path)
    assert {"train/hit_at_one", "train/perr", "train/gap"} <= shown and "train/rated_auc" not in shown


def test_the_time_left_is_shown_after_the_first_steps(pattern, tmp_path, capsys):
    pretrain(*configs(pattern, tmp_path))
    first, *others = lines_of(capsys.readouterr().out)
    assert "left" not in first
    assert others and all(line.endswith(" left") for line in others)


def test_the_auc_is_that_of_the_rated_pairs_of_the_last_batches():
    rng = np.random.default_rng(0)
    pairs, batches = RatedPairs(window=2), []
    for _ in range(3):
        predictions = rng.integers(0, 4, (20, 5)).astype(np.float32)  # with ties
        labels, weights = ((rng.random((20, 5)) < share).astype(np.float32) for share in (0.5, 0.3))
        metrics = pairs.metrics(*map(tf.constant, (predictions, labels, weights)))
        batches.append((predictions[weights > 0], labels[weights > 0]))
    assert metrics["rated_auc"] == ranking.auc(*(np.concatenate(part) for part in zip(*batches[1:])))


def test_pairs_of_one_kind_have_no_auc():
    ones = tf.ones([2, 3])
    pairs = RatedPairs()
    metrics = pairs.metrics(ones, ones, ones)
    assert np.isnan(metrics["rated_auc"]) and pairs.text(metrics).endswith(" -")
