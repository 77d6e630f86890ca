"""The report holds what separate ensembles have."""

import json

import numpy as np
import pytest
from scipy.stats import rankdata

from tests.ensembles.rows import (
    LABELS,
    assert_figures,
    brute_force_lists,
    draw,
    pairs_of,
    run,
    stored,
    write_ratings,
    write_store,
)
from yt8m.metrics import Ratings, segment_average_precisions


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("method", ["mean", "rank"])
def test_report_holds_what_separate_ensembles_have(tmp_path, method, levels):
    pattern = write_ratings(tmp_path)
    scores = [draw(seed, levels) for seed in range(3)]
    folders = [write_store(tmp_path / f"run{k}", own) for k, own in enumerate(scores)]
    run(*folders, f"--method={method}", "--weights=2,1,1", f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    values = [rankdata(stored(own), axis=0) if method == "rank" else stored(own) for own in scores]
    weights = (2, 1, 1)
    assert_figures(report["ensemble"], np.average(values, axis=0, weights=weights), pattern)
    assert [member["name"] for member in report["members"]] == ["run0", "run1", "run2"]
    assert [member["weight"] for member in report["members"]] == [0.5, 0.25, 0.25]
    for k, member in enumerate(report["members"]):
        assert_figures(member, values[k], pattern)
        others = [i for i in range(3) if i != k]
        rest = np.average([values[i] for i in others], axis=0, weights=[weights[i] for i in others])
        assert_figures(member["without"], rest, pattern)
        assert member["gain"] == pytest.approx(report["ensemble"]["map"] - member["without"]["map"])
    assert report["warning"] == "" and 0 < report["chance"] < 1


def test_without_the_only_member_that_weighs_there_is_nothing(tmp_path, three, capsys):
    pattern = write_ratings(tmp_path)
    run(*three[0][:2], "--weights=1,0", f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json")
    members = json.loads((tmp_path / "r.json").read_text())["members"]
    assert members[0]["without"] is None and members[0]["gain"] is None and members[1]["gain"] == 0
    run(three[0][0], f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json")
    assert json.loads((tmp_path / "r.json").read_text())["members"][0]["without"] is None
    assert "random order" in capsys.readouterr().out


def test_report_of_submissions(tmp_path, submissions):
    paths, lists = submissions
    pattern = write_ratings(tmp_path)
    names, labels, scores = pairs_of(pattern)
    ratings = Ratings(np.append(names, "abcd:40"), np.append(labels, 999), np.append(scores, 1))
    n = 150

    def separate(members):
        ranked = {c: brute_force_lists([m.get(c, []) for m in members], [1] * len(members), n) for c in LABELS}
        return segment_average_precisions(ranked, ratings, n).mean

    run(*paths, f"--max_pred={n}", f"--eval_data_pattern={pattern}", f"--report_output={tmp_path}/r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["ensemble"] == {"map": pytest.approx(separate(lists)), "auc": None}
    for k, member in enumerate(report["members"]):
        assert member["map"] == pytest.approx(separate([lists[k]]))
        assert member["without"]["map"] == pytest.approx(separate([own for i, own in enumerate(lists) if i != k]))


def test_report_of_submissions_of_chosen_classes(tmp_path, submissions):
    pattern = write_ratings(tmp_path)
    (tmp_path / "ids.csv").write_text("30\n")
    run(
        *submissions[0],
        f"--segment_label_ids_file={tmp_path}/ids.csv",
        f"--eval_data_pattern={pattern}",
        f"--report_output={tmp_path}/r.json",
    )
    names, labels, scores = pairs_of(pattern)
    own = labels == 30
    ranked = {30: brute_force_lists([lists[30] for lists in submissions[1]], (1, 1, 1), 10**5)}
    expected = segment_average_precisions(ranked, Ratings(names[own], labels[own], scores[own])).mean
    assert json.loads((tmp_path / "r.json").read_text())["ensemble"]["map"] == pytest.approx(expected)
