"""A training traces its step once, and its graphs go when it ends."""

import gc

import numpy as np
from tensorflow.python.framework import func_graph, ops

import yt8m
from tests.testing import make_video, write_frame_shards
from yt8m.training import checkpoints, loop
from yt8m.training.predict import Predict


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


def test_a_step_is_traced_once_a_run(tmp_path, monkeypatch):
    """Three epochs of batches of videos of many lengths, the last one smaller, with an evaluation every two steps."""
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.arange(3, 33))  # of 30 videos: no two batches are as long
    videos = [make_video(f"v{i:02d}", int(length), [i % 7]) for i, length in enumerate(lengths)]
    pattern = write_frame_shards(tmp_path, [videos[:17], videos[17:]])
    steps, calls, predicted, make = [], [], [], loop.make_train_steps

    def make_train_steps(strategy, model, optimizer, objective, *rest):
        def counted(model, batch):
            calls.append(batch["frames"].shape)
            return objective(model, batch)

        steps.append(make(strategy, model, optimizer, counted, *rest))
        return steps[-1]

    init = Predict.__init__
    monkeypatch.setattr(loop, "make_train_steps", make_train_steps)
    monkeypatch.setattr(Predict, "__init__", lambda self, model: predicted.append(self) or init(self, model))
    yt8m.train(
        train_data_pattern=pattern,
        eval_data_pattern=pattern,
        train_dir=str(tmp_path / "run"),
        model="FrameLevelLogisticModel",
        num_epochs=3,
        batch_size=8,
        save_steps=2,
        log_steps=3,
        feature_names="rgb,audio",
        feature_sizes="16,8",
        num_classes=7,
    )
    assert checkpoints.position(checkpoints.latest(str(tmp_path / "run")))[0] == 12  # ceil(3 * 30 / 8), the last of 2 videos
    assert len(steps) == 1 and steps[0].experimental_get_tracing_count() == 1
    assert [tuple(shape) for shape in calls] == [(None, None, 24)]  # the model itself, within it
    assert [predict._predict.function.experimental_get_tracing_count() for predict in predicted] == [1]
