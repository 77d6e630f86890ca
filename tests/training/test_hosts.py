"""Two hosts (processes of MultiWorkerMirroredStrategy) train as one does, whatever the stage, killed or not."""

import json
import os
import signal
import socket
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.stages import em_files
from yt8m.training import hosts, locking

MODEL = (*commands.TINY[:2], "--num_classes=5", "--model=FrameLevelLogisticModel", "--base_learning_rate=0.05")
EM = ("--stage=em", "--em_iterations=1", "--em_threshold=0.3", "--folds=3")
LENGTH = ("--max_steps=6", "--save_steps=3", "--log_steps=1")


def two_workers(index=0, **task):
    return {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": index, **task}}


@pytest.mark.parametrize(
    "said, place",
    [
        (two_workers(0), (0, 2)),
        (two_workers(1), (1, 2)),
        ({"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}, (2, 3)),
        ({"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}, (0, 2)),
    ],
)
def test_the_chief_is_the_first_of_all(monkeypatch, said, place):
    monkeypatch.setenv(hosts.VARIABLE, json.dumps(said))
    assert hosts.place() == place
    assert hosts.is_chief() is (place[0] == 0)


@pytest.mark.parametrize("said", ["{", "{}", "3", json.dumps(two_workers(2)), json.dumps(two_workers(type="evaluator"))])
def test_hosts_that_are_not_named_are_refused(monkeypatch, said):
    monkeypatch.setenv(hosts.VARIABLE, said)
    with pytest.raises(UserError, match=r"TF_CONFIG=.*Expected"):
        hosts.place()


def test_one_process_waits_for_nobody():
    hosts.join()
    hosts.wait()
    assert hosts.place() == (0, 1) and hosts.is_chief()
    assert hosts.agree(signal.SIGTERM, False) == (signal.SIGTERM, False)


def free_ports(count):
    """Ports of the loopback interface that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for bound in sockets:
        bound.bind(("127.0.0.1", 0))
    ports = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


def start_pair(*arguments):
    """The processes of two hosts that run the same training."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [commands.start("train", *arguments, TF_CONFIG=json.dumps(task)) for task in tasks]


def run_pair(*arguments):
    """Runs a training on two hosts; what they printed."""
    processes = start_pair(*arguments)
    printed = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    return printed


def weights(folder):
    """{name: array} of what a folder's newest checkpoint holds of the model."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("model/")}


def assert_same_weights(folder, other):
    ours, theirs = weights(folder), weights(other)
    assert ours.keys() == theirs.keys() and ours
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """(pattern of videos, pattern of rated ones): class c makes two dimensions brighter in its segments."""
    folder, rng = tmp_path_factory.mktemp("hosts"), np.random.default_rng(0)

    def video(name, rated):
        labels = rng.choice(5, 2, replace=False)
        truth = rng.choice(labels, 3)
        ratings = [(5 * segment, label, float(truth[segment] == label)) for segment in range(2) for label in labels]
        made = make_video(name, int(rng.integers(11, 15)), labels=labels, ratings=ratings if rated else ())
        for segment, label in enumerate(truth):
            made.frames["rgb"][segment * 5 : segment * 5 + 5, 3 * label : 3 * label + 3] = 255
        return made

    plain = [[video(f"u{shard}{number:02d}", False) for number in range(12)] for shard in range(3)]
    rated = [[video(f"r{shard}{number:02d}", True) for number in range(10)] for shard in range(3)]
    return write_frame_shards(folder / "plain", plain, "train"), write_frame_shards(folder / "rated", rated)


def arguments(stage, data, folder, batch_size, start=None):
    """Of a training: "pretrain", "finetune" of what is in `start`, or "em"."""
    videos, rated = data
    flags = [*MODEL, *LENGTH, f"--train_dir={folder}", f"--batch_size={batch_size}"]
    if stage == "em":
        return [*flags, *EM, f"--train_data_pattern={videos}", f"--rated_data_pattern={rated}"]
    if stage == "finetune":
        return [*flags, "--stage=finetune", f"--train_data_pattern={rated}", f"--init_checkpoint={start}", "--folds=3"]
    return [*flags, "--stage=pretrain", f"--train_data_pattern={videos}"]


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """{stage: folder} of trainings in one process."""
    folder = tmp_path_factory.mktemp("alone")
    folders = {stage: folder / stage for stage in ("pretrain", "finetune", "em")}
    for stage, of_stage in folders.items():
        assert commands.run("train", *arguments(stage, data, of_stage, 8, folders["pretrain"])) is None
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["pretrain", "finetune", "em"])
def test_two_hosts_equal_one(data, alone, tmp_path, stage):
    run_pair(*arguments(stage, data, tmp_path / "two", 4, alone["pretrain"]))
    if stage != "em":
        assert_same_weights(tmp_path / "two", alone[stage])
        return
    for run in ("initial", "iteration-1/F1", "iteration-1/F2"):
        assert_same_weights(tmp_path / "two" / run, alone[stage] / run)
    ours, theirs = (json.loads((folder / em_files.REPORT).read_text()) for folder in (tmp_path / "two", alone[stage]))
    assert [row.get("num_labels") for row in ours] == [row.get("num_labels") for row in theirs]
    assert [row["map"] for row in ours] == pytest.approx([row["map"] for row in theirs], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("stage, folder", [("pretrain", "."), ("finetune", "."), ("em", "iteration-1/F1")])
def test_a_killed_pair_goes_on(data, alone, tmp_path, stage, folder):
    given = arguments(stage, data, tmp_path / "two", 4, alone["pretrain"])
    processes = start_pair(*given)
    sign, until = tmp_path / "two" / folder / "model.ckpt-3.index", time.monotonic() + 600
    while not sign.exists():
        assert time.monotonic() < until and processes[0].poll() is None, processes[0].stdout.read()
        time.sleep(0.01)
    for process in processes:
        process.kill()
        process.communicate()
    run_pair(*given)
    last = "iteration-1/F2" if stage == "em" else "."
    assert_same_weights(tmp_path / "two" / last, alone[stage] / last)


@pytest.mark.slow
def test_a_signal_to_one_host_stops_both(data, alone, tmp_path):
    given = arguments("pretrain", data, tmp_path / "two", 4)
    processes = start_pair(*given, "--max_steps=100000", "--save_steps=100000", "--num_epochs=100000")
    for line in processes[1].stdout:
        if "training step" in line:
            processes[1].send_signal(signal.SIGTERM)
            break
    printed = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [143, 143], printed
    assert all("Stopped by SIGTERM at step" in text for text in printed)
    assert any(name.startswith("model.ckpt-") for name in os.listdir(tmp_path / "two"))


@pytest.mark.slow
def test_a_signal_to_one_host_at_the_last_save_stops_both_before_the_next_fold(data, tmp_path):
    given = arguments("pretrain", data, tmp_path / "two", 4)
    late = ("--folds=3", "--all_folds", "--callbacks=tests.cli.test_signals.SignalAt(epoch=1,host=1)")
    processes = start_pair(*given, *late)
    printed = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [143, 143], printed
    assert all("Stopped by SIGTERM after fold 0" in text for text in printed)
    assert (tmp_path / "two" / "fold_0" / "model.ckpt-6.index").exists() and not (tmp_path / "two" / "fold_1").exists()


@pytest.mark.slow
def test_a_second_training_is_refused_on_all_hosts(data, tmp_path):
    with locking.only_training(tmp_path / "two"):
        processes = start_pair(*arguments("pretrain", data, tmp_path / "two", 4))
        printed = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [1, 1], printed
    assert all("another training writes to it" in text.splitlines()[-1] for text in printed)
