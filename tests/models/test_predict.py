"""models.predict and scoring.predict: every kind of model, segments of whole videos."""

import numpy as np
import pytest

import yt8m
from tests.testing import make_video, write_frame_shards
from yt8m import config, models
from yt8m.readers import datasets
from yt8m.segments import mean_features
from yt8m.training import predict as scoring
from yt8m.training.data import frame_spec, segment_spec

SMALL = {
    "FrameLevelLogisticModel": {},
    "LogisticModel": {},
    "TransformerModel": {"num_blocks": 1},
    "ContextAwareModel": {
        "context_model": "FrameLevelLogisticModel",
        "segment_model": "AttentionModel",
        "segment_options": {"hidden_size": 6},
        "segment_layer": None,
        "hidden_size": 8,
    },
}


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    videos = [
        make_video(
            f"v{i:02d}", frames, labels=[i % 7], ratings=[(start, label, (i + label) % 2) for start in starts for label in (1, 2)]
        )
        for i, (frames, starts) in enumerate([(23, (0, 20)), (5, (0,)), (31, (10, 15, 30)), (7, (5,)), (12, ())])
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos])


def build(name):
    model = yt8m.build_model(name, num_classes=7, feature_sizes=(16, 8), **SMALL[name])
    return model, config.ModelConfig(name, SMALL[name], feature_sizes=(16, 8), num_classes=7)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("expansion", [0, 2])
def test_rated_rows_equal_the_scores_of_all_segments(name, expansion, pattern):
    model, model_config = build(name)
    model_config = config.dataclasses.replace(model_config, segment_expansion=expansion)
    predict = scoring.make_predict(model)
    whole = next(
        iter(
            datasets.evaluation_batches(
                config.dataclasses.replace(frame_spec(model_config, pattern), as_video_features=False), 10
            )
        )
    )
    rows, starts, scores = scoring.segment_scores(model, predict, whole, expansion)
    assert len(rows) == 5 + 1 + 7 + 2 + 3
    ids = whole["ids"].numpy()
    every = {(ids[row], start): score for row, start, score in zip(rows, starts, scores)}
    seen = 0
    for batch in datasets.evaluation_batches(segment_spec(model_config, pattern), 2):
        found = predict(batch)
        videos = batch["ids"].numpy()
        if "segment_rows" in batch:
            videos = videos[batch["segment_rows"].numpy()]
        for video, start, score in zip(videos, batch["start_times"].numpy(), found):
            np.testing.assert_allclose(score, every[(video, start)], atol=1e-6)
            seen += 1
    assert seen == 7


def test_context_is_the_video(pattern):
    model, model_config = build("ContextAwareModel")
    batch = next(iter(datasets.evaluation_batches(segment_spec(model_config, pattern), 10)))
    rows = batch["segment_rows"].numpy()
    direct = model(
        {
            "frames": batch["frames"].numpy(),
            "num_frames": batch["num_frames"].numpy(),
            "context_frames": batch["context_frames"].numpy()[rows],
            "context_num_frames": batch["context_num_frames"].numpy()[rows],
        }
    )
    np.testing.assert_allclose(models.predict(model, batch), direct, atol=1e-6)


def test_mean_features_are_those_of_the_reader(pattern):
    _, model_config = build("LogisticModel")
    spec = segment_spec(model_config, pattern)
    means = next(iter(datasets.evaluation_batches(spec, 10)))["features"].numpy()
    frames = next(iter(datasets.evaluation_batches(config.dataclasses.replace(spec, as_video_features=False), 10)))
    np.testing.assert_allclose(mean_features(frames["frames"].numpy(), frames["num_frames"].numpy()), means, atol=1e-5)
