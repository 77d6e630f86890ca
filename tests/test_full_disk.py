"""A full disk: every command that writes ends in a line that says so and names the path, and leaves nothing unfinished."""

import os
import subprocess

import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import files

SAMPLE = {"num_train_videos": 4, "num_validate_videos": 4, "num_test_videos": 2, "num_classes": 20, "num_segment_classes": 8}
FREE = {"store": 8}  # KiB; of the others none


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(shards, train_dir, submission, bundle)."""
    folder = tmp_path_factory.mktemp("trained")
    videos = [make_video(f"v{i:02d}", 60, [i % 7], [(0, i % 7, i % 2)]) for i in range(20)]
    pattern, run = write_frame_shards(folder / "data", [videos], "test"), folder / "run"
    flags = ["--model=FrameLevelLogisticModel", "--max_steps=1", "--batch_size=8", *commands.TINY, f"--train_dir={run}"]
    assert commands.run("train", *flags, f"--train_data_pattern={pattern}") is None
    score = ["--segment_labels", f"--train_dir={run}", f"--input_data_pattern={pattern}"]
    bundle = f"--output_model_tgz={folder / 'model.tgz'}"
    assert commands.run("inference", *score, f"--output_file={folder / 'out.csv'}", bundle) is None
    return pattern, run, folder / "out.csv", folder / "model.tgz"


@pytest.fixture
def disk(tmp_path):
    """Function of KiB -> a folder on a small file system of its own that has so much left."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here: that takes root")

    def fill(free):
        (folder / "others").write_bytes(bytes((64 - free) << 10))
        return folder

    yield fill
    subprocess.run(["umount", str(folder)], check=True)


def arguments(what, disk, trained):
    pattern, run, submission, bundle = trained
    score = ["inference", "--segment_labels", f"--train_dir={run}", f"--input_data_pattern={pattern}"]
    export = ["export_model", f"--train_dir={run}", f"--output_dir={disk}/export"]
    return {
        "csv": [*score, f"--output_file={disk}/out.csv"],
        "csv of videos": [*score, "--nosegment_labels", f"--output_file={disk}/out.csv"],
        "store": [*score, "--output_file=", f"--scores_output={disk}/store"],
        "worker": [*score, f"--output_file={disk}/out.csv", "--num_workers=1", "--worker_index=0"],
        "bundle": [*score, f"--output_file={submission}", f"--output_model_tgz={disk}/model.tgz"],
        "unpacked bundle": [
            "inference", f"--input_model_tgz={bundle}", f"--untar_model_dir={disk}/bundle", f"--input_data_pattern={pattern}",
        ],
        "export": [*export, "--formats=float32"],
        "export of a SavedModel": [*export, "--formats=saved_model"],
        "sample": ["sample", f"--output_dir={disk}/sample", *(f"--{name}={value}" for name, value in SAMPLE.items())],
        "label cache": [
            "segment_eval_inference", f"--submission_file={submission}", f"--eval_data_pattern={pattern}",
            f"--label_cache={disk}/ratings.csv",
        ],
    }[what]  # fmt: skip


EVERYTHING = (
    *("csv", "csv of videos", "store", "worker", "bundle", "unpacked bundle", "export", "export of a SavedModel", "sample"),
    "label cache",
)


@pytest.mark.parametrize("what", EVERYTHING)
def test_a_full_disk_is_said_in_one_line(disk, trained, what):
    folder = disk(FREE.get(what, 0))
    line = commands.run(*arguments(what, folder, trained))
    assert isinstance(line, str) and "\n" not in line
    assert "No space left on device" in line and str(folder) in line and ".partial" not in line
    assert not [name for _, folders, names in os.walk(folder) for name in [*folders, *names] if files.is_temporary(name)]


def test_evaluation_shows_its_metrics_where_nothing_can_be_written(disk, trained, capsys, monkeypatch):
    pattern, run, *_ = trained
    folder = disk(32)
    for name in ("model_flags.json", "checkpoint", *(path.name for path in run.glob("model.ckpt-*"))):
        (folder / name).write_bytes((run / name).read_bytes())
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    flags = (f"--train_dir={folder}", f"--eval_data_pattern={pattern}", "--run_once")
    for more in ((), ("--segment_labels",)):
        capsys.readouterr()
        assert commands.run("eval", *flags, *more) is None
        printed = capsys.readouterr().out
        assert f"No TensorBoard scalars were written: {folder}/eval" in printed
        assert ("num_pairs" if more else "hit_at_one") in printed
