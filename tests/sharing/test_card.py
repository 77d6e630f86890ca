"""Model cards: front matter that hubs read, and what the text says."""

import os
import re

import pytest
import yaml

import yt8m
from tests import commands
from tests.testing import make_video, write_frame_shards
from tests.timelines.runs import CLASSES, write_run
from yt8m.api import cards
from yt8m.metrics.segments import segment_metrics_from_pairs
from yt8m.sharing.front_matter import front_matter
from yt8m.stages.scored import scored_pairs
from yt8m.training import restore


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    videos = [
        make_video(f"v{i:02d}", 13, labels=[i % CLASSES], ratings=[(5 * (i % 2), c, float((i + c) % 3 == 0)) for c in range(3)])
        for i in range(20)
    ]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), [videos])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run")


def card(folder, *flags):
    return commands.run("card", f"--train_dir={folder}", *flags)


def parts(path):
    """(front matter, text) of a card."""
    _, head, text = path.read_text().split("---\n", 2)
    return yaml.safe_load(head), text


def test_a_card_of_a_run(run, shards, tmp_path):
    path, vocabulary = tmp_path / "card.md", tmp_path / "vocabulary.csv"
    vocabulary.write_text("Index,Name\n0,Car\n1,<b>Cat</b>\n")
    named = ("--license=cc-by-4.0", "--datasets=me/videos,other", "--tags=cars", "--name=Cars: where?", "--eval_name=My set | 1")
    options = (f"--eval_data_pattern={shards}", "--resamples=50", f"--vocabulary_file={vocabulary}", f"--output_file={path}")
    assert card(run, *named, *options, "--intended_use=For `tests`.", "--limits=Not for others.") is None
    head, text = parts(path)
    trained = restore.newest(str(run))
    pairs = scored_pairs(trained.model, trained.config, shards)
    expected = segment_metrics_from_pairs(pairs.classes, pairs.scores, pairs.labels, CLASSES)
    assert head["library_name"] == "keras" and head["pipeline_tag"] == "video-classification" and head["license"] == "cc-by-4.0"
    assert head["datasets"] == ["me/videos", "other"] and {"cars", "yt8m"} <= set(head["tags"])
    (entry,) = head["model-index"]
    assert entry["name"] == "Cars: where?" and entry["results"][0]["dataset"]["name"] == "My set | 1"
    values = {metric["type"]: metric["value"] for metric in entry["results"][0]["metrics"]}
    assert values == {
        "mean_average_precision": pytest.approx(expected["map"], abs=1e-4),
        "roc_auc": pytest.approx(expected["auc"], abs=1e-4),
    }
    low, high = map(float, re.search(r"\| MAP, mean over 3 classes.* \| ([\d.]+) to ([\d.]+) \|", text).groups())
    assert low < expected["map"] < high and "60 rated (segment, class) pairs of 20 videos" in text
    assert f"{trained.model.count_params():,} parameters" in text and "Car, &lt;b&gt;Cat" in text and "For \\`tests\\`." in text
    assert '"model": "MultiAttentionModel"' in text and "- Not for others." in text and "Source: " in text


def test_the_snippet_of_a_card_runs(run, tmp_path, monkeypatch):
    exported = tmp_path / "exported"
    assert commands.run("export_model", f"--train_dir={run}", "--formats=keras", f"--output_dir={exported}") is None
    assert card(exported, "--license=mit") is None
    _, text = parts(exported / "README.md")
    assert "None was made for this card." in text
    code = re.search(r"```python\n(.+?)```", text, re.S)[1].replace("FOLDER", str(exported))
    monkeypatch.chdir(exported)
    namespace = {}
    exec(code, namespace)
    assert namespace["probabilities"].shape == (12, CLASSES) and namespace["model"].count_params() > 0


def test_a_card_beside_a_bundle(run, shards, tmp_path, capsys):
    bundle = tmp_path / "given" / "model.tgz"
    flags = (f"--train_dir={run}", f"--output_model_tgz={bundle}", f"--output_file={tmp_path / 'out.csv'}")
    assert commands.run("inference", *flags, f"--input_data_pattern={shards}") is None
    assert commands.run("card", f"--input_model_tgz={bundle}") is None
    said = capsys.readouterr().out
    assert "No --license" in said and "No --eval_data_pattern" in said
    head, text = parts(bundle.parent / "README.md")
    assert "license" not in head and "model-index" not in head and "None was named." in text
    assert 'yt8m.load("model.tgz")' in text
    line = commands.run("card", f"--input_model_tgz={bundle}", "--license=mit")
    assert "README.md: is there already. Give --overwrite" in line
    before = (bundle.parent / "README.md").read_text()
    assert commands.run("card", f"--input_model_tgz={bundle}", "--license=mit", "--overwrite") is None
    assert (bundle.parent / "README.md").read_text() != before
    assert "both name a model" in commands.run("card", f"--input_model_tgz={bundle}", f"--train_dir={run}")


def test_the_output_is_checked_before_anything_is_evaluated(run, shards, tmp_path, monkeypatch):
    for name in ("judge", "bundle", "restore"):
        monkeypatch.setattr(cards, name, None)  # whoever asks for it fails
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place, flags, words in (
        (f"{tmp_path}/file/card.md", (), "file/card.md: Not a directory"),
        (f"{tmp_path}/folder", ("--overwrite",), "folder: is a folder. Name a file"),
        (f"{tmp_path}/new/", (), "new/: is a folder. Name a file"),
        ("gs://bucket/card.md", (), "outputs go to this machine's disks only"),
    ):
        for model in (f"--train_dir={run}", f"--input_model_tgz={tmp_path}/model.tgz"):
            line = commands.run("card", model, f"--eval_data_pattern={shards}", f"--output_file={place}", *flags)
            assert f"--output_file={place}: " in line and words in line and "\n" not in line
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_ids_are_utf_8(run, tmp_path):
    videos = [make_video(id, 13, labels=[1], ratings=[(5, 1, 1.0), (5, 2, 0.0)]) for id in ("café0", "v0")]
    pattern = write_frame_shards(tmp_path, [videos])
    yt8m.write_card(train_dir=run, output_file=tmp_path / "c.md", eval_data_pattern=pattern, resamples=5)
    assert "4 rated (segment, class) pairs of 2 videos" in parts(tmp_path / "c.md")[1]


def test_whole_videos(run, shards, tmp_path):
    path = yt8m.write_card(train_dir=run, output_file=tmp_path / "a.md", eval_data_pattern=shards, whole_videos=True, resamples=5)
    metrics = yt8m.evaluate(train_dir=run, eval_data_pattern=shards, run_once=True)
    head, text = parts(tmp_path / "a.md")
    assert path == str(tmp_path / "a.md") and f"{20 * CLASSES} (video, class) pairs of 20 videos" in text
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"] == pytest.approx(metrics["map"], abs=1e-4)


NAMES = (
    "plain",
    "yes",
    "1.5",
    "2024-01-01",
    "- a: b",
    "#x",
    'quo"te',
    "line\nbreak",
    "\x7f\ud800",
    "naïve 🎈",
    "null",
    "",
    " x ",
    "---",
)


def test_any_text_is_front_matter_that_reads_back():
    for name in NAMES:
        head = yaml.safe_load(front_matter(name, name, [name], [name], None).strip("-\n"))
        expected = name.replace("\x7f", " ").replace("\ud800", " ")
        assert head.get("license", "") == expected and head["datasets"] == [expected] and head["tags"][-1] == expected


def test_the_hub_reads_it(run, shards, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    assert (
        card(run, f"--eval_data_pattern={shards}", "--resamples=5", "--license=mit", f"--output_file={tmp_path / 'c.md'}") is None
    )
    data = hub.ModelCard.load(tmp_path / "c.md").data
    assert data.library_name == "keras" and data.license == "mit"
    assert [result.metric_type for result in data.eval_results] == ["mean_average_precision", "roc_auc"]
    assert data.eval_results[0].task_type == "video-classification"
