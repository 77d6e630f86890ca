"""Models that look around a segment: pre-training, fine-tuning on whole videos with their rated segments, scoring."""

import os
import signal

import numpy as np
import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config
from yt8m.stages import encoders, evaluate
from yt8m.stages.finetune import finetune
from yt8m.stages.pretrain import pretrain
from yt8m.training import checkpoints, hosts, restore, stopping

CONTEXT = {
    "context_model": "AttentionModel",
    "context_options": {"hidden_size": 6},
    "segment_model": "AttentionModel",
    "segment_options": {"hidden_size": 5},
    "segment_layer": None,
    "hidden_size": 8,
}


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    rng = np.random.default_rng(0)
    videos = [
        make_video(f"v{i:02d}", int(rng.integers(11, 30)), labels=[i % 7], ratings=[(5, i % 7, 1.0), (5, 3, 0.0), (10, 2, i % 2)])
        for i in range(20)
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:9], videos[9:]])


def configs(name, hyperparameters, pattern, folder, stage, steps):
    model = config.ModelConfig(name, hyperparameters, feature_sizes=(16, 8), num_classes=7, segment_expansion=1)
    values = dict(batch_size=6, base_learning_rate=0.01, learning_rate_decay=1.0, learning_rate_decay_examples=1000)
    return config.TrainConfig(str(folder), stage, pattern, max_steps=steps, save_steps=4, **values), model


@pytest.mark.slow
def test_context_model_end_to_end(pattern, tmp_path):
    model = pretrain(*configs("ContextAwareModel", CONTEXT, pattern, tmp_path, "pretrain", 3))
    encoder = [np.array(w) for w in model.get_layer("context_encoder").weights]
    parts = [checkpoints.position(checkpoints.latest(str(tmp_path / part))) for part in ("context", "segment")]
    assert parts == [(3, "pretrain", 3)] * 2
    context = restore.newest(str(tmp_path / "context")).model
    theirs = {w.path: np.array(w) for w in context.weights}
    assert sum(any(np.array_equal(w, value) for value in theirs.values()) for w in encoder) == len(encoder)

    tuned = finetune(*configs("ContextAwareModel", CONTEXT, pattern, tmp_path, "finetune", 5))
    for before, after in zip(encoder, tuned.get_layer("context_encoder").weights):
        np.testing.assert_array_equal(before, after)
    assert checkpoints.position(checkpoints.latest(str(tmp_path)))[1:] == ("finetune", 5)
    trained = restore.newest(str(tmp_path))
    metrics = evaluate.evaluate_segments(trained.model, trained.config, pattern)
    assert metrics["num_pairs"] == 57 and 0 < metrics["map"] <= 1
    with pytest.raises(ValueError, match="segment_labels"):
        evaluate.evaluate_videos(trained.model, trained.config, pattern)


def encoder_as_initialised(stage, model):
    """In place of pre-training."""
    return restore.build(model)


def test_a_signal_in_the_first_encoders_last_steps_stops_before_the_second(pattern, tmp_path):
    trained = []

    def pretrain_that_hears(stage, model):
        trained.append(os.path.basename(stage.train_dir))
        with stopping.StopOnSignal():
            os.kill(os.getpid(), signal.SIGTERM)
        return restore.build(model)

    run = configs("ContextAwareModel", CONTEXT, pattern, tmp_path, "pretrain", 1)
    assert encoders.join(*run, pretrain_that_hears) is None
    assert trained == ["context"] and stopping.stopped_by() == signal.SIGTERM
    assert encoders.join(*run, encoder_as_initialised) is not None and stopping.stopped_by() is None


def test_the_chief_alone_writes_the_joined_model(pattern, tmp_path, monkeypatch):
    run, waited = configs("ContextAwareModel", CONTEXT, pattern, tmp_path, "pretrain", 1), []
    monkeypatch.setattr(hosts, "wait", lambda: waited.append(os.listdir(tmp_path)))
    for is_chief in (False, True):
        monkeypatch.setattr(hosts, "is_chief", lambda is_chief=is_chief: is_chief)
        assert encoders.join(*run, encoder_as_initialised) is not None
        assert (checkpoints.latest(str(tmp_path)) is not None) is is_chief
        assert ("model.ckpt-0.index" in waited[-1]) is is_chief  # the others go on when it is there


@pytest.mark.slow
def test_encoders_on_several_devices_of_a_cpu(pattern, tmp_path):
    """Which TensorFlow divides before it computes anything, the model that the encoders are for included."""
    options = ",".join(f"{name}={value!r}" for name, value in CONTEXT.items())
    flags = ("--model=ContextAwareModel", f"--hyperparameters={options}", "--stage=pretrain", "--max_steps=1", "--batch_size=2")
    process = commands.start(
        "train", *commands.TINY, *flags, f"--train_data_pattern={pattern}", f"--train_dir={tmp_path}", "--devices=2"
    )
    printed = process.communicate()[0]
    assert process.returncode == 0 and printed.count("2 devices, 4 videos a step") == 2, printed


@pytest.mark.slow
def test_shared_encoder_is_trained_once(pattern, tmp_path, capsys):
    options = {**CONTEXT, "segment_options": CONTEXT["context_options"]}
    pretrain(*configs("ContextAwareModel", options, pattern, tmp_path, "pretrain", 2))
    assert capsys.readouterr().out.count("pretrain: the") == 1
    assert not (tmp_path / "segment").exists()


@pytest.mark.slow
def test_encoders_that_were_trained_elsewhere(pattern, tmp_path):
    pretrain(*configs("ContextAwareModel", CONTEXT, pattern, tmp_path / "first", "pretrain", 2))
    run, model = configs("ContextAwareModel", CONTEXT, pattern, tmp_path / "second", "finetune", 2)
    parts = {f"{part}_checkpoint": str(tmp_path / "first" / part) for part in ("context", "segment")}
    tuned = finetune(config.dataclasses.replace(run, **parts), model)
    theirs = restore.newest(str(tmp_path / "first" / "context")).model
    values = [np.array(w) for w in theirs.weights]
    for weight in tuned.get_layer("context_encoder").weights:
        assert any(np.array_equal(weight, value) for value in values)
    assert not (tmp_path / "second" / "context").exists()
    anew = finetune(config.dataclasses.replace(run, **parts, start_new_model=True), model)
    for weight, again in zip(tuned.weights, anew.weights):
        np.testing.assert_array_equal(weight, again)
    other = {**CONTEXT, "context_model": "GruModel", "context_options": {"units": 4}}
    run, model = configs("ContextAwareModel", other, pattern, tmp_path / "third", "finetune", 2)
    with pytest.raises(ValueError, match="AttentionModel"):
        finetune(config.dataclasses.replace(run, **parts), model)


@pytest.mark.slow
def test_sequence_model_learns_from_rated_segments(pattern, tmp_path):
    options = {"num_blocks": 1, "feed_forward_size": 8}
    pretrain(*configs("TransformerModel", options, pattern, tmp_path, "pretrain", 3))
    before = evaluate.evaluate_segments(*loaded(tmp_path), pattern)
    finetune(*configs("TransformerModel", options, pattern, tmp_path, "finetune", 60))
    after = evaluate.evaluate_segments(*loaded(tmp_path), pattern)
    assert after["map"] > max(before["map"], 0.9)


def loaded(folder):
    trained = restore.newest(str(folder))
    return trained.model, trained.config


@pytest.mark.slow
def test_submission_of_a_context_model(pattern, tmp_path):
    pretrain(*configs("ContextAwareModel", CONTEXT, pattern, tmp_path, "pretrain", 1))
    finetune(*configs("ContextAwareModel", CONTEXT, pattern, tmp_path, "finetune", 1))
    ids = tmp_path / "ids.csv"
    ids.write_text("Index\n2\n3\n")
    output = tmp_path / "out.csv"
    assert commands.run("inference", "--segment_labels", f"--train_dir={tmp_path}", f"--input_data_pattern={pattern}",
                        f"--segment_label_ids_file={ids}", f"--output_file={output}") is None  # fmt: skip
    assert len(output.read_text().splitlines()) == 3
    assert "--segment_labels" in commands.run("inference", f"--train_dir={tmp_path}", f"--input_data_pattern={pattern}")
