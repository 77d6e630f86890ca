"""Flags that are bad or do not go together."""

import os

import pytest

from tests import commands
from tests.ensembles.rows import VIDEOS, draw, run, write_store
from yt8m.errors import UserError


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--weights=1,2"], "2 weights for 3 members"),
        (["--weights=1,-2,1"], "negative"),
        (["--weights=1,nan,1"], "no number"),
        (["--weights=1,two,1"], "expected numbers"),
        (["--weights=0,0,0"], "all weights are 0"),
        (["--weights=none.json"], r"none\.json: cannot be read"),
        (["--method=median"], "use one of mean, geometric, rank, hyperbolic"),
        (["--method=hyperbolic", "--half_rank=0"], "--half_rank=0: use a rank above 0"),
        (["--half_rank=3"], "--half_rank=3 is of --method=hyperbolic"),
        (["--method=geometric", "--fit_on=x"], "not of a geometric mean"),
        (["--method=hyperbolic", "--scores_output=x"], "--scores_output is for probabilities"),
        (["--max_pred=0"], "--max_pred=0"),
        (["--max_pred=many"], "invalid int value"),
        (["--fit_prior=-1"], "--fit_prior=-1.0"),
        (["--method=rank", "--scores_output=x"], "--scores_output is for probabilities"),
        (["--method=rank", "--fit_on=x"], "--fit_on is for probabilities"),
        (["--fit_on=x", "--weights=1,1,1"], "Leave one of them out"),
        (["--weights_output=x"], "--weights_output needs --fit_on"),
        (["--report_output=x"], "--report_output needs --eval_data_pattern"),
        (["--fit_prior=30"], "--fit_prior=30.0 needs --fit_on"),
        (["--id_feature=video_id"], "--id_feature=video_id needs --fit_on or --eval_data_pattern"),
        (["--output_file=", "--scores_output=x", "--max_pred=9"], "--max_pred=9 needs --output_file"),
        (["--output_file=new/"], "--output_file=new/: is a folder"),
        (["--output_file=."], "--output_file=.: is a folder"),
        (["--fit_on=nowhere*"], "no file matches --fit_on='nowhere"),
    ],
)
def test_bad_flags(tmp_path, three, flags, message):
    with pytest.raises(UserError, match=message) as error:
        run(*three[0], f"--output_file={tmp_path}/out.csv", *flags)
    assert "\n" not in str(error.value)
    assert not os.path.exists(tmp_path / "out.csv")


def test_outputs_that_cannot_be_written_are_refused_before_anything_is_read(tmp_path, three, monkeypatch):
    folders, _ = three
    monkeypatch.setattr("yt8m.ensembles.command.MemberStores", lambda *args: pytest.fail("read"))
    (tmp_path / "file").write_text("")
    for flag, needed in (
        ("output_file", []),
        ("scores_output", []),
        ("weights_output", ["--fit_on=x"]),
        ("report_output", ["--eval_data_pattern=x"]),
    ):
        with pytest.raises(UserError, match=f"--{flag}={tmp_path}/file/x: .*Name a place in a folder that can be written"):
            run(*folders, *needed, f"--{flag}={tmp_path}/file/x")
    assert not (tmp_path / "file").read_text()


def test_a_store_of_another_ensemble_is_refused_before_the_comparison(tmp_path, three, monkeypatch):
    run(*three[0], f"--scores_output={tmp_path}/store")
    monkeypatch.setattr("yt8m.ensembles.command._compared_stores", lambda *args: pytest.fail("compared"))
    with pytest.raises(UserError, match="holds the scores of another run"):
        run(*three[0], f"--scores_output={tmp_path}/store", "--weights=1,2,3", "--eval_data_pattern=x")


def test_bad_members(tmp_path, three):
    folders, _ = three
    output = f"--output_file={tmp_path}/out.csv"
    (tmp_path / "a.csv").write_text("30,abcd:0\n")
    (tmp_path / "empty").mkdir()
    count = sum(map(len, VIDEOS))
    videos = write_store(tmp_path / "videos", draw(1, num_rows=count), kind="videos")
    for members, message in [
        (["missing", folders[0]], "missing does not exist"),
        ([folders[0], f"{tmp_path}/a.csv"], "Name members of one kind"),
        ([folders[0], f"{folders[0]}/"], "is named twice"),
        ([folders[0], f"{tmp_path}/empty"], "empty: no scores there"),
        ([folders[0], videos], "kind: segments in .*run0, videos in .*videos"),
        ([f"{tmp_path}/a.csv", "--method=mean"], "--method=mean needs scores"),
        ([f"{tmp_path}/a.csv", "--method=geometric"], "--method=geometric needs scores"),
        ([f"{tmp_path}/a.csv", "--scores_output=x"], "--scores_output needs scores"),
        ([f"{tmp_path}/a.csv", "--fit_on=x"], "--fit_on needs scores"),
        ([f"{tmp_path}/a.csv", f"--output_file={tmp_path}/a.csv"], "is a member of the ensemble"),
        ([folders[0], f"--scores_output={folders[0]}"], "is a member of the ensemble"),
    ]:
        with pytest.raises(UserError, match=message):
            run(output, *members)
    with pytest.raises(UserError, match="nothing to make"):
        run(*folders)
    assert not os.path.exists(tmp_path / "out.csv")
    assert (tmp_path / "a.csv").read_text() == "30,abcd:0\n"


def test_paths_in_the_home_folder(tmp_path, three, submissions, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folders, _ = three
    run(*(path.replace(str(tmp_path), "~") for path in folders), "--output_file=~/out.csv", "--scores_output=~/mean")
    run(*folders, f"--output_file={tmp_path}/same.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "same.csv").read_bytes() and (tmp_path / "mean").is_dir()
    run(*(path.replace(str(tmp_path), "~") for path in submissions[0]), "--output_file=~/lists.csv")
    assert (tmp_path / "lists.csv").exists()


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
    ended = commands.run("ensemble", "nowhere", "--output_file=x.csv")
    assert ended.startswith("yt8m ensemble: error: nowhere does not exist.")
    assert commands.run("ensemble", "--help") == 0
    assert "--fit_on" in capsys.readouterr().out
