"""A run that is killed and started again ends with the same weights, bit for bit, as one that was never killed."""

import random
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config

STEPS, SAVE_STEPS = 120, 15


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """A training command with random frame sampling, noise and a decaying rate, over several epochs; without --train_dir."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    videos = [
        [
            make_video(f"v{s}{i:02d}", int(rng.integers(1, 40)), labels=rng.integers(0, 7, 2), ratings=[(0, i % 7, i % 2)])
            for i in range(23)
        ]
        for s in range(3)
    ]
    return [
        f"--train_data_pattern={write_frame_shards(folder, videos)}",
        "--model=MultiAttentionModel",
        "--batch_size=8",
        f"--max_steps={STEPS}",
        f"--save_steps={SAVE_STEPS}",
        "--log_steps=5",
        "--learning_rate_decay_examples=100",
        "--hyperparameters=num_samples=10,hidden_size=16,skip_head=2,skip_tail=2",
        *commands.TINY,
    ]


def weights(folder):
    """{name: value} of everything in the newest checkpoint, and its name."""
    newest = tf.train.latest_checkpoint(str(folder))
    reader = tf.train.load_checkpoint(newest)
    names = [name for name in reader.get_variable_to_shape_map() if not name.startswith("_") and "save_counter" not in name]
    return {name: reader.get_tensor(name) for name in names}, newest


def kill_during(process, wait_for, number, delay):
    """Sends a signal `delay` seconds after the line with `wait_for` was printed; returns what was printed."""
    printed = []
    for line in process.stdout:
        printed.append(line)
        if wait_for in line:
            time.sleep(delay)
            process.send_signal(number)
            break
    printed += list(process.stdout)
    process.wait()
    return "".join(printed)


def assert_same(ours, whole, note=""):
    assert ours.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=f"{name}{note}")


@pytest.mark.slow
def test_sigkill_at_three_random_moments(arguments, tmp_path):
    assert commands.run("train", *arguments, f"--train_dir={tmp_path / 'whole'}") is None
    whole, newest = weights(tmp_path / "whole")
    assert newest.endswith(f"-{STEPS}")
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    for step in sorted(rng.sample(range(5, STEPS - 5, 5), 3)):
        process = commands.start("train", *arguments, f"--train_dir={tmp_path / 'killed'}")
        printed = kill_during(process, f"training step {step}/", signal.SIGKILL, rng.random() * 0.1)
        assert process.returncode in (-signal.SIGKILL, 0), printed
        saved = tf.train.latest_checkpoint(str(tmp_path / "killed"))
        reached = int(saved.rsplit("-", 1)[1]) if saved else 0
        assert reached >= step - SAVE_STEPS, printed
    assert commands.run("train", *arguments, f"--train_dir={tmp_path / 'killed'}") is None
    killed, newest = weights(tmp_path / "killed")
    assert newest.endswith(f"-{STEPS}")
    assert_same(killed, whole, f", seed {seed}")


@pytest.mark.slow
def test_a_run_in_bfloat16_that_stopped_goes_on(arguments, tmp_path):
    """Stopped between two checkpoints, in the midst of its first epoch, which has 9 steps."""
    for folder, end in (("whole", 22), ("stopped", 7), ("stopped", 22)):
        flags = f"--max_steps={end}", "--save_steps=5", "--precision=mixed_bfloat16", f"--train_dir={tmp_path / folder}"
        assert commands.run("train", *arguments, *flags) is None
    (whole, newest), (stopped, _) = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    assert newest.endswith("-22") and config.read_model_config(tmp_path / "stopped").precision == "mixed_bfloat16"
    assert_same(stopped, whole)


@pytest.mark.slow
def test_sigterm_saves_and_stops(arguments, tmp_path):
    process = commands.start("train", *arguments, f"--train_dir={tmp_path}")
    printed = kill_during(process, "training step 5/", signal.SIGTERM, 0.0)
    assert process.returncode == 143, printed
    assert "goes on from there" in printed
    assert "Traceback" not in printed
    step = int(tf.train.latest_checkpoint(str(tmp_path)).rsplit("-", 1)[1])
    assert f"at step {step}" in printed
    assert 5 <= step < STEPS
