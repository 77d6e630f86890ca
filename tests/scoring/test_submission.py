"""Submission and video prediction files: round trips, and what happens to bad ones."""

import gzip
import os

import numpy as np
import pytest

from yt8m import files
from yt8m.errors import UserError
from yt8m.metrics import segment_mean_average_precision
from yt8m.scoring.submission import read_submission, read_video_predictions, write_submission, write_video_predictions


def read(path, **arguments):
    return {c: segments.tolist() for c, segments in read_submission(path, **arguments)}


def written(tmp_path, text):
    path = tmp_path / "submission.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_written_as_the_competition_takes_it(tmp_path):
    path = tmp_path / "new folder" / "submission.csv"
    write_submission(path, np.array([8, 3]), iter([["abcd:0", "efgh:295"], np.array([b"ijkl:5"])]))
    assert path.read_bytes() == b"Class,Segments\n8,abcd:0 efgh:295\n3,ijkl:5\n"
    assert os.listdir(path.parent) == ["submission.csv"]


@pytest.mark.parametrize("seed", range(3))
def test_round_trip(tmp_path, seed):
    rng = np.random.default_rng(seed)
    letters = list("abcXYZ019-_é" if seed == 2 else "abcXYZ019-_")

    def segment():
        return "".join(rng.choice(letters, rng.integers(1, 12))) + f":{rng.integers(10 ** rng.integers(1, 5))}"

    classes, sizes = rng.permutation(3862), (0, 1, 2, 50, 999)
    ranked = {int(c): [segment() for _ in range(size)] for c, size in zip(classes, sizes)}
    path = tmp_path / "submission.csv"
    write_submission(path, list(ranked), ranked.values())
    assert read(path) == ranked
    assert list(read(path)) == list(ranked)
    assert read(path, n=7) == {c: segments[:7] for c, segments in ranked.items()}
    write_submission(path, list(ranked), ranked.values(), n=3)
    assert read(path) == {c: segments[:3] for c, segments in ranked.items()}


SEGMENTS = ["ab:0", "long-name:295", "c:1234", "a:b:10", "ef:5"]
AS = {
    "list": list,
    "tuple": tuple,
    "str array": np.array,
    "wide str array": lambda ids: np.array(ids, "U40"),
    "bytes array": lambda ids: np.array(ids, "S"),
    "object array": lambda ids: np.array(ids, object),
    "strided array": lambda ids: np.repeat(np.array(ids), 2)[::2],
    "other endian": lambda ids: np.array(ids).astype(np.dtype("U13").newbyteorder()),
}


@pytest.mark.parametrize("kind", AS)
def test_every_kind_of_sequence_is_written_alike(tmp_path, kind):
    path = tmp_path / "submission.csv"
    for segments in (SEGMENTS, SEGMENTS[:1], [*SEGMENTS, "é:0"]):
        if kind == "bytes array" and segments[-1] == "é:0":
            continue
        write_submission(path, [5, 7], [AS[kind](segments), AS[kind]([])], n=5)
        assert path.read_text() == f"Class,Segments\n5,{' '.join(segments[:5])}\n7,\n"


@pytest.mark.parametrize("segment", ["ab", "", "a b:0", "a,b:0", ":5", "ab:", "ab:5s", "a\x00b", "é", "ab:0\n"])
@pytest.mark.parametrize("kind", AS)
def test_a_bad_segment_is_named_in_every_kind_of_sequence(tmp_path, kind, segment):
    segments = [segment.encode() if kind == "bytes array" else segment for segment in ("ab:0", segment, "cd:5")]
    with pytest.raises(UserError, match="of class 5: expected"):
        write_submission(tmp_path / "submission.csv", [5], [AS[kind](segments)])
    assert os.listdir(tmp_path) == []


def test_a_compressed_file_is_read(tmp_path):
    path = tmp_path / "submission.csv.gz"
    whole = gzip.compress(b"Class,Segments\n7,ab:0 cd:5\n9,ab:0\n")
    path.write_bytes(whole)
    assert read(path) == {7: ["ab:0", "cd:5"], 9: ["ab:0"]}
    for damaged in (whole[:-9], b"7,ab:0\n", whole[:12] + bytes(20)):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"cannot read .*submission\.csv\.gz: "):
            read(path)


def test_header_line_ends_and_spaces_may_vary(tmp_path):
    expected = {7: ["ab:0", "cd:5"], 9: []}
    for text in (
        "Class,Segments\n7,ab:0 cd:5\n9,\n",
        "7,ab:0 cd:5\n9,",
        "\ufeffclass,segments\r\n7,ab:0 cd:5\r\n\r\n9,\r\n",
        "7, ab:0  cd:5 \n 9 ,\n",
    ):
        assert read(written(tmp_path, text)) == expected
    assert read(written(tmp_path, "")) == {}
    assert read(written(tmp_path, "Class,Segments\n")) == {}


def test_ids_are_str_and_may_hold_a_colon(tmp_path):
    ((_, segments),) = read_submission(written(tmp_path, "7,a:b:10 cd:5\n"))
    assert segments.dtype.kind == "U" and segments.tolist() == ["a:b:10", "cd:5"]
    ((_, segments),) = read_submission(written(tmp_path, "7,ab:10 cd:5\n"))
    assert segments.dtype.kind == "U" and segments.tolist() == ["ab:10", "cd:5"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("Class,Segments\nseven,ab:0\n", 2, "'seven,ab:0'.*integer class"),
        ("Klass,Segments\n7,ab:0\n", 1, "integer class"),
        ("7,ab:0\nClass,Segments\n", 2, "integer class"),
        ("7.5,ab:0\n", 1, "integer class"),
        ("-7,ab:0\n", 1, "integer class"),
        ("7 ab:0\n", 1, "integer class"),
        ("7,ab:0\n8,ab:0 cd5 ef:1\n", 2, "'cd5' is not a segment"),
        ("7,ab:0 :5\n", 1, "':5' is not a segment"),
        ("7,ab:0 cd:\n", 1, "'cd:' is not a segment"),
        ("7,ab:0 cd:5s\n", 1, "'cd:5s' is not a segment"),
        ("7,ab:0 cd:-5\n", 1, "'cd:-5' is not a segment"),
        ("7,ab::0 cd5\n", 1, "'cd5' is not a segment"),
        ("7,ab:0,cd:5\n", 1, "'ab:0,cd:5' is not a segment"),
        ("7,ab:0\tcd:5,\n", 1, "'cd:5,' is not a segment"),
        (b"7,ab:0 \xff\xfe:5\n", 1, "not UTF-8"),
        (f"7,ab:0 {'a' * 300}:5\n", 1, r"'a{40}\.\.\.' is not a segment"),
        ("Class,Segments\n7,ab:0\n8,ab:0\n7,cd:5\n", 4, "class 7 is on line 2 already"),
        ("Class,Segments\n7,ab:0\n11,ab:0\n", 3, "class 11 is not one of the 3"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, line, message):
    with pytest.raises(UserError, match=f"line {line}: .*{message}"):
        list(read_submission(written(tmp_path, text), class_ids=[7, 8, 9]))


def test_lines_before_a_bad_one_are_delivered(tmp_path):
    lines = read_submission(written(tmp_path, "7,ab:0\nbad\n"))
    assert next(lines)[0] == 7
    with pytest.raises(UserError, match="line 2"):
        next(lines)


def test_a_file_that_cannot_be_read_or_written_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"missing\.csv"):
        list(read_submission(tmp_path / "missing.csv"))
    with pytest.raises(UserError, match="cannot be written"):
        write_submission(tmp_path, [1], [["ab:0"]])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_submission(tmp_path / "file" / "submission.csv", [1], [["ab:0"]])
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_a_user_error_and_keeps_the_old_file(tmp_path, monkeypatch):
    path = written(tmp_path, "7,old:0\n")
    real_open = open
    monkeypatch.setattr(files, "open", lambda name, *a, **k: real_open("/dev/full", *a, **k), raising=False)
    with pytest.raises(UserError, match=r"submission\.csv: cannot be written \(No space left"):
        write_submission(path, [7], [["new:0"]])
    assert path.read_text() == "7,old:0\n"


@pytest.mark.parametrize(
    ("class_ids", "ranked", "message"),
    [
        ([1, 2], [["ab:0"]], "1 classes, class ids of 2"),
        ([1], [["ab:0"], ["ab:0"]], "more than 1 classes"),
        ([5, 1, 5], [["ab:0"]] * 3, "class 5 is given twice"),
        ([1], [["ab:0", "ab"]], "'ab' of class 1"),
        ([1], [["ab:0", "a b:0"]], "'a b:0' of class 1"),
        ([1], [["ab:0", "c:1 d:2"]], "'c:1 d:2' of class 1"),
        ([1], [["ab:0", ""]], "'' of class 1"),
        ([1], [["ab:0", "a,b:0"]], "'a,b:0' of class 1"),
        ([1], [["ab:0", "ab:0\n"]], "of class 1"),
        ([1], [["ab:0", "\u00e9:0 "]], "of class 1"),
        ([1], [["ab:0", "a\u00a0b:0"]], "of class 1"),
        ([1], [["ab:0", "ab:\u0662"]], "of class 1"),
        ([1], [[""]], "'' of class 1"),
    ],
)
def test_bad_submissions_are_not_written(tmp_path, class_ids, ranked, message):
    with pytest.raises(UserError, match=message):
        write_submission(tmp_path / "submission.csv", class_ids, ranked)
    assert os.listdir(tmp_path) == []


def test_an_error_of_the_caller_passes_unchanged_and_leaves_no_file(tmp_path):
    def ranked():
        yield ["ab:0"]
        raise OSError("the model's file is gone")

    with pytest.raises(OSError, match="model's file"):
        write_submission(tmp_path / "submission.csv", [1, 2], ranked())
    assert os.listdir(tmp_path) == []


def test_a_submission_is_scored_as_it_is_read(tmp_path):
    path = written(tmp_path, "Class,Segments\n7,x:0 ab:0 cd:5\n9,ab:0\n")
    ratings = {("ab:0", 7): 0, ("cd:5", 7): 1, ("ab:0", 9): 1}
    assert segment_mean_average_precision(read_submission(path), ratings) == pytest.approx((0.5 + 1) / 2)


def test_video_predictions_as_the_starter_code_writes_them(tmp_path):
    path = tmp_path / "predictions.csv"
    with write_video_predictions(path, top_k=2) as write:
        write([b"ab12", b"cd34"], np.array([[0.25, 0.5, 0.125], [1e-7, 0, 1 / 3]], np.float32))
        write(np.array(["ef56"]), np.array([[0.5, 0.5, 0.5]], np.float32))
        assert not path.exists()
    assert path.read_text() == ("VideoId,LabelConfidencePairs\nab12,1 0.5 0 0.25\ncd34,2 0.333333 0 1e-07\nef56,0 0.5 1 0.5\n")
    assert os.listdir(tmp_path) == ["predictions.csv"]


def test_video_predictions_of_fewer_classes_than_top_k_and_with_label_ids(tmp_path):
    path = tmp_path / "predictions.csv"
    with write_video_predictions(path, class_ids=[30, 10], top_k=20) as write:
        write(["ab12"], [[0.25, 0.5]])
    assert path.read_text().splitlines()[1] == "ab12,10 0.5 30 0.25"


@pytest.mark.parametrize(
    ("ids", "predictions", "message"),
    [
        (["ab"], [0.5, 0.5], r"expected \[B\] and \[B, C\]"),
        (["ab", "cd"], [[0.5, 0.5]], r"expected \[B\] and \[B, C\]"),
        (["ab"], [[0.5, 0.5, 0.5]], "2 class ids for 3"),
        ([b"ab", b"cd"], [[0.5, 0.5], [0.5, np.nan]], "video cd"),
    ],
)
def test_bad_video_predictions_leave_no_file(tmp_path, ids, predictions, message):
    with pytest.raises(UserError, match=message), write_video_predictions(tmp_path / "p.csv", class_ids=[1, 2]) as write:
        write(ids, predictions)
    assert os.listdir(tmp_path) == []
    with pytest.raises(UserError, match="top_k=0"), write_video_predictions(tmp_path / "p.csv", top_k=0):
        pass


UNSAFE = ["a,b", "a b", "a\nb", "a\tb", "a\0b", "a\x7fb", 'a"b', "a'b", "=1+1", "+a", "@a", "-1+1", "-a|b", "a\u2028b", ""]


@pytest.mark.parametrize("name", UNSAFE)
def test_ids_that_break_a_csv_or_are_formulas_are_refused_in_both_formats(name, tmp_path):
    path = tmp_path / "out.csv"
    for segments in ([f"{name}:5"], np.array(["good:0", f"{name}:5"])):
        with pytest.raises(UserError, match="expected `<id>:<start>`"):
            write_submission(path, [3], [segments])
    for ids in ([name], np.array([name.encode()], object)):
        with pytest.raises(UserError, match=r"video id .* cannot stand in a CSV file"), write_video_predictions(path) as write:
            write(ids, np.ones((1, 2)))
    assert not os.listdir(tmp_path)
    if name.strip() and not set(name) & set(" \n\t\u2028"):
        path.write_text(f"Class,Segments\n3,{name}:5\n")
        with pytest.raises(UserError, match=r"line 2"):
            list(read_submission(path))


def test_files_are_compressed_where_their_names_say_so(tmp_path):
    for number in range(2):
        write_submission(tmp_path / f"{number}.csv.gz", [3], [["a:0", "b:5"]])
        with write_video_predictions(tmp_path / f"videos{number}.csv.gz") as write:
            write(["a"], np.ones((1, 2)))
    assert gzip.decompress((tmp_path / "0.csv.gz").read_bytes()) == b"Class,Segments\n3,a:0 b:5\n"
    assert (tmp_path / "0.csv.gz").read_bytes() == (tmp_path / "1.csv.gz").read_bytes()
    assert [segments.tolist() for _, segments in read_submission(tmp_path / "0.csv.gz")] == [["a:0", "b:5"]]
    assert list(read_video_predictions(tmp_path / "videos0.csv.gz")) == [("a", [(0, "1"), (1, "1")])]
    with pytest.raises(UserError):
        write_submission(tmp_path / "bad.csv.gz", [3], [["a b:0"]])
    assert len(os.listdir(tmp_path)) == 4


@pytest.mark.parametrize("name", ["abcd", "-abc", "-", "_a", "a=b", "a+b", "a@b", "ünï", "a:b", "a-1+2"])
def test_other_ids_are_written_and_read(name, tmp_path):
    write_submission(tmp_path / "out.csv", [3], [np.array(["good:0", f"{name}:5"])])
    assert [segments.tolist() for _, segments in read_submission(tmp_path / "out.csv")] == [["good:0", f"{name}:5"]]
    with write_video_predictions(tmp_path / "videos.csv") as write:
        write([name], np.ones((1, 2)))
    assert (tmp_path / "videos.csv").read_text().splitlines()[1].startswith(f"{name},")
