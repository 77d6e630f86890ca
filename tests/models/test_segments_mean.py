"""video_prediction="segments_mean": models of one segment on whole videos (paper 004, eq. 15-16), from training to export."""

import csv
import dataclasses
import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import cases, commands, harness
from tests.testing import make_video, write_frame_shards
from yt8m import config as configs
from yt8m import models
from yt8m.errors import UserError
from yt8m.export import signatures
from yt8m.losses import CrossEntropyLoss
from yt8m.readers.batches import evaluation_batches
from yt8m.segments import segments_of, windows_at, windows_of
from yt8m.stages import evaluate
from yt8m.stages.finetune import finetune
from yt8m.stages.pretrain import pretrain
from yt8m.training import restore
from yt8m.training.data import frame_spec
from yt8m.training.predict import make_predict, segment_scores

NUM_FRAMES = (23, 5, 1, 30)
OF_FRAMES = [
    case
    for case in cases.MODELS
    if "segments_mean" in models.model_class(case.name).VIDEO_PREDICTIONS
    and "video_prediction" not in case.arguments
    and case.arguments.get("num_branches", 1) == 1  # refused with it: test_branches.py
]
each = cases.first_of_each_model(OF_FRAMES)


def pair(case):
    """The model of a case with "whole", and with "segments_mean" and the same weights."""
    whole, mean = case.build(), cases.ModelCase(case.name, {**case.arguments, "video_prediction": "segments_mean"}).build()
    harness.randomise(whole)
    assert [weight.path for weight in mean.weights] == [weight.path for weight in whole.weights]
    mean.set_weights(whole.get_weights())
    return whole, mean


def mean_over_segments(predict, videos):
    """What `predict` says of each segment, with the videos' numbers of frames alone, averaged a video."""
    rows, starts = segments_of(videos["num_frames"])
    indices, counts = windows_at(starts, videos["num_frames"][rows])
    scores = predict({"frames": windows_of(videos["frames"], rows, indices, counts), "num_frames": counts})
    return np.stack([scores[rows == row].mean(axis=0) for row in range(len(videos["num_frames"]))])


@each
def test_a_videos_prediction_is_the_mean_over_its_segments(case):
    whole, mean = pair(case)
    videos = harness.frames_batch(NUM_FRAMES, 30)
    predictions = harness.predict(mean, videos)
    expected = mean_over_segments(lambda segments: harness.predict(whole, segments), videos)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions, expected, atol=1e-6)
    embedding = mean_over_segments(lambda segments: np.array(whole.embed(segments)), videos)
    np.testing.assert_allclose(mean.embed(videos), embedding, atol=1e-5)


@each
def test_segments_are_predicted_and_learned_as_with_whole(case):
    """A batch of segments: the same predictions and the same batch statistics, bit for bit."""
    segments = harness.frames_batch((5, 5, 2, 1), 5)
    results = []
    for model in pair(case):
        for variable in model.variables:
            if "seed_generator_state" in variable.path:  # the same draws in both
                variable.assign([0, 1])
        results.append([harness.predict(model, segments), harness.predict(model, segments, training=True), *model.get_weights()])
    for ours, theirs in zip(*results):
        np.testing.assert_array_equal(ours, theirs)


def test_the_gradient_is_that_of_the_loss_on_the_mean():
    """Eq. 15 and 16 written out: BCE of the labels and the mean of the sigmoids."""
    model = models.build_model("FrameLevelLogisticModel", 7, harness.SIZES, "segments_mean", normalize=False)
    harness.randomise(model)
    videos = harness.frames_batch(NUM_FRAMES, 30)
    labels = (harness.random_floats(4, 7) > 0).astype(np.float32)
    kernel, bias = model.trainable_variables
    rows, starts = segments_of(videos["num_frames"])
    features = videos["frames"] * np.float32(4 / 255) + np.float32(-2 + 4 / 512)
    counts = np.minimum(5, videos["num_frames"][rows] - starts)
    means = np.stack([features[row, start : start + count].mean(axis=0) for row, start, count in zip(rows, starts, counts)])

    def gradients(predict):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(CrossEntropyLoss()(predict(), labels))
        return loss, *tape.gradient(loss, [kernel.value, bias.value])

    def by_hand():
        scores = tf.sigmoid(means @ kernel.value + bias.value)
        return tf.math.segment_mean(scores, rows)

    for ours, theirs in zip(gradients(lambda: model(videos, training=True)), gradients(by_hand)):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_probabilities_stay_float32_in_half_precision():
    case = cases.ModelCase("FrameLevelLogisticModel", {"video_prediction": "segments_mean"})
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = case.build()
    finally:
        keras.config.set_dtype_policy("float32")
    full, videos = case.build(), harness.frames_batch(NUM_FRAMES, 30)
    harness.randomise(full)
    half.set_weights(full.get_weights())
    predictions = harness.predict(half, videos)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions, mean_over_segments(lambda rows: harness.predict(half, rows), videos), atol=1e-6)


def test_attention_is_over_the_video():
    model = cases.ModelCase("AttentionModel", {"hidden_size": 10, "video_prediction": "segments_mean"}).build()
    attention = np.array(model.attention(harness.frames_batch(NUM_FRAMES, 30)))
    assert attention.shape == (4, 30, 2, 1)
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(attention[0, :5].sum(axis=0), 1 / 5, atol=1e-5)
    assert not attention[0, 23:].any()


@pytest.mark.parametrize("name", ("LogisticModel", "BiGruModel", "TransformerModel", "ContextAwareModel", "JointContextModel"))
def test_models_that_cannot(name):
    with pytest.raises(UserError, match=f"--video_prediction=segments_mean: not for {name}, which .*Use whole"):
        models.build_model(name, 7, harness.SIZES, "segments_mean")
    line = commands.run("train", f"--model={name}", "--video_prediction=segments_mean", "--train_data_pattern=nowhere*")
    assert "--video_prediction=segments_mean" in line and name in line and "\n" not in line


def test_a_config_of_before_says_whole(tmp_path):
    configs.write_model_config(str(tmp_path), configs.ModelConfig("CnnModel", video_prediction="segments_mean"))
    assert configs.read_model_config(str(tmp_path)).video_prediction == "segments_mean"
    file = tmp_path / configs.MODEL_FILE
    file.write_text(file.read_text().replace(' "video_prediction": "segments_mean",\n', ""))
    assert configs.read_model_config(str(tmp_path)).video_prediction == "whole"
    assert "video_prediction" not in models.build_model("FrameLevelLogisticModel", 7).get_config()


# ---------------------------------------------------------------- a run


def data(folder):
    rng = np.random.default_rng(0)
    videos = [
        make_video(f"v{i:02d}", int(rng.integers(4, 34)), labels=[i % 7], ratings=[(0, i % 7, 1.0), (0, (i + 1) % 7, 0.0)])
        for i in range(30)
    ]
    return write_frame_shards(folder, [videos[:17], videos[17:]])


ARGUMENTS = (*commands.TINY, "--model=FrameLevelLogisticModel", "--video_prediction=segments_mean", "--batch_size=8",
             "--max_steps=4", "--base_learning_rate=0.05")  # fmt: skip


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    return data(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def trained(pattern, tmp_path_factory):
    """Folder of a run that was pre-trained, and then fine-tuned without naming the model again."""
    folder = str(tmp_path_factory.mktemp("run") / "run")
    assert commands.run("train", *ARGUMENTS, f"--train_data_pattern={pattern}", f"--train_dir={folder}") is None
    again = ("--stage=finetune", "--max_steps=3", f"--train_data_pattern={pattern}", f"--train_dir={folder}")
    assert commands.run("train", *again) is None
    return folder


def test_pretraining_finetuning_evaluation_and_inference_agree(pattern, trained, tmp_path):
    run = restore.newest(trained)
    assert run.config.video_prediction == "segments_mean" and run.config.segment_expansion == 0
    batch = next(iter(evaluation_batches(frame_spec(run.config, pattern), 30)))
    videos = {name: np.asarray(batch[name]) for name in ("frames", "num_frames")}
    rows, _, scores = segment_scores(run.model, make_predict(run.model), videos)
    expected = np.stack([scores[rows == row].mean(axis=0) for row in range(30)])
    np.testing.assert_allclose(make_predict(run.model)(videos), expected, atol=1e-6)
    np.testing.assert_allclose(
        signatures.whole_videos(run.model, run.config, *map(tf.constant, videos.values())), expected, atol=1e-6
    )

    output = tmp_path / "predictions.csv"
    flags = (f"--train_dir={trained}", f"--input_data_pattern={pattern}", f"--output_file={output}", "--top_k=7")
    assert commands.run("inference", *flags) is None
    with open(output, encoding="utf-8") as file:
        lines = {row["VideoId"]: row["LabelConfidencePairs"].split() for row in csv.DictReader(file)}
    for row, name in enumerate(f"v{i:02d}" for i in range(30)):
        shown = dict(zip(map(int, lines[name][::2]), map(float, lines[name][1::2])))
        np.testing.assert_allclose([shown[column] for column in range(7)], expected[row], atol=1e-5)
    metrics = evaluate.evaluate_videos(run.model, run.config, pattern)
    whole = restore.build(dataclasses.replace(run.config, video_prediction="whole"))
    whole.set_weights(run.model.get_weights())
    assert metrics["loss"] != evaluate.evaluate_videos(whole, run.config, pattern)["loss"]


@pytest.mark.slow
def test_a_bundle_and_an_export_have_it(pattern, trained, tmp_path):
    bundle, output = tmp_path / "model.tgz", tmp_path / "out.csv"
    flags = (f"--train_dir={trained}", f"--input_data_pattern={pattern}", f"--output_file={output}")
    assert commands.run("inference", *flags, f"--output_model_tgz={bundle}") is None
    again = tmp_path / "again.csv"
    flags = (f"--input_model_tgz={bundle}", f"--untar_model_dir={tmp_path / 'untarred'}", f"--input_data_pattern={pattern}")
    assert commands.run("inference", *flags, f"--output_file={again}") is None
    assert again.read_text() == output.read_text()
    flags = (f"--train_dir={trained}", f"--output_dir={tmp_path / 'export'}", "--formats=saved_model,mediapipe,float32")
    assert commands.run("export_model", *flags) is None
    report = json.loads((tmp_path / "export" / "export.json").read_text())
    assert report["video_prediction"] == "segments_mean"
    assert [row["problem"] for row in report["formats"]] == [None] * 4
    run, videos = restore.newest(trained), harness.frames_batch(NUM_FRAMES, 30)
    saved = [os.path.join(folder, "") for folder, _, files in os.walk(tmp_path / "export") if "saved_model.pb" in files]
    signature = next(
        loaded.signatures["serving_default"] for loaded in map(tf.saved_model.load, saved)
        if "rgb_and_audio" in loaded.signatures["serving_default"].structured_input_signature[1]
    )  # fmt: skip
    features = videos["frames"] * np.float32(4 / 255) + np.float32(-2 + 4 / 512)
    predictions = signature(rgb_and_audio=tf.constant(features), num_frames=tf.constant(videos["num_frames"][:, None]))
    np.testing.assert_allclose(predictions["predictions"], make_predict(run.model)(videos), atol=1e-5)


def test_segment_classes_only_and_going_on(pattern, tmp_path):
    ids = tmp_path / "ids.csv"
    ids.write_text("Index\n2\n5\n")
    flags = (*ARGUMENTS, f"--train_data_pattern={pattern}", "--segment_classes_only", f"--segment_label_ids_file={ids}")
    results = []
    for folder, steps in ((tmp_path / "once", (6,)), (tmp_path / "twice", (3, 6))):
        for count in steps:
            assert commands.run("train", *flags, f"--max_steps={count}", f"--train_dir={folder}") is None
        run = restore.newest(str(folder))
        assert run.config.label_ids == (2, 5)
        results.append(run.model.get_weights())
    for ours, theirs in zip(*results):
        np.testing.assert_array_equal(ours, theirs)
    line = commands.run("train", *flags, "--video_prediction=whole", "--max_steps=9", f"--train_dir={tmp_path / 'once'}")
    assert "--video_prediction=whole" in line and "segments_mean" in line


@pytest.mark.parametrize(
    "flags, words",
    [
        (("--segment_expansion=3",), "--segment_expansion=3"),
        (("--augment_drop_frames=0.1",), "--augment_drop_frames"),
        (("--augment_subsample=2",), "--augment_subsample"),
        (("--xla=on",), "--xla=on"),
        (("--video_prediction=segments",), "segments_mean"),
        (("--stage=finetune", "--start_time_weight=1", "--model=AttentionModel", "--init_checkpoint=RUN"), "--start_time_weight"),
    ],
)
def test_what_makes_no_sense_is_refused(pattern, tmp_path, flags, words):
    if "--init_checkpoint=RUN" in flags:
        model = configs.ModelConfig("AttentionModel", {"hidden_size": 6}, ("rgb", "audio"), (16, 8), num_classes=7,
                                    video_prediction="segments_mean")  # fmt: skip
        values = dict(batch_size=8, base_learning_rate=0.1, learning_rate_decay=1.0, learning_rate_decay_examples=10)
        pretrain(configs.TrainConfig(str(tmp_path / "first"), "pretrain", pattern, max_steps=1, **values), model)
        flags = [flag.replace("RUN", str(tmp_path / "first")) for flag in flags]
    line = commands.run("train", *ARGUMENTS, f"--train_data_pattern={pattern}", f"--train_dir={tmp_path / 'run'}", *flags)
    assert words in line and "\n" not in line


@pytest.mark.parametrize("flag", ("virtual_segments", "reverse", "drop_segments", "noise"))
def test_augmentations_that_leave_segments_whole(pattern, tmp_path, flag):
    flags = (*ARGUMENTS, f"--train_data_pattern={pattern}", f"--train_dir={tmp_path}", f"--augment_{flag}=0.3")
    assert commands.run("train", *flags) is None


def test_fine_tuning_may_drop_frames_of_segments(pattern, trained, tmp_path):
    flags = ("--stage=finetune", f"--init_checkpoint={trained}", f"--train_data_pattern={pattern}", "--max_steps=1")
    assert commands.run("train", *flags, f"--train_dir={tmp_path}", "--augment_drop_frames=0.3") is None


def test_fine_tuning_may_be_compiled(pattern, trained, tmp_path):
    flags = ("--stage=finetune", f"--init_checkpoint={trained}", f"--train_data_pattern={pattern}", "--max_steps=2", "--xla=on")
    assert commands.run("train", *flags, f"--train_dir={tmp_path}") is None


@pytest.mark.slow
def test_a_context_encoder_must_have_seen_whole_videos(pattern, tmp_path):
    values = dict(batch_size=8, base_learning_rate=0.1, learning_rate_decay=1.0, learning_rate_decay_examples=10, max_steps=1)
    options = {"hidden_size": 6}
    of_segments = configs.ModelConfig("AttentionModel", options, ("rgb", "audio"), (16, 8), num_classes=7,
                                      video_prediction="segments_mean")  # fmt: skip
    pretrain(configs.TrainConfig(str(tmp_path / "mean"), "pretrain", pattern, **values), of_segments)
    whole = dataclasses.replace(of_segments, video_prediction="whole")
    pretrain(configs.TrainConfig(str(tmp_path / "whole"), "pretrain", pattern, **values), whole)
    context = {"context_model": "AttentionModel", "context_options": options, "segment_model": "AttentionModel",
               "segment_options": options, "segment_layer": None, "hidden_size": 8}  # fmt: skip
    both = dataclasses.replace(whole, model="ContextAwareModel", hyperparameters=context)
    checkpoints = {f"{part}_checkpoint": str(tmp_path / "mean") for part in ("context", "segment")}
    tuning = configs.TrainConfig(str(tmp_path / "tuned"), "finetune", pattern, **values, **checkpoints)
    with pytest.raises(UserError, match="--context_checkpoint"):
        finetune(tuning, both)
    finetune(dataclasses.replace(tuning, context_checkpoint=str(tmp_path / "whole"), start_new_model=True), both)
