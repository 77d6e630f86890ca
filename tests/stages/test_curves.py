"""Precision and recall by threshold, and what TensorBoard gets of an evaluation."""

import os

import numpy as np
import pytest
import tensorflow as tf

import yt8m
from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import CLASSES, write_run
from yt8m import config as configs
from yt8m.stages import curves, evaluate, pictures


def test_counts_are_those_of_every_threshold():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((40, 5)).astype(np.float32), rng.random((40, 5)) < 0.3
    scores[0, :3] = 0.0, 1.0, 0.5
    curve = curves.PrecisionRecall()
    curve.add(scores[:25], labels[:25])
    curve.add(scores[25:], labels[25:])
    true, false, spared, missed, precision, recall = curve.values()
    for place, threshold in enumerate(np.linspace(0, 1, curves.THRESHOLDS)):
        predicted = np.floor(scores * 200) >= place if place else np.ones_like(labels)
        assert (true[place], false[place]) == ((predicted & labels).sum(), (predicted & ~labels).sum()), threshold
    np.testing.assert_array_equal(true + missed, labels.sum())
    np.testing.assert_array_equal(false + spared, (~labels).sum())
    np.testing.assert_allclose(recall, true / labels.sum(), rtol=1e-6)
    assert precision[0] == pytest.approx(labels.mean()) and recall[0] == 1


def written(folder):
    """{tag: [(step, plugin)]} of a folder's TensorBoard files."""
    tags = {}
    for root, _, names in os.walk(folder):
        for name in (name for name in names if "tfevents" in name):
            for event in tf.compat.v1.train.summary_iterator(os.path.join(root, name)):
                for value in event.summary.value:
                    tags.setdefault(value.tag, []).append((event.step, value.metadata.plugin_data.plugin_name))
    return tags


def test_eval_writes_curves_and_histograms(tmp_path):
    run = write_run(tmp_path / "run", "LogisticModel", feature_sizes=(24,))
    videos = [make_video(f"v{i}", 9, labels=[i % 7], ratings=[(0, i % 2, i % 3 > 0)], features={"rgb": 24}) for i in range(12)]
    pattern = write_frame_shards(tmp_path, [videos])
    config = configs.read_model_config(str(run))
    configs.write_model_config(str(run), configs.dataclasses.replace(config, feature_names=("rgb",)))
    yt8m.evaluate(train_dir=run, eval_data_pattern=pattern, segment_labels=True, run_once=True)
    yt8m.evaluate(train_dir=run, eval_data_pattern=pattern, run_once=True)
    tags = written(run / "eval")
    for group in ("segments", "videos"):
        assert tags[f"{group}/precision_recall"] == [(0, "pr_curves")]
        assert tags[f"{group}/class_average_precision"] == [(0, "histograms")]
    assert "where" not in tags, "of named data nobody knows the truth"


def test_a_picture_is_shown(tmp_path):
    from matplotlib.figure import Figure

    Figure(figsize=(1, 1)).savefig(tmp_path / "where.png")
    evaluate.write_scalars(str(tmp_path), 3, {}, segments=True, picture=tmp_path / "where.png")
    assert written(tmp_path / "eval") == {"where": [(3, "images")]}


def test_attention_pictures_say_what_is_in_the_videos(tmp_path):
    config = configs.ModelConfig(
        "AttentionModel", feature_sizes=(16, 8), num_classes=CLASSES, class_names=("Car", "", "$", "x" * 50)
    )
    videos = [make_video(f"v{i}", 6, labels=labels) for i, labels in enumerate([[0, 1], [], [2, 3], [0, 1, 2, 4]])]
    batch = pictures.first_videos(config, write_frame_shards(tmp_path, [videos]), 4)
    titles = pictures._with_topics(config, batch)
    assert titles[:2] == ["v0 (Car, 1)", "v1"] and titles[3] == r"v3 (Car, 1, $, ...)"
    assert titles[2].startswith(r"v2 ($, xxx") and titles[2].endswith("...)") and len(titles[2]) < 42
