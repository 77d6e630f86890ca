"""Published files in a folder: which are there, and whether they are right."""

import dataclasses
import gzip
import hashlib
import io
import os
import pathlib

import numpy as np
import pytest

from tests import commands
from tests.features.published import matrix_data, weight_file, write_starter_pca, write_tgz, write_vggish_pca
from yt8m.errors import UserError
from yt8m.features import weights
from yt8m.features.weights_listing import is_complete, survey


def sha256(data):
    return {"sha256": hashlib.sha256(data).hexdigest()}


def states(folder):
    return {state.name: state.state for state in survey(folder)}


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """A folder with one set of files a part; the networks are small files whose checksums are said to be the published ones."""
    write_starter_pca(tmp_path)
    write_vggish_pca(tmp_path)
    known = dict(weights.FILES)
    for name in ("classify_image_graph_def.pb", "vggish_model.ckpt", "vggish_pca_params.npz"):
        if not (tmp_path / name).exists():
            (tmp_path / name).write_bytes(name.encode())
        data = (tmp_path / name).read_bytes()
        known[name] = dataclasses.replace(known[name], size=len(data), hashes=sha256(data))
    monkeypatch.setattr(weights, "FILES", known)
    monkeypatch.setattr("yt8m.features.weights_listing.FILES", known)
    return tmp_path


def test_the_table_is_complete():
    """Each part names known files, and each file has a place where it is published."""
    assert {name for sets in weights.PARTS.values() for names in sets for name in names} == set(weights.FILES)
    for file in weights.FILES.values():
        assert file.address
        for kind, value in file.hashes.items():
            assert len(bytes.fromhex(value)) == hashlib.new(kind).digest_size


def test_an_empty_folder(tmp_path, capsys):
    assert set(states(tmp_path).values()) == {"missing"}
    assert commands.run("weights", tmp_path) == 1
    printed = capsys.readouterr().out
    for file in weights.FILES.values():
        assert file.name in printed and file.address in printed
    assert printed.count("NOT COMPLETE") == 4 and not list(tmp_path.iterdir())


def test_a_folder_that_has_all(whole, capsys):
    assert commands.run("weights", whole) is None
    printed = capsys.readouterr().out
    assert printed.count(": complete") == 4 and f"--weights_dir={whole}" in printed
    assert states(whole)["vggish_model.ckpt"] == "verified"
    assert states(whole)["mean.npy"] == "unverified"
    assert states(whole)["inception3_mean_matrix_data.pb"] == "missing"


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("vggish_model.ckpt", lambda data: data + b"more", "21 bytes, expected 17"),
        ("vggish_model.ckpt", lambda data: data[::-1], "sha256"),
        ("mean.npy", lambda data: data[:100], "cannot be read"),
        ("vggish_pca_params.npz", lambda data: data[:-7], "bytes, expected"),
    ],
)
def test_wrong_files_are_listed(whole, name, change, words, capsys):
    (whole / name).write_bytes(change((whole / name).read_bytes()))
    assert commands.run("weights", whole) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith(name))
    assert " wrong " in line and words in line and weights.FILES[name].address in line
    assert not is_complete(survey(whole))


def test_a_second_set_of_files_does(whole):
    for name, shape in (("mean", (2048, 1)), ("projection", (1024, 2048))):
        (whole / f"inception3_{name}_matrix_data.pb").write_bytes(matrix_data(np.ones(shape)))
    (whole / "mean.npy").unlink()
    assert is_complete(survey(whole))
    assert [file.name for file in weights.part(whole, "video PCA")] == list(weights.PARTS["video PCA"][1])


def test_a_wrong_shape_is_found_where_no_checksum_is_known(whole):
    np.save(whole / "eigenvals.npy", np.ones((7, 1)))
    assert [states(whole)[name] for name in weights.PARTS["video PCA"][0]] == ["wrong"] * 3


def test_an_archive_is_read_in_place(whole):
    arrays = {f"yt8m_pca/{name}": (whole / name).read_bytes() for name in weights.PARTS["video PCA"][0]}
    graph = (whole / "classify_image_graph_def.pb").read_bytes()
    for name in (*weights.PARTS["video PCA"][0], "classify_image_graph_def.pb"):
        (whole / name).unlink()
    write_tgz(whole / "yt8m_pca.tgz", {"README": b"hello", **arrays})
    write_tgz(whole / "inception-2015-12-05.tgz", {"LICENSE": b"A", "classify_image_graph_def.pb": graph})
    before = sorted(whole.iterdir())
    assert is_complete(survey(whole))
    assert weights.locate(whole, "mean.npy").read() == arrays["yt8m_pca/mean.npy"]
    assert weights.locate(whole, "classify_image_graph_def.pb").verify() == "sha256"
    assert sorted(whole.iterdir()) == before


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"no archive", lambda data: data[: len(data) // 2]])
def test_a_damaged_archive(tmp_path, damage):
    path = tmp_path / "inception-2015-12-05.tgz"
    write_tgz(path, {"classify_image_graph_def.pb": os.urandom(5000)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"cannot be read.*Get it again from http") as error:
        weights.locate(tmp_path, "classify_image_graph_def.pb").read()
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_an_archive_without_the_file(tmp_path):
    write_tgz(tmp_path / "yt8m_pca.tgz", {"mean.txt": b"1"})
    with pytest.raises(UserError, match=r"no mean.npy in it"):
        weights.locate(tmp_path, "mean.npy").read()


def test_an_archive_of_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_MAX_MEMBER", 100)
    write_tgz(tmp_path / "yt8m_pca.tgz", {"mean.npy": b"1" * 101})
    with pytest.raises(UserError, match=r"would have 101 bytes"):
        weights.locate(tmp_path, "mean.npy").read()


def test_a_link_out_of_an_archive_is_not_followed(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "yt8m_pca.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("mean.npy")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(UserError, match=r"no mean.npy in it"):
        weights.locate(tmp_path, "mean.npy").read()


def test_checksums(tmp_path):
    path = tmp_path / "values"
    path.write_bytes(b"abc")
    md5 = {"md5": "900150983cd24fb0d6963f7d28e17f72"}
    assert weight_file(path).verify() is None
    assert weight_file(path, size=3, hashes=md5).verify() == "md5"
    assert weight_file(path).digests == ({**sha256(b"abc"), **md5}, 3)
    with pytest.raises(UserError, match=r"md5 900150983.*, expected 00"):
        weight_file(path, hashes={"md5": "00"}).verify()
    with pytest.raises(UserError, match=r"3 bytes, expected 4"):
        weight_file(path, size=4).verify()


def test_what_is_missing_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no classify_image_graph_def.pb \(from http.*yt8m weights"):
        weights.needed(tmp_path, weights.VIDEO_PARTS)
    with pytest.raises(UserError, match=r"--weights_dir is not given"):
        weights.needed(None, weights.VIDEO_PARTS)
    assert "no such folder" in commands.run("weights", tmp_path / "none")
    path = pathlib.Path(tmp_path / "file")
    path.write_bytes(gzip.compress(io.BytesIO(b"x").read()))
    assert "no such folder" in commands.run("weights", path)
