"""The third descriptor: a pre-trained run's embedding of a segment's frames, and which runs are refused."""

import keras
import numpy as np
import pytest

from tests.testing import FEATURE_SIZES, make_video, write_frame_shards
from yt8m import UserError
from yt8m import config as configs
from yt8m.reranking import embedding
from yt8m.reranking.frames import FrameFeatures, ShardFrames, read_rated
from yt8m.reranking.references import RatedReferences, unit
from yt8m.training import checkpoints, restore

FEATURES = FrameFeatures(("rgb", "audio"), FEATURE_SIZES)
UNITS = 7


def save_run(folder, stage="pretrain", model="DbofModel", **arguments):
    """An untrained model, saved as one of a stage."""
    config = configs.ModelConfig(model, arguments, feature_sizes=FEATURE_SIZES, num_classes=4)
    configs.write_model_config(folder, config)
    optimizer, built = keras.optimizers.SGD(), restore.build(config)
    optimizer.build(built.trainable_variables)
    saved = checkpoints.Checkpoints(str(folder), built, optimizer)
    saved.stage.assign(configs.STAGES.index(stage))
    saved.save()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save_run(folder, cluster_size=8, hidden_size=UNITS)
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Rated shards of two videos each, of 13 frames: the last segment has three."""
    ratings = [(0, 1, 1.0), (10, 2, 0.0), (0, 3, 1.0)]
    videos = [make_video(f"v{n}", 13, labels=[n % 4], ratings=ratings) for n in range(4)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:2], videos[2:]])


@pytest.fixture(scope="module")
def embed(run, shards):
    return embedding.SegmentEmbedding(str(run), FEATURES, {"references": shards})


def test_segments_are_embedded_as_the_model_sees_them_alone(embed, run, shards, monkeypatch):
    monkeypatch.setattr(embedding, "SEGMENTS_AT_A_TIME", 3)
    rated = read_rated(shards, "references", FEATURES, [1, 2, 3], 0, embed)
    assert rated.means.shape == (12, sum(FEATURE_SIZES) + UNITS) and embed.size == UNITS
    np.testing.assert_array_equal(rated.means[:, :-UNITS], read_rated(shards, "references", FEATURES, [1, 2, 3]).means)
    model = restore.newest(str(run)).model
    for windows, count, means in zip(*rated.windows, rated.means):
        alone = model.embed({"frames": windows[None, :count], "num_frames": np.array([count], np.int32)})
        np.testing.assert_allclose(means[-UNITS:], np.asarray(alone)[0], atol=1e-5)
    assert sorted(rated.windows[1]) == [3] * 4 + [5] * 8 and np.ptp(rated.means[:, -UNITS:], axis=0).max() > 1e-3


def test_ranked_segments_have_the_embeddings_of_the_rated_ones(embed, shards):
    rated = read_rated(shards, "references", FEATURES, [1, 2, 3], embed=embed)
    frames = ShardFrames(shards, FEATURES, ["validate0000.tfrecord"], embed=embed)
    chosen = [4, 0, 2]
    means = frames.means("validate0000.tfrecord", rated.ids[chosen], rated.starts[chosen])
    np.testing.assert_allclose(means, rated.means[chosen], atol=1e-5)


def test_a_pair_has_24_features_of_which_none_is_of_its_own_video(embed, shards):
    rated = read_rated(shards, "references", FEATURES, [1, 2, 3], embed=embed)
    references = RatedReferences(rated, FEATURE_SIZES, [1, 2, 3])
    pair = rated.means, np.arange(3), rated.ids[:3], np.arange(3)
    found = references.features(*pair)
    assert found.shape == (3, 24 - 8)  # the others are of scores
    described = unit(rated.means[:, -UNITS:], rated.means[:, -UNITS:].mean(axis=0))
    column = references._references.names.index("embedding mean positive")
    others = (rated.ids != rated.ids[0]) & (rated.classes == 1)  # all positive
    np.testing.assert_allclose(found[0, column], (described[others] @ described[0]).mean(), atol=1e-5)


def test_runs_that_know_ratings_or_are_of_other_features_are_refused(run, shards, tmp_path):
    for stage in ("finetune", "mstep"):
        save_run(tmp_path / stage, stage, "FrameLevelLogisticModel")
    patterns = {"references": shards}
    for folder, features, message in [
        (tmp_path / "finetune", FEATURES, "was trained further than on videos"),
        (tmp_path / "mstep", FEATURES, "was trained further than on videos"),
        (run, FrameFeatures(("rgb", "audio"), (16, 9)), "takes rgb of 16, audio of 8, not rgb of 16, audio of 9"),
        (run, FrameFeatures(("rgb", "sound"), FEATURE_SIZES), "not rgb of 16, sound of 8"),
        (tmp_path / "nowhere", FEATURES, "no model_flags.json"),
    ]:
        with pytest.raises(UserError, match=message) as error:
            embedding.SegmentEmbedding(str(folder), features, patterns)
        assert "\n" not in str(error.value)


def test_the_policy_of_the_process_stays(run, shards):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        embedding.SegmentEmbedding(str(run), FEATURES, {})
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
