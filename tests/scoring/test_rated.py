"""Scoring submission files against ratings: what the command reads, keeps and prints."""

import gzip
import re

import numpy as np
import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m.errors import UserError
from yt8m.scoring import rated

LINES = ["3,a:5 b:0 a:0", "8,b:0 a:0", "9,zzzz:0"]


@pytest.fixture
def shards(tmp_path):
    """Ratings of classes 3 (b:0 wrong, a:0 right), 5 (right, never submitted), 7 and 8 (wrong alone)."""
    first = make_video("a", 12, [3], [(0, 3, 1.0), (0, 7, 0.0)])
    second = make_video("b", 12, [3], [(0, 3, 0.0), (5, 5, 1.0), (0, 8, 0.0)])
    return write_frame_shards(tmp_path / "shards", [[first], [second, make_video("c")]])


def run(*arguments):
    return commands.run("segment_eval_inference", *arguments)


@pytest.mark.parametrize("header", ["", "Class,Segments\n"])
@pytest.mark.parametrize("name", ["submission.csv", "submission.csv.gz"])
def test_with_and_without_a_header_and_compressed(header, name, shards, tmp_path, capsys):
    text = (header + "\n".join(LINES) + "\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert run(f"--submission_file={tmp_path / name}", f"--eval_data_pattern={shards}") is None
    printed = capsys.readouterr().out
    assert "2 classes have no rated positive: left out of the mean: 7, 8" in printed
    assert "1 classes are missing from the submission: they count 0: 5" in printed
    assert "Rated pairs: 5, ranked: 3" in printed
    assert re.search(r"Num classes: 2 \| mAP@100000: 0\.250000", printed)  # (1/2 of class 3 + 0 of class 5) / 2


def test_the_ratings_are_kept_and_the_shards_then_not_needed(shards, tmp_path, capsys):
    (tmp_path / "submission.csv").write_text("\n".join(LINES))
    cache = tmp_path / "folder" / "labels.csv"
    arguments = (f"--submission_file={tmp_path / 'submission.csv'}", f"--label_cache={cache}")
    assert run(*arguments, f"--eval_data_pattern={shards}") is None
    first = capsys.readouterr().out
    assert sorted(cache.read_text().splitlines()) == ["a:0,3,1.0", "a:0,7,0.0", "b:0,3,0.0", "b:0,8,0.0", "b:5,5,1.0"]
    for path in (tmp_path / "shards").iterdir():
        path.unlink()
    assert run(*arguments) is None
    assert capsys.readouterr().out == f"Ratings: {cache}\n" + first


@pytest.mark.parametrize("text", ["a:0,3\n", "a:0,three,1\n", "a:0,3,1,4\n", "a:0,3,\n", "", "\x00\x01"])
def test_a_file_that_is_no_cache_is_refused(text, tmp_path):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=r"labels\.csv: not lines of segment,class,score .* Delete it"):
        rated.read(None, cache=str(tmp_path / "labels.csv"))


def test_a_video_called_na_and_soft_scores_survive_the_cache(tmp_path):
    shards = write_frame_shards(tmp_path, [[make_video("NA", 12, [1], [(0, 1, 0.1), (5, 1, 1 / 3)])]])
    cache = str(tmp_path / "labels.csv")
    kept, again = rated.read(shards, cache=cache), rated.read(None, cache=cache)
    assert again.segment_ids.tolist() == kept.segment_ids.tolist() == ["NA:0", "NA:5"]
    np.testing.assert_array_equal(again.scores.astype(np.float32), kept.scores)
    np.testing.assert_array_equal(again.classes, kept.classes)


def test_a_cache_that_cannot_be_written_is_one_line(shards, tmp_path):
    (tmp_path / "submission.csv").write_text("\n".join(LINES))
    (tmp_path / "file").write_text("")
    ended = run(
        f"--submission_file={tmp_path / 'submission.csv'}",
        f"--label_cache={tmp_path / 'file' / 'labels.csv'}",
        f"--eval_data_pattern={shards}",
    )
    assert "cannot be written" in ended and "\n" not in ended.strip()
