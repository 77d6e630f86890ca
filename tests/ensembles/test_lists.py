"""Ensembles of submissions against a loop, and bad ones."""

import gzip
import os

import numpy as np
import pytest

from tests.ensembles.rows import LABELS, brute_force_lists, read, run
from yt8m.ensembles import lists as ensemble_lists
from yt8m.errors import UserError


@pytest.mark.parametrize("weights", [None, (1, 2, 1), (0, 1, 3)])
def test_rank_average_of_submissions(tmp_path, submissions, weights, capsys):
    paths, lists = submissions
    given = [] if weights is None else ["--weights=" + ",".join(map(str, weights))]
    run(*paths, f"--output_file={tmp_path}/out.csv", "--max_pred=140", *given)
    expected = {label: brute_force_lists([own.get(label, []) for own in lists], weights or (1, 1, 1), 140) for label in LABELS}
    assert read(tmp_path / "out.csv") == expected
    assert list(read(tmp_path / "out.csv")) == list(lists[0])
    assert f"{paths[1]} lists nothing for 1 of 3 classes" in capsys.readouterr().out


def test_a_repeated_segment_counts_once():
    lists = [np.array(["a:0", "b:0", "a:0"]), np.array(["b:0"])]
    assert ensemble_lists.rank_average(lists, (1, 1), 9).tolist() == brute_force_lists([x.tolist() for x in lists], (1, 1), 9)
    assert ensemble_lists.rank_average(lists, (1, 1), 9).tolist() == ["b:0", "a:0"]


def test_hyperbolic_points_favour_the_top_of_lists(tmp_path):
    lists = [np.array(["a:0", "b:0", "c:0"]), np.array(["c:0", "b:0", "a:0"]), np.array(["c:0"])]
    points = {"a:0": 2 / 2 + 2 / 4, "b:0": 2 / 3 + 2 / 3, "c:0": 2 / 4 + 2 / 2 + 5 * 2 / 2}
    expected = sorted(points, key=points.get, reverse=True)
    assert ensemble_lists.rank_average(lists, (1, 1, 5), 9, half_rank=2).tolist() == expected == ["c:0", "a:0", "b:0"]
    for name, ranked in zip("ab", lists):
        (tmp_path / f"{name}.csv").write_text(f"30,{' '.join(ranked)}\n")
    flags = ["--method=hyperbolic", "--half_rank=2", f"--output_file={tmp_path}/out.csv"]
    run(tmp_path / "a.csv", tmp_path / "b.csv", *flags)
    assert read(tmp_path / "out.csv") == {30: ["a:0", "c:0", "b:0"]}


def test_a_class_that_a_file_lacks_does_not_read_it_whole_and_compressed_files_name_theirs(tmp_path, capsys):
    text = "Class,Segments\n" + "".join(f"{label},a:0 b:{label}\n" for label in (7, 8, 9))
    (tmp_path / "all.csv").write_text("3,a:0\n" + text.partition("\n")[2])
    with gzip.open(tmp_path / "most.csv.gz", "wt", encoding="utf-8-sig") as file:
        file.write(text)
    files = ensemble_lists.Lists([str(tmp_path / "all.csv"), str(tmp_path / "most.csv.gz")])
    assert files.label_ids == [3, 7, 8, 9] and "most.csv.gz lists nothing for 1 of 4 classes" in capsys.readouterr().out
    of_file = ensemble_lists._Classes(str(tmp_path / "most.csv.gz"), (7, 8, 9))
    assert not len(of_file.take(3)) and not of_file._held
    assert of_file.take(7).tolist() == ["a:0", "b:7"] and not of_file._held
    assert [[len(own) for own in lists] for _, lists in files] == [[1, 0], [2, 2], [2, 2], [2, 2]]


def test_bad_submissions(tmp_path):
    (tmp_path / "a.csv").write_text("30,abcd:0\n4,abcd:0\n")
    (tmp_path / "b.csv").write_text("30,abcd:0\n4,abcd\n")
    (tmp_path / "none.csv").write_text("Class,Segments\n")
    (tmp_path / "ids.csv").write_text("5\n")
    output = f"--output_file={tmp_path}/out.csv"
    with pytest.raises(UserError, match=r"b\.csv, line 2: 'abcd' is not a segment"):
        run(tmp_path / "a.csv", tmp_path / "b.csv", output)
    with pytest.raises(UserError, match=r"class 5 is in none of the files"):
        run(tmp_path / "a.csv", output, f"--segment_label_ids_file={tmp_path}/ids.csv")
    with pytest.raises(UserError, match="name no class"):
        run(tmp_path / "none.csv", output)
    assert not os.path.exists(tmp_path / "out.csv")
