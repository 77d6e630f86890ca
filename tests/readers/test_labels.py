"""Label ids, their columns and their files."""

import numpy as np
import pytest

from yt8m.errors import UserError
from yt8m.readers import labels


def test_all_classes_are_their_own_columns():
    everything = labels.LabelMap.all(4)
    assert everything.size == 4
    np.testing.assert_array_equal(everything.columns([3, 0, 4, -1]), [3, 0, -1, -1])


def test_segment_classes_keep_their_order():
    some = labels.LabelMap.segment_classes([30, 5, 7])
    assert some.size == 3 and list(some.label_ids) == [30, 5, 7]
    np.testing.assert_array_equal(some.columns([5, 6, 30, 31, 7, -1]), [1, -1, 0, -1, 2, -1])
    assert some.columns([]).shape == (0,)


@pytest.mark.parametrize("ids", [[], [1, 1], [-1, 2]])
def test_bad_label_ids(ids):
    with pytest.raises(UserError, match="distinct ids"):
        labels.LabelMap.segment_classes(ids)


def test_multi_hot():
    hot = labels.multi_hot([np.array([0, 2]), np.array([], np.int64), np.array([-1, 1])], 3)
    assert hot.dtype == np.float32
    np.testing.assert_array_equal(hot, [[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    assert labels.multi_hot([], 3).shape == (0, 3)


@pytest.mark.parametrize(
    "text",
    ["Index\n3\n1\n", "3\n1", "Index\r\n3\r\n1\r\n\r\n", "Index,Name\n3,x\n1,y\n", "\ufeff3\n1\n", "\ufeffIndex\n3\n1\n"],
)
def test_read_label_ids(tmp_path, text):
    (tmp_path / "ids.csv").write_text(text, newline="")
    assert labels.read_label_ids(tmp_path / "ids.csv") == (3, 1)


@pytest.mark.parametrize(
    "text, line",
    [
        ("Index\n3\nx\n", "'x' is no label id"),
        ("x3\n1\n", "'x3' is no label id"),
        ("-3\n1\n", "'-3' is no label id"),
        ("3.0\n1\n", "'3.0' is no label id"),
        ("3\n1\n3\n", "label id 3 more than once"),
        ("Index\n", "no label id"),
        ("", "no label id"),
        ("Index\n-3\n", "'-3'"),
        ("3\n²\n", "'²'"),
        ("3\n" + "9" * 30, "'9999"),
    ],
)
def test_bad_label_files(tmp_path, text, line):
    (tmp_path / "ids.csv").write_text(text)
    with pytest.raises(UserError, match=line):
        labels.read_label_ids(tmp_path / "ids.csv")


@pytest.mark.parametrize("read", [labels.read_label_ids, labels.read_vocabulary])
def test_missing_file(tmp_path, read):
    with pytest.raises(UserError, match=r"missing\.csv"):
        read(tmp_path / "missing.csv")


def test_the_segment_classes_of_youtube_8m():
    ids = labels.default_segment_label_ids(3862)
    assert len(ids) == 1000 and ids[:2] == (3, 7) and max(ids) < 3862
    assert labels.default_segment_label_ids(3861) is labels.default_segment_label_ids(7) is None


def test_vocabulary(tmp_path):
    path = tmp_path / "vocabulary.csv"
    path.write_text('Index,TrainVideoCount,Name,WikiDescription\n0,5,Game,"two\nlines"\n7,4,"Car, red",x\n9,1,,\n')
    assert labels.read_vocabulary(path) == {0: "Game", 7: "Car, red", 9: "label 9"}
    path.write_text("\ufeffIndex,Name\n0,Game\n")
    assert labels.read_vocabulary(path) == {0: "Game"}
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no columns `Index` and `Name`"):
        labels.read_vocabulary(path)
