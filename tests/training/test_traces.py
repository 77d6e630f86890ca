"""A training's graphs go when it ends."""

import gc

from tensorflow.python.framework import func_graph, ops

import yt8m
from tests.testing import make_video, write_frame_shards


def alive():
    """Graphs of training steps that are in memory."""
    gc.collect()
    return sum(isinstance(thing, func_graph.FuncGraph) and thing.name == "train_steps" for thing in gc.get_objects())


def test_a_training_leaves_no_graph_behind(tmp_path):
    pattern = write_frame_shards(tmp_path, [[make_video(f"v{i}", 8, [i % 7]) for i in range(8)]])
    before, gradients = alive(), set(ops.gradient_registry._registry)
    yt8m.train(
        train_data_pattern=pattern,
        train_dir=str(tmp_path / "run"),
        model="FrameLevelLogisticModel",
        max_steps=2,
        batch_size=4,
        feature_names="rgb,audio",
        feature_sizes="16,8",
        num_classes=7,
    )
    assert alive() == before
    assert set(ops.gradient_registry._registry) == gradients
