"""The training loop: what is saved, what callbacks see, several devices, several stages."""

import functools
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config, losses
from yt8m.errors import UserError
from yt8m.stages import batches
from yt8m.stages.finetune import finetune
from yt8m.stages.objective import segment_class_weights
from yt8m.stages.pretrain import pretrain
from yt8m.training import checkpoints, loop
from yt8m.training.devices import choose_strategy, distribute
from yt8m.training.objectives import Objective
from yt8m.training.optimizers import make_optimizer
from yt8m.training.restore import build


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    rng = np.random.default_rng(0)
    videos = [
        make_video(f"v{i:02d}", int(rng.integers(5, 30)), labels=[i % 7], ratings=[(0, i % 7, 1.0), (0, (i + 1) % 7, 0.0)])
        for i in range(30)
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:17], videos[17:]])


def configs(pattern, folder, stage="pretrain", **changes):
    model = config.ModelConfig("FrameLevelLogisticModel", feature_sizes=(16, 8), num_classes=7)
    values = dict(
        batch_size=8,
        base_learning_rate=0.01,
        learning_rate_decay=0.9,
        learning_rate_decay_examples=1000,
        max_steps=7,
        save_steps=3,
        log_steps=2,
    )
    return config.TrainConfig(str(folder), stage, pattern, **{**values, **changes}), model


def newest(folder):
    return checkpoints.position(checkpoints.latest(str(folder)))


def test_the_last_step_is_saved(pattern, tmp_path):
    pretrain(*configs(pattern, tmp_path))
    assert newest(tmp_path) == (7, "pretrain", 7)


def test_num_epochs_ends_with_the_data(pattern, tmp_path):
    pretrain(*configs(pattern, tmp_path, max_steps=None, num_epochs=2))
    assert newest(tmp_path)[0] == 8  # ceil(2 * 30 / 8)


def test_num_epochs_of_data_too_large_to_count(pattern, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "COUNT_BYTES", 0)
    pretrain(*configs(pattern, tmp_path, max_steps=None, num_epochs=2))
    assert newest(tmp_path)[0] == 8


def test_finetuning_goes_on_from_pretraining_and_keeps_it(pattern, tmp_path):
    pretrain(*configs(pattern, tmp_path))
    model = finetune(*configs(pattern, tmp_path, "finetune", max_steps=4))
    assert newest(tmp_path) == (11, "finetune", 4)
    kept = tf.train.latest_checkpoint(str(tmp_path)).replace("model.ckpt-11", "pretrain/model.ckpt-7")
    before = [np.array(value) for value in model.get_weights()]
    checkpoints.load_weights(model, kept)
    assert any(np.abs(old - new).max() > 0 for old, new in zip(before, model.get_weights()))
    finished = finetune(*configs(pattern, tmp_path, "finetune", max_steps=4))
    for old, new in zip(before, finished.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_pretraining_a_fine_tuned_model_is_refused(pattern, tmp_path):
    pretrain(*configs(pattern, tmp_path))
    finetune(*configs(pattern, tmp_path, "finetune", max_steps=1))
    with pytest.raises(ValueError, match="stage finetune"):
        pretrain(*configs(pattern, tmp_path))


def test_start_new_model_starts_anew(pattern, tmp_path):
    pretrain(*configs(pattern, tmp_path))
    (tmp_path / "notes.txt").write_text("mine")
    pretrain(*configs(pattern, tmp_path, start_new_model=True, max_steps=2))
    assert newest(tmp_path)[0] == 2
    assert (tmp_path / "notes.txt").exists()


def test_callbacks_see_steps_and_can_stop(pattern, tmp_path):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append("begin")

        def on_train_batch_end(self, batch, logs=None):
            assert np.isfinite(logs["loss"])
            seen.append(batch)

        def on_epoch_end(self, epoch, logs=None):
            assert logs["val_map"] >= 0
            seen.append(f"epoch {epoch}")
            self.model.stop_training = True

        def on_train_end(self, logs=None):
            seen.append("end")

    pretrain(*configs(pattern, tmp_path, eval_data_pattern=pattern), callbacks=[Watch()])
    assert seen == ["begin", 1, 2, "epoch 0", "end"]
    assert newest(tmp_path)[0] == 3


def test_class_weights(pattern, tmp_path):
    run, model = configs(pattern, tmp_path, segment_class_weight=3.0, segment_label_ids=(2, 5))
    np.testing.assert_array_equal(segment_class_weights(run, model), [1, 1, 3, 1, 1, 3, 1])
    assert segment_class_weights(*configs(pattern, tmp_path)) is None


@functools.cache
def strategy_of(replicas):
    """One for all models of a process, as hosts.strategy and devices.choose_strategy have it."""
    devices = [f"CPU:{index}" for index in range(replicas)]
    return tf.distribute.MirroredStrategy(devices) if replicas > 1 else tf.distribute.get_strategy()


def one_step(replicas, weights, batch, name="GradientDescent", model=("FrameLevelLogisticModel", {})):
    """Two training steps with the rows of a batch dealt out to logical CPUs.

    Args:
        replicas: how many CPUs.
        weights: those that the model begins with; None: those of a seed.
        batch: dict.
        name: of the optimizer.
        model: name and hyper-parameters.

    Returns:
        (sum of the losses, weights afterwards).
    """
    strategy = strategy_of(replicas)
    with strategy.scope():
        keras.utils.set_random_seed(1)
        model = build(config.ModelConfig(*model, feature_sizes=(16, 8), num_classes=7))
        optimizer = make_optimizer(name, 0.5, 0.1, "global", replicas)
        optimizer.build(model.trainable_variables)
    if weights is not None:
        model.set_weights(weights)

    def batches(worker):
        index, count = worker
        return tf.data.Dataset.from_tensors({key: value[index::count] for key, value in batch.items()}).repeat()

    steps = loop.make_train_steps(strategy, model, optimizer, Objective(losses.CrossEntropyLoss()), 1.0, False, (tf.Variable(0),))
    loss, *_ = steps(iter(distribute(strategy, batches)), tf.constant(2))
    return float(loss), [np.array(value) for value in model.get_weights()]


def test_several_devices_equal_one():
    code = (
        "import tensorflow as tf; from tests.training import test_loop; "
        "cpu = tf.config.list_physical_devices('CPU')[0]; "
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2); "
        "test_loop.check_devices(); print('devices agree')"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=commands.ROOT, capture_output=True, text=True)
    assert "devices agree" in process.stdout, process.stderr


def check_devices():
    rng = np.random.default_rng(0)
    labels = (rng.random((6, 7)) < 0.3).astype(np.float32)
    batch = {
        "frames": rng.integers(0, 256, (6, 9, 24), np.uint8),
        "num_frames": np.array([9, 1, 4, 9, 5, 2], np.int32),
        "labels": labels,
        "label_weights": np.ones_like(labels),
    }
    weights = [rng.normal(size=(24, 7)).astype(np.float32), rng.normal(size=7).astype(np.float32)]
    for name in ("GradientDescent", "Adam"):
        loss, after = one_step(1, weights, batch, name)
        loss_of_two, after_two = one_step(2, weights, batch, name)
        assert abs(loss - loss_of_two) < 1e-5
        for a, b, start in zip(after, after_two, weights):
            np.testing.assert_allclose(a, b, atol=1e-6 if name == "GradientDescent" else 1e-4)
            assert np.abs(a - start).max() > 1e-3
    # Of a table of positions the gradient is sparse.
    learned = ("TransformerModel", {"num_blocks": 1, "feed_forward_size": 8, "position": "learned"})
    after, after_two = (one_step(replicas, None, batch, model=learned)[1] for replicas in (1, 2))
    for a, b in zip(after, after_two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_gpus_have_one_strategy_a_process(monkeypatch):
    """Two of them would count their reductions alike: models of other sizes, one after the other, then fail."""
    made = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU"] * 3)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda names: made.append(names) or types.SimpleNamespace(names=names))
    assert choose_strategy(2) is choose_strategy(2) and choose_strategy(0) is not choose_strategy(2)
    assert made == [["GPU:0", "GPU:1"], ["GPU:0", "GPU:1", "GPU:2"]]


def test_a_cpu_that_has_computed_is_divided_no_more():
    assert int(tf.add(1, 1)) == 2
    with pytest.raises(UserError, match="--devices=2: TensorFlow has computed in this process already"):
        choose_strategy(2)


@pytest.mark.slow
def test_several_devices_in_a_process_of_their_own(pattern, tmp_path):
    process = commands.start(
        "train",
        f"--train_data_pattern={pattern}",
        "--model=FrameLevelLogisticModel",
        "--batch_size=4",
        "--max_steps=3",
        "--devices=2",
        f"--train_dir={tmp_path}",
        *commands.TINY,
    )
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert "2 devices, 8 videos a step" in printed
    assert newest(tmp_path)[0] == 3


def test_averaged_weights_are_what_the_run_ends_with(pattern, tmp_path):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(np.array(self.model.trainable_variables[0]))

    run, model = configs(pattern, tmp_path, ema_momentum=0.5, save_steps=7, log_steps=1, base_learning_rate=0.1)
    trained = pretrain(run, model, callbacks=[Watch()])
    average = seen[0]
    for weights in seen[1:]:
        average = 0.5 * average + 0.5 * weights
    np.testing.assert_allclose(trained.trainable_variables[0], average, rtol=1e-5)
    assert np.abs(average - seen[-1]).max() > 1e-3
    checkpoints.load_weights(trained, checkpoints.latest(str(tmp_path)))
    np.testing.assert_allclose(trained.trainable_variables[0], average, rtol=1e-5)


def test_a_schedule_by_flags_reaches_the_optimizer(pattern, tmp_path):
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(logs["learning_rate"])

    run, model = configs(pattern, tmp_path, schedule="triangular", max_steps=8, log_steps=1, base_learning_rate=0.1)
    pretrain(run, model, callbacks=[Watch()])
    assert np.argmax(rates) == 1 and rates[-1] < 0.1 * max(rates)
