"""yt8m compare: figures against what eval says, what it writes, and what it refuses."""

import csv
import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

import yt8m
from tests import commands
from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import CLASSES, write_run
from yt8m import config as configs
from yt8m.api import comparing
from yt8m.comparisons import comparison, picture
from yt8m.metrics.bootstrap import interval
from yt8m.stages.judged import judge_pairs
from yt8m.stages.scored import ScoredPairs, scored_pairs
from yt8m.training import restore


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    videos = [
        make_video(f"v{i:02d}", 13, labels=[i % CLASSES], ratings=[(5 * (i % 2), c, float((i + c) % 3 == 0)) for c in range(3)])
        for i in range(20)
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos[:12], videos[12:]])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A model of frames and one of whole videos, whose rows of rated segments come in another order."""
    folder = tmp_path_factory.mktemp("runs")
    return [write_run(folder / "attention"), write_run(folder / "gru", "BiGruModel")]


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_command(runs, shards, tmp_path, capsys):
    folder = tmp_path / "compared"
    flags = (f"--eval_data_pattern={shards}", f"--output_dir={folder}", "--names=A,B", "--resamples=50", "--top_classes=2")
    assert commands.run("compare", *runs, *flags) is None
    said = capsys.readouterr().out
    assert "60 rated (segment, class) pairs, 20 videos" in said and "Classes in which B differs most from A" in said
    rows, classes = table(folder / "comparison.csv"), table(folder / "classes.csv")
    for row, run in zip(rows, runs, strict=True):
        metrics = yt8m.evaluate(train_dir=run, eval_data_pattern=shards, segment_labels=True, run_once=True)
        assert float(row["MAP"]) == pytest.approx(metrics["map"], abs=1e-6)
        assert float(row["Low"]) < float(row["MAP"]) < float(row["High"])
        values = [line[f"AP {row['Run']}"] for line in classes]
        np.testing.assert_allclose([float(v) if v else np.nan for v in values], metrics["class_average_precisions"], atol=1e-6)
    assert rows[0]["Difference"] == "" and float(rows[1]["Difference"]) == pytest.approx(
        float(rows[1]["MAP"]) - float(rows[0]["MAP"]), abs=2e-6
    )
    assert [line["Class"] for line in classes] == [str(c) for c in range(CLASSES)] and classes[6]["Gain B"] == ""
    with Image.open(folder / "comparison.png") as image:
        assert image.width > 1000


def test_from_python_with_whole_videos_and_names(runs, shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n0,Car\n")
    named = {
        "eval_data_pattern": shards,
        "vocabulary_file": "vocabulary.csv",
        "resamples": 5,
        "per_class_output": "of/classes.csv",
    }
    result = yt8m.compare(runs, whole_videos=True, **named)
    metrics = yt8m.evaluate(train_dir=runs[0], eval_data_pattern=shards, run_once=True)
    assert result.runs[0].judged.metrics["map"] == pytest.approx(metrics["map"])
    assert [run.name for run in result.runs] == ["attention", "gru"]
    assert table(tmp_path / "of" / "classes.csv")[0]["Name"] == "Car" and (tmp_path / "comparison" / "comparison.png").exists()


def test_refused_in_one_line(runs, shards, tmp_path):
    other = write_run(tmp_path / "other", "LogisticModel")
    config = configs.read_model_config(str(other))
    configs.write_model_config(str(other), dataclasses.replace(config, class_names=("Cat",) * CLASSES))
    again = write_run(tmp_path / "again", "LogisticModel")
    configs.write_model_config(str(again), dataclasses.replace(config, class_names=("Cat",) * 6 + ("$Dog",)))
    fewer = write_run(tmp_path / "fewer", "LogisticModel")
    configs.write_model_config(str(fewer), dataclasses.replace(config, label_ids=tuple(range(1, CLASSES + 1)), num_classes=9))
    data, out = f"--eval_data_pattern={shards}", f"--output_dir={tmp_path / 'out'}"
    for folders, flags, words in (
        (runs[:1], (data,), "1 run: compare takes two or more"),
        (runs, (), "--eval_data_pattern is not given"),
        (runs, (data, "--names=a"), "2 runs need as many names"),
        (runs, (data, "--resamples=0"), "--resamples=0: must be above 0"),
        ([other, again], (data,), "again calls class 6 '$Dog', other 'Cat': other vocabularies"),
        ([runs[0], fewer], (data,), "fewer has 7 classes, attention 7, or others"),
        ([runs[0], tmp_path / "no"], (data,), "no model_flags.json there"),
    ):
        line = commands.run("compare", *folders, *flags, out)
        assert words in line and "\n" not in line
    assert not (tmp_path / "out").exists()
    with pytest.raises(yt8m.UserError, match="not trained on the same sample"):
        comparing._check_same_classes("b", dataclasses.replace(config, sample="small"), [0], ("a", config, [0], {}), False, False)


def test_outputs_are_checked_before_anything_is_evaluated(runs, shards, tmp_path, monkeypatch):
    monkeypatch.setattr(comparing, "scored_pairs", lambda *_: pytest.fail("evaluated"))
    monkeypatch.setattr(comparing.restore, "newest", lambda *_: pytest.fail("restored"))
    (tmp_path / "file").touch()
    data, file, out = f"--eval_data_pattern={shards}", tmp_path / "file", f"--output_dir={tmp_path / 'out'}"
    for flags, words in (
        ((f"--output_dir={file}",), f"--output_dir={file}: Not a directory"),
        ((f"--output_dir={file}/out",), f"--output_dir={file}/out: Not a directory"),
        (("--output_dir=gs://bucket/out",), "--output_dir=gs://bucket/out: outputs go to this machine's disks only"),
        ((out, f"--per_class_output={file}/x.csv"), f"--per_class_output={file}/x.csv: Not a directory"),
        ((out, f"--per_class_output={tmp_path}"), f"--per_class_output={tmp_path}: is a folder"),
    ):
        line = commands.run("compare", *runs, data, *flags)
        assert words in line and "\n" not in line
    assert os.listdir(tmp_path) == ["file"]


def test_ids_are_utf_8(runs, tmp_path):
    ids = ("café0", "видео", "v0")
    pattern = write_frame_shards(tmp_path, [[make_video(id, 13, labels=[1], ratings=[(5, 1, 1.0), (5, 2, 0.0)]) for id in ids]])
    for whole_videos in (False, True):
        named = {"whole_videos": whole_videos, "output_dir": tmp_path / "out", "resamples": 5}
        compared = yt8m.compare(runs, pattern, **named)
        assert compared.runs[0].judged.num_videos == 3
    trained = restore.newest(str(runs[0]))
    for segments in (True, False):
        pairs = scored_pairs(trained.model, trained.config, pattern, segments=segments)
        assert set(pairs.videos.tolist()) == set(ids)


def judged_runs(noises, num_videos=60):
    """Runs whose scores are the labels and so much noise, of classes with and without a difference."""
    rng = np.random.default_rng(0)
    videos = np.repeat([f"v{i:03d}" for i in range(num_videos)], 6)
    classes, labels = rng.integers(0, 5, len(videos)), (rng.random(len(videos)) < 0.4).astype(np.float32)
    noise, runs = rng.normal(size=len(videos)), []
    for number, scale in enumerate(noises):
        scores = (labels + noise * np.where(classes == 2, scale, 1.0)).astype(np.float32)
        pairs = ScoredPairs(videos, np.zeros(len(videos), int), classes, scores, labels)
        runs.append(comparison.JudgedRun(f"run {number}", "", "Model", 1, judge_pairs(pairs, 6, resamples=200)))
    return comparison.Comparison("made up", tuple(runs), (5, 6, 7, 8, 9, 10), {7: "The_$odd$_[b]one" + "x" * 60})


def test_differences_are_paired_and_by_class(tmp_path, capsys):
    compared = judged_runs((1.0, 0.2, 3.0))
    first, better, worse = compared.runs
    assert (
        compared.best_other() is better and compared.extremes(better, 3) == ([2], []) and compared.extremes(worse, 3) == ([], [2])
    )
    value, bounds = compared.difference(better)
    assert 0 < bounds.low < value < bounds.high
    alone = interval(better.judged.metrics["map"], better.judged.resampled)
    assert bounds.high - bounds.low < alone.high - alone.low, "paired: what both have in common does not count"
    comparison.show(compared, 3)
    said = capsys.readouterr().out
    assert "* │" in said and "The_$odd$_[b]one" in said
    picture.draw(tmp_path / "a.png", compared, 3)
    picture.draw(tmp_path / "b.png", dataclasses.replace(compared, runs=(first, first)), 3)
    widths = [Image.open(tmp_path / name).width for name in ("a.png", "b.png")]
    assert widths[0] > 1.5 * widths[1], "without a difference there is one panel"


def test_other_rows_are_refused():
    pairs = ScoredPairs(*(np.arange(3) for _ in range(5)))
    comparison.check_same_rows("b", pairs, "a", pairs._replace(scores=np.ones(3)))
    with pytest.raises(yt8m.UserError, match=r"b: 3 pairs that are not the 3 of a\. Compare runs that read the same"):
        comparison.check_same_rows("b", pairs, "a", pairs._replace(labels=np.ones(3)))
