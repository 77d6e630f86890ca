"""benchmarks/reader.py: both sides read the same, and a row's ratio is that of turns."""

import importlib
import pathlib
import sys

import numpy as np
import pytest

from tests.readers.reading import arrays, assert_equal
from yt8m.readers import records
from yt8m.readers.batches import evaluation_batches
from yt8m.readers.layouts import Layout
from yt8m.readers.spec import RatedSegments, WholeVideos


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parent.parent.parent / "benchmarks"))
    monkeypatch.setitem(sys.modules, "report", importlib.import_module("report"))
    return importlib.import_module("reader")


@pytest.fixture
def shards(benchmark, tmp_path):
    return benchmark.write_shards(tmp_path, 4, shards=2)


def test_segments_from_whole_records_are_the_same(benchmark, shards, monkeypatch):
    pattern, pseudo_labels = shards
    spec = RatedSegments(pattern, benchmark.NAMES, benchmark.SIZES, all_segments=True, annotations=pseudo_labels)
    decoded, decode, of = [], records.decode_video, Layout.of
    monkeypatch.setattr(records, "decode_video", lambda *a: decoded.append(1) or decode(*a))
    ours = arrays(evaluation_batches(spec, 50))
    assert not decoded and sum(len(batch["ids"]) for batch in ours) > 24 and len(ours[0]["pair_rows"]) == 150
    with benchmark.from_whole_records():
        assert_equal(arrays(evaluation_batches(spec, 50)), ours)
    assert decoded and Layout.of is of


def test_plain_pipelines_read_what_ours_does(benchmark, shards, tmp_path):
    (batch,) = arrays(evaluation_batches(WholeVideos(shards[0], benchmark.NAMES, benchmark.SIZES), 8))
    (plain,), (floats,) = (arrays(benchmark.parsed(shards[0], kind)) for kind in ("uint8", "float32"))
    order = np.argsort(plain["ids"])
    for key in ("frames", "num_frames", "labels"):
        np.testing.assert_array_equal(plain[key][order], batch[key][np.argsort(batch["ids"])])
    assert floats["frames"].shape == (4, 300, 1152) and floats["frames"].dtype == np.float32
    assert list(benchmark.read_bytes(shards[0])) == [4]
    clips, means = benchmark.write_short(tmp_path / "short", 8)
    of_clips = WholeVideos(clips, ("audio_embedding",), (128,), num_classes=527, id_feature="video_id")
    of_means = WholeVideos(means, ("mean_rgb", "mean_audio"), benchmark.SIZES, frame_features=False)
    for spec, parsed, key in ((of_clips, benchmark.parsed_clips, "frames"), (of_means, benchmark.parsed_means, "features")):
        (batch,), (plain,) = arrays(evaluation_batches(spec, 8)), arrays(parsed(spec.pattern))
        order = np.argsort(plain["ids"])
        np.testing.assert_array_equal(plain[key][order].reshape(batch[key].shape), batch[key])
        np.testing.assert_array_equal(plain["labels"][order], batch["labels"])


def test_processes_read_their_rows_before_they_are_timed(benchmark, shards, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(benchmark, "segment_rate", lambda spec, rows, *rest: calls.append(rows) or (rows * 1.0, 5.0))
    assert benchmark.rate_beside_others(tmp_path, 0, 1, *shards, 7) == (7.0, 5.0)
    assert len(calls) == 2 and calls[0] > 24 and calls[1] == 7  # all rows of the shards, and those that are timed


def test_the_last_of_several_processes_counts_for_all(benchmark, monkeypatch):
    found = {0: [100.0, 10.0], 1: [80.0, 14.0]}
    monkeypatch.setattr(benchmark.report, "in_a_process", lambda module, function, folder, number, *rest: found[number])
    assert benchmark.rate_of_processes("*", "", 5, 2) == (160.0, 12.0)


def test_a_ratio_is_the_median_of_the_turns(benchmark):
    figures = {"ours": [(10, 4), (30, 2), (20, 3)], "other": [(5, 8), (10, 8), (40, 9)]}
    row = benchmark.beside("x", "rows/s", figures, 0, "other", "twice", 2.0)
    assert (row["value"], row["baseline_value"], row["ratio"], row["met"]) == (20, 10, 2.0, True)
    row = benchmark.beside("x", "us", figures, 1, "other", "5 times", 5.0)
    assert (row["value"], row["baseline_value"], row["ratio"], row["met"]) == (3, 8, 3.0, False)
    turns = benchmark.in_turn({"a": lambda turn: ("a", turn), "b": lambda turn: ("b", turn)}, 2)
    assert turns == {"a": [("a", 1), ("a", 2)], "b": [("b", 1), ("b", 2)]}
