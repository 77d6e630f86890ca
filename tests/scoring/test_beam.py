"""The Beam pipeline against inference.py, on Beam's local runner."""

import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m.cli import beam
from yt8m.scoring.topk import TopSegments

CLASSES = 7
needs_beam = pytest.mark.skipif(find_spec("apache_beam") is None, reason="needs Apache Beam: pip install yt8m[beam]")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Shards of 5, 1, 0 and 9 videos; two videos are the same, so all their scores are equal."""
    rng = np.random.default_rng(0)
    videos = [make_video(f"v{i:03d}", int(rng.integers(1, 40)), [i % CLASSES], [(0, i % CLASSES, 1.0)]) for i in range(13)]
    twins = [make_video(name, 22, [1], [(5, 1, 0.0)], seed=5) for name in ("twin", "also")]
    parts = [[*videos[:4], twins[0]], videos[4:5], [], [*videos[5:], twins[1]]]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), parts)


@pytest.fixture(scope="module")
def runs(shards, tmp_path_factory):
    """Two train_dirs."""
    folders = [tmp_path_factory.mktemp("runs") / name for name in ("one", "two")]
    for seed, folder in enumerate(folders, start=1):
        arguments = ("--stage=pretrain", "--model=FrameLevelLogisticModel", "--max_steps=2", f"--seed={seed}", *commands.TINY)
        assert commands.run("train", *arguments, f"--train_dir={folder}", f"--train_data_pattern={shards}") is None
    return folders


@pytest.fixture(scope="module")
def ids(tmp_path_factory):
    """A file of four of the classes, not in their order."""
    path = tmp_path_factory.mktemp("ids") / "ids.csv"
    path.write_text("Index\n5\n0\n1\n3\n")
    return path


def run(*arguments):
    """What the command exits with."""
    return commands.run("beam", *arguments)


def test_without_beam_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(beam.importlib.util, "find_spec", lambda name: None)
    assert run("--train_dir=a", "--input_data_pattern=b", "--output_file=c") == (
        "yt8m beam: error: Apache Beam is not installed. Run: pip install yt8m[beam]"
    )


def test_the_tool_is_imported_without_beam():
    code = "import sys; from yt8m.cli import beam; assert not {'apache_beam', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=commands.ROOT)


@needs_beam
@pytest.mark.parametrize("most", [100_000, 7])
def test_it_writes_what_inference_writes_byte_for_byte(most, shards, runs, ids, tmp_path):
    common = (f"--train_dir={runs[0]}", f"--input_data_pattern={shards}", f"--segment_label_ids_file={ids}", "--batch_size=3")
    common = (*common, f"--segment_max_pred={most}")
    assert commands.run("inference", "--segment_labels", f"--output_file={tmp_path / 'one.csv'}", *common) is None
    assert run(f"--output_file={tmp_path / 'new' / 'beam.csv'}", *common) is None
    written = (tmp_path / "new" / "beam.csv").read_bytes()
    assert written == (tmp_path / "one.csv").read_bytes()
    lines = written.decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["Class", "5", "0", "1", "3"]
    if most > 7:
        order = lines[3].split(",")[1].split()
        assert order.index("twin:20") == order.index("also:20") - 1  # equal scores: the first shard's first


@pytest.mark.slow
@needs_beam
def test_several_processes_write_the_same(shards, runs, ids, tmp_path):
    common = (f"--train_dir={runs[0]}", f"--input_data_pattern={shards}", f"--segment_label_ids_file={ids}")
    assert run(f"--output_file={tmp_path / 'one.csv'}", *common) is None
    several = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    assert run(f"--output_file={tmp_path / 'two.csv'}", *common, *several) is None
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


@needs_beam
def test_an_ensemble_and_a_file_that_is_elsewhere(shards, runs, ids, tmp_path):
    import tensorflow as tf

    common = (f"--train_dir={runs[0]},{runs[1]}", "--weights=3,1", f"--input_data_pattern={shards}")
    common = (*common, f"--segment_label_ids_file={ids}", "--skip_head_segments=1", "--segment_shifts=1")
    assert commands.run("inference", "--segment_labels", f"--output_file={tmp_path / 'one.csv'}", *common) is None
    assert run("--output_file=ram://folder/beam.csv", *common) is None
    assert tf.io.gfile.GFile("ram://folder/beam.csv").read() == (tmp_path / "one.csv").read_text()
    for fold, folder in enumerate(runs):
        shutil.copytree(folder, tmp_path / "all_folds" / f"fold_{fold}")
    folds = (f"--train_dir={tmp_path / 'all_folds'}", *common[1:])  # as --all_folds leaves them
    assert run(f"--output_file={tmp_path / 'folds.csv'}", *folds) is None
    assert (tmp_path / "folds.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


@needs_beam
def test_parts_combine_exactly_in_any_grouping():
    from yt8m.scoring.beam_pipeline import Best

    rng = np.random.default_rng(1)
    scores = rng.integers(0, 6, 500).astype(np.float32)  # many are equal
    best, parts = Best(40), np.split(np.arange(500), np.sort(rng.integers(0, 500, 20)))
    accumulators = [best.create_accumulator() for _ in range(4)]
    for part in parts:
        which = rng.integers(4)
        accumulators[which] = best.add_input(accumulators[which], (scores[part], int(part[0]) if len(part) else 0))
    merged = best.merge_accumulators([best.compact(accumulators[0]), best.merge_accumulators(accumulators[1:])])
    expected = TopSegments(1, 40)
    expected.update(scores[:, None], 0)
    np.testing.assert_array_equal(best.extract_output(merged), expected.top(0)[0])


@needs_beam
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--train_dir=nowhere",), "no model_flags.json there"),
        (("--weights=1,2",), "2 weights for 1"),
        (("--weights=a",), "expected numbers"),
        (("--segment_max_pred=0",), "must be 1 or more"),
        (("--segment_shifts=-1",), "must be 0 or more"),
        (("--input_data_pattern=nothing*",), "no file matches"),
        (("--ouput_fiel=x",), "--ouput_fiel=x: neither this tool nor Apache Beam"),
        (("--output_file=/dev/null/x.csv",), "--output_file=/dev/null/x.csv: "),
    ],
)
def test_a_bad_argument_is_one_line(arguments, message, shards, runs, ids, tmp_path):
    common = (f"--train_dir={runs[0]}", f"--input_data_pattern={shards}", f"--segment_label_ids_file={ids}")
    ended = run(*common, f"--output_file={tmp_path / 'out.csv'}", *arguments)
    assert ended.startswith("yt8m beam: error: ") and message in ended and "\n" not in ended
    assert not list(tmp_path.iterdir())


@needs_beam
def test_a_damaged_shard_is_one_line_and_leaves_no_file(shards, runs, ids, tmp_path):
    bad = write_frame_shards(tmp_path / "bad", [[make_video("v", 9)], [make_video("w", 9, features={"rgb": 16})]])
    ended = run(
        f"--train_dir={runs[0]}",
        f"--input_data_pattern={bad}",
        f"--segment_label_ids_file={ids}",
        f"--output_file={tmp_path / 'out.csv'}",
    )
    assert ended.startswith("yt8m beam: error: shard validate0001.tfrecord, record 0: has no feature `audio`")
    assert ended.endswith(".") and "\n" not in ended and not (tmp_path / "out.csv").exists()
