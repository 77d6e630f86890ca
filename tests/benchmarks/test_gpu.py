"""benchmarks/gpu.py: its shards are native ones, its batches are their frames, and it runs without TensorFlow."""

import argparse
import importlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from yt8m.readers import index, records

pytest.importorskip("jax")
FOLDER = pathlib.Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # the benchmark names another where none is named
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setitem(sys.modules, "report", importlib.import_module("report"))
    return importlib.import_module("gpu")


def test_batches_are_the_frames_of_the_shards(benchmark, tmp_path):
    path = tmp_path / "train0000.tfrecord"
    benchmark.write_shard(path, 2)
    shard = index.open_shard(path)  # which verifies every checksum
    np.testing.assert_array_equal(index.index_by_headers(path).offsets, shard.index.offsets)
    videos = [records.decode_video(shard.record(number), benchmark.NAMES, benchmark.SIZES) for number in range(2)]
    assert [video.id for video in videos] == ["0", "1"]
    whole = [np.concatenate([video.frames[name] for name in benchmark.NAMES], axis=1) for video in videos]
    options = argparse.Namespace(batch_size=4, frames=7, classes=20)
    batch = next(benchmark.batches(benchmark.videos_of(tmp_path), options, of_frames=True))
    assert batch["frames"].shape == (4, 7, 1152) and batch["num_frames"].tolist() == [7] * 4
    assert all(any((row == frames[:7]).all() for frames in whole) for row in batch["frames"])
    means = next(benchmark.batches(benchmark.videos_of(tmp_path), options, of_frames=False))
    assert means["features"].shape == (4, 1152) and means["labels"].sum() <= 12


@pytest.mark.slow
def test_it_runs_without_tensorflow(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(FOLDER.parent)}
    command = [sys.executable, "gpu.py", "--quick", "--models", "FrameLevelLogisticModel", "--json", str(tmp_path / "gpu.json")]
    subprocess.run(command, cwd=FOLDER, env=environment, check=True)
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert [row["unit"] for row in rows] == ["GFLOP/s", "GB/s", "ms/step", "ms/step"]
    for row in rows[2:]:  # the floor is from rates of the same run, which other work may have disturbed: no more is certain
        assert min(row["value"], row["baseline_value"]) > 0 and row["ratio"] == pytest.approx(
            row["baseline_value"] / row["value"]
        )
