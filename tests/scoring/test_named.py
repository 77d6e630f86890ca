"""The names of a run's classes in all that comes out of it."""

import csv
import json
import pathlib

import pytest

import yt8m
from tests.testing import make_video, write_frame_shards
from yt8m import api
from yt8m import config as configs
from yt8m.scoring import named, submission
from yt8m.training.names import class_names

NAMES = ("", "cat, black", "=dog", "guitar\nsolo")
NAMED = {1: "cat, black", 2: "=dog", 3: "guitar\nsolo"}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    videos = [make_video(f"v{i}", 10, labels=(i % 4,), ratings=[(5, i % 4, float(i % 2))]) for i in range(8)]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:4], videos[4:]])


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    """Folder of a run that was told the names of its classes, and not how many there are."""
    folder = tmp_path_factory.mktemp("runs")
    with open(folder / "names.csv", "w", newline="") as file:
        csv.writer(file).writerows([("Index", "Name"), *NAMED.items()])
    named = {"feature_names": "rgb,audio", "feature_sizes": "16,8", "batch_size": 4, "max_steps": 1}
    named |= {"vocabulary_file": folder / "names.csv", "train_data_pattern": shards}
    yt8m.train(model="FrameLevelLogisticModel", train_dir=folder / "run", **named)
    (folder / "names.csv").unlink()
    return folder / "run"


def lines(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_run_keeps_them(run):
    assert json.loads((run / configs.MODEL_FILE).read_text())["class_names"] == list(NAMES)
    assert class_names(configs.read_model_config(run)) == NAMED
    assert class_names(configs.ModelConfig("MoeModel")) == class_names(None) == {}


def test_evaluation(run, shards, tmp_path):
    yt8m.evaluate(train_dir=run, eval_data_pattern=shards, run_once=True, per_class_output=tmp_path / "c.csv")
    assert [line[1] for line in lines(tmp_path / "c.csv")[1:]] == list(NAMES)


def test_inference_on_segments(run, shards, tmp_path):
    common = {"train_dir": run, "input_data_pattern": shards, "segment_labels": True, "segment_max_pred": 3}
    plain = yt8m.inference(output_file=tmp_path / "plain.csv", **common)
    path = yt8m.inference(output_file=tmp_path / "p.csv", names=True, **common)
    assert pathlib.Path(path).read_bytes() == pathlib.Path(plain).read_bytes()
    header, *rows = lines(tmp_path / "p.names.csv")
    assert tuple(header) == named.SEGMENT_COLUMNS
    assert list(dict.fromkeys(row[1] for row in rows)) == ["label 0", "cat, black", "'=dog", "guitar solo"]
    for label, segments in submission.read_submission(path):
        found = [row[2:] for row in rows if row[0] == str(label)]
        assert found == [[str(rank), *segment.split(":")] for rank, segment in enumerate(segments, 1)] and len(found) == 3


def test_inference_on_videos_with_other_names(run, shards, tmp_path):
    (tmp_path / "v.csv").write_text("Name,Index\nAll,0\nOne,1\nTwo,2\n")
    common = {"train_dir": run, "input_data_pattern": shards, "top_k": 2}
    yt8m.inference(output_file=tmp_path / "p.csv", names=True, vocabulary_file=tmp_path / "v.csv", **common)
    header, *rows = lines(tmp_path / "p.names.csv")
    assert tuple(header) == named.VIDEO_COLUMNS and len(rows) == 16
    names = {"0": "All", "1": "One", "2": "Two", "3": "label 3"}
    assert all(row[2] == names[row[1]] for row in rows)
    pairs = [f"{label} {confidence}" for _, label, _, confidence in rows]
    written = [f"{rows[i][0]},{pairs[i]} {pairs[i + 1]}" for i in range(0, 16, 2)]
    assert written == (tmp_path / "p.csv").read_text().split("\n")[1:-1]


def test_workers_leave_them_to_the_merge(run, shards, tmp_path):
    common = {"train_dir": run, "segment_labels": True, "output_file": tmp_path / "p.csv", "num_workers": 1}
    yt8m.inference(input_data_pattern=shards, worker_index=0, **common)
    yt8m.inference(merge_workers=True, names=True, **common)
    assert lines(tmp_path / "p.names.csv")[-1][:2] == ["3", "guitar solo"]


def test_export_and_bundles(run, shards, tmp_path):
    bundle = {"output_model_tgz": tmp_path / "m.tgz", "output_file": tmp_path / "p.csv", "input_data_pattern": shards}
    yt8m.inference(train_dir=run, **bundle)
    moved = {"input_model_tgz": tmp_path / "m.tgz", "untar_model_dir": tmp_path / "m"}
    yt8m.inference(names=True, output_file=tmp_path / "q.csv", input_data_pattern=shards, **moved)
    assert {row[2] for row in lines(tmp_path / "q.names.csv")[1:]} == {"label 0", "cat, black", "'=dog", "guitar solo"}
    out = api.export_model(train_dir=tmp_path / "m", formats=["float32"], output_dir=tmp_path / "out")
    rows = lines(pathlib.Path(out) / "labels.csv")
    assert rows == [["Column", "Index", "Name"], *([str(i), str(i), name] for i, name in enumerate(NAMES))]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"names": True, "output_file": "", "scores_output": "s"}, "--names"),
        ({"names": True, "segment_labels": True, "worker_index": 0, "num_workers": 2}, "--names"),
        ({"vocabulary_file": "v.csv"}, "--names"),
        ({"names": True, "vocabulary_file": "v.csv"}, "v.csv"),
    ],
)
def test_bad_flags(run, shards, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(yt8m.UserError, match=words):
        yt8m.inference(**{"train_dir": run, "input_data_pattern": shards, "output_file": "p.csv", **options})
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_of_videos_is_named(tmp_path):
    (tmp_path / "p.csv").write_text("VideoId,LabelConfidencePairs\nv0,1 0.5\nv1,1\n")
    with pytest.raises(yt8m.UserError, match="line 3"):
        named.write(str(tmp_path / "p.csv"), {}, segments=False)
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
