"""JSON that a run keeps for itself: whatever is in the file, one line."""

import json
import pathlib
import shutil

import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import config, jsonfiles
from yt8m.errors import UserError
from yt8m.readers import stores
from yt8m.stages import em_files

KINDS = (
    (jsonfiles.Text(), ["", "x"], [1, None, [], "\0"]),
    (jsonfiles.Text("a|b"), ["a"], ["ab", "c", 1]),
    (jsonfiles.Integer(1, 5), [1, 5], [0, 6, 1.0, True, "1", None, 2**40]),
    (jsonfiles.Number(), [1, 1.5, float("nan")], ["1", True, None]),
    (jsonfiles.Boolean(), [True, False], [0, "true", None]),
    (jsonfiles.ListOf(jsonfiles.Integer(0)), [[], [1, 2]], [[-1], ["x"], 3, {}]),
    (jsonfiles.Object({"a": jsonfiles.Integer()}), [{"a": 1}, {"a": 1, "b": []}], [{}, {"a": "x"}, [], None]),
    (jsonfiles.Optional(jsonfiles.Integer()), [1], ["x", None]),
    (jsonfiles.Optional(jsonfiles.Integer(), null=True), [1, None], ["x"]),
)


@pytest.mark.parametrize("kind, good, bad", KINDS)
def test_kinds(kind, good, bad):
    assert not any(kind.expected(value) for value in good)
    assert all(isinstance(kind.expected(value), str) for value in bad)


DEEP = ["[" * 5000, "[" * 5000 + "]" * 5000, "[" * 100_000, '{"a": ' * 5000]
NO_JSON = ["", "{", "nul", *DEEP, '{"a": ' + "9" * 5000 + "}", '{"a": ' + "9" * 30 + "}", "\x00"]


@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json: damaged \(.*\)\. Delete it\.") as error:
        jsonfiles.read(tmp_path / "x.json", {"a": jsonfiles.Integer()}, "Delete it")
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_no_utf8_and_no_end(tmp_path, monkeypatch):
    (tmp_path / "x.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(UserError, match="UTF-8"):
        jsonfiles.read(tmp_path / "x.json", None, "Delete it")
    monkeypatch.setattr(jsonfiles, "MAX_BYTES", 5)
    with pytest.raises(UserError, match="more than 5 bytes"):
        jsonfiles.read(tmp_path / "x.json", None, "Delete it")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    videos = [make_video(f"v{i}", 9, labels=[i % 7], ratings=[(0, i % 7, 1.0), (0, (i + 1) % 7, 0.0)]) for i in range(8)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos])


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    line = commands.run(
        "train", f"--train_data_pattern={data}", "--model=DbofModel", "--batch_size=4", "--max_steps=2", *commands.TINY,
        "--hyperparameters=cluster_size=16,hidden_size=8", f"--train_dir={folder}",
    )  # fmt: skip
    assert line is None
    return folder


BAD_FIELDS = (
    ("num_classes", 2**40), ("num_classes", 0), ("num_classes", "7"), ("num_classes", None), ("num_classes", 2.5),
    ("max_frames", "x"), ("max_frames", 2**40), ("max_frames", -1), ("feature_sizes", "9" * 50), ("feature_sizes", [16, 8]),
    ("feature_sizes", "0,8"), ("feature_names", 3), ("hyperparameters", []), ("hyperparameters", {"hidden_size": "x"}),
    ("hyperparameters", {"hidden_size": 2**40}), ("hyperparameters", {"hidden_size": -1}), ("label_ids", ["x"]),
    ("label_ids", [-1]), ("precision", "int7"), ("precision", 3), ("model", 7), ("segment_expansion", 2**40), ("id_feature", []),
    ("class_names", "cat"), ("class_names", [3]),
)  # fmt: skip


@pytest.mark.parametrize("field, value", BAD_FIELDS, ids=[f"{field}-{str(value)[:20]}" for field, value in BAD_FIELDS])
def test_model_flags(trained, data, tmp_path, field, value):
    run = pathlib.Path(shutil.copytree(trained, tmp_path / "run"))
    path = run / config.MODEL_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    line = commands.run("eval", f"--train_dir={run}", f"--eval_data_pattern={data}", "--run_once")
    assert line and "\n" not in line and len(line) < 700


BAD_FLAGS = (
    "hidden_size=x", "hidden_size=2.5", "hidden_size=1099511627776", "hidden_size=2**40", "hidden_size=[1]",
    "hidden_size=1e999", "pooling_method=3", "add_batch_norm=x", "activation=[1,2]", "activation=nonsense",
    "hidden_size=" + "[" * 5000,
    "hidden_size=None", "cluster_size=0", "head_options=x", "head_options={1}",
)  # fmt: skip


@pytest.mark.parametrize("value", BAD_FLAGS, ids=[value[:30] for value in BAD_FLAGS])
def test_hyperparameters(data, tmp_path, value):
    line = commands.run(
        "train", f"--train_data_pattern={data}", "--model=DbofModel", "--batch_size=4", "--max_steps=2", *commands.TINY,
        f"--hyperparameters={value}", f"--train_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert line and "\n" not in line and len(line) < 700
    assert not (tmp_path / "run" / config.MODEL_FILE).exists()


@pytest.mark.parametrize("flag", ["--num_classes=1099511627776", "--max_frames=1099511627776", f"--max_steps={10**30}"])
def test_sizes_that_no_run_has(data, tmp_path, flag):
    line = commands.run("train", f"--train_data_pattern={data}", "--model=DbofModel", f"--train_dir={tmp_path / 'run'}", flag)
    assert flag.split("=")[0] in line and "\n" not in line


@pytest.mark.parametrize("content", [*NO_JSON, "[]", '{"version": 1, "scale": 9999, "kind": [], "label_ids": [], "run": {}}'])
def test_store_json(tmp_path, content):
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(UserError) as error:
        stores.open_store(str(tmp_path))
    assert "store.json" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [*NO_JSON, "[]", "{}", '{"initial": {}, "candidates": []}', '{"initial": 1}'])
def test_em_json(tmp_path, content):
    (tmp_path / "em.json").write_text(content)
    with pytest.raises(UserError, match=r"em\.json: damaged"):
        em_files.read_plan(str(tmp_path))
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(UserError, match=r"result\.json: damaged"):
        em_files.read_result(str(tmp_path))
