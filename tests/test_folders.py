"""The user's folders, and which run is meant when none is named."""

from pathlib import Path

import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m import folders


def test_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("YT8M_STATE", str(tmp_path / "mine"))
    assert folders.state_folder("Model") == tmp_path / "mine" / "Model"
    monkeypatch.delenv("YT8M_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert folders.state_folder("Model") == tmp_path / "yt8m" / "Model"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for elsewhere in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", elsewhere)
        assert folders.state_folder("Model") == tmp_path / "home" / ".local" / "state" / "yt8m" / "Model"


def test_named_folders(tmp_path):
    one, comma = tmp_path / "one", tmp_path / "of A, B"
    comma.mkdir()
    assert folders.named_folders(f"{one}, {tmp_path}/two") == [str(one), f"{tmp_path}/two"]
    assert folders.named_folders(str(comma)) == [str(comma)]
    assert folders.named_folders(f"{comma},{one}") == [f"{tmp_path}/of A", "B", str(one)]  # several: commas are between them
    assert folders.named_folders("~/run") == [str(Path.home() / "run")]


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    monkeypatch.setenv("YT8M_STATE", str(tmp_path / "state"))
    (tmp_path / "data").mkdir()
    pattern = write_frame_shards(tmp_path / "data", [[make_video(f"v{i}", 9, labels=[i % 7]) for i in range(8)]])
    return [f"--train_data_pattern={pattern}", "--batch_size=4", "--max_steps=2", *commands.TINY]


def test_a_refused_command_is_not_the_latest_run(arguments, tmp_path, capsys):
    latest, good = tmp_path / "state" / "latest", tmp_path / "state" / "FrameLevelLogisticModel"
    assert "--optimizer=adam" in commands.run("train", *arguments, "--model=AttentionModel", "--optimizer=adam")
    assert not latest.exists()
    assert commands.run("train", *arguments, "--model=FrameLevelLogisticModel") is None
    assert f"in {good}" in capsys.readouterr().out
    assert latest.read_text().strip() == str(good) and (good / "finished").exists()
    for refused in ("--optimizer=adam", "--hyperparameters=hidden_size=2.5", "--schedule=x"):
        assert commands.run("train", *arguments, "--model=AttentionModel", refused)
    assert commands.run("train", *arguments, "--model=FrameLevelLogisticModel", "--seed=2")
    assert latest.read_text().strip() == str(good) and (good / "finished").exists()
    assert commands.run("eval", arguments[0].replace("train", "eval", 1)) is None


def test_a_refused_command_throws_no_run_away(arguments, tmp_path):
    folder = tmp_path / "run"
    assert commands.run("train", *arguments, "--model=FrameLevelLogisticModel", f"--train_dir={folder}") is None
    before = sorted(folder.iterdir())
    for refused in ("--optimizer=adam", "--hyperparameters=hidden_size=2.5"):
        line = commands.run("train", *arguments, "--model=AttentionModel", f"--train_dir={folder}", "--start_new_model", refused)
        assert line
    assert sorted(folder.iterdir()) == before


def test_a_folder_with_a_comma(arguments, tmp_path):
    folder = tmp_path / "of A, B"
    assert commands.run("train", *arguments, "--model=FrameLevelLogisticModel", f"--train_dir={folder}") is None
    data, output = arguments[0].replace("train_data", "input_data"), tmp_path / "predictions.csv"
    assert commands.run("inference", data, f"--train_dir={folder}", f"--output_file={output}") is None
    assert len(output.read_text().splitlines()) == 9


def test_a_damaged_note_of_the_latest_run_is_one_line(arguments, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "latest").write_bytes(b"\xff\xfe")
    assert "--train_dir is not given" in commands.run("eval")
