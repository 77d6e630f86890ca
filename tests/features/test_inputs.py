"""What the user names: folders, globs, CSV files of both forms, ids, labels, ratings; bad ones get one line."""

import hashlib
import os

import pytest

from yt8m.errors import UserError
from yt8m.features import vocabulary
from yt8m.features.inputs import id_of, read_items, read_ratings
from yt8m.readers.labels import read_vocabulary


@pytest.fixture
def clips(tmp_path):
    """A folder with three empty files that are named as videos, and two that are not."""
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    for name in ("b.mp4", "a 1.MOV", "more/c.wav", "notes.txt", ".hidden.mp4"):
        (folder / name).touch()
    return folder


def table(folder, text, name="videos.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def ids(source, **options):
    return [item.id for item in read_items(str(source), **options)]


def test_a_folder_a_file_and_a_glob(clips):
    assert ids(clips) == ["a_1", "b", "c"]
    assert ids(clips / "b.mp4") == ["b"]
    assert ids(clips / "*.mp4") == ["b"]
    assert ids(clips / "**" / "*.wav") == ["c"]


def test_folders_that_links_lead_to(clips, tmp_path):
    """They are searched, each folder once, and a link to a folder above is not followed."""
    (tmp_path / "others" / "deep").mkdir(parents=True)
    for path in (tmp_path / "others" / "deep" / "d.mp4", tmp_path / "outside.mp4"):
        path.touch()
    links = {"more/others": "others", "again": "clips/more", "loop": "clips", "up": ".", "others/deep/back": "others"}
    for link, target in links.items():
        (clips / link if not link.startswith("others") else tmp_path / link).symlink_to(tmp_path / target)
    (clips / "gone").symlink_to(tmp_path / "none")
    assert [(item.id, item.given) for item in read_items(str(clips))] == [
        ("a_1", "a 1.MOV"),
        ("b", "b.mp4"),
        ("c", "more/c.wav"),
        ("d", "more/others/deep/d.mp4"),
    ]
    (tmp_path / "link").symlink_to(clips)
    assert ids(tmp_path / "link") == ["a_1", "b", "c", "d"]


def test_a_folder_that_cannot_be_read(clips, monkeypatch):
    def scandir(path):
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", path)
        return original(path)

    original = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match=r"clips: cannot read its folder .*/clips/more \(Permission denied\)"):
        read_items(str(clips))


def test_a_file_with_the_name_of_a_glob(clips):
    (clips / "x[1].mp4").touch()
    assert ids(clips / "x[1].mp4") == ["x_1_"]


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no video or sound in this folder"):
        read_items(str(tmp_path / "empty"))
    with pytest.raises(UserError, match="no such folder or file"):
        read_items(str(tmp_path / "none*"))


def test_ids():
    assert id_of("x/My clip, 1:2.tar.mp4") == "My_clip__1_2_tar"
    assert id_of("é" * 70 + ".mp4") == "_" * 64
    assert id_of("x/a.mp4", "path") == "a-" + hashlib.sha256(b"x/a.mp4").hexdigest()[:8]
    assert len(id_of("a" * 70, "path")) == 64


def test_files_with_one_id_are_both_named(clips):
    (clips / "more" / "b.mkv").touch()
    with pytest.raises(UserError, match=r"b\.mp4.*b\.mkv.*--id_from=path"):
        read_items(str(clips))
    assert len(ids(clips, id_from="path")) == 4


def test_the_starters_form(clips, tmp_path):
    items = read_items(table(tmp_path, f"{clips}/b.mp4,52;3;10\n{clips}/a 1.MOV,\n"))
    assert [(item.id, item.labels) for item in items] == [("a_1", ()), ("b", ("52", "3", "10"))]


def test_columns_with_names(clips, tmp_path):
    text = "\ufefflabels,video,split,id\nCar; Dog ;Car,clips/b.mp4,test,x1\n,clips/none.mp4,,\n"
    items = {item.id: item for item in read_items(table(tmp_path, text))}
    assert sorted(items) == ["none", "x1"]
    assert items["x1"].labels == ("Car", "Dog") and items["x1"].split == "test"
    assert items["x1"].path == str(tmp_path / "clips/b.mp4")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no video"),
        ("video,labels\n", "names no video"),
        ("video,label\nb.mp4,Car\n", "column 'label' is unknown"),
        ("video,id\nb.mp4,a:b\n", "line 2: id 'a:b'"),
        ("b.mp4,Car,Dog\n", "line 1: 'b.mp4,Car,Dog' is not video,labels"),
        (",Car\n", "line 1"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        read_items(table(tmp_path, text))


def test_a_table_in_another_encoding(tmp_path):
    (tmp_path / "videos.csv").write_bytes(b"\xff\xfe\x00,")
    with pytest.raises(UserError, match="UTF-8"):
        read_items(str(tmp_path / "videos.csv"))


# ---------------------------------------------------------------- ratings


def test_ratings_by_id_and_by_path(clips, tmp_path):
    items = read_items(str(clips))
    text = "video,start,label,score\nb,5,Car,1\nmore/c.wav,0,7,0\nclips/b.mp4,10.0,Car,0.0\n"
    rows = [(rating.id, rating.start, rating.label, rating.score) for rating in read_ratings(table(tmp_path, text), items)]
    assert rows == [("b", 5, "Car", 1), ("c", 0, "7", 0), ("b", 10, "Car", 0)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("d,5,Car,1", "line 2: video 'd' is not in --input_videos"),
        ("b,five,Car,1", "line 2: start and score must be numbers"),
        ("b,5,Car", "line 2: start and score must be numbers"),
        ("b,5.5,Car,1", "whole seconds"),
        ("b,-5,Car,1", "whole seconds"),
        ("b,5,Car,0.5", "score 0 or 1"),
        ("b,5,,1", "label a class"),
    ],
)
def test_bad_ratings(clips, tmp_path, line, words):
    with pytest.raises(UserError, match=words):
        read_ratings(table(tmp_path, f"video,start,label,score\n{line}\n", "segments.csv"), read_items(str(clips)))


def test_ratings_without_a_header(clips, tmp_path):
    with pytest.raises(UserError, match="Begin it with video,start,label,score"):
        read_ratings(table(tmp_path, "b,5,Car,1\n", "segments.csv"), read_items(str(clips)))


# ---------------------------------------------------------------- vocabulary


def resolve(folder, texts, path=None, extend=False):
    classes = vocabulary.resolve(str(folder), path, texts, extend)
    return classes, [classes.id_of(text, "a clip") for text in texts]


def test_a_vocabulary_is_made_kept_and_extended(tmp_path):
    classes, labels = resolve(tmp_path, ["Dog", "Car", "Dog"])
    assert classes.names == {0: "Car", 1: "Dog"} and labels == [1, 0, 1]
    vocabulary.write(str(tmp_path), classes)
    assert read_vocabulary(tmp_path / "vocabulary.csv") == {0: "Car", 1: "Dog"}
    assert resolve(tmp_path, ["Car", "1"])[1] == [0, 1]
    with pytest.raises(UserError, match=r"a clip: label 'Bird' is not in the vocabulary.*--extend_vocabulary"):
        resolve(tmp_path, ["Bird", "Car"])
    classes, labels = resolve(tmp_path, ["Bird", "Car"], extend=True)
    assert classes.names == {0: "Car", 1: "Dog", 2: "Bird"} and labels == [2, 0]


def test_a_given_vocabulary(tmp_path):
    path = table(tmp_path, "Index,Extra,Name\n3,x,Car\n5,x,Dog\n7,x,\n8,x,Dog\n", "names.csv")
    classes, labels = resolve(tmp_path, ["Car", "7", "3"], path)
    assert labels == [3, 7, 3] and classes.num_classes() == 9
    for text, words in (("Bird", "'Bird' is not"), ("4", "label 4 is not"), ("Dog", r"several classes, \[5, 8\]")):
        with pytest.raises(UserError, match=words):
            resolve(tmp_path, [text], path)


def test_a_vocabulary_that_contradicts_the_kept_one(tmp_path):
    vocabulary.write(str(tmp_path), vocabulary.Vocabulary({0: "Car"}))
    with pytest.raises(UserError, match=r"class 0 is 'Dog'.*'Car'"):
        resolve(tmp_path, [], table(tmp_path, "Index,Name\n0,Dog\n", "names.csv"))


def test_ids_without_a_vocabulary(tmp_path):
    classes, labels = resolve(tmp_path, ["52", "3"])
    assert labels == [52, 3] and classes.num_classes(labels) == 53 and classes.num_classes() == 0
    with pytest.raises(UserError, match="ids beside names"):
        resolve(tmp_path, ["52", "Car"])
