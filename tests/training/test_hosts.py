"""Two hosts (processes of MultiWorkerMirroredStrategy) train as one does."""

import json
import socket

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.testing import make_video, write_frame_shards


def free_ports(count):
    """Ports of the loopback interface that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for bound in sockets:
        bound.bind(("127.0.0.1", 0))
    ports = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


def head_kernel(folder):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
    name = next(name for name in reader.get_variable_to_shape_map() if name.startswith("model/") and "kernel" in name)
    return reader.get_tensor(name)


@pytest.mark.slow
def test_two_hosts_equal_one(tmp_path):
    rng = np.random.default_rng(0)
    videos = [make_video(f"v{i:02d}", int(rng.integers(5, 30)), labels=[i % 7]) for i in range(30)]
    pattern = write_frame_shards(tmp_path / "shards", [videos[:17], videos[17:]])
    arguments = [
        f"--train_data_pattern={pattern}",
        "--model=FrameLevelLogisticModel",
        "--max_steps=6",
        "--save_steps=4",
        *commands.TINY,
    ]
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = [
        commands.start(
            "train",
            *arguments,
            "--batch_size=4",
            f"--train_dir={tmp_path / 'two'}",
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    printed = [process.communicate(timeout=180)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    assert commands.run("train", *arguments, "--batch_size=8", f"--train_dir={tmp_path / 'one'}") is None
    assert tf.train.latest_checkpoint(str(tmp_path / "two")).endswith("model.ckpt-6")
    np.testing.assert_allclose(head_kernel(tmp_path / "two"), head_kernel(tmp_path / "one"), atol=1e-6)
