"""--keep_optimizer: fine-tuning goes on with the slots and the learning rate of the pre-training."""

import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import make_video, write_frame_shards
from yt8m import config
from yt8m.errors import UserError
from yt8m.stages import by_name
from yt8m.training import checkpoints

EARLIER, BATCH, EXAMPLES = 5, 4, 12  # a stair every 3 steps


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    videos = [make_video(f"v{i}", 7 + i, labels=[i % 7], ratings=[(0, i % 7, 1.0), (0, (i + 1) % 7, 0.0)]) for i in range(8)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:4], videos[4:]])


def run(pattern, folder, stage, steps, callbacks=(), name="FrameLevelLogisticModel", **changes):
    values = dict(batch_size=BATCH, base_learning_rate=0.1, learning_rate_decay=0.5, learning_rate_decay_examples=EXAMPLES)
    values |= {"max_steps": steps, "log_steps": 1, "keep_optimizer": stage == "finetune", **changes}
    model = config.ModelConfig(name, feature_sizes=(16, 8), num_classes=7)
    return by_name.FUNCTIONS[stage](config.TrainConfig(str(folder), stage, pattern, **values), model, callbacks)


@pytest.fixture(scope="module")
def trained(pattern, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(pattern, folder, "pretrain", EARLIER)
    return folder


@pytest.fixture
def pretrained(trained, tmp_path):
    return pathlib.Path(shutil.copytree(trained, tmp_path / "run"))


def state(prefix):
    reader = tf.train.load_checkpoint(prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("optimizer/")}


class Rates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(logs["learning_rate"])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_slots_and_rate_go_on(pattern, pretrained, tmp_path, elsewhere):
    rates, before = Rates(), state(checkpoints.latest(str(pretrained)))
    folder = tmp_path / "other" if elsewhere else pretrained
    init = {"init_checkpoint": str(pretrained)} if elsewhere else {}
    run(pattern, folder, "finetune", 3, [rates], **init)
    expected = [0.1 * 0.5 ** ((EARLIER + step) * BATCH // EXAMPLES) for step in (1, 2, 3)]  # shown after each step
    np.testing.assert_allclose(rates.seen, expected, rtol=1e-6)
    after = state(checkpoints.latest(str(folder)))
    assert after.keys() == before.keys()
    (count,) = [name for name in after if "iteration" in name]
    assert (before[count], after[count]) == (EARLIER, EARLIER + 3)


def test_the_first_step_is_one_of_adam_with_these_slots(pattern, pretrained, tmp_path):
    fresh = pathlib.Path(shutil.copytree(pretrained, tmp_path / "fresh"))
    kept = run(pattern, pretrained, "finetune", 1)
    anew = run(pattern, fresh, "finetune", 1, keep_optimizer=False)
    assert max(np.abs(np.array(a) - np.array(b)).max() for a, b in zip(kept.weights, anew.weights)) > 1e-3


def test_a_run_that_goes_on_is_one_that_never_stopped(pattern, pretrained, tmp_path):
    other = pathlib.Path(shutil.copytree(pretrained, tmp_path / "other"))
    whole = run(pattern, pretrained, "finetune", 5)
    run(pattern, other, "finetune", 2)
    for ours, theirs in zip(run(pattern, other, "finetune", 5).weights, whole.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_averages_begin_with_the_weights(pattern, pretrained):
    averaged = run(pattern, pretrained, "finetune", 1, ema_momentum=0.5, base_learning_rate=1e-30)
    before = tf.train.load_checkpoint(str(pretrained / "pretrain" / f"model.ckpt-{EARLIER}"))
    weights = {name: before.get_tensor(name) for name in before.get_variable_to_shape_map() if name.startswith("model/")}
    for weight in averaged.trainable_variables:
        assert any(value.shape == weight.shape and np.allclose(value, weight, atol=1e-7) for value in weights.values())


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"optimizer": "MomentumOptimizer"}, "another optimizer than --optimizer=MomentumOptimizer"),
        ({"optimizer": "AdagradOptimizer"}, "another optimizer than --optimizer=AdagradOptimizer"),
        ({"schedule": "triangular"}, "--schedule=triangular begins anew"),
        ({"batch_size": 6}, "--batch_size=6"),
    ],
)
def test_refused_in_one_line(pattern, pretrained, changes, words):
    with pytest.raises(UserError) as caught:
        run(pattern, pretrained, "finetune", 2, **changes)
    assert words in str(caught.value) and "--keep_optimizer" in str(caught.value) and "\n" not in str(caught.value)
    assert checkpoints.position(checkpoints.latest(str(pretrained)))[1] == "pretrain" and not (pretrained / "pretrain").exists()


def test_refused_where_there_is_no_optimizer(pattern, pretrained, tmp_path):
    with pytest.raises(UserError, match="--keep_optimizer: no earlier stage"):
        run(pattern, tmp_path / "fresh", "finetune", 2)
    run(pattern, pretrained, "finetune", 1)
    kept = pretrained / "pretrain" / f"model.ckpt-{EARLIER}"
    with pytest.raises(UserError, match=r"--keep_optimizer: .* has weights alone"):
        run(pattern, tmp_path / "other", "finetune", 2, init_checkpoint=str(kept))


def test_a_best_checkpoint_has_weights_alone(pattern, tmp_path):
    run(pattern, tmp_path, "pretrain", 2, folds=2, best_metric="loss")
    with pytest.raises(UserError, match=r"best/model.ckpt-2 has weights alone.*--init_checkpoint"):
        run(pattern, tmp_path, "finetune", 2)
    run(pattern, tmp_path, "finetune", 2, init_checkpoint=str(tmp_path / "model.ckpt-2"))
