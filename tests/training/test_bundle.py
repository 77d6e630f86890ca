"""Model bundles: what they hold, that they restore the same model, and what extraction refuses."""

import gzip
import io
import os
import pathlib
import shutil
import tarfile
import tracemalloc

import numpy as np
import pytest

from tests.testing import FEATURE_SIZES
from yt8m import config, models
from yt8m.errors import UserError
from yt8m.files import move_files
from yt8m.training import bundle, restore
from yt8m.training.checkpoints import Checkpoints
from yt8m.training.optimizers import make_optimizer

SMALL = {"hidden_size": 100}


def train_a_little(folder, ema_momentum=0.0):
    """A train_dir whose optimizer has slots and whose weights and averages differ."""
    model = models.build_model("AttentionModel", 7, FEATURE_SIZES, **SMALL)
    optimizer = make_optimizer("AdamOptimizer", 0.1, ema_momentum=ema_momentum)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    for _ in range(3):
        optimizer.apply([rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables])
    config.write_model_config(
        str(folder), config.ModelConfig("AttentionModel", SMALL, feature_sizes=FEATURE_SIZES, num_classes=7)
    )
    checkpoints = Checkpoints(str(folder), model, optimizer)
    checkpoints.step.assign(3)
    checkpoints.stage.assign(1)
    checkpoints.save()
    return str(folder)


@pytest.fixture(scope="module")
def train_dir(tmp_path_factory):
    return train_a_little(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def tgz(train_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "model.tgz"
    bundle.write(path, train_dir, restore.newest(train_dir).prefix)
    return path


@pytest.mark.parametrize("ema_momentum", [0.0, 0.5])
def test_a_bundle_restores_the_model_that_the_run_gives(tmp_path, ema_momentum):
    run = train_a_little(tmp_path / "run", ema_momentum)
    before = restore.newest(run)
    bundle.write(tmp_path / "new" / "model.tgz", run, before.prefix)
    after = restore.newest(bundle.extract(tmp_path / "new" / "model.tgz", tmp_path / "there"))
    assert (after.config, after.step) == (before.config, 3)
    assert os.path.basename(after.prefix) == os.path.basename(before.prefix) == "model.ckpt-3"
    for old, new in zip(before.model.weights, after.model.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_bundle_holds_weights_alone(train_dir, tgz):
    with tarfile.open(tgz) as tar:
        sizes = {member.name: member.size for member in tar}
    data = "model.ckpt-3.data-00000-of-00001"
    assert sorted(sizes) == ["checkpoint", data, "model.ckpt-3.index", "model_flags.json"]
    weights = 4 * restore.newest(train_dir).model.count_params()
    assert sizes[data] < 1.2 * weights  # with Adam's slots it would be three times as much
    assert os.path.getsize(os.path.join(train_dir, data)) > 2.2 * weights


def test_the_same_run_gives_the_same_bytes(train_dir, tgz, tmp_path):
    bundle.write(tmp_path / "again.tgz", train_dir, restore.newest(train_dir).prefix)
    assert (tmp_path / "again.tgz").read_bytes() == tgz.read_bytes()
    assert os.listdir(tmp_path) == ["again.tgz"]


def test_write_refuses_what_it_cannot_do(train_dir, tmp_path):
    with pytest.raises(UserError, match="no model_flags"):
        bundle.write(tmp_path / "x.tgz", tmp_path, "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--output_model_tgz=.*cannot be written"):
        bundle.write(tmp_path / "file" / "x.tgz", train_dir, restore.newest(train_dir).prefix)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def other_tgz(tmp_path_factory):
    """A bundle of the same names as the other's, and of other weights."""
    folder = tmp_path_factory.mktemp("other")
    run = train_a_little(folder / "run", 0.5)
    bundle.write(folder / "model.tgz", run, restore.newest(run).prefix)
    return folder / "model.tgz"


def test_each_bundle_has_a_folder_of_its_own_in_the_cache(tgz, other_tgz, cache):
    folders = [bundle.folder_of(path) for path in (tgz, other_tgz, tgz)]
    assert folders[0] == folders[2] != folders[1]
    assert sorted(os.listdir(cache)) == sorted(map(os.path.basename, folders[:2]))
    for path, folder in zip((tgz, other_tgz), folders):
        expected = restore.newest(bundle.extract(path, cache / "expected")).model.weights
        for old, new in zip(expected, restore.newest(folder).model.weights, strict=True):
            np.testing.assert_array_equal(old, new)


def test_the_same_bundle_is_extracted_once(tgz, cache, tmp_path, monkeypatch):
    folder = bundle.folder_of(tgz)
    shutil.copy(tgz, tmp_path / "copy.tgz")
    monkeypatch.setattr(bundle, "_unpack", lambda *_: pytest.fail("extracted again"))
    assert bundle.folder_of(tmp_path / "copy.tgz") == bundle.folder_of(str(tgz), "") == folder


def test_a_folder_in_the_cache_that_is_not_complete_is_completed(tgz, cache):
    folder = pathlib.Path(bundle.folder_of(tgz))
    (folder / "predictions.csv").write_text("mine")
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in whole.keys() - {"predictions.csv"}:  # without any of them: the mark, model_flags.json, the checkpoint's files
        (folder / name).unlink()
        assert bundle.folder_of(tgz) == str(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    for name in ("model_flags.json", "model.ckpt-3.data-00000-of-00001"):
        (folder / name).write_bytes(whole[name][:-100])
        bundle.folder_of(tgz)
        assert (folder / name).read_bytes() == whole[name]


def test_another_that_extracts_the_same_bundle_takes_nothing_away(tgz, cache, monkeypatch):
    """Two processes at once: the second begins while the first has moved some of its files."""
    moved = []

    def move_in_turns(source, folder, names):
        first, moved[:] = not moved, [*moved, names]
        move_files(source, folder, names[:2])
        if first:
            seen = bundle.folder_of(tgz)
            before = {path.name: path.read_bytes() for path in pathlib.Path(seen).iterdir()}
        move_files(source, folder, names[2:])
        if first:
            assert {path.name: path.read_bytes() for path in pathlib.Path(seen).iterdir()} == before

    monkeypatch.setattr(bundle, "move_files", move_in_turns)
    folder = bundle.folder_of(tgz)
    assert len(moved) == 2 and sorted(os.listdir(cache)) == [os.path.basename(folder)]
    assert moved[0][-1] == bundle.MARK and restore.newest(folder).step == 3


def test_a_named_folder_is_extracted_to_each_time(tgz, other_tgz, cache, tmp_path):
    weights = []
    for path in (tgz, other_tgz):
        assert bundle.folder_of(path, tmp_path / "there") == str(tmp_path / "there")
        weights.append((tmp_path / "there" / "model.ckpt-3.data-00000-of-00001").read_bytes())
    assert weights[0] != weights[1] and not cache.exists()


def test_a_bundle_that_is_none_leaves_no_folder_in_the_cache(cache, tmp_path):
    for path, words in ((tmp_path / "missing.tgz", "no such file"), (archive(tmp_path / "x.tgz", ("a", b"x")), "not a bundle")):
        with pytest.raises(UserError, match=rf"^--input_model_tgz={path}: {words}"):
            bundle.folder_of(path)
    assert not cache.exists() or not os.listdir(cache)


def archive(path, *members):
    """A .tgz of TarInfos, or of (name, bytes)."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def special(name, kind, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


DANGEROUS = {
    "absolute": ("/evil", b"x"),
    "above": ("../evil", b"x"),
    "inside": ("folder/../../evil", b"x"),
    "nested": ("folder/file", b"x"),
    "hidden": (".bashrc", b"x"),
    "windows": ("..\\evil", b"x"),
    "symbolic link": special("link", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": special("link", tarfile.LNKTYPE, "/etc/passwd"),
    "device": special("null", tarfile.CHRTYPE),
    "block device": special("disk", tarfile.BLKTYPE),
    "fifo": special("pipe", tarfile.FIFOTYPE),
    "folder": special("folder", tarfile.DIRTYPE),
}


@pytest.mark.parametrize("member", DANGEROUS.values(), ids=DANGEROUS.keys())
def test_a_dangerous_member_is_refused_and_nothing_is_left(member, tmp_path):
    path = archive(tmp_path / "x.tgz", ("model_flags.json", b"{}"), member)
    with pytest.raises(UserError, match="not a plain file of its own"):
        bundle.extract(path, tmp_path / "a" / "there")
    assert sorted(os.listdir(tmp_path)) == ["a", "x.tgz"] and not os.listdir(tmp_path / "a")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_extension_headers_are_refused_before_they_are_read_into_memory(kind, tmp_path):
    size = 1 << 30
    info = special("x", kind, size=size)
    with gzip.open(tmp_path / "x.tgz", "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(UserError, match="not a plain file of its own"):
        bundle.extract(tmp_path / "x.tgz", tmp_path / "folder")
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()
    assert os.listdir(tmp_path) == ["x.tgz"]


def test_what_follows_the_archive_is_not_unpacked_without_end(tmp_path):
    archive(tmp_path / "x.tgz", ("model_flags.json", b"{}"))
    with gzip.open(tmp_path / "x.tgz", "ab", compresslevel=1) as file:
        for _ in range(20):
            file.write(bytes(1 << 20))
    with pytest.raises(UserError, match="unpacks to more than a model has"):
        bundle.extract(tmp_path / "x.tgz", tmp_path / "folder", max_bytes=1 << 20, max_files=10)
    assert os.listdir(tmp_path) == ["x.tgz"]


def test_a_name_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a plain file of its own"):
        bundle.extract(archive(tmp_path / "x.tgz", ("a", b"1"), ("a", b"2")), tmp_path / "there")


def test_too_large_is_refused_before_it_is_written(tmp_path):
    bomb = archive(tmp_path / "x.tgz", ("a", bytes(1 << 20)))
    assert os.path.getsize(bomb) < 10_000
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        bundle.extract(bomb, tmp_path / "there", max_bytes=1000)
    with pytest.raises(UserError, match="or 2 files"):
        bundle.extract(archive(tmp_path / "y.tgz", *((f"f{i}", b"") for i in range(3))), tmp_path / "there", max_files=2)
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("damage", ["cut", "text", "no tar", "empty", "flipped"])
def test_a_damaged_archive_is_one_line(tgz, damage, tmp_path):
    whole = tgz.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    contents = {
        "cut": whole[:middle],
        "text": b"hello",
        "no tar": gzip.compress(b"hello" * 999),
        "empty": b"",
        "flipped": flipped,
    }
    path = tmp_path / "x.tgz"
    path.write_bytes(contents[damage])
    with pytest.raises(UserError) as error:
        bundle.extract(path, tmp_path / "there")
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ["x.tgz"]


def test_an_archive_of_something_else(tgz, train_dir, tmp_path):
    flags = pathlib.Path(train_dir, "model_flags.json").read_bytes()
    elsewhere = f'model_checkpoint_path: "{train_dir}/model.ckpt-3"\n'.encode()
    for members, line in (
        ([("readme.txt", b"hello")], "no model_flags.json"),
        ([("model_flags.json", flags)], "names no checkpoint in it"),
        ([("model_flags.json", flags), ("checkpoint", elsewhere)], "names no checkpoint in it"),
        ([("model_flags.json", b"{}"), ("checkpoint", elsewhere)], "not written by this version"),
    ):
        with pytest.raises(UserError, match=line):
            bundle.extract(archive(tmp_path / "x.tgz", *members), tmp_path / "there")
    with pytest.raises(UserError, match="no such file"):
        bundle.extract(tmp_path / "missing.tgz", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_only_an_earlier_bundle_is_replaced(tgz, tmp_path):
    there = tmp_path / "there"
    bundle.extract(tgz, there)
    (there / "predictions.csv").write_text("mine")
    files = {
        "model_flags.json": (there / "model_flags.json").read_bytes(),
        "checkpoint": b'model_checkpoint_path: "model.ckpt-4"',
    }
    with tarfile.open(tgz) as tar:
        for member in tar:
            if member.name.startswith("model.ckpt-3"):
                files[member.name.replace("-3", "-4")] = tar.extractfile(member).read()
    bundle.extract(archive(tmp_path / "x.tgz", *files.items()), there)
    assert sorted(os.listdir(there)) == sorted([*files, bundle.MARK, "predictions.csv"])
    assert restore.newest(str(there)).prefix.endswith("model.ckpt-4")


def test_any_other_folder_is_left_alone(tgz, tmp_path):
    bundle.extract(tgz, tmp_path / "there")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for folder in ("mine", "link", "mine/thesis.txt"):
        with pytest.raises(UserError, match="--untar_model_dir"):
            bundle.extract(tgz, tmp_path / folder)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert sorted(os.listdir(tmp_path)) == ["link", "mine", "there"]
