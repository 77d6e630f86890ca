"""Exported models: SavedModel signatures and LiteRT files of every kind of model, and export_model.py."""

import dataclasses
import json
import os
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from tests import commands, harness
from tests.testing import FEATURE_NAMES, FEATURE_SIZES, make_video, write_frame_shards, write_video_shards
from yt8m import config as configs
from yt8m import models
from yt8m.errors import UserError
from yt8m.export import formats, litert, signatures
from yt8m.readers.records import encode_video, encode_video_features
from yt8m.segments import window_indices
from yt8m.training.checkpoints import Checkpoints
from yt8m.training.optimizers import make_optimizer
from yt8m.training.predict import make_predict, segment_scores

CLASSES, MAX_FRAMES = 7, 30
KINDS = {
    "AttentionModel": {"hidden_size": 6, "reduced_sizes": (6, 4), "attention_sizes": (4, 3)},
    "LogisticModel": {},
    "TransformerModel": {"num_blocks": 1},
    "ContextAwareModel": {
        "context_model": "FrameLevelLogisticModel",
        "segment_model": "GatedDbofModel",
        "segment_options": {"cluster_size": 32, "hidden_size": 16, "sampling": "none"},
        # With these random weights TensorFlow's interpreter refuses the 8-bit ranges of the gated embedding.
        "segment_layer": "hidden",
        "segment_activation": True,
        "hidden_size": 8,
    },
}


def build(name, expansion=0, **changes):
    """A model with random weights and its ModelConfig."""
    hyperparameters = KINDS.get(name, {})
    model = models.build_model(name, CLASSES, FEATURE_SIZES, **hyperparameters)
    harness.randomise(model)
    config = configs.ModelConfig(
        name,
        hyperparameters,
        feature_sizes=FEATURE_SIZES,
        num_classes=CLASSES,
        max_frames=MAX_FRAMES,
        segment_expansion=expansion,
    )
    return model, dataclasses.replace(config, **changes)


def videos(num_frames=(23, 5, 30, 7, 1), length=MAX_FRAMES):
    return harness.frames_batch(num_frames, length, sum(FEATURE_SIZES))


def expected_grid(model, batch, expansion, slots):
    """[B, S, C] of segment_scores, zeros elsewhere."""
    rows, starts, scores = segment_scores(model, make_predict(model), batch, expansion)
    grid = np.zeros((len(batch["frames"]), slots, CLASSES), np.float32)
    grid[rows, starts // 5] = scores
    return grid


def saved(model, functions, folder):
    """The functions as they are read back from a SavedModel."""
    formats.save(model, functions, str(folder))
    return tf.saved_model.load(str(folder)).signatures


def call(signature, **inputs):
    return {name: value.numpy() for name, value in signature(**{k: tf.constant(v) for k, v in inputs.items()}).items()}


@pytest.mark.parametrize("expansion", [0, 3])
def test_windows_are_those_of_inference(expansion):
    batch = videos()
    segments, windows, counts = signatures.segment_windows(batch["frames"], batch["num_frames"], expansion)
    rows, starts, indices, expected = window_indices(batch["num_frames"], expansion)
    np.testing.assert_array_equal(segments, np.stack([rows, starts // 5], axis=1))
    np.testing.assert_array_equal(counts, expected)
    real = np.arange(5 + 2 * expansion) < expected[:, None]
    np.testing.assert_array_equal(windows, batch["frames"][rows[:, None], indices] * real[..., None])


@pytest.mark.parametrize(
    "name, expansion", [*((name, 2) for name in KINDS), pytest.param("AttentionModel", 0, marks=pytest.mark.slow)]
)
def test_a_saved_model_scores_segments_as_inference_does(name, expansion, tmp_path):
    model, config = build(name, expansion)
    label_ids, columns = (500, 3, 40), (6, 0, 2)
    loaded = saved(model, signatures.serving(model, config, label_ids, columns, top_k=10), tmp_path / "model")
    batch = videos()
    grid = expected_grid(model, batch, expansion, 6)
    found = call(loaded["segments"], **batch)
    np.testing.assert_allclose(found["probabilities"], grid, atol=1e-5)
    assert found["num_segments"].tolist() == [5, 1, 6, 2, 1]

    top = call(loaded["serving_default"], **batch)
    for row, count in enumerate(found["num_segments"]):
        pairs = [(-grid[row, s, c], s, i) for s in range(count) for i, c in enumerate(columns)]
        best = sorted(pairs)[:10]
        missing = 10 - len(best)
        np.testing.assert_allclose(top["scores"][row], [-score for score, _, _ in best] + [0] * missing, atol=1e-5)
        assert top["start_times"][row].tolist() == [5 * s for _, s, _ in best] + [-1] * missing
        assert top["class_ids"][row].tolist() == [label_ids[i] for _, _, i in best] + [-1] * missing


@pytest.mark.parametrize("name", ["AttentionModel", "TransformerModel"])
def test_later_frames_than_max_frames_are_not_looked_at(name):
    model, config = build(name, expansion=2)
    long = videos((45, 12), 45)
    short = {"frames": long["frames"][:, :MAX_FRAMES], "num_frames": np.array([MAX_FRAMES, 12], np.int32)}
    segments = signatures.serving(model, config, (0,), (0,))["segments"]
    found = call(segments, **long)
    assert found["probabilities"].shape == (2, 6, CLASSES) and found["num_segments"].tolist() == [6, 3]
    np.testing.assert_allclose(found["probabilities"], expected_grid(model, short, 2, 6), atol=1e-5)


def test_equal_scores_go_by_time_then_by_class():
    top = signatures.top_segments(np.full((1, 3, 2), 0.5, np.float32), np.array([12]), (9, 4), (0, 1), 4)
    assert top["start_times"].numpy().tolist() == [[0, 0, 5, 5]]
    assert top["class_ids"].numpy().tolist() == [[9, 4, 9, 4]]


def test_every_byte_survives_being_a_feature():
    values = np.arange(256)
    features = (values * (4 / 255) + 4 / 512 - 2).astype(np.float32)
    np.testing.assert_array_equal(signatures.quantized(features), values)
    assert signatures.quantized([-3.0, -2.0, 2.0, 3.0]).numpy().tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("name", ["AttentionModel", "LogisticModel", "TransformerModel"])
def test_the_mediapipe_signature(name, tmp_path):
    model, config = build(name)
    loaded = saved(model, {"serving_default": signatures.mediapipe(model, config)}, tmp_path / "model")["serving_default"]
    batch = videos((7, 7, 7), 7)
    features = batch["frames"].astype(np.float32) * np.float32(4 / 255) + np.float32(4 / 512 - 2)
    found = call(loaded, rgb_and_audio=features, num_frames=np.array([[7]], np.int32))["predictions"]  # as the starter tries it
    inputs = {"features": features.mean(axis=1)} if name == "LogisticModel" else batch
    np.testing.assert_allclose(found, model(inputs), atol=1e-5)
    fewer = call(loaded, rgb_and_audio=features, num_frames=np.array([[7], [3], [7]], np.int32))["predictions"]
    assert np.abs(fewer - found).max(axis=1).tolist()[::2] == [0, 0] and np.abs(fewer[1] - found[1]).max() > 1e-4


def test_the_starters_signature_on_frames(tmp_path):
    model, config = build("AttentionModel", label_ids=(5, 9, 11, 40, 41, 42, 43), num_classes=50, id_feature="video_id")
    loaded = saved(model, {"starter": signatures.starter(model, config, top_k=3)}, tmp_path / "model")["starter"]
    records = [make_video("abc", 12), make_video("de", 40)]
    found = call(loaded, example_bytes=[encode_video(video, "video_id") for video in records])
    assert found["video_id"].tolist() == [[b"abc"], [b"de"]]
    for row, video in enumerate(records):
        frames = np.concatenate([video.frames[name] for name in FEATURE_NAMES], axis=1)[None, :MAX_FRAMES]
        scores = model({"frames": frames, "num_frames": np.array([frames.shape[1]])}).numpy()[0]
        best = np.argsort(-scores)[:3]
        assert found["class_indexes"][row].tolist() == [np.array(config.label_ids)[best].tolist()]
        np.testing.assert_allclose(found["predictions"][row, 0], scores[best], atol=1e-5)
    other = make_video("x", 4, features={"rgb": 12, "audio": 8})
    with pytest.raises(tf.errors.InvalidArgumentError, match="not 16 bytes a frame"):
        call(loaded, example_bytes=[encode_video(other, "video_id")])


def test_the_starters_signature_on_video_features():
    model, config = build("LogisticModel", feature_names=("mean_rgb", "mean_audio"), frame_features=False)
    features = harness.random_floats(2, sum(FEATURE_SIZES))
    records = [
        encode_video_features(id, [1], {"mean_rgb": row[:16], "mean_audio": row[16:]}) for id, row in zip(("a", "b"), features)
    ]
    found = call(signatures.starter(model, config), example_bytes=records)
    scores = model({"features": features}).numpy()
    assert found["video_id"].tolist() == [b"a", b"b"]
    np.testing.assert_array_equal(found["class_indexes"], np.argsort(-scores))
    np.testing.assert_allclose(found["predictions"], -np.sort(-scores), atol=1e-6)


# ---------------------------------------------------------------- LiteRT


def rated_batch(expansion):
    """What rated_videos gives for videos(): two segments of each, one of them the last."""
    batch = videos()
    rows, starts, indices, counts = window_indices(batch["num_frames"], expansion)
    keep = np.flatnonzero((starts == 0) | (starts + 5 >= batch["num_frames"][rows]))
    real = np.arange(indices.shape[1]) < counts[keep, None]
    return {
        "context_frames": batch["frames"],
        "context_num_frames": batch["num_frames"],
        "segment_rows": rows[keep],
        "start_times": starts[keep],
        "frames": batch["frames"][rows[keep, None], indices[keep]] * real[..., None],
        "num_frames": counts[keep],
    }


@pytest.mark.parametrize(
    "name", [name if name == "AttentionModel" else pytest.param(name, marks=pytest.mark.slow) for name in KINDS]
)
def test_litert_files_score_as_the_keras_model(name):
    model, config = build(name, expansion=2)
    batch = rated_batch(2)
    expected = expected_grid(model, videos(), 2, 6)[batch["segment_rows"], batch["start_times"] // 5]
    examples = litert.calibration_inputs(model, batch, MAX_FRAMES)
    differences = {}
    for kind in ("float32", "float16", "int8") if name == "AttentionModel" else ("float32", "int8"):
        contents = {
            part: litert.convert(function, model, kind, examples[part])
            for part, function in litert.functions(model, config).items()
        }
        parts = {part: litert.LiteModel(content) for part, content in contents.items()}
        differences[kind] = np.abs(litert.score(model, parts, batch, MAX_FRAMES) - expected).max()
    assert differences["float32"] < 1e-5
    assert 1e-6 < differences.get("float16", 1e-3) < 0.01
    assert 1e-5 < differences["int8"] < 0.2  # random weights: the worst case


def test_a_litert_file_cuts_off_the_ends_of_a_context():
    options = {"cluster_size": 8, "hidden_size": 6, "skip_head": 4, "skip_tail": 3}
    model = models.build_model("ContextAwareModel", CLASSES, FEATURE_SIZES, context_options=options,
                               segment_options={"cluster_size": 4, "groups": 4, "hidden_size": 6}, hidden_size=8)  # fmt: skip
    harness.randomise(model)
    config = configs.ModelConfig("ContextAwareModel", feature_sizes=FEATURE_SIZES, num_classes=CLASSES, max_frames=MAX_FRAMES)
    run = litert.LiteModel(litert.convert(litert.functions(model, config)["context"], model, "float32"))
    batch = videos()
    vectors = model.encode_context({f"context_{name}": value for name, value in batch.items()})
    for frames, count, vector in zip(batch["frames"], batch["num_frames"][:, None], vectors):
        np.testing.assert_allclose(run(frames=frames[None], num_frames=count)[0], vector, atol=1e-5)


def test_8_bit_files_are_smaller():
    model = models.build_model("FrameLevelLogisticModel", 200, (256, 64))
    harness.randomise(model)
    config = configs.ModelConfig("FrameLevelLogisticModel", feature_sizes=(256, 64), num_classes=200)
    function = litert.functions(model, config)["segment"]
    batch = harness.frames_batch((5,) * 8, 5, 320)
    examples = litert.calibration_inputs(model, batch, 300)["segment"]
    sizes, expected = {}, model(batch).numpy()
    for kind in litert.FORMATS:
        content = litert.convert(function, model, kind, examples)
        sizes[kind] = len(content)
        found = litert.score(model, {"segment": litert.LiteModel(content)}, batch, 300)
        np.testing.assert_allclose(found, expected, atol={"float32": 1e-5, "float16": 1e-3}.get(kind, 0.03))
    assert sizes["float16"] < 0.6 * sizes["float32"]
    assert max(sizes["int8"], sizes["dynamic"]) < 0.35 * sizes["float32"]


def test_a_loop_cannot_be_calibrated_and_the_rest_can():
    model, config = build("GruModel")
    model = models.build_model("GruModel", CLASSES, FEATURE_SIZES, units=3, num_layers=1)
    function = litert.functions(model, config)["segment"]
    with pytest.raises(UserError, match=r"--formats=int8: GruModel computes in a loop.*--formats=dynamic"):
        litert.convert(function, model, "int8", [])
    batch = rated_batch(0)
    expected = expected_grid(model, videos(), 0, 6)[batch["segment_rows"], batch["start_times"] // 5]
    parts = {"segment": litert.LiteModel(litert.convert(function, model, "float32"))}
    np.testing.assert_allclose(litert.score(model, parts, batch, MAX_FRAMES), expected, atol=1e-5)


def test_calibration_sees_no_padding():
    model, _ = build("ContextAwareModel")
    examples = litert.calibration_inputs(model, rated_batch(2), MAX_FRAMES)
    assert {one["frames"].shape for one in examples["context"]} == {(1, MAX_FRAMES, 24)}
    assert {one["frames"].shape for one in examples["segment"]} == {(1, 9, 24)}
    for one in (*examples["context"], *examples["segment"]):
        assert one["num_frames"][0] == one["frames"].shape[1] and one["frames"].any(axis=2).all()


# ---------------------------------------------------------------- the command


def write_run(folder, name="AttentionModel", **changes):
    """A train_dir of a model with random weights."""
    model, config = build(name, **changes)
    optimizer = make_optimizer("AdamOptimizer", 0.1)
    optimizer.build(model.trainable_variables)
    configs.write_model_config(str(folder), config)
    checkpoints = Checkpoints(str(folder), model, optimizer)
    checkpoints.stage.assign(1)
    checkpoints.save()
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Rated shards and label ids."""
    folder = tmp_path_factory.mktemp("data")
    rated = [
        make_video(
            f"v{i:02d}", 8 + 3 * i, [1], [(start, label, float((i + label) % 2)) for start in (0, 5) for label in (1, 2, 5)]
        )
        for i in range(10)
    ]
    (folder / "ids.csv").write_text("Index\n2\n5\n")
    return {"rated": write_frame_shards(folder, [rated[:6], rated[6:]]), "ids": folder / "ids.csv"}


@pytest.fixture
def flags_of(data):
    return (
        f"--eval_data_pattern={data['rated']}",
        f"--calibration_data_pattern={data['rated']}",
        f"--segment_label_ids_file={data['ids']}",
    )


@pytest.mark.slow
def test_the_command_writes_files_a_table_and_json(data, flags_of, tmp_path, capsys):
    run = write_run(tmp_path / "run", expansion=1, precision="mixed_bfloat16")
    assert commands.run("export_model", f"--train_dir={run}", "--top_k=4", *flags_of) is None
    printed = capsys.readouterr().out
    out = run / "export"
    files = ["export.json", "labels.csv", "saved_model", *(f"segment_{kind}.tflite" for kind in ("float16", "float32", "int8"))]
    assert sorted(os.listdir(out)) == files
    assert sorted(os.listdir(out / "saved_model")) == [
        "assets",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]  # nothing of Keras
    report = json.loads((out / "export.json").read_text())
    rows = {row["format"]: row for row in report["formats"]}
    assert list(rows) == ["keras", "saved_model", "float32", "float16", "int8"]
    for name, row in rows.items():
        assert f"{row['map']:.4f}" in printed and f"{row['bytes'] / 1e6:.2f}" in printed
        assert row["map_loss"] == pytest.approx(rows["keras"]["map"] - row["map"])
        assert row["max_difference"] <= {"keras": 0, "saved_model": 1e-5, "float32": 1e-5, "float16": 0.01}.get(name, 0.2)
    assert rows["float32"]["bytes"] == (out / "segment_float32.tflite").stat().st_size
    assert (report["segment_expansion"], report["serving_label_ids"], report["checkpoint"]) == (1, [2, 5], "model.ckpt-0")
    capsys.readouterr()
    assert commands.run("eval", "--run_once", "--segment_labels", f"--train_dir={run}", flags_of[0]) is None
    judged = float(re.search(r"│ map +│ ([\d.]+)", capsys.readouterr().out)[1])
    assert judged == pytest.approx(rows["keras"]["map"], abs=0.1)  # the run's own bfloat16 is not the exported float32


def test_what_is_there_is_not_overwritten(data, flags_of, tmp_path):
    run = write_run(tmp_path / "run", "LogisticModel")
    export_it = ("export_model", f"--train_dir={run}", "--formats=float32", *flags_of[2:])
    assert commands.run(*export_it) is None
    assert "Give --overwrite" in commands.run(*export_it)
    assert commands.run(*export_it, "--overwrite") is None
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert "no earlier export" in commands.run(*export_it, f"--output_dir={mine}", "--overwrite")
    assert sorted(os.listdir(tmp_path)) == ["mine", "run"] and os.listdir(mine) == ["thesis.txt"]
    assert sorted(name for name in os.listdir(run) if "export" in name) == ["export"]


def test_without_shards_there_is_no_map_and_no_int8(data, flags_of, tmp_path, capsys):
    run = write_run(tmp_path / "run", "LogisticModel")
    assert commands.run("export_model", f"--train_dir={run}", flags_of[2]) is None
    assert "int8 is left out" in capsys.readouterr().out
    report = json.loads((run / "export" / "export.json").read_text())
    assert {row["format"]: row["map"] for row in report["formats"]} == dict.fromkeys(
        ["keras", "saved_model", "float32", "float16"]
    )


def test_a_format_that_a_model_does_not_have_is_named(data, flags_of, tmp_path, capsys):
    run = write_run(tmp_path / "run", "ContextAwareModel")
    assert commands.run("export_model", f"--train_dir={run}", "--formats=mediapipe,saved_model", *flags_of[1:]) is None
    assert "Left out: --formats=mediapipe: ContextAwareModel" in capsys.readouterr().out
    assert sorted(os.listdir(run / "export")) == ["export.json", "labels.csv", "saved_model"]
    line = commands.run("export_model", f"--train_dir={run}", "--formats=mediapipe", f"--output_dir={tmp_path / 'x'}", *flags_of)
    assert "--formats=mediapipe: ContextAwareModel" in line and "\n" not in line
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize(
    "flag, line",
    [
        ("--formats=saved_model,onnx", "--formats=onnx: unknown. Use some of saved_model"),
        ("--formats=int8 --calibration_data_pattern=", "--formats=int8 needs rated shards"),
        ("--eval_data_pattern=nowhere*", "no file matches --eval_data_pattern='nowhere*'"),
        ("--calibration_data_pattern=nowhere*", "no file matches --calibration_data_pattern='nowhere*'"),
        ("--top_k=0", "--top_k=0: must be above 0"),
        ("--segment_label_ids_file=nowhere.csv", "nowhere.csv"),
        ("--model=MoeModel", "--model=MoeModel: the model in"),
        ("--id_feature=video_id", "--id_feature=video_id: the model in"),
        ("--segment_labels", "'segment_labels'"),
        ("--num_readers=3", "'num_readers'"),
        ("--train_dir=nowhere", "--train_dir=nowhere"),
    ],
)
def test_bad_flags_are_one_line_and_leave_nothing(flag, line, data, flags_of, tmp_path):
    run = write_run(tmp_path / "run", "LogisticModel")
    found = commands.run(
        "export_model",
        f"--train_dir={run}",
        "--formats=saved_model,int8",
        *flags_of,
        f"--output_dir={tmp_path / 'x'}",
        *flag.split(),
    )
    assert line in found and "\n" not in found
    assert os.listdir(tmp_path) == ["run"]


def test_docs_name_every_format_and_signature():
    text = (pathlib.Path(__file__).parents[2] / "docs" / "export.md").read_text()
    for name in (*formats.FORMATS, "serving_default", "segments", "mediapipe", "starter"):
        assert f"`{name}`" in text


def test_a_run_on_video_level_records(data, flags_of, tmp_path):
    write_video_shards(tmp_path / "video", [[("a", [1], {"mean_rgb": np.zeros(16), "mean_audio": np.zeros(8)})]])
    run = write_run(tmp_path / "run", "LogisticModel", feature_names=("mean_rgb", "mean_audio"), frame_features=False)
    assert commands.run("export_model", f"--train_dir={run}", "--formats=saved_model,float32", *flags_of) is None
    rows = json.loads((run / "export" / "export.json").read_text())["formats"]
    assert max(row["max_difference"] for row in rows) < 1e-5
